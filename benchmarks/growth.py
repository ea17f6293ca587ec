"""Measure time and memory while the size of a request doubles: `python -m benchmarks growth`.

Each point is measured in a process of its own. The exponent is the slope of log(time) over
log(size) in the larger half of the points: 1 is linear, 2 is quadratic. Memory is the peak that the
allocators of Python report for one request, without the request itself.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from asgikit import (
    EventSourceResponse,
    FileResponse,
    Limits,
    PlainTextResponse,
    Request,
    ServerSentEvent,
    request_response,
)
from benchmarks import report, results
from benchmarks.in_process import ENVIRONMENT, ROOT, progress, select
from benchmarks.options import make_parser
from benchmarks.payloads import BOUNDARY, EVENT_TEXT, FORM_TYPE, MULTIPART_TYPE, KiB, MiB, multipart
from benchmarks.scenarios import Scenario

#: An exponent above this is more than linear; full caches cause the difference to 1.
LINEAR = 4 / 3
POINTS = 8

UNLIMITED = Limits(
    max_body_size=None,
    max_form_size=None,
    max_text_size=None,
    max_fields=None,
    max_query_fields=None,
)
CHUNK = bytes(64 * KiB)
SCOPE = {**Scenario("growth", "", lambda _response: None).scope(), "method": "POST"}
MULTIPART = [(b"content-type", MULTIPART_TYPE.encode())]

Headers = Sequence[tuple[bytes, bytes]]
#: Reads a part of a request, and returns its size.
Read = Callable[[Request], Awaitable[int]]
#: Sends one request, and returns its seconds.
Send = Callable[[], Awaitable[float]]


class Point(NamedTuple):
    """Seconds of a request of one size, and its peak memory in bytes."""

    size: int
    seconds: float
    memory: int


class Axis(NamedTuple):
    """A size that doubles up to ``largest``, and the reason for the growth of memory."""

    unit: str
    largest: int
    request: Callable[[int], Send]
    memory: str

    @property
    def sizes(self) -> list[int]:
        return [self.largest >> power for power in range(POINTS - 1, -1, -1)]


async def run(
    app: Any, chunks: Iterable[bytes], headers: Headers = (), query: bytes = b""
) -> float:
    """Send one request, with chunks created on demand; return its seconds."""
    scope = {**SCOPE, "headers": [*SCOPE["headers"], *headers], "query_string": query}
    remaining, statuses = iter(chunks), []
    upcoming: bytes | None = next(remaining, b"")

    async def receive() -> dict[str, Any]:
        nonlocal upcoming
        if upcoming is None:
            await asyncio.get_running_loop().create_future()
        body, upcoming = upcoming, next(remaining, None)
        return {"type": "http.request", "body": body, "more_body": upcoming is not None}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    start = time.perf_counter()
    await app(scope, receive, send)
    seconds = time.perf_counter() - start
    if statuses[:1] != [200]:
        raise RuntimeError(f"a response with status {statuses[:1]}")
    return seconds


def sender(read: Read, chunks: Callable[[], Iterable[bytes]] = list, **more: Any) -> Send:
    """Return a function that sends a request to an app that responds with ``read(request)``."""

    @request_response(limits=UNLIMITED)
    async def app(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(await read(request)))

    return lambda: run(app, chunks(), **more)


async def read_body(request: Request) -> int:
    return len(await request.body())


async def read_stream(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


async def read_form(request: Request) -> int:
    async with request.form() as form:
        return len(form)


async def read_parts(request: Request) -> int:
    return sum([len(data) async for part in request.parts() async for data in part])


async def read_query(request: Request) -> int:
    return len(request.query_params)


async def read_headers(request: Request) -> int:
    return sum([len(request.headers[name]) for name in request.headers])


def file_part(size: int) -> Iterable[bytes]:
    """Yield a multipart body with a file of ``size`` bytes."""
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    yield multipart({}, b"").removesuffix(end)
    yield from itertools.repeat(CHUNK, size // len(CHUNK))
    yield end


def send_body(read: Read) -> Callable[[int], Send]:
    return lambda size: sender(read, lambda: itertools.repeat(CHUNK, size // len(CHUNK)))


def send_file_part(read: Read) -> Callable[[int], Send]:
    return lambda size: sender(read, lambda: file_part(size), headers=MULTIPART)


def encode_fields(count: int) -> bytes:
    return "&".join(f"field-{number}=value+{number}" for number in range(count)).encode()


def send_fields(count: int) -> Send:
    content = [encode_fields(count)]
    return sender(read_form, lambda: content, headers=[(b"content-type", FORM_TYPE.encode())])


def send_texts(count: int) -> Send:
    texts = {f"field-{number}": f"value {number}" for number in range(count)}
    content = [multipart(texts, b"")]
    return sender(read_form, lambda: content, headers=MULTIPART)


def send_query(count: int) -> Send:
    return sender(read_query, query=encode_fields(count))


def send_headers(count: int) -> Send:
    headers = [(b"x-field-%d" % number, b"value %d" % number) for number in range(count)]
    return sender(read_headers, headers=headers)


def receive_file(size: int) -> Send:
    async def send() -> float:
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(size)  # a sparse file
            app = request_response(lambda _request: FileResponse(file.name))
            return await run(app, ())

    return send


def connect_clients(count: int) -> Send:
    """Open ``count`` event streams, which end when all have sent an event."""

    async def send() -> float:
        barrier = asyncio.Barrier(count)

        async def events() -> AsyncIterator[ServerSentEvent]:
            yield ServerSentEvent(EVENT_TEXT, event="step", id="0")
            await barrier.wait()

        @request_response
        async def app(_request: Request) -> EventSourceResponse:
            return EventSourceResponse(events())

        start = time.perf_counter()
        await asyncio.gather(*[run(app, ()) for _ in range(count)])
        return time.perf_counter() - start

    return send


_STREAMED = "constant: chunks are passed on"
_RESULT = "linear: the result"
AXES = {
    "body": Axis("bytes", 16 * MiB, send_body(read_body), "linear: the body"),
    "stream": Axis("bytes", 64 * MiB, send_body(read_stream), _STREAMED),
    "upload": Axis("bytes", 64 * MiB, send_file_part(read_form), "constant above spool_size"),
    "parts": Axis("bytes", 64 * MiB, send_file_part(read_parts), _STREAMED),
    "fields": Axis("fields", 65536, send_fields, _RESULT),
    "texts": Axis("fields", 4096, send_texts, _RESULT),
    "query": Axis("fields", 65536, send_query, _RESULT),
    "headers": Axis("headers", 8192, send_headers, _RESULT),
    "file": Axis("bytes", 128 * MiB, receive_file, _STREAMED),
    "clients": Axis("clients", 2048, connect_clients, "linear: idle event streams"),
}


def measure(axis: str, size: int) -> Point:
    """Measure one size in this process: the fastest of five requests, the memory of another."""

    async def measure_in_loop() -> Point:
        # The first request imports modules.
        await AXES[axis].request(AXES[axis].sizes[0])()
        request = AXES[axis].request(size)
        times = [await request() for _ in range(5)]
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await request()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return Point(size, float(f"{min(times):.4g}"), max(0, peak - before))

    return asyncio.run(measure_in_loop())


def measure_in_process(axis: str, size: int) -> Point:
    """Measure one size in a new process."""
    command = [sys.executable, "-m", "benchmarks.growth", axis, str(size)]
    environment = {**os.environ, **ENVIRONMENT}
    return Point(*json.loads(subprocess.check_output(command, cwd=ROOT, env=environment)))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the regression line of points.

    >>> slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])
    2.0
    """
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def exponent(points: Sequence[Point]) -> float:
    """Return the exponent of time over size in the larger half of the points.

    >>> round(exponent([Point(2**n, 3e-6 * 4**n, 0) for n in range(6)]), 6)
    2.0
    """
    larger = points[len(points) // 2 - 1 :]
    return slope([(math.log(point.size), math.log(point.seconds)) for point in larger])


def lines(axes: dict[str, list[Point]]) -> report.Lines:
    """Return the table of a run."""
    found = [["", "sizes", "time, µs", "exponent", "memory, KiB", "bytes per unit", "memory"]]
    for name, points in axes.items():
        first, last, power = points[0], points[-1], exponent(points)
        found.append(
            [
                name,
                f"{first.size:,} to {last.size:,} {AXES[name].unit}",
                " to ".join(report.microseconds(one.seconds) for one in (first, last)),
                f"{power:.2f}{' (!)' if power > LINEAR else ''}",
                f"{first.memory / 1024:,.0f} to {last.memory / 1024:,.0f}",
                f"{slope([(one.size, one.memory) for one in points]):,.2f}",
                AXES[name].memory,
            ]
        )
    return found


def page(run: dict[str, Any]) -> str:
    """Format the section of the page from a saved run."""
    points = {axis: [Point(*point) for point in saved] for axis, saved in run["points"].items()}
    return f"{report.markdown_table(lines(points))}\n\n{report.origin(run)}"


def main(arguments: list[str]) -> int:
    """Measure, print and save."""
    parser = make_parser("growth", __doc__, only="", points=7, save=False)
    options = parser.parse_args(arguments)
    names = select(options.only, AXES)
    load = results.Load()
    points: dict[str, list[Point]] = {name: [] for name in names}
    for number, name in enumerate(names):
        points[name] = [measure_in_process(name, n) for n in AXES[name].sizes[-options.points :]]
        progress(len(names), number + 1)
    report.show("Growth", lines(points))
    if options.save:
        results.save("growth", {**results.context(load.others()), "points": points})
        report.replace_section("growth", page(results.read("growth") or {}))
    return 0


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
