"""Event streams: open at once, alive while idle, ended cleanly; never two messages at a time."""

from __future__ import annotations

import asyncio
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
    ContentLengthMismatch,
    EventSourceResponse,
    HTTPError,
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


# --- what it is made of -------------------------------------------------------------------------


async def test_it_has_its_fields_and_one_message_an_event() -> None:
    done: list[str] = []
    response = EventSourceResponse(
        [
            ServerSentEvent("a", event="tick", id="1"),
            {"data": {"n": 2}, "id": "2"},
            "two\nlines",
            {"data": "c"},
            [2**70, None],  # what orjson cannot write
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


async def test_fields_of_the_users_own_are_kept() -> None:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "yes"}

    answer = await exchange(EventSourceResponse([], headers=headers))

    assert answer.headers.getall("cache-control") == ["no-cache"]
    assert answer.headers.getall("x-accel-buffering") == ["yes"]


async def test_what_can_be_drawn_again_is_sent_again() -> None:
    response = EventSourceResponse(["a"])

    assert [(await exchange(response)).body for _ in range(2)] == [OPENING + b"data: a\n\n"] * 2


@every_kind
async def test_it_starts_without_waiting_for_an_event(kind: str) -> None:
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
        ({"shutdown": threading.Event()}, TypeError, "not Event"),  # it would block the loop
    ],
)
def test_what_cannot_be_is_refused_where_it_is_made(
    options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        EventSourceResponse([], **options)


@pytest.mark.parametrize("events", ["text", b"bytes", 1, None])
def test_what_gives_no_events_is_refused_where_it_is_made(events: Any) -> None:
    with pytest.raises(TypeError, match="EventSourceResponse needs an iterable"):
        EventSourceResponse(events)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nobody_knows_the_length_of_an_event_stream(method: str) -> None:
    source = Source("a")
    response = EventSourceResponse(source.async_iterator(), headers={"content-length": "3"})
    client = Client()
    client.scope["method"] = method

    if method == "HEAD":
        await client.get(response)  # what a proxy has written there
    else:
        with pytest.raises(ContentLengthMismatch, match="an event stream has no Content-Length"):
            await client.get(response)
        assert client.messages == []
    assert (source.steps_taken, len(source.closes)) == (0, 1)


@every_kind
@pytest.mark.parametrize(("method", "status_code"), [("HEAD", 200), ("GET", 204)])
async def test_where_no_content_may_be_nothing_is_drawn_but_it_is_closed(
    kind: str, method: str, status_code: int
) -> None:
    source = Source("a")
    iterator = KINDS[kind](source)

    answer = await exchange(EventSourceResponse(iterator, status_code), method)

    assert (answer.status_code, answer.body, source.steps_taken) == (status_code, b"", 0)
    assert_closed_once(source, iterator, kind)


# --- exits --------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("before", [[], ["a"]])
@pytest.mark.parametrize("error", [Boom(), OSError("disk"), HTTPError(409)])
async def test_an_error_of_the_iterator_breaks_the_stream_off(
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
async def test_what_is_no_event_is_an_error_that_closes(item: Any) -> None:
    source = Source(item)

    with pytest.raises((TypeError, ValueError)):
        await Client().get(EventSourceResponse(source.async_iterator()))

    assert len(source.closes) == 1


@every_kind
@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
async def test_closed_when_send_raises_an_os_error(kind: str, fails_at: int) -> None:
    source = Source("a")
    iterator = KINDS[kind](source)
    client = Client(send_fails_at=fails_at)
    done: list[str] = []

    await client.get(EventSourceResponse(iterator, background=lambda: done.append("background")))

    assert (len(client.messages), done) == (fails_at, ["background"])
    assert_closed_once(source, iterator, kind)


@every_kind
async def test_closed_when_the_client_left_before_anything(kind: str) -> None:
    source = Source(*["a"] * 100_000)
    iterator = KINDS[kind](source)

    answer = await exchange(EventSourceResponse(iterator), disconnect_after=0)

    assert answer.messages == []
    assert source.steps_taken < 10_000
    assert_closed_once(source, iterator, kind)


@pytest.mark.parametrize("ends", ["leaves", "shuts down"])
async def test_a_stream_that_never_waits_notices_what_happens(ends: str) -> None:
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
        await (shutdown.wait() if ends == "leaves" else anyio.sleep_forever())
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    response: Any = EventSourceResponse(
        never_waits(), shutdown=shutdown if ends == "shuts down" else None
    )
    await response(receive, send)

    assert 1000 <= drawn < 5000
    assert sent[-1]["more_body"] == (ends == "leaves")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whose transports log the writes
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
async def test_a_server_that_says_goodbye_at_the_last_message_may_take_its_time(
    method: str, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", WAIT) if ends == "shuts down" else Source("a")
    response = EventSourceResponse(
        source.async_generator(), shutdown=partial(until, source.waiting.is_set)
    )
    with caplog.at_level(logging.DEBUG, "asgikit"):
        assert await completes_after_early_disconnect(response, method)

    assert not caplog.records


async def test_a_disconnect_is_logged_for_debugging_alone(caplog: pytest.LogCaptureFixture) -> None:
    source = Source("a", WAIT)
    with caplog.at_level(logging.DEBUG, "asgikit"):
        await Client(source.waiting.is_set).get(EventSourceResponse(source.async_generator()))

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


@pytest.mark.parametrize("ends", ["leaves", "shuts down"])
async def test_an_iterator_that_goes_on_in_spite_of_all_is_not_listened_to(ends: str) -> None:
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
                except BaseException:  # noqa: BLE001 - what is tested
                    pass
                yield "a"
        finally:
            source.close()

    client = Client(source.waiting.is_set if ends == "leaves" else lambda: False)
    shutdown = partial(until, source.waiting.is_set) if ends == "shuts down" else None
    await client.get(EventSourceResponse(stubborn(), shutdown=shutdown))

    assert client.body == OPENING + b"data: a\n\n"
    assert (source.steps_taken, len(source.closes)) == (2, 1)
    assert client.messages[-1]["more_body"] == (ends == "leaves")


async def test_an_iterator_that_ends_as_it_is_cancelled_ends_the_stream_once() -> None:
    source = Source()

    async def graceful() -> AsyncGenerator[str]:
        yield "a"
        source.waiting.set()
        try:
            await anyio.sleep_forever()
        except BaseException:  # noqa: BLE001 - what is tested
            return

    client = Client()
    await client.get(
        EventSourceResponse(graceful(), shutdown=partial(until, source.waiting.is_set))
    )

    client.checker.end()
    assert client.body == OPENING + b"data: a\n\n"


# --- pings --------------------------------------------------------------------------------------

SOON = 0.001  # seconds, for what else would come in 15


async def test_pings_are_sent_while_it_is_idle_and_cancel_nothing() -> None:
    variable = contextvars.ContextVar[int]("variable")
    client = Client()

    async def events() -> AsyncGenerator[str]:
        token = variable.set(1)
        with anyio.CancelScope():  # left by the task that has entered it, or not at all
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


async def test_pings_without_end_leave_others_their_turn() -> None:
    source = Source(WAIT)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await until(lambda: len(sent) > 10)
        return {"type": "http.disconnect"}

    # So short a time is over before it is looked at.
    response: Any = EventSourceResponse(source.async_generator(), ping=1e-12)
    await response(receive, send)

    assert len(source.closes) == 1


async def test_no_ping_is_sent_where_there_is_something_to_send() -> None:
    client = Client()
    pause = anyio.Event()

    async def send(message: Message) -> None:
        await client.send(message)
        if message.get("body") == b"data: a\n\n":
            # A client that is slow to take an event: longer than many pings.
            await anyio.sleep(SOON * 20)
            pause.set()

    await EventSourceResponse(["a"], ping=SOON)(client.scope, client.receive, send)

    assert client.body == OPENING + b"data: a\n\n"
    assert pause.is_set()


async def test_an_event_that_comes_while_a_ping_is_sent_waits_for_it() -> None:
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


async def test_end_of_events_while_ping_is_sent_follows_the_ping() -> None:
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


async def test_none_means_no_pings() -> None:
    client = Client()

    async def events() -> AsyncGenerator[str]:
        await anyio.sleep(SOON * 10)
        yield "a"

    await client.get(EventSourceResponse(events(), ping=None))

    assert client.body == OPENING + b"data: a\n\n"


async def test_a_client_that_leaves_at_a_ping_ends_the_stream() -> None:
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
async def test_an_error_of_a_ping_comes_as_it_is(error: Exception) -> None:
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
async def test_a_send_that_takes_too_long_is_a_client_that_left(takes: int) -> None:
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


# --- the end that the app decides ---------------------------------------------------------------


class Stop:
    """Waits, as the event of any library."""

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
async def test_it_ends_as_if_there_were_no_more_events(kind: str, shutdown: str) -> None:
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
async def test_the_events_and_futures_of_asyncio_serve_many_streams() -> None:
    future = asyncio.get_running_loop().create_future()
    event = asyncio.Event()
    sources = [Source("a", WAIT) for _ in range(4)]
    clients = [Client() for _ in sources]
    leaver = Source(WAIT)

    # One that ends before takes the end of the others with it in no way.
    ways: list[Any] = [future, event, lambda: future, event.wait]
    for shutdown in ways:
        await Client(leaver.waiting.is_set).get(
            EventSourceResponse(leaver.async_generator(), shutdown=shutdown)
        )
        leaver = Source(WAIT)
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


async def test_the_events_of_anyio_serve_many_streams() -> None:
    event = anyio.Event()
    event.set()
    for _ in range(2):
        source = Source(WAIT)
        client = Client()
        await client.get(EventSourceResponse(source.async_generator(), shutdown=event))
        client.checker.end()
        assert client.body == OPENING


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_coroutine_that_nobody_waits_for_is_closed(method: str) -> None:
    # Else it would warn of itself, which is an error here.
    await exchange(EventSourceResponse(["a"], shutdown=checkpoint()), method)
    gc.collect()


async def test_a_message_under_way_is_sent_to_its_end_before() -> None:
    client = Client()
    shutdown = anyio.Event()
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        if message.get("body") == b"data: a\n\n":
            shutdown.set()
            for _ in range(10):
                await checkpoint()
            sent.append(message["body"])
        await client.send(message)

    source = Source("a", "b", WAIT)
    with anyio.fail_after(BOUND):
        await EventSourceResponse(source.async_generator(), shutdown=shutdown)(
            client.scope, client.receive, send
        )

    client.checker.end()
    assert (client.body, sent) == (OPENING + b"data: a\n\n", [b"data: a\n\n"])
    assert (source.steps_taken, len(source.closes)) == (1, 1)


@pytest.mark.parametrize("draws", [False, True])
async def test_a_ping_under_way_is_sent_to_its_end_before(draws: bool) -> None:
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


async def test_a_client_that_leaves_at_the_last_message_ends_it_quietly() -> None:
    source = Source(WAIT)
    client = Client(send_fails_at=2)
    await client.get(
        EventSourceResponse(
            source.async_generator(), shutdown=partial(until, source.waiting.is_set)
        )
    )

    assert len(client.messages) == 2


async def test_an_error_of_the_shutdown_comes_as_it_is() -> None:
    async def fail() -> None:
        raise Boom

    source = Source(WAIT)
    with pytest.raises(Boom):
        await Client().get(EventSourceResponse(source.async_iterator(), shutdown=fail))
    assert len(source.closes) == 1


# --- cancelled at any moment --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stays", "leaves", "shuts down"])
@every_kind
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)
async def test_cancelled_at_any_wait_it_leaves_nothing_open(
    name: str, kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: set[bool] = set()
    for at in range(1, 41):
        source = Source(*["a"] * (4 if name == "stays" else 1000))
        iterator = KINDS[kind](source)
        client = Client(disconnect_after=5 if name == "leaves" else None)
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
async def test_cancelled_while_a_ping_is_sent_it_waits_for_the_end_of_it(at: int, how: str) -> None:
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


async def test_a_request_tells_the_last_event_it_saw() -> None:
    @request_response
    async def app(request: Request[Any]) -> EventSourceResponse:
        first = int(request.last_event_id or "-1") + 1
        return EventSourceResponse(
            [ServerSentEvent(str(number), id=str(number)) for number in range(first, 3)]
        )

    answer = await exchange(app, headers={"last-event-id": "1"})

    assert answer.body == OPENING + b"id: 2\ndata: 2\n\n"
