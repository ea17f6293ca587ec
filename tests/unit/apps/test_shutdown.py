"""``Shutdown``: signals, calls of ``set()``, the end of streams, the readiness check."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pickle
import re
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    EventSourceResponse,
    Request,
    ServerSentEvent,
    Shutdown,
    request_response,
    to_asgi,
)
from asgikit.testing import exchange, lifespan
from tests.support.waiting import until

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def received() -> Iterator[list[int]]:
    """Return the numbers of the signals that the handler of a server has received."""
    numbers: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: numbers.append(number))
        for number in SIGNALS
    }
    yield numbers
    for number, handler in handlers.items():
        signal.signal(number, handler)


async def idle() -> AsyncIterator[str]:
    """Yield one event, then wait forever."""
    yield "first"
    await anyio.sleep_forever()


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
async def test_signal_sets_event_and_reaches_handler_of_server(
    received: list[int], number: int
) -> None:
    shutdown = Shutdown()
    async with shutdown:
        assert not shutdown.is_set()
        signal.raise_signal(number)
        with anyio.fail_after(5):
            await shutdown.wait()
        assert shutdown.is_set()
    assert received == [number]


async def test_end_of_lifespan_restores_handlers_and_ends_streams(received: list[int]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    shutdown = Shutdown()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group, shutdown:
            assert [signal.getsignal(number) for number in SIGNALS] != before
            group.start_soon(shutdown.wait)
            await until(lambda: shutdown._waiters)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]


async def test_inner_lifespan_leaves_handlers_to_outer_one(received: list[int]) -> None:
    shutdown = Shutdown()
    async with shutdown():
        async with shutdown:
            pass
        assert not shutdown.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert shutdown.is_set()
    assert received == [signal.SIGTERM]


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN])
async def test_signal_without_handler_is_left_alone(received: list[int], default: Any) -> None:
    signal.signal(signal.SIGTERM, default)
    async with Shutdown():
        assert signal.getsignal(signal.SIGTERM) == default
    assert signal.getsignal(signal.SIGTERM) == default
    assert received == []


async def test_handler_that_is_installed_later_stays_and_may_call_the_event(
    received: list[int],
) -> None:
    shutdown = Shutdown()

    def call(handler: Callable[[int, Any], Any], number: int, frame: Any) -> None:
        handler(number, frame)

    async with shutdown:
        earlier: Any = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, functools.partial(call, earlier))
        later = signal.getsignal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert shutdown.is_set()
    assert signal.getsignal(signal.SIGTERM) is later
    signal.raise_signal(signal.SIGTERM)
    async with shutdown:  # a second start calls each handler once, and not in a circle
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM] * 3


async def test_error_of_server_handler_is_raised_after_event_is_set(received: list[int]) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    shutdown = Shutdown()
    async with shutdown:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert shutdown.is_set()
    assert received == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_signal_handler_of_event_loop_is_called_too(received: list[int]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        shutdown = Shutdown()
        async with shutdown:
            signal.raise_signal(signal.SIGTERM)
            with anyio.fail_after(5):
                await stopped.wait()
                await shutdown.wait()
        signal.raise_signal(signal.SIGTERM)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert received == []


async def test_lifespan_off_main_thread_replaces_no_handler(
    received: list[int], anyio_backend_name: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    shutdown = Shutdown()

    async def serve() -> None:
        async with shutdown:
            assert signal.getsignal(signal.SIGTERM) == before
            with anyio.fail_after(5):
                await shutdown.wait()

    def run() -> None:
        anyio.run(serve, backend=anyio_backend_name)

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, run)
        await until(lambda: shutdown._waiters)  # the task in the other thread waits
        shutdown.set()
    assert received == []


# --- set, wait -----------------------------------------------------------------------------------


async def call_in_thread(shutdown: Shutdown) -> None:
    await anyio.to_thread.run_sync(shutdown.set)


async def call_on_loop(shutdown: Shutdown) -> None:
    shutdown.set()


async def call_in_signal_handler(shutdown: Shutdown) -> None:
    def handle(_number: int, _frame: object) -> None:
        shutdown.set()

    signal.signal(signal.SIGTERM, handle)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("call", [call_in_thread, call_on_loop, call_in_signal_handler])
@pytest.mark.usefixtures("received")
async def test_set_wakes_all_tasks_that_wait(call: Callable[[Shutdown], Any]) -> None:
    shutdown = Shutdown()
    ended: list[int] = []

    async def wait(number: int) -> None:
        await shutdown.wait()
        ended.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(wait, number)
            await until(lambda: len(shutdown._waiters) == 100)
            assert ended == []
            await call(shutdown)
    assert sorted(ended) == list(range(100))


async def test_wait_returns_at_once_after_set() -> None:
    shutdown = Shutdown()
    shutdown.set()
    shutdown.set()
    with anyio.fail_after(5):
        await shutdown.wait()


async def test_cancelled_wait_leaves_nothing_behind() -> None:
    shutdown = Shutdown()
    with anyio.move_on_after(0.01):
        await shutdown.wait()
    assert not shutdown._waiters  # or each closed stream would cost memory


def test_set_ignores_waits_of_closed_event_loop() -> None:
    shutdown = Shutdown()
    loop = asyncio.new_event_loop()
    task = loop.create_task(shutdown.wait())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert len(shutdown._waiters) == 1  # the task never ended
    shutdown.set()
    assert shutdown.is_set()
    with contextlib.suppress(RuntimeError):
        task.get_coro().close()
    task._log_destroy_pending = False  # type: ignore[attr-defined] # it is pending on purpose


async def test_event_is_cleared_at_the_end_of_the_lifespan() -> None:
    shutdown = Shutdown()
    shutdown.set()
    for is_set in (True, False):
        async with shutdown:
            assert shutdown.is_set() == is_set
        # Tests may call an app without a lifespan later.
        assert not shutdown.is_set()


# --- lifespan ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, {}])
async def test_shutdown_as_lifespan_needs_no_state(state: dict[str, Any] | None) -> None:
    shutdown = Shutdown()

    async def handle(request: Request) -> ASGIApp:
        return shutdown.ready

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    for app in (request_response(handle, lifespan=shutdown), to_asgi(app3, lifespan=shutdown)):
        sent: list[str] = []
        received = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive(received: Iterator[str] = received) -> dict[str, Any]:
            return {"type": next(received)}

        async def send(message: Any, sent: list[str] = sent) -> None:
            sent.append(message["type"])

        scope = {"type": "lifespan"} if state is None else {"type": "lifespan", "state": state}
        await app(scope, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not state


async def test_shutdown_is_entered_in_a_lifespan_with_state() -> None:
    shutdown = Shutdown()

    @asynccontextmanager
    async def resources() -> AsyncGenerator[dict[str, Any]]:
        async with shutdown:
            yield {"pool": "open"}

    @request_response(lifespan=resources)
    async def app(request: Request) -> ASGIApp:
        assert request.state.pool == "open"
        return shutdown.ready

    async with lifespan(app) as state:
        assert (await exchange(app, scope={"state": state})).status_code == 200


def test_pickled_shutdown_has_the_same_options_and_its_own_state() -> None:
    shutdown = Shutdown(retry=(7, 7), last_event=None)
    shutdown.set()
    copy = pickle.loads(pickle.dumps(shutdown))
    assert not copy.is_set()
    assert copy.make_last_event() == ServerSentEvent(retry=7)


# --- readiness -----------------------------------------------------------------------------------


async def test_readiness_check_gets_503_once_shutdown_has_begun() -> None:
    shutdown = Shutdown()

    @request_response
    async def app(request: Request) -> ASGIApp:
        return shutdown.ready

    for ready in (shutdown.ready, app):
        shutdown._is_set = False
        before = await exchange(ready)
        shutdown.set()
        after = await exchange(ready)
        assert (before.status_code, before.text) == (200, "ready\n")
        assert (after.status_code, after.text) == (503, "draining\n")
        assert after.headers["cache-control"] == "no-store"


# --- the end of streams --------------------------------------------------------------------------

BYE = ServerSentEvent({"n": 1}, event="end", id="9")


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, rb"retry: \d{4}\n"),
        ({"retry": None}, rb""),
        ({"retry": (7, 7)}, rb"retry: 7\n"),
        ({"retry": (0, 0), "last_event": BYE}, rb'event: end\nid: 9\nretry: 0\ndata: {"n":1}\n\n'),
        ({"retry": None, "last_event": BYE}, rb'event: end\nid: 9\ndata: {"n":1}\n\n'),
        # The event's own number wins.
        ({"last_event": ServerSentEvent("bye", retry=5)}, rb"retry: 5\ndata: bye\n\n"),
    ],
)
async def test_event_stream_ends_with_retry_and_last_event(
    options: dict[str, Any], end: bytes
) -> None:
    shutdown = Shutdown(**options)

    async def one_event() -> AsyncIterator[str]:
        yield "first"
        shutdown.set()
        await anyio.sleep_forever()

    answer = await exchange(EventSourceResponse(one_event(), shutdown=shutdown))

    assert answer.messages[-1]["more_body"] is False
    assert re.fullmatch(end, answer.messages[-1]["body"])
    assert answer.body.startswith(b": ping\ndata: first\n\n")


async def test_event_stream_during_send_ends_with_last_event() -> None:
    shutdown = Shutdown(retry=(7, 7))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if b"data" in message.get("body", b""):
            shutdown.set()
            await until(lambda: not shutdown._waiters)  # the stream knows that it ends

    async def receive() -> Any:
        await anyio.sleep_forever()

    await EventSourceResponse(idle(), shutdown=shutdown)(
        {"type": "http", "method": "GET"}, receive, send
    )
    assert [message.get("body") for message in sent[1:]] == [
        b": ping\n",
        b"data: first\n\n",
        b"retry: 7\n",
    ]


async def test_event_stream_that_ends_by_itself_has_no_last_event() -> None:
    answer = await exchange(EventSourceResponse(["a"], shutdown=Shutdown(last_event=BYE)))
    assert answer.body == b": ping\ndata: a\n\n"


@given(least=st.integers(0, 10_000), spread=st.integers(0, 10_000))
def test_retry_is_random_within_its_limits(least: int, spread: int) -> None:
    shutdown = Shutdown(retry=(least, least + spread))
    numbers = [shutdown.make_last_event().retry for _ in range(20)]
    assert all(number is not None and least <= number <= least + spread for number in numbers)
    assert spread < 1000 or len(set(numbers)) > 10


@pytest.mark.parametrize(
    ("retry", "error", "text"),
    [
        ((2, 1), ValueError, r"retry must be \(least, greatest\), not \(2, 1\)"),
        ((-1, 1), ValueError, "retry must be from 0"),
        ((1.5, 2), TypeError, "retry must be an int"),
        ((1, "2"), TypeError, "retry must be an int"),
        (5, TypeError, "int"),  # one number: every client would reconnect at once
        ((1,), ValueError, "unpack"),
    ],
)
def test_retry_of_another_kind_raises(retry: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Shutdown(retry=retry)


def test_shutdown_in_thread_without_event_loop_is_set() -> None:
    shutdown = Shutdown()
    thread = threading.Thread(target=shutdown.set)
    thread.start()
    thread.join()
    assert shutdown.is_set()
