"""Responses that stream an iterable: each chunk is one message, sent as soon as it exists.

One task iterates and sends. The first chunk is requested before the response starts. A disconnect
cancels the wait for a chunk, and the iterator is closed on every exit, in the task that iterated
over it. If neither the iterator nor ``send`` ever waits, the task yields to the event loop after
each burst of chunks, so that the loop can report a disconnect.
"""

from __future__ import annotations

import functools
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from types import AsyncGeneratorType
from typing import Any, ClassVar, NoReturn, Protocol, TypeAlias

from asgikit._json import format_json
from asgikit.body.sharing import wait_disconnected
from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.framing import promised_length
from asgikit.http.trailers import check_trailers
from asgikit.responses.charsets import check_utf8, encode_text, find_charset
from asgikit.responses.head import HeadersArgument
from asgikit.responses.iteration import (
    ThreadedIterator,
    close,
    is_finished,
    iterate_file,
    iterate_on_loop,
)
from asgikit.responses.response import Response
from asgikit.responses.send_timeout import bound_send, check_seconds
from asgikit.responses.sending import Disconnected, burst_size, send_all
from asgikit.responses.stopping import ShutdownArgument, StopAtShutdown, check_shutdown
from asgikit.runtime.cancellation import CancelOnEvent
from asgikit.scopes import extensions
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

__all__ = ["INCREMENTAL", "NDJSONResponse", "StreamingResponse"]

#: Asks intermediaries not to buffer the response (RFC 10036).
INCREMENTAL = (b"incremental", b"?1")

Chunk: TypeAlias = str | bytes | bytearray | memoryview
Trailers: TypeAlias = HeadersArgument | Callable[[], HeadersArgument]


class Readable(Protocol):
    """A file object of the standard library or of anyio, or a similar object."""

    def read(self, size: int, /) -> Chunk | Awaitable[Chunk]:
        """Return the next bytes or characters, or an empty value at the end."""
        ...


class StreamingResponse(Response):
    r"""A response whose body is an iterable of chunks, each sent as one message.

    The first chunk is requested before the response starts, so that an error before it can still
    be answered. If the client disconnects, the iteration stops. The iterator is closed on every
    exit. A sync iterable runs in worker threads, in one context, at most 16 chunks or 256 KiB ahead
    of the client.

    Args:
        content: an async or sync iterable of bytes or text; or a file object, sync or async, which
            is read as its content arrives, at most 256 KiB at once, and closed at the end.
        status_code: as for :class:`Response`.
        headers: as for :class:`Response`; a Content-Length in it is ``content_length``.
        media_type: as for :class:`Response`.
        background: as for :class:`Response`.
        content_length: the number of bytes of ``content``, if it is known.
        trailers: headers to send after the body (:rfc:`9110`, section 6.5) if the server supports
            it; or a function without parameters that returns them, called after the last chunk.
        send_timeout: seconds that ``send`` may wait for the client to take one message. After that,
            the response ends as after a disconnect. ``None`` means no limit.
        shutdown: ends the stream early, as if there were no more chunks; as for
            :class:`EventSourceResponse`. A stream with a Content-Length cannot have it.
        conditional: as for :class:`Response`, by the ETag or the Last-Modified in ``headers``; a
            304 or a 412 is sent without iterating over ``content``.

    Raises:
        TypeError: ``content`` is not an iterable of chunks.
        ValueError: ``content_length`` is negative, ``send_timeout`` is not positive, or a header
            is not allowed as a trailer; and as for :class:`Response`.

    >>> async def count():
    ...     for number in range(3):
    ...         yield f"{number}\n"
    >>> StreamingResponse(count(), media_type="text/plain")
    <StreamingResponse 200>
    """

    # The type of chunks that need no rendering, and whether objects with `read` are files.
    _ready_type: ClassVar[type | None] = bytes
    _reads_files: ClassVar[bool] = True

    __slots__ = (
        "_is_iterated",
        "_make_iterator",
        "_send_timeout",
        "_shutdown",
        "_trailers",
        "content",
    )

    def __init__(
        self,
        content: AsyncIterable[Chunk] | Iterable[Chunk] | Readable,
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        content_length: int | None = None,
        trailers: Trailers | None = None,
        send_timeout: float | None = None,
        shutdown: ShutdownArgument | None = None,
        conditional: bool = False,
    ) -> None:
        self.content: AsyncIterable[Chunk] | Iterable[Chunk] | Readable = content
        self._is_iterated = False
        self._make_iterator = self._choose_iterator(content)
        self._send_timeout = send_timeout
        if send_timeout is not None:
            check_seconds("send_timeout", send_timeout)
        self._shutdown = shutdown
        if shutdown is not None:
            check_shutdown(shutdown)
        self._trailers: RawHeaders | Callable[[], HeadersArgument] | None = None
        if trailers is not None:
            self._trailers = trailers if callable(trailers) else check_trailers(trailers)
        self._init_without_body(status_code, headers, media_type, background)
        if content_length is not None:
            if content_length < 0:
                raise ValueError(f"content_length must not be negative, but is {content_length}")
            self.headers["content-length"] = str(content_length)
        if conditional:
            self._make_conditional()

    def _choose_iterator(self, content: Any) -> Callable[[Any], AsyncIterator[Any]]:
        """Return the function that makes an async iterator over ``content``."""
        if content.__class__ is AsyncGeneratorType:
            return aiter
        # Iterating over a file would yield lines, which may be short or endless.
        if self._reads_files and callable(getattr(content, "read", None)):
            return iterate_file
        if hasattr(content, "__aiter__"):
            return aiter
        if type(content) in (list, tuple):
            # All items are in memory, so that no step can block.
            return iterate_on_loop
        if not hasattr(content, "__iter__") or isinstance(content, Chunk):
            raise TypeError(
                f"{type(self).__name__} needs an iterable of chunks, not {type(content).__name__}"
            )
        return ThreadedIterator

    def _add_headers(self, *headers: tuple[bytes, bytes]) -> None:
        """Add each of ``headers`` unless the app has set it."""
        raw = self._list()
        names = {name for name, _ in raw}
        raw += [header for header in headers if header[0] not in names]

    def _make_etag(self) -> RawHeaders:
        return []

    @property
    def body(self) -> NoReturn:
        """Raise :exc:`AttributeError`: a stream has no body before it is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"the body of {type(self).__name__} is the iterable it was made with")

    def _render_chunk(self, chunk: Any) -> bytes:
        """Return the bytes of a chunk that is not of the ready type."""
        if isinstance(chunk, str) and (charset := find_charset(self._list())) is not None:
            return encode_text(chunk, charset)
        return Response.render(self, chunk)

    def _send(  # pyright: ignore[reportIncompatibleMethodOverride] # returns a coroutine too
        self, scope: Scope | None, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        if self._send_timeout is not None:
            send = bound_send(send, self._send_timeout)
        if self._shutdown is not None:
            return self._send_until_shutdown(StopAtShutdown(self._shutdown), scope, receive, send)
        cancellation = CancelOnEvent(functools.partial(wait_disconnected, scope, receive))
        return cancellation.run(self._send_chunks(scope, send, cancellation), Disconnected)

    def _send_until_shutdown(
        self, stop: StopAtShutdown, scope: Scope | None, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        has_started = False

        async def note_start(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        async def send_end() -> None:
            start = () if has_started else (self._start(scope)[0],)
            await send_all(send, *start, *self._end(scope))

        cancellation = CancelOnEvent(
            functools.partial(wait_disconnected, scope, receive), stop.wait
        )
        work = self._send_chunks(scope, note_start, cancellation, stop)
        return stop.run(cancellation, work, send_end)

    # perf: stream -10 %: one coroutine for all chunks.
    async def _send_chunks(  # noqa: C901, PLR0912 - see above
        self,
        scope: Scope | None,
        send: Send,
        cancellation: CancelOnEvent,
        stop: StopAtShutdown | None = None,
    ) -> None:
        """Send all messages, the start with the first chunk."""
        started = False
        # Exhausted when there is more to do than to send a chunk. # perf: stream -3 %, instead
        # of a counter and a check of `has_fired`.
        burst: Iterator[None] = iter(())
        ready_type = self._ready_type
        chunks = self._iterate()
        steps = chunks if stop is None else stop.iterate(chunks)
        with cancellation.make_scope(steps) as cancel_scope:
            try:
                start, remaining, has_content = self._start(scope)
                if not has_content:
                    started = True
                    cancellation.disarm()
                    await send_all(send, start, {"type": "http.response.body", "body": b""})
                    return
                if remaining is not None:
                    if stop is not None:
                        raise ContentLengthMismatch("with shutdown, there is no Content-Length")
                    ready_type = None  # count the bytes of every chunk
                async for chunk in steps:
                    if chunk.__class__ is not ready_type:
                        chunk = self._render_chunk(chunk)  # noqa: PLW2901 - the same, as bytes
                        if remaining is not None:
                            remaining = _subtract(remaining, len(chunk))
                    try:
                        for _ in burst:
                            break
                        else:
                            if cancellation.has_fired:  # and the iterator has ignored it
                                return
                            burst = cancellation.start_burst(burst_size() - 1)
                            first, started = not started, True
                            await (send(start) if first else cancellation.checkpoint())
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    except OSError as error:
                        raise Disconnected(repr(error)) from error
                if cancellation.has_fired:
                    return
                if remaining:
                    raise ContentLengthMismatch(
                        f"the content has {remaining} bytes less than Content-Length says"
                    )
                messages = self._end(scope) if started else [start, *self._end(scope)]
                started = True
                cancellation.disarm()
                try:
                    for message in messages:
                        await send(message)
                except OSError as error:
                    raise Disconnected(repr(error)) from error
            except HTTPError as error:
                error.response_started = started
                raise
            finally:
                if not is_finished(chunks):
                    await close(chunks, cancel_scope)

    def _start(self, scope: Scope | None) -> tuple[Message, int | None, bool]:
        """Return the first message, Content-Length if it is set, and whether content follows."""
        headers = self._checked_headers()
        status_code = self.status_code
        sends_content = scope is None or scope["method"] != "HEAD"
        content_length = None
        if status_code != 200:
            headers, has_content = self._for_status(headers)
            sends_content = sends_content and has_content
        if self._headers is not None:
            content_length = promised_length(headers)
            if selection := self._select(scope, headers):
                status_code, headers, _ = selection
                sends_content = sends_content and status_code == 200
        start = {"type": "http.response.start", "status": status_code, "headers": headers}
        if self._trailers and sends_content and _takes_trailers(scope):
            start["trailers"] = True
            if not callable(self._trailers) and all(name != b"trailer" for name, _ in headers):
                # The names of the trailers SHOULD be announced (RFC 9110, section 6.6.2).
                headers.append((b"trailer", b", ".join(dict(self._trailers))))
        return start, content_length, sends_content

    def _end(self, scope: Scope | None) -> list[Message]:
        """Return the messages after the last chunk, with trailers if the server supports them."""
        last: list[Message] = [{"type": "http.response.body", "body": b""}]
        trailers = self._trailers
        if trailers and _takes_trailers(scope):
            fields = check_trailers(trailers()) if callable(trailers) else [*trailers]
            last.append(
                {"type": "http.response.trailers", "headers": fields, "more_trailers": False}
            )
        return last

    def _iterate(self) -> AsyncIterator[Any]:
        """Return an async iterator over the content."""
        content: Any = self.content
        if self._is_iterated or is_finished(content):
            raise RuntimeError(
                f"this {type(self).__name__} was sent already, and its iterator is exhausted: make "
                "a response for each request"
            )
        # An iterable may be iterated over many times, an iterator only once.
        self._is_iterated = (
            hasattr(content, "__anext__")
            or hasattr(content, "__next__")
            or self._make_iterator is iterate_file
        )
        return self._make_iterator(content)


class NDJSONResponse(StreamingResponse):
    r"""A stream of values as newline-delimited JSON, one document on each line.

    ``Incremental: ?1`` (:rfc:`10036`) is added unless it is given, so that intermediaries do not
    buffer the stream.

    Args:
        items: an async or sync iterable of values that :class:`JSONResponse` accepts.
        status_code: as for :class:`Response`.
        headers: as for :class:`Response`.
        media_type: as for :class:`Response`.
        background: as for :class:`Response`.
        default: called with each value that JSON cannot represent; returns one that it can.
        content_length: as for :class:`StreamingResponse`; so are the following.
        trailers: as for :class:`StreamingResponse`.
        send_timeout: as for :class:`StreamingResponse`.
        shutdown: as for :class:`StreamingResponse`.
        conditional: as for :class:`StreamingResponse`.

    Raises:
        TypeError: ``items`` is not an iterable; or is a mapping, of which only the keys would be
            sent; or, while the response is sent, JSON cannot represent an item.

    >>> async def rows():
    ...     yield {"id": 1}
    ...     yield {"id": 2}
    >>> NDJSONResponse(rows()).headers["content-type"]
    'application/x-ndjson'
    """

    media_type: ClassVar[str | None] = "application/x-ndjson"
    _ready_type = None
    _reads_files = False

    __slots__ = ("_default",)

    def __init__(
        self,
        items: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
        content_length: int | None = None,
        trailers: Trailers | None = None,
        send_timeout: float | None = None,
        shutdown: ShutdownArgument | None = None,
        conditional: bool = False,
    ) -> None:
        if isinstance(items, Mapping):
            raise TypeError(
                "NDJSONResponse needs an iterable of items, not a mapping: put it into a list"
            )
        self._default = default
        super().__init__(
            items,
            status_code,
            headers,
            media_type,
            background,
            content_length=content_length,
            trailers=trailers,
            send_timeout=send_timeout,
            shutdown=shutdown,
            conditional=conditional,
        )
        self._add_headers(INCREMENTAL)
        check_utf8(self._list())

    def _render_chunk(self, chunk: Any) -> bytes:
        line = format_json(chunk, self._default)
        if b"\n" in line:
            # An orjson.Fragment may contain line breaks, which are white space in JSON.
            line = line.replace(b"\n", b" ")
        return line + b"\n"


def _subtract(remaining: int, size: int) -> int:
    """Return the bytes that remain of Content-Length after a chunk of ``size`` bytes."""
    if size > remaining:
        raise ContentLengthMismatch(
            f"the content has at least {size - remaining} bytes more than Content-Length says"
        )
    return remaining - size


def _takes_trailers(scope: Scope | None) -> bool:
    return scope is not None and "http.response.trailers" in extensions(scope)
