"""HTTP clients for the wire benchmark: `python -m benchmarks.clients PORT COUNT SECONDS`.

The request is read from standard input. Each client sends it again and again over one connection.
The output is JSON: the number of requests, the seconds, and the median and the 99th percentile of
the latency in seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
import time

END = b"\r\n0\r\n\r\n"  # the last chunk of a body


async def read_response(reader: asyncio.StreamReader) -> None:
    """Read a response to its end.

    Raises:
        ConnectionError: its status is not 200, or the connection was closed.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    if head[9:12] != b"200":
        raise ConnectionError(f"status {head[9:12]!r}")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    remaining, tail = int(length[1]) if length else 0, b""
    while remaining if length else tail != END:
        received = await reader.read(min(remaining, 1 << 16) if length else 1 << 16)
        if not received:
            raise ConnectionError("the server closed the connection")
        remaining -= len(received)
        tail = (tail + received)[-len(END) :]


async def send_requests(port: int, request: bytes, end: float, latencies: list[float]) -> None:
    """Send requests over one connection until the time ``end``; at least one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        now = 0.0
        while now < end:
            start = time.perf_counter()
            writer.write(request)
            await read_response(reader)
            now = time.perf_counter()
            latencies.append(now - start)
    finally:
        writer.close()


async def load(port: int, request: bytes, count: int, seconds: float) -> dict[str, float]:
    """Run ``count`` clients at the same time."""
    latencies: list[float] = []
    start = time.perf_counter()
    end = start + seconds
    await asyncio.gather(*[send_requests(port, request, end, latencies) for _ in range(count)])
    duration = time.perf_counter() - start
    latencies.sort()
    median, late = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    return {"requests": len(latencies), "seconds": duration, "median": median, "late": late}


def main() -> None:
    port, count, seconds = sys.argv[1:]
    loop_factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        request = sys.stdin.buffer.read()
        print(json.dumps(runner.run(load(int(port), request, int(count), float(seconds)))))


if __name__ == "__main__":
    main()
