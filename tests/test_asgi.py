"""Scopes as servers give them, and the answers to those that are no HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.asgi import Address, Message, answer_other, extensions, parse_address
from asgikit.testing import exchange

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
        (("::1", "\u0668"), ("::1", None)),  # a digit, but none of ASCII
        (("::1", "9" * 5000), ("::1", None)),
        (("::1", 80.0), ("::1", None)),
        (("::1", b"80"), ("::1", None)),
        (None, None),
        ((), None),
        (("::1",), None),
        (("::1", 80, 0, 0), None),
        ((b"::1", 80), None),
        ((None, None), None),
        ("ab", None),  # two characters are no pair
        ({"host": 80, "port": 80}, None),
        (80, None),
    ],
)
def test_an_address_is_any_pair_or_nothing(
    value: object, address: tuple[str, int | None] | None
) -> None:
    read = parse_address(value)

    assert read == address
    assert read is None or (read.host, read.port) == address


def test_an_address_has_names() -> None:
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
def test_an_address_is_never_out_of_range(value: object) -> None:
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
def test_the_extensions_are_a_mapping_always(
    scope: Mapping[str, Any], offered: Mapping[str, Any]
) -> None:
    assert extensions(scope) == offered


async def answer(scope: dict[str, Any], *received: str) -> list[Message]:
    """Give what was sent, each message with the number of those received before it."""
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


async def test_a_lifespan_comes_up_and_goes_down_on_the_servers_word() -> None:
    sent = await answer({"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")

    assert sent == [{**UP, "after": 1}, {**DOWN, "after": 2}]


@pytest.mark.parametrize("more", [{}, {"extensions": None}, {"extensions": {"a": {}}}])
async def test_a_websocket_is_closed(more: dict[str, Any]) -> None:
    sent = await answer({"type": "websocket", **more}, "websocket.connect")

    assert sent == [{"type": "websocket.close", "after": 1}]


async def test_a_websocket_is_denied_where_the_server_can() -> None:
    offered: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
    sent = await answer({"type": "websocket", **offered}, "websocket.connect")

    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 404
    assert sent[0]["headers"] == [(b"content-length", b"0")]


@pytest.mark.parametrize("offered", [{}, {"websocket.http.response": {}}])
async def test_an_answer_is_what_the_specification_allows(offered: dict[str, Any]) -> None:
    done = await exchange(answer_other, scope={"type": "websocket", "extensions": offered})

    assert done.messages


@pytest.mark.parametrize("kind", ["http", "http.request", "telnet", "", None])
async def test_another_scope_is_an_error_that_says_what_is_served(kind: str | None) -> None:
    with pytest.raises(RuntimeError, match="serves http, websocket and lifespan scopes, not "):
        await answer({"type": kind})
