"""Exchanges behave like servers, and raise a violation of each rule of the ASGI specification."""

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
EMPTY: Message = {"type": "http.response.body", "body": b""}
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
    """Return a start message with the headers ``fields``; "_" in a name becomes "-"."""
    headers = [
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()
    ]
    return {**START, "status": status, "headers": headers}


def headed(*headers: Any) -> Message:
    return {**START, "headers": list(headers)}


def sender(*messages: Any) -> Callable[..., Any]:
    """Return an app that sends ``messages``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(BODY)


async def drain(receive: Receive) -> list[Message]:
    """Receive and return all messages of the request body."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def scope_of(*args: Any, **kwargs: Any) -> Scope:
    """Return the scope with which an exchange calls the app."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await answer(scope, receive, send)

    await exchange(app, *args, **kwargs)
    return seen[0]


# --- the result ------------------------------------------------------------------------------


async def test_exchange_returns_status_headers_and_body() -> None:
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


async def test_exchange_result_is_immutable() -> None:
    result = await exchange(answer)

    with pytest.raises(AttributeError):
        result.status_code = 500  # type: ignore[misc]  # the subject of the test


async def test_messages_are_copied_when_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = {"type": "http.response.start", "status": 200, "headers": [[b"a", b"b"]]}
        await send(message)
        message["headers"].append("a later change")
        message["status"] = 500
        await send(BODY)

    result = await exchange(app)

    assert result.messages == [{**START, "headers": [(b"a", b"b")]}, BODY]
    assert (result.status_code, list(result.headers.items())) == (200, [("a", "b")])


async def test_trailers_after_the_body_are_returned() -> None:
    app = sender({**START, "trailers": True}, BODY, {**TRAILERS, "more_trailers": True}, TRAILERS)

    result = await exchange(app, scope={"extensions": {"http.response.trailers": {}}})

    assert result.trailers.getall("digest") == ["x", "x"]
    assert list(result.headers) == []


async def test_app_error_is_raised_unchanged() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("tea") from ValueError("water")

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"tea"

    for body in (b"", chunks()):
        with pytest.raises(LookupError, match="tea") as caught:
            await exchange(app, body=body)
        assert isinstance(caught.value.__cause__, ValueError)


# --- the request --------------------------------------------------------------------------------


async def test_scope_has_all_keys_of_a_server() -> None:
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
        ("/\xfc?\xfc", "/\xfc", b"/%C3%BC", b"%C3%BC"),  # as a browser encodes it
        ("/%ff%", "/\ufffd%", b"/%ff%", b""),  # not UTF-8; not percent-encoded
        ("/a?b?c", "/a", b"/a", b"b?c"),
        ("/a%3Fb", "/a?b", b"/a%3Fb", b""),
        ("*", "*", b"*", b""),
        ("http://a/b", "http://a/b", b"http://a/b", b""),
    ],
)
async def test_target_is_split_and_decoded(
    target: str, path: str, raw_path: bytes, query: bytes
) -> None:
    scope = await scope_of(target=target)

    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


@given(target=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_target_text_gives_an_encodable_scope(target: str) -> None:
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
async def test_absent_client_headers_are_added(
    headers: Any, body: Any, fields: list[tuple[bytes, bytes]]
) -> None:
    assert (await scope_of(headers=headers, body=body))["headers"] == fields


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("POST", b"0"), ("PUT", b"0")])
async def test_empty_body_has_content_length_if_method_expects_content(
    method: str, length: bytes | None
) -> None:
    assert dict((await scope_of(method))["headers"]).get(b"content-length") == length


async def test_scope_entries_are_replaced_by_the_argument() -> None:
    state = {"pool": object()}
    odd = {"state": state, "headers": [(b"Host", b"\x00")], "server": ["a", "80"], "method": "get"}

    scope = await scope_of(scope=odd)

    assert {key: scope[key] for key in odd} == odd
    assert scope["state"] is state


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a b": "c"}, {"a": "\u20ac"}])
async def test_unsendable_request_header_is_a_value_error(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"header|control"):
        await exchange(answer, headers=headers)


async def test_negative_disconnect_after_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="-1"):
        await exchange(answer, disconnect_after=-1)


# --- the two calling conventions ----------------------------------------------------------------


class Response:
    """Accepts both calling conventions, like a response."""

    async def __call__(self, *args: Any) -> None:
        assert len(args) in {2, 3}
        await answer({}, *args[-2:])


class ASGI2App:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await answer(self.scope, receive, send)


class ASGI3App:
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
        ASGI3App(),
        Response(),
        functools.partial(answer),
        ASGI2App,
        returns_an_instance,
        is_a_factory,
        has_an_option,
        lambda scope: functools.partial(answer, scope),
    ],
)
async def test_exchange_serves_both_calling_conventions(app: Callable[..., Any]) -> None:
    assert (await exchange(app)).body == b"tea"


def pass_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method as most libraries do."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def give_scope(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method of two parameters as an ASGI 3 method. The wrapper's signature counts."""

    @functools.wraps(function)
    async def wrapper(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await function(self, receive, send)

    return wrapper


class MethodDescriptor:
    """Decorate a method by an object, as wrapt does."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        return functools.partial(self.function, instance)


async def run_any(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request or a lifespan."""
    await (live if scope["type"] == "lifespan" else answer)(scope, receive, send)


class SlotApp:
    """SentryAsgiMiddleware has such a `__call__`."""

    __slots__ = ("__call__",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.__call__ = call


class PassedOn:
    @pass_on
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_any(scope, receive, send)


class GivenScope:
    scope: Scope

    @give_scope
    async def __call__(self, receive: Receive, send: Send) -> None:
        await run_any(self.scope, receive, send)


class Described:
    @MethodDescriptor
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_any(scope, receive, send)


class DescribedASGI2:
    @MethodDescriptor
    def __call__(self, scope: Scope) -> Callable[..., Any]:
        return functools.partial(run_any, scope)


class Static:
    @staticmethod
    async def __call__(scope: Scope, receive: Receive, send: Send) -> None:
        await run_any(scope, receive, send)


class Partial:
    async def run(self, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        await run_any(scope, receive, send)

    __call__ = functools.partialmethod(run, 1)


@pytest.mark.parametrize(
    "app",
    [
        SlotApp(run_any),
        SlotApp(lambda scope: functools.partial(run_any, scope)),
        PassedOn(),
        GivenScope(),
        Described(),
        DescribedASGI2(),
        Static(),
        Partial(),
    ],
    ids=lambda app: type(app).__name__,
)
async def test_instance_with_slot_or_decorated_call_is_served(app: Callable[..., Any]) -> None:
    assert (await exchange(app)).body == b"tea"
    async with lifespan(app) as state:
        assert state == {"tea": ["hot"]}


async def test_app_with_unreadable_signature_is_called_as_asgi3(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_signature(app: object, **options: object) -> None:
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
async def test_each_body_chunk_is_one_message(body: Any, messages: list[Message]) -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(await drain(receive))
        await answer(scope, receive, send)
        seen.extend([await receive(), await receive()])

    await exchange(app, body=body() if callable(body) else body)

    assert seen == [*messages, {"type": "http.disconnect"}, {"type": "http.disconnect"}]


async def test_async_body_chunk_arrives_before_the_next_exists() -> None:
    go_on = anyio.Event()

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        await go_on.wait()
        yield b"b"

    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        # A cancelled receive loses no message.
        with anyio.move_on_after(0.001):
            await receive()
        go_on.set()
        seen.extend(await drain(receive))
        await answer(scope, receive, send)

    with anyio.fail_after(10):
        await exchange(app, body=chunks())

    assert seen == [request(b"a", more=True), request(b"b", more=True), request(b"")]


async def test_async_body_is_read_one_chunk_ahead() -> None:
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
    """An async iterable that is not a generator."""

    def __aiter__(self) -> Empty:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


async def test_async_iterable_without_generator_is_a_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == request(b"")
        await answer(scope, receive, send)

    await exchange(app, body=Empty())


async def test_unread_async_body_is_closed() -> None:
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


async def test_error_of_the_body_is_raised() -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        raise LookupError("out of tea")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)

    with pytest.raises(LookupError, match="out of tea"):
        await exchange(app, body=chunks())
    with pytest.raises(TypeError, match="bytes, not str: 't'"):
        await exchange(app, body="tea")  # type: ignore[arg-type]  # the subject of the test


async def test_receive_waits_for_the_end_of_the_response() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            order.append((await receive())["type"])

        await receive()
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            group.start_soon(watch)  # two waiting tasks do not wake each other in a loop
            await anyio.wait_all_tasks_blocked()
            await send(START)
            await anyio.wait_all_tasks_blocked()
            order.append("end")
            await send(BODY)

    await exchange(app)

    assert order == ["end", "http.disconnect", "http.disconnect"]


async def test_app_that_waits_forever_can_be_cancelled() -> None:
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


# --- disconnects -------------------------------------------------------------------------------


async def test_disconnect_before_the_body_returns_no_response() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert [await receive(), await receive()] == [{"type": "http.disconnect"}] * 2
        await answer(scope, receive, send)

    result = await exchange(app, body=[b"a", b"b"], disconnect_after=0)

    assert (result.status_code, result.body, result.messages) == (0, b"", [])


async def test_receive_returns_ready_messages_without_checkpoint() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Some apps poll in a cancelled scope, in which each checkpoint raises.
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
    # The disconnect is repeated, but the second receive may yield to the event loop.
    assert received == [{"type": "http.disconnect"}] * 2


@pytest.mark.parametrize(("count", "body"), [(1, b""), (2, b"tea"), (3, b"teatea")])
async def test_disconnect_after_messages_keeps_those(count: int, body: bytes) -> None:
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


async def test_disconnect_while_async_body_waits_is_received() -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        await anyio.lowlevel.checkpoint()

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
async def test_send_after_disconnect_raises_from_spec_version_2_4(
    asgi: dict[str, str], raises: bool
) -> None:
    errors: list[OSError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(START)
            await send({"type": "unchecked after a disconnect"})
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
async def test_allowed_messages_pass(method: str, messages: list[Message]) -> None:
    result = await exchange(sender(*messages), method, scope={"extensions": EVERYTHING})

    assert len(result.messages) == len(messages)


@pytest.mark.parametrize(
    ("messages", "rule"),
    [
        # Order.
        ([], "http: the app returned before the start, its response is incomplete"),
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
        ([{**START, "trailers": True}, BODY], "the app returned where trailers are expected"),
        ([{**START, "trailers": True}, BODY, BODY], "must not come where trailers are expected"),
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
async def test_forbidden_messages_are_violations(messages: list[Any], rule: str) -> None:
    with pytest.raises(ASGIViolation, match=re.escape(rule)):
        await exchange(sender(*messages), scope={"extensions": EVERYTHING})


async def test_content_in_head_response_is_a_violation() -> None:
    with pytest.raises(ASGIViolation, match="3 bytes in a response to HEAD"):
        await exchange(answer, "HEAD")


@pytest.mark.parametrize(
    ("method", "messages", "rule"),
    [
        # WSGI bridges pass names on as the app wrote them.
        ("GET", [headed((b"X-Tea", b"a")), EMPTY], "a name in lower case"),
        ("GET", [{**headed([b"x-tea", b"a"]), "reason": "OK"}, EMPTY], "no key 'reason'"),
        ("GET", [START, {**EMPTY, "last": True}], "no key 'last'"),
        # Django sends it.
        ("GET", [start(204, content_length="0"), EMPTY], "with status 204"),
        # Each server drops the content, so an app may run the handler of GET.
        ("HEAD", [start(content_length="3"), BODY], "3 bytes in a response to HEAD"),
        ("HEAD", [start(content_length="6"), PART, BODY], "3 bytes in a response to HEAD"),
    ],
)
async def test_deviations_pass_if_not_strict(
    method: str, messages: list[Message], rule: str
) -> None:
    result = await exchange(sender(*messages), method, strict=False)

    assert result.body == b""
    assert [name for name in result.headers if name != name.lower()] == []
    with pytest.raises(ASGIViolation, match=rule):
        await exchange(sender(*messages), method)


@pytest.mark.parametrize(
    ("messages", "rule"),
    [
        ([headed((b"a", b" b"))], "a value without space around"),
        ([headed((b"A", b"b\nc"))], "a control character"),
        ([headed(("A", "b"))], "a header's name and value are bytes"),
        ([start(content_length="2"), BODY], "3 bytes, where Content-Length is 2"),
        ([start(103, content_length="0")], "a Content-Length with status 103"),
        ([start(204), BODY], "3 bytes in a response with status 204"),
        ([START, {**BODY, "body": bytearray(b"t")}], "body must not be bytearray"),
        ([START, BODY, BODY], "must not come after the end"),
        ([START], "the app returned after the start"),
    ],
)
async def test_violations_are_raised_if_not_strict(messages: list[Message], rule: str) -> None:
    with pytest.raises(ASGIViolation, match=re.escape(rule)):
        await exchange(sender(*messages), strict=False)


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
async def test_extension_message_without_offer_is_a_violation(
    messages: list[Message], extension: str
) -> None:
    offered: dict[str, Any] = {name: {} for name in EVERYTHING if name != extension}

    for scope in ({"extensions": offered}, {"extensions": None}):
        with pytest.raises(ASGIViolation, match=f"does not offer the extension {extension}"):
            await exchange(sender(*messages), scope=scope)


async def test_violation_caught_by_the_app_is_raised() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with suppress(ASGIViolation):
            await send(BODY)
        with suppress(ASGIViolation):
            await send({"type": "the first one counts"})
        # After a violation, receive reports the end, so that the app does not wait forever.
        received.append(await receive())

    with anyio.fail_after(10), pytest.raises(ASGIViolation, match="before the start"):
        await exchange(app)

    assert received == [{"type": "http.disconnect"}]


def test_violation_is_an_assertion_error() -> None:
    violation = pickle.loads(pickle.dumps(ASGIViolation("tea")))

    assert isinstance(violation, AssertionError)
    assert f"{ASGIViolation.__module__}.{violation}" == "asgikit.testing.tea"


async def test_violation_replaces_a_later_error_of_the_app() -> None:
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


async def test_pathsend_file_is_the_body(tea: Path) -> None:
    app = sender(start(content_length="9"), pathsend(tea))

    result = await exchange(app, scope={"extensions": EVERYTHING})

    assert result.body == b"green tea"
    assert result.messages[-1] == pathsend(tea)


async def test_zerocopysend_file_is_part_of_the_body(tea: Path) -> None:
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


async def test_file_size_is_checked_against_the_head(tea: Path) -> None:
    for status, rule in ((200, "Content-Length is 8"), (304, "with status 304")):
        app = sender(start(status, content_length="8"), pathsend(tea))
        with pytest.raises(ASGIViolation, match=f"9 bytes.* {rule}"):
            await exchange(app, scope={"extensions": EVERYTHING})


@pytest.mark.parametrize(
    ("message", "rule"),
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
async def test_missing_file_is_a_violation(message: Message, rule: str) -> None:
    with pytest.raises(ASGIViolation, match=rule):
        await exchange(sender(START, message), scope={"extensions": EVERYTHING})


@pytest.mark.parametrize("more", [{"count": -1}, {"offset": -1}, {"offset": -1, "count": 1}])
async def test_negative_offset_or_count_is_a_violation(
    tmp_path: Path, more: dict[str, int]
) -> None:
    path = tmp_path / "tea"
    path.write_bytes(b"green tea")
    with path.open("rb") as file:
        message = {"type": "http.response.zerocopysend", "file": file, **more}
        with pytest.raises(ASGIViolation, match="0 or more"):
            await exchange(sender(START, message), scope={"extensions": EVERYTHING})


# --- websockets, lifespans, unknown scopes ------------------------------------------------------

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
async def test_websocket_is_denied_or_accepted(
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
    ("messages", "rule"),
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
         "use the key subprotocol"),
    ],
)  # fmt: skip
async def test_forbidden_websocket_messages_are_violations(
    messages: list[Message], rule: str
) -> None:
    with pytest.raises(ASGIViolation, match=rule):
        await exchange(sender(*messages), scope=WEBSOCKET)


async def test_websocket_denial_without_extension_is_a_violation() -> None:
    for message in (DENIAL, {"type": "websocket.http.response.body"}):
        with pytest.raises(ASGIViolation, match=r"the extension websocket\.http\.response"):
            await exchange(sender(message), scope={"type": "websocket"})


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["tea"] = ["hot"]
    await send(UP)
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["tea"].append("cold")
    await send(DOWN)


async def test_lifespan_starts_before_and_stops_after_the_block() -> None:
    async with lifespan(live) as state:
        assert state == {"tea": ["hot"]}

    assert state == {"tea": ["hot", "cold"]}


async def test_lifespan_fills_the_given_state() -> None:
    mine: dict[str, Any] = {"water": 1}

    async with lifespan(lambda scope: functools.partial(live, scope), state=mine) as state:
        assert state is mine
        assert set(state) == {"tea", "water"}


async def test_exchange_with_lifespan_scope_runs_a_lifespan() -> None:
    result = await exchange(live, scope={"type": "lifespan"})

    assert result.messages == [UP, DOWN]


async def test_lifespan_startup_failed_is_a_runtime_error() -> None:
    app = sender({"type": "lifespan.startup.failed", "message": "no water"})

    with pytest.raises(RuntimeError, match=r"lifespan.startup.failed: no water"):
        async with lifespan(app):
            pytest.fail("it did not start")


async def test_lifespan_shutdown_failed_is_a_runtime_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(UP)
        await receive()
        await send({"type": "lifespan.shutdown.failed"})

    with pytest.raises(RuntimeError, match=r"lifespan.shutdown.failed: $"):
        async with lifespan(app):
            pass


@pytest.mark.parametrize(
    ("messages", "rule"),
    [
        ([], "lifespan: the app returned before the start"),
        ([UP], "the app returned after lifespan.startup.complete"),
        ([DOWN], "must not come before the start"),
        ([UP, UP], "must not come after lifespan.startup.complete"),
        ([{**UP, "state": {}}], "it has no key 'state'"),
        ([START], "no message of a scope of type 'lifespan'"),
    ],
)
async def test_forbidden_lifespan_messages_are_violations(
    messages: list[Message], rule: str
) -> None:
    with pytest.raises(ASGIViolation, match=rule):
        async with lifespan(sender(*messages)):
            await anyio.lowlevel.checkpoint()


async def test_lifespan_errors_are_raised_unchanged() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no lifespan here")

    with pytest.raises(LookupError, match="no lifespan here"):
        async with lifespan(fails):
            pytest.fail("it did not start")
    with pytest.raises(ZeroDivisionError):
        async with lifespan(live) as state:
            state["tea"] = 1 / 0


async def in_new_task(function: Callable[..., Any], *args: Any) -> None:
    """Run ``function`` in a task of its own that ends with it."""
    async with anyio.create_task_group() as group:
        group.start_soon(function, *args)


async def test_lifespan_is_entered_and_left_in_different_tasks() -> None:
    entered = lifespan(live)
    await in_new_task(entered.__aenter__)
    await in_new_task(entered.__aexit__, None, None, None)

    with pytest.raises(LookupError):
        async with lifespan(live) as state:
            raise LookupError
    assert state == {"tea": ["hot"]}


async def test_lifespan_error_during_the_block_is_raised_after_it() -> None:
    entered_block, failed = anyio.Event(), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(UP)
        await entered_block.wait()
        failed.set()
        raise LookupError("out of tea")

    entered = lifespan(app)
    with anyio.fail_after(10):
        await entered.__aenter__()
        entered_block.set()
        await failed.wait()
        with pytest.raises(LookupError, match="out of tea"):
            await entered.__aexit__(None, None, None)


async def test_lifespan_app_is_cancelled_if_the_block_raises() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(UP)
        try:
            await receive()
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise

    async def fail() -> None:
        async with lifespan(app):
            await anyio.wait_all_tasks_blocked()
            raise ZeroDivisionError

    with anyio.fail_after(10), pytest.raises(ZeroDivisionError):
        await fail()
    assert ended == ["cancelled"]


async def test_lifespan_start_that_is_cancelled_ends_the_app() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    with anyio.move_on_after(0.01) as limit:
        async with lifespan(app):
            pytest.fail("the app did not start")
    assert limit.cancelled_caught
    assert ended == ["cancelled"]


async def test_unknown_scope_type_reaches_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"

    result = await exchange(app, scope={"type": "tea"})

    assert isinstance(result, Exchange)
    with pytest.raises(ASGIViolation, match="no message of a scope of type 'tea'"):
        await exchange(answer, scope={"type": "tea"})
