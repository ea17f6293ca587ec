"""The body of a request: its readers, over one :class:`~asgikit.body.receiver.Receiver`.

========= ================== ======================= ================= ==============
state     read, gather       stream, parts, replay   watch over 1 MiB  last chunk
========= ================== ======================= ================= ==============
UNREAD    BUFFERING          STREAMED                DISCARDED         --
BUFFERING BUFFERING          STREAMED [1]_           BUFFERING         COMPLETE
STREAMED  ``BodyConsumed``   ``BodyConsumed``        STREAMED          STREAMED
DISCARDED ``BodyConsumed``   ``BodyConsumed``        DISCARDED         DISCARDED
COMPLETE  COMPLETE           COMPLETE                COMPLETE          --
========= ================== ======================= ================= ==============

.. [1] ``BodyConsumed`` while another task reads the whole body.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from asgikit.body.receiver import READ_AHEAD, Receiver
from asgikit.exceptions import BodyConsumed, ClientDisconnect, ContentTooLarge
from asgikit.runtime.backend import checkpoint
from asgikit.types import Message, Receive

__all__ = ["Body", "BodyState", "BodyStream"]


class BodyState(enum.Enum):
    """The use that was made of a body; see the module for the transitions."""

    UNREAD = enum.auto()
    BUFFERING = enum.auto()
    STREAMED = enum.auto()
    DISCARDED = enum.auto()
    COMPLETE = enum.auto()


class Closeable(Protocol):
    """An object that is closed at the end of the request."""

    @property
    def is_open(self) -> bool: ...

    async def close(self) -> None: ...


class Body:
    """The readers of one body.

    Attributes:
        receiver: the source of the chunks.
        state: the use that was made of the body.
        data: the whole body in state ``COMPLETE``, otherwise ``None``.
    """

    __slots__ = ("_buffer", "_holders", "_readers", "_size", "data", "receiver", "state")

    def __init__(self, receive: Receive, data: bytes | None = None) -> None:
        self.receiver: Receiver = Receiver(receive)
        self.receiver.is_ended = data is not None
        self.state: BodyState = BodyState.UNREAD if data is None else BodyState.COMPLETE
        self.data: bytes | None = data
        self._buffer: list[bytes] = []
        self._size = len(data or b"")  # of the buffer, in bytes
        self._readers = 0  # tasks that read the whole body
        self._holders: list[Closeable] | None = None

    @property
    def receive(self) -> Receive:
        """The ``receive()`` of the request."""
        return self.receiver.receive

    async def read(
        self,
        limit: int | None,
        timeout: float | None,
        name: str = "max_body_size",
        total_timeout: float | None = None,
    ) -> bytes:
        """Read the whole body; later calls return the same bytes.

        Args:
            limit: maximum size in bytes, also of a body that was read before.
            timeout: seconds to wait for each message.
            name: name of the limit.
            total_timeout: seconds to wait for all messages, in sum over the readers.

        Raises:
            BodyConsumed: the body was streamed.
            ClientDisconnect: the client disconnected before the end.
            ContentTooLarge: the body is over ``limit``; raised as the bytes arrive.
            RequestTimeout: a message, or the whole body, did not arrive in time.
        """
        if self.data is None:
            self._start_buffering()
            self._readers += 1
            try:
                while limit is None or self._size <= limit:
                    self._keep(await self.receiver.next_chunk(timeout, total_timeout))
                    if self.state is BodyState.COMPLETE:
                        break
            finally:
                self._readers -= 1
        if self.data is None or (limit is not None and self._size > limit):
            raise ContentTooLarge(name, limit or 0)
        return self.data

    async def gather(self) -> bytes | None:
        """Return the next chunk and buffer it; ``None`` after the last one.

        Raises:
            BodyConsumed: the body was streamed.
            ClientDisconnect: the client disconnected before the end.
        """
        self._start_buffering()
        self._readers += 1
        try:
            chunk = await self.receiver.next_chunk(None)
        finally:
            self._readers -= 1
        self._keep(chunk)
        return chunk

    def _keep(self, chunk: bytes | None) -> None:
        if self.data is not None:
            return  # another task has read the rest
        if chunk:
            self._buffer.append(chunk)
            self._size += len(chunk)
        if self.receiver.is_read:
            self.data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
            self._buffer = []
            self.state = BodyState.COMPLETE

    def _start_buffering(self) -> None:
        self._check_unconsumed()
        if self.state is BodyState.UNREAD:
            self.state = BodyState.BUFFERING

    def _check_unconsumed(self) -> None:
        if self.state is BodyState.DISCARDED:
            raise BodyConsumed(
                "the body was discarded when it exceeded 1 MiB, because a response was being sent "
                "and no reader had started: start to read it before the response"
            )
        if self.state is BodyState.STREAMED:
            raise BodyConsumed(
                "the body was streamed and not kept: call body() first if it is needed twice"
            )

    def stream(self, timeout: float | None) -> BodyStream:
        """Return an iterator over the chunks as they arrive; no chunk is empty.

        Raises:
            BodyConsumed: the body was streamed before.
            ClientDisconnect: the client disconnected before the end.
            RequestTimeout: a message did not arrive in time.
        """
        return BodyStream(self, timeout)

    def start(self) -> list[bytes]:
        """Claim the body for a reader that calls :meth:`next`, and return the buffered chunks.

        Raises:
            BodyConsumed: the body was streamed before, or another task reads the whole body.
        """
        if self.data is not None:
            return [self.data] if self.data else []
        self._check_unconsumed()
        if self._readers:
            raise BodyConsumed("another task is reading the whole body: use its result")
        self.state = BodyState.STREAMED
        chunks, self._buffer = self._buffer, []
        return chunks

    async def next(self, timeout: float | None) -> bytes | None:
        """Return the next chunk of a claimed body, which may be empty; ``None`` at the end."""
        return await self.receiver.next_chunk(timeout)

    @property
    def is_being_read(self) -> bool:
        """Whether a task reads the whole body."""
        return self._readers > 0

    def kept(self) -> list[bytes]:
        """Return the buffered chunks."""
        return self._buffer if self.data is None else [self.data]

    def replay(self) -> Receive:
        """Return a ``receive()`` for another app: the buffered chunks, then live messages.

        It raises :exc:`BodyConsumed` if chunks were handed out that are not kept.
        """
        return Replay(self).receive

    async def is_disconnected(self) -> bool:
        """Return whether the client disconnected, without waiting."""
        return await self.receiver.poll()

    async def wait_disconnected(self, *, abandon: bool = False) -> None:
        """Wait until the client disconnected.

        Args:
            abandon: discard a body over 1 MiB that is unread, instead of waiting for a reader. The
                disconnect message comes after the body.
        """
        receiver = self.receiver
        while not receiver.is_disconnected:
            if abandon and receiver.size >= READ_AHEAD and self.state is BodyState.UNREAD:
                self.state = BodyState.DISCARDED
            if self.state is BodyState.DISCARDED:
                receiver.discard()
            if receiver.is_in_flight or receiver.size >= READ_AHEAD:
                await receiver.wait_change()
            elif abandon:
                await receiver.call_in_current_task()
            else:
                receiver.start()
            receiver.raise_unreported()
            if not receiver.is_in_flight and not receiver.is_disconnected:
                # A receive() that never waits must not block the event loop.
                await checkpoint()

    @property
    def is_open(self) -> bool:
        """Whether :meth:`close` has an effect."""
        return self.receiver.has_task or any(holder.is_open for holder in self._holders or ())

    def hold(self, holder: Closeable) -> None:
        """Close ``holder`` with the body."""
        self._holders = [*(self._holders or ()), holder]

    async def close(self) -> None:
        """Close the files, and cancel the call of ``receive()`` that is in flight."""
        holders, self._holders = self._holders, None
        for holder in holders or ():
            await holder.close()
        await self.receiver.close()


class BodyStream(AsyncGenerator[bytes]):
    """The chunks of a body; an interrupted iteration continues at the next byte."""

    __slots__ = ("_body", "_chunks", "_is_closed", "_is_running", "_timeout")

    def __init__(self, body: Body, timeout: float | None) -> None:
        self._body = body
        self._timeout = timeout
        self._chunks: list[bytes] | None = None
        self._is_running = False
        self._is_closed = False

    async def __anext__(self) -> bytes:
        """Return the next chunk.

        Raises:
            BodyConsumed: another task iterates, or the stream was closed.
        """
        if self._is_running:
            raise BodyConsumed("another task is reading this stream")
        if self._is_closed:
            raise BodyConsumed("this stream was closed")
        if self._chunks is None:
            self._chunks = self._body.start()
        if self._chunks:
            return self._chunks.pop(0)
        self._is_running = True
        try:
            while True:
                chunk = await self._body.next(self._timeout)
                if chunk:
                    return chunk
                if chunk is None:
                    raise StopAsyncIteration
        finally:
            self._is_running = False

    async def asend(self, value: None) -> bytes:  # noqa: ARG002 - of the base class
        """Return the next chunk."""
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> bytes:  # noqa: ARG002 - as above
        """Close the stream and raise."""
        self._is_closed = True
        raise typ

    async def aclose(self) -> None:
        """Close the stream: a later iteration raises ``BodyConsumed``."""
        self._is_closed = True


class Replay:
    """The state of a ``receive()`` that starts at the first byte of a body."""

    __slots__ = ("_body", "_has_started", "_is_finished")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._has_started = False
        self._is_finished = False

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            BodyConsumed: chunks were handed out that are not kept.
        """
        body = self._body
        if self._is_finished:
            await body.wait_disconnected()
            return {"type": "http.disconnect"}
        data = b""
        if not self._has_started:
            chunks = body.start()
            self._has_started = True
            data = b"".join(chunks)
        if not data and body.data is None:
            try:
                data = await body.next(None) or b""
            except ClientDisconnect:
                return {"type": "http.disconnect"}
        self._is_finished = body.data is not None or body.receiver.is_read
        return {"type": "http.request", "body": data, "more_body": not self._is_finished}
