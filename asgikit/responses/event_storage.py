"""Storage of event streams: the protocol of :class:`~asgikit.EventLog`, and memory."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import anyio

from asgikit.http.grammar import parse_digits
from asgikit.runtime.backend import checkpoint

__all__ = ["EventStorage", "MemoryStorage"]

#: A position and the event there. An empty event is the end of the stream.
Stored: TypeAlias = tuple[str, bytes]

# Bytes of memory beside those of an event, and of a stream with its key: upper estimates.
EVENT_OVERHEAD = 250
STREAM_OVERHEAD = 1000

# The most that one `read` returns: the memory that a slow follower holds.
MAX_EVENTS_READ = 64
MAX_BYTES_READ = 64 * 1024


class EventStorage(Protocol):
    """Where an :class:`~asgikit.EventLog` keeps its events: in memory, or for several processes.

    A key names a stream. It is the ``owner`` of the log's methods, ``""`` for ``None``. A position
    is a ``str`` of ASCII letters, digits and hyphens. Each position that a method receives was
    returned for the same key before, perhaps by another process, and perhaps long ago.
    """

    async def append(self, key: str, event: bytes) -> str:
        """Append an event, and return its position; wake the followers that wait.

        A cancelled call has either appended the event or not.
        """
        ...

    async def read(self, key: str, position: str | None) -> Sequence[Stored] | None:
        """Return the next events after a position at once, oldest first; empty if there are none.

        Return ``None`` if an event after the position was dropped, or if that is not known. The
        position ``None`` stands before the oldest kept event.
        """
        ...

    async def wait(self, key: str, position: str | None) -> None:
        """Return once there may be an event after a position; at once if there is one."""
        ...


class _Stream:
    """The kept events of one key, which have consecutive numbers."""

    __slots__ = ("end", "events", "first", "follower_count", "more")

    def __init__(self) -> None:
        # A random start: a number of another stream, or of an earlier process, is not one of this.
        self.first = self.end = secrets.randbits(60)
        self.events: dict[int, tuple[float, bytes]] = {}  # with the time of the end of its life
        self.follower_count = 0  # that wait
        self.more: anyio.Event | None = None  # set by the next event


class MemoryStorage:
    """Events in the memory of one process, of one event loop.

    Args:
        max_events: the number of events kept in each stream.
        max_bytes: the memory for all streams together. The events of the stream that has been
            without a new one for the longest time are dropped first.
        ttl: seconds after which an event is dropped, at the next call of a method.

    Raises:
        ValueError: a limit is not positive.
    """

    def __init__(self, max_events: int, max_bytes: int, ttl: float) -> None:
        if not (max_events > 0 and max_bytes > 0 and ttl > 0):
            raise ValueError("max_events, max_bytes and ttl must be positive")
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._size = 0
        # A stream without events is kept while followers wait, for whom nothing was dropped.
        self._streams: dict[str, _Stream] = {}
        self._filled: OrderedDict[str, _Stream] = OrderedDict()  # by the time of their last events

    async def append(self, key: str, event: bytes) -> str:
        """Append an event; drop the oldest ones over a limit.

        Raises:
            RuntimeError: the stream was closed. To close it again has no effect.
            ValueError: the event alone exceeds ``max_bytes``.
        """
        # A producer that never waits would leave its followers behind.
        await checkpoint()
        if len(event) + EVENT_OVERHEAD + len(key) + STREAM_OVERHEAD > self._max_bytes:
            raise ValueError(f"an event of {len(event)} bytes exceeds max_bytes of the log")
        self._drop_expired(key)
        stream = self._streams.get(key) or self._add_stream(key)
        if not stream.events:
            self._size += len(key) + STREAM_OVERHEAD
        elif not stream.events[stream.end - 1][1]:
            if not event:
                return str(stream.end - 1)
            raise RuntimeError("the stream of this owner was closed: nothing can be appended")
        # orjson allocates more memory than its result has bytes: keep a copy.
        event = bytes(memoryview(event))
        number = stream.end
        stream.events[number] = time.monotonic() + self._ttl, event
        stream.end += 1
        self._size += len(event) + EVENT_OVERHEAD
        self._filled[key] = stream
        self._filled.move_to_end(key)
        if event and len(stream.events) > self._max_events:
            self._drop_first(key, stream)
        while self._size > self._max_bytes:
            self._drop_first(*next(iter(self._filled.items())))
        if stream.more is not None:
            stream.more.set()
            stream.more = None
        return str(number)

    async def read(self, key: str, position: str | None) -> Sequence[Stored] | None:
        """Return at most 64 events, and 64 KiB unless the first one is larger."""
        self._drop_expired(key)
        stream = self._streams.get(key)
        number = None if position is None else parse_digits(position)
        if stream is None:
            return [] if number is None else None
        number = stream.first if number is None else number + 1
        if not stream.first <= number <= stream.end:
            return None
        found: list[Stored] = []
        size = 0
        while number < stream.end and len(found) < MAX_EVENTS_READ and size < MAX_BYTES_READ:
            event = stream.events[number][1]
            size += len(event)
            found.append((str(number), event))
            number += 1
        return found

    async def wait(self, key: str, position: str | None) -> None:
        """Wait for the next event, unless there is one."""
        stream = self._streams.get(key) or self._add_stream(key)
        if stream.events and position != str(stream.end - 1):
            return
        if stream.more is None:
            stream.more = anyio.Event()
        stream.follower_count += 1
        try:
            await stream.more.wait()
        finally:
            stream.follower_count -= 1
            self._discard_unused(key, stream)

    def _add_stream(self, key: str) -> _Stream:
        self._streams[key] = stream = _Stream()
        return stream

    def _discard_unused(self, key: str, stream: _Stream) -> None:
        if not stream.events and not stream.follower_count:
            self._streams.pop(key, None)

    def _drop_expired(self, key: str) -> None:
        """Drop the expired events of ``key``, and of all streams without any other event."""
        now = time.monotonic()
        if key in self._filled:
            self._drop_before(now, key, self._filled[key])
        while self._filled:
            oldest, stream = next(iter(self._filled.items()))
            self._drop_before(now, oldest, stream)
            if stream.events:
                return

    def _drop_before(self, now: float, key: str, stream: _Stream) -> None:
        while stream.events and stream.events[stream.first][0] <= now:
            self._drop_first(key, stream)

    def _drop_first(self, key: str, stream: _Stream) -> None:
        _, event = stream.events.pop(stream.first)
        stream.first += 1
        self._size -= len(event) + EVENT_OVERHEAD
        if not stream.events:
            self._size -= len(key) + STREAM_OVERHEAD
            del self._filled[key]
            self._discard_unused(key, stream)
