"""Clients that disconnect: the app is notified, and streams are closed."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import measure_best

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.client import Connection
    from tests.servers.harness import Server

# Seconds from the disconnect to its detection by the app.
DETECTION_BOUND = 0.25

_numbers = count()

DISCONNECT = pytest.mark.parametrize(
    "disconnect", [lambda c: c.close(), lambda c: c.reset()], ids=["close", "reset"]
)


@DISCONNECT
@pytest.mark.parametrize("name", ["endless", "idle", "endless_sync"])
def test_stream_is_closed_after_client_disconnect(
    server: Server, name: str, disconnect: Callable[[Connection], None]
) -> None:
    marks = f"{name}-{next(_numbers)}"
    with server.connect() as connection:
        connection.send_head("GET", f"/{name}?marks={marks}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"x" * 1000
        disconnect(connection)

    # Each mark once, the background task last.
    assert server.wait_for_mark(marks, "background") == ["closed", "background"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_connection_close_is_honoured_after_end_of_stream(server: Server, method: str) -> None:
    # Servers close it during the last send(), and report a disconnect before send() returns.
    with server.connect() as connection:
        connection.send_head(method, "/finite", "Connection: close")
        connection.read_response(method)
        with pytest.raises(ConnectionError):
            connection.read_some()


def test_aborted_upload_raises_client_disconnect(server: Server) -> None:
    if not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} calls the app only after it has received the whole body")
    marks = f"aborted-{next(_numbers)}"
    with server.connect() as connection:
        connection.send_head("POST", f"/aborted?marks={marks}", "Content-Length: 1000000")
        connection.send(b"x" * 1000)
        server.wait_for_mark(marks, "reading")
    server.wait_for_mark(marks, "ClientDisconnect")


@DISCONNECT
@pytest.mark.parametrize(
    ("name", "sent", "is_partial"),
    [
        ("polled_after_body", 10, False),
        ("waited_after_body", 10, False),
        ("polled_within_body", 9, True),  # one byte of the body is missing
    ],
)
def test_app_detects_disconnect_within_250_ms(
    server: Server, name: str, sent: int, is_partial: bool, disconnect: Callable[[Connection], None]
) -> None:
    if is_partial and not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} calls the app only after it has received the whole body")

    def measure() -> float:
        marks = f"{name}-{next(_numbers)}"
        with server.connect() as connection:
            connection.send_head("POST", f"/{name}?marks={marks}", "Content-Length: 10")
            connection.send(b"x" * sent)
            server.wait_for_mark(marks, "ready")
            start = time.monotonic()
            disconnect(connection)
        # All processes of a machine have the same monotonic clock.
        return float(server.wait_for_mark(marks, "disconnected")[1]) - start

    assert measure_best(measure, DETECTION_BOUND) <= DETECTION_BOUND
