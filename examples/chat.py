"""A chat room with server-sent events: one process, one room, the last hundred messages.

uvicorn --timeout-graceful-shutdown 1 examples.chat:app

A browser that loses its connection reconnects and gets the messages that it missed. The stream of a
browser that reads too slowly is closed, and it reconnects likewise. Several processes would need a
message broker.
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
QUEUE_SIZE = 50  # unsent messages of one subscriber
MAX_SUBSCRIBERS = 1000

PAGE = HTMLResponse(Path(__file__).with_name("chat.html").read_text(encoding="utf-8"))


class Room:
    """The subscribers and the latest messages."""

    def __init__(self) -> None:
        self.count = 0
        self.messages: deque[ServerSentEvent] = deque(maxlen=HISTORY)
        self.subscribers: set[MemoryObjectSendStream[ServerSentEvent]] = set()

    def publish(self, text: str) -> None:
        """Send a message to each subscriber; remove those with a full queue."""
        self.count += 1
        event = ServerSentEvent({"text": text}, id=str(self.count))
        self.messages.append(event)
        for subscriber in list(self.subscribers):
            try:
                subscriber.send_nowait(event)
            except anyio.WouldBlock:
                self.subscribers.discard(subscriber)
                subscriber.close()

    async def subscribe(self, last_event_id: str | None) -> AsyncIterator[ServerSentEvent]:
        """Yield the messages after an event, then each new one, until the client disconnects."""
        sender, receiver = anyio.create_memory_object_stream[ServerSentEvent](QUEUE_SIZE)
        missed = self.messages_after(last_event_id)
        self.subscribers.add(sender)
        try:
            with sender, receiver:
                for event in missed:
                    yield event
                async for event in receiver:
                    yield event
        finally:
            self.subscribers.discard(sender)

    def messages_after(self, last_event_id: str | None) -> list[ServerSentEvent]:
        events = list(self.messages)
        ids = [event.id for event in events]
        return events[ids.index(last_event_id) + 1 :] if last_event_id in ids else events


room = Room()


async def read_text(request: Request) -> str:
    text = (await request.form()).get("text")
    if not isinstance(text, str) or not text or len(text) > 1000:
        raise BadRequest("Send a text of 1 to 1000 characters.")
    return text


@request_response(limits=Limits(max_text_size=8 * 1024, max_form_size=8 * 1024, max_files=0))
async def app(request: Request) -> ASGIApp:
    match request.method, request.path:
        case "GET", "/":
            return PAGE
        case "GET", "/events":
            if len(room.subscribers) >= MAX_SUBSCRIBERS:
                raise HTTPError(503, "The room is full.", headers={"retry-after": "10"})
            return EventSourceResponse(room.subscribe(request.last_event_id), retry=1000)
        case "POST", "/say":
            room.publish(await read_text(request))
            return Response(status_code=204)
        case _:
            raise HTTPError(404)
