"""Handlers whose client leaves; each tells what it saw in the file that its query names."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from asgikit import Request, Response, StreamingResponse, request_response

from .marks import marks_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .marks import Marks

CHUNK = b"x" * 1000


@request_response
async def whole(request: Request) -> Response:
    """A stream that ends by itself."""

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(chunks(), media_type="text/plain")


@request_response
async def endless(request: Request) -> Response:
    """An async generator that never ends."""
    marks = marks_of(request)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield CHUNK
                await anyio.sleep(0.01)
        finally:
            marks.add("closed")

    return StreamingResponse(chunks(), background=lambda: marks.add("background"))


@request_response
async def idle(request: Request) -> Response:
    """An async generator that waits for what never comes."""
    marks = marks_of(request)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield CHUNK
            await anyio.sleep_forever()
        finally:
            marks.add("closed")

    return StreamingResponse(chunks(), background=lambda: marks.add("background"))


@request_response
async def endless_sync(request: Request) -> Response:
    """A generator that never ends."""
    marks = marks_of(request)

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield CHUNK
                time.sleep(0.01)
        finally:
            marks.add("closed")

    return StreamingResponse(chunks(), background=lambda: marks.add("background"))


async def _notice(request: Request, marks: Marks) -> None:
    marks.add("ready")
    with anyio.move_on_after(10):
        while not await request.is_disconnected():  # noqa: ASYNC110 - polling is what is tried
            await anyio.sleep(0.002)
        marks.add(time.monotonic())
        marks.add("left")


@request_response
async def noticed(request: Request) -> Response:
    """Poll after the body."""
    await request.body()
    await _notice(request, marks_of(request))
    return Response()


@request_response
async def noticed_early(request: Request) -> Response:
    """Poll when the body is there in part."""
    async with aclosing(request.stream()) as chunks:
        await anext(chunks)
        await _notice(request, marks_of(request))
    return Response()


@request_response
async def waited(request: Request) -> Response:
    """Wait for the client to leave."""
    marks = marks_of(request)
    await request.body()
    marks.add("ready")
    with anyio.move_on_after(10):
        await request.wait_disconnected()
        marks.add(time.monotonic())
        marks.add("left")
    return Response()
