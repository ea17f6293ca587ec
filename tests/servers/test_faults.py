"""Faults of apps and clients, on each server.

Other faults are tested elsewhere:

- aborted uploads: ``test_disconnects`` (``stream()``), ``test_uploads``
  (``form()``); truncated forms: ``test_uploads``; bodies of many tiny messages:
  ``tests/unit/body``;
- polls for a disconnect: ``test_disconnects``; many clients at the same time: ``test_crowd``;
- files that are missing, forbidden or not regular, that grow, shrink or are deleted while they are
  sent, and clients that disconnect or stall meanwhile: ``test_files``; files that are replaced:
  ``tests/unit/responses/test_files_sending.py``;
- responses sent before the body was read: ``test_exchanges``;
- disk access off the event loop, reads after the end, cancellation at each await, disconnects
  before the first chunk: ``tests/unit/test_life_cycle.py`` and
  ``tests/unit/responses/test_streaming.py``.
"""

from __future__ import annotations

import dataclasses
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, Server, Setup, measure_best, until
from tests.servers.test_files import MiB, memory

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CHUNK = b"x" * 1000
BOOM = "Boom: on purpose"
FILE = b'--X\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"y" * 1_400_000
MULTIPART = "Content-Type: multipart/form-data; boundary=X"

# Seconds from the disconnect, as reported to the app, to the close of the iterator.
CLOSE_BOUND = 0.1

# Reasons to skip a test on a server, by its name; the documentation lists them.
KEEPS_CONNECTION_AFTER_ERROR = {
    "daphne": "daphne leaves the connection open after an error, and logs no later error"
}
READS_WHOLE_BODY_FIRST = {
    "daphne": "daphne calls the app only after it has received the whole body"
}
ENDS_WITHOUT_NOTICE = {
    "daphne": "daphne does not tell the app that it stops",
    "granian": "granian waits for its streams, or kills its worker without telling the app",
}
if sys.version_info >= (3, 12):
    # https://github.com/pgjones/hypercorn/issues/308
    ENDS_WITHOUT_NOTICE["hypercorn-asyncio"] = "hypercorn waits for its streams without a limit"
BUFFERS_RESPONSE = {"daphne": "daphne buffers the whole response in memory"}

# The option for a graceful shutdown of at most one second.
GRACEFUL_TIMEOUTS = {
    "uvicorn-h11-asyncio": "--timeout-graceful-shutdown=1",
    "uvicorn-httptools-uvloop": "--timeout-graceful-shutdown=1",
    "hypercorn-asyncio": "--graceful-timeout=1",
    "hypercorn-trio": "--graceful-timeout=1",
}

_numbers = count()


def with_graceful_timeout(setup: Setup) -> Setup:
    """Return ``setup`` with a time limit for its graceful shutdown."""
    options = GRACEFUL_TIMEOUTS.get(setup.name, "").split()
    return dataclasses.replace(setup, arguments=(*setup.arguments, *options))


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """Serve ``served.faults``; at the end, no file is open and no temporary file is left."""
    folder = tmp_path_factory.mktemp(f"faults-{request.param.name}")
    with Server(with_graceful_timeout(request.param), "served.faults:app", folder) as server:
        before = state(server)
        yield server
        wait_for_cleanup(server, before)


def state(server: Server) -> Any:
    with server.connect() as connection:
        return connection.request("GET", "/state").json()


def wait_for_cleanup(server: Server, before: Any) -> None:
    """Wait until no more paths are open than before, and no temporary file is left."""

    def is_clean() -> bool:
        now = state(server)
        return len(now["open"]) <= len(before["open"]) and now["temporary"] == []

    until(is_clean, f"clean-up of {server.setup.name}")


def skip_if(server: Server, reasons: dict[str, str]) -> None:
    if reason := reasons.get(server.setup.name):
        pytest.skip(reason)


def name_marks(name: str) -> str:
    return f"{name}-{next(_numbers)}"


def events(marks: list[str]) -> list[str]:
    return [mark.split(" ")[0] for mark in marks]


def time_of(marks: list[str], event: str) -> float:
    """Return the time of a mark; all processes of a machine have the same monotonic clock."""
    (mark,) = [mark for mark in marks if mark.startswith(event)]
    return float(mark.split(" ")[-1])


@pytest.mark.parametrize(
    ("name", "sent", "error"),
    [
        ("raises", CHUNK, BOOM),
        ("raises_with_length", CHUNK, BOOM),
        ("raises_in_thread", CHUNK, BOOM),
        ("short", CHUNK * 2, "500 bytes less"),
        # The second chunk is too long, so no byte of it is sent.
        ("long", CHUNK, "500 bytes more"),
    ],
)
def test_stream_error_breaks_connection_and_is_logged_once(
    server: Server, name: str, sent: bytes, error: str
) -> None:
    skip_if(server, KEEPS_CONNECTION_AFTER_ERROR)
    marks = name_marks(name)
    before = server.log.count(error)
    with server.connect() as connection:
        connection.send_head("GET", f"/{name}?marks={marks}")
        response = connection.read_head()
        assert response.status == 200
        server.wait_for_mark(marks, "background")
        assert events(server.marks(marks)) == ["closed", "background"]
        until(lambda: server.log.count(error) > before, "log line of the error")
        assert server.log.count(error) == before + 1
        received = b""
        with pytest.raises(ConnectionError):  # noqa: PT012 - the last read raises
            while True:
                received += connection.read_some()
    if response.get("content-length") is None:
        received = join_chunks(received)
    assert received == sent


def join_chunks(data: bytes) -> bytes:
    """Return the content of a chunked body, and check that its last chunk is missing."""
    body = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        assert size > 0
        body += data[:size]
        data = data[size + 2 :]
    return body


def test_stream_error_before_first_chunk_gets_500(server: Server) -> None:
    marks = name_marks("raises_first")
    with server.connect() as connection:
        assert connection.request("GET", f"/raises_first?marks={marks}").status == 500
    server.wait_for_mark(marks, "background")
    assert events(server.marks(marks)) == ["closed", "background"]


def test_error_before_first_event_is_answered_with_its_status(server: Server) -> None:
    marks = name_marks("events")
    with server.connect() as connection:
        response = connection.request("GET", f"/events?first&marks={marks}")
        assert (response.status, response.get("retry-after")) == (429, "7")
    server.wait_for_mark(marks, "closed")


def test_error_of_started_event_stream_is_logged_and_sent_as_last_event(server: Server) -> None:
    marks = name_marks("events")
    before = server.log.count("an event stream ended with the event of on_error")
    with server.connect() as connection:
        response = connection.request("GET", f"/events?marks={marks}")
        assert response.status == 200
        assert response.body == b": ping\ndata: a\n\nevent: error\ndata: HTTPError\n\n"
        # The connection is in order for another request.
        assert connection.request("GET", f"/events?first&marks={marks}").status == 429
    assert server.log.count("an event stream ended with the event of on_error") == before + 1
    server.wait_for_mark(marks, "closed")


def test_background_error_is_logged_once_and_connection_stays_open(
    server: Server,
) -> None:
    marks = name_marks("background")
    before = server.log.count(BOOM)
    with server.connect() as connection:
        response = connection.request("GET", f"/background?marks={marks}")
        assert (response.status, response.body) == (200, b"response")
        server.wait_for_mark(marks, "background")
        assert connection.request("GET", "/state").status == 200
    until(lambda: server.log.count(BOOM) > before, "log line of the error")
    assert server.log.count(BOOM) == before + 1


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    "name",
    ["endless", "unpaced", "idle", "silent", "endless_in_thread", "iterator", "async_iterator"],
)
def test_iterator_is_closed_within_100_ms_of_disconnect(
    server: Server, name: str, reset: bool
) -> None:
    def measure() -> float:
        marks = name_marks(name)
        with server.connect() as connection:
            connection.send_head("GET", f"/{name}?marks={marks}")
            if name == "silent":
                server.wait_for_mark(marks, "started")
            else:
                assert connection.read_head().status == 200
            if reset:
                connection.reset()
        seen = server.wait_for_mark(marks, "background")
        assert events(seen)[-3:] == ["disconnected", "closed", "background"]
        return time_of(seen, "closed") - time_of(seen, "disconnected")

    assert measure_best(measure, CLOSE_BOUND) <= CLOSE_BOUND


def test_stalled_client_stops_iteration_of_stream(server: Server) -> None:
    skip_if(server, BUFFERS_RESPONSE)
    marks = name_marks("counted")
    with server.connect() as connection:
        before = memory(server)
        connection.send_head("GET", f"/counted?marks={marks}")
        assert connection.read_head().status == 200
        counts: list[int] = []

        def is_stalled() -> bool:
            counts.append(len(server.marks(marks)))
            # No further chunk in 50 polls.
            return len(counts) > 50 and len(set(counts[-50:])) == 1

        until(is_stalled, "stall")
        # The socket buffers of both sides.
        assert counts[-1] * 64 * 1024 < 16 * MiB
        assert memory(server) - before < 3 * MiB
    # On trio, send() of hypercorn raises before receive() reports the disconnect.
    seen = events(server.wait_for_mark(marks, "background"))
    assert seen[-2:] == ["closed", "background"]
    assert "sent" not in seen


def test_form_that_stops_arriving_gets_408_and_leaves_no_file(server: Server) -> None:
    skip_if(server, READS_WHOLE_BODY_FIRST)
    before = state(server)
    with server.connect() as connection:
        connection.send_head("POST", "/slow", MULTIPART, "Content-Length: 5000000")
        connection.send(FILE)
        response = connection.read_response()
    assert (response.status, response.json()["title"]) == (408, "Request Timeout")
    wait_for_cleanup(server, before)


def test_full_disk_gets_500_and_leaves_no_file(
    server: Server,
) -> None:
    skip_if(server, READS_WHOLE_BODY_FIRST)
    before = state(server)
    logged = server.log.count("File too large")
    with server.connect() as connection:
        connection.send_head("POST", "/form", MULTIPART, "Content-Length: 50000000")
        try:
            # 3.4 MB of 50 MB: the response does not wait for the rest.
            connection.send(FILE + b"y" * 2_000_000)
            assert connection.read_response().status == 500
        except ConnectionError:
            # A server may close the connection instead of reading on (RFC 9112, section 9.3).
            assert not server.setup.drains_body
    until(lambda: server.log.count("File too large") > logged, "log line of the error")
    wait_for_cleanup(server, before)


@pytest.mark.parametrize("setup", SETUPS, ids=[setup.name for setup in SETUPS])
def test_server_shutdown_closes_streams(setup: Setup, tmp_path: Path) -> None:
    if reason := ENDS_WITHOUT_NOTICE.get(setup.name):
        pytest.skip(reason)
    app = "served.faults:app"
    with (
        Server(with_graceful_timeout(setup), app, tmp_path) as server,
        server.connect() as connection,
    ):
        connection.send_head("GET", "/idle?marks=idle")
        assert connection.read_head().status == 200
        assert server.stop()
    # Streams in worker threads are not tested: uvicorn does not wait for the thread.
    assert events(server.marks("idle")).count("closed") == 1
