"""Server-sent events (HTML standard, section 9.2) as a response: a stream that stays open.

One task iterates over the events and sends them, so that no two messages are sent at a time. Pings
are the exception: while the task waits for an event, a ping that is due is sent in a task of its
own, and the next event waits for the end of the ping. A timer finds out when a ping is due, so that
an idle stream has no task for it (on Trio, which has no timers, it has one).

While the task waits for an event, a disconnect or ``shutdown`` cancels the wait. While it sends a
message, a disconnect cancels that, but ``shutdown`` lets it finish.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, ClassVar

import anyio

from asgikit._json import format_json
from asgikit._logging import logger
from asgikit.body.sharing import wait_disconnected
from asgikit.exceptions import ClientDisconnect, ContentLengthMismatch, HTTPError
from asgikit.http.event_stream import ServerSentEvent, format_comment, format_event
from asgikit.responses.charsets import check_utf8
from asgikit.responses.head import HeadersArgument
from asgikit.responses.iteration import close, track_running
from asgikit.responses.send_timeout import bound_send, check_seconds
from asgikit.responses.sending import Disconnected, burst_size, send_all
from asgikit.responses.stopping import ShutdownArgument, StopAtShutdown
from asgikit.responses.streaming import INCREMENTAL, StreamingResponse
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.cancellation import CancelOnEvent
from asgikit.types import Message, Receive, Scope, Send

__all__ = ["EventSourceResponse"]

_PING = format_comment("ping")

_NO_EVENT: Any = object()

_NO_STORE = (b"cache-control", b"no-store")
_NO_BUFFERING = (b"x-accel-buffering", b"no")


class EventSourceResponse(StreamingResponse):
    r"""A stream of events for a browser's ``EventSource``.

    The response starts at once, without waiting for an event, unless ``wait_first`` is true. Its
    first body message is ``retry`` or a comment, since some servers and most proxies hold the
    headers back until there is a body, and the browser considers the stream open when it has the
    headers.

    Args:
        events: an async or sync iterable. An item is a :class:`ServerSentEvent`, a mapping of its
            fields, a ``str`` as data, or any other value as data in JSON. An async iterator is
            iterated and closed in one task, a sync one in worker threads.
        status_code: as for :class:`Response`; a 204 tells a client not to reconnect.
        headers: as for :class:`Response`. Unless they are given, ``Cache-Control: no-store``,
            ``X-Accel-Buffering: no`` (for nginx) and ``Incremental: ?1`` (:rfc:`10036`) are added,
            so that no intermediary stores or buffers the stream.
        background: as for :class:`Response`.
        ping: seconds without an event after which a comment is sent, so that no intermediary
            closes the connection as idle; ``None`` for no pings.
        retry: milliseconds that a client waits before it reconnects.
        send_timeout: as for :class:`StreamingResponse`.
        shutdown: ends the stream early, as if there were no more events: a
            :class:`~asgikit.Shutdown`, which also sends a last event; another object with an async
            ``wait()``, such as :class:`asyncio.Event` or :class:`anyio.Event`, which many responses
            can share; or a function that returns an awaitable; or an awaitable. A server that
            shuts down waits for the end of all streams, and does not notify them.
        wait_first: whether the response starts with the first event or the end of ``events``. An
            exception before it is raised before the start, so that an ``HTTPError`` is answered
            with its status. Until then no ping is sent. ``shutdown`` starts and ends the stream.
        on_error: called with an :class:`Exception` that ends the stream after its start; returns
            the last event. The error is then logged at ERROR instead of raised, and the stream ends
            as if there were no more events. If it returns ``None``, the error is raised. A
            :exc:`~asgikit.ClientDisconnect` is always raised.

    Raises:
        TypeError: ``events`` is not an iterable, ``retry`` is not an integer, or ``shutdown`` is
            not one of the types above.
        ValueError: ``ping`` or ``send_timeout`` is not positive, or ``retry`` is negative; and as
            for :class:`Response`.

    >>> async def ticks():
    ...     for number in range(3):
    ...         yield ServerSentEvent({"n": number}, event="tick", id=str(number))
    >>> EventSourceResponse(ticks(), retry=3000).headers["content-type"]
    'text/event-stream; charset=utf-8'
    """

    media_type: ClassVar[str | None] = "text/event-stream"
    _ready_type = None
    _reads_files = False

    __slots__ = ("_on_error", "_opening", "_ping", "_wait_first")

    def __init__(
        self,
        events: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        background: Callable[[], Any] | None = None,
        *,
        ping: float | None = 15.0,
        retry: int | None = None,
        send_timeout: float | None = None,
        shutdown: ShutdownArgument | None = None,
        wait_first: bool = False,
        on_error: Callable[[Exception], ServerSentEvent | None] | None = None,
    ) -> None:
        super().__init__(
            events,
            status_code,
            headers,
            background=background,
            send_timeout=send_timeout,
            shutdown=shutdown,
        )
        check_utf8(self._list())
        if ping is not None:
            check_seconds("ping", ping)
        self._ping = ping
        self._opening = _PING if retry is None else ServerSentEvent(retry=retry).encode()
        self._wait_first = wait_first
        self._on_error = on_error
        self._add_headers(_NO_STORE, _NO_BUFFERING, INCREMENTAL)

    def _send(  # pyright: ignore[reportIncompatibleMethodOverride] # returns an awaitable too
        self, scope: Scope | None, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        if self._send_timeout is not None:
            send = bound_send(send, self._send_timeout)
        stream = _EventStream(self, scope, receive, send)
        if stream.stop is None:
            return stream.cancellation.run(stream.send_events(), Disconnected)
        return stream.stop.run(stream.cancellation, stream.send_events(), stream.send_last_event)


class _EventStream:
    """The state of one response while its events are sent."""

    __slots__ = (
        "cancellation",
        "events",
        "has_started",
        "last_sent",
        "ping",
        "ping_sent",
        "ping_timer",
        "response",
        "scope",
        "send",
        "stop",
        "unsent",
    )

    def __init__(
        self, response: EventSourceResponse, scope: Scope | None, receive: Receive, send: Send
    ) -> None:
        self.response = response
        self.scope = scope
        self.send = send
        self.ping = response._ping
        self.events: Any = None  # the iterator, with `ag_running`; None once it is closed
        self.has_started = False  # whether the start was sent
        self.unsent: tuple[Message, ...] = ()  # the start, while it waits for the first event
        self.ping_sent: anyio.Event | None = None  # set after the ping that is being sent
        self.ping_timer: asyncio.TimerHandle | None = None
        self.last_sent = 0.0  # time of the last message, in seconds
        self.stop: StopAtShutdown | None = None
        events: list[Callable[[], Awaitable[object]]] = [
            functools.partial(wait_disconnected, scope, receive)
        ]
        if response._shutdown is not None:
            self.stop = StopAtShutdown(response._shutdown)
            events.append(functools.partial(self.stop.wait, self.wait_ping_sent))
        self.cancellation = CancelOnEvent(*events)

    async def send_last_event(self) -> None:
        """Send the end of a stream that ``shutdown`` has cancelled."""
        last = _body_message(self.format_last_event(), more_body=False)
        await send_all(self.send, *self.unsent, last)

    # perf: events -10 %, events_wait -6 %: one coroutine for all events.
    async def send_events(self) -> None:
        """Send all messages, and close the iterator."""
        cancellation = self.cancellation
        send = self.send
        monotonic = time.monotonic
        iterator = self.response._iterate()
        stop = self.stop
        self.events = events = track_running(iterator) if stop is None else stop.iterate(iterator)
        with cancellation.make_scope(events) as cancel_scope:
            try:
                if not await self.send_start():
                    return
                burst: Iterator[None] = cancellation.start_burst(burst_size())
                async for event in events:
                    for _ in burst:
                        break
                    else:
                        await self.wait_ping_sent()
                        if cancellation.has_fired:  # and the iterator has ignored it
                            return
                        await cancellation.checkpoint()
                        burst = cancellation.start_burst(burst_size())
                    if event.__class__ is ServerSentEvent:  # perf: events -3 %
                        body = event.encode(format_json)
                    else:
                        body = format_event(event, format_json)
                    try:
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                    except OSError as error:
                        raise Disconnected(repr(error)) from error
                    self.last_sent = monotonic()
                await self.send_end(self.format_last_event())
            except Exception as error:
                if not await self.send_error_event(error):
                    raise
            finally:
                self.events = None
                if self.ping_timer is not None:
                    self.ping_timer.cancel()
                await close(iterator, cancel_scope)

    async def send_start(self) -> bool:
        """Send the start of the response; return whether events follow."""
        start, content_length, has_content = self.response._start(self.scope)
        if not has_content:
            self.cancellation.disarm()
            await send_all(self.send, start, _body_message(b"", more_body=False))
            return False
        if content_length is not None:
            raise ContentLengthMismatch("an event stream has no Content-Length")
        self.unsent = start, _body_message(self.response._opening)
        if self.response._wait_first:
            event = await anext(self.events, _NO_EVENT)
            if self.cancellation.has_fired:  # and the iterator has ignored it
                return False
            if event is not _NO_EVENT:
                self.unsent = *self.unsent, _body_message(format_event(event, format_json))
        messages, self.unsent = self.unsent, ()
        self.has_started = True
        await send_all(self.send, *messages)
        self.start_pings()
        return True

    async def send_error_event(self, error: Exception) -> bool:
        """Send the event that ``on_error`` returns, and the end; return whether there is one."""
        if isinstance(error, HTTPError):
            error.response_started = self.has_started
        on_error = self.response._on_error
        if on_error is None or not self.has_started or self.cancellation.has_fired:
            return False
        if isinstance(error, Disconnected | ClientDisconnect) or (event := on_error(error)) is None:
            return False
        logger.error("an event stream ended with the event of on_error", exc_info=error)
        await self.wait_ping_sent()
        await send_all(self.send, _body_message(format_event(event, format_json)))
        await self.send_end(b"")
        return True

    async def send_end(self, body: bytes) -> None:
        """Send the last message, unless an event has cancelled the stream."""
        await self.wait_ping_sent()
        if not self.cancellation.has_fired:
            self.cancellation.disarm()
            await send_all(self.send, _body_message(body, more_body=False))

    def start_pings(self) -> None:
        """Send a ping after each ``ping`` seconds without a message, from now on."""
        self.last_sent = time.monotonic()
        if self.ping is not None:
            if is_asyncio():
                self.start_ping_timer()
            else:
                self.cancellation.add_event(self.send_pings)

    def start_ping_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self.ping_timer = loop.call_later(self.seconds_to_ping(), self.check_ping)

    def check_ping(self) -> None:
        """Start a task that sends a ping, if one is due; otherwise look again later."""
        if self.is_ping_due():
            self.cancellation.add_event(self.send_ping)
        else:
            self.start_ping_timer()

    def seconds_to_ping(self) -> float:
        """Return the seconds until a ping may be due."""
        ping = self.ping or 0
        seconds = self.last_sent + ping - time.monotonic()
        # If it is due already, the client is slow to take a message: look again later.
        return seconds if seconds > 0 else ping

    def is_ping_due(self) -> bool:
        """Return whether the stream has been waiting for an event for long enough."""
        return (
            self.events is not None
            and self.events.ag_running
            and not self.cancellation.has_fired
            and self.last_sent + (self.ping or 0) <= time.monotonic()
        )

    async def send_pings(self) -> bool:
        """Send pings; return once the client has disconnected."""
        while True:
            await anyio.sleep(self.seconds_to_ping())
            if await self.send_ping():
                return True

    async def send_ping(self) -> bool:
        """Send a ping if it is still due; return whether the client has disconnected."""
        if self.is_ping_due():
            self.ping_sent = ping_sent = anyio.Event()
            self.cancellation.end_burst()
            try:
                await send_all(self.send, _body_message(_PING))
            except Disconnected:
                return True
            finally:
                self.last_sent = time.monotonic()
                self.ping_sent = None
                ping_sent.set()
        if is_asyncio() and self.events is not None:
            self.start_ping_timer()
        return False

    async def wait_ping_sent(self) -> None:
        """Wait for the end of the ping that is being sent, if any."""
        if self.ping_sent is not None:
            await self.ping_sent.wait()

    def format_last_event(self) -> bytes:
        """Return the event that ends the stream at ``shutdown``; empty if there is none."""
        if self.stop is None or not self.stop.is_stopping:
            return b""
        make_last_event = getattr(self.response._shutdown, "make_last_event", None)
        event = make_last_event() if make_last_event else None
        return b"" if event is None else format_event(event, format_json)


def _body_message(body: bytes, *, more_body: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more_body}
