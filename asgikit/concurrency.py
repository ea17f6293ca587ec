"""The one door to the event loop: threads, shields and watches, on asyncio and on trio.

anyio serves both. Where a request waits often, asyncio's own primitives take its place on asyncio:
a cancel scope or a task group of anyio's costs some 50 us there, a plain task 1 us.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from asgikit.exceptions import RequestTimeout

__all__ = ["call", "is_async_callable", "run_in_thread", "run_watched", "shielded", "wait_within"]

P = ParamSpec("P")
T = TypeVar("T")


def asyncio_task() -> asyncio.Task[Any] | None:
    """Give the asyncio task that runs here; ``None`` on trio, also where asyncio hosts trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_async_callable(function: Callable[..., Any]) -> bool:
    """Tell whether a call gives an awaitable: a coroutine function, or an async ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - its kind is asked for, not its being
    )


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a worker thread and give its result; cancelling waits for its end."""
    return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))


async def call(function: Callable[[], Any]) -> Any:
    """Call ``function`` where it belongs: async ones on the loop, others in a thread.

    An awaitable that comes out of a thread is awaited here.
    """
    if is_async_callable(function):
        return await function()
    result = await run_in_thread(function)
    return await result if inspect.isawaitable(result) else result


async def shielded(awaitable: Awaitable[T]) -> T:
    """Await to the end, also where the task is cancelled meanwhile, on both event loops."""
    with anyio.CancelScope(shield=True):
        result = await awaitable
    return result  # noqa: RET504 - mypy takes the scope for one that may swallow an error


async def wait_within(seconds: float | None, awaitable: Awaitable[T]) -> T:
    """Await with a bound in seconds, ``None`` for none.

    Raises:
        RequestTimeout: it took longer.
    """
    if seconds is None:
        return await awaitable
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with anyio.move_on_after(seconds):
            return await awaitable
        raise _timeout(seconds) from None
    steps = awaitable.__await__()
    try:
        # What is there already comes with the first step and needs no timer: that saves 2 us.
        step = next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await _finish(steps, step)
    except TimeoutError:
        if timer.expired():
            raise _timeout(seconds) from None
        raise


def _timeout(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"Nothing came for {seconds:g} seconds.")


@types.coroutine
def _finish(steps: Generator[Any, Any, T], step: Any) -> Generator[Any, Any, T]:
    """Await what has taken its first step already."""
    try:
        while True:
            try:
                sent = yield step
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the awaitable's to handle
                step = steps.throw(error)
            else:
                step = steps.send(sent)
    except StopIteration as done:
        result: T = done.value
        return result


async def run_watched(work: Awaitable[None], watch: Callable[[], Awaitable[None]]) -> bool:
    """Run ``work`` until ``watch()`` returns, which cancels it.

    Returns:
        Whether ``work`` came to its own end.
    """
    task = asyncio_task()
    if task is None:
        return await _run_watched_anyio(work, watch)
    return await _AsyncioWatch(task, watch).run(work)


async def _run_watched_anyio(work: Awaitable[None], watch: Callable[[], Awaitable[None]]) -> bool:
    finished = False
    failure: Exception | None = None

    async def watcher() -> None:
        await watch()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watcher)
        try:
            await work
            finished = True
        except Exception as error:  # noqa: BLE001 - raised below, out of the group's own group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return finished


class _AsyncioWatch:
    """A watch on one task, which starts once that task first waits.

    Most responses are sent without waiting once: a handle for the loop's next turn costs them a
    quarter of what a task costs.
    """

    __slots__ = ("cancelled", "error", "task", "watch", "watcher")

    def __init__(self, task: asyncio.Task[Any], watch: Callable[[], Awaitable[None]]) -> None:
        self.task = task
        self.watch = watch
        self.watcher: asyncio.Task[None] | None = None
        self.cancelled = False
        self.error: Exception | None = None

    async def run(self, work: Awaitable[None]) -> bool:
        start = asyncio.get_running_loop().call_soon(self._start)
        try:
            await work
        except asyncio.CancelledError:
            # Ours, unless somebody else has cancelled the task as well.
            if not self.cancelled or self.task.cancelling() > 1:
                raise
        finally:
            start.cancel()
            if self.cancelled:
                self.task.uncancel()
            elif self.watcher is not None:
                self.watcher.cancel()
                await asyncio.wait([self.watcher])
        if self.error is not None:
            raise self.error
        return not self.cancelled

    def _start(self) -> None:
        self.watcher = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.watch()
        except Exception as error:  # noqa: BLE001 - raised in the task that is watched
            self.error = error
        self.cancelled = True
        self.task.cancel()
