"""The apps that are mounted: one from a scope, one from a request."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from asgikit import JSONResponse, Request, Response, request_response, to_asgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import ASGIApp, Scope


def seed(scope: Scope) -> JSONResponse:
    """Say what was asked."""
    request = Request(scope=scope)
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


async def describe(request: Request) -> JSONResponse:
    """Say what was asked, from the event loop."""
    await anyio.lowlevel.checkpoint()
    return seed(dict(request))


def describe_in_thread(request: Request) -> JSONResponse:
    """Say what was asked, from a worker thread."""
    return seed(dict(request))


async def echo(request: Request) -> Response:
    """Send back what was sent."""
    return Response(await request.body(), media_type="application/octet-stream")


# What happened in the lifespan, of which only one is run at a time.
EVENTS: list[str] = []


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, Any]]:
    """Note the start and the stop; hand a value to every request between."""
    EVENTS.append("started")
    yield {"greeting": "hello"}
    EVENTS.append("stopped")


async def greet(request: Request) -> JSONResponse:
    """Say what the lifespan handed over."""
    return JSONResponse({"greeting": request.state.greeting})


DESCRIBING: dict[str, ASGIApp] = {
    "function": to_asgi(seed),
    "coroutine_handler": request_response(describe),
    "thread_handler": request_response(describe_in_thread),
}
ECHO = request_response(echo)
GREETING = request_response(greet, lifespan=lifespan)
