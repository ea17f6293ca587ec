"""What goes wrong between a server and an app, and what comes of it behind each set-up.

The faults that are not here are elsewhere:

- uploads whose client leaves: ``test_disconnects`` (``stream()``), ``test_uploads`` (``form()``);
  forms cut short: ``test_uploads``; many tiny messages: ``tests/test_body.py``;
- polling for the disconnect: ``test_disconnects``; many clients at once: ``test_crowd``;
- files that are missing, forbidden, no files, or grow, shrink or go while they are sent, and
  clients that leave or stall meanwhile: ``test_files``; another file under the same name:
  ``tests/test_files_sending.py``;
- an answer before the body was read: ``test_exchanges``;
- disk work off the event loop, reading after the end, cancellation at any moment, clients that
  leave before the first chunk: ``tests/test_life_cycle.py``, ``tests/test_streaming.py``.
"""

from __future__ import annotations

import dataclasses
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, Server, Setup, until
from tests.servers.test_files import MiB, memory

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CHUNK = b"x" * 1000
BOOM = "Boom: on purpose"
FILE = b'--X\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"y" * 1_400_000
MULTIPART = "Content-Type: multipart/form-data; boundary=X"

# Seconds from the moment the app is told that its client left to the closing of the iterator; the
# best of three tries, because the machine may be busy with something else for as long.
CLOSE_BOUND = 0.1
TRIES = 3

# What a server decides by itself.
LOSES_ERRORS = {
    "daphne": "daphne leaves the connection open after an error, and logs no later error"
}
READS_ALL = {"daphne": "daphne calls the app only after it has received the whole body"}
NEVER_TOLD = {
    "daphne": "daphne does not tell the app that it stops",
    "granian": "granian waits for its streams, or kills its worker without telling the app",
}
BUFFERS = {"daphne": "daphne buffers the whole response in memory"}

# Seconds that a server waits for its streams when it is told to end.
GRACE = {
    "uvicorn-h11-asyncio": "--timeout-graceful-shutdown=1",
    "uvicorn-httptools-uvloop": "--timeout-graceful-shutdown=1",
    "hypercorn-asyncio": "--graceful-timeout=1",
    "hypercorn-trio": "--graceful-timeout=1",
}

_numbers = count()


def bounded(setup: Setup) -> Setup:
    """Give ``setup`` with a bound on its end."""
    options = GRACE.get(setup.name, "").split()
    return dataclasses.replace(setup, arguments=(*setup.arguments, *options))


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """The apps of ``served.faults``; in the end nothing that they opened is left."""
    folder = tmp_path_factory.mktemp(f"faults-{request.param.name}")
    with Server(bounded(request.param), "served.faults:app", folder) as server:
        before = state(server)
        yield server
        await_quiet(server, before)


def state(server: Server) -> Any:
    with server.connect() as connection:
        return connection.request("GET", "/state").json()


def await_quiet(server: Server, before: Any) -> None:
    """Wait until no more is open than there was."""

    def is_quiet() -> bool:
        now = state(server)
        return len(now["open"]) <= len(before["open"]) and now["temporary"] == []

    until(is_quiet, f"end of what {server.setup.name} opened", 15)


def skip_where(server: Server, decides: dict[str, str]) -> None:
    if reason := decides.get(server.setup.name):
        pytest.skip(reason)


def name_marks(name: str) -> str:
    return f"{name}-{next(_numbers)}"


def kinds(marks: list[str]) -> list[str]:
    return [mark.split(" ")[0] for mark in marks]


def moment(marks: list[str], kind: str) -> float:
    """Give the moment of a mark, by the one clock that all processes of a machine have."""
    (mark,) = [mark for mark in marks if mark.startswith(kind)]
    return float(mark.split(" ")[-1])


@pytest.mark.parametrize(
    ("name", "sent", "error"),
    [
        ("raises", CHUNK, BOOM),
        ("raises_with_length", CHUNK, BOOM),
        ("raises_in_thread", CHUNK, BOOM),
        ("short", CHUNK * 2, "500 bytes less"),
        # The second chunk would be too much, and the client gets nothing of it.
        ("long", CHUNK, "500 bytes more"),
    ],
)
def test_an_error_in_a_stream_breaks_the_connection_and_is_logged_once(
    server: Server, name: str, sent: bytes, error: str
) -> None:
    skip_where(server, LOSES_ERRORS)
    marks = name_marks(name)
    before = server.log.count(error)
    with server.connect() as connection:
        connection.send_head("GET", f"/{name}?marks={marks}")
        answer = connection.read_head()
        assert answer.status == 200
        server.wait_for_mark(marks, "background")
        assert kinds(server.marks(marks)) == ["closed", "background"]
        until(lambda: server.log.count(error) > before, "word of it in the log")
        assert server.log.count(error) == before + 1
        received = b""
        with pytest.raises(ConnectionError):  # noqa: PT012 - the last read is the one
            while True:
                received += connection.read_some()
    if answer.get("content-length") is None:
        received = unchunked(received)
    assert received == sent


def unchunked(data: bytes) -> bytes:
    """Give what is in a chunked body, whose last chunk must not be there."""
    body = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        assert size > 0
        body += data[:size]
        data = data[size + 2 :]
    return body


def test_an_error_before_the_first_chunk_is_a_500(server: Server) -> None:
    marks = name_marks("raises_first")
    with server.connect() as connection:
        assert connection.request("GET", f"/raises_first?marks={marks}").status == 500
    server.wait_for_mark(marks, "background")
    assert kinds(server.marks(marks)) == ["closed", "background"]


def test_an_error_in_the_background_is_logged_once_and_the_connection_goes_on(
    server: Server,
) -> None:
    marks = name_marks("background")
    before = server.log.count(BOOM)
    with server.connect() as connection:
        answer = connection.request("GET", f"/background?marks={marks}")
        assert (answer.status, answer.body) == (200, b"answered")
        server.wait_for_mark(marks, "background")
        assert connection.request("GET", "/state").status == 200
    until(lambda: server.log.count(BOOM) > before, "word of it in the log")
    assert server.log.count(BOOM) == before + 1


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    "name",
    ["endless", "restless", "idle", "silent", "endless_in_thread", "iterator", "async_iterator"],
)
def test_an_iterator_is_closed_within_100_ms_and_nothing_is_sent_any_more(
    server: Server, name: str, reset: bool
) -> None:
    def measure() -> float:
        marks = name_marks(name)
        with server.connect() as connection:
            connection.send_head("GET", f"/{name}?marks={marks}")
            if name == "silent":
                server.wait_for_mark(marks, "drawn")
            else:
                assert connection.read_head().status == 200
            if reset:
                connection.reset()
        seen = server.wait_for_mark(marks, "background")
        assert kinds(seen)[-3:] == ["left", "closed", "background"]
        return moment(seen, "closed") - moment(seen, "left")

    delays: list[float] = []
    while not delays or (min(delays) > CLOSE_BOUND and len(delays) < TRIES):
        delays.append(measure())
    assert min(delays) <= CLOSE_BOUND


def test_little_is_drawn_ahead_of_a_client_that_stalls(server: Server) -> None:
    skip_where(server, BUFFERS)
    marks = name_marks("counted")
    with server.connect() as connection:
        before = memory(server)
        connection.send_head("GET", f"/counted?marks={marks}")
        assert connection.read_head().status == 200
        drawn: list[int] = []

        def stalls() -> bool:
            drawn.append(len(server.marks(marks)))
            # Some time without another chunk.
            return len(drawn) > 50 and len(set(drawn[-50:])) == 1

        until(stalls, "stall")
        # What the sockets of both sides take.
        assert drawn[-1] * 64 * 1024 < 16 * MiB
        assert memory(server) - before < 3 * MiB
    # hypercorn's send() on trio raises before its receive() tells.
    seen = kinds(server.wait_for_mark(marks, "background"))
    assert seen[-2:] == ["closed", "background"]
    assert "sent" not in seen


def test_a_form_that_stops_coming_is_a_408_and_leaves_nothing(server: Server) -> None:
    skip_where(server, READS_ALL)
    before = state(server)
    with server.connect() as connection:
        connection.send_head("POST", "/slow", MULTIPART, "Content-Length: 5000000")
        connection.send(FILE)
        answer = connection.read_response()
    assert (answer.status, answer.json()["title"]) == (408, "Request Timeout")
    await_quiet(server, before)


def test_a_disk_that_is_full_is_a_500_with_the_rest_unread_and_nothing_left(
    server: Server,
) -> None:
    skip_where(server, READS_ALL)
    before = state(server)
    logged = server.log.count("File too large")
    with server.connect() as connection:
        connection.send_head("POST", "/form", MULTIPART, "Content-Length: 50000000")
        try:
            # 3.4 MB of a file of 50: the answer does not wait for the others.
            connection.send(FILE + b"y" * 2_000_000)
            assert connection.read_response().status == 500
        except ConnectionError:
            # A server may close rather than read on (RFC 9112, section 9.3).
            assert not server.setup.drains_body
    until(lambda: server.log.count("File too large") > logged, "word of it in the log")
    await_quiet(server, before)


@pytest.mark.parametrize("setup", SETUPS, ids=[setup.name for setup in SETUPS])
def test_a_server_that_ends_closes_what_it_streams(setup: Setup, tmp_path: Path) -> None:
    if reason := NEVER_TOLD.get(setup.name):
        pytest.skip(reason)
    app = "served.faults:app"
    with Server(bounded(setup), app, tmp_path) as server, server.connect() as connection:
        connection.send_head("GET", "/idle?marks=idle")
        assert connection.read_head().status == 200
        assert server.stop()
    # A stream that is drawn in a thread may still be in it: uvicorn does not wait for that.
    assert kinds(server.marks("idle")).count("closed") == 1
