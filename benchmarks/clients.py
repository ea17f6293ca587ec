"""HTTP clients for the wire benchmark: `python -m benchmarks.clients URL COUNT SECONDS PROTOCOL`.

Each client sends one request again and again over one connection: with the protocol `http1`, the
bytes of standard input; with `http2`, a GET by h2load.
The output is JSON: the number of requests, the seconds, and the median and the 99th percentile of
the latency in seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

H2LOAD = "h2load"
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


def load_http2(url: str, count: int, seconds: float) -> dict[str, float]:
    """Run ``count`` clients of HTTP/2 with prior knowledge: the program h2load of nghttp2.

    Raises:
        ConnectionError: a request failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ["--clients", str(count), "--threads=1", "--max-concurrent-streams=1"]
        duration = [f"--duration={math.ceil(seconds)}", f"--log-file={folder}/log"]
        done = subprocess.run(
            [H2LOAD, *options, *duration, url], check=False, capture_output=True, text=True
        )
        log = Path(folder, "log")
        rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    if done.returncode or not rows or {status for _, status, _ in rows} != {"200"}:
        raise ConnectionError(f"h2load: {done.stdout[-500:]} {done.stderr[-500:]}")
    # The columns are the start, the status and the duration, in microseconds.
    return summarize([int(row[2]) / 1e6 for row in rows], math.ceil(seconds))


def summarize(latencies: list[float], duration: float) -> dict[str, float]:
    """Return the result of a run from the seconds of each request."""
    latencies.sort()
    median, late = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    return {"requests": len(latencies), "seconds": duration, "median": median, "late": late}


async def load(port: int, request: bytes, count: int, seconds: float) -> dict[str, float]:
    """Run ``count`` clients at the same time."""
    latencies: list[float] = []
    start = time.perf_counter()
    end = start + seconds
    await asyncio.gather(*[send_requests(port, request, end, latencies) for _ in range(count)])
    return summarize(latencies, time.perf_counter() - start)


def main() -> None:
    url, count, seconds, protocol = sys.argv[1:]
    if protocol == "http2":
        print(json.dumps(load_http2(url, int(count), float(seconds))))
        return
    loop_factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        request, port = sys.stdin.buffer.read(), urlsplit(url).port or 80
        print(json.dumps(runner.run(load(port, request, int(count), float(seconds)))))


if __name__ == "__main__":
    main()
