"""What doubles in `benchmarks.growth`: apps of asgikit, and requests of any size for them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asgikit import (
    FileResponse,
    Limits,
    PlainTextResponse,
    Request,
    StreamingResponse,
    request_response,
)
from benchmarks.payloads import (
    BOUNDARY,
    FORM_TYPE,
    MULTIPART_TYPE,
    KiB,
    MiB,
    multipart,
)
from benchmarks.scenarios import Scenario

#: One request, that gives the seconds it took.
Send = Callable[[], Awaitable[float]]

UNLIMITED = Limits(
    max_body_size=None,
    max_form_size=None,
    max_text_size=None,
    max_fields=None,
    max_query_fields=None,
)
CHUNK = bytes(64 * KiB)
_BASE = Scenario("growth", "", lambda _answer: None)


@dataclass(frozen=True)
class Axis:
    """Something that doubles.

    Attributes:
        unit: what is counted.
        sizes: the points.
        request: makes a request of a size.
        memory: what memory is expected, and why.
    """

    unit: str
    sizes: tuple[int, ...]
    request: Callable[[int], Send]
    memory: str


def doubling(largest: int, points: int = 8) -> tuple[int, ...]:
    """Give sizes up to the largest, each twice the one before.

    >>> doubling(8, points=3)
    (2, 4, 8)
    """
    return tuple(largest >> power for power in range(points - 1, -1, -1))


async def run(app: Any, scope: dict[str, Any], chunks: Iterable[bytes]) -> float:
    """Send one request whose body is drawn as it is asked for, and drop the answer.

    Raises:
        RuntimeError: the answer is no 200.
    """
    left = iter(chunks)
    upcoming = next(left, b"")
    more = True
    statuses = []

    async def receive() -> dict[str, Any]:
        nonlocal upcoming, more
        if not more:
            await asyncio.get_running_loop().create_future()
        body, following = upcoming, next(left, None)
        upcoming, more = following or b"", following is not None
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(message: dict[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    start = time.perf_counter()
    await app(scope, receive, send)
    taken = time.perf_counter() - start
    if statuses != [200]:
        raise RuntimeError(f"growth: an answer of status {statuses}")
    return taken


def scope(*fields: tuple[bytes, bytes], query: bytes = b"") -> dict[str, Any]:
    """Make a scope with more fields than a browser sends."""
    made = _BASE.scope()
    return {**made, "method": "POST", "headers": [*made["headers"], *fields], "query_string": query}


def _typed(media_type: str) -> tuple[bytes, bytes]:
    return b"content-type", media_type.encode()


@request_response(limits=UNLIMITED)
async def read_body(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@request_response(limits=UNLIMITED)
async def read_stream(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(sum([len(chunk) async for chunk in request.stream()])))


@request_response(limits=UNLIMITED)
async def read_form(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        return PlainTextResponse(str(len(form)))


@request_response(limits=UNLIMITED)
async def read_parts(request: Request) -> PlainTextResponse:
    size = 0
    async for part in request.parts():
        async for data in part:
            size += len(data)
    return PlainTextResponse(str(size))


@request_response(limits=UNLIMITED)
async def read_query(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(request.query_params)))


@request_response
async def read_headers(request: Request) -> PlainTextResponse:
    headers = request.headers
    return PlainTextResponse(str(sum([len(headers[name]) for name in headers])))


def body(app: Any) -> Callable[[int], Send]:
    """Make requests of a body of so many bytes."""
    return lambda size: lambda: run(app, scope(), (CHUNK for _ in range(size // len(CHUNK))))


def upload(app: Any) -> Callable[[int], Send]:
    """Make requests of a file of so many bytes."""
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    head = multipart({}, b"").removesuffix(tail)

    def chunks(size: int) -> Iterable[bytes]:
        yield head
        for _ in range(size // len(CHUNK)):
            yield CHUNK
        yield tail

    return lambda size: lambda: run(app, scope(_typed(MULTIPART_TYPE)), chunks(size))


def fields(count: int) -> Send:
    """Make a request of an urlencoded form of so many fields."""
    content = "&".join(f"field-{number}=value+{number}" for number in range(count)).encode()
    return lambda: run(read_form, scope(_typed(FORM_TYPE)), [content])


def texts(count: int) -> Send:
    """Make a request of a multipart form of so many texts."""
    content = multipart({f"field-{number}": f"value {number}" for number in range(count)}, b"")
    return lambda: run(read_form, scope(_typed(MULTIPART_TYPE)), [content])


def query(count: int) -> Send:
    """Make a request of so many query parameters."""
    content = "&".join(f"field-{number}=value+{number}" for number in range(count)).encode()
    return lambda: run(read_query, scope(query=content), [])


def headers(count: int) -> Send:
    """Make a request of so many header fields."""
    made = [(b"x-field-%d" % number, b"value %d" % number) for number in range(count)]
    return lambda: run(read_headers, scope(*made), [])


def file(size: int) -> Send:
    """Make a request for a file of so many bytes, which takes no room on the disk."""

    async def send() -> float:
        with tempfile.NamedTemporaryFile() as handle:
            handle.truncate(size)

            @request_response
            async def app(_request: Request) -> FileResponse:
                return FileResponse(handle.name)

            return await run(app, scope(), [])

    return send


def clients(count: int) -> Send:
    """Make so many requests at once, for streams that all end when the last one has begun."""

    async def send() -> float:
        barrier = asyncio.Barrier(count)

        async def draw() -> AsyncIterator[bytes]:
            yield CHUNK[:KiB]
            await barrier.wait()
            yield CHUNK[:KiB]

        @request_response
        async def app(_request: Request) -> StreamingResponse:
            return StreamingResponse(draw())

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(run(app, scope(), []))
        return time.perf_counter() - start

    return send


_CONSTANT = "constant: chunks are passed on"
AXES = {
    "body": Axis("bytes", doubling(16 * MiB), body(read_body), "the body itself, once"),
    "stream": Axis("bytes", doubling(64 * MiB), body(read_stream), _CONSTANT),
    "upload": Axis(
        "bytes", doubling(64 * MiB), upload(read_form), "constant: on disk past spool_size"
    ),
    "parts": Axis("bytes", doubling(64 * MiB), upload(read_parts), _CONSTANT),
    "fields": Axis("fields", doubling(65536), fields, "the form itself: it is the result"),
    "texts": Axis("fields", doubling(4096), texts, "the form itself: it is the result"),
    "query": Axis("fields", doubling(65536), query, "the query itself: it is the result"),
    "headers": Axis("fields", doubling(8192), headers, "the view of them, built once"),
    "file": Axis("bytes", doubling(128 * MiB), file, _CONSTANT),
    "clients": Axis("clients", doubling(2048), clients, "constant for each: task and iterator"),
}
