"""Files and events behind nginx as a reverse proxy, which buffers all that may be buffered."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.servers.client import Connection
from tests.servers.harness import SETUPS, Server, until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-h11-asyncio")

CONTENT = bytes(range(256)) * 400
STOP_BOUND = 10.0

# Seconds from the moment an event is sent to its arrival behind nginx; the best of three tries,
# because the machine may be busy with something else for as long.
EVENT_BOUND = 0.2
TRIES = 3

_numbers = count()

CONFIGURATION = """
{user}
daemon off;
error_log stderr warn;
pid {folder}/pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    proxy_cache_path {folder}/cache keys_zone=files:1m;
    proxy_http_version 1.1;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
        }}
        location /1.0/ {{
            proxy_pass http://127.0.0.1:{behind};
            # The default of the nginx of many a distribution: a body without chunks, of which it
            # passes on a buffer at a time.
            proxy_http_version 1.0;
        }}
        location /static/ {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_cache files;
            proxy_cache_revalidate on;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


def find_nginx() -> str:
    """Give nginx's path; without it, skip the test, but fail in CI, which installs it."""
    # Debian has it where only root looks.
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("nginx is not installed")
    return found


@contextmanager
def nginx(behind: int, folder: Path) -> Generator[int]:
    """Run nginx before the port ``behind``; give its own port."""
    program = find_nginx()
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    configuration = folder / "conf"
    # Started by root, its workers would be somebody else, to whom this folder is closed.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=folder, port=port, behind=behind)
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: process.poll() is not None or _listens(port), "nginx listening")
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(STOP_BOUND)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return False
    return True


@pytest.fixture
def origin(tmp_path: Path) -> Generator[Server]:
    files = tmp_path / "files"
    files.mkdir()
    (files / "data.bin").write_bytes(CONTENT)
    with Server(SETUP, "served.files:app", tmp_path) as server:
        yield server


def test_what_is_kept_is_checked_again_by_a_304(origin: Server, tmp_path: Path) -> None:
    with nginx(origin.port, tmp_path / "nginx") as port, Connection(port) as connection:
        # It is fresh for a second.
        first = connection.request("GET", "/static/brief/data.bin")
        assert (first.body, first.get("x-cache")) == (CONTENT, "MISS")
        states = []

        def checks_again() -> bool:
            answer = connection.request("GET", "/static/brief/data.bin")
            assert answer.body == CONTENT
            assert answer.get("etag") == first.get("etag")
            states.append(answer.get("x-cache"))
            return states[-1] not in {"HIT", "MISS"}

        until(checks_again, "second look")

        assert states[-1] == "REVALIDATED"
        assert '"GET /static/brief/data.bin HTTP/1.1" 304' in origin.log

        # Another content is another tag.
        (origin.folder / "files/data.bin").write_bytes(b"new")
        until(
            lambda: connection.request("GET", "/static/brief/data.bin").body == b"new",
            "new content",
        )


@pytest.mark.parametrize("target", ["/send/data.bin", "/static/data.bin"])
def test_ranges_and_conditions_pass_through(origin: Server, tmp_path: Path, target: str) -> None:
    with nginx(origin.port, tmp_path / "nginx") as port, Connection(port) as connection:
        for _ in ("missed", "kept"):
            whole = connection.request("GET", target)
            assert (whole.status, whole.body) == (200, CONTENT)
            part = connection.request("GET", target, "Range: bytes=1000-1999")
            assert (part.status, part.body) == (206, CONTENT[1000:2000])
            assert part.get("content-range") == f"bytes 1000-1999/{len(CONTENT)}"
            parts = connection.request("GET", target, "Range: bytes=0-0,-1")
            assert parts.status == 206
            assert str(parts.get("content-type")).startswith("multipart/byteranges")
            assert parts.get("content-length") == str(len(parts.body))
            last = connection.request(
                "GET", target, f"Range: bytes=-5\r\nIf-Range: {whole.get('etag')}"
            )
            assert (last.status, last.body) == (206, CONTENT[-5:])
            stale = connection.request("GET", target, 'Range: bytes=-5\r\nIf-Range: "stale"')
            assert (stale.status, stale.body) == (200, CONTENT)
            beyond = connection.request("GET", target, "Range: bytes=999999-")
            assert beyond.status == 416
            same = connection.request("GET", target, f"If-None-Match: {whole.get('etag')}")
            assert (same.status, same.body) == (304, b"")


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def events(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    folder = tmp_path_factory.mktemp(f"events-{request.param.name}")
    with Server(request.param, "served.events:app", folder) as server:
        yield server


def read_events(connection: Connection, number: int) -> Generator[tuple[float, float]]:
    """Give for each event when it was sent, and when it came; one clock runs for all processes."""
    rest = b""
    while number > 0 and (data := connection.read_chunk()):
        came = time.monotonic()
        *blocks, rest = (rest + data).split(b"\n\n")
        for block in blocks:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    number -= 1
                    yield float(line.removeprefix(b"data: ")), came


@pytest.mark.parametrize("folder", ["/", "/1.0/"])
def test_events_arrive_within_200_ms_and_end_with_their_client(
    events: Server, folder: str, tmp_path: Path
) -> None:
    with nginx(events.port, tmp_path / "nginx") as port:

        def measure() -> float:
            marks = f"events-{next(_numbers)}"
            with Connection(port) as connection:
                connection.send_head("GET", f"{folder}?count=1000000&marks={marks}")
                assert connection.read_head().get("content-type") == (
                    "text/event-stream; charset=utf-8"
                )
                delays = [came - sent for sent, came in read_events(connection, 15)]
            events.wait_for_mark(marks, "closed")
            return max(delays)

        delays: list[float] = []
        while not delays or (min(delays) > EVENT_BOUND and len(delays) < TRIES):
            delays.append(measure())
        assert min(delays) <= EVENT_BOUND


def test_nginx_would_keep_events_that_do_not_forbid_it(tmp_path: Path) -> None:
    with (
        Server(SETUP, "served.events:app", tmp_path) as server,
        nginx(server.port, tmp_path / "nginx") as port,
        Connection(port) as connection,
    ):
        connection.send_head("GET", "/1.0/?count=15&marks=kept&kept")
        connection.read_head()
        times = list(read_events(connection, 15))

    # The first comes after the last was sent.
    assert times[0][1] > times[-1][0]
