"""The one door to the event loop: threads, shields and watches, on asyncio and on trio.

anyio serves both. Where a request waits often, asyncio's own primitives take its place on asyncio:
a cancel scope or a task group of anyio's costs some 50 us there, a plain task 1 us.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import inspect
import itertools
import os
import queue
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel
import anyio.to_thread

from asgikit.exceptions import RequestTimeout

__all__ = [
    "DONE",
    "BackgroundTask",
    "Watch",
    "asyncio_task",
    "call",
    "call_in_thread",
    "deliver",
    "finish_within",
    "give_turn",
    "hop",
    "is_async_callable",
    "is_asyncio",
    "run_in_thread",
    "shielded",
    "start_task",
    "wait_end",
    "wait_within",
]

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: What ``next()`` gives in the place of a step, after the last one.
DONE: Final[Any] = object()

if TYPE_CHECKING:
    import asyncio
else:

    class _OnFirstUse:
        """asyncio, until something of it is asked for; what runs a loop has imported it.

        Whatever only looks at an app is spared 25 ms, a third of the import of asgikit.
        """

        def __getattr__(self, name: str) -> Any:
            global asyncio  # noqa: PLW0603 - it takes its own place
            asyncio = importlib.import_module("asyncio")
            return getattr(asyncio, name)

    asyncio = _OnFirstUse()


def asyncio_task() -> asyncio.Task[Any] | None:
    """Give the asyncio task that runs here; ``None`` on trio, also where asyncio hosts trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_asyncio() -> bool:
    """Tell whether asyncio runs this, and not trio.

    Where nobody has imported trio it cannot be trio; to see that saves 0.25 us, since Python 3.11
    asks the system for the number of the process before it tells its loop.
    """
    return "trio" not in sys.modules or asyncio_task() is not None


async def give_turn() -> None:
    """Let others run; what is cancelled ends here."""
    # anyio's checkpoint finds out first which loop it is on, which doubles the cost.
    await (asyncio.sleep(0) if is_asyncio() else anyio.lowlevel.checkpoint())


def is_async_callable(function: Callable[..., Any]) -> bool:
    """Tell whether a call gives an awaitable: a coroutine function, or an async ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a worker thread and give its result; cancelling waits for its end.

    anyio waits for it where a scope of its own is cancelled. ``task.cancel()``, which servers use,
    goes through that.
    """
    work = functools.partial(function, *args, **kwargs)
    if asyncio_task() is None:
        return await anyio.to_thread.run_sync(work)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    begun = False

    def run() -> T:
        nonlocal begun
        begun = True
        try:
            return work()
        finally:
            loop.call_soon_threadsafe(ended.set_result, None)

    try:
        return await anyio.to_thread.run_sync(run)
    except asyncio.CancelledError:
        if begun:
            await _wait_cancelled(ended)
        raise


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` where it belongs: async ones on the loop, others in a thread."""
    if is_async_callable(function):
        return await function(*args)
    return await call_in_thread(function, *args)


async def call_in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` in a worker thread, and await here what comes out of it to be awaited."""
    # trio lets no coroutine out of a thread, but looks at nothing else.
    (result,) = await run_in_thread(lambda: (function(*args),))
    return await result if inspect.isawaitable(result) else result


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, on asyncio in a task of its own; being cancelled waits for it.

    anyio's shield is for its own scopes: ``task.cancel()``, which servers use, goes through it.
    """
    if asyncio_task() is None:
        # A cancel scope could swallow an error, says its type; not a shield.
        shield = cast("AbstractContextManager[object, None]", anyio.CancelScope(shield=True))
        with shield:
            return await work
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await _wait_cancelled(task)
        if not task.cancelled():
            task.exception()
        raise
    return task.result()


async def _wait_cancelled(future: asyncio.Future[Any]) -> None:
    """Wait for ``future`` on asyncio, however often the task is cancelled meanwhile."""
    # A scope of anyio's would cancel again each turn of the loop.
    with anyio.CancelScope(shield=True):
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])


async def wait_within(
    seconds: float | None,
    awaitable: Awaitable[T],
    make_error: Callable[[float], Exception] | None = None,
) -> T:
    """Await with a bound in seconds, ``None`` for none.

    Args:
        seconds: to wait at most.
        awaitable: is cancelled where it takes longer.
        make_error: makes, of ``seconds``, the error to raise then.

    Raises:
        RequestTimeout: it took longer, and there is no ``make_error``.
    """
    if seconds is None:
        return await awaitable
    if not is_asyncio():
        with anyio.move_on_after(seconds):
            return await awaitable
        raise (make_error or _timeout)(seconds)
    results: list[T] = []
    steps = deliver(awaitable, results)
    # What is there already comes with the first step and needs no timer: that saves 2 us.
    step = next(steps, DONE)
    if step is not DONE:
        await finish_within(seconds, steps, step, make_error)
    return results[0]


def _coroutine(function: F) -> F:
    """Do as :func:`types.coroutine`, whose type forgets that this is a generator, too."""
    made: Any = types.coroutine(function)
    return cast("F", made)


@_coroutine
def deliver(awaitable: Awaitable[T], results: list[T]) -> Generator[Any, Any, None]:
    """Await step by step, on asyncio, and put what that gives into ``results``.

    For who takes the first step by hand, ``next(steps, DONE)``, to see whether that was all. It
    costs half of what it takes to catch the ``StopIteration`` that has the result.
    """
    steps: Any = awaitable
    if steps.__class__ is not types.CoroutineType:
        # Servers give any awaitable; granian's cannot be thrown into.
        steps = _await(awaitable)
    results.append((yield from steps))


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def finish_within(
    seconds: float | None,
    steps: Generator[Any, Any, None],
    step: Any,
    make_error: Callable[[float], Exception] | None = None,
) -> None:
    """Await on asyncio what has taken its first step, ``step``, already; as :func:`wait_within`."""
    if seconds is None:
        return await _finish(steps, step)
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await _finish(steps, step)
    except TimeoutError:
        if timer.expired():
            raise (make_error or _timeout)(seconds) from None
        raise


def _timeout(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"Nothing came for {seconds:g} seconds.")


@types.coroutine
def _finish(steps: Generator[Any, Any, None], step: Any) -> Generator[Any, Any, None]:
    """Await what has taken its first step already."""
    try:
        while True:
            try:
                yield step  # asyncio sends nothing back
            except BaseException as error:  # noqa: BLE001 - thrown in, to be thrown on
                step = steps.throw(error)
            else:
                return (yield from steps)
    except StopIteration:
        return None  # it was caught there, and all was done


class Watch:
    """Runs some work until something else happens, which cancels it.

    Args:
        waits: each returns when something has happened. On asyncio they run once the work waits
            for the first time, each in a task of its own: work that need not wait costs no task.

    Attributes:
        fired: whether one of them has returned.
        cut_short: whether the work was ended by that.
        scope: all of the work is in it. On asyncio there is none, as it costs some 8 us.
    """

    __slots__ = (
        "_cancels",
        "_error",
        "_is_over",
        "_step",
        "_steps",
        "_task",
        "_turns",
        "_waits",
        "cut_short",
        "fired",
        "scope",
    )

    _task: asyncio.Task[Any]
    _cancels: int
    _steps: Generator[Any, Any, None]
    _step: Any

    def __init__(self, *waits: Callable[[], Awaitable[None]]) -> None:
        self.fired: bool = False
        self.cut_short: bool = False
        self.scope: anyio.CancelScope | None = None
        self._waits = waits
        self._turns: Iterator[None] | None = None
        self._error: Exception | None = None
        self._is_over = False

    def give_turns(self, count: int) -> Iterator[None]:
        """Give an iterator of so many items, which ends at once where the watch fires."""
        self._turns = turns = itertools.repeat(None, count)
        return turns

    def release(self) -> None:
        """Let nothing cancel what is left of the work.

        A server says that the client is gone as soon as it has the last message, and may have to
        close the connection while it is sent: to cancel that would leave it open.
        """
        self._is_over = True

    def _fire(self) -> None:
        self.fired = True
        for _ in self._turns or ():
            pass

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Await ``work``; where that was cancelled by one of the waits, return all the same."""
        if not self.begin(work):
            await self.go_on(work)

    def begin(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do of ``work`` what need not wait, on asyncio alone; tell whether that was all.

        Most short responses are sent so, for which a task would cost more than all else here.
        """
        if not is_asyncio():
            return False
        self._steps = work.__await__()
        self._step = next(self._steps, DONE)
        return self._step is DONE

    async def go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """Await what :meth:`begin` has left of ``work``, as :meth:`run` does."""
        task = asyncio_task()
        if task is None:
            await self._run_anyio(work)
        else:
            self._task = task
            # Others may have cancelled it before, and been refused.
            self._cancels = task.cancelling() + 1
            await self._run_asyncio()
        if self._error is not None:
            raise self._error

    async def _run_asyncio(self) -> None:
        loop = asyncio.get_running_loop()
        watchers = [loop.create_task(self._watch_asyncio(wait)) for wait in self._waits]
        try:
            await _finish(self._steps, self._step)
        except asyncio.CancelledError:
            if not self.fired:
                raise
            if self._task.cancelling() > self._cancels:
                # Somebody else has cancelled the task as well. A scope of anyio's knows its
                # own error by the message, which this one may lack: have it raised again.
                await anyio.lowlevel.checkpoint_if_cancelled()
                raise
            self.cut_short = True
        finally:
            self._is_over = True
            if self.fired:
                self._task.uncancel()
            await _end_tasks(watchers)

    async def _watch_asyncio(self, wait: Callable[[], Awaitable[None]]) -> None:
        try:
            await wait()
        except Exception as error:  # noqa: BLE001 - raised in the task that is watched
            self._error = self._error or error
        if not self._is_over and not self.fired:
            self._fire()
            self._task.cancel()

    async def _run_anyio(self, work: Awaitable[None]) -> None:
        async with anyio.create_task_group() as group:
            for wait in self._waits:
                group.start_soon(self._watch_anyio, wait, group.cancel_scope)
            self.cut_short = True
            try:
                with anyio.CancelScope() as self.scope:
                    await work
            except Exception as error:  # noqa: BLE001 - raised by itself, not in the group's group
                self._error = error
            self.cut_short = False
            self._is_over = True
            group.cancel_scope.cancel()

    async def _watch_anyio(
        self, wait: Callable[[], Awaitable[None]], scope: anyio.CancelScope
    ) -> None:
        try:
            await wait()
        except Exception as error:  # noqa: BLE001 - as above
            self._error = self._error or error
        if not self._is_over:
            self._fire()
            scope.cancel()


class BackgroundTask(Awaitable[object], Protocol):
    """A task that nobody has to wait for."""

    def done(self) -> bool:
        """Tell whether it has come to its end."""
        ...

    def cancel(self) -> object:
        """Have it end soon."""
        ...


class _TrioTask:
    """What :class:`asyncio.Task` is on asyncio: trio has tasks of this kind for its own use."""

    def __init__(self, work: Coroutine[Any, Any, object]) -> None:
        import trio

        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        # Of itself it would not have the variables of who starts it, as asyncio's has.
        trio.lowlevel.spawn_system_task(self._run, work, context=contextvars.copy_context())

    async def _run(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            with self._scope:
                await work
        finally:
            self._ended.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._ended.wait().__await__()

    def done(self) -> bool:
        return self._ended.is_set()

    def cancel(self) -> None:
        self._scope.cancel()


def start_task(work: Coroutine[Any, Any, object]) -> BackgroundTask:
    """Run ``work``, which raises no exception, in a task of its own."""
    if is_asyncio():
        return asyncio.get_running_loop().create_task(work)
    return _TrioTask(work)


async def wait_end(awaitable: Awaitable[Any]) -> None:
    """Wait for ``awaitable``; one of asyncio's futures, which may be shared, is not cancelled."""
    if "asyncio" in sys.modules and asyncio.isfuture(awaitable):
        await asyncio.wait([awaitable])
    else:
        await awaitable


async def _end_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` and wait for their end, also where this one is cancelled meanwhile."""
    tasks = [task for task in tasks if not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                await _wait_cancelled(task)
            raise


async def hop(function: Callable[..., T], *args: Any) -> T:
    """Run in a thread what waits for a disk alone; nothing keeps it from its end."""
    work = functools.partial(function, *args)
    if asyncio_task() is None:
        return await shielded(run_in_thread(work))
    return await _Hop(work).run()


class _Threads:
    """Threads that take one job after the other, started as there is need for them.

    They are asyncio's alone. A ThreadPoolExecutor costs 5 us a job more, ``run_in_executor``, whose
    threads are the user's to fill, another 8 on uvloop, and 40 on asyncio's own loop.
    """

    def __init__(self, most: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._missing = most

    def submit(self, job: Callable[[], None]) -> None:
        """Have ``job`` done, which raises nothing."""
        self._jobs.put(job)
        with self._lock:
            if self._idle:
                self._idle -= 1
                return
            if not self._missing:
                return
            self._missing -= 1
        threading.Thread(target=self._work, name="asgikit", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


def _make_threads() -> None:
    global _threads  # noqa: PLW0603 - a child process has none of its parent's threads
    _threads = _Threads(min(32, (os.cpu_count() or 1) + 4))


_threads: _Threads
_make_threads()
# Windows has no fork.
getattr(os, "register_at_fork", dict)(after_in_child=_make_threads)


class _Hop(Generic[T]):
    """One call in a thread, for one asyncio task."""

    __slots__ = ("_error", "_function", "_future", "_is_done", "_loop", "_result")

    _result: T

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._is_done = False
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    async def run(self) -> T:
        _threads.submit(self._work)
        try:
            await self._future
        except asyncio.CancelledError:
            # The thread may be reading from what is closed next.
            if not self._is_done:
                self._future = self._loop.create_future()
                await _wait_cancelled(self._future)
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def _work(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised in the task
            self._error = error
        # The loop may be closed, if nobody waited for its tasks.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_done = True
        if not self._future.done():
            self._future.set_result(None)
