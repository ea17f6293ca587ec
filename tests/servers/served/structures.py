"""Each structure of an ASGI app; all respond as :func:`served.minimal.app` does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from asgikit import JSONResponse, Request, Response, request_response, to_asgi

from . import minimal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asgikit.types import ASGIApp, Receive, Scope, Send


def closure(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    """Return the ASGI 2 instance, a closure over the scope."""

    async def instance(receive: Receive, send: Send) -> None:
        await minimal.app(scope)(scope, receive, send)

    return instance


def _bind(respond: Callable[[Scope], Response], scope: Scope) -> functools.partial[Awaitable[None]]:
    return functools.partial(respond(scope), scope)


# The app is a partial, and so is the instance that it returns.
partial = functools.partial(_bind, minimal.app)


class Structure:
    """An ASGI 2 app as a class."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await minimal.app(self.scope)(self.scope, receive, send)


async def factory(scope: Scope) -> JSONResponse:
    """Return a response from a coroutine function that gets the scope."""
    await anyio.lowlevel.checkpoint()
    return minimal.app(scope)


def delegate(scope: Scope) -> ASGIApp:
    """Return an ASGI 3 app."""
    return asgi3


async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond as an ASGI 3 app."""
    await minimal.app(scope)(scope, receive, send)


def _describe(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


@request_response
async def coroutine_handler(request: Request) -> JSONResponse:
    """Respond from the event loop."""
    await anyio.lowlevel.checkpoint()
    return _describe(request)


@request_response()
def thread_handler(request: Request) -> JSONResponse:
    """Respond from a worker thread that calls into the event loop."""
    anyio.from_thread.run(anyio.sleep, 0)
    return _describe(request)


STRUCTURES: dict[str, ASGIApp] = {
    "function": minimal.adapted,
    "closure": to_asgi(closure),
    "partial": to_asgi(partial),
    "class": to_asgi(Structure),
    "factory": to_asgi(factory),
    "delegate": to_asgi(delegate),
    "asgi3": to_asgi(asgi3),
    "coroutine_handler": coroutine_handler,
    "thread_handler": thread_handler,
}
