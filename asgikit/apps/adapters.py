"""The two ways to make an app that every ASGI server serves: from a handler, and from an app.

*Takes* ``request``: :func:`request_response`; *takes* ``scope``: :func:`to_asgi`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, overload

from asgikit._logging import logger
from asgikit.apps.lifespan import Lifespan, offer_lifespan, run_lifespan
from asgikit.body.sharing import KEY
from asgikit.exceptions import ClientDisconnect, HTTPError
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.requests.request import Request
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.response import Response
from asgikit.runtime.threads import call_in_thread, is_async_callable
from asgikit.scopes import answer_other
from asgikit.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["request_response", "to_asgi"]

RequestT = TypeVar("RequestT", bound=Request[Any])

OnError: TypeAlias = Callable[[Request[Any], HTTPError], ASGIApp | Awaitable[ASGIApp]]
Handler: TypeAlias = Callable[[RequestT], ASGIApp | Awaitable[ASGIApp]]


class App:
    """What servers and hosts ask of an app: an instance, whose class is called with three."""

    def __init__(self, lifespan: Lifespan | None, on_error: OnError | None) -> None:
        self._lifespan = lifespan
        self._on_error = on_error

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and self._lifespan is not None:
            await run_lifespan(self._lifespan, scope, receive, send)
        else:
            await answer_other(scope, receive, send)

    async def _answer_error(
        self, error: HTTPError, request: Request[Any], receive: Receive, send: Send
    ) -> None:
        if error.response_started:
            raise error
        response: Any = ProblemResponse.from_error(error)
        if self._on_error is not None:
            try:
                response = self._on_error(request, error)
                if inspect.isawaitable(response):
                    response = await response
            except HTTPError as other:
                # It may raise again what it leaves to us.
                response = ProblemResponse.from_error(other)
        await _respond(response, request.scope, receive, send)


class HandlerApp(App):
    """A handler of requests as an ASGI app."""

    def __init__(
        self,
        handler: Callable[[Any], Any],
        request_class: type[Request[Any]],
        limits: Limits,
        lifespan: Lifespan | None,
        on_error: OnError | None,
    ) -> None:
        super().__init__(lifespan, on_error)
        self._handler = handler
        self._handle = (
            handler if is_async_callable(handler) else functools.partial(call_in_thread, handler)
        )
        # A keyword argument costs 0.1 us a request.
        self._make_request: Callable[[Any, Any, Any], Request[Any]] = (
            request_class
            if limits is DEFAULT_LIMITS
            else functools.partial(request_class, limits=limits)
        )

    def __repr__(self) -> str:
        return f"request_response({self._handler!r})"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            return await self._answer_other(scope, receive, send)
        forgets = KEY not in scope
        request = self._make_request(scope, receive, send)
        try:
            try:
                try:
                    response = await self._handle(request)
                except HTTPError as error:
                    # One that is raised again and again tells of this time.
                    error.response_started = False
                    raise
                if (
                    isinstance(response, Response)
                    and response._is_whole
                    and response.background is None
                ):
                    # perf: a_plaintext -6 %, without the coroutines of `_respond`.
                    start, body = response._messages(scope)
                    try:
                        await send(start)
                        await send(body)
                    except OSError as error:
                        logger.debug("the client disconnected: %r", error)
                    except HTTPError as error:  # out of a middleware's send
                        error.response_started = True
                        raise
                else:
                    await _respond(response, scope, receive, send, request)
            except HTTPError as error:
                await self._answer_error(error, request, receive, send)
        except ClientDisconnect as error:
            logger.debug("%s", error)
        finally:
            if forgets and KEY in scope:
                await request.close()
        return None


class ScopeApp(App):
    """An app of any structure as an ASGI 3 app."""

    def __init__(
        self, app: Callable[..., Any], lifespan: Lifespan | None, on_error: OnError | None
    ) -> None:
        super().__init__(lifespan, on_error)
        self._app: Callable[..., Any] = app
        self._is_asgi3 = isinstance(app, Response) or _takes(app, 3)
        if not isinstance(app, Response) and self._is_asgi3 == _takes(app, 1):
            raise TypeError(
                f"to_asgi takes app(scope) or app(scope, receive, send), which {app!r} is not, or "
                "not clearly; a handler that takes a request goes to request_response"
            )

    def __repr__(self) -> str:
        return f"to_asgi({self._app!r})"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        kind = scope["type"]
        if self._is_asgi3 and kind == "lifespan" and self._lifespan is None:
            return await offer_lifespan(self._app, scope, receive, send)
        if kind != "http" and not (self._is_asgi3 and kind == "websocket"):
            return await self._answer_other(scope, receive, send)
        if kind != "http":
            await self._app(scope, receive, send)
            return None
        forgets = KEY not in scope
        request: Request[Any] = Request(scope, receive, send)
        try:
            try:
                await self._serve(scope, receive, send)
            except HTTPError as error:
                await self._answer_error(error, request, receive, send)
        except ClientDisconnect as error:
            logger.debug("%s", error)
        finally:
            if forgets and KEY in scope:
                await request.close()
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_asgi3:
            return await _call(self._app, (scope, receive), send)
        try:
            instance = self._app(scope)
            if inspect.isawaitable(instance):
                instance = await instance
        except HTTPError as error:
            error.response_started = False
            raise
        if not isinstance(instance, Response) and _takes(instance, 2):
            await _call(instance, (receive,), send)
        else:
            await _respond(instance, scope, receive, send)
        return None


class _TrackedSend:
    """``send``, and whether a response has started, after which no error can be answered."""

    __slots__ = ("send", "started")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.started = True
        return self.send(message)


def _respond(
    response: Any,
    scope: Scope,
    receive: Receive,
    send: Send,
    request: Request[Any] | None = None,
) -> Awaitable[None]:
    # No coroutine of its own: that saves 0.1 us.
    if isinstance(response, Response) and response._responds:
        return response._respond(scope, receive, send)
    if request is not None and KEY in scope and not isinstance(response, Response):
        receive = request.replay()
    return _call(response, (scope, receive), send)


async def _call(app: Any, args: tuple[Any, ...], send: Send) -> None:
    if not callable(app):
        raise TypeError(
            f"an app or a handler gives a response, such as JSONResponse(...), not {app!r}"
        )
    tracked = _TrackedSend(send)
    instance: Any = app
    try:
        await instance(*args, tracked)
    except HTTPError as error:
        error.response_started = tracked.started
        raise


def _takes(function: Any, count: int) -> bool:
    """Tell whether ``function`` can be called with ``count`` arguments."""
    if not callable(function):
        return False
    if inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        # Factories give a closure a request: that saves 15 us each.
        code = function.__code__
        if not code.co_flags & inspect.CO_VARARGS and not code.co_kwonlyargcount:
            most = code.co_argcount
            return most - len(function.__defaults__ or ()) <= count <= most
    static = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(static, staticmethod):
        function = static.__func__
    try:
        # What a decorator put around it is called, not what it put that around.
        signature = inspect.signature(function, follow_wrapped=False)
        if any(
            parameter.kind is parameter.VAR_POSITIONAL
            for parameter in signature.parameters.values()
        ):
            signature = inspect.signature(function)
        signature.bind(*(None,) * count)
    except (TypeError, ValueError):
        return False
    return True


@overload
def request_response(
    handler: Handler[Request[Any]],
    *,
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
) -> HandlerApp: ...
@overload
def request_response(
    handler: Handler[RequestT],
    *,
    request_class: type[RequestT],
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
) -> HandlerApp: ...
@overload
def request_response(
    handler: None = ...,
    *,
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
) -> Callable[[Handler[Request[Any]]], HandlerApp]: ...
@overload
def request_response(
    handler: None = ...,
    *,
    request_class: type[RequestT],
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
) -> Callable[[Handler[RequestT]], HandlerApp]: ...
def request_response(
    handler: Any = None,
    *,
    request_class: type[Request[Any]] = Request,
    limits: Limits = DEFAULT_LIMITS,
    lifespan: Lifespan | None = None,
    on_error: OnError | None = None,
) -> Any:
    """Make a handler ``(request) -> response`` an ASGI app; a decorator, with or without arguments.

    ``async def`` is awaited, ``def`` runs in a worker thread. An :class:`~asgikit.HTTPError` that
    escapes before the response started is answered as problem details.

    Args:
        handler: gives a response, or any other ASGI 3 app, to answer with.
        request_class: what the handler is given.
        limits: what clients may send.
        lifespan: ``lifespan()`` is an async context manager around the server's whole run; the
            mapping that it yields is merged into ``scope["state"]``.
        on_error: ``on_error(request, error)`` gives the response to an :class:`~asgikit.HTTPError`
            in the place of the problem document; async or not.

    Raises:
        TypeError: ``handler`` cannot be called with one argument.

    >>> from asgikit import JSONResponse
    >>> @request_response
    ... async def app(request):
    ...     return JSONResponse({"path": request.path})
    """
    if handler is None:
        return functools.partial(
            request_response,
            request_class=request_class,
            limits=limits,
            lifespan=lifespan,
            on_error=on_error,
        )
    if isinstance(handler, Response) or not _takes(handler, 1):
        raise TypeError(
            f"request_response takes a handler of one argument, the request, which {handler!r} is "
            "not; an app that takes a scope goes to to_asgi"
        )
    return HandlerApp(handler, request_class, limits, lifespan, on_error)


@overload
def to_asgi(
    app: Callable[..., Any], *, lifespan: Lifespan | None = ..., on_error: OnError | None = ...
) -> ScopeApp: ...
@overload
def to_asgi(
    app: None = ..., *, lifespan: Lifespan | None = ..., on_error: OnError | None = ...
) -> Callable[[Callable[..., Any]], ScopeApp]: ...
def to_asgi(
    app: Callable[..., Any] | None = None,
    *,
    lifespan: Lifespan | None = None,
    on_error: OnError | None = None,
) -> Any:
    """Make an app of any structure an ASGI 3 app; a decorator, with or without arguments.

    ``app(scope)`` gives a response, an ASGI 2 instance ``(receive, send)``, or any ASGI 3 app, and
    may be async; it is called on the event loop, for HTTP alone. ``app(scope, receive, send)`` is
    an ASGI 3 app already, and gets websockets and its own lifespan, too.

    Args:
        app: told apart by its signature.
        lifespan: as of :func:`request_response`; in the place of the app's own.
        on_error: as of :func:`request_response`.

    Raises:
        TypeError: ``app`` has neither signature.

    >>> from asgikit import PlainTextResponse
    >>> @to_asgi
    ... def app(scope):
    ...     return PlainTextResponse("Hello!")
    """
    if app is None:
        return functools.partial(to_asgi, lifespan=lifespan, on_error=on_error)
    if not callable(app):
        raise TypeError(f"to_asgi takes an app, not {app!r}")
    return ScopeApp(app, lifespan, on_error)
