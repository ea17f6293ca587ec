"""Tasks that outlive the call that starts them, on asyncio and on Trio."""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio

if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio

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

#: The awaited future, the task and the context of work that waits.
FirstStep: TypeAlias = "tuple[Any, asyncio.Task[Any], contextvars.Context]"


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


def take_first_step(steps: Generator[Any, Any, None]) -> FirstStep | None:
    """Run ``steps`` to the first wait, on asyncio, as a task that does not exist yet.

    A timeout or a cancel scope that is entered before the wait belongs to the task in which
    :func:`continue_in_task` runs the rest, and so does the context. Python 3.12 calls this an
    eager task; to create a task for work that never waits would cost 4 us.

    Returns:
        ``None`` if ``steps`` ended without a wait.
    """
    get_running_loop, current_task, enter_task, leave_task, task_type = _task_functions()
    loop = get_running_loop()
    current = current_task(loop)
    # perf: f_json_body -2 %: a task whose first step was all of the work is used again.
    task = _spare_tasks.pop() if _spare_tasks else task_type.__new__(task_type)
    context = contextvars.copy_context()
    leave_task(loop, current)
    enter_task(loop, task)
    try:
        step = context.run(next, steps, DONE)
    finally:
        leave_task(loop, task)
        enter_task(loop, current)
    if step is DONE:
        _spare_tasks.append(task)
        return None
    return step, task, context


# Tasks that were never initialised, and so belong to no event loop.
_spare_tasks: list[Any] = []


@functools.cache
def _task_functions() -> tuple[Any, ...]:
    # asyncio documents `_enter_task` and `_leave_task`, for tasks of other libraries.
    return (
        asyncio.get_running_loop,
        asyncio.current_task,
        asyncio._enter_task,  # type: ignore[attr-defined, unused-ignore] # not in all stubs
        asyncio._leave_task,  # type: ignore[attr-defined, unused-ignore] # not in all stubs
        asyncio.Task,
    )


def continue_in_task(first: FirstStep, work: Coroutine[Any, Any, object]) -> BackgroundTask:
    """Run ``work``, which awaits the rest of the steps, in the task of the first step."""
    _, task, context = first
    task.__init__(work, loop=asyncio.get_running_loop(), context=context)  # type: ignore[misc] # not initialised yet
    return task
