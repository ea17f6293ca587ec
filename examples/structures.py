"""The structures of ASGI 2 apps, each adapted to all servers by `to_asgi`.

hypercorn examples.structures:from_closure
"""

from __future__ import annotations

import functools

from asgikit import (
    JSONResponse,
    PlainTextResponse,
    Receive,
    Request,
    Scope,
    Send,
    StreamingResponse,
    to_asgi,
)


@to_asgi
def from_function(scope: Scope) -> PlainTextResponse:
    """Return a response that depends on the scope only."""
    return PlainTextResponse(f"{scope['method']} {scope['path']}")


@to_asgi
def from_closure(scope: Scope) -> object:
    """Return a closure over the scope, which reads the body."""

    async def instance(receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = PlainTextResponse((await request.text()).upper())
        await response(scope, receive, send)

    return instance


@to_asgi
def from_partial(scope: Scope) -> object:
    """Return an `async def` function with the scope bound by `functools.partial`."""
    return functools.partial(count_bytes, scope)


async def count_bytes(scope: Scope, receive: Receive, send: Send) -> None:
    size = 0
    async for chunk in Request(scope, receive).stream():
        size += len(chunk)
    response = JSONResponse({"size": size})
    await response(scope, receive, send)


@to_asgi
class FromClass:
    """A class that is constructed with the scope, and called with `receive` and `send`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        response = StreamingResponse(f"{number}\n" for number in range(3))
        await response(self.scope, receive, send)


from_class = FromClass


@to_asgi
async def from_coroutine(scope: Scope) -> JSONResponse:
    """Return a response from an `async def` function, which may wait before."""
    return JSONResponse({"path": Request(scope).path})
