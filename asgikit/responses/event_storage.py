"""Storage of event streams: the protocol of :class:`~asgikit.EventLog`, and memory."""

from __future__ import annotations

import math
import secrets
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

import anyio

from asgikit.http.grammar import parse_digits
from asgikit.runtime.backend import checkpoint

__all__ = ["EventStorage", "MemoryStorage", "Stored"]

#: A position and the event there. An empty event is the end of the stream.
Stored: TypeAlias = tuple[str, bytes]

# Bytes of memory beside those of an event, and of a stream beside its key: upper estimates.
EVENT_OVERHEAD = 250
STREAM_OVERHEAD = 1200


class EventStorage(Protocol):
    """Where an :class:`~asgikit.EventLog` keeps its events: in memory, or for several processes.

    A key names a stream. It is the ``owner`` of the log's methods, ``""`` for ``None``. A position
    is a ``str`` of ASCII letters, digits and hyphens. Each position that a method receives was
    returned for the same key before, perhaps by another process, and perhaps long ago.
    """

    async def append(self, key: str, event: bytes) -> str:
        """Append an event, and return its position; wake the followers that wait.

        An empty event closes the stream. To close it again has no effect; to append another event
        raises a ``RuntimeError``. A cancelled call has either appended the event or not.
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

    __slots__ = ("end", "events")

    def __init__(self) -> None:
        # The number of the next event, from a random start that no earlier stream of the key had.
        self.end = secrets.randbits(60)
        self.events: deque[tuple[float, bytes]] = deque()  # each with the time when it expires


class MemoryStorage:
    """Events in the memory of one process, of one event loop, within the limits of the log.

    An event expires at the next call for its stream. If all have expired, it is still known which
    was the last one, and whether the stream was closed, until ``max_bytes`` is exceeded.
    """

    def __init__(self, max_events: int, max_bytes: int, ttl: float) -> None:
        if not (max_events > 0 and max_bytes > 0 and ttl > 0):
            raise ValueError("max_events, max_bytes and ttl must be positive")
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._size = 0
        self._streams: OrderedDict[str, _Stream] = OrderedDict()  # by the time of the last event
        # Set by the next event of the key; kept alive by the followers that wait for it.
        self._appended: WeakValueDictionary[str, anyio.Event] = WeakValueDictionary()

    async def append(self, key: str, event: bytes) -> str:
        """Append an event; drop the oldest ones over a limit."""
        # A producer that never waits would leave its followers behind.
        await checkpoint()
        if _size_of(event) + _size_of(key) > self._max_bytes:
            raise ValueError(f"an event of {len(event)} bytes exceeds max_bytes of the log")
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
            self._size += _size_of(key)
        self._drop_expired(stream)
        if stream.events and not stream.events[-1][1]:
            if not event:
                return str(stream.end - 1)
            raise RuntimeError("the stream of this owner was closed: nothing can be appended")
        # The end does not expire, so that a later follower ends too.
        expiry = time.monotonic() + self._ttl if event else math.inf
        # orjson allocates more memory than its result has bytes: keep a copy.
        stream.events.append((expiry, bytes(memoryview(event))))
        stream.end += 1
        self._size += _size_of(event)
        self._streams.move_to_end(key)
        if event and len(stream.events) > self._max_events:
            self._drop_first(stream)
        while self._size > self._max_bytes:
            oldest, idle = next(iter(self._streams.items()))
            if idle.events:
                self._drop_first(idle)
            else:
                del self._streams[oldest]
                self._size -= _size_of(oldest)
        if appended := self._appended.pop(key, None):
            appended.set()
        return str(stream.end - 1)

    async def read(self, key: str, position: str | None) -> Sequence[Stored] | None:
        """Return at most one event, so that a slow follower holds no more of dropped ones."""
        stream = self._streams.get(key)
        if stream is None:
            return [] if position is None else None
        self._drop_expired(stream)
        first = stream.end - len(stream.events)
        last = first - 1 if position is None else parse_digits(position)
        if last is None or not first <= last + 1 <= stream.end:
            return None
        number = last + 1
        return [(str(number), stream.events[number - first][1])] if number < stream.end else []

    async def wait(self, key: str, position: str | None) -> None:
        """Wait for the next event, unless there is one."""
        if await self.read(key, position) == []:
            await self._appended.setdefault(key, anyio.Event()).wait()

    def _drop_expired(self, stream: _Stream) -> None:
        now = time.monotonic()
        while stream.events and stream.events[0][0] <= now:
            self._drop_first(stream)

    def _drop_first(self, stream: _Stream) -> None:
        self._size -= _size_of(stream.events.popleft()[1])


def _size_of(item: bytes | str) -> int:
    """Return the bytes of memory for an event, or for the stream of a key without its events."""
    overhead = EVENT_OVERHEAD if isinstance(item, bytes) else STREAM_OVERHEAD
    return sys.getsizeof(item) + overhead  # a character of a key takes up to four bytes
