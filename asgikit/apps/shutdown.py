"""Shutdown of a server as an event that its streams wait for.

A server that receives SIGTERM waits for its responses, and does not tell the app. Lifespan shutdown
comes after the last response, so a stream without an end delays it.

The servers install their handlers before lifespan startup: uvicorn with ``signal.signal``;
hypercorn, granian and gunicorn's own worker with ``loop.add_signal_handler``, whose callback runs
independently of the handler in Python. :class:`Shutdown` replaces the handler, and calls it.
"""

from __future__ import annotations

import contextlib
import functools
import random
import signal
from collections.abc import Callable
from typing import Any

import anyio

from asgikit.http.event_stream import ServerSentEvent
from asgikit.responses.text import PlainTextResponse
from asgikit.runtime.backend import thread_safe_call_soon
from asgikit.types import Receive, Scope, Send

__all__ = ["Shutdown"]

# Windows sends SIGBREAK instead of SIGTERM.
_SIGNALS = [each for each in signal.Signals if each.name in {"SIGINT", "SIGTERM", "SIGBREAK"}]


class Shutdown:
    """The shutdown of the server, as an event for ``shutdown=`` of streams.

    Use it as the ``lifespan=`` of an app, or enter it in one (``async with shutdown:``). From then
    on, SIGTERM and SIGINT set it, if the lifespan runs on the main thread and the server handles
    the signal: its handler is called too. The end of the lifespan restores the handlers, ends the
    streams that are left, and clears the event, so that the app can start again.

    Args:
        retry: the least and the greatest number of milliseconds that clients of event streams wait
            before they reconnect. Each stream sends a random number between the two, so that the
            clients do not reconnect all at once. ``None`` sends none.
        last_event: the event that event streams send at their end. ``retry`` is added to it unless
            it has one.

    Raises:
        TypeError: ``retry`` is not a pair of integers.
        ValueError: ``retry`` is negative, or its first number exceeds the second.

    >>> from asgikit import EventSourceResponse, request_response
    >>> shutdown = Shutdown(last_event=ServerSentEvent("bye", event="end"))
    >>> @request_response(lifespan=shutdown)
    ... async def app(request):
    ...     if request.path == "/ready":
    ...         return shutdown.ready
    ...     return EventSourceResponse(["tick"], shutdown=shutdown)
    """

    __slots__ = ("_entries", "_is_set", "_last_event", "_replaced", "_retry", "_waiters")

    def __init__(
        self,
        *,
        retry: tuple[int, int] | None = (1000, 5000),
        last_event: ServerSentEvent | None = None,
    ) -> None:
        if retry is not None:
            least, greatest = retry
            for milliseconds in retry:
                ServerSentEvent(retry=milliseconds)  # raises an error if it is invalid
            if least > greatest:
                raise ValueError(f"retry must be (least, greatest), not {retry!r}")
        self._retry = retry
        self._last_event = last_event or ServerSentEvent()
        self._is_set = False
        self._entries = 0  # the number of lifespans in which it is entered
        self._waiters: set[Callable[[], object]] = set()  # each wakes one task, from any thread
        self._replaced: dict[int, tuple[Any, Any]] = {}  # by signal: this handler, the server's

    def __reduce__(self) -> tuple[Callable[[], Shutdown], tuple[()]]:
        # Ray pickles the app. Handlers and waiting tasks belong to one process.
        return functools.partial(Shutdown, retry=self._retry, last_event=self._last_event), ()

    def __call__(self) -> Shutdown:
        """Return the object itself, a context manager, for ``lifespan=``."""
        return self

    async def __aenter__(self) -> None:
        self._entries += 1
        for number in _SIGNALS if self._entries == 1 else ():
            handler = signal.getsignal(number)
            # Without a handler, the signal ends the process at once or is ignored.
            if callable(handler):
                replacement = functools.partial(self._handle_signal, handler)
                with contextlib.suppress(ValueError):  # not on the main thread
                    signal.signal(number, replacement)
                    self._replaced[number] = replacement, handler

    def _handle_signal(self, handler: Callable[..., Any], number: int, frame: Any) -> None:
        self.set()
        handler(number, frame)

    async def __aexit__(self, *_: object) -> None:
        self._entries -= 1
        if self._entries:
            return
        while self._replaced:
            number, (replacement, handler) = self._replaced.popitem()
            # A handler that was installed later may call this one.
            if signal.getsignal(number) is replacement:
                signal.signal(number, handler)
        self.set()
        self._is_set = False

    def set(self) -> None:
        """End the streams; callable from any thread, and from a signal handler."""
        # A task adds itself before it reads this.
        self._is_set = True
        for wake in list(self._waiters):
            with contextlib.suppress(RuntimeError):  # its event loop is closed
                wake()

    def is_set(self) -> bool:
        """Return whether the shutdown has begun."""
        return self._is_set

    async def wait(self) -> None:
        """Wait until the shutdown begins."""
        event = anyio.Event()
        wake = functools.partial(thread_safe_call_soon(), event.set)
        self._waiters.add(wake)
        try:
            if not self._is_set:
                await event.wait()
        finally:
            self._waiters.discard(wake)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a readiness check as an ASGI app: 200, or 503 once the shutdown has begun."""
        text, status_code = ("draining\n", 503) if self._is_set else ("ready\n", 200)
        response = PlainTextResponse(text, status_code, {"cache-control": "no-store"})
        await response(scope, receive, send)

    def make_last_event(self) -> ServerSentEvent:
        """Return the event that ends one stream of events; its lines may be empty."""
        event = self._last_event
        if self._retry is None or event.retry is not None:
            return event
        retry = random.randint(*self._retry)  # noqa: S311 - no secret
        return ServerSentEvent(event.data, event.event, event.id, retry, event.comment)
