"""Failing apps, and apps for failing clients: one path each, with a query parameter ``marks``.

The garbage collector is off, so that only code closes iterators and files. A file cannot grow over
2 MiB, so that uploads can fill the disk.
"""

from __future__ import annotations

import gc
import os
import resource
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from asgikit import (
    EventSourceResponse,
    HTTPError,
    JSONResponse,
    Limits,
    PlainTextResponse,
    Request,
    Response,
    ServerSentEvent,
    StreamingResponse,
    request_response,
)

from .marks import Marks, marks_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from asgikit.types import ASGIApp, Message, Receive, Scope, Send

gc.disable()
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 1024 * 1024, resource.RLIM_INFINITY))

CHUNK = b"x" * 1000
LARGE = b"x" * 64 * 1024


class Boom(Exception):
    """An error that the app raises."""

    def __str__(self) -> str:
        return "on purpose"


@contextmanager
def closing(marks: Marks) -> Iterator[None]:
    """Add a mark with the time of the close of a generator."""
    try:
        yield
    finally:
        marks.add(f"closed at {time.monotonic()}")


# Streams that fail.


async def raises(marks: Marks) -> AsyncIterator[bytes]:
    """Yield one chunk, then raise an error."""
    with closing(marks):
        yield CHUNK
        raise Boom


async def fail() -> None:
    """Raise an error from an await."""
    raise Boom


async def raises_first(marks: Marks) -> AsyncIterator[bytes]:
    """Raise an error before the first chunk."""
    with closing(marks):
        await fail()
        yield CHUNK


def raises_in_thread(marks: Marks) -> Iterator[bytes]:
    """Yield one chunk, then raise an error."""
    with closing(marks):
        yield CHUNK
        raise Boom


async def two_chunks(marks: Marks) -> AsyncIterator[bytes]:
    """Yield 2000 bytes; Content-Length differs."""
    with closing(marks):
        yield CHUNK
        yield CHUNK


# Streams for clients that disconnect.


async def endless(marks: Marks) -> AsyncIterator[bytes]:
    """Yield a chunk every 10 ms."""
    with closing(marks):
        while True:
            yield CHUNK
            await anyio.sleep(0.01)


async def unpaced(marks: Marks) -> AsyncIterator[bytes]:
    """Yield chunks without a wait."""
    with closing(marks):
        while True:
            yield CHUNK


async def idle(marks: Marks) -> AsyncIterator[bytes]:
    """Yield one chunk, then wait forever."""
    with closing(marks):
        yield CHUNK
        await anyio.sleep_forever()


async def silent(marks: Marks) -> AsyncIterator[bytes]:
    """Wait forever before the first chunk."""
    with closing(marks):
        marks.add("started")
        await anyio.sleep_forever()
        yield CHUNK


def endless_in_thread(marks: Marks) -> Iterator[bytes]:
    """Yield a chunk every 10 ms."""
    with closing(marks):
        while True:
            yield CHUNK
            time.sleep(0.01)


class Chunks:
    """An iterator with ``close``, but not a generator."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        time.sleep(0.01)
        return CHUNK

    def close(self) -> None:
        """Add the mark of the close."""
        with closing(self._marks):
            pass


class AsyncChunks:
    """An async iterator with ``aclose``, but not a generator."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        await anyio.sleep(0.01)
        return CHUNK

    async def aclose(self) -> None:
        """Add the mark of the close."""
        with closing(self._marks):
            pass


async def counted(marks: Marks) -> AsyncIterator[bytes]:
    """Yield 64 MiB, with a mark for each chunk."""
    with closing(marks):
        for number in range(1024):
            marks.add(number)
            yield LARGE


def _stream(chunks: Callable[[Marks], Any], content_length: int | None = None) -> ASGIApp:
    @request_response
    async def handler(request: Request) -> Response:
        marks = marks_of(request)
        return StreamingResponse(
            chunks(marks),
            content_length=content_length,
            background=lambda: marks.add("background"),
        )

    return handler


# Other handlers.


@request_response
async def background(request: Request) -> Response:
    """Respond, and raise an error in the background task."""
    marks = marks_of(request)

    async def mark_and_fail() -> None:
        marks.add("background")
        await fail()

    return PlainTextResponse("response", background=mark_and_fail)


@request_response(limits=Limits(body_timeout=0.2, spool_size=0))
async def slow(request: Request) -> Response:
    """Read a form that stops arriving."""
    await request.form()
    return Response()


@request_response
async def form(request: Request) -> Response:
    """Read a form and leave its files open: the adapter closes them."""
    await request.form()
    return Response()


@request_response
async def state(_: Request) -> Response:
    """Return the open paths of this process and the content of the temporary folder."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        # The descriptor of /proc/self/fd itself is closed by now.
        with suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    # Sockets belong to the server, and hypercorn leaves them to the garbage collector.
    links = [link for link in links if not link.startswith("socket:")]
    return JSONResponse({"open": links, "temporary": os.listdir(tempfile.gettempdir())})


@request_response
async def events(request: Request) -> Response:
    """Send the event ``a`` and then fail, or fail before if the query has ``first``."""
    marks = marks_of(request)

    async def fail() -> AsyncIterator[str]:
        try:
            if "first" not in request.query_params:
                yield "a"
            raise HTTPError(429, headers={"Retry-After": "7"})
        finally:
            marks.add("closed")

    def describe(error: Exception) -> ServerSentEvent:
        return ServerSentEvent(type(error).__name__, event="error")

    return EventSourceResponse(fail(), wait_first=True, on_error=describe)


APPS: dict[str, ASGIApp] = {
    "events": events,
    "raises": _stream(raises),
    "raises_with_length": _stream(raises, 2000),
    "raises_in_thread": _stream(raises_in_thread),
    "raises_first": _stream(raises_first),
    "short": _stream(two_chunks, 2500),
    "long": _stream(two_chunks, 1500),
    "endless": _stream(endless),
    "unpaced": _stream(unpaced),
    "idle": _stream(idle),
    "silent": _stream(silent),
    "endless_in_thread": _stream(endless_in_thread),
    "iterator": _stream(Chunks),
    "async_iterator": _stream(AsyncChunks),
    "counted": _stream(counted),
    "background": background,
    "slow": slow,
    "form": form,
    "state": state,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by the path; add marks for the disconnect and for messages sent after it."""
    if scope["type"] == "lifespan":
        return await state(scope, receive, send)
    marks = Marks(scope["query_string"].decode().removeprefix("marks="))
    is_disconnected = False

    async def receive_and_mark() -> Message:
        nonlocal is_disconnected
        message = await receive()
        if message["type"] == "http.disconnect" and not is_disconnected:
            is_disconnected = True
            marks.add(f"disconnected at {time.monotonic()}")
        return message

    async def send_and_mark(message: Message) -> None:
        if is_disconnected:
            marks.add("sent")
        await send(message)

    await APPS[scope["path"][1:]](scope, receive_and_mark, send_and_mark)
    return None
