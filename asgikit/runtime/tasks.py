"""Tasks that outlive the call that starts them, on asyncio and on Trio."""

from __future__ import annotations

import asyncio
from asyncio import (
    _enter_task,
    _leave_task,
    current_task,
    get_running_loop,
)
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Protocol, TypeAlias

import anyio

from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import DONE

__all__ = [
    "BackgroundTask",
    "FirstStep",
    "continue_in_task",
    "start_task",
    "take_first_step",
    "wait_end",
]

#: The value that the first step yielded, and the task and the context for the other steps.
FirstStep: TypeAlias = "tuple[Any, asyncio.Task[Any], Context]"


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


def _guard(name: str) -> Callable[[Any], Any]:
    """Return a method of tasks that returns ``None`` before the task is initialised."""
    method = getattr(asyncio.Task, name)
    return lambda task: None if task._loop is None else method(task)


# A task that may be inspected in its first step, before it is initialised. Up to Python 3.13, these
# methods of asyncio's class dereference a null pointer then; 3.11 has no `get_context`.
_NAMES = [name for name in ("get_coro", "get_context") if hasattr(asyncio.Task, name)]
_METHODS = {name: _guard(name) for name in _NAMES}
_Task: Any = type("_Task", (asyncio.Task,), {"__slots__": (), **_METHODS})


def take_first_step(steps: Generator[Any, Any, None]) -> FirstStep | None:
    """Run ``steps`` up to the first wait, on asyncio, as a task that does not exist yet.

    A timeout or a cancel scope that is entered before the wait belongs to the task in which
    :func:`continue_in_task` runs the rest, and so does the context. Python 3.12 calls this an
    eager task. Work that never waits is spared the task, which takes 4 us.

    Args:
        steps: a generator of :func:`~asgikit.runtime.first_step.deliver`.

    Returns:
        ``None`` if ``steps`` ended without a wait.
    """
    loop = get_running_loop()
    current: Any = current_task(loop)
    # Initialising a task would schedule it. asyncio documents the functions that change the
    # current task, for libraries with tasks of their own.
    task: asyncio.Task[Any] = _Task.__new__(_Task)
    context = copy_context()
    _leave_task(loop, current)
    _enter_task(loop, task)
    try:
        step = context.run(next, steps, DONE)
    finally:
        _leave_task(loop, task)
        _enter_task(loop, current)
    return None if step is DONE else (step, task, context)


def continue_in_task(first: FirstStep, work: Coroutine[Any, Any, object]) -> BackgroundTask:
    """Run ``work``, which awaits the rest of the steps, in the task of the first step."""
    _, task, context = first
    task.__init__(work, loop=get_running_loop(), context=context)  # type: ignore[misc] # not initialised yet
    return task
