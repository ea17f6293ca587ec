"""Responses that are sent as they are made, and that notice when the client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, NoReturn, TypeAlias, cast

import anyio.lowlevel

from asgikit.asgi import Message, Receive, Scope, Send
from asgikit.body import Body, shared_body
from asgikit.concurrency import run_in_thread, run_watched, shielded
from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.responses import (
    HeadersArgument,
    Response,
    logger,
    promised_length,
    run_background,
)

__all__ = ["StreamingResponse"]

Chunk: TypeAlias = str | bytes | bytearray | memoryview

# Chunks that may be sent without a turn of the event loop. Neither a generator nor a server's send
# has to wait, so that without this the loop might never get to see that the client left.
TURN = 128

_END: Any = object()
_LAST: Message = {"type": "http.response.body", "body": b""}


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

    Raises:
        TypeError: ``content`` is no iterable of chunks.

    >>> async def count():
    ...     for number in range(3):
    ...         yield f"{number}\n"
    >>> StreamingResponse(count(), media_type="text/plain")
    <StreamingResponse 200>
    """

    __slots__ = ("content",)

    def __init__(
        self,
        content: AsyncIterable[Chunk] | Iterable[Chunk],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        content_length: int | None = None,
    ) -> None:
        if not hasattr(content, "__aiter__") and (
            not hasattr(content, "__iter__") or isinstance(content, str | bytes | bytearray)
        ):
            raise TypeError(
                f"StreamingResponse draws from an iterable of chunks, not {type(content).__name__}"
            )
        self.content = content
        self._prepare(status_code, headers, media_type, background)
        if content_length is not None:
            self.headers["content-length"] = str(content_length)

    @property
    def body(self) -> NoReturn:
        """There is none: it is drawn while it is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"{type(self).__name__} draws its body from what it was made with")

    async def _respond(self, scope: Scope | None, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            body = Body(receive) if scope is None else shared_body(scope, receive)
            await body.wait_disconnected(abandon=True)

        head = scope is not None and scope["method"] == "HEAD"
        try:
            if not await run_watched(self._send(send, head=head), watch):
                logger.debug("the client left")
        except Exception:
            if self.background is not None:
                await shielded(run_background(self.background))
            raise
        if self.background is not None:
            await shielded(run_background(self.background))

    async def _send(self, send: Send, *, head: bool) -> None:
        chunks = _draw(self.content)
        started = False
        try:
            headers, has_content = self._for_status(self._checked_headers())
            start = {"type": "http.response.start", "status": self.status_code, "headers": headers}
            if head or not has_content:
                await _send_all(send, start, _LAST)
                return
            due = None if self._headers is None else promised_length(headers)
            plain = False  # started, and nothing to count
            turn = TURN
            async for chunk in chunks:
                if chunk.__class__ is not bytes:
                    chunk = Response.render(self, chunk)  # noqa: PLW2901 - the same, as bytes
                if not plain:
                    if due is not None:
                        due -= len(chunk)
                        if due < 0:
                            raise ContentLengthMismatch(f"{-due} bytes over Content-Length")
                    if not started:
                        started = True
                        if not await _send_all(send, start):
                            return
                    plain = due is None
                try:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except OSError as error:
                    logger.debug("the client left: %r", error)
                    return
                turn -= 1
                if not turn:
                    turn = TURN
                    await anyio.lowlevel.checkpoint()
            if due:
                raise ContentLengthMismatch(f"{due} bytes less than Content-Length says")
            await _send_all(send, _LAST) if started else await _send_all(send, start, _LAST)
        except HTTPError as error:
            error.response_started = started
            raise
        finally:
            await _close(chunks)


async def _send_all(send: Send, *messages: Message) -> bool:
    """Send ``messages``; tell whether the client is still there."""
    try:
        for message in messages:
            await send(message)
    except OSError as error:
        logger.debug("the client left: %r", error)
        return False
    return True


def _draw(content: AsyncIterable[Chunk] | Iterable[Chunk]) -> AsyncIterator[Chunk]:
    if _finished(content):
        raise RuntimeError("the iterator of this response was sent already: make one a request")
    # `isinstance` of an abstract class costs ten times as much.
    if hasattr(content, "__aiter__"):
        return aiter(cast("AsyncIterable[Chunk]", content))
    return _ThreadedIterator(cast("Iterable[Chunk]", content))


def _finished(iterator: object) -> bool:
    """Tell whether ``iterator`` is a generator that came to its end."""
    return getattr(iterator, "ag_frame", iterator) is None or (
        getattr(iterator, "gi_frame", iterator) is None
    )


class _ThreadedIterator:
    """A sync iterable, drawn and closed in worker threads: it may wait as long as it likes."""

    __slots__ = ("iterator",)

    def __init__(self, content: Iterable[Chunk]) -> None:
        self.iterator = iter(content)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        chunk = await run_in_thread(next, self.iterator, _END)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        close = getattr(self.iterator, "close", None)
        if close is not None and not _finished(self.iterator):
            await run_in_thread(close)


async def _close(iterator: AsyncIterator[Chunk]) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None and not _finished(iterator):
        await shielded(close())
