"""Measure the memory of idle event clients on uvicorn: `python -m benchmarks idle`.

Each client has received the first event of a stream that then waits. The number is the growth of
the resident memory of the server, divided by the number of clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks import report, results
from benchmarks.contenders import installed
from benchmarks.options import make_parser
from benchmarks.results import BASE, OURS, Load
from benchmarks.scenarios import IDLE
from benchmarks.server import Server

PEER = "sse_starlette"
#: The goal for the memory of a client of asgikit, in bytes.
TARGET = 16 * 1024
WARM_UP = 100  # clients that connect and disconnect before the measured ones
BATCH = 100  # clients that connect at the same time
TIME_LIMIT = 60.0  # seconds for all clients
REQUEST = f"GET /{IDLE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def connect(port: int) -> asyncio.StreamWriter:
    """Connect a client, and wait for its first event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    if head[9:12] != b"200":
        raise ConnectionError(f"status {head[9:12]!r}")
    await reader.readuntil(b"data: ")
    return writer


def resident(process: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measure(server: Server, count: int) -> float:
    """Return the bytes for each of ``count`` clients."""

    async def connect_all(total: int, stack: AsyncExitStack) -> None:
        for first in range(0, total, BATCH):
            size = min(BATCH, total - first)
            for writer in await asyncio.gather(*[connect(server.port) for _ in range(size)]):
                stack.callback(writer.close)

    async with asyncio.timeout(TIME_LIMIT):
        async with AsyncExitStack() as stack:
            await connect_all(WARM_UP, stack)
        before = resident(server.process.pid)
        async with AsyncExitStack() as stack:
            await connect_all(count, stack)
            return (resident(server.process.pid) - before) / count


def lines(memory: dict[str, float]) -> report.Lines:
    """Return the table of a run."""
    found = [["contender", "KiB per client", "target"]]
    for contender, size in memory.items():
        target = f"{TARGET / 1024:g}" if contender == OURS else ""
        found.append([report.display(contender), f"{size / 1024:.1f}", target])
    return found


def page(run: dict[str, Any]) -> str:
    """Format the section of the page from a saved run."""
    return f"{report.markdown_table(lines(run['memory']))}\n\n{report.origin(run)}"


def main(arguments: list[str]) -> int:
    """Measure, print and save."""
    options = make_parser("idle", __doc__, clients=2000, save=False).parse_args(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load, memory = Load(), dict[str, float]()
    for contender in (BASE, OURS, PEER):
        if contender in installed():
            with contextlib.closing(Server("uvicorn", contender)) as server:
                memory[contender] = round(asyncio.run(measure(server, options.clients)))
        else:
            print(f"{contender} is not installed, and is skipped")
    report.show(f"Memory of {options.clients} idle event clients on uvicorn", lines(memory))
    if options.save:
        context = results.context(load.others(), clients=options.clients)
        results.save("idle", {**context, "memory": memory})
        report.replace_section("idle", page(results.read("idle") or {}))
    return 0
