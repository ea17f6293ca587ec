"""Clients that leave: what runs in the app is told so, and ends."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.client import Connection
    from tests.servers.harness import Server

# Seconds from the close to the moment the app knows of it; the best of three tries, because the
# machine may be busy with something else for as long.
NOTICE_BOUND = 0.25
TRIES = 3

_numbers = count()

LEAVE = pytest.mark.parametrize(
    "leave", [lambda c: c.close(), lambda c: c.reset()], ids=["close", "reset"]
)


@LEAVE
@pytest.mark.parametrize("name", ["endless", "idle", "endless_sync"])
def test_a_stream_is_closed_when_its_client_leaves(
    server: Server, name: str, leave: Callable[[Connection], None]
) -> None:
    marks = f"{name}-{next(_numbers)}"
    with server.connect() as connection:
        connection.send_head("GET", f"/{name}?marks={marks}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"x" * 1000
        leave(connection)

    # Each once, the background last.
    assert server.wait_for_mark(marks, "background") == ["closed", "background"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_connection_of_a_stream_that_ended_is_closed_where_the_client_asked_for_that(
    server: Server, method: str
) -> None:
    # Servers do it while they take the last message, and tell the app before that it is over.
    with server.connect() as connection:
        connection.send_head(method, "/whole", "Connection: close")
        connection.read_response(method)
        with pytest.raises(ConnectionError):
            connection.read_some()


def test_an_upload_that_breaks_off_is_a_client_disconnect(server: Server) -> None:
    if not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} calls the app only after it has received the whole body")
    marks = f"aborted-{next(_numbers)}"
    with server.connect() as connection:
        connection.send_head("POST", f"/aborted?marks={marks}", "Content-Length: 1000000")
        connection.send(b"x" * 1000)
        server.wait_for_mark(marks, "reading")
    server.wait_for_mark(marks, "ClientDisconnect")


@LEAVE
@pytest.mark.parametrize(
    ("name", "sent", "early"),
    [
        ("noticed", 10, False),
        ("waited", 10, False),
        ("noticed_early", 9, True),  # one byte of the body is still to come
    ],
)
def test_the_app_knows_within_250_ms_that_its_client_left(
    server: Server, name: str, sent: int, early: bool, leave: Callable[[Connection], None]
) -> None:
    if early and not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} calls the app only after it has received the whole body")

    def measure() -> float:
        marks = f"{name}-{next(_numbers)}"
        with server.connect() as connection:
            connection.send_head("POST", f"/{name}?marks={marks}", "Content-Length: 10")
            connection.send(b"x" * sent)
            server.wait_for_mark(marks, "ready")
            left = time.monotonic()
            leave(connection)
        # One clock for all processes of a machine.
        return float(server.wait_for_mark(marks, "left")[1]) - left

    delays: list[float] = []
    while not delays or (min(delays) > NOTICE_BOUND and len(delays) < TRIES):
        delays.append(measure())
    assert min(delays) <= NOTICE_BOUND
