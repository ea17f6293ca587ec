"""Blocking calls in worker threads, on asyncio and on Trio."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio

from asgikit.runtime.backend import asyncio_task
from asgikit.runtime.cancellation import shielded, wait_despite_cancellation

__all__ = ["call", "call_in_thread", "hop", "is_async_callable", "run_in_thread"]


P = ParamSpec("P")


T = TypeVar("T")


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
            await wait_despite_cancellation(ended)
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
                await wait_despite_cancellation(self._future)
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
