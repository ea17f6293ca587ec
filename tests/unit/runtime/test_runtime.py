"""Threads, shields, bounds and watches: on both event loops alike, whoever cancels whom."""

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

# Seconds that a test waits where nothing comes.
SHORT = 0.01

VARIABLE: ContextVar[str] = ContextVar("VARIABLE")


async def forever() -> None:
    await anyio.sleep_forever()


async def now() -> None:
    pass


async def after(turns: int) -> str:
    """Return after as many turns of the loop."""
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    return "tea"


async def fail(turns: int = 0) -> Any:
    await after(turns)
    raise LookupError("no tea")


class Trace:
    """Work that tells how far it came."""

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


# What kind of function it is.


def sync_after(turns: int = 3) -> Awaitable[str]:
    return after(turns)


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
        (sync_after, False),  # it takes a call to know
        (AsyncInstance().plain, False),
        (SyncInstance(), False),
        (functools.partial(SyncInstance()), False),
        (AsyncInstance, False),  # what it makes is async, making it is not
        (functools.partial(AsyncInstance), False),
        (SyncInstance, False),
    ],
)
def test_an_async_callable_is_told_apart(function: Callable[..., Any], is_async: bool) -> None:
    assert is_async_callable(function) is is_async


async def test_an_async_function_is_called_on_the_loop() -> None:
    async def where() -> int:
        return threading.get_ident()

    assert await call(where) == threading.get_ident()
    assert await call(AsyncInstance()) == "tea"


async def test_a_function_is_called_in_a_thread() -> None:
    assert await call(threading.get_ident) != threading.get_ident()
    assert await call(SyncInstance()) == "tea"


async def test_what_a_thread_gives_is_awaited_on_the_loop() -> None:
    assert await call(sync_after) == "tea"
    assert await call_in_thread(after, 2) == "tea"
    assert await call(lambda: [after]) == [after]


async def test_what_is_called_gets_its_arguments() -> None:
    assert await call(after, 1) == "tea"
    assert await call(max, 1, 2) == 2


# Threads.


async def test_a_thread_is_given_arguments_and_context() -> None:
    VARIABLE.set("set")

    def read(a: int, *, b: int, function: int) -> tuple[int, int, int, str]:
        return a, b, function, VARIABLE.get()

    assert await run_in_thread(read, 1, b=2, function=3) == (1, 2, 3, "set")


async def test_an_error_in_a_thread_is_raised() -> None:
    def fail() -> None:
        raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await run_in_thread(fail)


async def test_a_thread_is_waited_for_when_its_caller_is_cancelled() -> None:
    begun = threading.Event()
    go_on = threading.Event()
    finished = False

    def work() -> None:
        nonlocal finished
        begun.set()
        assert go_on.wait(BOUND)
        finished = True

    async with anyio.create_task_group() as group:
        group.start_soon(run_in_thread, work)
        await until(begun.is_set)
        group.cancel_scope.cancel()
        go_on.set()
    assert finished


@on_asyncio
async def test_a_thread_is_waited_for_when_its_task_is_cancelled() -> None:
    begun = threading.Event()
    go_on = threading.Event()
    finished = False

    def work() -> None:
        nonlocal finished
        begun.set()
        assert go_on.wait(BOUND)
        finished = True

    task = asyncio.ensure_future(run_in_thread(work))
    await until(begun.is_set)
    task.cancel()
    await after(3)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished


@pytest.mark.usefixtures("one_thread_each")
async def test_a_call_that_waits_for_a_thread_is_cancelled_at_once() -> None:
    begun = threading.Event()
    go_on = threading.Event()
    ran = False

    def work() -> None:
        begun.set()
        assert go_on.wait(BOUND)

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
        go_on.set()
    assert not ran


# Shields.


async def test_a_shield_gives_the_result_or_the_error() -> None:
    assert await shielded(after(2)) == "tea"
    with pytest.raises(LookupError, match="no tea"):
        await shielded(fail(2))


@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_what_is_shielded_ends_when_a_scope_is_cancelled(turns: int) -> None:
    trace = Trace()
    went_on = False

    with anyio.CancelScope() as scope:
        scope.cancel()
        await shielded(trace.run(lambda: after(turns)))
        await anyio.lowlevel.checkpoint()
        went_on = True
    assert trace.finished
    assert not went_on


async def test_what_is_shielded_ends_when_its_scope_is_cancelled_meanwhile() -> None:
    trace = Trace()
    go_on = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(shielded, trace.run(go_on.wait))
        await until(lambda: trace.started)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await after(3)
            assert not trace.cancelled
            go_on.set()
    assert trace.finished


@on_asyncio
@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_shielded_ends_when_its_task_is_cancelled(times: int) -> None:
    trace = Trace()
    go_on = anyio.Event()
    task = asyncio.ensure_future(shielded(trace.run(go_on.wait)))
    await until(lambda: trace.started)

    for _ in range(times):
        task.cancel("shutdown")
        await after(2)
    assert not task.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert trace.finished


@on_asyncio
async def test_an_error_behind_a_shield_gives_way_to_the_cancel() -> None:
    begun = anyio.Event()
    go_on = anyio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        raise LookupError("no tea")

    task = asyncio.ensure_future(shielded(work()))
    await begun.wait()
    task.cancel()
    await after(2)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_asyncio
@pytest.mark.parametrize("cancelled", [False, True])
async def test_work_that_cancels_itself_behind_a_shield_is_cancelled(cancelled: bool) -> None:
    begun = anyio.Event()
    go_on = anyio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        raise asyncio.CancelledError

    task = asyncio.ensure_future(shielded(work()))
    await begun.wait()
    if cancelled:
        task.cancel()
        await after(2)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


# Bounds.


@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_what_comes_in_time_is_given(seconds: float | None, turns: int) -> None:
    assert await wait_within(seconds, after(turns)) == "tea"


@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_an_error_in_time_is_raised(seconds: float | None, turns: int) -> None:
    with pytest.raises(LookupError, match="no tea"):
        await wait_within(seconds, fail(turns))


async def test_what_does_not_come_in_time_is_cancelled_and_408() -> None:
    trace = Trace()

    with pytest.raises(RequestTimeout, match=r"No message arrived within 0\.01 seconds\."):
        await wait_within(SHORT, trace.run(forever))
    assert trace.cancelled
    assert await after(2) == "tea"  # the task itself is not


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_timeout_of_its_own_is_passed_on(turns: int) -> None:
    async def time_out() -> None:
        await after(turns)
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await wait_within(BOUND, time_out())


async def test_a_cancel_from_outside_is_no_timeout() -> None:
    trace = Trace()

    async with anyio.create_task_group() as group:
        group.start_soon(wait_within, BOUND, trace.run(forever))
        await until(lambda: trace.started)
        group.cancel_scope.cancel()
    assert trace.cancelled


@on_asyncio
async def test_a_cancel_is_the_awaitables_to_handle() -> None:
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


class Steps:
    """An awaitable whose steps can only go forward: no ``send``, ``throw`` or ``close``."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.steps = awaitable.__await__()

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self.steps)


@on_asyncio  # the loops of trio send values
@pytest.mark.parametrize("seconds", [None, BOUND])
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_any_iterator_is_awaited(seconds: float | None, turns: int) -> None:
    assert await wait_within(seconds, Steps(after(turns))) == "tea"


@on_asyncio
async def test_any_iterator_is_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(RequestTimeout):
        await wait_within(SHORT, Steps(future))
    assert future.cancelled()

    waiting = wait_within(BOUND, Steps(asyncio.Event().wait()))
    task = asyncio.ensure_future(waiting)
    await after(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_asyncio
@pytest.mark.parametrize("wrap", [lambda awaitable: awaitable, Steps])
async def test_what_is_closed_half_way_closes_what_it_awaits(
    wrap: Callable[[Awaitable[None]], Awaitable[None]],
) -> None:
    closed = False

    async def work() -> None:
        nonlocal closed
        try:
            await Once()
        finally:
            closed = True

    inner = work()
    outer = wait_within(BOUND, wrap(inner))
    outer.send(None)
    outer.close()
    inner.close()
    assert closed


class Once:
    """Waits for one turn, on any loop or none."""

    def __await__(self) -> Generator[None]:
        yield


# Cancellation by an event.


class ScopedWatch(CancelOnEvent):
    """Runs the work inside a scope, as streams do; files do not."""

    async def run(
        self, work: Coroutine[Any, Any, None], error: type[Exception] | None = None
    ) -> None:
        async def in_scope() -> None:
            with self.make_scope(None):
                await work

        await super().run(in_scope(), error)


every_watch = pytest.mark.parametrize("make_watch", [CancelOnEvent, ScopedWatch])


@every_watch
async def test_work_that_need_not_wait_is_not_cancelled(make_watch: Any) -> None:
    watch = make_watch(now)
    trace = Trace()

    await watch.run(trace.run(now))
    assert trace.finished


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_work_ends_and_with_it_the_watch(make_watch: Any, turns: int) -> None:
    work, wait = Trace(), Trace()
    watch = make_watch(lambda: wait.run(forever))

    await watch.run(work.run(lambda: after(turns)))
    assert work.finished
    assert not watch.has_fired
    assert wait.started == wait.cancelled


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_work_that_is_released_is_not_cancelled(make_watch: Any, turns: int) -> None:
    watch = make_watch(lambda: after(turns))
    trace = Trace()

    async def work() -> None:
        watch.disarm()
        await after(turns + 10)

    await watch.run(trace.run(work))
    assert trace.finished
    assert not watch.has_fired
    assert not trace.cancelled


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_a_watch_that_ends_cancels_the_work(make_watch: Any, turns: int) -> None:
    work = Trace()
    watch = make_watch(lambda: after(turns))

    await watch.run(work.run(forever))
    assert work.cancelled
    assert watch.has_fired
    assert await after(3) == "tea"  # the task itself is not cancelled


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_an_error_of_the_work_is_raised_as_it_is(make_watch: Any, turns: int) -> None:
    wait = Trace()

    with pytest.raises(LookupError, match="no tea"):
        await make_watch(lambda: wait.run(forever)).run(fail(turns))
    assert wait.started == wait.cancelled


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_an_error_of_the_watch_is_raised_as_it_is_and_cancels_the_work(
    make_watch: Any, turns: int
) -> None:
    work = Trace()

    with pytest.raises(LookupError, match="no tea"):
        await make_watch(lambda: fail(turns)).run(work.run(forever))
    assert work.cancelled
    assert await after(3) == "tea"


@every_watch
async def test_an_error_of_the_work_while_it_is_cancelled_is_raised(make_watch: Any) -> None:
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await make_watch(now).run(work())
    assert await after(3) == "tea"


@every_watch
async def test_work_may_clean_up_while_it_is_cancelled(make_watch: Any) -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await anyio.sleep_forever()
        finally:
            await shielded(after(3))
            cleaned = True

    watch = make_watch(now)
    await watch.run(work())
    assert watch.has_fired
    assert cleaned


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 8])
async def test_work_and_watch_that_end_at_about_the_same_time_leave_the_task_alone(
    make_watch: Any,
    turns: int,
) -> None:
    work = Trace()
    watch = make_watch(lambda: after(3))

    await watch.run(work.run(lambda: after(turns)))
    assert work.finished != work.cancelled
    assert watch.has_fired or work.finished
    assert await after(3) == "tea"


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_a_cancel_from_outside_ends_work_and_watch(make_watch: Any, turns: int) -> None:
    work, wait = Trace(), Trace()
    watch = make_watch(lambda: wait.run(forever))

    async with anyio.create_task_group() as group:
        group.start_soon(watch.run, work.run(forever))
        await until(lambda: work.started)
        await after(turns)
        group.cancel_scope.cancel()
    assert work.cancelled
    assert wait.started == wait.cancelled
    assert not watch.has_fired


@every_watch
@on_asyncio
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5])
async def test_a_cancelled_task_is_cancelled_whatever_the_watch_says(
    make_watch: Any, turns: int
) -> None:
    work = Trace()
    watch = make_watch(lambda: after(2))

    async def run() -> None:
        await watch.run(work.run(forever))
        await anyio.sleep_forever()

    task = asyncio.ensure_future(run())
    await after(turns)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


@every_watch
@on_asyncio
async def test_a_task_that_refused_a_cancel_before_is_watched_all_the_same(make_watch: Any) -> None:
    watch = make_watch(now)
    begun = anyio.Event()

    async def run() -> str:
        try:
            begun.set()
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            await watch.run(forever())
        return await after(3)

    task = asyncio.ensure_future(run())
    await begun.wait()
    task.cancel()
    assert await task == "tea"
    assert watch.has_fired


@every_watch
@on_asyncio
async def test_a_watch_that_will_not_be_cancelled_cancels_no_work_that_is_over(
    make_watch: Any,
) -> None:
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            return

    watch = make_watch(wait)
    await watch.run(after(8))
    assert await after(3) == "tea"
    assert not watch.has_fired


@every_watch
async def test_an_error_of_a_watch_that_is_cancelled_is_raised(make_watch: Any) -> None:
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("no tea")

    with pytest.raises(LookupError, match="no tea"):
        await make_watch(wait).run(after(8))
    assert await after(3) == "tea"


@every_watch
@pytest.mark.parametrize("first", [0, 1, 2])
async def test_the_first_of_several_waits_ends_the_work_and_the_others(
    make_watch: Any, first: int
) -> None:
    work = Trace()
    waits = [Trace() for _ in range(3)]

    def make(number: int) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            await (after(3) if number == first else anyio.sleep_forever())

        return lambda: waits[number].run(wait)

    watch = make_watch(*map(make, range(3)))
    await watch.run(work.run(forever))
    assert watch.has_fired
    assert work.cancelled
    assert [wait.finished for wait in waits] == [number == first for number in range(3)]
    assert [wait.cancelled for wait in waits] == [number != first for number in range(3)]
    assert await after(3) == "tea"


@every_watch
@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_waits_that_end_at_once_cancel_the_task_once(make_watch: Any, turns: int) -> None:
    watch = make_watch(lambda: after(turns), lambda: after(turns), lambda: after(turns))

    await watch.run(forever())
    assert watch.has_fired
    assert await after(3) == "tea"


@every_watch
@on_asyncio
@pytest.mark.parametrize("times", [1, 3])
async def test_waits_that_take_their_time_are_waited_for_whoever_cancels(
    make_watch: Any, times: int
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

    task = asyncio.ensure_future(make_watch(wait).run(after(2)))
    await after(3)  # the work is over
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


@every_watch
@pytest.mark.parametrize("fires", [True, False])
async def test_the_turns_end_where_the_watch_fires(make_watch: Any, fires: bool) -> None:
    watch = make_watch(now if fires else forever)
    left: list[int] = []

    async def work() -> None:
        turns = watch.start_burst(3)
        next(turns)
        try:
            await after(3)
        finally:
            left.append(len([*turns]))

    await watch.run(work())
    assert left == [0 if fires else 2]


@every_watch
async def test_work_that_never_waits_starts_no_wait(make_watch: Any) -> None:
    wait = Trace()
    watch = make_watch(lambda: wait.run(forever))

    await watch.run(now())
    assert not watch.has_fired
    assert not wait.finished


@pytest.mark.parametrize("turns", [0, 1])
async def test_what_does_not_come_in_time_is_the_error_asked_for(turns: int) -> None:
    assert await wait_within(BOUND, after(turns), KeyError) == "tea"
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
async def test_task_cancel_at_a_checkpoint_is_the_works_to_handle(outcome: str) -> None:
    cancellation = CancelOnEvent(forever)
    log: list[str] = []

    async def work() -> None:
        try:
            await cancellation.checkpoint()
        except asyncio.CancelledError:
            log.append("told")
            if outcome == "raises":
                raise
            if outcome == "waits":
                await after(3)
        log.append("went on")

    task = asyncio.ensure_future(cancellation.run(work()))
    await after(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() == (outcome == "raises")
    assert log == (["told"] if outcome == "raises" else ["told", "went on"])


@on_asyncio
async def test_task_cancel_after_the_scope_was_left_is_not_swallowed() -> None:
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


# Which loop it is.


async def test_the_asyncio_task_is_known(anyio_backend_name: str) -> None:
    assert (asyncio_task() is not None) is (anyio_backend_name == "asyncio")


def test_no_task_runs_outside_a_loop() -> None:
    assert asyncio_task() is None


def host(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run ``main`` on trio as a guest of asyncio."""

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


@every_watch
def test_trio_as_a_guest_of_asyncio_is_trio(make_watch: Any) -> None:
    async def main() -> list[Any]:
        watch = make_watch(now)
        await watch.run(forever())
        with pytest.raises(RequestTimeout):
            await wait_within(SHORT, forever())
        return [
            asyncio_task(),
            watch.has_fired,
            await wait_within(BOUND, after(0)),
            await wait_within(BOUND, after(3)),
            await shielded(after(3)),
            is_asyncio(),
        ]

    assert host(main) == [None, True, "tea", "tea", "tea", False]


@pytest.mark.parametrize("is_imported", [True, False])
async def test_asyncio_is_told_from_trio(
    is_imported: bool, anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_imported:
        if anyio_backend_name == "trio":
            pytest.skip("trio cannot run without")
        monkeypatch.delitem(sys.modules, "trio")
    assert is_asyncio() is (anyio_backend_name == "asyncio")


async def test_task_that_is_started_runs_and_ends() -> None:
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
async def test_run_waits_for_the_end_of_the_wait_for_an_event() -> None:
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
