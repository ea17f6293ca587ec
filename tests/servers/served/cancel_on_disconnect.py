"""Handlers that a disconnect of the client cancels; marks record the observed events."""

from __future__ import annotations

import time
from hashlib import sha256

import anyio

from asgikit import JSONResponse, Request, Response, request_response

from .marks import marks_of


async def _wait(request: Request) -> None:
    """Wait until the task is cancelled, and record the time."""
    marks = marks_of(request)
    marks.add("ready")
    try:
        await anyio.sleep(10)
    except BaseException:
        marks.add(time.monotonic())
        marks.add("cancelled")
        raise


@request_response(cancel_on_disconnect=True)
async def read(request: Request) -> Response:
    """Wait after the body was read."""
    await request.body()
    await _wait(request)
    return Response()


@request_response(cancel_on_disconnect=True)
async def unread(request: Request) -> Response:
    """Wait while the body, or a part of it, has not been received."""
    await _wait(request)
    return Response()


@request_response
async def block(request: Request) -> Response:
    """Record the error that the block raises."""
    try:
        async with request.cancel_on_disconnect():
            await _wait(request)
    except Exception as error:
        marks_of(request).add(type(error).__name__)
        raise
    return Response()


@request_response(cancel_on_disconnect=True)
async def shielded(request: Request) -> Response:
    """Wait in a shield that ends after the disconnect."""
    marks = marks_of(request)
    with anyio.CancelScope(shield=True):
        marks.add("ready")
        await request.wait_disconnected()
        await anyio.sleep(0.01)
        marks.add("committed")
    await _wait(request)
    return Response()


@request_response
async def upload(request: Request) -> JSONResponse:
    """Read the body before, in, between and after several blocks; respond with its digest."""
    digest = sha256()
    size = 0
    stream = request.stream()
    async with request.cancel_on_disconnect():
        await anyio.sleep(0.01)
    number = 0
    async with request.cancel_on_disconnect():
        async for chunk in stream:
            digest.update(chunk)
            size += len(chunk)
            number += 1
            if number % 3 == 0:
                async with request.cancel_on_disconnect():
                    await anyio.sleep(0.0002)
            if number == 30:
                break
    async for chunk in stream:
        digest.update(chunk)
        size += len(chunk)
    return JSONResponse({"size": size, "sha256": digest.hexdigest()})


APPS = {"read": read, "unread": unread, "block": block, "shielded": shielded, "upload": upload}
