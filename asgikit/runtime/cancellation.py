"""Shields and watches: cancellation on asyncio and on Trio.

anyio serves both. On asyncio, asyncio's own primitives are used where a request waits often:
a cancel scope or a task group of anyio costs about 50 us there, a plain task 1 us.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import anyio.lowlevel
import anyio.to_thread

from asgikit.runtime.backend import asyncio_task, is_asyncio
from asgikit.runtime.first_step import DONE, finish_steps

__all__ = ["Watch", "shielded", "wait_despite_cancellation"]

T = TypeVar("T")


if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio


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
        await wait_despite_cancellation(task)
        if not task.cancelled():
            task.exception()
        raise
    return task.result()


async def wait_despite_cancellation(future: asyncio.Future[Any]) -> None:
    """Wait for ``future`` on asyncio, however often the task is cancelled meanwhile."""
    # A scope of anyio's would cancel again each turn of the loop.
    with anyio.CancelScope(shield=True):
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])


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
            await finish_steps(self._steps, self._step)
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
                await wait_despite_cancellation(task)
            raise
