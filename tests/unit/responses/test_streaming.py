"""Streams: an iterator is closed once on every exit, and nothing is sent after a disconnect."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    BodyConsumed,
    ClientDisconnect,
    ContentLengthMismatch,
    HTTPError,
    NDJSONResponse,
    Request,
    StreamingResponse,
    request_response,
    to_asgi,
)
from asgikit.testing import exchange
from tests.support.streams import (
    KINDS,
    WAIT,
    Boom,
    Client,
    Source,
    assert_closed_once,
    cancel,
    completes_after_early_disconnect,
    every_kind,
    release,
    run_cancelled_at,
)
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
    )
    from pathlib import Path

    from asgikit.types import Message, Scope

pytestmark = pytest.mark.anyio

# --- construction and messages -------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["text", b"bytes", bytearray(b"a"), memoryview(b"a"), 1, None, object(), Source()]
)
def test_init_with_content_that_is_no_iterable_of_chunks_raises(content: Any) -> None:
    with pytest.raises(TypeError, match=f"iterable of chunks, not {type(content).__name__}"):
        StreamingResponse(content)


def test_init_with_negative_content_length_raises() -> None:
    with pytest.raises(ValueError, match="-1"):
        StreamingResponse([], content_length=-1)


def test_body_of_stream_raises_attribute_error() -> None:
    response = StreamingResponse([b"a"])

    assert not hasattr(response, "body")
    with pytest.raises(AttributeError, match="is the iterable it was made with"):
        response.body = b"b"
    assert repr(response) == "<StreamingResponse 200>"


async def test_stream_sends_headers_and_one_message_per_chunk() -> None:
    done: list[str] = []
    response = StreamingResponse(
        [b"a", "é", bytearray(b"b"), memoryview(b"c"), b"", type("Bytes", (bytes,), {})(b"d")],
        201,
        {"x-a": "1"},
        "text/plain",
        lambda: done.append("background"),
        content_length=6,
    )

    answer = await exchange(response)

    assert [message.get("body") for message in answer.messages] == [
        None, b"a", b"\xc3\xa9", b"b", b"c", b"", b"d", b"",
    ]  # fmt: skip
    assert [message.get("more_body", False) for message in answer.messages[1:]] == [
        *[True] * 6,
        False,
    ]
    assert answer.headers.raw == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-a", b"1"),
        (b"content-length", b"6"),
    ]
    assert (answer.status_code, done) == (201, ["background"])


async def test_text_chunk_is_encoded_in_charset_of_class() -> None:
    class Latin(StreamingResponse):
        media_type = "text/plain"
        charset = "latin-1"

    answer = await exchange(Latin(["é"]))

    assert (answer.body, answer.headers["content-type"]) == (b"\xe9", "text/plain; charset=latin-1")


async def test_iterable_that_is_no_iterator_is_sent_twice() -> None:
    class Numbers:
        async def __aiter__(self) -> AsyncGenerator[bytes]:
            yield b"1"
            yield b"2"

    for content in ([b"1", b"2"], (b"1", b"2"), Numbers()):
        response = StreamingResponse(content)
        assert [(await exchange(response)).body for _ in range(2)] == [b"12", b"12"]


async def test_file_is_sent_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n2\n")
    file = await anyio.to_thread.run_sync(path.open, "rb")

    assert (await exchange(StreamingResponse(file))).body == b"1\n2\n"
    assert file.closed


@every_kind
async def test_stream_iterates_ahead_of_client_at_most_as_allowed(kind: str) -> None:
    source = Source(*[b"x"] * 40)
    ahead: list[int] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        async def look(message: Message) -> None:
            if message.get("more_body"):
                sent.append(message)
                for _ in range(3):
                    await checkpoint()
                ahead.append(source.steps_taken - len(sent))
            await send(message)

        sent: list[Message] = []
        await StreamingResponse(KINDS[kind](source))(scope, receive, look)

    await exchange(app)

    # Sync iterables run ahead, since a change of threads takes longer than most steps.
    most = 16 if kind in ("generator", "iterator") else 0
    assert max(ahead) <= most
    assert len(ahead) == 40


# --- exits ---------------------------------------------------------------------------------------


@every_kind
async def test_exhausted_iterator_is_closed_once(kind: str) -> None:
    source = Source(b"a", b"b")
    iterator = KINDS[kind](source)

    answer = await exchange(StreamingResponse(iterator))

    assert answer.body == b"ab"
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_error_before_first_chunk_sends_nothing_and_closes(kind: str) -> None:
    source = Source(Boom())
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(Boom):
        await client.get(StreamingResponse(iterator))

    assert client.messages == []
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_error_after_first_chunk_ends_response_early_and_closes(kind: str) -> None:
    source = Source(b"a", Boom())
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(Boom):
        await client.get(StreamingResponse(iterator))

    assert client.body == b"a"
    assert client.messages[-1]["more_body"]
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("sent", [0, 1], ids=["before the first chunk", "in the middle"])
async def test_disconnect_while_iterator_waits_closes_it(kind: str, sent: int) -> None:
    source = Source(*[b"a"] * sent, WAIT, b"never")
    iterator = KINDS[kind](source)
    client = Client(source.is_waiting)
    source.is_sent = lambda: client.body == b"a" * sent
    done: list[str] = []
    response = StreamingResponse(iterator, background=lambda: done.append("background"))

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: client.is_disconnected)
        await client.get(response)

    assert client.body == b"a" * sent
    assert (len(client.messages), source.steps_taken) == (2 * sent, sent + 1)
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_disconnect_before_first_chunk_closes_iterator(kind: str) -> None:
    source = Source(*[b"a"] * 100_000)
    iterator = KINDS[kind](source)

    answer = await exchange(StreamingResponse(iterator), disconnect_after=0)

    assert answer.messages == []
    assert source.steps_taken < 10_000
    assert_closed_once(source, iterator, kind)


class Endless:
    """An async iterator that has nothing to close."""

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> bytes:
        return b"a"


async def test_disconnect_ends_iterator_without_aclose() -> None:
    client = Client(disconnect_after=3)

    with anyio.fail_after(BOUND):
        await client.get(StreamingResponse(Endless()))

    assert client.body in (b"aa", b"aaa")  # the disconnect is noticed at the third send or before


@every_kind
@pytest.mark.parametrize("fails_at", [0, 1])
async def test_send_error_in_empty_stream_closes_iterator(kind: str, fails_at: int) -> None:
    source = Source()
    iterator = KINDS[kind](source)
    client = Client(send_fails_at=fails_at)

    await client.get(StreamingResponse(iterator))

    assert len(client.messages) == fails_at
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
async def test_os_error_of_send_closes_iterator_and_runs_background(
    kind: str, fails_at: int
) -> None:
    source = Source(b"a", b"b")
    iterator = KINDS[kind](source)
    client = Client(send_fails_at=fails_at)
    done: list[str] = []

    await client.get(StreamingResponse(iterator, background=lambda: done.append("background")))

    assert len(client.messages) == fails_at
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("error", [OSError("disk"), ClientDisconnect("upstream")])
@pytest.mark.parametrize("before", [[], [b"a"]], ids=["first", "later"])
async def test_os_error_of_iterator_is_raised(
    kind: str, error: OSError, before: list[bytes]
) -> None:
    source = Source(*before, error)
    iterator = KINDS[kind](source)
    done: list[str] = []
    response = StreamingResponse(iterator, background=lambda: done.append("background"))

    with pytest.raises(type(error), match=str(error)):
        await Client().get(response)

    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("sent", [0, 1], ids=["before the first chunk", "in the middle"])
async def test_cancelled_outer_scope_closes_iterator(kind: str, sent: int) -> None:
    source = Source(*[b"a"] * sent, WAIT)
    iterator = KINDS[kind](source)
    client = Client()
    source.is_sent = lambda: client.body == b"a" * sent
    seen: list[BaseException] = []
    done: list[str] = []
    response = StreamingResponse(iterator, background=lambda: done.append("background"))

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as outside:
            group.start_soon(cancel, source, outside)
            try:
                await client.get(response)
            except BaseException as error:
                seen.append(error)
                raise

    assert outside.cancelled_caught
    assert isinstance(seen[0], anyio.get_cancelled_exc_class())  # not an exception group
    # On Trio, the chunk of the step that was running may still be sent.
    assert client.body.removesuffix(b"late") == b"a" * sent
    assert done == []
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio has no task.cancel()
async def test_cancelled_task_closes_iterator(kind: str, times: int) -> None:
    source = Source(b"a", WAIT)
    iterator = KINDS[kind](source)
    client = Client()
    done: list[str] = []
    response = StreamingResponse(iterator, background=lambda: done.append("background"))

    source.is_sent = lambda: client.body == b"a"
    task = asyncio.ensure_future(client.get(response))
    await until(source.is_waiting)
    for _ in range(times):
        task.cancel()
        await checkpoint()
    source.resume.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (client.body, done) == (b"a", [])
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("kind", ["generator", "iterator"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # asyncio.run() ends like this
async def test_cancelling_all_tasks_closes_iterator(kind: str) -> None:
    source = Source(b"a", WAIT)
    iterator = KINDS[kind](source)
    before = asyncio.all_tasks()

    task = asyncio.ensure_future(Client().get(StreamingResponse(iterator)))
    await until(source.waiting.is_set)
    for each in asyncio.all_tasks() - before:
        each.cancel()
    await checkpoint()
    source.resume.set()  # the iterator is closed after the running step
    await asyncio.wait([task])

    assert task.cancelled()
    assert_closed_once(source, iterator, kind)


# --- cancellation at any await -------------------------------------------------------------------


def scenario(name: str, kind: str) -> tuple[Source, Any, Client, Callable[..., Awaitable[None]]]:
    source = Source(*[b"a"] * 4)
    iterator = KINDS[kind](source)
    client = Client(disconnect_after=3 if name == "disconnects" else None)
    if name == "disconnects":
        source.steps += [b"a"] * 1000

    if name == "echoes":
        # It sends nothing for a while and then disconnects; the app waits for it once.
        polls = iter(range(20))
        client = Client(lambda: next(polls, None) is None)

        @request_response
        async def app(request: Request[Any]) -> StreamingResponse:
            async def echo() -> AsyncGenerator[bytes]:
                async for chunk in request.stream():
                    await checkpoint()
                    yield chunk
                async for chunk in aiter(iterator):
                    yield chunk

            async def drain() -> None:
                await request.is_disconnected()

            return StreamingResponse(closing(echo(), iterator), background=drain)

        return source, iterator, client, app
    return source, iterator, client, StreamingResponse(iterator, background=checkpoint)


async def closing(content: AsyncGenerator[bytes], inner: Any) -> AsyncGenerator[bytes]:
    try:
        async for chunk in content:
            yield chunk
    finally:
        await content.aclose()
        await inner.aclose()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("stays", kind) for kind in KINDS],
        *[("disconnects", kind) for kind in KINDS],
        ("echoes", "async generator"),
    ],
)
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)
async def test_stream_cancelled_at_any_await_closes_iterator_once(
    name: str, kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: set[bool] = set()
    for at in range(1, 41):
        source, iterator, client, app = scenario(name, kind)
        with anyio.fail_after(BOUND):
            outcomes.add(await run_cancelled_at(at, client.get(app), how))
        assert_closed_once(source, iterator, kind)
    gc.collect()

    assert True in outcomes
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


# --- disconnects ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "anyio_backend",
    ["asyncio", ("asyncio", {"use_uvloop": True}), "trio"],
    ids=["asyncio", "uvloop", "trio"],
)
@pytest.mark.parametrize("chunk", [b"x", b""])
@pytest.mark.parametrize("disconnect_after", [0, 1, 1000])
async def test_stream_that_never_waits_notices_disconnect(
    chunk: bytes, disconnect_after: int
) -> None:
    steps = sent = 0

    async def never_waits() -> AsyncGenerator[bytes]:
        nonlocal steps
        for _ in range(1_000_000):
            steps += 1
            yield chunk

    async def receive() -> Message:
        # Like a server, it waits until the disconnect, and its cancellation loses no message.
        while sent < disconnect_after:
            await checkpoint()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal sent
        sent += 1

    response: Any = StreamingResponse(never_waits())
    await response(receive, send)

    assert disconnect_after <= steps < disconnect_after + 300


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_disconnect_during_last_message_does_not_cancel_send(
    method: str,
) -> None:
    response = StreamingResponse(Source(b"a").async_generator())
    assert await completes_after_early_disconnect(response, method)


async def test_generator_that_ignores_cancellation_is_closed() -> None:
    source = Source()

    async def stubborn() -> AsyncGenerator[bytes]:
        for number in range(100_000):
            source.steps_taken += 1
            try:
                if number == 2:
                    source.waiting.set()
                    await anyio.sleep_forever()
                await checkpoint()
            except GeneratorExit:
                source.close()
                raise
            except BaseException:  # noqa: BLE001 - the generator ignores the cancellation
                pass
            try:
                yield b"x"
            except GeneratorExit:
                source.close()
                raise

    client = Client(source.waiting.is_set)
    await client.get(StreamingResponse(stubborn()))

    assert (client.body, source.steps_taken, len(source.closes)) == (b"xx", 3, 1)


@pytest.mark.parametrize("content_length", [None, 5])
@pytest.mark.parametrize("sent", [0, 1])
async def test_generator_that_returns_at_disconnect_raises_nothing(
    content_length: int | None, sent: int
) -> None:
    source = Source()

    async def graceful() -> AsyncGenerator[bytes]:
        for _ in range(sent):
            yield b"x"
        source.waiting.set()
        try:
            await anyio.sleep_forever()
        except BaseException:  # noqa: BLE001 - the generator ignores the cancellation
            return

    client = Client(source.waiting.is_set)
    await client.get(StreamingResponse(graceful(), content_length=content_length))

    assert client.body == b"x" * sent


async def test_error_of_generator_at_disconnect_is_raised() -> None:
    source = Source()

    async def clumsy() -> AsyncGenerator[bytes]:
        try:
            source.waiting.set()
            await anyio.sleep_forever()
            yield b"x"
        finally:
            raise Boom

    with pytest.raises(Boom):
        await Client(source.waiting.is_set).get(StreamingResponse(clumsy()))


@every_kind
async def test_error_of_receive_is_raised_and_closes_iterator(kind: str) -> None:
    source = Source(b"a", WAIT)
    iterator = KINDS[kind](source)
    client = Client()

    async def receive() -> Message:
        await until(source.waiting.is_set)
        source.resume.set()
        raise Boom

    with pytest.raises(Boom):
        await StreamingResponse(iterator)(client.scope, receive, client.send)

    assert_closed_once(source, iterator, kind)


async def test_websocket_message_from_receive_raises() -> None:
    async def receive() -> Message:
        return {"type": "websocket.receive"}

    source = Source(b"a", WAIT)
    with pytest.raises(RuntimeError, match=r"websocket\.receive"):
        await StreamingResponse(source.async_generator())(Client().scope, receive, Client().send)


async def test_receive_that_returns_disconnect_at_cancellation_is_ignored() -> None:
    client = Client()

    async def receive() -> Message:
        with suppress(BaseException):
            await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    await StreamingResponse(Source(b"a", b"b").async_generator())(
        client.scope, receive, client.send
    )
    await checkpoint()

    assert client.body == b"ab"
    assert not client.messages[-1].get("more_body")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio has no task.cancel()
async def test_disconnect_keeps_cancel_count_of_task_cancelled_before() -> None:
    source = Source(b"a", WAIT)
    client = Client(source.waiting.is_set)

    async def survivor() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await checkpoint()
        await client.get(StreamingResponse(source.async_generator()))
        return task.cancelling()

    assert await asyncio.ensure_future(survivor()) == 1
    assert client.body == b"a"


async def test_task_is_not_cancelled_after_disconnect() -> None:
    source = Source(b"a", WAIT)
    client = Client(source.waiting.is_set)

    with anyio.fail_after(BOUND):
        await client.get(StreamingResponse(source.async_generator()))
        for _ in range(5):
            await checkpoint()

    assert client.body == b"a"


async def test_disconnect_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(b"a", WAIT)
    with caplog.at_level(logging.DEBUG, "asgikit"):
        for fails_at in (0, 1, 2):
            await Client(send_fails_at=fails_at).get(StreamingResponse([b"a"]))
        assert [record.name for record in caplog.records] == ["asgikit"] * 3
        await Client(source.waiting.is_set).get(StreamingResponse(source.async_generator()))

    assert {record.levelname for record in caplog.records} == {"DEBUG"}


# --- Content-Length and responses without content ------------------------------------------------


@every_kind
@pytest.mark.parametrize(
    ("chunks", "length", "sent"),
    [
        ([b"abc"], "3", None),
        ([b"a", b"", b"bc"], "3", None),
        ([], "0", None),
        ([b""], "0", None),
        # Too short: the error is raised at the end, and the connection is closed.
        ([b"ab"], "3", b"ab"),
        ([], "3", b""),
        # Too long: no byte of the chunk that exceeds the length is sent.
        ([b"abc", b"d"], "3", b"abc"),
        ([b"abcd"], "3", b""),
        ([b"a"], "0", b""),
        # Not a length: no step is taken.
        ([b"abc"], "abc", b""),
        ([b"abc"], "3, 3", b""),
        ([b"abc"], "-3", b""),
    ],
)
async def test_content_length_that_differs_from_content_raises(
    kind: str, chunks: list[bytes], length: str, sent: bytes | None
) -> None:
    if kind.endswith("file"):
        chunks = [chunk for chunk in chunks if chunk]  # an empty chunk is the end of a file
    ways: list[dict[str, Any]] = [{"headers": {"content-length": length}}]
    if length.isdigit():
        ways.append({"content_length": int(length)})
    for options in ways:
        source = Source(*chunks)
        iterator = KINDS[kind](source)
        client = Client()
        response = StreamingResponse(iterator, **options)
        if sent is None:
            await client.get(response)
            assert client.body == b"".join(chunks)
            client.checker.end()
        else:
            with pytest.raises(ContentLengthMismatch):
                await client.get(response)
            assert client.body == sent
            assert bool(client.messages) == bool(sent)
            assert all(message.get("more_body", True) for message in client.messages[1:])
        assert_closed_once(source, iterator, kind)


@every_kind
async def test_repeated_content_length_raises_before_iteration(kind: str) -> None:
    source = Source(b"abc")
    iterator = KINDS[kind](source)
    client = Client()
    headers = [("content-length", "3")] * 2

    with pytest.raises(ContentLengthMismatch):
        await client.get(StreamingResponse(iterator, headers=headers))

    assert (client.messages, source.steps_taken) == ([], 0)
    assert_closed_once(source, iterator, kind)


@pytest.mark.property
@given(
    chunks=st.lists(st.binary(max_size=5), max_size=6),
    length=st.integers(0, 20),
)
def test_bytes_sent_never_contradict_content_length(chunks: list[bytes], length: int) -> None:
    client = Client()
    response = StreamingResponse(Source(*chunks).async_generator(), content_length=length)
    body = b"".join(chunks)
    try:
        anyio.run(client.get, response)
    except ContentLengthMismatch:
        assert len(body) != length
        assert len(client.body) <= length
        assert body.startswith(client.body)
        assert all(message.get("more_body", True) for message in client.messages[1:])
    else:
        assert len(body) == length
        assert client.body == body


@every_kind
@pytest.mark.parametrize(
    ("method", "status_code"),
    [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 205), ("GET", 304)],
)
async def test_response_without_content_closes_iterator_unused(
    kind: str, method: str, status_code: int
) -> None:
    source = Source(b"abc")
    iterator = KINDS[kind](source)

    answer = await exchange(StreamingResponse(iterator, status_code, content_length=3), method)

    assert (answer.status_code, answer.body, source.steps_taken) == (status_code, b"", 0)
    lengths = answer.headers.getall("content-length", [])
    assert lengths == (["3"] if method == "HEAD" else ["0"] if status_code == 205 else [])
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("chunk", [1, ["a"], object()])
async def test_chunk_of_wrong_type_raises_and_closes_iterator(kind: str, chunk: object) -> None:
    source = Source(chunk)
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(TypeError, match="str or bytes"):
        await client.get(StreamingResponse(iterator))

    assert client.messages == []
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_invalid_header_raises_and_closes_iterator(kind: str) -> None:
    source = Source(b"a")
    iterator = KINDS[kind](source)
    client = Client()
    response = StreamingResponse(iterator)
    response.raw_headers.append((b"x-a", b"\r\n"))

    with pytest.raises(ValueError, match="control character"):
        await client.get(response)

    assert (client.messages, source.steps_taken) == ([], 0)
    assert_closed_once(source, iterator, kind)


# --- one response for each iterator --------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_iterator_sent_twice_raises_with_fix(kind: str, method: str) -> None:
    response = StreamingResponse(KINDS[kind](Source(b"a")))
    await exchange(response, method)
    client = Client()

    with pytest.raises(RuntimeError, match="make a response for each request"):
        await client.get(response)

    assert client.messages == []


@pytest.mark.parametrize("kind", ["async generator", "generator"])
async def test_exhausted_generator_raises_with_fix(kind: str) -> None:
    iterator = KINDS[kind](Source(b"a"))
    await exchange(StreamingResponse(iterator))

    with pytest.raises(RuntimeError, match="make a response for each request"):
        await exchange(StreamingResponse(iterator))


@every_kind
async def test_iterator_sent_concurrently_goes_to_one_request(kind: str) -> None:
    response = StreamingResponse(KINDS[kind](Source(*[b"%d" % number for number in range(10)])))
    outcomes: list[object] = []

    async def ask() -> None:
        try:
            outcomes.append((await exchange(response)).body)
        except RuntimeError as error:
            outcomes.append("already" in str(error))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)

    assert sorted(map(str, outcomes)) == ["True", "True", str(b"0123456789")]


# --- HTTPError -----------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("wrap", [request_response, to_asgi])
async def test_http_error_before_first_chunk_is_answered(
    kind: str, wrap: Callable[..., Any]
) -> None:
    source = Source(HTTPError(409, "Not now."))
    iterator = KINDS[kind](source)

    answer = await exchange(wrap(lambda request: StreamingResponse(iterator)))

    assert (answer.status_code, answer.json()["detail"]) == (409, "Not now.")
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("wrap", [request_response, to_asgi])
async def test_http_error_after_first_chunk_is_raised(kind: str, wrap: Callable[..., Any]) -> None:
    source = Source(b"a", HTTPError(409))
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(HTTPError) as caught:
        await client.get(wrap(lambda request: StreamingResponse(iterator)))

    assert caught.value.response_started
    assert client.body == b"a"
    assert_closed_once(source, iterator, kind)


async def test_http_error_has_response_started() -> None:
    for steps, started in [((), False), ((b"",), True)]:
        with pytest.raises(HTTPError) as caught:
            await exchange(StreamingResponse(Source(*steps, HTTPError(409)).async_generator()))
        assert caught.value.response_started is started


# --- the request body while the response is sent -------------------------------------------------


CHUNK = bytes(range(256)) * 256  # 64 KiB, as servers cut bodies
BODIES: dict[str, Callable[[], bytes | list[bytes] | AsyncGenerator[bytes]]] = {
    "one message": lambda: CHUNK * 48,
    "many messages": lambda: [CHUNK] * 48,
    "delayed messages": lambda: trickle(48),
    "two delayed messages of 1 MiB": lambda: trickle(2, CHUNK * 16),
}


async def trickle(count: int, chunk: bytes = CHUNK) -> AsyncGenerator[bytes]:
    for _ in range(count):
        for _ in range(5):
            await checkpoint()
        yield chunk


async def echo_stream(request: Request[Any]) -> AsyncGenerator[bytes]:
    async for chunk in request.stream():
        yield chunk


async def echo_stream_slowly(request: Request[Any]) -> AsyncGenerator[bytes]:
    async for chunk in request.stream():
        await checkpoint()
        yield chunk


async def echo_body(request: Request[Any]) -> AsyncGenerator[bytes]:
    yield await request.body()


async def echo_late(request: Request[Any]) -> AsyncGenerator[bytes]:
    yield b""
    for _ in range(200):
        await checkpoint()
    async for chunk in request.stream():
        yield chunk


async def echo_body_late(request: Request[Any]) -> AsyncGenerator[bytes]:
    yield b""
    for _ in range(200):
        await checkpoint()
    yield await request.body()


async def echo_with_polls(request: Request[Any]) -> AsyncGenerator[bytes]:
    async for chunk in request.stream():
        assert not await request.is_disconnected()
        yield chunk


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("echo", [echo_stream, echo_stream_slowly, echo_body, echo_with_polls])
async def test_echo_of_request_body_loses_no_byte(
    echo: Callable[[Request[Any]], AsyncGenerator[bytes]],
    body: Callable[[], bytes | list[bytes] | AsyncGenerator[bytes]],
) -> None:
    @request_response
    async def app(request: Request[Any]) -> StreamingResponse:
        return StreamingResponse(echo(request))

    given_body = body()
    expected = CHUNK * (32 if body is BODIES["two delayed messages of 1 MiB"] else 48)
    with anyio.fail_after(BOUND):
        answer = await exchange(app, "POST", body=given_body)

    assert len(answer.body) == len(expected)
    assert answer.body == expected


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("echo", [echo_late, echo_body_late])
async def test_long_body_read_late_raises_body_consumed(
    echo: Callable[[Request[Any]], AsyncGenerator[bytes]],
    body: Callable[[], bytes | list[bytes] | AsyncGenerator[bytes]],
) -> None:
    @request_response
    async def app(request: Request[Any]) -> StreamingResponse:
        return StreamingResponse(echo(request))

    given_body = body()
    with anyio.fail_after(BOUND), pytest.raises(BodyConsumed, match="before the response"):
        await exchange(app, "POST", body=given_body)


@pytest.mark.parametrize("echo", [echo_late, echo_body_late])
async def test_short_body_read_late_is_complete(
    echo: Callable[[Request[Any]], AsyncGenerator[bytes]],
) -> None:
    @request_response
    async def app(request: Request[Any]) -> StreamingResponse:
        return StreamingResponse(echo(request))

    assert (await exchange(app, "POST", body=[CHUNK] * 15)).body == CHUNK * 15


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("mebibytes", [0, 1, 3, 20])
async def test_disconnect_after_unread_body_is_noticed(mebibytes: int, wrapped: bool) -> None:
    source = Source(b"a", WAIT)
    client = Client()
    messages = iter(
        [{"type": "http.request", "body": CHUNK, "more_body": True}] * (16 * mebibytes)
        + [{"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        await checkpoint()
        return next(messages)

    response = StreamingResponse(source.async_generator())

    async def handler(request: Request[Any]) -> StreamingResponse:
        return response

    app: Any = request_response(handler) if wrapped else response
    with anyio.fail_after(BOUND):
        await app(client.scope, receive, client.send)

    assert len(source.closes) == 1
    assert client.body in (b"", b"a")


async def test_disconnect_during_upload_closes_echo() -> None:
    closed: list[str] = []

    @request_response
    async def app(request: Request[Any]) -> StreamingResponse:
        async def echo() -> AsyncGenerator[bytes]:
            try:
                async for chunk in request.stream():
                    yield chunk
            finally:
                closed.append("echo")

        return StreamingResponse(echo())

    async def upload() -> AsyncGenerator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    with anyio.fail_after(BOUND):
        answer = await exchange(app, "POST", body=upload(), disconnect_after=2)

    assert (answer.body, closed) == (b"a", ["echo"])


async def test_disconnect_is_noticed_without_scope() -> None:
    source = Source(b"a", WAIT)
    client = Client(source.waiting.is_set)
    response: Any = StreamingResponse(source.async_generator())

    with anyio.fail_after(BOUND):
        await response(client.receive, client.send)

    assert (client.body, len(source.closes)) == (b"a", 1)


async def test_failed_start_of_empty_stream_sends_no_end() -> None:
    sent: list[str] = []

    async def nothing() -> AsyncGenerator[bytes]:
        for chunk in [b""][:0]:
            yield chunk

    async def receive() -> Message:
        await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])
        raise OSError("the client disconnected")

    await StreamingResponse(nothing())(receive, send)

    assert sent == ["http.response.start"]


async def test_empty_async_iterator_without_aclose_is_sent() -> None:
    class Numbers:
        def __aiter__(self) -> Numbers:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    answer = await exchange(StreamingResponse(Numbers()))

    assert (answer.status_code, answer.body) == (200, b"")


# --- files ---------------------------------------------------------------------------------------

PIECE = 256 * 1024


class Pipe:
    """An object whose only method is ``read``."""

    def __init__(self, *pieces: object) -> None:
        self.pieces = list(pieces)
        self.sizes: list[int] = []

    def read(self, size: int) -> Any:
        self.sizes.append(size)
        return self.pieces.pop(0)


async def test_binary_file_is_read_in_chunks_of_256_kib(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    content = b"\n" * 1000 + b"x" * PIECE
    path.write_bytes(content)
    sync = await anyio.to_thread.run_sync(path.open, "rb")

    for file in (sync, await anyio.open_file(path, "rb"), io.BytesIO(content)):
        response: Any = StreamingResponse(file)
        answer = await exchange(response)
        assert answer.body == content
        assert [len(message.get("body", b"")) for message in answer.messages] == [
            0, PIECE, 1000, 0,
        ]  # fmt: skip
        assert file.closed
        with pytest.raises(RuntimeError, match="make a response for each request"):
            await exchange(response)


async def test_text_file_is_encoded() -> None:
    file = io.StringIO("é\n")

    assert (await exchange(StreamingResponse(file))).body == b"\xc3\xa9\n"


async def test_object_with_only_read_is_read_to_its_end_once() -> None:
    pipe = Pipe(b"a", b"b", b"")
    response = StreamingResponse(pipe)

    assert (await exchange(response)).body == b"ab"
    assert pipe.sizes == [PIECE] * 3
    with pytest.raises(RuntimeError, match="already"):
        await exchange(response)


async def test_non_blocking_file_raises_blocking_io_error() -> None:
    client = Client()

    with pytest.raises(BlockingIOError, match="open it as blocking"):
        await client.get(StreamingResponse(Pipe(b"a", None)))

    assert client.messages[-1]["more_body"]


async def test_iterable_with_uncallable_read_is_iterated() -> None:
    class Rows(list[bytes]):
        read = True

    assert (await exchange(StreamingResponse(Rows([b"a"])))).body == b"a"


@pytest.mark.parametrize("make", [list, tuple])
async def test_list_or_tuple_uses_no_thread(
    make: Callable[[list[bytes]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream_primitives() -> None:
        raise AssertionError("a thread was used")

    monkeypatch.setattr("asgikit.responses.iteration.stream_primitives", stream_primitives)

    assert (await exchange(StreamingResponse(make([b"a", b"b"])))).body == b"ab"


# --- trailers ------------------------------------------------------------------------------------

TRAILERS: dict[str, Any] = {"extensions": {"http.response.trailers": {}}}


@pytest.mark.parametrize("chunks", [[b"a", b"b"], []])
@pytest.mark.parametrize(
    ("trailers", "announced"),
    [
        ({"X-Sum": "1"}, "x-sum"),
        ([("x-sum", "1")], "x-sum"),
        (lambda: {"X-Sum": "1"}, None),  # the names are not known in advance
        (lambda: [(b"x-sum", b"1")], None),
    ],
)
async def test_trailers_are_sent_if_server_supports_them(
    chunks: list[bytes], trailers: Any, announced: str | None
) -> None:
    response = StreamingResponse(chunks, trailers=trailers)

    for _ in range(2):
        answer = await exchange(response, scope=TRAILERS)
        assert answer.body == b"".join(chunks)
        assert answer.trailers.raw == [(b"x-sum", b"1")]
        assert answer.messages[0]["trailers"] is True
        assert answer.messages[-1] == {
            "type": "http.response.trailers",
            "headers": [(b"x-sum", b"1")],
            "more_trailers": False,
        }
        assert answer.headers.get("trailer") == announced


async def test_trailer_header_names_each_trailer_once() -> None:
    response = StreamingResponse([b"a"], trailers=[("x-a", "1"), ("x-b", "2"), ("x-a", "3")])
    own = StreamingResponse([b"a"], headers={"trailer": "x-b"}, trailers={"x-b": "2"})

    assert (await exchange(response, scope=TRAILERS)).headers["trailer"] == "x-a, x-b"
    assert (await exchange(own, scope=TRAILERS)).headers.getall("trailer") == ["x-b"]


@pytest.mark.parametrize(
    ("method", "status_code", "scope"),
    [
        ("GET", 200, {}),
        ("GET", 200, {"extensions": None}),
        ("HEAD", 200, TRAILERS),
        ("GET", 204, TRAILERS),
    ],
)
async def test_unsupported_trailers_are_neither_announced_nor_sent(
    method: str, status_code: int, scope: dict[str, Any]
) -> None:
    def never() -> Any:
        raise AssertionError("the function was called")

    for trailers in (never, {"x-sum": "1"}):
        response = StreamingResponse([b"a"], status_code, trailers=trailers)
        answer = await exchange(response, method, scope=scope)
        assert "trailers" not in answer.messages[0]
        assert "trailer" not in answer.headers
        assert len(answer.trailers) == 0


async def test_empty_trailers_are_not_announced() -> None:
    answer = await exchange(StreamingResponse([b"a"], trailers={}), scope=TRAILERS)

    assert "trailers" not in answer.messages[0]


async def test_trailers_function_is_called_after_last_chunk() -> None:
    source = Source(b"a", b"b")
    response = StreamingResponse(
        source.async_generator(), trailers=lambda: {"x-steps": str(source.steps_taken)}
    )

    assert (await exchange(response, scope=TRAILERS)).trailers["x-steps"] == "2"


def test_init_with_forbidden_trailer_raises() -> None:
    with pytest.raises(ValueError, match="'content-length' is no trailer"):
        StreamingResponse([], trailers={"Content-Length": "1"})


@pytest.mark.parametrize("chunks", [[b"a"], []])
@pytest.mark.parametrize("error", [Boom(), HTTPError(409)])
async def test_error_of_trailers_function_ends_response_early(
    chunks: list[bytes], error: Exception
) -> None:
    def fail() -> Any:
        raise error

    client = Client()
    client.scope.update(TRAILERS)
    with pytest.raises(type(error)):
        await client.get(StreamingResponse(chunks, trailers=fail))

    assert client.body == b"".join(chunks)
    assert all(message.get("more_body", True) for message in client.messages[1:])
    assert getattr(error, "response_started", bool(chunks)) is bool(chunks)


# --- send_timeout --------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("takes", [0, 1, 2])
async def test_send_over_send_timeout_ends_as_after_disconnect(
    kind: str, takes: int, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(b"a", b"b", b"c")
    iterator = KINDS[kind](source)
    done: list[str] = []
    taken: list[Message] = []
    client = Client()

    async def send(message: Message) -> None:
        if len(taken) == takes:
            await anyio.sleep_forever()
        taken.append(message)

    response = StreamingResponse(
        iterator, background=lambda: done.append("background"), send_timeout=0.01
    )
    with anyio.fail_after(BOUND), caplog.at_level(logging.DEBUG, "asgikit"):
        await response(client.scope, client.receive, send)

    assert (len(taken), done) == (takes, ["background"])
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "took no message for 0.01 seconds" in caplog.text
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_send_within_send_timeout_succeeds(method: str) -> None:
    answer = await exchange(StreamingResponse([b"a", b"b"], send_timeout=BOUND), method)

    assert answer.body == (b"" if method == "HEAD" else b"ab")


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_init_with_send_timeout_not_positive_raises(seconds: float) -> None:
    with pytest.raises(ValueError, match="send_timeout is seconds above zero"):
        StreamingResponse([], send_timeout=seconds)


# --- NDJSON --------------------------------------------------------------------------------------


async def async_items(items: list[Any]) -> AsyncGenerator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize(
    "make", [async_items, iter, list, tuple, lambda items: (item for item in items)]
)
@pytest.mark.parametrize(
    ("items", "lines"),
    [
        ([], []),
        ([{"a": 1}, [None], "a\nb", 1.5], [b'{"a":1}\n', b"[null]\n", b'"a\\nb"\n', b"1.5\n"]),
        (
            [2**70, {1: True}],
            [b"1180591620717411303424\n", b'{"1":true}\n'],
        ),  # orjson cannot write these
        ([orjson.Fragment(b'{\n  "a": 1\n}')], [b'{   "a": 1 }\n']),  # the app's own JSON text
    ],
)
async def test_ndjson_sends_one_document_per_line(
    make: Callable[[list[Any]], Any], items: list[Any], lines: list[bytes]
) -> None:
    answer = await exchange(NDJSONResponse(make(items)))

    assert [message["body"] for message in answer.messages[1:]] == [*lines, b""]
    assert answer.headers.raw == [
        (b"content-type", b"application/x-ndjson"),
        (b"incremental", b"?1"),
    ]


async def test_ndjson_accepts_all_parameters_of_stream() -> None:
    done: list[str] = []
    response = NDJSONResponse(
        [{1}, {2}],
        201,
        {"x-a": "1"},
        "application/jsonl",
        lambda: done.append("background"),
        default=list,
        content_length=8,
        trailers={"x-sum": "1"},
        send_timeout=BOUND,
        conditional=True,
    )

    answer = await exchange(response, scope=TRAILERS)

    assert answer.body == b"[1]\n[2]\n"
    assert answer.headers.raw[:3] == [
        (b"content-type", b"application/jsonl"),
        (b"x-a", b"1"),
        (b"content-length", b"8"),
    ]
    assert (answer.status_code, done, answer.trailers["x-sum"]) == (201, ["background"], "1")


async def test_ndjson_of_file_sends_its_lines() -> None:
    assert (await exchange(NDJSONResponse(io.StringIO("a\nb")))).body == b'"a\\n"\n"b"\n'


@every_kind
async def test_ndjson_item_of_bytes_raises_and_closes_iterator(kind: str) -> None:
    if kind.endswith("file"):
        return  # NDJSON iterates over the lines of a file
    source = Source(b"a")
    iterator = KINDS[kind](source)

    with pytest.raises(TypeError, match="JSON cannot hold bytes"):
        await exchange(NDJSONResponse(iterator))

    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize(
    ("items", "why"),
    [({"a": 1}, "mapping"), ("text", "not str"), (1, "NDJSONResponse needs an iterable")],
)
def test_ndjson_init_without_iterable_of_items_raises(items: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        NDJSONResponse(items)
