"""The end of a stream at the shutdown of the server.

A stream that waits for its iterator ends at once. While it sends a message, that is the last one.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Protocol, Self, TypeAlias

from asgikit.responses.sending import Disconnected
from asgikit.runtime.cancellation import CancelOnEvent
from asgikit.runtime.tasks import wait_end
from asgikit.runtime.threads import is_async_callable

__all__ = ["ShutdownArgument", "StopAtShutdown", "check_shutdown"]


class Event(Protocol):
    """An event of asyncio, anyio or Trio, or a similar object."""

    async def wait(self) -> Any:
        """Return once the event is set."""


ShutdownArgument: TypeAlias = Event | Callable[[], Awaitable[Any]] | Awaitable[Any]


def check_shutdown(shutdown: Any) -> None:
    """Raise :exc:`TypeError` if ``shutdown`` is no :data:`ShutdownArgument`."""
    wait = getattr(shutdown, "wait", None)
    # The `wait` of a threading.Event would block the event loop.
    if is_async_callable(wait) if wait else callable(shutdown) or inspect.isawaitable(shutdown):
        return
    raise TypeError(
        "shutdown must be a Shutdown, an event of asyncio or anyio, a function that returns an "
        f"awaitable, or an awaitable, not {type(shutdown).__name__}"
    )


class StopAtShutdown:
    """The iterator of one stream, which ends when ``shutdown`` happens.

    Args:
        shutdown: as for :class:`~asgikit.EventSourceResponse`.

    Attributes:
        ag_running: whether a step of the iterator runs, as of an async generator.
        is_stopping: whether ``shutdown`` has happened.
        was_stopped: whether it has cancelled a step.
    """

    __slots__ = (
        "_cancellation",
        "_iterator",
        "_shutdown",
        "ag_running",
        "is_stopping",
        "was_stopped",
    )

    _cancellation: CancelOnEvent
    _iterator: AsyncIterator[Any]

    def __init__(self, shutdown: ShutdownArgument) -> None:
        self._shutdown: Any = shutdown
        self.ag_running: bool = False
        self.is_stopping: bool = False
        self.was_stopped: bool = False

    def iterate(self, iterator: AsyncIterator[Any]) -> Self:
        """Return this object, to be used instead of ``iterator``."""
        self._iterator = iterator
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self.is_stopping:
            raise StopAsyncIteration
        self.ag_running = True
        try:
            return await self._iterator.__anext__()
        finally:
            self.ag_running = False

    async def wait(self, before_stop: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Wait for ``shutdown`` and ``before_stop()``; return whether to cancel a step."""
        wait = getattr(self._shutdown, "wait", self._shutdown)
        awaitable: Any = wait() if callable(wait) else wait
        await wait_end(awaitable)
        self.is_stopping = True
        if before_stop is not None:
            await before_stop()
        self.was_stopped = self.ag_running and not self._cancellation.has_fired
        return self.was_stopped

    async def run(
        self,
        cancellation: CancelOnEvent,
        work: Coroutine[Any, Any, None],
        send_end: Callable[[], Awaitable[None]],
    ) -> None:
        """Await ``work``, and ``send_end()`` if a step of the iterator was cancelled.

        Raises:
            Disconnected: another event has cancelled the work.
        """
        self._cancellation = cancellation
        try:
            await cancellation.run(work)
        finally:
            if inspect.iscoroutine(self._shutdown):
                self._shutdown.close()  # if it was never awaited, it never will be
        if self.was_stopped:
            await send_end()
        elif cancellation.has_fired:
            raise Disconnected("while the response was sent")
