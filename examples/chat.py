"""A chat room by server-sent events: one process, one room, the last hundred messages.

uvicorn --timeout-graceful-shutdown 1 examples.chat:app

A browser that loses its connection comes back and gets what it missed. A listener that cannot keep
up is sent away, and does the same. More than one process would need a broker between them.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asgikit import (
    ASGIApp,
    BadRequest,
    EventSourceResponse,
    HTMLResponse,
    HTTPError,
    Limits,
    Request,
    Response,
    ServerSentEvent,
    request_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.streams.memory import MemoryObjectSendStream

HISTORY = 100  # messages
BEHIND = 50  # messages that a listener may be behind
LISTENERS = 1000

PAGE = HTMLResponse(Path(__file__).with_name("chat.html").read_text(encoding="utf-8"))


class Room:
    """Who listens, and what was said last."""

    def __init__(self) -> None:
        self.count = 0
        self.said: deque[ServerSentEvent] = deque(maxlen=HISTORY)
        self.listeners: set[MemoryObjectSendStream[ServerSentEvent]] = set()

    def say(self, text: str) -> None:
        self.count += 1
        event = ServerSentEvent({"text": text}, id=str(self.count))
        self.said.append(event)
        for listener in list(self.listeners):
            try:
                listener.send_nowait(event)
            except anyio.WouldBlock:
                self.listeners.discard(listener)
                listener.close()

    async def listen(self, last_event_id: str | None) -> AsyncIterator[ServerSentEvent]:
        """What was said after an event, and then whatever is said, until the listener leaves."""
        sender, receiver = anyio.create_memory_object_stream[ServerSentEvent](BEHIND)
        missed = self.said_after(last_event_id)
        self.listeners.add(sender)
        try:
            with sender, receiver:
                for event in missed:
                    yield event
                async for event in receiver:
                    yield event
        finally:
            self.listeners.discard(sender)

    def said_after(self, last_event_id: str | None) -> list[ServerSentEvent]:
        events = list(self.said)
        ids = [event.id for event in events]
        return events[ids.index(last_event_id) + 1 :] if last_event_id in ids else events


room = Room()


async def read_text(request: Request) -> str:
    text = (await request.form()).get("text")
    if not isinstance(text, str) or not text or len(text) > 1000:
        raise BadRequest("Say something, in at most 1000 characters.")
    return text


@request_response(limits=Limits(max_text_size=8 * 1024, max_form_size=8 * 1024, max_files=0))
async def app(request: Request) -> ASGIApp:
    match request.method, request.path:
        case "GET", "/":
            return PAGE
        case "GET", "/events":
            if len(room.listeners) >= LISTENERS:
                raise HTTPError(503, "The room is full.", headers={"retry-after": "10"})
            return EventSourceResponse(room.listen(request.last_event_id), retry=1000)
        case "POST", "/say":
            room.say(await read_text(request))
            return Response(status_code=204)
        case _:
            raise HTTPError(404)
