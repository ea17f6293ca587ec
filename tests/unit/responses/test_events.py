"""Event streams: start at once, pings while idle, clean ends, one message at a time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import (
    ClientDisconnect,
    ContentLengthMismatch,
    EventSourceResponse,
    HTTPError,
    PlainTextResponse,
    Request,
    ServerSentEvent,
    StreamingResponse,
    request_response,
)
from asgikit.testing import exchange
from tests.support.streams import (
    KINDS,
    WAIT,
    Boom,
    Client,
    Source,
    assert_closed_once,
    completes_after_early_disconnect,
    release,
    run_cancelled_at,
)
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from asgikit.types import Message

pytestmark = pytest.mark.anyio

OPENING = b": ping\n"
KINDS = {name: make for name, make in KINDS.items() if not name.endswith("file")}
every_kind = pytest.mark.parametrize("kind", KINDS)


# --- construction and messages -------------------------------------------------------------------


async def test_event_stream_sends_headers_and_one_message_per_event() -> None:
    done: list[str] = []
    response = EventSourceResponse(
        [
            ServerSentEvent("a", event="tick", id="1"),
            {"data": {"n": 2}, "id": "2"},
            "two\nlines",
            {"data": "c"},
            [2**70, None],  # orjson cannot write this
            b"bytes",
        ],
        201,
        {"x-a": "1"},
        lambda: done.append("background"),
        retry=500,
        ping=None,
    )

    answer = await exchange(response)

    assert [message.get("body") for message in answer.messages] == [
        None,
        b"retry: 500\n",
        b"event: tick\nid: 1\ndata: a\n\n",
        b'id: 2\ndata: {"n":2}\n\n',
        b"data: two\ndata: lines\n\n",
        b"data: c\n\n",
        b"data: [1180591620717411303424,null]\n\n",
        b"data: bytes\n\n",
        b"",
    ]
    assert answer.headers.raw == [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"x-a", b"1"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        (b"incremental", b"?1"),
    ]
    assert (answer.status_code, done) == (201, ["background"])


async def test_headers_of_app_replace_default_headers() -> None:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "yes", "Incremental": "?0"}

    answer = await exchange(EventSourceResponse([], headers=headers))

    assert answer.headers.getall("cache-control") == ["no-cache"]
    assert answer.headers.getall("x-accel-buffering") == ["yes"]
    assert answer.headers.getall("incremental") == ["?0"]


async def test_list_of_events_is_sent_twice() -> None:
    response = EventSourceResponse(["a"])

    assert [(await exchange(response)).body for _ in range(2)] == [OPENING + b"data: a\n\n"] * 2


@every_kind
async def test_event_stream_starts_before_first_event(kind: str) -> None:
    source = Source(WAIT)
    iterator = KINDS[kind](source)
    client = Client(lambda: source.waiting.is_set() and len(client.messages) == 2)

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: client.is_disconnected)
        await client.get(EventSourceResponse(iterator))

    assert client.body == OPENING
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"ping": 0}, ValueError, "ping is seconds above zero"),
        ({"ping": -1.0}, ValueError, "ping is seconds above zero"),
        ({"send_timeout": 0}, ValueError, "send_timeout is seconds above zero"),
        ({"retry": -1}, ValueError, "retry"),
        ({"retry": 1.5}, TypeError, "retry must be an int"),
        ({"headers": {"x-a": "\n"}}, ValueError, "control character"),
        ({"shutdown": 1}, TypeError, "not int"),
        (
            {"shutdown": threading.Event()},
            TypeError,
            "not Event",
        ),  # its wait() would block the loop
    ],
)
def test_init_with_invalid_option_raises(
    options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        EventSourceResponse([], **options)


@pytest.mark.parametrize("events", ["text", b"bytes", 1, None])
def test_init_without_iterable_of_events_raises(events: Any) -> None:
    with pytest.raises(TypeError, match="EventSourceResponse needs an iterable"):
        EventSourceResponse(events)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_event_stream_with_content_length_raises_unless_head(method: str) -> None:
    source = Source("a")
    response = EventSourceResponse(source.async_iterator(), headers={"content-length": "3"})
    client = Client()
    client.scope["method"] = method

    if method == "HEAD":
        await client.get(response)  # a proxy may have set it
    else:
        with pytest.raises(ContentLengthMismatch, match="an event stream has no Content-Length"):
            await client.get(response)
        assert client.messages == []
    assert (source.steps_taken, len(source.closes)) == (0, 1)


@every_kind
@pytest.mark.parametrize(("method", "status_code"), [("HEAD", 200), ("GET", 204)])
async def test_event_response_without_content_closes_iterator_unused(
    kind: str, method: str, status_code: int
) -> None:
    source = Source("a")
    iterator = KINDS[kind](source)

    answer = await exchange(EventSourceResponse(iterator, status_code), method)

    assert (answer.status_code, answer.body, source.steps_taken) == (status_code, b"", 0)
    assert_closed_once(source, iterator, kind)


# --- exits ---------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("before", [[], ["a"]])
@pytest.mark.parametrize("error", [Boom(), OSError("disk"), HTTPError(409)])
async def test_error_of_event_iterator_is_raised_and_closes_it(
    kind: str, before: list[Any], error: Exception
) -> None:
    source = Source(*before, error)
    iterator = KINDS[kind](source)
    client = Client()
    done: list[str] = []

    with pytest.raises(type(error)):
        await client.get(
            EventSourceResponse(iterator, background=lambda: done.append("background"))
        )

    assert client.body == OPENING + b"data: a\n\n" * len(before)
    assert client.messages[-1]["more_body"]
    assert getattr(error, "response_started", True)
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("item", [{"nope": 1}, object(), {"event": "a\nb"}])
async def test_invalid_event_raises_and_closes_iterator(item: Any) -> None:
    source = Source(item)

    with pytest.raises((TypeError, ValueError)):
        await Client().get(EventSourceResponse(source.async_iterator()))

    assert len(source.closes) == 1


@every_kind
@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
async def test_os_error_of_send_closes_event_iterator(kind: str, fails_at: int) -> None:
    source = Source("a")
    iterator = KINDS[kind](source)
    client = Client(send_fails_at=fails_at)
    done: list[str] = []

    await client.get(EventSourceResponse(iterator, background=lambda: done.append("background")))

    assert (len(client.messages), done) == (fails_at, ["background"])
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_disconnect_before_start_closes_event_iterator(kind: str) -> None:
    source = Source(*["a"] * 100_000)
    iterator = KINDS[kind](source)

    answer = await exchange(EventSourceResponse(iterator), disconnect_after=0)

    assert answer.messages == []
    assert source.steps_taken < 10_000
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("ends", ["disconnects", "shuts down"])
async def test_event_stream_that_never_waits_notices_disconnect_and_shutdown(ends: str) -> None:
    drawn = 0
    shutdown = anyio.Event()

    async def never_waits() -> AsyncGenerator[str]:
        nonlocal drawn
        for _ in range(1_000_000):
            drawn += 1
            if drawn == 1000:
                shutdown.set()
            yield "a"

    async def receive() -> Message:
        await (shutdown.wait() if ends == "disconnects" else anyio.sleep_forever())
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    response: Any = EventSourceResponse(
        never_waits(), shutdown=shutdown if ends == "shuts down" else None
    )
    await response(receive, send)

    assert 1000 <= drawn < 5000
    assert sent[-1]["more_body"] == (ends == "disconnects")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # its transports log writes
@pytest.mark.parametrize("make", [StreamingResponse, EventSourceResponse])
async def test_stream_that_never_waits_lets_asyncio_log_16_lines(make: Any) -> None:
    # A transport reports a lost connection in the next iteration of the loop, and logs each write
    # to it before, from the sixth on.
    loop = asyncio.get_running_loop()
    sent: list[int] = [0]

    def count_iterations() -> None:
        sent.append(0)
        handles.append(loop.call_soon(count_iterations))

    async def send(message: Message) -> None:
        sent[-1] += 1

    handles = [loop.call_soon(count_iterations)]
    await make(["a"] * 1000)(anyio.sleep_forever, send)
    handles[-1].cancel()

    assert max(sent) - 5 <= 16
    assert sum(sent) >= 1002


@pytest.mark.parametrize(
    ("method", "ends"), [("GET", "runs out"), ("GET", "shuts down"), ("HEAD", "")]
)
async def test_disconnect_during_last_event_message_does_not_cancel_send(
    method: str, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", WAIT) if ends == "shuts down" else Source("a")
    response = EventSourceResponse(
        source.async_generator(), shutdown=partial(until, source.waiting.is_set)
    )
    with caplog.at_level(logging.DEBUG, "asgikit"):
        assert await completes_after_early_disconnect(response, method)

    assert not caplog.records


async def test_disconnect_of_event_client_is_logged_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source("a", WAIT)
    with caplog.at_level(logging.DEBUG, "asgikit"):
        await Client(source.waiting.is_set).get(EventSourceResponse(source.async_generator()))

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


@pytest.mark.parametrize("ends", ["disconnects", "shuts down"])
async def test_event_iterator_that_ignores_cancellation_is_closed(ends: str) -> None:
    source = Source()

    async def stubborn() -> AsyncGenerator[str]:
        try:
            for number in range(100_000):
                source.steps_taken += 1
                try:
                    if number == 1:
                        source.waiting.set()
                        await anyio.sleep_forever()
                except GeneratorExit:
                    raise
                except BaseException:  # noqa: BLE001 - the iterator ignores the cancellation
                    pass
                yield "a"
        finally:
            source.close()

    client = Client(source.waiting.is_set if ends == "disconnects" else lambda: False)
    shutdown = partial(until, source.waiting.is_set) if ends == "shuts down" else None
    await client.get(EventSourceResponse(stubborn(), shutdown=shutdown))

    assert client.body == OPENING + b"data: a\n\n"
    assert (source.steps_taken, len(source.closes)) == (2, 1)
    assert client.messages[-1]["more_body"] == (ends == "disconnects")


async def test_event_iterator_that_returns_at_shutdown_ends_stream_once() -> None:
    source = Source()

    async def graceful() -> AsyncGenerator[str]:
        yield "a"
        source.waiting.set()
        try:
            await anyio.sleep_forever()
        except BaseException:  # noqa: BLE001 - the iterator ignores the cancellation
            return

    client = Client()
    await client.get(
        EventSourceResponse(graceful(), shutdown=partial(until, source.waiting.is_set))
    )

    client.checker.end()
    assert client.body == OPENING + b"data: a\n\n"


# --- pings ---------------------------------------------------------------------------------------

SOON = 0.001  # seconds between pings; the default is 15


async def test_pings_are_sent_while_idle_without_cancelling_iterator() -> None:
    variable = contextvars.ContextVar[int]("variable")
    client = Client()

    async def events() -> AsyncGenerator[str]:
        token = variable.set(1)
        with anyio.CancelScope():  # must be left by the task that entered it
            for number in range(3):
                seen = len(client.messages)
                await until(lambda seen=seen: len(client.messages) >= seen + 3)  # type: ignore[misc]
                yield str(number)
        variable.reset(token)

    with anyio.fail_after(BOUND):
        await client.get(EventSourceResponse(events(), ping=SOON))

    bodies = [message["body"] for message in client.messages[1:]]
    assert [body for body in bodies if body != OPENING] == [
        b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n", b"",
    ]  # fmt: skip
    assert bodies.count(OPENING) >= 1 + 3 * 3


async def test_shortest_ping_interval_does_not_block_event_loop() -> None:
    source = Source(WAIT)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await until(lambda: len(sent) > 10)
        return {"type": "http.disconnect"}

    # Such an interval is over at once.
    response: Any = EventSourceResponse(source.async_generator(), ping=1e-12)
    await response(receive, send)

    assert len(source.closes) == 1


async def test_no_ping_is_sent_while_event_is_being_sent() -> None:
    client = Client()
    pause = anyio.Event()

    async def send(message: Message) -> None:
        await client.send(message)
        if message.get("body") == b"data: a\n\n":
            # A slow client takes an event for longer than many ping intervals.
            await anyio.sleep(SOON * 20)
            pause.set()

    await EventSourceResponse(["a"], ping=SOON)(client.scope, client.receive, send)

    assert client.body == OPENING + b"data: a\n\n"
    assert pause.is_set()


async def test_event_during_ping_is_sent_after_it() -> None:
    client = Client()
    begun, go = anyio.Event(), anyio.Event()
    order: list[str] = []

    async def events() -> AsyncGenerator[str]:
        await begun.wait()
        order.append("drawn")
        yield "a"
        order.append("drawn")

    async def send(message: Message) -> None:
        if order == ["drawn"]:
            order.append("sent")
        if len(client.messages) == 2 and not begun.is_set():
            begun.set()
            await go.wait()
            order.append("ping")
        await client.send(message)

    async with anyio.create_task_group() as group:
        group.start_soon(
            EventSourceResponse(events(), ping=SOON), client.scope, client.receive, send
        )
        await until(lambda: "drawn" in order)
        for _ in range(5):
            await checkpoint()
        go.set()

    assert order == ["drawn", "ping", "sent", "drawn"] or order == ["drawn", "ping", "drawn"]
    assert client.body.startswith(OPENING * 2 + b"data: a\n\n")


async def test_end_of_events_during_ping_is_sent_after_it() -> None:
    client = Client()
    begun, ended = anyio.Event(), anyio.Event()

    async def events() -> AsyncGenerator[str]:
        await begun.wait()
        ended.set()
        for event in [""][1:]:
            yield event

    async def send(message: Message) -> None:
        if len(client.messages) == 2:
            begun.set()
            await ended.wait()
            for _ in range(5):
                await checkpoint()
        await client.send(message)

    await EventSourceResponse(events(), ping=SOON)(client.scope, client.receive, send)

    assert client.body == OPENING * 2
    client.checker.end()


async def test_ping_none_sends_no_pings() -> None:
    client = Client()

    async def events() -> AsyncGenerator[str]:
        await anyio.sleep(SOON * 10)
        yield "a"

    await client.get(EventSourceResponse(events(), ping=None))

    assert client.body == OPENING + b"data: a\n\n"


async def test_os_error_of_ping_ends_stream() -> None:
    source = Source(WAIT)
    client = Client(send_fails_at=4)
    done: list[str] = []

    with anyio.fail_after(BOUND):
        await client.get(
            EventSourceResponse(
                source.async_generator(), background=lambda: done.append("background"), ping=SOON
            )
        )

    assert client.body == OPENING * 3
    assert (done, len(source.closes)) == (["background"], 1)


@pytest.mark.parametrize("error", [Boom(), HTTPError(409)])
async def test_error_of_ping_is_raised(error: Exception) -> None:
    source = Source(WAIT)
    client = Client()

    async def send(message: Message) -> None:
        if len(client.messages) == 2:
            raise error
        await client.send(message)

    with anyio.fail_after(BOUND), pytest.raises(type(error)):
        await EventSourceResponse(source.async_generator(), ping=SOON)(
            client.scope, client.receive, send
        )

    assert getattr(error, "response_started", True)
    assert len(source.closes) == 1


@pytest.mark.parametrize("takes", [0, 1, 2, 3])
async def test_event_send_over_send_timeout_ends_as_after_disconnect(takes: int) -> None:
    source = Source("a", WAIT)
    client = Client()

    async def send(message: Message) -> None:
        if len(client.messages) == takes:  # the start, the opening, the event, a ping
            await anyio.sleep_forever()
        await client.send(message)

    with anyio.fail_after(BOUND):
        await EventSourceResponse(source.async_iterator(), ping=SOON, send_timeout=0.05)(
            client.scope, client.receive, send
        )

    assert (len(client.messages), len(source.closes)) == (takes, 1)


# --- shutdown ------------------------------------------------------------------------------------


class Stop:
    """An event object of another library."""

    def __init__(self, source: Source) -> None:
        self.source = source

    async def wait(self) -> bool:
        await self.source.shutdown()
        return True


class Awaitable:
    def __init__(self, source: Source) -> None:
        self.source = source

    def __await__(self) -> Iterator[Any]:
        return self.source.shutdown().__await__()


SHUTDOWNS: dict[str, Callable[[Source], Any]] = {
    "an event": Stop,
    "a method": lambda source: Stop(source).wait,
    "a function": lambda source: lambda: source.shutdown(),  # noqa: PLW0108 - no method
    "a coroutine": lambda source: source.shutdown(),
    "an awaitable": Awaitable,
}


@every_kind
@pytest.mark.parametrize("shutdown", SHUTDOWNS)
async def test_shutdown_of_each_kind_ends_stream_and_closes_iterator(
    kind: str, shutdown: str
) -> None:
    source = Source("a", WAIT)
    iterator = KINDS[kind](source)
    client = Client()
    done: list[str] = []
    response = EventSourceResponse(
        iterator,
        background=lambda: done.append("background"),
        shutdown=SHUTDOWNS[shutdown](source),
    )
    source.is_sent = lambda: client.body == OPENING + b"data: a\n\n"

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: source.is_shut_down)
        await client.get(response)

    client.checker.end()
    assert client.body == OPENING + b"data: a\n\n"
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_events_and_futures_shut_down_many_streams() -> None:
    future = asyncio.get_running_loop().create_future()
    event = asyncio.Event()
    sources = [Source("a", WAIT) for _ in range(4)]
    clients = [Client() for _ in sources]
    early = Source(WAIT)

    # A stream that ends early does not cancel the shared future or event.
    ways: list[Any] = [future, event, lambda: future, event.wait]
    for shutdown in ways:
        await Client(early.waiting.is_set).get(
            EventSourceResponse(early.async_generator(), shutdown=shutdown)
        )
        early = Source(WAIT)
    assert not future.done()

    async with asyncio.TaskGroup() as group:
        for number, (source, client) in enumerate(zip(sources, clients, strict=True)):
            shutdown = ways[number]
            response = EventSourceResponse(source.async_generator(), shutdown=shutdown)
            group.create_task(client.get(response))
        await until(lambda: all(source.waiting.is_set() for source in sources))
        future.set_result(None)
        event.set()

    for client in clients:
        client.checker.end()


async def test_anyio_event_that_is_set_shuts_down_many_streams() -> None:
    event = anyio.Event()
    event.set()
    for _ in range(2):
        source = Source(WAIT)
        client = Client()
        await client.get(EventSourceResponse(source.async_generator(), shutdown=event))
        client.checker.end()
        assert client.body == OPENING


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_unused_shutdown_coroutine_is_closed(method: str) -> None:
    # Otherwise it would warn that it was never awaited, which is an error here.
    await exchange(EventSourceResponse(["a"], shutdown=checkpoint()), method)
    gc.collect()


@pytest.mark.parametrize("draws", [False, True])
async def test_shutdown_during_ping_lets_ping_finish(draws: bool) -> None:
    client = Client()
    shutdown = anyio.Event()
    source = Source()

    async def events() -> AsyncGenerator[str]:
        try:
            if draws:
                await shutdown.wait()
                yield "a"
            await anyio.sleep_forever()
        finally:
            source.close()

    async def send(message: Message) -> None:
        if len(client.messages) == 2 and not shutdown.is_set():
            shutdown.set()
            for _ in range(10):
                await checkpoint()
        await client.send(message)

    with anyio.fail_after(BOUND):
        await EventSourceResponse(events(), ping=SOON, shutdown=shutdown)(
            client.scope, client.receive, send
        )

    client.checker.end()
    assert client.body == OPENING * 2 + b"data: a\n\n" * draws
    assert len(source.closes) == 1


async def test_os_error_of_last_message_after_shutdown_is_ignored() -> None:
    source = Source(WAIT)
    client = Client(send_fails_at=2)
    await client.get(
        EventSourceResponse(
            source.async_generator(), shutdown=partial(until, source.waiting.is_set)
        )
    )

    assert len(client.messages) == 2


async def test_error_of_shutdown_is_raised() -> None:
    async def fail() -> None:
        raise Boom

    source = Source(WAIT)
    with pytest.raises(Boom):
        await Client().get(EventSourceResponse(source.async_iterator(), shutdown=fail))
    assert len(source.closes) == 1


# --- the first event -----------------------------------------------------------------------------


@every_kind
async def test_wait_first_sends_start_and_first_event_together(kind: str) -> None:
    source = Source("a", "b")
    iterator = KINDS[kind](source)
    client = Client()

    await client.get(EventSourceResponse(iterator, wait_first=True))

    client.checker.end()
    bodies = [message.get("body") for message in client.messages]
    assert bodies == [None, OPENING, b"data: a\n\n", b"data: b\n\n", b""]
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_wait_first_without_events_sends_empty_stream(kind: str, method: str) -> None:
    source = Source()
    iterator = KINDS[kind](source)

    answer = await exchange(EventSourceResponse(iterator, wait_first=True), method)

    assert (answer.status_code, answer.body) == (200, OPENING if method == "GET" else b"")
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize("on_error", [None, lambda error: ServerSentEvent(repr(error))])
@pytest.mark.parametrize(
    "step",
    [
        Boom(),
        HTTPError(429),
        OSError("disk"),  # not taken for a disconnect
        {"event": "a\nb"},  # an event that cannot be formatted
    ],
)
async def test_error_before_first_event_is_raised_before_start(
    kind: str, on_error: Any, step: Any
) -> None:
    source = Source(step)
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(type(step) if isinstance(step, Exception) else ValueError):
        await client.get(EventSourceResponse(iterator, wait_first=True, on_error=on_error))

    assert client.messages == []
    assert not getattr(step, "response_started", False)
    assert_closed_once(source, iterator, kind)


async def test_http_error_before_first_event_is_answered_with_its_status() -> None:
    @request_response
    async def app(request: Request) -> EventSourceResponse:
        source = Source(HTTPError(429, "busy", {"Retry-After": "7"}))
        return EventSourceResponse(source.async_generator(), wait_first=True)

    answer = await exchange(app)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_error_before_first_event_is_answered_by_on_error_of_app() -> None:
    def answer_boom(request: Request, error: Exception) -> PlainTextResponse:
        assert isinstance(error, Boom)
        return PlainTextResponse("busy", 420)

    @request_response(on_error=answer_boom)
    async def app(request: Request) -> EventSourceResponse:
        return EventSourceResponse(Source(Boom()).async_generator(), wait_first=True)

    answer = await exchange(app)

    assert (answer.status_code, answer.body) == (420, b"busy")


@every_kind
async def test_disconnect_before_first_event_cancels_iterator_without_start(kind: str) -> None:
    source = Source(WAIT)
    iterator = KINDS[kind](source)
    client = Client(source.waiting.is_set)

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: client.is_disconnected)
        await client.get(EventSourceResponse(iterator, wait_first=True))

    assert client.messages == []
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_shutdown_before_first_event_sends_empty_stream(kind: str) -> None:
    source = Source(WAIT)
    iterator = KINDS[kind](source)
    client = Client()

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: source.is_shut_down)
        await client.get(
            EventSourceResponse(iterator, wait_first=True, shutdown=source.shutdown, ping=SOON)
        )

    client.checker.end()
    assert client.body == OPENING  # and no ping before the start
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("ends", ["disconnects", "shuts down"])
async def test_first_event_after_ignored_cancellation_is_not_sent(ends: str) -> None:
    waiting = anyio.Event()

    async def stubborn() -> AsyncGenerator[str]:
        waiting.set()
        with contextlib.suppress(BaseException):  # the iterator ignores the cancellation
            await anyio.sleep_forever()
        yield "a"

    client = Client(waiting.is_set if ends == "disconnects" else lambda: False)
    shutdown = waiting.wait if ends == "shuts down" else None
    await client.get(EventSourceResponse(stubborn(), wait_first=True, shutdown=shutdown))

    assert client.body == (b"" if ends == "disconnects" else OPENING)
    assert len(client.messages) == (0 if ends == "disconnects" else 3)


# --- the last event after an error ---------------------------------------------------------------


def boom() -> str:
    raise Boom


def describe(error: Exception) -> ServerSentEvent:
    return ServerSentEvent(type(error).__name__, event="error")


@every_kind
@pytest.mark.parametrize("wait_first", [False, True])
@pytest.mark.parametrize(
    ("step", "name"),
    [
        (Boom(), "Boom"),
        (HTTPError(429), "HTTPError"),
        (OSError("disk"), "OSError"),  # not taken for a disconnect
        ({"event": "a\nb"}, "ValueError"),  # an event that cannot be formatted
    ],
)
async def test_error_of_started_stream_is_logged_and_mapped_to_last_event(
    kind: str, wait_first: bool, step: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", step)
    iterator = KINDS[kind](source)
    client = Client()

    await client.get(EventSourceResponse(iterator, wait_first=wait_first, on_error=describe))

    client.checker.end()
    assert client.body == OPENING + b"data: a\n\n" + f"event: error\ndata: {name}\n\n".encode()
    [record] = caplog.records
    assert (record.levelname, record.name) == ("ERROR", "asgikit")
    assert record.exc_info is not None
    assert type(record.exc_info[1]).__name__ == name
    assert_closed_once(source, iterator, kind)


@every_kind
@pytest.mark.parametrize(
    ("error", "on_error"),
    [
        (Boom(), lambda error: None),
        (HTTPError(409), None),
        (ClientDisconnect("upload"), describe),  # of a request body that the iterator reads
    ],
)
async def test_error_without_last_event_is_raised(
    kind: str, error: Exception, on_error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", error)
    iterator = KINDS[kind](source)
    client = Client()

    with pytest.raises(type(error)):
        await client.get(EventSourceResponse(iterator, on_error=on_error))

    assert client.body == OPENING + b"data: a\n\n"
    assert client.messages[-1]["more_body"]
    assert getattr(error, "response_started", True)
    assert caplog.records == []
    assert_closed_once(source, iterator, kind)


async def test_error_of_on_error_is_raised_and_closes_iterator() -> None:
    def fail(error: Exception) -> ServerSentEvent:
        raise KeyError from error

    source = Source("a", Boom())
    client = Client()

    with pytest.raises(KeyError):
        await client.get(EventSourceResponse(source.async_iterator(), on_error=fail))

    assert client.messages[-1]["more_body"]
    assert len(source.closes) == 1


async def test_error_after_disconnect_is_raised_without_last_event() -> None:
    waiting = anyio.Event()

    async def events() -> AsyncGenerator[str]:
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            yield boom()

    client = Client(waiting.is_set)
    with pytest.raises(Boom):
        await client.get(EventSourceResponse(events(), on_error=describe))

    assert client.body == OPENING


@pytest.mark.parametrize("fails_at", [2, 3])
async def test_os_error_of_last_event_ends_as_after_disconnect(fails_at: int) -> None:
    client = Client(send_fails_at=fails_at)

    await client.get(EventSourceResponse(Source(Boom()).async_generator(), on_error=describe))

    assert len(client.messages) == fails_at


async def test_last_event_is_sent_after_ping_in_progress() -> None:
    pinging = anyio.Event()
    client = Client()

    async def events() -> AsyncGenerator[str]:
        await pinging.wait()
        yield boom()

    async def send(message: Message) -> None:
        if len(client.messages) == 2 and not pinging.is_set():
            pinging.set()
            for _ in range(10):
                await checkpoint()
        await client.send(message)

    with anyio.fail_after(BOUND):
        await EventSourceResponse(events(), ping=SOON, on_error=describe)(
            client.scope, client.receive, send
        )

    client.checker.end()
    assert client.body == OPENING * 2 + b"event: error\ndata: Boom\n\n"


# --- cancellation at any await -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stays", "disconnects", "shuts down"])
@every_kind
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)
async def test_event_stream_cancelled_at_any_await_closes_iterator_once(
    name: str, kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: set[bool] = set()
    for at in range(1, 41):
        source = Source(*["a"] * (4 if name == "stays" else 1000))
        iterator = KINDS[kind](source)
        client = Client(disconnect_after=5 if name == "disconnects" else None)
        response = EventSourceResponse(
            iterator,
            background=checkpoint,
            ping=SOON / 10,
            shutdown=partial(until, lambda source=source: source.steps_taken > 4)  # type: ignore[misc]
            if name == "shuts down"
            else None,
        )
        with anyio.fail_after(BOUND):
            outcomes.add(await run_cancelled_at(at, client.get(response), how))
        assert_closed_once(source, iterator, kind)
    gc.collect()

    assert True in outcomes
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("at", range(1, 15))
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)
async def test_event_stream_cancelled_during_ping_waits_for_its_end(at: int, how: str) -> None:
    source = Source(WAIT)
    client = Client()
    ended: list[str] = []

    async def send(message: Message) -> None:
        if len(client.messages) >= 2:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    for _ in range(5):
                        await checkpoint()
                ended.append("ping")
        await client.send(message)

    async def cancelled() -> None:
        await EventSourceResponse(source.async_generator(), ping=SOON)(
            client.scope, client.receive, send
        )

    async def run() -> None:
        with anyio.move_on_after(SOON * 20):
            await cancelled()

    with anyio.fail_after(BOUND):
        await run_cancelled_at(at, run(), how)

    assert ended in ([], ["ping"])
    assert len(source.closes) == source.has_started


async def test_last_event_id_of_request_resumes_stream() -> None:
    @request_response
    async def app(request: Request[Any]) -> EventSourceResponse:
        first = int(request.last_event_id or "-1") + 1
        return EventSourceResponse(
            [ServerSentEvent(str(number), id=str(number)) for number in range(first, 3)]
        )

    answer = await exchange(app, headers={"last-event-id": "1"})

    assert answer.body == OPENING + b"id: 2\ndata: 2\n\n"
