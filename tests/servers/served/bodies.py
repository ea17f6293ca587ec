"""Handlers that read a body, or do not."""

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
    """Send back what was sent."""
    return Response(await request.body(), media_type="application/octet-stream")


@request_response(limits=Limits(max_body_size=1000))
async def limited(request: Request) -> Response:
    """Refuse more than a thousand bytes."""
    return Response(await request.body())


@request_response
async def unread(request: Request) -> Response:
    """Answer without a look at the body."""
    return PlainTextResponse("unread")


@request_response
async def polled(request: Request) -> Response:
    """Read a body with polls for the disconnect before, between and after the reads.

    Every read leaves a mark: how many bytes there were up to then.
    """
    marks = marks_of(request)
    digest = hashlib.sha256()
    size = 0
    left = await request.is_disconnected()
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
        marks.add(size)
        for _ in range(3):
            left |= await request.is_disconnected()
            await anyio.sleep(0.001)
    left |= await request.is_disconnected()
    return JSONResponse({"size": size, "sha256": digest.hexdigest(), "left": left})


@request_response
async def aborted(request: Request) -> Response:
    """Ask for a body that will not come whole."""
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


_behind = Starlette(routes=[Route("/replayed", _endpoint, methods=["POST"])])


@to_asgi
async def replayed(scope: Scope, receive: Receive, send: Send) -> None:
    """A middleware that reads the body, in front of a Starlette app that reads it again."""
    request = Request(scope, receive, send)
    seen = (b"x-seen", b"%d" % len(await request.body()))
    scope = {**scope, "headers": [*scope["headers"], seen]}
    await _behind(scope, request.replay(), send)
