"""A request's body: ``receive()`` as bounded, shareable, lossless chunks.

One :class:`Body` belongs to one ``receive`` and lives in the scope, so that every
:class:`~asgikit.Request` over the same pair sees the same bytes. One call of ``receive`` is in
flight at a time, whoever made it; what it brings goes to whoever reads next. So watching for the
client to leave loses no byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol

import anyio

from asgikit.exceptions import BodyConsumed, ClientDisconnect, ContentTooLarge, RequestTimeout
from asgikit.runtime.backend import give_turn, is_asyncio
from asgikit.runtime.first_step import DONE, deliver, finish_within, wait_within
from asgikit.runtime.tasks import BackgroundTask, start_task, wait_end
from asgikit.types import Message, Receive

__all__ = ["Body"]

#: Bytes that a watch reads ahead of the reader: past it, it lets the server hold the client back.
READ_AHEAD = 1024 * 1024
#: Seconds that a poll gives trio to bring what is there; asyncio needs none.
POLL = 0.001


class Closeable(Protocol):
    """What is closed once the request is over."""

    @property
    def is_open(self) -> bool: ...

    async def close(self) -> None: ...


class Body:
    """The messages of one ``receive``, for any number of readers and watchers."""

    __slots__ = (
        "_abandoned",
        "_begun",
        "_busy",
        "_changed",
        "_complete",
        "_failure",
        "_holders",
        "_left",
        "_parts",
        "_poll",
        "_queue",
        "_queued",
        "_readers",
        "_size",
        "_streamed",
        "_streams",
        "_unheard",
        "_wanted",
        "data",
        "receive",
    )

    def __init__(self, receive: Receive, data: bytes | None = None) -> None:
        self.receive: Receive = receive
        self.data: bytes | None = data  # the whole of it, once it was read whole
        self._parts: list[bytes] | None = None  # what is here of it until then
        self._size = len(data or b"")  # of the parts, in bytes
        self._queue: deque[bytes] | None = None  # read ahead by watchers
        self._queued = 0  # in bytes
        self._complete = data is not None  # the last chunk was received
        self._left = False  # the client was seen to leave
        self._streamed = False  # chunks were handed out and kept by nobody
        self._readers = 0  # that gather the whole of it
        self._wanted = data is not None  # somebody has asked for it
        self._abandoned = False  # nobody had, and it was thrown away
        self._busy = False  # a call of receive() is in flight
        # One that has taken its first step, what that gave, and where the message will be.
        self._begun: tuple[Generator[Any, Any, None], Any, list[Message]] | None = None
        self._changed: anyio.Event | None = None  # set when that ends, or when a chunk is taken
        self._failure: Exception | None = None  # of receive(), for all who read from then on
        self._unheard: Exception | None = None  # the same, of a poll that nobody waited for
        self._poll: BackgroundTask | None = None
        self._streams: list[AsyncGenerator[bytes]] | None = None
        self._holders: list[Closeable] | None = None  # of files that were made of it

    def go_on(self, steps: Generator[Any, Any, None], step: Any, results: list[Message]) -> None:
        """Take over a call of ``receive`` that has taken its first step."""
        self._begun = steps, step, results

    def fail(self, error: Exception) -> None:
        """Note that ``receive`` has failed: what it would have given is missing from now on."""
        self._failure = error

    async def read(
        self, limit: int | None, timeout: float | None, name: str = "max_body_size"
    ) -> bytes:
        """Read the whole body, once; later calls give the same bytes.

        Args:
            limit: bytes at most, also of a body that was read before.
            timeout: seconds to wait for each message.
            name: of the limit.

        Raises:
            BodyConsumed: it was streamed.
            ClientDisconnect: the client left before its end.
            ContentTooLarge: it is over ``limit``, told as the bytes arrive.
            RequestTimeout: a message did not come in time.
        """
        if self.data is None:
            self._want()
            self._readers += 1
            try:
                while not self._is_read and (limit is None or self._size <= limit):
                    self._gather(await self.next(timeout))
            finally:
                self._readers -= 1
        if self.data is None or (limit is not None and self._size > limit):
            raise ContentTooLarge(name, limit or 0)
        return self.data

    async def gather(self) -> bytes | None:
        """Give the next chunk, and keep it for the whole; ``None`` after the last one.

        Raises:
            BodyConsumed: it was streamed.
            ClientDisconnect: the client left before its end.
        """
        self._want()
        self._readers += 1
        try:
            chunk = await self.next(None)
        finally:
            self._readers -= 1
        self._gather(chunk)
        return chunk

    def _gather(self, chunk: bytes | None) -> None:
        """Keep a chunk for the whole, which the last one makes; ``None`` comes after that."""
        if self.data is not None:
            return  # somebody else has read the rest
        if chunk is None:
            self.data = b"".join(self._parts or ())
            self._parts = None
        elif self._complete and not self._size and not self._queue:
            # Most bodies come in one message.
            self.data = chunk
            self._size = len(chunk)
        elif chunk:
            self._parts = self._parts or []
            self._parts.append(chunk)
            self._size += len(chunk)

    def stream(self, timeout: float | None) -> AsyncGenerator[bytes]:
        """Hand out the chunks as they arrive, once; none is empty.

        Raises:
            BodyConsumed: it was streamed before.
            ClientDisconnect: the client left before its end.
            RequestTimeout: a message did not come in time.
        """
        chunks = self._stream(timeout)
        # Whoever breaks off a loop leaves the generator open: it is closed with the request.
        self._streams = [*(self._streams or ()), chunks]
        return chunks

    async def _stream(self, timeout: float | None) -> AsyncGenerator[bytes]:
        for part in self.start():
            yield part
        while (chunk := await self.next(timeout)) is not None:
            if chunk:
                yield chunk

    def start(self) -> list[bytes]:
        """Claim the body for a reader that calls :meth:`next`, and give what is here of it.

        Raises:
            BodyConsumed: it was streamed before, or somebody is reading it whole.
        """
        if self.data is not None:
            return [self.data] if self.data else []
        return self._take_parts() or []

    def kept(self) -> list[bytes]:
        """Give what is here of the whole, which others have read."""
        return [self.data] if self.data is not None else self._parts or []

    def replay(self) -> Receive:
        """Make a ``receive`` for the next app: what was read so far, then live messages.

        Raises:
            BodyConsumed: it was streamed.
        """
        if self.data is None:
            self._want()
        begun = finished = False

        async def receive() -> Message:
            nonlocal begun, finished
            if finished:
                await self.wait_disconnected()
                return {"type": "http.disconnect"}
            ahead = None if begun else self._hand_over()
            begun = True
            try:
                chunk = await self.next(None) if ahead is None else ahead
            except ClientDisconnect:
                return {"type": "http.disconnect"}
            finished = chunk is None or self._is_read or self._is_at_end
            return {"type": "http.request", "body": chunk or b"", "more_body": not finished}

        return receive

    def _hand_over(self) -> bytes | None:
        """Give what was read so far, for good where that is not the whole."""
        if self.data is not None:
            return self.data
        parts = self._take_parts()
        return None if parts is None else b"".join(parts)

    def _take_parts(self) -> list[bytes] | None:
        """Take what a reader that was cancelled half-way has left: nobody else gets it now."""
        if self._readers:
            raise BodyConsumed("the body is being read whole just now: use what that gives")
        self._want()
        self._streamed = True
        parts, self._parts = self._parts, None
        return parts

    @property
    def _is_read(self) -> bool:
        return self.data is not None

    @property
    def _is_at_end(self) -> bool:
        return self._complete and not self._queue

    async def is_disconnected(self) -> bool:
        """Tell whether the client has left, without waiting for it."""
        while not self._left and self._queued < READ_AHEAD:
            queued = self._queued
            complete = self._complete
            if not self._busy:
                self._start_poll()
            if is_asyncio():
                await give_turn()
            elif self._poll is not None and not self._poll.done():
                with anyio.move_on_after(POLL):
                    await self._change()
            self._raise_unheard()
            if self._queued == queued and self._complete == complete:
                break
        return self._left

    def _start_poll(self) -> None:
        # A call that is cancelled might take its message along, so this one is left in flight. It
        # counts from now on, not from when its task runs.
        self._busy = True
        self._poll = start_task(self._run_poll())

    async def _run_poll(self) -> None:
        try:
            await self._fill()
        except Exception as error:  # noqa: BLE001 - kept for who asks next
            self._unheard = error

    def _raise_unheard(self) -> None:
        error, self._unheard = self._unheard, None
        if error is not None:
            raise error

    async def wait_disconnected(self, *, abandon: bool = False) -> None:
        """Wait until the client has left.

        Args:
            abandon: throw the body away where it is over 1 MiB and nobody has asked for it,
                instead of waiting for a reader: a client could hide its leaving behind it.
        """
        while not self._left:
            if self._queued >= READ_AHEAD:
                if abandon and not self._wanted:
                    self._abandoned = True
                    self._queue = None
                    self._queued = 0
                else:
                    await self._change()
            elif abandon and not self._busy:
                await self._fill()
            else:
                if not self._busy:
                    self._start_poll()
                await self._change()
            self._raise_unheard()

    @property
    def is_open(self) -> bool:
        """Whether there may be something to close."""
        return (
            self._poll is not None
            or self._streams is not None
            or (self._holders is not None and any(holder.is_open for holder in self._holders))
        )

    def hold(self, holder: Closeable) -> None:
        """Have what holds files that were made of this body closed with it."""
        self._holders = [*(self._holders or ()), holder]

    async def close(self) -> None:
        """Close the files and the generators that were left open, and stop a poll in flight."""
        holders, self._holders = self._holders, None
        for holder in holders or ():
            await holder.close()
        streams, self._streams = self._streams, None
        for chunks in streams or ():
            # One that is read by another task just now is that one's to close.
            if not getattr(chunks, "ag_running", False):
                await chunks.aclose()
        poll, self._poll = self._poll, None
        if poll is not None and not poll.done():
            poll.cancel()
            await wait_end(poll)
            # A task that was cancelled before it ran has not said so itself.
            self._busy = False
            self._notify()

    async def next(self, timeout: float | None) -> bytes | None:
        """Give the next chunk, ``None`` after the last one."""
        while not self._queue:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._complete:
                return None
            if self._left:
                raise ClientDisconnect("the client left before its body was complete")
            if self._busy:
                await wait_within(timeout, self._change())
                continue
            self._busy = True
            try:
                message = self._begin()
                if message is None:
                    message = await self._finish(timeout)
            except RequestTimeout:
                raise
            except Exception as error:
                self._failure = error
                raise
            finally:
                self._busy = False
                if self._changed is not None:
                    self._notify()
            chunk = self._take(message)
            if chunk is not None:
                return chunk
        chunk = self._queue.popleft()
        self._queued -= len(chunk)
        self._notify()
        return chunk

    def _begin(self) -> Message | None:
        """Call ``receive``; give its message if that is there, or else leave the call begun."""
        # trio's timer has to begin before what it bounds.
        if self._begun is None and is_asyncio():
            results: list[Message] = []
            steps = deliver(self.receive(), results)
            step = next(steps, DONE)
            if step is DONE:
                return results[0]
            self._begun = steps, step, results
        return None

    async def _finish(self, timeout: float | None) -> Message:
        begun, self._begun = self._begun, None
        if begun is None:
            return await wait_within(timeout, self.receive())
        steps, step, results = begun
        if step is not DONE:
            await finish_within(timeout, steps, step)
        return results[0]

    async def _fill(self) -> None:
        """Receive one message and keep what it brings for the reader."""
        self._busy = True
        try:
            chunk = self._take(await self.receive())
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._busy = False
            self._notify()
        if chunk and not self._abandoned:
            self._queue = self._queue or deque()
            self._queue.append(chunk)
            self._queued += len(chunk)
        elif not self._left:
            # A `receive` that is always ready, with nothing, must not hold up the loop.
            await give_turn()

    def _take(self, message: Message) -> bytes | None:
        kind = message["type"]
        if kind == "http.request":
            if self._complete:
                return None  # there is no more to come, whatever this is
            self._complete = not message.get("more_body", False)
            body: bytes = message.get("body") or b""
            return body
        if kind == "http.disconnect":
            self._left = True
            return None
        raise RuntimeError(f"the server sent {kind!r} where an HTTP message was due")

    def _want(self) -> None:
        """Note that somebody asks for the body."""
        if self._abandoned:
            raise BodyConsumed(
                "the body was thrown away when it passed 1 MiB: a response was under way, and "
                "nobody had asked for it; read it, or start to, before the response"
            )
        if self._streamed:
            raise BodyConsumed(
                "the body was streamed, which keeps nothing: call body() first where it is needed "
                "twice"
            )
        self._wanted = True

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
