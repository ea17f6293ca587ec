"""500 clients stream from one process at the same time, and disconnect at random moments."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, Server, until
from tests.servers.test_files import MiB

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 500
IMMEDIATE = 100  # further clients, which disconnect without waiting for a response
STREAMS = ["busy", "idle", "silent", "in_thread"]
TIME_LIMIT = 120.0  # seconds; a crowd needs a few
DISCONNECT_SECONDS = 1.0  # the period over which the clients disconnect

# The lines that the server may log.
EXPECTED = re.compile(
    r"INFO: +("
    r"Started server process \[\d+\]|Waiting for application startup\.|"
    r"Application startup complete\.|Uvicorn running on .*|"
    r"Shutting down|Waiting for application shutdown\.|Application shutdown complete\.|"
    r"Finished server process \[\d+\]|"
    r'127\.0\.0\.1:\d+ - "GET /\w+ HTTP/1\.1" 200 OK)'
)

# The line that asyncio logs for a write to a lost connection.
LOST_WRITE = "socket.send() raised exception."


def state(server: Server) -> Any:
    with server.connect() as connection:
        return connection.request("GET", "/state").json()


async def visit(server: Server, stream: str, delay: float | None, is_full: asyncio.Event) -> None:
    """Request a stream, read it until ``delay`` seconds after ``is_full``, and disconnect.

    If ``delay`` is ``None``, disconnect immediately.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /{stream} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()
    if delay is not None:
        reading = asyncio.create_task(read_all(reader))
        await is_full.wait()
        await asyncio.sleep(delay)
        reading.cancel()
        await asyncio.wait([reading])
        if delay > DISCONNECT_SECONDS / 2:
            # Send an RST, not a FIN.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):  # noqa: ASYNC110 - the loop reads
        # Read slowly, because all clients share one core with the server.
        await asyncio.sleep(0.05)


async def crowd(server: Server, streams: list[str], chance: random.Random) -> None:
    """Run all clients: wait until all streams are open, then let them disconnect."""
    is_full = asyncio.Event()
    visits = [
        visit(server, chance.choice(streams), delay, is_full)
        for delay in [chance.random() * DISCONNECT_SECONDS for _ in range(CLIENTS)]
        + [None] * IMMEDIATE
    ]
    chance.shuffle(visits)
    async with asyncio.timeout(TIME_LIMIT), asyncio.TaskGroup() as group:
        for each in visits:
            group.create_task(each)
        await asyncio.to_thread(
            until, lambda: len(state(server)["streams"]) >= CLIENTS, "streams for all", TIME_LIMIT
        )
        is_full.set()


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        # asyncio logs each write to a lost connection from the sixth on: many lines for a stream
        # that never waits, so that one runs on uvloop only.
        ("uvicorn-h11-asyncio", STREAMS),
        ("uvicorn-httptools-uvloop", [*STREAMS, "unpaced"]),
    ],
)
def test_500_disconnecting_clients_leave_no_stream_task_or_file(
    name: str, streams: list[str], tmp_path: Path
) -> None:
    (setup,) = [setup for setup in SETUPS if setup.name == name]
    chance = random.Random(5)
    with Server(setup, "served.crowd:app", tmp_path) as server:
        first = state(server)
        memory: list[int] = []

        def is_quiet() -> bool:
            now = state(server)
            return now["streams"] == [] and all(
                now[name] <= first[name] for name in ("descriptors", "tasks")
            )

        # The first crowd fills caches. A later one may reach a higher peak by chance, but a leak
        # grows with each crowd.
        while len(memory) < 2 or (memory[-1] - memory[-2] >= 3 * MiB and len(memory) < 4):
            asyncio.run(crowd(server, streams, chance))
            until(is_quiet, "end of the streams of the crowd", TIME_LIMIT)
            memory.append(state(server)["memory"])
        assert memory[-1] - memory[-2] < 3 * MiB
        assert server.stop()
    lines = [line for line in server.log.split("\n")[:-1] if not EXPECTED.fullmatch(line)]
    # A client may disconnect between two writes in one iteration of the event loop. Up to 16
    # such lines for one connection are accepted; few of the 500 disconnect at such a moment.
    assert len([line for line in lines if line == LOST_WRITE]) <= CLIENTS
    assert [line for line in lines if line != LOST_WRITE] == []
