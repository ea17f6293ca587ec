"""Handlers and blocks that a disconnect cancels, on each server."""

from __future__ import annotations

import random
import time
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import Server, measure_best

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.client import Connection

# Seconds from the disconnect to the cancellation of the handler.
CANCELLATION_BOUND = 0.1

_numbers = count()


@pytest.mark.parametrize(
    "disconnect", [lambda c: c.close(), lambda c: c.reset()], ids=["close", "reset"]
)
@pytest.mark.parametrize(
    ("name", "sent", "marks"),
    [
        ("read", 10, ["cancelled"]),
        ("unread", 10, ["cancelled"]),
        ("unread", 9, ["cancelled"]),  # one byte of the body is missing
        ("block", 10, ["cancelled", "ClientDisconnect"]),
    ],
)
def test_handler_is_cancelled_within_100_ms(
    server: Server,
    name: str,
    sent: int,
    marks: list[str],
    disconnect: Callable[[Connection], None],
) -> None:
    if sent < 10 and not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} calls the app only after it has received the whole body")

    def measure() -> float:
        file = f"{name}-{next(_numbers)}"
        with server.connect() as connection:
            connection.send_head("POST", f"/cancel-{name}?marks={file}", "Content-Length: 10")
            connection.send(b"x" * sent)
            server.wait_for_mark(file, "ready")
            start = time.monotonic()
            disconnect(connection)
        ready, at, *others = server.wait_for_mark(file, marks[-1])
        assert [ready, *others] == ["ready", *marks]
        # All processes of a machine have the same monotonic clock.
        return float(at) - start

    assert measure_best(measure, CANCELLATION_BOUND) <= CANCELLATION_BOUND


def test_shield_in_the_handler_is_kept(server: Server) -> None:
    file = f"shielded-{next(_numbers)}"
    with server.connect() as connection:
        connection.send_head("GET", f"/cancel-shielded?marks={file}")
        server.wait_for_mark(file, "ready")
    first, committed, second, _, cancelled = server.wait_for_mark(file, "cancelled")
    assert [first, committed, second, cancelled] == ["ready", "committed", "ready", "cancelled"]


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_upload_read_in_and_between_blocks_loses_no_byte(server: Server, size: int) -> None:
    body = random.Random(size).randbytes(size)
    with server.connect() as connection:
        for _ in range(2):  # on one connection, which the watch must leave in order
            response = connection.request("POST", "/cancel-upload", body=body)
            assert response.json() == {"size": size, "sha256": sha256(body).hexdigest()}
