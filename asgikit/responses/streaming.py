"""Responses that are sent as they are made, and that notice when the client leaves."""

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
from asgikit.runtime.cancellation import CancelOnEvent
from asgikit.scopes import extensions
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

__all__ = ["INCREMENTAL", "NDJSONResponse", "StreamingResponse"]

#: Asks intermediaries not to buffer the response (RFC 10036).
INCREMENTAL = (b"incremental", b"?1")

Chunk: TypeAlias = str | bytes | bytearray | memoryview
Trailers: TypeAlias = HeadersArgument | Callable[[], HeadersArgument]


class Readable(Protocol):
    """A file object: of the standard library, of anyio, or of its like."""

    def read(self, size: int, /) -> Chunk | Awaitable[Chunk]:
        """Give the next bytes or characters, none at the end."""
        ...


class StreamingResponse(Response):
    r"""A response whose body is drawn from an iterable while it is sent, a message a chunk.

    The first chunk is drawn before the response starts, so that an error before it can still be
    answered. When the client leaves, drawing stops. The iterator is closed on every exit. A sync
    one runs in worker threads, in one context, up to 16 chunks or 256 KiB ahead of the client.

    Args:
        content: an async or sync iterable of bytes or text; or a file object, sync or async, which
            is read as its content arrives, at most 256 KiB at once, and closed in the end.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`; a Content-Length among them is ``content_length``.
        media_type: as of :class:`Response`.
        background: as of :class:`Response`.
        content_length: bytes that ``content`` gives, if that is known.
        trailers: fields to send after the body (:rfc:`9110`, section 6.5) where the server can; or
            what gives them, called without arguments once the body is complete.
        send_timeout: seconds that the client may take to make room for one more message; over it
            the response is broken off as if the client had left. ``None`` for any time.
        conditional: as of :class:`Response`, by the ETag or the Last-Modified of ``headers``
            alone; nothing is drawn for a 304 or a 412.

    Raises:
        TypeError: ``content`` is no iterable of chunks.
        ValueError: ``content_length`` is negative, ``send_timeout`` is not above zero, a field can
            be no trailer; and as :class:`Response`.

    >>> async def count():
    ...     for number in range(3):
    ...         yield f"{number}\n"
    >>> StreamingResponse(count(), media_type="text/plain")
    <StreamingResponse 200>
    """

    # The type of what is sent as it is, and whether what has a `read` is read.
    _ready_type: ClassVar[type | None] = bytes
    _reads_files: ClassVar[bool] = True

    __slots__ = ("_is_drawn", "_open", "_send_timeout", "_trailers", "content")

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
        conditional: bool = False,
    ) -> None:
        self.content: AsyncIterable[Chunk] | Iterable[Chunk] | Readable = content
        self._is_drawn = False
        # Most are; it saves some look-ups.
        self._open: Callable[[Any], AsyncIterator[Any]] = (
            aiter if content.__class__ is AsyncGeneratorType else self._choose_door(content)
        )
        self._send_timeout = send_timeout
        if send_timeout is not None:
            check_seconds("send_timeout", send_timeout)
        self._trailers: RawHeaders | Callable[[], HeadersArgument] | None = None
        if trailers is not None:
            self._trailers = trailers if callable(trailers) else check_trailers(trailers)
        self._prepare(status_code, headers, media_type, background)
        if content_length is not None:
            if content_length < 0:
                raise ValueError(f"content_length must not be negative, but is {content_length}")
            self.headers["content-length"] = str(content_length)
        if conditional:
            self._make_conditional()

    def _choose_door(self, content: Any) -> Callable[[Any], AsyncIterator[Any]]:
        """Tell how ``content`` is drawn from."""
        # A file gives lines to whoever iterates, which may be short or endless.
        if self._reads_files and callable(getattr(content, "read", None)):
            return iterate_file
        if hasattr(content, "__aiter__"):
            return aiter
        if type(content) in (list, tuple):
            # It is all there, so that a thread would wait for nothing.
            return iterate_on_loop
        if not hasattr(content, "__iter__") or isinstance(content, Chunk):
            raise TypeError(
                f"{type(self).__name__} draws from an iterable of chunks, not "
                f"{type(content).__name__}"
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
        """There is none: it is drawn while it is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"{type(self).__name__} draws its body from what it was made with")

    def _render_chunk(self, chunk: Any) -> bytes:
        """Make bytes of what is drawn and is not of the ready type."""
        return Response.render(self, chunk)

    # perf: j_stream -2 %: no coroutine of its own.
    def _send(  # pyright: ignore[reportIncompatibleMethodOverride] # awaitable all the same
        self, scope: Scope | None, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        if self._send_timeout is not None:
            send = bound_send(send, self._send_timeout)
        cancellation = CancelOnEvent(functools.partial(wait_disconnected, scope, receive))
        return cancellation.run(self._send_chunks(scope, send, cancellation), Disconnected)

    # In one coroutine: the loop runs once a chunk.
    async def _send_chunks(  # noqa: C901, PLR0912 - for that
        self, scope: Scope | None, send: Send, cancellation: CancelOnEvent
    ) -> None:
        """Send all messages, the start with the first chunk."""
        started = False
        # Ends if there is something to do besides sending. # perf: j_stream -3 %, instead of a
        # counter and a look at `has_fired`.
        burst: Iterator[None] = iter(())
        ready_type = self._ready_type
        chunks = self._draw()
        with cancellation.make_scope(chunks) as cancel_scope:
            try:
                start, due, has_content = self._start(scope)
                if not has_content:
                    started = True
                    cancellation.disarm()
                    await send_all(send, start, {"type": "http.response.body", "body": b""})
                    return
                if due is not None:
                    ready_type = None  # to look at each: a test less a chunk saves 7 ns
                async for chunk in chunks:
                    if chunk.__class__ is not ready_type:  # `type(chunk)` takes longer
                        chunk = self._render_chunk(chunk)  # noqa: PLW2901 - the same, as bytes
                        if due is not None:
                            due = _count(due, len(chunk))
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
                if due:
                    raise ContentLengthMismatch(f"{due} bytes less than Content-Length says")
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
        """Make the first message; tell the bytes promised, and whether any are to be sent."""
        headers = self._checked_headers()
        status_code = self.status_code
        is_open = scope is None or scope["method"] != "HEAD"
        due = None
        if status_code != 200:
            headers, has_content = self._for_status(headers)
            is_open = is_open and has_content
        if self._headers is not None:
            due = promised_length(headers)
            if selection := self._select(scope, headers):
                status_code, headers, _ = selection
                is_open = is_open and status_code == 200
        start = {"type": "http.response.start", "status": status_code, "headers": headers}
        if self._trailers and is_open and _takes_trailers(scope):
            start["trailers"] = True
            if not callable(self._trailers) and all(name != b"trailer" for name, _ in headers):
                # To say ahead which ones there will be is asked for (RFC 9110, section 6.6.2).
                headers.append((b"trailer", b", ".join(dict(self._trailers))))
        return start, due, is_open

    def _end(self, scope: Scope | None) -> list[Message]:
        """Make the messages that follow the last chunk: with trailers, if they were promised."""
        last: list[Message] = [{"type": "http.response.body", "body": b""}]
        trailers = self._trailers
        if trailers and _takes_trailers(scope):
            fields = check_trailers(trailers()) if callable(trailers) else [*trailers]
            last.append(
                {"type": "http.response.trailers", "headers": fields, "more_trailers": False}
            )
        return last

    def _draw(self) -> AsyncIterator[Any]:
        content: Any = self.content
        if self._is_drawn or is_finished(content):
            raise RuntimeError("this response has sent its iterator already: make one a request")
        # An iterable may be drawn from again; an iterator belongs to whoever is first.
        self._is_drawn = (
            hasattr(content, "__anext__")
            or hasattr(content, "__next__")
            or self._open is iterate_file
        )
        return self._open(content)


class NDJSONResponse(StreamingResponse):
    r"""Values as newline-delimited JSON, one document a line, sent as they are drawn.

    Args:
        items: an async or sync iterable of what :class:`JSONResponse` writes.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`.
        media_type: as of :class:`Response`.
        background: as of :class:`Response`.
        default: makes a value that JSON cannot hold into one that it can.
        content_length: as of :class:`StreamingResponse`; so are the rest.
        trailers: as of :class:`StreamingResponse`.
        send_timeout: as of :class:`StreamingResponse`.
        conditional: as of :class:`StreamingResponse`.

    Raises:
        TypeError: ``items`` is no iterable, or is a mapping, whose keys would be sent alone; and
            while it is sent: JSON cannot hold an item.

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
        conditional: bool = False,
    ) -> None:
        if isinstance(items, Mapping):
            raise TypeError(
                "NDJSONResponse draws from an iterable of items: put the mapping into a list"
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
            conditional=conditional,
        )
        self._add_headers(INCREMENTAL)

    def _render_chunk(self, chunk: Any) -> bytes:
        line = format_json(chunk, self._default)
        if b"\n" in line:
            # Of orjson's fragments, which are the app's own text: in JSON it is but white space.
            line = line.replace(b"\n", b" ")
        return line + b"\n"


def _count(due: int, size: int) -> int:
    if size > due:
        raise ContentLengthMismatch(f"{size - due} bytes more than Content-Length says")
    return due - size


def _takes_trailers(scope: Scope | None) -> bool:
    return scope is not None and "http.response.trailers" in extensions(scope)
