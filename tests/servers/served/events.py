"""An event stream with the times of sending as data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from asgikit import EventSourceResponse, Request, Response, request_response

from .marks import marks_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@request_response
async def app(request: Request) -> Response:
    """Send ``count`` events; with ``buffered`` in the query, a proxy may buffer them."""
    count = int(request.query_params["count"])
    marks = marks_of(request)

    async def events() -> AsyncIterator[float]:
        try:
            for _ in range(count):
                yield time.monotonic()
                await anyio.sleep(0.02)
        finally:
            marks.add("closed")

    headers = {"X-Accel-Buffering": "yes"} if "buffered" in request.query_params else None
    return EventSourceResponse(events(), headers=headers)
