"""Tasks that outlive the call that starts them, on asyncio and on Trio."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio

from asgikit.runtime.backend import is_asyncio

__all__ = ["BackgroundTask", "start_task", "wait_end"]


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
