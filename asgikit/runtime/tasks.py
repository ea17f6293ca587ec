"""Tasks that outlive the call that starts them, on asyncio and on Trio."""

from __future__ import annotations

import asyncio
import sys
from asyncio import _enter_task, _leave_task, current_task, get_running_loop
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, Protocol

import anyio

from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import DONE

__all__ = ["BackgroundTask", "start_eagerly", "start_task", "wait_end"]


class BackgroundTask(Awaitable[object], Protocol):
    """A task that does not have to be awaited."""

    def done(self) -> bool:
        """Return whether the task has ended."""
        ...

    def cancel(self) -> object:
        """Request the cancellation of the task."""
        ...


class _TrioTask:
    """A system task of Trio with the interface of :class:`asyncio.Task`."""

    def __init__(self, work: Coroutine[Any, Any, object]) -> None:
        import trio

        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        # A system task does not inherit the context, as tasks of asyncio do.
        trio.lowlevel.spawn_system_task(self._run, work, context=copy_context())

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
        return get_running_loop().create_task(work)
    return _TrioTask(work)


async def wait_end(awaitable: Awaitable[Any]) -> None:
    """Wait for ``awaitable``; a future of asyncio, which may be shared, is not cancelled."""
    if asyncio.isfuture(awaitable):
        await asyncio.wait([awaitable])
    else:
        await awaitable


if sys.version_info >= (3, 12):

    def start_eagerly(work: Coroutine[Any, Any, None]) -> BackgroundTask | None:
        """Run ``work``, on asyncio, in a task of its own whose first step is taken at once.

        A timeout or a cancel scope that ``work`` enters before its first wait belongs to that task.

        Returns:
            The task; ``None`` if ``work`` has ended, as most work of this package does.

        Raises:
            BaseException: Raised by ``work`` in its first step.
        """
        task = asyncio.Task(work, loop=get_running_loop(), eager_start=True)
        if task.done():
            return task.result()
        return task

else:
    # Python 3.11 has no eager tasks. The first step runs under the identity and in the context of a
    # task that is initialised only if the work waits, since that would schedule it, and takes 4 us.

    class _Task(asyncio.Task[None]):
        """A task that may be inspected before it is initialised."""

        __slots__ = ()

        def __repr__(self) -> str:
            # anyio formats it into the message of each cancellation.
            return super().__repr__() if self._is_initialised else "<Task in its first step>"

        def get_coro(self) -> Any:
            # asyncio's method dereferences a null pointer before the initialisation.
            return super().get_coro() if self._is_initialised else None

        @property
        def _is_initialised(self) -> bool:
            loop: Any = self._loop
            return loop is not None

    def start_eagerly(work: Coroutine[Any, Any, None]) -> BackgroundTask | None:
        """Do as the function above; asyncio documents the functions that change the task."""
        loop = get_running_loop()
        current: Any = current_task(loop)
        task = _Task.__new__(_Task)
        context = copy_context()
        steps: Any = work.__await__()
        _leave_task(loop, current)
        _enter_task(loop, task)
        try:
            step = context.run(next, steps, DONE)
        finally:
            _leave_task(loop, task)
            _enter_task(loop, current)
        if step is DONE:
            return None
        task.__init__(_Rest(steps, step), loop=loop, context=context)  # type: ignore[misc,abstract] # it has all methods
        return task

    class _Rest(Coroutine[Any, Any, None]):
        """The steps of a coroutine after the first one, whose result the task gets first."""

        def __init__(self, steps: Any, step: Any) -> None:
            self._steps = steps
            self._step = step

        def send(self, value: Any) -> Any:
            step, self._step = self._step, None
            # The start of the task was the turn of the event loop that a bare yield asks for.
            return self._steps.send(value) if step is None else step

        def throw(self, *error: Any) -> Any:
            self._step = None
            return self._steps.throw(*error)

        __await__: Any = None  # required by the base class; tasks do not call it
