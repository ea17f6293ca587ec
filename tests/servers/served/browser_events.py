"""Event streams that end early and continue at the Last-Event-ID of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from asgikit import EventSourceResponse, Request, Response, ServerSentEvent, request_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.streams.memory import MemoryObjectSendStream

# Data that resembles the framing or an empty event.
AMBIGUOUS = [
    "",
    " ",
    "  two spaces  ",
    ":",
    "data: evil",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\n",
    "\r\n\r\n",
    "\n\r\n\r",
    "a\n\nevent: evil\nid: evil\ndata: evil\n\n",
    "\ufeff",
    '{"n": "\\n"}',
    "null",
]
NAMES = ["message", "tick", "žluťoučký 🐎", "a: b", " a", "data"]

# All characters of Unicode, in as many pieces as make a thousand events with those above.
_CHARACTERS = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
_SIZE = -(-len(_CHARACTERS) // (1000 - len(AMBIGUOUS)))
DATA = AMBIGUOUS + [_CHARACTERS[at : at + _SIZE] for at in range(0, len(_CHARACTERS), _SIZE)]

EVENTS = [
    ServerSentEvent(
        data,
        # An event without a name is a "message".
        event=NAMES[number % len(NAMES)] if number % len(NAMES) else None,
        id=str(number),
        comment="a\r\ndata: evil\rdata: evil\n\ndata: evil\n" if number % 10 == 0 else None,
    )
    for number, data in enumerate(DATA)
]

IDS = ["0", "a b", "é", "☃ 🐎", "a:b", '"\\%41;,', "a,b"]


async def _iterate(events: Sequence[ServerSentEvent]) -> AsyncIterator[ServerSentEvent]:
    for event in events:
        yield event


@request_response
async def events(request: Request) -> Response:
    """Send the next ``cut`` events; after the last one, a 204 ends the reconnections."""
    last = request.last_event_id
    first = 0 if last is None else int(last) + 1
    if first == len(EVENTS):
        return Response(status_code=204)
    cut = int(request.query_params.get("cut", len(EVENTS)))
    return EventSourceResponse(_iterate(EVENTS[first : first + cut]), retry=1)


@request_response
async def retried(request: Request) -> Response:
    """Send one event per connection; only the first has a reconnection time."""
    number = 0 if request.last_event_id is None else int(request.last_event_id) + 1
    if number == 20:
        return Response(status_code=204)
    retry = 1 if number == 0 else None
    return EventSourceResponse([ServerSentEvent(number, id=str(number), retry=retry)])


@request_response
async def identified(request: Request) -> Response:
    """Send the received Last-Event-ID as data, with the next id; the last id is empty."""
    last = request.last_event_id
    number = 0 if last is None else IDS.index(last) + 1
    id_ = IDS[number] if number < len(IDS) else ""
    return EventSourceResponse([ServerSentEvent([last], id=id_)], retry=1)


_SUBSCRIPTIONS: dict[str, MemoryObjectSendStream[str]] = {}


@request_response
async def subscribe(request: Request) -> Response:
    """Send the texts that :func:`publish` gets as events, until a "bye"."""
    publisher, subscriber = anyio.create_memory_object_stream[str](1)
    _SUBSCRIPTIONS[request.query_params["by"]] = publisher

    async def texts() -> AsyncIterator[str]:
        with publisher, subscriber:
            async for text in subscriber:
                yield text
                if text == "bye":
                    return

    return EventSourceResponse(texts())


@request_response
async def publish(request: Request) -> Response:
    """Send the request body to the subscriber."""
    await _SUBSCRIPTIONS[request.query_params["by"]].send(await request.text())
    return Response(status_code=204)


APPS = {
    "events": events,
    "retried": retried,
    "identified": identified,
    "subscribe": subscribe,
    "publish": publish,
}
