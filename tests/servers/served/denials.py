"""Apps that deny a websocket: a handler, a response and a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from asgikit import (
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    request_response,
    to_asgi,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import ASGIApp, Receive, Scope, Send


@request_response
async def handler(request: Request[Any]) -> Response:
    return Response()


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(3):
        await anyio.sleep(0.01)
        yield b"no"


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await StreamingResponse(chunks(), 401)(scope, receive, send)


APPS: dict[str, ASGIApp] = {
    "/handler": handler,
    "/response": to_asgi(PlainTextResponse("no", 403)),
    "/stream": stream,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Call the app that the path names; the handler serves the lifespan."""
    await APPS[scope.get("path", "/handler")](scope, receive, send)
