"""Clients that read streams: `python -m benchmarks.clients PORT PATH COUNT SECONDS`.

Each reads one after another. It prints, as JSON, how many were read to their end, and in how many
seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

END = b"\r\n0\r\n\r\n"  # of a chunked body


async def read_streams(port: int, path: str, until: float) -> int:
    """Read streams over one connection, and give how many."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    streams = 0
    try:
        while time.perf_counter() < until:
            writer.write(request.encode())
            # The end may come in two pieces.
            tail = b""
            while not tail.endswith(END):
                received = await reader.read(1 << 16)
                if not received:
                    raise ConnectionError("the server has closed the connection")
                tail = (tail + received)[-len(END) :]
            streams += 1
    finally:
        writer.close()
    return streams


async def load(port: int, path: str, count: int, seconds: float) -> dict[str, float]:
    """Have many clients read at the same time."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read_streams(port, path, start + seconds)) for _ in range(count)]
    streams = sum(task.result() for task in tasks)
    return {"requests": streams, "seconds": time.perf_counter() - start}


def main() -> None:
    """Read the command line, and print what came of it."""
    port, path, count, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(load(int(port), path, int(count), float(seconds)))))


if __name__ == "__main__":
    main()
