"""The structures an ASGI 2 app can have, each made servable everywhere by `to_asgi`.

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
    """A function that returns a response: its body needs no more than the scope."""
    return PlainTextResponse(f"{scope['method']} {scope['path']}")


@to_asgi
def from_closure(scope: Scope) -> object:
    """A closure over the scope: it reads the body, and hands the scope on to the response."""

    async def instance(receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = PlainTextResponse((await request.text()).upper())
        await response(scope, receive, send)

    return instance


@to_asgi
def from_partial(scope: Scope) -> object:
    """A partial application: the instance is an `async def` with its scope filled in."""
    return functools.partial(count_bytes, scope)


async def count_bytes(scope: Scope, receive: Receive, send: Send) -> None:
    size = 0
    async for chunk in Request(scope, receive).stream():
        size += len(chunk)
    response = JSONResponse({"size": size})
    await response(scope, receive, send)


@to_asgi
class FromClass:
    """A class: constructed with the scope, called with the two channels."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        response = StreamingResponse(f"{number}\n" for number in range(3))
        await response(self.scope, receive, send)


from_class = FromClass


@to_asgi
async def from_coroutine(scope: Scope) -> JSONResponse:
    """An `async def` factory: it may wait before it answers."""
    return JSONResponse({"path": Request(scope).path})
