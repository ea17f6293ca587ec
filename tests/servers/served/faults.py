"""What goes wrong between a server and an app, a path each; the query names a file of marks.

The garbage collector is off: what is closed, somebody has closed. No file may be over 2 MiB.
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
    JSONResponse,
    Limits,
    PlainTextResponse,
    Request,
    Response,
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
    """An error of the app's own."""

    def __str__(self) -> str:
        return "on purpose"


@contextmanager
def closing(marks: Marks) -> Iterator[None]:
    """Around what a generator does: note that it was closed, and when."""
    try:
        yield
    finally:
        marks.add(f"closed at {time.monotonic()}")


# Streams that go wrong by themselves.


async def raises(marks: Marks) -> AsyncIterator[bytes]:
    """One chunk, and an error."""
    with closing(marks):
        yield CHUNK
        raise Boom


async def fail() -> None:
    """Do that."""
    raise Boom


async def raises_first(marks: Marks) -> AsyncIterator[bytes]:
    """An error in the place of the first chunk."""
    with closing(marks):
        await fail()
        yield CHUNK


def raises_in_thread(marks: Marks) -> Iterator[bytes]:
    """One chunk, and an error."""
    with closing(marks):
        yield CHUNK
        raise Boom


async def two_chunks(marks: Marks) -> AsyncIterator[bytes]:
    """2000 bytes, whatever was promised."""
    with closing(marks):
        yield CHUNK
        yield CHUNK


# Streams whose client leaves.


async def endless(marks: Marks) -> AsyncIterator[bytes]:
    """A chunk every now and then."""
    with closing(marks):
        while True:
            yield CHUNK
            await anyio.sleep(0.01)


async def restless(marks: Marks) -> AsyncIterator[bytes]:
    """A chunk after the other, with no wait of its own."""
    with closing(marks):
        while True:
            yield CHUNK


async def idle(marks: Marks) -> AsyncIterator[bytes]:
    """One chunk, and nothing ever after."""
    with closing(marks):
        yield CHUNK
        await anyio.sleep_forever()


async def silent(marks: Marks) -> AsyncIterator[bytes]:
    """Nothing at all."""
    with closing(marks):
        marks.add("drawn")
        await anyio.sleep_forever()
        yield CHUNK


def endless_in_thread(marks: Marks) -> Iterator[bytes]:
    """A chunk every now and then."""
    with closing(marks):
        while True:
            yield CHUNK
            time.sleep(0.01)


class Chunks:
    """An iterator that is no generator, but has something to close."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        time.sleep(0.01)
        return CHUNK

    def close(self) -> None:
        """Note it."""
        with closing(self._marks):
            pass


class AsyncChunks:
    """The same, asynchronous."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        await anyio.sleep(0.01)
        return CHUNK

    async def aclose(self) -> None:
        """Note it."""
        with closing(self._marks):
            pass


async def counted(marks: Marks) -> AsyncIterator[bytes]:
    """64 MiB, with a mark for each chunk that is drawn."""
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


# The others.


@request_response
async def background(request: Request) -> Response:
    """Answer, and fail after it."""
    marks = marks_of(request)

    async def note_and_fail() -> None:
        marks.add("background")
        await fail()

    return PlainTextResponse("answered", background=note_and_fail)


@request_response(limits=Limits(body_timeout=0.2, spool_size=0))
async def slow(request: Request) -> Response:
    """Read a form that stops coming."""
    await request.form()
    return Response()


@request_response
async def form(request: Request) -> Response:
    """Read a form, and close nothing: that is not the handler's to do."""
    await request.form()
    return Response()


@request_response
async def state(_: Request) -> Response:
    """Tell what this process has open, and what lies in its temporary folder."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        # The descriptor of that folder itself is gone by now.
        with suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    # Sockets are the server's: hypercorn leaves its own to the garbage collector.
    links = [link for link in links if not link.startswith("socket:")]
    return JSONResponse({"open": links, "temporary": os.listdir(tempfile.gettempdir())})


APPS: dict[str, ASGIApp] = {
    "raises": _stream(raises),
    "raises_with_length": _stream(raises, 2000),
    "raises_in_thread": _stream(raises_in_thread),
    "raises_first": _stream(raises_first),
    "short": _stream(two_chunks, 2500),
    "long": _stream(two_chunks, 1500),
    "endless": _stream(endless),
    "restless": _stream(restless),
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
    """Hand the call on to what the path names; note what is sent to a client that has left."""
    if scope["type"] == "lifespan":
        return await state(scope, receive, send)
    marks = Marks(scope["query_string"].decode().removeprefix("marks="))
    left = False

    async def listen() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.disconnect" and not left:
            left = True
            marks.add(f"left at {time.monotonic()}")
        return message

    async def speak(message: Message) -> None:
        if left:
            marks.add("sent")
        await send(message)

    await APPS[scope["path"][1:]](scope, listen, speak)
    return None
