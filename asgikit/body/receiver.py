"""The queue between one ``receive()`` and the readers and watchers of its body.

A reader takes a chunk from the queue without an ``await`` before it hands the chunk over. Therefore
a reader that is cancelled or timed out loses no byte: the chunk stays in the queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

import anyio

from asgikit.body.calls import ReceiveCalls
from asgikit.exceptions import ClientDisconnect, RequestTimeout
from asgikit.runtime.backend import checkpoint, is_asyncio
from asgikit.runtime.first_step import wait_within
from asgikit.types import Message, Receive

__all__ = ["READ_AHEAD", "Receiver"]

#: Bytes that a watch queues ahead of the reader. Beyond it, the server applies backpressure.
READ_AHEAD = 1024 * 1024
# Seconds that a poll waits on Trio for a message that is available; asyncio needs none.
_POLL_TIMEOUT = 0.001
# Checkpoints that a reader waits for a message before it sets a timer and an event, which take
# longer than most messages.
_CHECKPOINTS = 3


class Receiver(ReceiveCalls):
    """The chunks of one ``receive()``, for any number of readers and watchers.

    Attributes:
        size: bytes in the queue.
        is_ended: whether the last message of the body was received.
        is_disconnected: whether the client disconnected.
        waited: seconds that readers with a total timeout have waited, alone or together.
    """

    __slots__ = (
        "_changed",
        "_chunks",
        "_error",
        "_unreported",
        "_waited_until",
        "is_disconnected",
        "is_ended",
        "size",
        "waited",
    )

    def __init__(self, receive: Receive) -> None:
        super().__init__(receive)
        self.size: int = 0
        self.is_ended: bool = False
        self.is_disconnected: bool = False
        self.waited: float = 0.0
        self._waited_until = 0.0  # the end of the last wait that `waited` contains
        self._chunks: deque[bytes] | tuple[()] = ()  # an empty deque takes 700 bytes
        self._changed: anyio.Event | None = None
        self._error: Exception | None = None  # raised by each reader
        self._unreported: Exception | None = None  # raised by the next reader or watcher only

    @property
    def is_read(self) -> bool:
        """Whether the queue is empty and no chunk will follow."""
        return self.is_ended and not self._chunks

    @property
    def may_continue(self) -> bool:
        """Whether a chunk may follow."""
        return not (self.is_ended or self.is_disconnected or self._error)

    async def next_chunk(
        self, timeout: float | None, total_timeout: float | None = None
    ) -> bytes | None:
        """Return the next chunk, which may be empty, or ``None`` after the last one.

        Args:
            timeout: seconds to wait for a message; ``None`` for no limit.
            total_timeout: maximum of ``waited`` in seconds; ``None`` for no limit.

        Raises:
            ClientDisconnect: the client disconnected before the end of the body.
            RequestTimeout: no message arrived in time.
        """
        while not self._chunks:
            if self._error is not None:
                self._unreported = None
                raise self._error.with_traceback(None)
            if self.is_ended:
                return None
            if self.is_disconnected:
                raise ClientDisconnect("the client disconnected before its body was complete")
            self.start()
            if self.is_in_flight:
                if total_timeout is None:
                    await self._wait_for_message(timeout)
                else:
                    await self._wait_within_total(timeout, total_timeout)
        chunk = self._chunks.popleft()
        self.size -= len(chunk)
        self._notify()
        return chunk

    async def _wait_within_total(self, timeout: float | None, total: float) -> None:
        left = total - self.waited
        error = RequestTimeout(f"Over total_timeout, which is {total:g} seconds.")
        if left < 0:
            raise error
        start = monotonic()
        try:
            if timeout is None or left < timeout:
                await self._wait_for_message(left, lambda _: error)
            else:
                await self._wait_for_message(timeout)
        finally:
            # The time that two readers waited together counts once.
            now = monotonic()
            self.waited += now - max(start, self._waited_until)
            self._waited_until = now

    async def _wait_for_message(
        self, timeout: float | None, make_error: Callable[[float], Exception] | None = None
    ) -> None:
        for _ in range(_CHECKPOINTS):
            await checkpoint()
            # A watcher may have started the next call already.
            if self._chunks or not (self.is_in_flight and self.may_continue):
                return
        await wait_within(timeout, self.wait_change(), make_error)

    def process(self, message: Message) -> None:
        """Queue the chunk of a message, or note the disconnect."""
        kind = message["type"]
        if kind == "http.request":
            # After an error, a part of the body is missing.
            if not self.is_ended and self._error is None:
                self.is_ended = not message.get("more_body", False)
                chunk: bytes = message.get("body") or b""
                # READ_AHEAD does not count empty chunks: queue at most one.
                if chunk or not (self._chunks or self.is_ended):
                    self._chunks = self._chunks or deque()
                    self._chunks.append(chunk)
                    self.size += len(chunk)
        elif kind == "http.disconnect":
            self.is_disconnected = True
        else:
            error = RuntimeError(f"the server sent {kind!r} where an HTTP message was due")
            return self.process_error(error)
        return self._notify()

    def process_error(self, error: Exception, *, is_reported: bool = False) -> None:
        """Raise ``error`` in each reader from now on, and in the next watcher unless reported."""
        self._error = self._error or error
        self._unreported = None if is_reported else error
        self._notify()

    def raise_unreported(self) -> None:
        """Raise the error of a call that no reader or watcher has raised yet."""
        error, self._unreported = self._unreported, None
        if error is not None:
            raise error

    async def poll(self) -> bool:
        """Return whether the client disconnected, without waiting."""
        while not self.is_disconnected and self.size < READ_AHEAD:
            before = len(self._chunks), self.is_ended
            self.start()
            if is_asyncio():
                await checkpoint()
            else:
                with anyio.move_on_after(_POLL_TIMEOUT):
                    await self.wait_change()
            self.raise_unreported()
            if (len(self._chunks), self.is_ended) == before:
                break
        return self.is_disconnected

    def discard(self) -> None:
        """Discard the queue."""
        self._chunks = ()
        self.size = 0

    async def wait_change(self) -> None:
        """Wait until a call ends or a chunk is taken."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
