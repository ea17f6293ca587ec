"""The event streams of sse-starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from benchmarks.payloads import event_data, idle_event_data, waiting_event_data


def adapt(_name: str, steps: Any) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await EventSourceResponse(event_stream(steps()))(scope, receive, send)

    return serve


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[ServerSentEvent]:
    async for number, data in steps:
        yield ServerSentEvent(data, event="step", id=number)


events = event_data
events_wait = waiting_event_data
idle_events = idle_event_data
