"""A client that sends its body slowly gets a 408 at ``total_timeout``, on each server."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator

EARLY = [setup for setup in SETUPS if setup.streams_body]
FORM = "application/x-www-form-urlencoded"
ERROR = "408 Request Timeout: Over total_timeout, which is 0.2 seconds."


@pytest.fixture(scope="module", params=EARLY, ids=[setup.name for setup in EARLY])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, ExitStack]]:
    """Serve the app; return the server, and a stack that keeps connections open to the end.

    hypercorn on Trio logs a BusyResourceError if a client closes while the server sends.
    """
    folder = tmp_path_factory.mktemp("slow")
    with Server(request.param, "served.slow_bodies:app", folder) as server, ExitStack() as stack:
        yield server, stack
        assert server.problems == []


@pytest.mark.parametrize("name", ["body", "json", "form"])
def test_body_sent_byte_by_byte_is_refused(served: tuple[Server, ExitStack], name: str) -> None:
    server, stack = served
    connection = stack.enter_context(server.connect())
    headers = ["Content-Length: 1000000", f"Content-Type: {FORM}"]
    connection.send_head("POST", f"/{name}?marks={name}", *headers)

    def send_byte_until_refused() -> bool:
        with suppress(ConnectionError):
            connection.send(b"1")
        return server.marks(name) == [ERROR]

    until(send_byte_until_refused, "408")
    assert connection.read_head().status == 408


@pytest.mark.parametrize("name", ["body", "json", "form"])
def test_body_sent_in_time_is_read(served: tuple[Server, ExitStack], name: str) -> None:
    server, _ = served
    with server.connect() as connection:
        response = connection.request(
            "POST", f"/{name}?marks=none", f"Content-Type: {FORM}", body=[b"1"] * 100
        )
    assert (response.status, response.body) == (200, b"read")
    assert server.marks("none") == []
