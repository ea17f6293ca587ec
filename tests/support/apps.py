"""Apps of each structure, which answer with the method and the path of the request."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse as StarletteResponse
from starlette.routing import Route

from asgikit import PlainTextResponse, Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asgikit.types import Receive, Scope, Send


class Boom(Exception):
    """An error of the app's own."""


async def boom() -> None:
    raise Boom


def describe(scope: Scope) -> PlainTextResponse:
    return PlainTextResponse(f"{scope['method']} {scope['path']}")


def return_response(scope: Scope) -> PlainTextResponse:
    return describe(scope)


def return_closure(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        await describe(scope)(scope, receive, send)

    return instance


def return_scopeless_closure(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        # Without its scope a response answers as to a GET: here it is one.
        await describe(scope)(receive, send)

    return instance


async def answer_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await describe(scope)(scope, receive, send)


def return_partial(scope: Scope) -> Callable[..., Awaitable[None]]:
    return functools.partial(answer_scope, scope)


def return_bound_response(scope: Scope) -> Callable[..., Awaitable[None]]:
    return functools.partial(describe(scope), scope)


class Instance:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await describe(self.scope)(self.scope, receive, send)


class Factory:
    def __call__(self, scope: Scope) -> Instance:
        return Instance(scope)

    def method(self, scope: Scope) -> Instance:
        return Instance(scope)

    @staticmethod
    def static(scope: Scope) -> Instance:
        return Instance(scope)

    async def slow(self, scope: Scope) -> Instance:
        await checkpoint()
        return Instance(scope)


async def return_response_async(scope: Scope) -> PlainTextResponse:
    await checkpoint()
    return describe(scope)


async def return_closure_async(scope: Scope) -> Callable[..., Awaitable[None]]:
    await checkpoint()
    return return_closure(scope)


def starlette_endpoint(request: Any) -> StarletteResponse:
    return StarletteResponse(f"{request.method} {request.url.path}")


starlette = Starlette(routes=[Route("/a", starlette_endpoint)])


def return_starlette_app(scope: Scope) -> Starlette:
    return starlette


def return_starlette_response(scope: Scope) -> StarletteResponse:
    return StarletteResponse(f"{scope['method']} {scope['path']}")


def return_asgi3_function(scope: Scope) -> Callable[..., Awaitable[None]]:
    return answer_scope


class App3:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)

    async def method(self, scope: Scope, receive: Receive, send: Send, extra: int = 0) -> None:
        await answer_scope(scope, receive, send)


class StaticApp3:
    @staticmethod
    async def __call__(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


async def asgi3_with_parameter(name: str, scope: Scope, receive: Receive, send: Send) -> None:
    assert name == "more"
    await answer_scope(scope, receive, send)


def any_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrap_handler(handler: Callable[[Request[Any]], Response]) -> Callable[..., Any]:
    # As in frameworks, the wrapped function has other parameters.
    @functools.wraps(handler)
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(Request(scope, receive, send))(scope, receive, send)

    return app


class Own(Response):
    """A response that is sent in a way of its own."""

    __slots__ = ()

    async def __call__(self, *args: Any) -> None:
        await PlainTextResponse(self.body)(*args)


async def async_handler(request: Request[Any]) -> PlainTextResponse:
    await checkpoint()
    return describe(request.scope)


def sync_handler(request: Request[Any]) -> PlainTextResponse:
    return describe(request.scope)


def fail_with(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises ``error``: an ASGI 2 factory, and a handler."""

    def fail(scope: Any) -> Response:
        raise error

    return fail
