"""Resumable event streams in Redis: any process serves any client, and a process may end.

REDIS=redis://127.0.0.1 SECRET=at-least-16-bytes uvicorn --workers 2 examples.event_log_redis:app

POST /rooms/tea appends the body to a stream, GET follows it, and DELETE closes it. Needs redis 5 or
later, for Python and as the server. Each client that waits for an event holds one connection to it.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from asgikit import (
    ASGIApp,
    EventLog,
    EventSourceResponse,
    HTTPError,
    Request,
    Response,
    ServerSentEvent,
    request_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

BLOCK = 5000  # milliseconds of one wait: then a lost connection is noticed
MAX_FOLLOWERS = 1000
FORGET = ServerSentEvent("", event="forget")

# One script, so that no event follows the end, and none stays for ever. An empty event is the end.
APPEND = """
local last = redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)[1]
if last and last[2][2] == "" then
    return ARGV[1] == "" and last[1]
end
local position = redis.call("XADD", KEYS[1], "MAXLEN", ARGV[2], "*", "event", ARGV[1])
redis.call("EXPIRE", KEYS[1], ARGV[3])
return position
"""


class RedisStorage:
    """Events in Redis streams; all are forgotten ``ttl`` seconds after the last one."""

    def __init__(self, redis: Redis, max_events: int = 1000, ttl: int = 3600) -> None:
        self._redis: Any = redis  # the types of redis-py are those of its sync client as well
        self._append = self._redis.register_script(APPEND)
        self._max_events = max_events
        self._ttl = ttl

    async def append(self, key: str, event: bytes) -> str:
        position = await self._append([_name(key)], [event, self._max_events, self._ttl])
        if position is None:
            raise RuntimeError("the stream was closed")
        return str(position, "ascii")

    async def read(self, key: str, position: str | None) -> Sequence[tuple[str, bytes]] | None:
        # The event at the position is read as well: if it is not kept, later ones may be lost.
        first = "-" if position is None else position
        found = await self._redis.xrange(_name(key), min=first, count=65)
        events = [(at.decode(), fields[b"event"]) for at, fields in found]
        if position is None:
            return events
        return events[1:] if events and events[0][0] == position else None

    async def wait(self, key: str, position: str | None) -> None:
        await self._redis.xread({_name(key): position or "0"}, count=1, block=BLOCK)


def _name(key: str) -> str:
    return f"events:{key}"


@asynccontextmanager
async def open_log() -> AsyncGenerator[Mapping[str, EventLog]]:
    pool = BlockingConnectionPool.from_url(
        os.environ["REDIS"],
        max_connections=MAX_FOLLOWERS,
        timeout=10,
        retry=Retry(ExponentialBackoff(), 3),
    )
    async with Redis(connection_pool=pool) as redis:
        storage = RedisStorage(redis)
        yield {"log": EventLog(storage=storage, secret=os.environ["SECRET"].encode())}
    await pool.disconnect()


@request_response(lifespan=open_log)
async def app(request: Request) -> ASGIApp:
    log: EventLog = request.state.log
    room = request.path  # in your app: with the user, if a room is not for all
    last = request.last_event_id
    match request.method:
        case "GET":
            if await log.is_complete(last, room):
                return Response(status_code=204)
            return EventSourceResponse(log.follow(last, room, expired=FORGET), retry=100)
        case "POST":
            try:
                return Response(await log.append(await request.text(), room), 201)
            except RuntimeError:
                raise HTTPError(409, "The stream was closed.") from None
        case "DELETE":
            await log.close(room)
            return Response(status_code=204)
        case _:
            raise HTTPError(405, headers={"allow": "GET, POST, DELETE"})
