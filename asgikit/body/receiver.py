"""The messages of one ``receive()``: one call in flight, a bounded queue, the disconnect flag.

No client of a :class:`Receiver` cancels a call of ``receive()``, because some servers lose the
message then. A call that waits continues in a task; a cancellation or a timeout ends the wait of
the client only. A chunk is taken from the queue without an ``await`` before it is handed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import anyio

from asgikit.exceptions import BodyConsumed, ClientDisconnect
from asgikit.runtime.backend import checkpoint, is_asyncio
from asgikit.runtime.first_step import deliver, finish_steps, wait_within
from asgikit.runtime.tasks import (
    BackgroundTask,
    FirstStep,
    continue_in_task,
    start_task,
    take_first_step,
    wait_end,
)
from asgikit.types import Message, Receive

__all__ = ["READ_AHEAD", "Receiver"]

#: Bytes that a watch queues ahead of the reader. Beyond it, the server applies backpressure.
READ_AHEAD = 1024 * 1024
#: Seconds that a poll waits on trio for a message that is available; asyncio needs none.
POLL = 0.001


class Receiver:
    """The chunks of one ``receive()``, for any number of readers and watchers.

    Attributes:
        receive: the ``receive()`` of the request.
        size: bytes in the queue.
        is_ended: the last message of the body was received.
        is_disconnected: the client disconnected.
    """

    __slots__ = (
        "_call",
        "_changed",
        "_chunks",
        "_error",
        "_in_flight",
        "_unreported",
        "is_disconnected",
        "is_ended",
        "receive",
        "size",
    )

    def __init__(self, receive: Receive) -> None:
        self.receive: Receive = receive
        self.size: int = 0
        self.is_ended: bool = False
        self.is_disconnected: bool = False
        self._chunks: deque[bytes] = deque()
        self._in_flight = False
        self._call: BackgroundTask | None = None
        self._changed: anyio.Event | None = None
        self._error: Exception | None = None  # raised by each reader
        self._unreported: Exception | None = None  # raised by the next client only

    @property
    def is_read(self) -> bool:
        """Whether the queue is empty and no chunk will follow."""
        return self.is_ended and not self._chunks

    @property
    def is_open(self) -> bool:
        """Whether a task may be running."""
        return self._call is not None

    async def next_chunk(self, timeout: float | None) -> bytes | None:
        """Return the next chunk, which may be empty, or ``None`` after the last one."""
        while not self._chunks:
            if self._error is not None:
                self._unreported = None
                raise self._error.with_traceback(None)
            if self.is_ended:
                return None
            if self.is_disconnected:
                raise ClientDisconnect("the client disconnected before its body was complete")
            self.start()
            if self._in_flight:
                await wait_within(timeout, self.wait_change())
        chunk = self._chunks.popleft()
        self.size -= len(chunk)
        self._notify()
        return chunk

    @property
    def is_in_flight(self) -> bool:
        """Whether a call of ``receive()`` has not returned yet."""
        return self._in_flight

    async def call_once(self) -> None:
        """Call ``receive()`` in this task, for the watch of a response.

        The watch sees a disconnect without a turn of the event loop in between, so that nothing
        more is sent. It is cancelled only at the end of the response.
        """
        self._in_flight = True
        await self._finish(None)

    def start(self) -> None:
        """Call ``receive()``, unless a call is in flight."""
        if self._in_flight:
            return
        self._in_flight = True
        if not is_asyncio():
            self._call = start_task(self._finish(None))
            return
        results: list[Message] = []
        try:
            steps = deliver(self.receive(), results)
            first = take_first_step(steps)
        except Exception as error:  # noqa: BLE001 - raised by the next client
            self.fail(error)
        else:
            if first is None:
                self.accept(results[0])
            else:
                self.adopt(first, steps, results)

    def adopt(
        self, first: FirstStep, steps: Generator[Any, Any, None], results: list[Message]
    ) -> None:
        """Continue a call of ``receive()`` that waits after its first step."""
        self._in_flight = True
        self._call = continue_in_task(first, self._finish((steps, first[0], results)))

    async def _finish(
        self, begun: tuple[Generator[Any, Any, None], Any, list[Message]] | None
    ) -> None:
        try:
            if begun is None:
                message = await self.receive()
            else:
                await finish_steps(begun[0], begun[1])
                message = begun[2][0]
        except Exception as error:  # noqa: BLE001 - raised by the next client
            self.fail(error)
        except BaseException:
            # Only readers miss the message that may be lost: a watch calls receive() again.
            lost = BodyConsumed("receive() was cancelled, which may lose a part of the body")
            self.fail(lost, is_reported=True)
            raise
        else:
            self.accept(message)

    def fail(self, error: Exception, *, is_reported: bool = False) -> None:
        """Raise ``error`` in each reader from now on, and in the next watcher unless reported."""
        self._error = self._error or error
        self._unreported = None if is_reported else error
        self._in_flight = False
        self._call = None
        self._notify()

    def accept(self, message: Message) -> None:
        """End a call of ``receive()`` with its message."""
        kind = message["type"]
        if kind == "http.request":
            # After an error, a part of the body is missing.
            if not self.is_ended and self._error is None:
                self.is_ended = not message.get("more_body", False)
                chunk: bytes = message.get("body") or b""
                # Empty messages are not counted by READ_AHEAD: queue one at most.
                if chunk or not self._chunks:
                    self._chunks.append(chunk)
                    self.size += len(chunk)
        elif kind == "http.disconnect":
            self.is_disconnected = True
        else:
            error = RuntimeError(f"the server sent {kind!r} where an HTTP message was due")
            return self.fail(error)
        self._in_flight = False
        self._call = None
        self._notify()
        return None

    async def poll(self) -> bool:
        """Return whether the client disconnected, without waiting."""
        while not self.is_disconnected and self.size < READ_AHEAD:
            before = len(self._chunks), self.is_ended
            self.start()
            if is_asyncio():
                await checkpoint()
            else:
                with anyio.move_on_after(POLL):
                    await self.wait_change()
            self.raise_unreported()
            if (len(self._chunks), self.is_ended) == before:
                break
        return self.is_disconnected

    def raise_unreported(self) -> None:
        """Raise the error of a call that no client has raised yet."""
        error, self._unreported = self._unreported, None
        if error is not None:
            raise error

    def discard(self) -> None:
        """Discard the queue."""
        self._chunks.clear()
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

    async def close(self) -> None:
        """Cancel the call in flight."""
        call = self._call
        if call is not None:
            call.cancel()
            await wait_end(call)
            self._in_flight = False
            self._call = self._unreported = None
