"""Cancellation of a response by an event, and shields against it, on asyncio and on Trio.

A user's iterator runs inside a cancel scope of anyio, so that its shields are honoured on both
event loops. On asyncio the tasks around it are asyncio's own: a task group of anyio costs about
50 us, a plain task 1 us.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import anyio.lowlevel

from asgikit.runtime.backend import asyncio_task, checkpoint, is_asyncio
from asgikit.runtime.first_step import DONE, finish_steps

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["CancelOnEvent", "shielded", "wait_despite_cancellation"]

T = TypeVar("T")


# Steps in bursts before the work starts tasks to wait for the events. # perf: stream -15 % on
# asyncio's own loop.
_FREE_STEPS = 128


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, on asyncio in a task of its own; if cancelled, wait for its end.

    A shield of anyio is not enough on asyncio: it does not stop ``task.cancel()``, which servers
    call.
    """
    # By its type, a cancel scope may swallow an error; a shield does not.
    shield = cast("AbstractContextManager[object, None]", anyio.CancelScope(shield=True))
    with shield:
        if asyncio_task() is None:
            return await work
        task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            await wait_despite_cancellation(task)
            if not task.cancelled():
                task.exception()
            raise
        return task.result()


async def wait_despite_cancellation(future: asyncio.Future[Any]) -> None:
    """Wait for ``future`` on asyncio, however often the task is cancelled meanwhile."""
    # A scope of anyio's would cancel again in each iteration of the loop.
    with anyio.CancelScope(shield=True):
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])


class CancelOnEvent:
    """Cancellation of an async function, the work, as soon as one of several events happens.

    The work runs in the task that calls :meth:`run`. If it iterates over a user's iterator, it
    enters one cancel scope before, of :meth:`make_scope`, so that a shield inside the iterator is
    honoured. It has to be there before the first step, as scopes are left in the reverse order.

    While the work waits for the iterator, an event cancels the scope, which stays cancelled: what a
    ``finally`` awaits then needs a shield. While it waits for something else, the task is cancelled
    once, and the scope becomes the shield in which the iterator is closed. On Trio the scope only
    shields; a task group around it is cancelled.

    Args:
        events: each returns when its event has happened, or returns ``False`` if it will not
            happen. On asyncio they start when the work waits for the first time, each in a task of
            its own: work that never waits costs no task.

    Attributes:
        has_fired: whether an event has happened before the work was over or :meth:`disarm` called.
    """

    __slots__ = (
        "_burst",
        "_error",
        "_events",
        "_free_steps",
        "_group",
        "_has_cancelled_task",
        "_is_armed",
        "_is_at_checkpoint",
        "_iterator",
        "_scope",
        "_task",
        "_tasks",
        "has_fired",
    )

    _task: asyncio.Task[Any]  # of the work, on asyncio

    def __init__(self, *events: Callable[[], Awaitable[object]]) -> None:
        self.has_fired: bool = False
        self._events = events
        self._free_steps = _FREE_STEPS
        self._is_armed = True
        self._is_at_checkpoint = False
        self._has_cancelled_task = False
        self._burst: Iterator[None] | None = None
        self._error: Exception | None = None
        self._scope: anyio.CancelScope | None = None
        self._iterator: object = None
        self._tasks: list[asyncio.Task[None]] = []
        self._group: TaskGroup | None = None  # on Trio

    def add_event(self, event: Callable[[], Awaitable[object]]) -> None:
        """Wait for another event, while the work waits."""
        if self._group is not None:
            self._group.start_soon(self._wait_for, event)
        else:
            tasks = [task for task in self._tasks if not task.done()]
            self._tasks = [*tasks, asyncio.get_running_loop().create_task(self._wait_for(event))]

    def start_burst(self, count: int) -> Iterator[None]:
        """Return an iterator of ``count`` times ``None`` that ends at once if an event happens."""
        self._free_steps -= count
        self._burst = burst = itertools.repeat(None, count)
        return burst

    def end_burst(self) -> None:
        """Exhaust the iterator that :meth:`start_burst` returned last."""
        for _ in self._burst or ():
            pass

    async def checkpoint(self) -> None:
        """Yield to the event loop once; in the first bursts, this does not count as a wait."""
        self._is_at_checkpoint = True
        try:
            await checkpoint()
        finally:
            self._is_at_checkpoint = False

    def disarm(self) -> None:
        """Ignore the events from now on.

        A server reports a disconnect as soon as it has the last message, and may have to close the
        connection while it sends that: to cancel this would leave the connection open.
        """
        self._is_armed = False

    def make_scope(self, iterator: object) -> anyio.CancelScope:
        """Return the scope for the work to enter before it iterates over ``iterator``."""
        self._iterator = iterator
        self._scope = scope = _asyncio_scope_type()() if is_asyncio() else anyio.CancelScope()
        return scope

    def run(
        self, work: Coroutine[Any, Any, None], error: type[Exception] | None = None
    ) -> Coroutine[Any, Any, None]:
        """Await ``work``; return also if an event cancelled it, or raise an ``error``.

        Raises:
            Exception: an error of the work or of an event.
            CancelledError: the task was cancelled from outside.
        """
        return (self._run_on_asyncio if is_asyncio() else self._run_on_trio)(work, error)

    def _raise_error(self, error: type[Exception] | None) -> None:
        if self._error is not None:
            raise self._error
        if error is not None and self.has_fired:
            raise error("while the response was sent")

    # perf: events_wait: one coroutine between the task and the work.
    async def _run_on_asyncio(
        self, work: Coroutine[Any, Any, None], error: type[Exception] | None
    ) -> None:
        steps = work.__await__()
        step = next(steps, DONE)
        if step is DONE:
            self._raise_error(error)
            return
        self._task = task = cast("asyncio.Task[Any]", asyncio_task())
        # The task may have been cancelled before, and have survived that.
        cancels = task.cancelling()
        try:
            while self._is_at_checkpoint and self._free_steps > 0 and step is not DONE:
                self._free_steps -= 1
                step = await _take_step(steps, step)
            if step is not DONE:
                for event in self._events:
                    self.add_event(event)
                await finish_steps(cast("Any", work), step)
        except asyncio.CancelledError:
            if not self._has_cancelled_task:
                raise
            if task.cancelling() > cancels + 1:
                # A scope around this knows its own error by the message, which the one that came
                # may lack: let it raise another one.
                await anyio.lowlevel.checkpoint_if_cancelled()
                raise
        else:
            if self._scope and self._scope.cancelled_caught and task.cancelling() > cancels:
                # The event and something outside have cancelled the task, which got one error for
                # both. anyio before 4.16 takes that for its own.
                raise asyncio.CancelledError
        finally:
            self._is_armed = False
            if self._has_cancelled_task:
                task.uncancel()
            if self._tasks:
                await _end_tasks(self._tasks)
        self._raise_error(error)

    def _cancel(self) -> None:
        if self._group is not None:
            self._group.cancel_scope.cancel()
        # An iterator without `ag_running` may be running.
        elif self._scope is not None and getattr(self._iterator, "ag_running", True):
            self._scope.cancel()
        else:
            self._has_cancelled_task = True
            self._task.cancel()

    async def _run_on_trio(
        self, work: Coroutine[Any, Any, None], error: type[Exception] | None
    ) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            for event in self._events:
                self.add_event(event)
            try:
                await work
            except Exception as caught:  # noqa: BLE001 - raised below, not in a group of errors
                self._error = caught
            self._is_armed = False
            group.cancel_scope.cancel()
        self._raise_error(error)

    async def _wait_for(self, event: Callable[[], Awaitable[object]]) -> None:
        """Wait for one event, and cancel the work."""
        try:
            if await event() is False:
                return
        except Exception as error:  # noqa: BLE001 - raised by run()
            self._error = self._error or error
        if self._is_armed and not self.has_fired:
            self.has_fired = True
            self.end_burst()
            self._cancel()


@types.coroutine
def _take_step(steps: Generator[Any, Any, None], step: Any) -> Generator[Any, Any, Any]:
    """Yield one step to the event loop, and return the next one."""
    try:
        yield step
    except BaseException as error:  # noqa: BLE001 - thrown into the work
        try:
            return steps.throw(error)
        except StopIteration:
            return DONE
    return next(steps, DONE)


# perf: stream -3 %: anyio.CancelScope() looks for the event loop each time.
@functools.cache
def _asyncio_scope_type() -> Callable[[], anyio.CancelScope]:
    return type(anyio.CancelScope())


async def _end_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` and wait for their end, also if the current task is cancelled meanwhile."""
    tasks = [task for task in tasks if not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        try:
            # perf: events_wait: most tasks end in one iteration of the loop.
            await asyncio.sleep(0)
            if not all(task.done() for task in tasks):
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                await wait_despite_cancellation(task)
            raise
