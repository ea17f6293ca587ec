"""Exchanges behave as servers do, and let nothing pass that the ASGI specification forbids."""

from __future__ import annotations

import functools
import io
import pickle
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.testing import ASGIViolation, Exchange, exchange, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"tea"}
PART: Message = {"type": "http.response.body", "body": b"tea", "more_body": True}
DENIAL: Message = {"type": "websocket.http.response.start", "status": 404}
UP: Message = {"type": "lifespan.startup.complete"}
DOWN: Message = {"type": "lifespan.shutdown.complete"}
TRAILERS: Message = {"type": "http.response.trailers", "headers": [(b"digest", b"x")]}
HINT: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
PUSH: Message = {"type": "http.response.push", "path": "/a.css", "headers": []}
DEBUG: Message = {"type": "http.response.debug", "info": {"template": "a.html"}}

EVERYTHING: dict[str, Any] = {
    "http.response.debug": {},
    "http.response.early_hint": {},
    "http.response.pathsend": {},
    "http.response.push": {},
    "http.response.trailers": {},
    "http.response.zerocopysend": {},
    "websocket.http.response": {},
}


def start(status: Any = 200, **fields: str) -> Message:
    """Give a start whose headers are ``fields``, with "_" for "-"."""
    headers = [
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()
    ]
    return {**START, "status": status, "headers": headers}


def headed(*headers: Any) -> Message:
    return {**START, "headers": list(headers)}


def sender(*messages: Any) -> Callable[..., Any]:
    """Give an app that sends ``messages``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(BODY)


async def drain(receive: Receive) -> list[Message]:
    """Receive every message of the request's body."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def scope_of(*args: Any, **kwargs: Any) -> Scope:
    """Give the scope that an app gets."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await answer(scope, receive, send)

    await exchange(app, *args, **kwargs)
    return seen[0]


# --- what comes back ----------------------------------------------------------------------------


async def test_an_exchange_holds_the_response() -> None:
    app = sender(start(201, content_type="application/json"), {**PART, "body": b'{"a":'},
                 {"type": "http.response.body", "body": b" 18446744073709551617}"})  # fmt: skip

    result = await exchange(app)

    assert result.status_code == 201
    assert result.headers["Content-Type"] == "application/json"
    assert result.body == b'{"a": 18446744073709551617}'
    assert result.text == result.body.decode()
    assert result.json() == {"a": 2**64 + 1}
    assert [message["type"] for message in result.messages] == [
        "http.response.start", "http.response.body", "http.response.body",
    ]  # fmt: skip
    assert list(result.trailers) == []


async def test_an_exchange_cannot_be_changed() -> None:
    result = await exchange(answer)

    with pytest.raises(AttributeError):
        result.status_code = 500  # type: ignore[misc]  # what is tested


async def test_messages_stay_as_they_were_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = {"type": "http.response.start", "status": 200, "headers": [[b"a", b"b"]]}
        await send(message)
        message["headers"].append("what happens later")
        message["status"] = 500
        await send(BODY)

    result = await exchange(app)

    assert result.messages == [{**START, "headers": [(b"a", b"b")]}, BODY]
    assert (result.status_code, list(result.headers.items())) == (200, [("a", "b")])


async def test_trailers_come_after_the_body() -> None:
    app = sender({**START, "trailers": True}, BODY, {**TRAILERS, "more_trailers": True}, TRAILERS)

    result = await exchange(app, scope={"extensions": {"http.response.trailers": {}}})

    assert result.trailers.getall("digest") == ["x", "x"]
    assert list(result.headers) == []


async def test_an_error_of_the_app_is_raised_as_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("tea") from ValueError("water")

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"tea"

    for body in (b"", chunks()):
        with pytest.raises(LookupError, match="tea") as caught:
            await exchange(app, body=body)
        assert isinstance(caught.value.__cause__, ValueError)


# --- the request --------------------------------------------------------------------------------


async def test_the_scope_is_that_of_a_server() -> None:
    assert await scope_of("post", "/a%20b/%C3%BC?q=%20+&", body=b"tea") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a b/\xfc",
        "raw_path": b"/a%20b/%C3%BC",
        "query_string": b"q=%20+&",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-length", b"3")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("/\xfc?\xfc", "/\xfc", b"/%C3%BC", b"%C3%BC"),  # as a browser sends it
        ("/%ff%", "/\ufffd%", b"/%ff%", b""),  # not UTF-8; not percent-encoded
        ("/a?b?c", "/a", b"/a", b"b?c"),
        ("/a%3Fb", "/a?b", b"/a%3Fb", b""),
        ("*", "*", b"*", b""),
        ("http://a/b", "http://a/b", b"http://a/b", b""),
    ],
)
async def test_a_target_is_split_and_decoded(
    target: str, path: str, raw_path: bytes, query: bytes
) -> None:
    scope = await scope_of(target=target)

    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


@given(target=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_makes_a_scope_that_encodes(target: str) -> None:
    scope = anyio.run(functools.partial(scope_of, target=target))

    scope["path"].encode()
    assert (scope["raw_path"] + b"?" + scope["query_string"]).isascii()


@pytest.mark.parametrize(
    ("headers", "body", "fields"),
    [
        ({"X-A": "1"}, b"", [(b"x-a", b"1"), (b"host", b"localhost")]),
        ([("a", "1"), (b"A", b"2")], b"", [(b"a", b"1"), (b"a", b"2"), (b"host", b"localhost")]),
        ({"Host": ""}, b"", [(b"host", b"")]),  # an empty one is not absent
        ([("Host", "a"), ("Host", "b")], b"", [(b"host", b"a"), (b"host", b"b")]),
        ({"Host": "a"}, b"tea", [(b"host", b"a"), (b"content-length", b"3")]),
        ({"Host": "a"}, bytearray(b"tea"), [(b"host", b"a"), (b"content-length", b"3")]),
        ({"Host": "a", "Content-Length": "9"}, b"t", [(b"host", b"a"), (b"content-length", b"9")]),
        ({"Host": "a"}, [b"tea"], [(b"host", b"a"), (b"transfer-encoding", b"chunked")]),
        ({"Host": "a", "Content-Length": "3"}, [b"t"],
         [(b"host", b"a"), (b"content-length", b"3")]),
        ({"Host": "a", "Transfer-Encoding": "gzip, chunked"}, b"t",
         [(b"host", b"a"), (b"transfer-encoding", b"gzip, chunked")]),
    ],
)  # fmt: skip
async def test_what_a_client_adds_is_added_where_it_is_absent(
    headers: Any, body: Any, fields: list[tuple[bytes, bytes]]
) -> None:
    assert (await scope_of(headers=headers, body=body))["headers"] == fields


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("POST", b"0"), ("PUT", b"0")])
async def test_no_content_has_a_length_where_some_is_expected(
    method: str, length: bytes | None
) -> None:
    assert dict((await scope_of(method))["headers"]).get(b"content-length") == length


async def test_entries_of_the_scope_can_be_replaced() -> None:
    state = {"pool": object()}
    odd = {"state": state, "headers": [(b"Host", b"\x00")], "server": ["a", "80"], "method": "get"}

    scope = await scope_of(scope=odd)

    assert {key: scope[key] for key in odd} == odd
    assert scope["state"] is state


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a b": "c"}, {"a": "\u20ac"}])
async def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"header|control"):
        await exchange(answer, headers=headers)


async def test_nobody_leaves_before_nothing() -> None:
    with pytest.raises(ValueError, match="-1"):
        await exchange(answer, disconnect_after=-1)


# --- the two calling conventions ----------------------------------------------------------------


class Response:
    """Takes both, as responses do."""

    async def __call__(self, *args: Any) -> None:
        assert len(args) in {2, 3}
        await answer({}, *args[-2:])


class OldApp:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await answer(self.scope, receive, send)


class NewApp:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send)


def returns_an_instance(scope: Scope) -> Response:
    return Response()


async def is_a_factory(scope: Scope) -> Response:
    return Response()


def has_an_option(scope: Scope, name: str = "tea", *, size: int = 1) -> Response:
    return Response()


@pytest.mark.parametrize(
    "app",
    [
        answer,
        NewApp(),
        Response(),
        functools.partial(answer),
        OldApp,
        returns_an_instance,
        is_a_factory,
        has_an_option,
        lambda scope: functools.partial(answer, scope),
    ],
)
async def test_both_calling_conventions_are_served(app: Callable[..., Any]) -> None:
    assert (await exchange(app)).body == b"tea"


async def test_an_app_that_hides_its_signature_is_called_the_new_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_signature(app: object) -> None:
        raise ValueError(app)

    monkeypatch.setattr("inspect.signature", no_signature)

    assert (await exchange(answer)).body == b"tea"


# --- receive ------------------------------------------------------------------------------------


def request(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def make_generator() -> Iterator[bytes]:
    yield b"a"
    yield b""
    yield b"b"


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b"", [request(b"")]),
        (b"tea", [request(b"tea")]),
        (memoryview(b"tea"), [request(b"tea")]),
        ([], [request(b"")]),
        ([b"a"], [request(b"a")]),
        ((b"a", b"b"), [request(b"a", more=True), request(b"b")]),
        (make_generator, [request(b"a", more=True), request(b"", more=True), request(b"b")]),
    ],
)
async def test_each_chunk_of_the_body_is_a_message(body: Any, messages: list[Message]) -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(await drain(receive))
        await answer(scope, receive, send)
        seen.extend([await receive(), await receive()])

    await exchange(app, body=body() if callable(body) else body)

    assert seen == [*messages, {"type": "http.disconnect"}, {"type": "http.disconnect"}]


async def test_an_async_body_waits_for_nobody() -> None:
    go_on = anyio.Event()

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        await go_on.wait()
        yield b"b"

    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        # Polling loses nothing.
        with anyio.move_on_after(0.001):
            await receive()
        go_on.set()
        seen.extend(await drain(receive))
        await answer(scope, receive, send)

    with anyio.fail_after(10):
        await exchange(app, body=chunks())

    assert seen == [request(b"a", more=True), request(b"b", more=True), request(b"")]


async def test_an_async_body_is_not_read_ahead() -> None:
    made: list[int] = []

    async def chunks() -> AsyncGenerator[bytes]:
        for number in range(9):
            made.append(number)
            yield b"a"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await anyio.wait_all_tasks_blocked()
        await answer(scope, receive, send)

    await exchange(app, body=chunks())

    assert made == [0, 1]


class Empty:
    """An async iterable that is no generator."""

    def __aiter__(self) -> Empty:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


async def test_any_async_iterable_is_a_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == request(b"")
        await answer(scope, receive, send)

    await exchange(app, body=Empty())


async def test_an_async_body_is_closed_where_nobody_reads_it() -> None:
    closed = []

    async def chunks() -> AsyncGenerator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append(True)

    await exchange(answer_after_one_message, body=chunks())

    assert closed == [True]


async def answer_after_one_message(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await answer(scope, receive, send)


async def test_a_fault_of_the_body_is_told() -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        raise LookupError("out of tea")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)

    with pytest.raises(LookupError, match="out of tea"):
        await exchange(app, body=chunks())
    with pytest.raises(TypeError, match="bytes, not str: 't'"):
        await exchange(app, body="tea")  # type: ignore[arg-type]  # what is tested


async def test_receive_waits_for_the_end_of_the_response() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            order.append((await receive())["type"])

        await receive()
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            group.start_soon(watch)  # two that wait do not keep each other busy
            await anyio.wait_all_tasks_blocked()
            await send(START)
            await anyio.wait_all_tasks_blocked()
            order.append("end")
            await send(BODY)

    await exchange(app)

    assert order == ["end", "http.disconnect", "http.disconnect"]


async def test_an_app_that_waits_for_ever_can_be_cancelled() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)
        await receive()

    async def asks_again(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    for app, leaves in ((waits, None), (asks_again, 0)):
        with anyio.move_on_after(0.01) as limit:
            await exchange(app, disconnect_after=leaves)
        assert limit.cancelled_caught


# --- the client leaves --------------------------------------------------------------------------


async def test_a_client_can_leave_before_anything() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await answer(scope, receive, send)

    result = await exchange(app, body=[b"a", b"b"], disconnect_after=0)

    assert (result.status_code, result.body, result.messages) == (0, b"", [])


async def test_what_is_there_is_received_without_waiting() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Polls as some do: in a scope that nothing can wait in.
        for _ in range(2):
            with anyio.CancelScope() as poll:
                poll.cancel()
                received.append(await receive())
        await answer(scope, receive, send)
        received.append(await receive())

    await exchange(app, body=[b"a", b"b"])

    assert received == [request(b"a", more=True), request(b"b"), {"type": "http.disconnect"}]
    received.clear()
    await exchange(app, disconnect_after=0)
    # The end is told twice where it is asked for twice, but the second time may wait.
    assert received == [{"type": "http.disconnect"}] * 2


@pytest.mark.parametrize(("count", "body"), [(1, b""), (2, b"tea"), (3, b"teatea")])
async def test_a_client_can_leave_after_some_messages(count: int, body: bytes) -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()

        async def produce() -> None:
            nonlocal sent
            await send(START)
            while True:
                sent += 1
                await send(PART)

        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            assert (await receive())["type"] == "http.disconnect"
            group.cancel_scope.cancel()

    with anyio.fail_after(10):
        result = await exchange(app, disconnect_after=count)

    assert (result.status_code, result.body, len(result.messages)) == (200, body, count)
    assert sent >= count - 1


async def test_a_client_can_leave_while_its_body_is_awaited() -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        async with anyio.create_task_group() as group:
            group.start_soon(answer, scope, receive, send)
            assert (await receive())["type"] == "http.disconnect"

    with anyio.fail_after(10):
        result = await exchange(app, body=chunks(), disconnect_after=1)

    assert result.status_code == 200


@pytest.mark.parametrize(
    ("asgi", "raises"),
    [({}, False), ({"spec_version": "2.3"}, False), ({"spec_version": "2.4"}, True)],
)
async def test_sending_to_nobody_raises_from_version_2_4_on(
    asgi: dict[str, str], raises: bool
) -> None:
    errors: list[OSError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(START)
            await send({"type": "what nobody checks any more"})
        except OSError as error:
            errors.append(error)

    await exchange(app, scope={"asgi": asgi}, disconnect_after=1)

    assert (len(errors) == 1) is raises


# --- the checker --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "messages"),
    [
        ("GET", [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}]),
        ("GET", [START, PART, PART, BODY]),
        ("GET", [{**START, "trailers": False}, BODY]),
        ("GET", [{**START, "trailers": True}, BODY, TRAILERS]),
        ("GET", [{**START, "headers": ()}, BODY]),
        ("GET", [{**START, "headers": (pair for pair in [iter([b"a", b"b"])])}, BODY]),
        ("GET", [start(content_length="3"), BODY]),
        ("GET", [start(content_length="6"), PART, BODY]),
        ("GET", [start(599), BODY]),
        ("GET", [DEBUG, HINT, START, HINT, PART, PUSH, HINT, BODY]),
        ("HEAD", [start(content_length="3"), {**BODY, "body": b""}]),
        ("HEAD", [START, {**PART, "body": b""}, {**BODY, "body": b""}]),
        ("GET", [start(304, content_length="3"), {**BODY, "body": b""}]),
        ("GET", [start(205, content_length="0"), {**BODY, "body": b""}]),
        ("GET", [start(204), {**BODY, "body": b""}]),
    ],
)
async def test_what_the_specification_allows_passes(method: str, messages: list[Message]) -> None:
    result = await exchange(sender(*messages), method, scope={"extensions": EVERYTHING})

    assert len(result.messages) == len(messages)


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        # Order.
        ([], "http: the app returned before the start, its answer incomplete"),
        ([BODY], "http.response.body: must not come before the start"),
        ([START], "the app returned after the start"),
        ([START, PART], "the app returned after a part of the body"),
        ([START, START], "http.response.start: must not come after the start"),
        ([START, PART, START], "must not come after a part of the body"),
        ([START, BODY, BODY], "http.response.body: must not come after the end"),
        ([START, BODY, {**BODY, "body": b""}], "must not come after the end"),
        ([START, BODY, START], "http.response.start: must not come after the end"),
        ([DEBUG, DEBUG], "http.response.debug: must not come after http.response.debug"),
        ([START, DEBUG], "http.response.debug: must not come after the start"),
        ([PUSH], "http.response.push: must not come before the start"),
        ([START, BODY, HINT], "http.response.early_hint: must not come after the end"),
        ([START, BODY, TRAILERS], "http.response.trailers: must not come after the end"),
        ([{**START, "trailers": True}, TRAILERS], "must not come after the start"),
        ([{**START, "trailers": True}, BODY], "the app returned where trailers are due"),
        ([{**START, "trailers": True}, BODY, BODY], "must not come where trailers are due"),
        ([{**START, "trailers": True}, BODY, TRAILERS, TRAILERS], "must not come after the end"),
        ([START, PART, {"type": "http.response.pathsend", "path": "/"}], "after a part"),
        # Type.
        (["tea"], "send: a message is a dict with a type: 'tea'"),
        ([{"status": 200}], "a message is a dict with a type"),
        ([{"type": 1}], "a message is a dict with a type"),
        ([{"type": "http.response.tea"}], "no message of a scope of type 'http'"),
        ([{"type": "websocket.accept"}], "no message of a scope of type 'http'"),
        ([UP], "no message of a scope of type 'http'"),
        ([request(b"")], "no message of a scope"),
        # Keys.
        ([{"type": "http.response.start"}], "http.response.start: status is missing"),
        ([{**START, "reason": "OK"}], "http.response.start: it has no key 'reason'"),
        ([dict([*START.items(), (1, 2)])], "it has no key 1"),
        ([START, {**BODY, "more": True}], "it has no key 'more'"),
        ([start(True)], "status must not be True"),
        ([start("200")], "status must not be '200'"),
        ([start(200.0)], "status must not be 200.0"),
        ([start(99)], "a status has three digits: 99"),
        ([start(1000)], "a status has three digits: 1000"),
        ([{**START, "trailers": 1}], "trailers must not be 1"),
        ([{**START, "headers": None}], "headers must not be None"),
        ([START, {**BODY, "body": "tea"}], "body must not be 'tea'"),
        ([START, {**BODY, "body": bytearray(b"t")}], "body must not be bytearray"),
        ([START, {**BODY, "body": None}], "body must not be None"),
        ([START, {**BODY, "more_body": 0}], "more_body must not be 0"),
        ([START, {**BODY, "more_body": None}], "more_body must not be None"),
        ([{**DEBUG, "info": "x"}], "info must not be 'x'"),
        ([{**HINT, "links": b"</a>"}], "bytes: b'link': 60"),  # bytes are an iterable of numbers
        ([{**HINT, "links": ["</a>"]}], "a header's name and value are bytes"),
        ([{**HINT, "links": [b"a\r\nb"]}], "control character"),
        # Headers.
        ([headed((b"a",))], "a header is a name and a value: (b'a',)"),
        ([headed((b"a", b"b", b"c"))], "a header is a name and a value"),
        ([headed(1)], "a header is a name and a value: 1"),
        ([headed("ab")], "a header's name and value are bytes"),
        ([headed(("a", "b"))], "a header's name and value are bytes"),
        ([headed((b"a", 1))], "a header's name and value are bytes"),
        ([{**START, "headers": {"aa": "b"}}], "a header's name and value are bytes"),
        ([headed((b"Date", b""))], "a name in lower case"),
        ([headed((b"", b"a"))], "not a header field name: b''"),
        ([headed((b"a b", b"c"))], "not a header field name"),
        ([headed((b":status", b"200"))], "a pseudo header: b':status'"),
        ([headed((b"a", b"b\r\nc: d"))], "a control character"),
        ([headed((b"a", b"b\nc"))], "a control character"),
        ([headed((b"a", b"\x00"))], "a control character"),
        ([headed((b"a", b" b"))], "a value without space around"),
        ([{**START, "trailers": True}, BODY, {**TRAILERS, "headers": [(b"A", b"b")]}], "lower"),
        ([{**START, "trailers": True}, BODY, {"type": "http.response.trailers"}], "is missing"),
        ([START, {**PUSH, "headers": [(b"A", b"b")]}], "a name in lower case"),
        # Content-Length, and no content.
        ([start(content_length="2"), BODY], "3 bytes, where Content-Length is 2"),
        ([start(content_length="2"), PART], "3 bytes, where Content-Length is 2"),
        ([start(content_length="4"), BODY], "3 bytes, where Content-Length is 4"),
        ([start(content_length="5"), PART, BODY], "6 bytes, where Content-Length is 5"),
        ([start(205, content_length="1"), {**BODY, "body": b""}], "0 bytes, where"),
        ([headed((b"content-length", b"3"), (b"content-length", b"3"))], "is one number"),
        ([start(content_length="+3")], "Content-Length is one number: [b'+3']"),
        ([start(content_length="3, 3")], "Content-Length is one number"),
        ([start(content_length="\xb3")], "Content-Length is one number"),
        ([start(204, content_length="0")], "a Content-Length with status 204"),
        ([start(103, content_length="0")], "a Content-Length with status 103"),
        ([start(103), BODY], "3 bytes in a response with status 103"),
        ([start(204), BODY], "3 bytes in a response with status 204"),
        ([start(205), BODY], "3 bytes in a response with status 205"),
        ([start(304), PART], "3 bytes in a response with status 304"),
    ],
)
async def test_what_the_specification_forbids_is_a_violation(messages: list[Any], why: str) -> None:
    with pytest.raises(ASGIViolation, match=re.escape(why)):
        await exchange(sender(*messages), scope={"extensions": EVERYTHING})


async def test_a_response_to_head_has_no_content() -> None:
    with pytest.raises(ASGIViolation, match="3 bytes in a response to HEAD"):
        await exchange(answer, "HEAD")


@pytest.mark.parametrize(
    ("messages", "extension"),
    [
        ([DEBUG], "http.response.debug"),
        ([HINT], "http.response.early_hint"),
        ([{**START, "trailers": True}], "http.response.trailers"),
        ([START, BODY, TRAILERS], "http.response.trailers"),
        ([START, PUSH], "http.response.push"),
        ([START, {"type": "http.response.pathsend", "path": "/a"}], "http.response.pathsend"),
        ([START, {"type": "http.response.zerocopysend", "file": 1}], "http.response.zerocopysend"),
    ],
)
async def test_an_extension_is_used_where_it_is_offered(
    messages: list[Message], extension: str
) -> None:
    offered: dict[str, Any] = {name: {} for name in EVERYTHING if name != extension}

    for scope in ({"extensions": offered}, {"extensions": None}):
        with pytest.raises(ASGIViolation, match=f"does not offer the extension {extension}"):
            await exchange(sender(*messages), scope=scope)


async def test_a_violation_cannot_be_swallowed() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with suppress(ASGIViolation):
            await send(BODY)
        with suppress(ASGIViolation):
            await send({"type": "the first one counts"})
        # It does not make the app wait for what cannot come any more.
        received.append(await receive())

    with anyio.fail_after(10), pytest.raises(ASGIViolation, match="before the start"):
        await exchange(app)

    assert received == [{"type": "http.disconnect"}]


def test_a_violation_is_a_failed_assertion() -> None:
    violation = pickle.loads(pickle.dumps(ASGIViolation("tea")))

    assert isinstance(violation, AssertionError)
    assert f"{ASGIViolation.__module__}.{violation}" == "asgikit.testing.tea"


async def test_a_violation_cannot_be_disguised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(BODY)
        except ASGIViolation:
            raise LookupError from None

    with pytest.raises(ASGIViolation, match="before the start"):
        await exchange(app)


# --- files that the server sends ----------------------------------------------------------------


@pytest.fixture
def tea(tmp_path: Path) -> Path:
    path = tmp_path / "tea"
    path.write_bytes(b"green tea")
    return path


def pathsend(path: object) -> Message:
    return {"type": "http.response.pathsend", "path": str(path)}


async def test_a_file_sent_by_its_path_is_the_body(tea: Path) -> None:
    app = sender(start(content_length="9"), pathsend(tea))

    result = await exchange(app, scope={"extensions": EVERYTHING})

    assert result.body == b"green tea"
    assert result.messages[-1] == pathsend(tea)


async def test_an_open_file_is_a_part_of_the_body(tea: Path) -> None:
    with tea.open("rb") as file:
        send: Message = {"type": "http.response.zerocopysend", "file": file}
        app = sender(
            START,
            {**send, "offset": 6, "more_body": True},
            PART,
            {**send, "offset": 0, "count": 5, "more_body": True},
            send,
        )
        result = await exchange(app, scope={"extensions": EVERYTHING})

    assert result.body == b"teateagreen tea"


async def test_a_file_counts_as_content(tea: Path) -> None:
    for status, why in ((200, "Content-Length is 8"), (304, "with status 304")):
        app = sender(start(status, content_length="8"), pathsend(tea))
        with pytest.raises(ASGIViolation, match=f"9 bytes.* {why}"):
            await exchange(app, scope={"extensions": EVERYTHING})


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (pathsend("/no/tea"), "no file to send"),
        (pathsend("tea"), "a path is absolute: 'tea'"),
        ({"type": "http.response.zerocopysend", "file": 1}, "no file to send"),
        ({"type": "http.response.zerocopysend", "file": 1, "offset": 1}, "no file to send"),
        ({"type": "http.response.zerocopysend", "file": 1, "offset": True}, "must not be True"),
        # Its bytes are copied by the system, which knows no objects.
        ({"type": "http.response.zerocopysend", "file": io.BytesIO(b"tea")}, "no file to send"),
    ],
)
async def test_a_file_must_be_there(message: Message, why: str) -> None:
    with pytest.raises(ASGIViolation, match=why):
        await exchange(sender(START, message), scope={"extensions": EVERYTHING})


@pytest.mark.parametrize("more", [{"count": -1}, {"offset": -1}, {"offset": -1, "count": 1}])
async def test_a_file_has_no_bytes_before_its_start(tmp_path: Path, more: dict[str, int]) -> None:
    path = tmp_path / "tea"
    path.write_bytes(b"green tea")
    with path.open("rb") as file:
        message = {"type": "http.response.zerocopysend", "file": file, **more}
        with pytest.raises(ASGIViolation, match="0 or more"):
            await exchange(sender(START, message), scope={"extensions": EVERYTHING})


# --- websockets, lifespans, and the unknown -----------------------------------------------------

WEBSOCKET = {"type": "websocket", "extensions": {"websocket.http.response": {}}}


@pytest.mark.parametrize(
    ("messages", "status_code", "body"),
    [
        ([{"type": "websocket.close"}], 403, b""),
        ([{"type": "websocket.close", "code": 1001, "reason": None}], 403, b""),
        ([{**DENIAL, "headers": []}, {"type": "websocket.http.response.body"}], 404, b""),
        ([DENIAL, {**PART, "type": "websocket.http.response.body"},
          {**BODY, "type": "websocket.http.response.body"}], 404, b"teatea"),
        ([{"type": "websocket.accept"}], 101, b""),
        ([{"type": "websocket.accept", "subprotocol": "tea", "headers": [(b"a", b"b")]},
          {"type": "websocket.send", "text": "tea"},
          {"type": "websocket.send", "text": None, "bytes": b"tea"},
          {"type": "websocket.close", "reason": "cold"}], 101, b""),
    ],
)  # fmt: skip
async def test_a_websocket_is_denied_or_accepted(
    messages: list[Message], status_code: int, body: bytes
) -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "method" not in scope
        assert (scope["scheme"], scope["subprotocols"]) == ("ws", [])
        received.append(await receive())
        for message in messages:
            await send(message)
        received.append(await receive())

    result = await exchange(app, scope=WEBSOCKET)

    assert (result.status_code, result.body) == (status_code, body)
    assert result.messages == messages
    assert received == [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1005},
    ]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "websocket: the app returned before the start"),
        ([DENIAL], "the app returned after the start"),
        ([START], "no message of a scope of type 'websocket'"),
        ([{"type": "websocket.close"}, {"type": "websocket.close"}], "after the end"),
        ([{"type": "websocket.send", "text": "tea"}], "before the start"),
        ([{"type": "websocket.accept"}, DENIAL], "after websocket.accept"),
        ([{"type": "websocket.accept"}, {"type": "websocket.send"}], "one of bytes and text"),
        ([{"type": "websocket.accept"}, {"type": "websocket.send", "bytes": b"", "text": ""}],
         "one of bytes and text"),
        ([{**DENIAL, "trailers": True}], "it has no key 'trailers'"),
        ([{"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"tea")]}],
         "subprotocol says"),
    ],
)  # fmt: skip
async def test_a_websocket_has_rules_too(messages: list[Message], why: str) -> None:
    with pytest.raises(ASGIViolation, match=why):
        await exchange(sender(*messages), scope=WEBSOCKET)


async def test_a_denial_takes_an_extension() -> None:
    for message in (DENIAL, {"type": "websocket.http.response.body"}):
        with pytest.raises(ASGIViolation, match=r"the extension websocket\.http\.response"):
            await exchange(sender(message), scope={"type": "websocket"})


async def lives(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["tea"] = ["hot"]
    await send(UP)
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["tea"].append("cold")
    await send(DOWN)


async def test_a_lifespan_lies_around_its_block() -> None:
    async with lifespan(lives) as state:
        assert state == {"tea": ["hot"]}

    assert state == {"tea": ["hot", "cold"]}


async def test_a_lifespan_fills_the_state_it_is_given() -> None:
    mine: dict[str, Any] = {"water": 1}

    async with lifespan(lambda scope: functools.partial(lives, scope), state=mine) as state:
        assert state is mine
        assert set(state) == {"tea", "water"}


async def test_a_lifespan_can_be_one_exchange() -> None:
    result = await exchange(lives, scope={"type": "lifespan"})

    assert result.messages == [UP, DOWN]


async def test_an_app_may_fail_to_start() -> None:
    app = sender({"type": "lifespan.startup.failed", "message": "no water"})

    with pytest.raises(RuntimeError, match=r"lifespan.startup.failed: no water"):
        async with lifespan(app):
            pytest.fail("it did not start")


async def test_an_app_may_fail_to_shut_down() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(UP)
        await receive()
        await send({"type": "lifespan.shutdown.failed"})

    with pytest.raises(RuntimeError, match=r"lifespan.shutdown.failed: $"):
        async with lifespan(app):
            pass


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "lifespan: the app returned before the start"),
        ([UP], "the app returned after lifespan.startup.complete"),
        ([DOWN], "must not come before the start"),
        ([UP, UP], "must not come after lifespan.startup.complete"),
        ([{**UP, "state": {}}], "it has no key 'state'"),
        ([START], "no message of a scope of type 'lifespan'"),
    ],
)
async def test_a_lifespan_has_rules_too(messages: list[Message], why: str) -> None:
    with pytest.raises(ASGIViolation, match=why):
        async with lifespan(sender(*messages)):
            await anyio.sleep_forever()


async def test_errors_around_a_lifespan_come_as_they_are() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no lifespan here")

    with pytest.raises(LookupError, match="no lifespan here"):
        async with lifespan(fails):
            pytest.fail("it did not start")
    with pytest.raises(ZeroDivisionError):
        async with lifespan(lives) as state:
            state["tea"] = 1 / 0


async def test_a_scope_of_no_known_type_reaches_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"

    result = await exchange(app, scope={"type": "tea"})

    assert isinstance(result, Exchange)
    with pytest.raises(ASGIViolation, match="no message of a scope of type 'tea'"):
        await exchange(answer, scope={"type": "tea"})
