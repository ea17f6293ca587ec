"""A stream of numbered events for the clients of other projects."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

import anyio

from asgikit import (
    EventLog,
    EventSourceResponse,
    HTMLResponse,
    Request,
    Response,
    ServerSentEvent,
    request_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

COUNT = 30
PING = 0.02  # seconds

log = EventLog()


async def fill() -> None:
    """Append events that are JSON-RPC notifications, as the MCP clients expect."""
    for number in range(COUNT):
        data = {"jsonrpc": "2.0", "method": "tick", "params": {"n": number}}
        retry = 10 if number == 0 else None
        await log.append(ServerSentEvent(data, "message", retry=retry))
    await log.close()


async def pace(
    events: AsyncIterator[ServerSentEvent], cut: int | None
) -> AsyncIterator[ServerSentEvent]:
    """Yield at most ``cut`` events, with the time of two pings before some of them."""
    for number in islice(range(COUNT), cut):
        if number % 10 == 5:
            await anyio.sleep(2.5 * PING)
        try:
            yield await anext(events)
        except StopAsyncIteration:
            return


@asynccontextmanager
async def lifespan() -> AsyncGenerator[None]:
    await fill()
    yield


@request_response(lifespan=lifespan)
async def app(request: Request) -> Response:
    """Send the events, on ``cut`` connections if the client reconnects."""
    if request.path == "/page":
        return HTMLResponse("<!doctype html><title>page</title>")
    if request.method == "POST" and "mcp_node" in request.query_params:
        return Response(status_code=202)
    last = request.last_event_id
    if await log.is_complete(last):
        return Response(status_code=204)
    cut = int(request.query_params["cut"]) if "cut" in request.query_params else None
    retry = 10 if "retry" in request.query_params else None
    return EventSourceResponse(pace(log.follow(last), cut), ping=PING, retry=retry)
