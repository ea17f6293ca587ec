"""Threads, shields, timeouts and cancellation by events, on asyncio and on Trio.

Most tests are repeated with several numbers of checkpoints: an awaitable may end in its first step,
which runs without a task, or in a later one.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Self

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from asgikit.exceptions import RequestTimeout
from asgikit.runtime.backend import asyncio_task, is_asyncio
from asgikit.runtime.cancellation import CancelOnEvent, shielded
from asgikit.runtime.first_step import wait_within
from asgikit.runtime.tasks import start_task, wait_end
from asgikit.runtime.threads import call, call_in_thread, is_async_callable, run_in_thread
from tests.support.waiting import BOUND, until

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

# Seconds until a timeout that the test waits for.
SHORT = 0.01

VARIABLE: ContextVar[str] = ContextVar("VARIABLE")


async def forever() -> None:
    await anyio.sleep_forever()


async def now() -> None:
    pass


async def after(checkpoints: int) -> str:
    """Return after this number of checkpoints."""
    for _ in range(checkpoints):
        await anyio.lowlevel.checkpoint()
    return "tea"


async def fail(checkpoints: int = 0) -> Any:
    await after(checkpoints)
    raise LookupError("no tea")


class Trace:
    """A record of how a coroutine ended."""

    def __init__(self) -> None:
        self.started = False
        self.cancelled = False
        self.finished = False

    async def run(self, body: Callable[[], Awaitable[Any]]) -> None:
        self.started = True
        try:
            await body()
            self.finished = True
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise


# Sync and async callables.


def sync_after(checkpoints: int = 3) -> Awaitable[str]:
    return after(checkpoints)


class AsyncInstance:
    async def __call__(self) -> str:
        return "tea"

    async def method(self) -> None: ...

    @classmethod
    async def of_class(cls) -> None: ...

    @staticmethod
    async def static() -> None: ...

    def plain(self) -> None: ...


class SyncInstance:
    def __call__(self) -> str:
        return "tea"


class Partial(functools.partial[Any]):
    pass


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (now, True),
        (AsyncInstance(), True),
        (AsyncInstance().method, True),
        (AsyncInstance.of_class, True),
        (AsyncInstance.static, True),
        (functools.partial(after, 1), True),
        (functools.partial(AsyncInstance()), True),
        (Partial(functools.partial(after), 1), True),
        (print, False),
        (sync_after, False),  # only a call shows that the result is awaitable
        (AsyncInstance().plain, False),
        (SyncInstance(), False),
        (functools.partial(SyncInstance()), False),
        (AsyncInstance, False),  # the constructor is sync, the instance async
        (functools.partial(AsyncInstance), False),
        (SyncInstance, False),
    ],
)
def test_is_async_callable_sees_methods_partials_and_instances(
    function: Callable[..., Any], is_async: bool
) -> None:
    assert is_async_callable(function) is is_async


async def test_call_of_async_function_runs_on_the_event_loop() -> None:
    async def where() -> int:
        return threading.get_ident()

    assert await call(where) == threading.get_ident()
    assert await call(AsyncInstance()) == "tea"


async def test_call_of_sync_function_runs_in_a_thread() -> None:
    assert await call(threading.get_ident) != threading.get_ident()
    assert await call(SyncInstance()) == "tea"


async def test_awaitable_returned_by_a_thread_is_awaited_on_the_loop() -> None:
    assert await call(sync_after) == "tea"
    assert await call_in_thread(after, 2) == "tea"
    assert await call(lambda: [after]) == [after]


async def test_call_passes_arguments_to_async_and_sync_functions() -> None:
    assert await call(after, 1) == "tea"
    assert await call(max, 1, 2) == 2


# Threads.


async def test_run_in_thread_passes_arguments_and_context() -> None:
    VARIABLE.set("set")

    def read(a: int, *, b: int, function: int) -> tuple[int, int, int, str]:
        return a, b, function, VARIABLE.get()

    assert await run_in_thread(read, 1, b=2, function=3) == (1, 2, 3, "set")


async def test_run_in_thread_raises_the_error_of_the_function() -> None:
    def fail() -> None:
        raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await run_in_thread(fail)


async def test_run_in_thread_waits_for_the_thread_when_scope_is_cancelled() -> None:
    begun = threading.Event()
    release = threading.Event()
    finished = False

    def work() -> None:
        nonlocal finished
        begun.set()
        assert release.wait(BOUND)
        finished = True

    async with anyio.create_task_group() as group:
        group.start_soon(run_in_thread, work)
        await until(begun.is_set)
        group.cancel_scope.cancel()
        release.set()
    assert finished


@on_asyncio
async def test_run_in_thread_waits_for_the_thread_when_task_is_cancelled() -> None:
    begun = threading.Event()
    release = threading.Event()
    finished = False

    def work() -> None:
        nonlocal finished
        begun.set()
        assert release.wait(BOUND)
        finished = True

    task = asyncio.ensure_future(run_in_thread(work))
    await until(begun.is_set)
    task.cancel()
    await after(3)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished


@pytest.mark.usefixtures("one_thread_each")
async def test_call_queued_for_a_thread_is_cancelled_at_once() -> None:
    begun = threading.Event()
    release = threading.Event()
    ran = False

    def work() -> None:
        begun.set()
        assert release.wait(BOUND)

    def other() -> None:
        nonlocal ran
        ran = True

    async with anyio.create_task_group() as group:
        group.start_soon(run_in_thread, work)
        await until(begun.is_set)
        if asyncio_task() is None:
            with anyio.move_on_after(SHORT) as scope:
                await run_in_thread(other)
            assert scope.cancelled_caught
        else:
            task = asyncio.ensure_future(run_in_thread(other))
            await after(3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        release.set()
    assert not ran


# Shields.


async def test_shielded_returns_the_result_or_raises_the_error() -> None:
    assert await shielded(after(2)) == "tea"
    with pytest.raises(LookupError, match="no tea"):
        await shielded(fail(2))


@pytest.mark.parametrize("checkpoints", [0, 1, 5])
async def test_shielded_completes_in_a_cancelled_scope(checkpoints: int) -> None:
    trace = Trace()
    is_resumed = False

    with anyio.CancelScope() as scope:
        scope.cancel()
        await shielded(trace.run(lambda: after(checkpoints)))
        await anyio.lowlevel.checkpoint()
        is_resumed = True
    assert trace.finished
    assert not is_resumed


async def test_shielded_completes_when_scope_is_cancelled_meanwhile() -> None:
    trace = Trace()
    release = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(shielded, trace.run(release.wait))
        await until(lambda: trace.started)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await after(3)
            assert not trace.cancelled
            release.set()
    assert trace.finished


@on_asyncio
@pytest.mark.parametrize("times", [1, 3])
async def test_shielded_completes_when_task_is_cancelled(times: int) -> None:
    trace = Trace()
    release = anyio.Event()
    task = asyncio.ensure_future(shielded(trace.run(release.wait)))
    await until(lambda: trace.started)

    for _ in range(times):
        task.cancel("shutdown")
        await after(2)
    assert not task.done()
    release.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert trace.finished


@on_asyncio
async def test_error_in_shielded_is_replaced_by_the_task_cancellation() -> None:
    begun = anyio.Event()
    release = anyio.Event()

    async def work() -> None:
        begun.set()
        await release.wait()
        raise LookupError("no tea")

    task = asyncio.ensure_future(shielded(work()))
    await begun.wait()
    task.cancel()
    await after(2)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_asyncio
@pytest.mark.parametrize("cancelled", [False, True])
async def test_shielded_coroutine_that_raises_cancelled_is_cancelled(cancelled: bool) -> None:
    begun = anyio.Event()
    release = anyio.Event()

    async def work() -> None:
        begun.set()
        await release.wait()
        raise asyncio.CancelledError

    task = asyncio.ensure_future(shielded(work()))
    await begun.wait()
    if cancelled:
        task.cancel()
        await after(2)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task


# Timeouts.


@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_wait_within_returns_the_result_in_time(
    seconds: float | None, checkpoints: int
) -> None:
    assert await wait_within(seconds, after(checkpoints)) == "tea"


@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_wait_within_raises_the_error_in_time(
    seconds: float | None, checkpoints: int
) -> None:
    with pytest.raises(LookupError, match="no tea"):
        await wait_within(seconds, fail(checkpoints))


async def test_wait_within_after_timeout_cancels_and_raises_408() -> None:
    trace = Trace()

    with pytest.raises(RequestTimeout, match=r"No message arrived within 0\.01 seconds\."):
        await wait_within(SHORT, trace.run(forever))
    assert trace.cancelled
    assert await after(2) == "tea"  # the task itself is not cancelled


@pytest.mark.parametrize("checkpoints", [0, 1, 3])
async def test_wait_within_raises_timeout_error_of_the_awaitable(checkpoints: int) -> None:
    async def time_out() -> None:
        await after(checkpoints)
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await wait_within(BOUND, time_out())


async def test_wait_within_cancelled_from_outside_is_no_timeout() -> None:
    trace = Trace()

    async with anyio.create_task_group() as group:
        group.start_soon(wait_within, BOUND, trace.run(forever))
        await until(lambda: trace.started)
        group.cancel_scope.cancel()
    assert trace.cancelled


@on_asyncio
async def test_wait_within_awaitable_may_suppress_task_cancellation() -> None:
    async def stubborn() -> str:
        for _ in range(3):
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                await anyio.lowlevel.checkpoint()
        return "tea"

    task = asyncio.ensure_future(wait_within(BOUND, stubborn()))
    for _ in range(3):
        await after(3)
        task.cancel()
    assert await task == "tea"


class OnlyNext:
    """An awaitable that returns an iterator without ``send``, ``throw`` and ``close``."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.steps = awaitable.__await__()

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self.steps)


@on_asyncio  # Trio resumes coroutines by send()
@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_wait_within_awaits_iterator_without_send(
    seconds: float | None, checkpoints: int
) -> None:
    assert await wait_within(seconds, OnlyNext(after(checkpoints))) == "tea"


@on_asyncio
async def test_wait_within_cancels_iterator_without_throw() -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(RequestTimeout):
        await wait_within(SHORT, OnlyNext(future))
    assert future.cancelled()

    waiting = wait_within(BOUND, OnlyNext(asyncio.Event().wait()))
    task = asyncio.ensure_future(waiting)
    await after(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_asyncio
@pytest.mark.parametrize("wrap", [lambda awaitable: awaitable, OnlyNext])
async def test_wait_within_closed_half_way_closes_its_awaitable(
    wrap: Callable[[Awaitable[None]], Awaitable[None]],
) -> None:
    closed = False

    async def work() -> None:
        nonlocal closed
        try:
            await YieldOnce()
        finally:
            closed = True

    inner = work()
    outer = wait_within(BOUND, wrap(inner))
    outer.send(None)
    outer.close()
    inner.close()
    assert closed


class YieldOnce:
    """An awaitable that yields once, on any event loop or none."""

    def __await__(self) -> Generator[None]:
        yield


# Cancellation by an event.


class CancelInScope(CancelOnEvent):
    """Run the coroutine inside a scope, as streams do and files do not."""

    async def run(
        self, work: Coroutine[Any, Any, None], error: type[Exception] | None = None
    ) -> None:
        async def in_scope() -> None:
            with self.make_scope(None):
                await work

        await super().run(in_scope(), error)


each_class = pytest.mark.parametrize("make_cancellation", [CancelOnEvent, CancelInScope])


@each_class
async def test_work_that_never_waits_is_not_cancelled_by_the_event(make_cancellation: Any) -> None:
    cancellation = make_cancellation(now)
    trace = Trace()

    await cancellation.run(trace.run(now))
    assert trace.finished


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_end_of_work_cancels_the_wait_for_the_event(
    make_cancellation: Any, checkpoints: int
) -> None:
    work, wait = Trace(), Trace()
    cancellation = make_cancellation(lambda: wait.run(forever))

    await cancellation.run(work.run(lambda: after(checkpoints)))
    assert work.finished
    assert not cancellation.has_fired
    assert wait.started == wait.cancelled


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_event_after_disarm_does_not_cancel_the_work(
    make_cancellation: Any, checkpoints: int
) -> None:
    cancellation = make_cancellation(lambda: after(checkpoints))
    trace = Trace()

    async def work() -> None:
        cancellation.disarm()
        await after(checkpoints + 10)

    await cancellation.run(trace.run(work))
    assert trace.finished
    assert not cancellation.has_fired
    assert not trace.cancelled


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_event_cancels_the_work_but_not_the_task(
    make_cancellation: Any, checkpoints: int
) -> None:
    work = Trace()
    cancellation = make_cancellation(lambda: after(checkpoints))

    await cancellation.run(work.run(forever))
    assert work.cancelled
    assert cancellation.has_fired
    assert await after(3) == "tea"  # the task itself is not cancelled cancelled


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_error_of_the_work_is_raised_unchanged(
    make_cancellation: Any, checkpoints: int
) -> None:
    wait = Trace()

    with pytest.raises(LookupError, match="no tea"):
        await make_cancellation(lambda: wait.run(forever)).run(fail(checkpoints))
    assert wait.started == wait.cancelled


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_error_of_the_event_is_raised_and_cancels_the_work(
    make_cancellation: Any, checkpoints: int
) -> None:
    work = Trace()

    with pytest.raises(LookupError, match="no tea"):
        await make_cancellation(lambda: fail(checkpoints)).run(work.run(forever))
    assert work.cancelled
    assert await after(3) == "tea"


@each_class
async def test_error_of_the_work_during_cancellation_is_raised(make_cancellation: Any) -> None:
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await make_cancellation(now).run(work())
    assert await after(3) == "tea"


@each_class
async def test_work_cancelled_by_the_event_may_await_in_clean_up(make_cancellation: Any) -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await anyio.sleep_forever()
        finally:
            await shielded(after(3))
            cleaned = True

    cancellation = make_cancellation(now)
    await cancellation.run(work())
    assert cancellation.has_fired
    assert cleaned


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 3, 4, 5, 8])
async def test_work_and_event_that_end_together_do_not_cancel_the_task(
    make_cancellation: Any,
    checkpoints: int,
) -> None:
    work = Trace()
    cancellation = make_cancellation(lambda: after(3))

    await cancellation.run(work.run(lambda: after(checkpoints)))
    assert work.finished != work.cancelled
    assert cancellation.has_fired or work.finished
    assert await after(3) == "tea"


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
async def test_scope_cancelled_from_outside_ends_work_and_event(
    make_cancellation: Any, checkpoints: int
) -> None:
    work, wait = Trace(), Trace()
    cancellation = make_cancellation(lambda: wait.run(forever))

    async with anyio.create_task_group() as group:
        group.start_soon(cancellation.run, work.run(forever))
        await until(lambda: work.started)
        await after(checkpoints)
        group.cancel_scope.cancel()
    assert work.cancelled
    assert wait.started == wait.cancelled
    assert not cancellation.has_fired


@each_class
@on_asyncio
@pytest.mark.parametrize("checkpoints", [0, 1, 2, 3, 4, 5])
async def test_task_cancelled_around_the_event_is_cancelled_once(
    make_cancellation: Any, checkpoints: int
) -> None:
    work = Trace()
    cancellation = make_cancellation(lambda: after(2))

    async def run() -> None:
        await cancellation.run(work.run(forever))
        await anyio.sleep_forever()

    task = asyncio.ensure_future(run())
    await after(checkpoints)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


@each_class
@on_asyncio
async def test_event_cancels_work_in_task_that_suppressed_a_cancellation(
    make_cancellation: Any,
) -> None:
    cancellation = make_cancellation(now)
    begun = anyio.Event()

    async def run() -> str:
        try:
            begun.set()
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            await cancellation.run(forever())
        return await after(3)

    task = asyncio.ensure_future(run())
    await begun.wait()
    task.cancel()
    assert await task == "tea"
    assert cancellation.has_fired


@each_class
@on_asyncio
async def test_event_that_suppresses_cancellation_cancels_no_ended_work(
    make_cancellation: Any,
) -> None:
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            return

    cancellation = make_cancellation(wait)
    await cancellation.run(after(8))
    assert await after(3) == "tea"
    assert not cancellation.has_fired


@each_class
async def test_error_of_the_event_during_its_cancellation_is_raised(make_cancellation: Any) -> None:
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await make_cancellation(wait).run(after(8))
    assert await after(3) == "tea"


@each_class
@pytest.mark.parametrize("first", [0, 1, 2])
async def test_first_of_several_events_cancels_work_and_other_events(
    make_cancellation: Any, first: int
) -> None:
    work = Trace()
    waits = [Trace() for _ in range(3)]

    def make(number: int) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            await (after(3) if number == first else anyio.sleep_forever())

        return lambda: waits[number].run(wait)

    cancellation = make_cancellation(*map(make, range(3)))
    await cancellation.run(work.run(forever))
    assert cancellation.has_fired
    assert work.cancelled
    assert [wait.finished for wait in waits] == [number == first for number in range(3)]
    assert [wait.cancelled for wait in waits] == [number != first for number in range(3)]
    assert await after(3) == "tea"


@each_class
@pytest.mark.parametrize("checkpoints", [0, 1, 2])
async def test_events_that_fire_together_cancel_the_work_once(
    make_cancellation: Any, checkpoints: int
) -> None:
    cancellation = make_cancellation(
        lambda: after(checkpoints), lambda: after(checkpoints), lambda: after(checkpoints)
    )

    await cancellation.run(forever())
    assert cancellation.has_fired
    assert await after(3) == "tea"


@each_class
@on_asyncio
@pytest.mark.parametrize("times", [1, 3])
async def test_task_cancelled_waits_for_slow_clean_up_of_the_event(
    make_cancellation: Any, times: int
) -> None:
    ended = False

    async def wait() -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            ended = True

    task = asyncio.ensure_future(make_cancellation(wait).run(after(2)))
    await after(3)  # the work has ended
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


@each_class
@pytest.mark.parametrize("fires", [True, False])
async def test_burst_ends_when_the_event_fires(make_cancellation: Any, fires: bool) -> None:
    cancellation = make_cancellation(now if fires else forever)
    left: list[int] = []

    async def work() -> None:
        burst = cancellation.start_burst(3)
        next(burst)
        try:
            await after(3)
        finally:
            left.append(len([*burst]))

    await cancellation.run(work())
    assert left == [0 if fires else 2]


@each_class
async def test_work_that_never_waits_completes_no_event(make_cancellation: Any) -> None:
    wait = Trace()
    cancellation = make_cancellation(lambda: wait.run(forever))

    await cancellation.run(now())
    assert not cancellation.has_fired
    assert not wait.finished


@pytest.mark.parametrize("checkpoints", [0, 1])
async def test_wait_within_with_error_class_raises_it_after_timeout(checkpoints: int) -> None:
    assert await wait_within(BOUND, after(checkpoints), KeyError) == "tea"
    with pytest.raises(KeyError, match=r"0\.01"):
        await wait_within(SHORT, forever(), KeyError)


@pytest.mark.parametrize("count", [1, 6])
@on_asyncio
async def test_few_checkpoints_of_the_work_start_no_event(count: int) -> None:
    event = Trace()
    cancellation = CancelOnEvent(lambda: event.run(forever))

    async def work() -> None:
        for _ in range(count):
            await cancellation.checkpoint()

    await cancellation.run(work())
    assert not event.started


async def test_many_checkpoints_of_the_work_start_the_events() -> None:
    cancellation = CancelOnEvent(now)
    work = Trace()

    async def endless() -> None:
        while True:
            await cancellation.checkpoint()

    with anyio.fail_after(BOUND):
        await cancellation.run(work.run(endless))
    assert work.cancelled
    assert cancellation.has_fired


@on_asyncio
@pytest.mark.parametrize("outcome", ["raises", "waits", "returns"])
async def test_task_cancelled_at_a_checkpoint_may_suppress_it(outcome: str) -> None:
    cancellation = CancelOnEvent(forever)
    log: list[str] = []

    async def work() -> None:
        try:
            await cancellation.checkpoint()
        except asyncio.CancelledError:
            log.append("cancelled")
            if outcome == "raises":
                raise
            if outcome == "waits":
                await after(3)
        log.append("resumed")

    task = asyncio.ensure_future(cancellation.run(work()))
    await after(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() == (outcome == "raises")
    assert log == (["cancelled"] if outcome == "raises" else ["cancelled", "resumed"])


@on_asyncio
async def test_task_cancelled_after_the_scope_was_left_is_cancelled() -> None:
    cancellation = CancelOnEvent(now)

    async def work() -> None:
        with cancellation.make_scope(None):
            await forever()
        await after(1)
        task.cancel()

    task = asyncio.ensure_future(cancellation.run(work()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancellation.has_fired


# Detection of the event loop.


async def test_asyncio_task_is_none_on_trio(anyio_backend_name: str) -> None:
    assert (asyncio_task() is not None) is (anyio_backend_name == "asyncio")


def test_asyncio_task_outside_an_event_loop_is_none() -> None:
    assert asyncio_task() is None


def run_trio_as_guest(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run ``main`` on Trio as a guest of asyncio."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            main,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
        )
        return (await done).unwrap()

    return asyncio.run(run())


@each_class
def test_trio_as_a_guest_of_asyncio_is_detected_as_trio(make_cancellation: Any) -> None:
    async def main() -> list[Any]:
        cancellation = make_cancellation(now)
        await cancellation.run(forever())
        with pytest.raises(RequestTimeout):
            await wait_within(SHORT, forever())
        return [
            asyncio_task(),
            cancellation.has_fired,
            await wait_within(BOUND, after(0)),
            await wait_within(BOUND, after(3)),
            await shielded(after(3)),
            is_asyncio(),
        ]

    assert run_trio_as_guest(main) == [None, True, "tea", "tea", "tea", False]


@pytest.mark.parametrize("is_imported", [True, False])
async def test_is_asyncio_with_and_without_trio_imported(
    is_imported: bool, anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_imported:
        if anyio_backend_name == "trio":
            pytest.skip("Trio cannot run without its module")
        monkeypatch.delitem(sys.modules, "trio")
    assert is_asyncio() is (anyio_backend_name == "asyncio")


async def test_started_task_runs_until_cancelled() -> None:
    begun = anyio.Event()

    async def work() -> None:
        begun.set()
        await anyio.sleep_forever()

    task = start_task(work())
    await begun.wait()
    assert not task.done()
    task.cancel()
    await wait_end(task)
    assert task.done()


@on_asyncio
async def test_run_waits_for_the_clean_up_of_the_event() -> None:
    log: list[str] = []

    async def event() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            log.append("ended")

    async def work() -> None:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    await CancelOnEvent(event).run(work())

    assert log == ["ended"]
