"""Server-sent events (HTML standard, section 9.2) as a response: a stream that stays open."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, ClassVar, Protocol, TypeAlias

import anyio

from asgikit._json import format_json
from asgikit.body.sharing import wait_disconnected
from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.event_stream import ServerSentEvent, format_comment, format_event
from asgikit.responses.head import HeadersArgument
from asgikit.responses.iteration import close
from asgikit.responses.send_timeout import bound_send, check_seconds
from asgikit.responses.sending import Disconnected, burst_size, send_all
from asgikit.responses.streaming import StreamingResponse
from asgikit.runtime.cancellation import CancelOnEvent
from asgikit.runtime.tasks import wait_end
from asgikit.runtime.threads import is_async_callable
from asgikit.types import Receive, Scope, Send

__all__ = ["EventSourceResponse"]

_PING = format_comment("ping")


class Event(Protocol):
    """What is waited for: an event of asyncio, of anyio or of trio, or its like."""

    async def wait(self) -> Any:
        """Return once it is set."""


Shutdown: TypeAlias = Event | Callable[[], Awaitable[Any]] | Awaitable[Any]


class EventSourceResponse(StreamingResponse):
    r"""Events for a browser's ``EventSource``, sent as they are drawn.

    The response starts at once, without waiting for an event. What opens it is a message with some
    bytes of body, ``retry`` or a comment: some servers, and most proxies, hold the fields of a
    response back until there are any, and the browser takes the stream for open with the fields.

    Args:
        events: an async or sync iterable; an item is a :class:`ServerSentEvent`, a mapping of its
            fields, a ``str`` as data, or any other value as data in JSON. It is drawn and closed
            in one task, or in worker threads if it is sync.
        status_code: as of :class:`Response`; a 204 tells a client not to come back.
        headers: as of :class:`Response`. ``Cache-Control: no-store`` and ``X-Accel-Buffering: no``,
            which nginx obeys, are added where they are absent.
        background: as of :class:`Response`.
        ping: seconds without any event after which a comment is sent, so that nothing between takes
            the connection for dead; ``None`` for none.
        retry: milliseconds that a client waits before it reconnects.
        send_timeout: as of :class:`StreamingResponse`.
        shutdown: ends the stream as if there were no more events, once it is done: an object with
            an async ``wait``, such as :class:`asyncio.Event` or :class:`anyio.Event`, which any
            number of responses can share; or a function that gives an awaitable; or an awaitable.
            A server that shuts down waits for streams, and tells them nothing.

    Raises:
        TypeError: ``events`` is no iterable, ``retry`` no integer, or ``shutdown`` nothing to wait
            for.
        ValueError: ``ping`` or ``send_timeout`` is not above zero, ``retry`` is negative; and as
            :class:`Response`.

    >>> async def ticks():
    ...     for number in range(3):
    ...         yield ServerSentEvent({"n": number}, event="tick", id=str(number))
    >>> EventSourceResponse(ticks(), retry=3000).headers["content-type"]
    'text/event-stream; charset=utf-8'
    """

    media_type: ClassVar[str | None] = "text/event-stream"
    _ready_type = None
    _reads_files = False

    __slots__ = ("_opening", "_ping", "_shutdown")

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
        shutdown: Shutdown | None = None,
    ) -> None:
        super().__init__(
            events, status_code, headers, background=background, send_timeout=send_timeout
        )
        if ping is not None:
            check_seconds("ping", ping)
        self._ping = ping
        self._opening = _PING if retry is None else ServerSentEvent(retry=retry).encode()
        self._shutdown = shutdown
        if shutdown is not None:
            _check_shutdown(shutdown)
        self.headers.setdefault("cache-control", "no-store")
        self.headers.setdefault("x-accel-buffering", "no")

    def _render_chunk(self, chunk: Any) -> bytes:
        return format_event(chunk, format_json)

    async def _send(self, scope: Scope | None, receive: Receive, send: Send) -> None:
        if self._send_timeout is not None:
            send = bound_send(send, self._send_timeout)
        stream = _Stream(self, scope, receive, send)
        try:
            await stream.run()
        except HTTPError as error:
            error.response_started = stream.started
            raise


class _Stream:
    """One sending of the events: three tasks, of which one draws and one sends at a time.

    The one that draws is cancelled if the client disconnects, or if the stream is to end while it
    waits for an event; the latter never interrupts a message. Pings are sent only while it waits.
    """

    __slots__ = (
        "cancellation",
        "is_disconnected",
        "is_drawing",
        "is_stopping",
        "last",
        "pinging",
        "receive",
        "response",
        "scope",
        "send",
        "started",
        "was_stopped",
    )

    def __init__(
        self, response: EventSourceResponse, scope: Scope | None, receive: Receive, send: Send
    ) -> None:
        self.response = response
        self.scope = scope
        self.receive = receive
        self.send = send
        self.started = False
        self.is_disconnected = False
        self.is_drawing = False
        self.is_stopping = False  # once the message under way is sent
        self.was_stopped = False  # while an event was waited for
        self.pinging: anyio.Event | None = None  # set when the ping under way is sent
        self.last = time.monotonic()  # when there was something to send, in seconds
        waits: list[Callable[[], Awaitable[None]]] = [self.wait_disconnected]
        if response._ping is not None:
            waits.append(self.send_pings)
        if response._shutdown is not None:
            waits.append(self.wait_shutdown)
        self.cancellation = CancelOnEvent(*waits)

    async def run(self) -> None:
        try:
            await self.cancellation.run(self.send_events())
        finally:
            if inspect.iscoroutine(self.response._shutdown):
                # If nobody has waited for it, nobody will.
                self.response._shutdown.close()
        if self.is_disconnected and self.cancellation.has_fired:
            raise Disconnected("while events were sent")
        if self.was_stopped:
            await self.send_end()

    async def send_events(self) -> None:
        events = self.response._draw()
        with self.cancellation.make_scope(events) as scope:
            try:
                await self.send_from(events)
            finally:
                await close(events, scope)

    async def send_from(self, events: AsyncIterator[Any]) -> None:
        response = self.response
        start, due, has_content = response._start(self.scope)
        if due is not None and has_content:
            raise ContentLengthMismatch("nobody knows the Content-Length of an event stream")
        self.started = True
        if not has_content:
            self.cancellation.disarm()
            await send_all(self.send, start, {"type": "http.response.body", "body": b""})
            return
        await send_all(self.send, start)
        await self.send_chunk(response._opening)
        left = burst = burst_size()
        while not self.is_stopping:
            self.is_drawing = True
            try:
                event = await anext(events)
            except StopAsyncIteration:
                break
            finally:
                self.is_drawing = False
            if self.pinging is not None:
                await self.pinging.wait()
            if self.cancellation.has_fired:  # and the iterator has ignored it
                return
            await self.send_chunk(response._render_chunk(event))
            left -= 1
            if not left:
                left = burst
                await self.cancellation.checkpoint()
        if self.pinging is not None:
            await self.pinging.wait()
        if not self.cancellation.has_fired:
            self.cancellation.disarm()
            await self.send_end()

    async def send_chunk(self, body: bytes, *, more_body: bool = True) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": more_body}
        try:
            await self.send(message)
        except OSError as error:
            raise Disconnected(repr(error)) from error
        self.last = time.monotonic()

    async def send_end(self) -> None:
        await self.send_chunk(b"", more_body=False)

    async def wait_disconnected(self) -> None:
        await wait_disconnected(self.scope, self.receive)
        self.is_disconnected = True

    async def send_pings(self) -> None:
        """Send a ping after each pause; return if the client has disconnected."""
        ping = self.response._ping or 0
        while True:
            # One that is due is not sent where a slow client holds up something else: that is
            # looked at again a while later.
            rest = self.last + ping - time.monotonic()
            await anyio.sleep(rest if rest > 0 else ping)
            if (
                self.last + ping > time.monotonic()
                or not self.is_drawing
                or self.cancellation.has_fired
            ):
                continue
            self.pinging = sent = anyio.Event()
            try:
                await self.send({"type": "http.response.body", "body": _PING, "more_body": True})
            except OSError:
                self.is_disconnected = True
                return
            finally:
                self.last = time.monotonic()
                self.pinging = None
                sent.set()

    async def wait_shutdown(self) -> None:
        shutdown: Any = self.response._shutdown
        wait = getattr(shutdown, "wait", shutdown)
        awaitable: Any = wait() if callable(wait) else wait
        await wait_end(awaitable)
        self.is_stopping = True
        if self.pinging is not None:
            await self.pinging.wait()
        if not self.is_drawing:
            # What is being sent is sent to its end, and then it is looked at `is_stopping`.
            await anyio.sleep_forever()
        self.was_stopped = True


def _check_shutdown(shutdown: Any) -> None:
    wait = getattr(shutdown, "wait", None)
    # That of a thread's event would hold up the loop.
    if is_async_callable(wait) if wait else callable(shutdown) or inspect.isawaitable(shutdown):
        return
    raise TypeError(
        "shutdown is an event of asyncio's or anyio's, a function that gives an awaitable, or an "
        f"awaitable; not {type(shutdown).__name__}"
    )
