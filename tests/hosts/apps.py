"""The apps that the frameworks mount."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from asgikit import JSONResponse, Request, Response, request_response, to_asgi
from tests.servers.served.minimal import app as describe_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import ASGIApp


async def describe(request: Request) -> JSONResponse:
    """Describe the request, on the event loop."""
    await anyio.lowlevel.checkpoint()
    return describe_scope(dict(request))


def describe_in_thread(request: Request) -> JSONResponse:
    """Describe the request, in a worker thread."""
    return describe_scope(dict(request))


async def echo(request: Request) -> Response:
    """Return the request body."""
    return Response(await request.body(), media_type="application/octet-stream")


# The events of the lifespan; one runs at a time.
EVENTS: list[str] = []


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, Any]]:
    """Record the start and the end; share a value with requests by ``scope["state"]``."""
    EVENTS.append("started")
    yield {"greeting": "hello"}
    EVENTS.append("stopped")


async def greet(request: Request) -> JSONResponse:
    """Return the value that the lifespan shares."""
    return JSONResponse({"greeting": request.state.greeting})


ADAPTED_APPS: dict[str, ASGIApp] = {
    "function": to_asgi(describe_scope),
    "coroutine_handler": request_response(describe),
    "thread_handler": request_response(describe_in_thread),
}
ECHO = request_response(echo)
GREETING = request_response(greet, lifespan=lifespan)
