"""Responses that are sent as they are made, and that notice when the client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeAlias

import anyio
import anyio.lowlevel

from asgikit.asgi import Message, RawHeaders, Receive, Scope, Send
from asgikit.body import Body, shared_body
from asgikit.concurrency import Watch, run_in_thread, shielded
from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.content import promised_length
from asgikit.responses import HeadersArgument, Response, logger, run_background

__all__ = ["StreamingResponse"]

Chunk: TypeAlias = str | bytes | bytearray | memoryview

# Chunks that may be sent without a turn of the event loop. Neither a generator nor a server's send
# has to wait, so that without this the loop might never get to see that the client left.
TURN = 128

_END: Any = object()


class StreamingResponse(Response):
    r"""A response whose body is drawn from an iterable while it is sent, a message a chunk.

    The first chunk is drawn before the response starts, so that an error before it can still be
    answered. When the client leaves, drawing stops. The iterator is closed on every exit; a sync
    one is drawn and closed in a worker thread.

    Args:
        content: an async or sync iterable of bytes or text.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`; a Content-Length among them is ``content_length``.
        media_type: as of :class:`Response`.
        background: as of :class:`Response`.
        content_length: bytes that ``content`` gives, if that is known.
        conditional: as of :class:`Response`, by the ETag or the Last-Modified of ``headers``
            alone; nothing is drawn for a 304 or a 412.

    Raises:
        TypeError: ``content`` is no iterable of chunks.
        ValueError: ``content_length`` is negative; and as :class:`Response`.

    >>> async def count():
    ...     for number in range(3):
    ...         yield f"{number}\n"
    >>> StreamingResponse(count(), media_type="text/plain")
    <StreamingResponse 200>
    """

    __slots__ = ("_is_drawn", "content")

    def __init__(
        self,
        content: AsyncIterable[Chunk] | Iterable[Chunk],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        content_length: int | None = None,
        conditional: bool = False,
    ) -> None:
        if not hasattr(content, "__aiter__") and (
            not hasattr(content, "__iter__") or isinstance(content, Chunk)
        ):
            raise TypeError(
                f"StreamingResponse draws from an iterable of chunks, not {type(content).__name__}"
            )
        self.content: AsyncIterable[Chunk] | Iterable[Chunk] = content
        self._is_drawn = False
        self._prepare(status_code, headers, media_type, background)
        if content_length is not None:
            if content_length < 0:
                raise ValueError(f"content_length must not be negative, but is {content_length}")
            self.headers["content-length"] = str(content_length)
        if conditional:
            self._make_conditional()

    def _make_etag(self) -> RawHeaders:
        return []

    @property
    def body(self) -> NoReturn:
        """There is none: it is drawn while it is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"{type(self).__name__} draws its body from what it was made with")

    async def _respond(self, scope: Scope | None, receive: Receive, send: Send) -> None:
        async def left() -> None:
            body = Body(receive) if scope is None else shared_body(scope, receive)
            await body.wait_disconnected(abandon=True)

        watch = Watch(left)
        try:
            await watch.run(self._send(scope, send, watch))
        except Exception:
            if self.background is not None:
                await shielded(run_background(self.background))
            raise
        if watch.cut_short:
            logger.debug("the client left")
        if self.background is not None:
            await shielded(run_background(self.background))

    async def _send(self, scope: Scope | None, send: Send, watch: Watch) -> None:
        chunks = self._draw()
        try:
            start, due, has_content = self._start(scope)
            if has_content:
                await self._send_chunks(chunks, send, watch, start, due)
            else:
                await _send_all(send, start, {"type": "http.response.body", "body": b""})
        finally:
            if not _finished(chunks):
                await _close(chunks)

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
        return start, due, is_open

    async def _send_chunks(
        self,
        chunks: AsyncIterator[Chunk],
        send: Send,
        watch: Watch,
        start: Message,
        due: int | None,
    ) -> None:
        """Send all, ``start`` before the first chunk; ``due`` bytes, where they were promised."""
        started = False
        rest = 0  # chunks until there is something to do besides sending
        try:
            async for chunk in chunks:
                if watch.fired:  # and the iterator went on all the same
                    return
                if chunk.__class__ is not bytes:
                    chunk = Response.render(self, chunk)  # noqa: PLW2901 - the same, as bytes
                if due is not None:
                    due = _count(due, len(chunk))
                try:
                    if not rest:
                        rest = TURN
                        if started:
                            await anyio.lowlevel.checkpoint()
                        else:
                            started = True
                            await send(start)
                    rest -= 1
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except OSError as error:
                    logger.debug("the client left: %r", error)
                    return
            if watch.fired:
                return
            if due:
                raise ContentLengthMismatch(f"{due} bytes less than Content-Length says")
            if started or await _send_all(send, start):
                await _send_all(send, {"type": "http.response.body", "body": b""})
        except HTTPError as error:
            error.response_started = started
            raise

    def _draw(self) -> AsyncIterator[Chunk]:
        content: Any = self.content
        # `isinstance` of an abstract class costs ten times as much.
        is_async = hasattr(content, "__aiter__")
        if self._is_drawn or _finished(content):
            raise RuntimeError("this response has sent its iterator already: make one a request")
        # An iterable may be drawn from again; an iterator belongs to whoever is first.
        self._is_drawn = hasattr(content, "__anext__" if is_async else "__next__")
        if is_async:
            chunks: AsyncIterator[Chunk] = aiter(content)
            return chunks
        return _ThreadedIterator(content)


def _count(due: int, size: int) -> int:
    if size > due:
        raise ContentLengthMismatch(f"{size - due} bytes more than Content-Length says")
    return due - size


async def _send_all(send: Send, *messages: Message) -> bool:
    """Send ``messages``; tell whether the client is still there."""
    try:
        for message in messages:
            await send(message)
    except OSError as error:
        logger.debug("the client left: %r", error)
        return False
    return True


def _finished(iterator: object) -> bool:
    """Tell whether ``iterator`` is a generator that came to its end."""
    return getattr(iterator, "ag_frame", iterator) is None or (
        getattr(iterator, "gi_frame", iterator) is None
    )


class _ThreadedIterator:
    """A sync iterable, drawn and closed in worker threads: it may wait as long as it likes."""

    __slots__ = ("content", "iterator")

    def __init__(self, content: Iterable[Chunk]) -> None:
        self.content = content
        self.iterator: Iterator[Chunk] | None = None

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        chunk = await run_in_thread(self._next)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> Chunk:
        if self.iterator is None:
            self.iterator = iter(self.content)
        return next(self.iterator, _END)

    async def aclose(self) -> None:
        iterator: Any = self.iterator
        if iterator is None and hasattr(self.content, "__next__"):
            # It was never drawn from, but is to be closed all the same.
            iterator = self.content
        close = getattr(iterator, "close", None)
        if close is not None and not _finished(iterator):
            await shielded(run_in_thread(close))


async def _close(iterator: AsyncIterator[Chunk]) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        # In this task, since what the generator has open may be bound to it.
        with anyio.CancelScope(shield=True):
            await close()
