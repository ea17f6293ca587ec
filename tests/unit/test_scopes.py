"""Values of scopes, and the handling of lifespan and websocket scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    EventSourceResponse,
    FileResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
    request_response,
    to_asgi,
)
from asgikit.datastructures.address import Address, parse_address
from asgikit.scopes import JOINED, answer_other, extensions
from asgikit.testing import exchange
from asgikit.types import Message
from tests.support.streams import KINDS, WAIT, Source, assert_closed_once, every_kind, release
from tests.support.waiting import BOUND

pytestmark = pytest.mark.anyio

UP: Message = {"type": "lifespan.startup.complete"}
DOWN: Message = {"type": "lifespan.shutdown.complete"}


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (("192.0.2.1", 8000), ("192.0.2.1", 8000)),
        (["::1", 8000], ("::1", 8000)),  # hypercorn
        (("::1", "8000"), ("::1", 8000)),  # granian
        (("::1", "0"), ("::1", 0)),
        (("::1", 65535), ("::1", 65535)),
        (("/run/app.sock", None), ("/run/app.sock", None)),  # uvicorn
        (("", 0), ("", 0)),
        (("::1", 65536), ("::1", None)),
        (("::1", -1), ("::1", None)),
        (("::1", "-1"), ("::1", None)),
        (("::1", ""), ("::1", None)),
        (("::1", "+80"), ("::1", None)),
        (("::1", "8_0"), ("::1", None)),
        (("::1", "\u0668"), ("::1", None)),  # not an ASCII digit
        (("::1", "9" * 5000), ("::1", None)),
        (("::1", 80.0), ("::1", None)),
        (("::1", b"80"), ("::1", None)),
        (None, None),
        ((), None),
        (("::1",), None),
        (("::1", 80, 0, 0), None),
        ((b"::1", 80), None),
        ((None, None), None),
        ("ab", None),  # a str is no pair
        ({"host": 80, "port": 80}, None),
        (80, None),
    ],
)
def test_address_is_read_from_any_pair(
    value: object, address: tuple[str, int | None] | None
) -> None:
    read = parse_address(value)

    assert read == address
    assert read is None or (read.host, read.port) == address


def test_address_has_named_fields() -> None:
    assert Address("::1", 80)._asdict() == {"host": "::1", "port": 80}


NUMBERS = st.integers(-1, 70_000) | st.floats() | st.booleans() | st.none() | st.binary(max_size=3)
ODDS = NUMBERS | st.text(max_size=6) | st.from_regex(r"\A[0-9]{1,6}\Z")


@pytest.mark.property
@given(
    value=ODDS
    | st.lists(ODDS, max_size=3)
    | st.lists(ODDS, max_size=3).map(tuple)
    | st.tuples(st.text(max_size=3), ODDS)
    | st.dictionaries(st.text(max_size=3), ODDS, max_size=2)
)
def test_address_port_is_in_range_or_none(value: object) -> None:
    read = parse_address(value)

    assert read is None or type(read.host) is str
    assert read is None or read.port is None or 0 <= read.port <= 65535


@pytest.mark.parametrize(
    ("scope", "offered"),
    [
        ({"extensions": {"http.response.pathsend": {}}}, {"http.response.pathsend": {}}),
        ({"extensions": MappingProxyType({"a": {}})}, {"a": {}}),
        ({"extensions": {}}, {}),
        ({"extensions": None}, {}),
        ({"extensions": ["http.response.pathsend"]}, {}),
        ({}, {}),
    ],
)
def test_extensions_are_always_a_mapping(
    scope: Mapping[str, Any], offered: Mapping[str, Any]
) -> None:
    assert extensions(scope) == offered


async def answer(scope: dict[str, Any], *received: str) -> list[Message]:
    """Return the sent messages, each with the number of messages received before it."""
    messages = [{"type": kind} for kind in received]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append({**message, "after": len(received) - len(messages)})

    with anyio.fail_after(10):
        await answer_other(scope, receive, send)
    assert messages == []
    return sent


async def test_lifespan_phases_are_completed_as_they_are_received() -> None:
    sent = await answer({"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")

    assert sent == [{**UP, "after": 1}, {**DOWN, "after": 2}]


@pytest.mark.parametrize("more", [{}, {"extensions": None}, {"extensions": {"a": {}}}])
async def test_websocket_is_closed_without_denial_extension(more: dict[str, Any]) -> None:
    sent = await answer({"type": "websocket", **more}, "websocket.connect")

    assert sent == [{"type": "websocket.close", "after": 1}]


async def test_websocket_is_denied_with_a_404_if_supported() -> None:
    offered: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
    sent = await answer({"type": "websocket", **offered}, "websocket.connect")

    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 404
    assert sent[0]["headers"] == [(b"content-length", b"0")]


@pytest.mark.parametrize("offered", [{}, {"websocket.http.response": {}}])
async def test_denial_obeys_the_asgi_specification(offered: dict[str, Any]) -> None:
    done = await exchange(answer_other, scope={"type": "websocket", "extensions": offered})

    assert done.messages


@pytest.mark.parametrize("kind", ["http", "http.request", "telnet", "", None])
async def test_unknown_scope_raises_and_lists_the_known_types(kind: str | None) -> None:
    with pytest.raises(RuntimeError, match="serves http, websocket and lifespan scopes, not "):
        await answer({"type": kind})


# --- denial of a websocket with a response ------------------------------------------------------

DENIAL: dict[str, Any] = {
    "type": "websocket",
    "extensions": {
        "websocket.http.response": {},
        "http.response.trailers": {},
        "http.response.pathsend": {},
    },
}


@pytest.mark.parametrize(
    ("make", "status_code", "field", "body"),
    [
        (lambda path: PlainTextResponse("no", 403), 403, ("content-length", "2"), b"no"),
        (lambda path: RedirectResponse("/in", 303), 303, ("location", "/in"), b""),
        (
            lambda path: StreamingResponse([b"n", b"o"], 401, trailers={"x-a": "1"}),
            401,
            None,
            b"no",
        ),
        (lambda path: EventSourceResponse(["no"], ping=None), 200, None, b": ping\ndata: no\n\n"),
        (lambda path: FileResponse(path, 503), 503, ("content-length", "2"), b"no"),
        # The handshake is no conditional request.
        (lambda path: PlainTextResponse("no", conditional=True), 200, None, b"no"),
    ],
)
async def test_response_denies_a_websocket_with_itself(
    make: Callable[[Path], Any],
    status_code: int,
    field: tuple[str, str] | None,
    body: bytes,
    tmp_path: Path,
) -> None:
    path = tmp_path / "no"
    path.write_bytes(b"no")

    for wrap in (lambda response: response, to_asgi):
        app: Any = wrap(make(path))
        answer = await exchange(app, headers={"if-none-match": "*"}, scope=DENIAL)
        assert (answer.status_code, answer.body) == (status_code, body)
        assert field is None or answer.headers[field[0]] == field[1]
        assert {message["type"] for message in answer.messages} == {
            "websocket.http.response.start",
            "websocket.http.response.body",
        }


@pytest.mark.parametrize("received", [False, True])
@pytest.mark.parametrize("offered", [{}, {"websocket.http.response": {}}])
async def test_response_denies_before_and_after_the_connect(
    received: bool, offered: dict[str, Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if received:
            await receive()
        await StreamingResponse([b"no"], 403)(scope, receive, send)

    scope = {"type": "websocket", "extensions": offered}
    with anyio.fail_after(10):
        answer = await exchange(app, scope=scope)

    assert answer.status_code == 403
    assert answer.body == (b"no" if offered else b"")


@every_kind
async def test_unsent_stream_is_closed_and_its_background_runs(kind: str) -> None:
    source = Source(b"a", b"b")
    iterator = KINDS[kind](source)
    done: list[str] = []
    response = StreamingResponse(iterator, background=lambda: done.append("background"))

    answer = await exchange(response, scope={"type": "websocket"})

    assert answer.messages == [{"type": "websocket.close"}]
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_denial_with_stream_is_closed_when_the_client_disconnects(kind: str) -> None:
    source = Source(b"a" * JOINED, WAIT)
    iterator = KINDS[kind](source)
    left: list[str] = []
    messages = iter(["websocket.connect", "websocket.disconnect"])
    sent: list[Message] = []

    source.is_sent = lambda: bool(sent)

    async def receive() -> Message:
        kind = next(messages)
        if kind == "websocket.disconnect":
            with anyio.fail_after(10):
                while not source.is_waiting():  # noqa: ASYNC110 - set in a thread
                    await anyio.sleep(0.001)
            left.append(kind)
        return {"type": kind}

    async def send(message: Message) -> None:
        sent.append(message)

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: bool(left))
        await StreamingResponse(iterator)(dict(DENIAL), receive, send)

    assert [message.get("more_body") for message in sent] == [None, True]
    assert_closed_once(source, iterator, kind)


async def test_denial_body_is_joined_up_to_64_kib() -> None:
    chunk = b"x" * 40_000
    short = await exchange(StreamingResponse([b"n", b"o"]), scope=DENIAL)
    long = await exchange(StreamingResponse([chunk] * 3), scope=DENIAL)

    assert [message.get("body") for message in short.messages] == [None, b"no"]
    assert [len(message.get("body", b"")) for message in long.messages] == [0, 80_000, 40_000]
    assert long.body == chunk * 3


async def test_handler_is_not_called_for_a_websocket() -> None:
    def never(request: Any) -> Any:
        raise AssertionError("a handler was asked about a websocket")

    assert (await exchange(request_response(never), scope=DENIAL)).status_code == 404


# --- uvicorn's websockets-sansio implementation --------------------------------------------------


class Sansio:
    """A connection of uvicorn, which sends a disconnect message after a denial and at its close."""

    __module__ = "uvicorn.protocols.websockets.websockets_sansio_impl"

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.sent: list[Message] = []
        self.is_closed = False

    async def receive(self) -> Message:
        await checkpoint()
        if not self.messages:
            await anyio.sleep_forever()
        message = self.messages.pop(0)
        if message == "closed":
            self.is_closed = True
            message = "websocket.disconnect"
        return {"type": message}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def serve(self, app: Any) -> None:
        with anyio.fail_after(BOUND):
            await app(dict(DENIAL), self.receive, self.send)


class SubclassOfSansio(Sansio):
    __module__ = "app"


@pytest.mark.parametrize("connection_class", [Sansio, SubclassOfSansio])
@pytest.mark.parametrize(
    "app",
    [
        request_response(lambda request: PlainTextResponse("never")),
        PlainTextResponse("no", 403),
        StreamingResponse([b"n", b"o"], 403),
    ],
    ids=["handler", "response", "stream"],
)
async def test_denial_on_sansio_waits_until_the_connection_is_closed(
    connection_class: type[Sansio], app: Any
) -> None:
    connection = connection_class("websocket.connect", "websocket.disconnect", "closed")

    await connection.serve(app)

    assert connection.is_closed
    assert [message["type"] for message in connection.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]


@pytest.mark.parametrize(
    "app",
    [
        request_response(lambda request: PlainTextResponse("never")),
        PlainTextResponse("no", 403),
    ],
    ids=["handler", "response"],
)
async def test_denial_on_sansio_ends_when_the_connection_stays_open(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgikit.scopes.CLOSE_TIMEOUT", 0.01)

    await Sansio("websocket.connect", "websocket.disconnect").serve(app)


async def test_denial_on_sansio_does_not_wait_after_a_disconnect() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    connection = Sansio("websocket.connect", "closed")

    await connection.serve(StreamingResponse(chunks(), 403))

    assert connection.sent == []
