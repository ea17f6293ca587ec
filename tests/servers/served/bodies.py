"""Handlers that read a request body in different ways."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import anyio
import starlette.requests
import starlette.responses
from starlette.applications import Starlette
from starlette.routing import Route

from asgikit import (
    ClientDisconnect,
    JSONResponse,
    Limits,
    PlainTextResponse,
    Request,
    Response,
    request_response,
    to_asgi,
)

from .marks import marks_of

if TYPE_CHECKING:
    from asgikit.types import Receive, Scope, Send


@request_response
async def echo(request: Request) -> Response:
    """Return the request body."""
    return Response(await request.body(), media_type="application/octet-stream")


@request_response(limits=Limits(max_body_size=1000))
async def limited(request: Request) -> Response:
    """Read a body of at most 1000 bytes."""
    return Response(await request.body())


@request_response
async def unread(request: Request) -> Response:
    """Respond without reading the body."""
    return PlainTextResponse("unread")


@request_response
async def polled(request: Request) -> Response:
    """Read a body, and poll for a disconnect before, between and after the reads.

    The mark of each read is the number of bytes read so far.
    """
    marks = marks_of(request)
    digest = hashlib.sha256()
    size = 0
    is_disconnected = await request.is_disconnected()
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
        marks.add(size)
        for _ in range(3):
            is_disconnected |= await request.is_disconnected()
            await anyio.sleep(0.001)
    is_disconnected |= await request.is_disconnected()
    return JSONResponse(
        {"size": size, "sha256": digest.hexdigest(), "is_disconnected": is_disconnected}
    )


@request_response
async def aborted(request: Request) -> Response:
    """Read a body until the client disconnects."""
    marks = marks_of(request)
    try:
        async for _ in request.stream():
            marks.add("reading")
    except ClientDisconnect:
        marks.add("ClientDisconnect")
        raise
    return Response()


async def _endpoint(request: starlette.requests.Request) -> starlette.responses.Response:
    body = await request.body()
    return starlette.responses.Response(body, headers={"x-seen": request.headers["x-seen"]})


_inner = Starlette(routes=[Route("/replayed", _endpoint, methods=["POST"])])


@to_asgi
async def replayed(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body in a middleware, and replay it to a Starlette app."""
    request = Request(scope, receive, send)
    seen = (b"x-seen", b"%d" % len(await request.body()))
    scope = {**scope, "headers": [*scope["headers"], seen]}
    await _inner(scope, request.replay(), send)
