"""Event logs on real servers: a client that is cut off, and two processes with Redis."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.project.snippets import programs
from tests.servers.client import Connection
from tests.servers.harness import SETUPS, Server, Setup, free_port, require, until
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOUND = 30.0


class Event(NamedTuple):
    """An event of a stream, as it was sent."""

    id: str
    name: str
    data: str


def read_event(connection: Connection, rest: bytes = b"") -> tuple[Event | None, bytes]:
    """Return the next event with an id, and the bytes after it; ``None`` at the end."""
    while True:
        while b"\n\n" not in rest:
            chunk = connection.read_chunk()
            if not chunk:
                return None, rest
            rest += chunk
        block, _, rest = rest.partition(b"\n\n")
        fields = dict(re.findall(r"^(\w+): ?(.*)$", block.decode(), re.MULTILINE))
        if "data" in fields:
            return Event(fields.get("id", ""), fields.get("event", ""), fields["data"]), rest


def follow(
    port: int, path: str, last: str | None, *lines: str, most: int | None = None
) -> tuple[int, list[Event]]:
    """Return the status of a response and its first events; then disconnect."""
    with Connection(port) as connection:
        headers = lines if last is None else (*lines, f"Last-Event-ID: {last}")
        connection.send_head("GET", path, *headers)
        status = connection.read_head().status
        found: list[Event] = []
        rest = b""
        while status == 200 and (most is None or len(found) < most):
            event, rest = read_event(connection, rest)
            if event is None:
                break
            found.append(event)
        connection.reset()
    return status, found


# --- the guide -----------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_client_of_guide_receives_each_word_once(setup: Setup, tmp_path: Path) -> None:
    page = ROOT / "docs" / "pages" / "guides" / "llm-streaming.md"
    (tmp_path / "main.py").write_text(programs("page", page.read_text())[0].source)
    with Server(setup, "main:app", tmp_path) as server:
        ann = "X-User: ann"
        with server.connect() as connection:
            put = connection.request("PUT", "/answers/7", ann, body=b"Why?")
            assert put.status == 202
        received: list[Event] = []
        status, last = 200, None
        while status == 200:
            status, events = follow(server.port, "/answers/7", last, ann, most=1)
            received += events
            last = received[-1].id

        assert status == 204
        assert [event.data for event in received] == ["You", " asked", ": ", "Why?", ""]
        assert received[-1].name == "done"
        # Another user has no such answer, also with the id of the first one.
        assert follow(server.port, "/answers/7", last, "X-User: bob") == (404, [])
        # A reload, without an id.
        assert follow(server.port, "/answers/7", None, ann) == (200, received)
        # An unknown id.
        _, events = follow(server.port, "/answers/7", "unknown", ann)
        assert (events[0].name, events[1:]) == ("forget", received)


# --- Redis ---------------------------------------------------------------------------------------


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run Redis without persistence; the value is its URL."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-server is not installed")
    port = free_port()
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: b"Ready to accept" in (folder / "redis.log").read_bytes(), "Redis")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(BOUND)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """Serve the example in two processes with one Redis."""
    require("redis")
    (setup,) = [each for each in SETUPS if each.name == "uvicorn-httptools-uvloop"]
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))
        monkeypatch.setenv("REDIS", url)
        monkeypatch.setenv("SECRET", secrets.token_hex())
        servers = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            server = Server(setup, "examples.event_log_redis:app", tmp_path / name)
            servers.append(stack.enter_context(server))
        yield servers


def test_redis_client_loses_no_event_if_its_process_is_killed(pair: list[Server]) -> None:
    one, two = pair
    texts = [f"event {number}" for number in range(60)]
    received: list[Event] = []
    reached = threading.Event()

    def produce() -> None:
        with two.connect() as connection:
            for at, text in enumerate(texts):
                if at == 40:
                    assert reached.wait(BOUND)
                assert connection.request("POST", "/room", body=text.encode()).status == 201
            assert connection.request("DELETE", "/room").status == 204

    producer = threading.Thread(target=produce)
    producer.start()
    # The first process is killed while its client waits for the next event.
    with one.connect() as connection:
        connection.send_head("GET", "/room")
        assert connection.read_head().status == 200
        rest = b""
        while len(received) < 40:
            event, rest = read_event(connection, rest)
            assert event is not None
            received.append(event)
        os.killpg(one.pid, signal.SIGKILL)
        reached.set()
        # The body has no last chunk.
        with pytest.raises((ConnectionError, ValueError)):
            read_event(connection, rest)
    status, events = follow(two.port, "/room", received[-1].id)
    producer.join(BOUND)

    assert status == 200
    assert [event.data for event in received + events] == texts
    assert follow(two.port, "/room", events[-1].id) == (204, [])
    assert two.problems == []


def test_redis_refuses_id_of_another_stream(pair: list[Server]) -> None:
    one, two = pair
    with one.connect() as first, two.connect() as second:
        id_ = first.request("POST", "/ann", body=b"secret").body.decode()
        second.request("POST", "/bob", body=b"b 1")
        second.request("DELETE", "/bob")

    for server in pair:
        for last in (id_, id_[:-1], "0-0", "nonsense"):
            _, events = follow(server.port, "/bob", last)
            assert [(event.name, event.data) for event in events] == [("forget", ""), ("", "b 1")]
    (event,) = follow(two.port, "/ann", None, most=1)[1]
    assert (event.id, event.data) == (id_, "secret")


def test_redis_keeps_last_events_and_reports_dropped_ones(pair: list[Server]) -> None:
    one, two = pair
    with one.connect() as connection:
        ids = [
            connection.request("POST", "/room", body=b"%d" % number).body.decode()
            for number in range(1010)
        ]
        connection.request("DELETE", "/room")

    _, events = follow(two.port, "/room", ids[0])
    assert [event.data for event in events] == ["", *map(str, range(11, 1010))]
    assert events[0].name == "forget"
    assert follow(two.port, "/room", ids[-2])[1] == events[-1:]


def test_redis_refuses_append_after_close(pair: list[Server]) -> None:
    with pair[0].connect() as one, pair[1].connect() as two:
        statuses = [
            connection.request(method, "/room", body=b"text").status
            for connection in (one, two)
            for method in ("POST", "DELETE", "POST", "DELETE")
        ]

    assert statuses == [201, 204, 409, 204, 409, 204, 409, 204]
    assert [event.data for event in follow(pair[1].port, "/room", None)[1]] == ["text"]
