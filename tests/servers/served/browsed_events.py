"""Streams of events that end early, and go on where the client says it has come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from asgikit import EventSourceResponse, Request, Response, ServerSentEvent, request_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.streams.memory import MemoryObjectSendStream

# What a client might take for the framing, or for nothing.
AWKWARD = [
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

# Every character there is, in as many pieces as are missing to a thousand.
_CHARACTERS = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
_SIZE = -(-len(_CHARACTERS) // (1000 - len(AWKWARD)))
DATA = AWKWARD + [_CHARACTERS[at : at + _SIZE] for at in range(0, len(_CHARACTERS), _SIZE)]

EVENTS = [
    ServerSentEvent(
        data,
        # Without a name it is a "message".
        event=NAMES[number % len(NAMES)] if number % len(NAMES) else None,
        id=str(number),
        comment="a\r\ndata: evil\rdata: evil\n\ndata: evil\n" if number % 10 == 0 else None,
    )
    for number, data in enumerate(DATA)
]

IDS = ["0", "a b", "é", "☃ 🐎", "a:b", '"\\%41;,', "a,b"]


async def _each(events: Sequence[ServerSentEvent]) -> AsyncIterator[ServerSentEvent]:
    for event in events:
        yield event


@request_response
async def events(request: Request) -> Response:
    """Send the next ``cut`` events; after the last one there is nothing to come back for."""
    last = request.last_event_id
    first = 0 if last is None else int(last) + 1
    if first == len(EVENTS):
        return Response(status_code=204)
    cut = int(request.query_params.get("cut", len(EVENTS)))
    return EventSourceResponse(_each(EVENTS[first : first + cut]), retry=1)


@request_response
async def retried(request: Request) -> Response:
    """Send one event at a time; the first one alone says how soon to come back."""
    number = 0 if request.last_event_id is None else int(request.last_event_id) + 1
    if number == 20:
        return Response(status_code=204)
    retry = 1 if number == 0 else None
    return EventSourceResponse([ServerSentEvent(number, id=str(number), retry=retry)])


@request_response
async def identified(request: Request) -> Response:
    """Tell the id that came back; send the next one, and in the end an empty one."""
    last = request.last_event_id
    number = 0 if last is None else IDS.index(last) + 1
    id_ = IDS[number] if number < len(IDS) else ""
    return EventSourceResponse([ServerSentEvent([last], id=id_)], retry=1)


_LISTENERS: dict[str, MemoryObjectSendStream[str]] = {}


@request_response
async def heard(request: Request) -> Response:
    """Send what ``said`` is given, until a "bye"."""
    speak, hear = anyio.create_memory_object_stream[str](1)
    _LISTENERS[request.query_params["by"]] = speak

    async def texts() -> AsyncIterator[str]:
        with speak, hear:
            async for text in hear:
                yield text
                if text == "bye":
                    return

    return EventSourceResponse(texts())


@request_response
async def said(request: Request) -> Response:
    """Pass the body on to the one who listens."""
    await _LISTENERS[request.query_params["by"]].send(await request.text())
    return Response(status_code=204)


APPS = {
    "events": events,
    "retried": retried,
    "identified": identified,
    "heard": heard,
    "said": said,
}
