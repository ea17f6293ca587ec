"""Adapters that turn a handler or an app into an ASGI 3 app that every server runs.

:func:`request_response` adapts a handler, which takes a ``request`` and returns a response.
:func:`to_asgi` adapts an app, which takes a ``scope`` (ASGI 2), or ``scope, receive, send``.

For both, an HTTP request passes through :meth:`App.__call__`:

1. the handler or app returns a response, or another ASGI app;
2. that is sent;
3. an error in step 1, or in step 2 before the response has started, is answered by ``on_error``, or
   by a problem document if it is an :class:`~asgikit.HTTPError`; any other error propagates;
4. the request is closed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, overload

from asgikit._logging import logger
from asgikit._signatures import accepts, check_returned, expects_request
from asgikit.apps.lifespan import Lifespan, complete_lifespan, run_lifespan
from asgikit.body.sharing import KEY
from asgikit.exceptions import ClientDisconnect, HTTPError
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.requests.request import Request
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.response import Response, has_plain_call
from asgikit.runtime.threads import call_in_thread, is_async_callable
from asgikit.scopes import answer_other
from asgikit.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["request_response", "to_asgi"]

RequestT = TypeVar("RequestT", bound=Request[Any])

OnError: TypeAlias = Callable[[Request[Any], Exception], ASGIApp | Awaitable[ASGIApp]]
Handler: TypeAlias = Callable[[RequestT], ASGIApp | Awaitable[ASGIApp]]


class App:
    """The ASGI 3 app around a handler or an app.

    It has the name, docstring and module of the function that it was made from.

    Args:
        function: The handler or app.
        handle: Returns, for a request, a response or an ASGI 3 app.
        make_request: Returns the request of ``(scope, receive, send)``.
        lifespan: As for :func:`request_response`.
        on_error: As for :func:`request_response`.
    """

    # Whether another app that is returned gets the body from its first byte.
    _replays_body = True
    # The app that gets lifespan and websocket scopes.
    _asgi3_app: Callable[..., Any] | None = None

    def __init__(
        self,
        function: Callable[..., Any],
        handle: Callable[[Any], Awaitable[Any]],
        make_request: Callable[[Any, Any, Any], Request[Any]],
        lifespan: Lifespan | None,
        on_error: OnError | None,
    ) -> None:
        self._function = function
        self._handle = handle
        self._make_request = make_request
        self._lifespan = lifespan
        self._on_error = on_error
        # An instance has no names of its own.
        kind = type(function)
        self.__name__: str = getattr(function, "__name__", kind.__name__)
        self.__qualname__: str = getattr(function, "__qualname__", kind.__qualname__)
        self.__module__: str = getattr(function, "__module__", kind.__module__)
        self.__doc__: str | None = function.__doc__

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            return await self._serve_other(scope, receive, send)
        owns_body = KEY not in scope
        request = self._make_request(scope, receive, send)
        messages: tuple[Message, Message] | None = None
        try:
            try:
                response = await self._handle(request)
                if isinstance(response, Response) and response.background is None:
                    messages = response._plan_messages(scope)
            except Exception as error:
                if not await self._answer_error(error, request, receive, send):
                    raise
            else:
                if messages is None:
                    await self._send_response(response, request, receive, send)
                else:
                    # perf: plaintext -30 %, against `_send_response()`. In a function of its own,
                    # it would save 6 % less.
                    start, body = messages
                    try:
                        await send(start)
                        await send(body)
                    except OSError as error:
                        logger.debug("the client disconnected: %r", error)
                    except HTTPError as error:  # raised by the send of a middleware
                        error.response_started = True
                        raise
        except ClientDisconnect as error:
            logger.debug("%s", error)
        finally:
            if owns_body and KEY in scope:
                await request.close()
        return None

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan" and self._lifespan is not None:
            await run_lifespan(self._lifespan, scope, receive, send)
        elif kind == "lifespan" and self._asgi3_app is not None:
            await complete_lifespan(self._asgi3_app, scope, receive, send)
        elif kind == "websocket" and self._asgi3_app is not None:
            await self._asgi3_app(scope, receive, send)
        else:
            await answer_other(scope, receive, send)

    async def _send_response(
        self, response: Any, request: Request[Any], receive: Receive, send: Send
    ) -> None:
        """Send a response or call another app; answer an error before the response has started."""
        tracked: _TrackedSend | None = None
        try:
            if (
                self._on_error is None
                and isinstance(response, Response)
                and has_plain_call(response)
            ):
                # It marks an HTTPError that it raises after its start.
                await response._respond(request.scope, receive, send)
                return
            if not isinstance(response, Response):
                check_returned(self.__qualname__, response)
                if self._replays_body and KEY in request.scope:
                    receive = request.replay()
            tracked = _TrackedSend(send)
            await response(request.scope, receive, tracked.send)
        except Exception as error:
            if isinstance(error, HTTPError):
                if tracked is not None:
                    error.response_started = tracked.has_started
                if error.response_started:
                    raise
            elif tracked is not None and tracked.has_started:
                raise
            if not await self._answer_error(error, request, receive, send):
                raise

    async def _answer_error(
        self, error: Exception, request: Request[Any], receive: Receive, send: Send
    ) -> bool:
        """Answer an error that was raised before the response has started.

        If the status is 500 or above, the error is logged.

        Returns:
            Whether the error is handled; otherwise the caller raises it again.
        """
        if isinstance(error, ClientDisconnect):
            return False
        answered: Exception = error
        response: Any = None
        if self._on_error is not None:
            try:
                response = await _call_on_error(self._on_error, request, error)
            except HTTPError as raised:
                answered = raised
        elif not isinstance(error, HTTPError):
            return False
        if isinstance(answered, HTTPError) and response is None:
            # The same object may have been raised for another request before.
            answered.response_started = False
            response = ProblemResponse.from_error(answered)
        tracked = _TrackedSend(send)
        try:
            await response(request.scope, receive, tracked.send)
        finally:
            if tracked.status >= 500:
                logger.error(
                    "%r %r was answered with %d",
                    request.method,
                    request.path,
                    tracked.status,
                    exc_info=answered,
                )
        return tracked.status < 500 or isinstance(error, HTTPError)


async def _call_on_error(on_error: OnError, request: Request[Any], error: Exception) -> ASGIApp:
    response = on_error(request, error)
    if inspect.isawaitable(response):
        response = await response
    check_returned("on_error", response)
    return response


class _TrackedSend:
    """A ``send`` that notes the status of the response; 0 before the response has started."""

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    @property
    def has_started(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class HandlerApp(App):
    """A handler of requests as an ASGI 3 app."""

    def __repr__(self) -> str:
        return f"request_response({self._function!r})"


class ScopeApp(App):
    """An app of ASGI 2 or 3 as an ASGI 3 app."""

    # An ASGI 3 app that reads the body has its own `receive`.
    _replays_body = False

    def __init__(
        self, app: Callable[..., Any], lifespan: Lifespan | None, on_error: OnError | None
    ) -> None:
        is_asgi3 = isinstance(app, Response) or accepts(app, 3)
        if not isinstance(app, Response) and (is_asgi3 == accepts(app, 1)):
            raise TypeError(
                f"to_asgi takes app(scope) or app(scope, receive, send), and {app!r} is "
                f"{'both' if is_asgi3 else 'neither'}; a handler that takes a request goes to "
                "request_response"
            )
        if is_asgi3:
            self._asgi3_app = app
        super().__init__(
            app,
            functools.partial(_return if is_asgi3 else _instantiate, app),
            Request,
            lifespan,
            on_error,
        )

    def __repr__(self) -> str:
        return f"to_asgi({self._function!r})"


async def _return(app: Any, request: Request[Any]) -> Any:  # noqa: ARG001 - the app gets its scope
    return app


async def _instantiate(app: Callable[[Scope], Any], request: Request[Any]) -> Any:
    """Call an ASGI 2 app with the scope; return a response or an ASGI 3 app."""
    instance = app(request.scope)
    if inspect.isawaitable(instance):
        instance = await instance
    if not isinstance(instance, Response | type) and accepts(instance, 2):
        return _InstanceApp(instance)
    return instance


class _InstanceApp:
    """An ASGI 2 instance, called with ``receive, send``, as an ASGI 3 app."""

    __slots__ = ("_instance",)

    def __init__(self, instance: Callable[[Receive, Send], Awaitable[None]]) -> None:
        self._instance = instance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI 3
        await self._instance(receive, send)


@overload
def request_response(
    handler: Handler[Request[Any]],
    *,
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
    cancel_on_disconnect: bool = ...,
) -> HandlerApp: ...
@overload
def request_response(
    handler: Handler[RequestT],
    *,
    request_class: type[RequestT],
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
    cancel_on_disconnect: bool = ...,
) -> HandlerApp: ...
@overload
def request_response(
    handler: None = ...,
    *,
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
    cancel_on_disconnect: bool = ...,
) -> Callable[[Handler[Request[Any]]], HandlerApp]: ...
@overload
def request_response(
    handler: None = ...,
    *,
    request_class: type[RequestT],
    limits: Limits = ...,
    lifespan: Lifespan | None = ...,
    on_error: OnError | None = ...,
    cancel_on_disconnect: bool = ...,
) -> Callable[[Handler[RequestT]], HandlerApp]: ...
def request_response(
    handler: Any = None,
    *,
    request_class: type[Request[Any]] = Request,
    limits: Limits = DEFAULT_LIMITS,
    lifespan: Lifespan | None = None,
    on_error: OnError | None = None,
    cancel_on_disconnect: bool = False,
) -> Any:
    """Turn a handler ``(request) -> response`` into an ASGI app.

    A decorator with or without arguments. An ``async def`` handler is awaited, a ``def`` handler
    runs in a worker thread. The app has the name, docstring and module of the handler.

    Args:
        handler: Takes a request, and returns a response or another ASGI 3 app.
        request_class: The class of the request.
        limits: Limits on the data of clients.
        lifespan: ``lifespan()`` is an async context manager, entered at start-up and left at
            shutdown. The mapping that it yields is merged into ``scope["state"]``; if the server
            offers no state for it, the start-up fails.
        on_error: ``on_error(request, error)`` is called with each :class:`Exception` that escapes
            before the response has started, and returns a response or raises; async or not. An
            :class:`~asgikit.HTTPError` that it raises is answered with a problem document, as every
            one is without ``on_error``. If the status is 500 or above, the error is logged, and
            raised again after the response unless it is an ``HTTPError``.
        cancel_on_disconnect: Whether to run an ``async def`` handler in a block of
            :meth:`Request.cancel_on_disconnect() <asgikit.Request.cancel_on_disconnect>`. The block
            ends when the handler returns its response, before that is sent.

    Raises:
        TypeError: ``handler`` cannot be called with one argument, or has to be cancelled and is a
            ``def`` function.

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
            cancel_on_disconnect=cancel_on_disconnect,
        )
    if isinstance(handler, Response) or not accepts(handler, 1):
        raise TypeError(
            f"request_response takes a handler of one argument, the request, not {handler!r}; "
            "an app that takes a scope goes to to_asgi"
        )
    handle = handler
    if cancel_on_disconnect:
        from asgikit.apps.cancellable import make_cancellable

        handle = make_cancellable(handler)
    elif not is_async_callable(handler):
        handle = functools.partial(call_in_thread, handler)
    make_request: Callable[..., Request[Any]] = request_class
    if limits is not DEFAULT_LIMITS:
        make_request = functools.partial(request_class, limits=limits)
    return HandlerApp(handler, handle, make_request, lifespan, on_error)


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
    """Turn an app of any structure into an ASGI 3 app; a decorator, with or without arguments.

    ``app(scope)`` is called on the event loop for HTTP requests. It may be async, and returns a
    response, an ASGI 2 instance ``(receive, send)`` or an ASGI 3 app. ``app(scope, receive, send)``
    is an ASGI 3 app already; it also gets websocket scopes, and its own lifespan. The signature
    decides; if it cannot be read, ASGI 3 is assumed.

    Args:
        app: The app.
        lifespan: As for :func:`request_response`; it replaces the app's own.
        on_error: As for :func:`request_response`.

    Raises:
        TypeError: ``app`` has neither signature, or takes a request.

    >>> from asgikit import PlainTextResponse
    >>> @to_asgi
    ... def app(scope):
    ...     return PlainTextResponse("Hello!")
    """
    if app is None:
        return functools.partial(to_asgi, lifespan=lifespan, on_error=on_error)
    if not callable(app):
        raise TypeError(f"to_asgi takes an app, not {app!r}")
    if expects_request(app):
        raise TypeError(
            f"to_asgi takes app(scope), and {app!r} takes a request: use @request_response"
        )
    return ScopeApp(app, lifespan, on_error)
