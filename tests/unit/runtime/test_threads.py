"""Worker threads: pools that do not delay each other, and their connection to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import pytest

from asgikit import PlainTextResponse, Request, StreamingResponse, request_response
from asgikit.runtime import threads
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.stream_threads import stream_primitives
from asgikit.runtime.threads import (
    run_blocking_io,
    run_in_stream_thread,
    run_in_thread,
    set_thread_limits,
)
from asgikit.testing import exchange
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


@pytest.fixture(params=["own threads", "threads of anyio"])
def kind_of_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run with the threads of asgikit, and with an anyio that lacks the private attributes."""
    if request.param == "threads of anyio":
        monkeypatch.setattr(threads, "_claim", None)
    return str(request.param)


# anyio.from_thread


@pytest.mark.usefixtures("kind_of_threads")
async def test_from_thread_in_handler_reads_body_on_loop() -> None:
    @request_response
    def app(request: Request[Any]) -> PlainTextResponse:
        body = anyio.from_thread.run(request.json)
        on_loop = anyio.from_thread.run_sync(threading.get_ident)
        anyio.from_thread.check_cancelled()
        return PlainTextResponse(f"{body} {on_loop == loop_thread}")

    loop_thread = threading.get_ident()
    for _ in range(2):  # the second call runs in a claimed thread
        assert (await exchange(app, "POST", body=b"[1]")).text == "[1] True"


async def test_from_thread_in_sync_generator_runs_on_loop() -> None:
    def chunks() -> Iterator[str]:
        yield str(anyio.from_thread.run_sync(threading.get_ident))
        anyio.from_thread.run(anyio.lowlevel.checkpoint)

    answer = await exchange(StreamingResponse(chunks()))
    assert answer.text == str(threading.get_ident())


def test_from_thread_after_change_of_loop_uses_current_loop() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        other = await run_in_thread(anyio.from_thread.run_sync, asyncio.get_running_loop)
        return other is loop

    assert [asyncio.run(main()) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_handler_thread_can_run_event_loop_of_its_own(backend: str) -> None:
    async def main() -> str:
        return await run_in_thread(anyio.run, answer)

    async def answer() -> str:
        await anyio.lowlevel.checkpoint()
        return "tea"

    assert anyio.run(main, backend=backend) == "tea"


@pytest.mark.parametrize("name", ["claim_worker_thread", "threadlocals", "get_async_backend"])
def test_claim_without_private_attributes_of_anyio_is_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"anyio._core._eventloop.{name}")
    assert threads._anyio_thread_claim() is None


# Context variables


@pytest.mark.usefixtures("kind_of_threads")
async def test_handler_thread_sees_context_and_does_not_change_it() -> None:
    def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("changed")
        return before

    VARIABLE.set("set")
    assert await run_in_thread(change) == "set"
    assert VARIABLE.get() == "set"


# Pools


async def test_waiting_streams_delay_no_handler_and_no_file() -> None:
    is_over = threading.Event()
    started: list[int] = []

    def chunks(number: int) -> Iterator[bytes]:
        started.append(number)
        yield b"a"
        assert is_over.wait(BOUND)

    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(exchange, StreamingResponse(chunks(number)))
        await until(lambda: len(started) == 200)
        await assert_quick(run_in_thread)
        await assert_quick(run_blocking_io)
        is_over.set()


async def test_slow_handlers_delay_no_file() -> None:
    is_over = threading.Event()
    begun: list[None] = []

    def wait() -> None:
        begun.append(None)
        assert is_over.wait(BOUND)

    set_thread_limits(handlers=40)  # another test may have changed it
    async with anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(run_in_thread, wait)
        await until(lambda: len(begun) == 40)
        await assert_quick(run_blocking_io)
        is_over.set()


async def assert_quick(run: Callable[..., Any]) -> None:
    times = []
    for _ in range(5):
        began = anyio.current_time()
        assert await run(lambda: 7) == 7
        times.append(anyio.current_time() - began)
    # On a busy machine one may be slow; a full pool would delay all of them.
    assert min(times) < 0.1


@pytest.mark.usefixtures("one_thread_each", "kind_of_threads")
@pytest.mark.parametrize(
    ("run", "name"), [(run_in_thread, "handlers"), (run_in_stream_thread, "streams")]
)
async def test_full_pool_keeps_order_and_logs_one_warning(
    run: Any, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = getattr(threads, f"_{name}")
    monkeypatch.setattr(pool, "_next_warning", 0.0)
    # The second time is within a minute of the first. The third is not.
    for warnings in (1, 0, 1):
        if warnings:
            pool._next_warning = 0.0
        is_over = threading.Event()
        is_waiting = threading.Event()
        order: list[int] = []

        def wait(begun: threading.Event = is_waiting, over: threading.Event = is_over) -> None:
            begun.set()
            assert over.wait(BOUND)

        caplog.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(run, wait)
            await until(is_waiting.is_set)
            for number in range(5):
                group.start_soon(run, order.append, number)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            is_over.set()

        assert order == [*range(5)]
        assert len(caplog.records) == warnings
        for record in caplog.records:
            assert (record.name, record.levelno) == ("asgikit", logging.WARNING)
            assert f"set_thread_limits({name}=" in record.getMessage()


@pytest.mark.usefixtures("one_thread_each")
async def test_higher_limit_starts_waiting_calls() -> None:
    barrier = threading.Barrier(3)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(run_in_stream_thread, barrier.wait, BOUND)
        await until(lambda: barrier.n_waiting == 1)
        set_thread_limits(streams=3)
        if not is_asyncio():
            await run_in_stream_thread(int)  # the limiter of Trio is updated by the next call
    assert not barrier.broken


@pytest.mark.usefixtures("one_thread_each")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio ends its threads itself
@pytest.mark.parametrize("busy", [True, False])
async def test_lower_limit_ends_threads(*, busy: bool) -> None:
    def names() -> set[int | None]:
        return {
            thread.ident
            for thread in threading.enumerate()
            if thread.name == "asgikit streams" and thread.ident not in before
        }

    before: set[int | None] = set()
    before = names()
    set_thread_limits(streams=3)
    barrier = threading.Barrier(4)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(run_in_stream_thread, barrier.wait, BOUND)
        await until(lambda: barrier.n_waiting == 3)
        if busy:
            set_thread_limits(streams=1)
        barrier.wait(BOUND)
    if not busy:
        await until(lambda: threads._streams._idle_count == 3)  # otherwise they end while busy
        set_thread_limits(streams=1)
    await until(lambda: len(names()) == 1)
    assert await run_in_stream_thread(lambda: 7) == 7


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio ends its threads itself
async def test_idle_threads_end_and_later_calls_start_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.001)
    pool = threads._ThreadPool("of this test", 2)
    monkeypatch.setattr(threads, "_streams", pool)
    for _ in range(2):
        assert await run_in_stream_thread(lambda: 7) == 7
        await until(lambda: pool._thread_count == 0)  # no public API shows it
    assert pool._idle_count == 0


def test_thread_without_a_job_yet_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.001)
    pool = threads._ThreadPool("of this test", 1)
    pool._thread_count = 1
    pool._start_thread()  # a submitter queues the job after that
    time.sleep(0.01)
    done = threading.Event()
    pool._jobs.put((done.set, None))

    assert done.wait(BOUND)


@pytest.mark.parametrize("limits", [{"handlers": 0}, {"streams": -1}, {"files": 0}])
def test_limit_below_one_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        set_thread_limits(**limits)


@pytest.mark.usefixtures("one_thread_each")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_system_without_another_thread_uses_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start"):
            await run_in_thread(int)
    begun, is_over = threading.Event(), threading.Event()
    set_thread_limits(handlers=2)

    def wait() -> None:
        begun.set()
        assert is_over.wait(BOUND)

    async with anyio.create_task_group() as group:
        group.start_soon(run_in_thread, wait)
        await until(begun.is_set)
        monkeypatch.setattr(threading.Thread, "start", fail)
        group.start_soon(run_in_thread, int)
        await anyio.lowlevel.checkpoint()
        is_over.set()


# Threads that outlive their loop


def test_call_to_closed_loop_is_ignored() -> None:
    async def main() -> Any:
        return stream_primitives()[0]

    for call in (asyncio.run(main()), anyio.run(main, backend="trio")):
        call(len, ())


def test_thread_that_ends_after_its_loop_is_usable_again() -> None:
    is_over = threading.Event()

    async def main() -> None:
        coroutine = run_blocking_io(is_over.wait, BOUND)
        coroutine.send(None)
        with contextlib.suppress(RuntimeError):
            coroutine.close()

    asyncio.run(main())
    is_over.set()

    async def again() -> int:
        return await run_blocking_io(lambda: 7)

    assert asyncio.run(again()) == 7
