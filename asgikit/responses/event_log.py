"""Event streams that outlive their clients, who resume at the Last-Event-ID (HTML, section 9.2).

A response has no queue: it reads the events after its position from the storage, or waits for one.

The id of an event is its position with a tag: an HMAC of the position and the owner. No client can
make an id, and the id of another stream is refused like an unknown one. The storage never sees text
of a client.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import AsyncGenerator, Sequence

import orjson

from asgikit._json import format_json
from asgikit.exceptions import HTTPError
from asgikit.http.event_stream import ServerSentEvent
from asgikit.responses.event_storage import EventStorage, MemoryStorage, Stored

__all__ = ["EventLog"]

_END = b""
_TAG_SIZE = 12  # bytes: 96 bits cannot be guessed
_MIN_SECRET_SIZE = 16


class EventLog:
    r"""Streams of events, which clients follow and resume after a disconnect.

    A stream belongs to an ``owner``: a key that the app chooses, such as the id of a user, or of a
    user and a conversation. A client follows the stream of its owner only, also if it sends an id
    of another. ``None`` is the owner of a stream for all.

    Args:
        max_events: the number of events kept in each stream.
        max_bytes: the memory for all streams together, in bytes. Beyond it, the events of the
            stream that has been without a new one for the longest time are dropped.
        ttl: seconds after which an event is dropped.
        storage: keeps the events in place of the memory of this process, within its own limits.
        secret: the key of the tags in ids, of at least 16 bytes. Needed with ``storage``, as all
            processes must have the same; by default it is random.

    Raises:
        ValueError: a limit is not positive, ``storage`` has no ``secret``, or it is too short.

    >>> log = EventLog(max_events=10_000, ttl=600)
    >>> async def produce(question):
    ...     for word in ("the", "answer"):
    ...         await log.append(ServerSentEvent(word), owner="ann")
    ...     await log.close(owner="ann")
    >>> events = log.follow(None, owner="ann")  # the content of an EventSourceResponse
    """

    __slots__ = ("_secret", "_storage")

    def __init__(
        self,
        max_events: int = 1000,
        max_bytes: int = 64 * 1024 * 1024,
        ttl: float = 3600.0,
        storage: EventStorage | None = None,
        secret: bytes | None = None,
    ) -> None:
        if storage is not None and secret is None:
            raise ValueError("a log with storage= needs secret=, the same in each process")
        if secret is not None and len(secret) < _MIN_SECRET_SIZE:
            raise ValueError(f"secret must have at least {_MIN_SECRET_SIZE} bytes")
        self._secret = secret or secrets.token_bytes(32)
        self._storage = storage or MemoryStorage(max_events, max_bytes, ttl)

    async def append(self, event: ServerSentEvent | str, owner: str | None = None) -> str:
        """Append an event without an ``id``, or the data of one, and return its id.

        Raises:
            TypeError: ``event`` or ``owner`` has another type, or data cannot be written as JSON.
            ValueError: the event has an ``id``, or alone exceeds ``max_bytes``.
            RuntimeError: the stream was closed.
        """
        if isinstance(event, str):
            event = ServerSentEvent(event)
        elif not isinstance(event, ServerSentEvent):
            raise TypeError(f"wrap data such as a {type(event).__name__} in ServerSentEvent(data)")
        if event.id is not None:
            raise ValueError("the log gives each event its id: append it without one")
        data = event.data
        if data is not None and not isinstance(data, str):
            data = (data if isinstance(data, bytes) else format_json(data)).decode("utf-8")
        key = _check_owner(owner)
        stored = orjson.dumps((data, event.event, event.retry, event.comment))
        return self._format_id(await self._storage.append(key, stored), key)

    async def close(self, owner: str | None = None) -> None:
        """End the stream of ``owner``: its followers end after its last event."""
        await self._storage.append(_check_owner(owner), _END)

    def follow(
        self,
        last_event_id: str | None = None,
        owner: str | None = None,
        *,
        expired: ServerSentEvent | None = None,
    ) -> AsyncGenerator[ServerSentEvent]:
        """Return the events after ``last_event_id``, then each new one, until the stream is closed.

        It ends early if the client is so slow that the next event has been dropped. A browser then
        reconnects, and gets ``expired``.

        Args:
            last_event_id: :attr:`Request.last_event_id`; ``None`` or empty for all kept events.
            owner: the owner of the stream.
            expired: sent before all kept events if ``last_event_id`` is not of this stream, or an
                event after it has been dropped. It tells the client to forget its events. Unless it
                has an id, an empty one is added, so that the client forgets that too.

        Raises:
            HTTPError: 410, from the first step, if the stream cannot be resumed and ``expired`` is
                ``None``. An app with ``EventSourceResponse(..., wait_first=True)`` answers so.
            TypeError: ``owner`` is not a ``str``.
        """
        return self._follow(last_event_id, _check_owner(owner), expired)

    async def _follow(
        self, last_event_id: str | None, key: str, expired: ServerSentEvent | None
    ) -> AsyncGenerator[ServerSentEvent]:
        position, events = await self._find(last_event_id, key)
        if events is None:
            if expired is None:
                raise HTTPError(410, "The events after the Last-Event-ID are not available.")
            id_ = expired.id or ""
            yield ServerSentEvent(expired.data, expired.event, id_, expired.retry, expired.comment)
            position, events = await self._find(None, key)
        while events is not None:
            for position, stored in events:
                if stored == _END:
                    return
                data, event, retry, comment = orjson.loads(stored)
                id_ = self._format_id(position, key)
                yield ServerSentEvent(data, event, id_, retry, comment)
            if not events:
                await self._storage.wait(key, position)
            events = await self._storage.read(key, position)

    async def is_complete(self, last_event_id: str | None, owner: str | None = None) -> bool:
        """Return whether a closed stream has no event after ``last_event_id``, or none at all.

        Answer such a request with a 204: a browser reconnects after the end of a stream, until a
        204 stops it.
        """
        _, events = await self._find(last_event_id, _check_owner(owner))
        return events is not None and [stored for _, stored in events] == [_END]

    async def _find(self, id_: str | None, key: str) -> tuple[str | None, Sequence[Stored] | None]:
        """Return the position of an id, and the events after it; ``None`` if one is missing."""
        if not id_:
            return None, await self._storage.read(key, None)
        position = id_.partition(".")[0]
        if id_.isascii() and hmac.compare_digest(id_, self._format_id(position, key)):
            return position, await self._storage.read(key, position)
        return None, None

    def _format_id(self, position: str, key: str) -> str:
        # No position contains a full stop, so that no other pair has this text.
        tag = hmac.digest(self._secret, f"{position}.{key}".encode(), "sha256")[:_TAG_SIZE]
        return f"{position}.{base64.urlsafe_b64encode(tag).decode('ascii')}"


def _check_owner(owner: str | None) -> str:
    if not isinstance(owner, str | None):
        raise TypeError(f"owner must be a str, not {type(owner).__name__}")
    return owner or ""
