"""One app in every shape an ASGI app has: all of them answer as :func:`served.seed.app` does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from asgikit import JSONResponse, Request, Response, request_response, to_asgi

from . import seed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asgikit.types import ASGIApp, Receive, Scope, Send


def closure(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    """A function that gives the instance: a coroutine function that knows the scope."""

    async def instance(receive: Receive, send: Send) -> None:
        await seed.app(scope)(scope, receive, send)

    return instance


def _curry(answer: Callable[[Scope], Response], scope: Scope) -> functools.partial[Awaitable[None]]:
    return functools.partial(answer(scope), scope)


# Twice partial: the app, and the instance it gives.
partial = functools.partial(_curry, seed.app)


class Structure:
    """A class whose instances are the ASGI instances."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await seed.app(self.scope)(self.scope, receive, send)


async def factory(scope: Scope) -> JSONResponse:
    """A coroutine function from a scope to a response."""
    await anyio.lowlevel.checkpoint()
    return seed.app(scope)


def delegate(scope: Scope) -> ASGIApp:
    """A function that gives an ASGI 3 app."""
    return asgi3


async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI 3 app."""
    await seed.app(scope)(scope, receive, send)


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
    """A handler on the event loop."""
    await anyio.lowlevel.checkpoint()
    return _describe(request)


@request_response()
def thread_handler(request: Request) -> JSONResponse:
    """A handler in a worker thread, which may call back into the loop."""
    anyio.from_thread.run(anyio.sleep, 0)
    return _describe(request)


STRUCTURES: dict[str, ASGIApp] = {
    "function": seed.everywhere,
    "closure": to_asgi(closure),
    "partial": to_asgi(partial),
    "class": to_asgi(Structure),
    "factory": to_asgi(factory),
    "delegate": to_asgi(delegate),
    "asgi3": to_asgi(asgi3),
    "coroutine_handler": coroutine_handler,
    "thread_handler": thread_handler,
}
