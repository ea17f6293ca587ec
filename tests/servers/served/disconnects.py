"""Handlers for clients that disconnect; marks record the observed events."""

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
async def finite(request: Request) -> Response:
    """Send a stream of 100 chunks."""

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(chunks(), media_type="text/plain")


@request_response
async def endless(request: Request) -> Response:
    """Send an async generator that never ends."""
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
    """Send an async generator that waits forever after its first chunk."""
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
    """Send a sync generator that never ends."""
    marks = marks_of(request)

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield CHUNK
                time.sleep(0.01)
        finally:
            marks.add("closed")

    return StreamingResponse(chunks(), background=lambda: marks.add("background"))


async def _poll_disconnect(request: Request, marks: Marks) -> None:
    marks.add("ready")
    with anyio.move_on_after(10):
        while not await request.is_disconnected():  # noqa: ASYNC110 - the test is about polling
            await anyio.sleep(0.002)
        marks.add(time.monotonic())
        marks.add("disconnected")


@request_response
async def polled_after_body(request: Request) -> Response:
    """Poll for the disconnect after the body was read."""
    await request.body()
    await _poll_disconnect(request, marks_of(request))
    return Response()


@request_response
async def polled_within_body(request: Request) -> Response:
    """Poll for the disconnect while a part of the body is missing."""
    async with aclosing(request.stream()) as chunks:
        await anext(chunks)
        await _poll_disconnect(request, marks_of(request))
    return Response()


@request_response
async def waited_after_body(request: Request) -> Response:
    """Wait for the disconnect."""
    marks = marks_of(request)
    await request.body()
    marks.add("ready")
    with anyio.move_on_after(10):
        await request.wait_disconnected()
        marks.add(time.monotonic())
        marks.add("disconnected")
    return Response()
