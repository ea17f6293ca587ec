"""Primitives for a producer in worker threads and its consumer on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import anyio
import anyio.to_thread

from asgikit.runtime.backend import is_asyncio, thread_safe_call_soon
from asgikit.runtime.cancellation import wait_despite_cancellation
from asgikit.runtime.tasks import start_task
from asgikit.runtime.threads import stream_pool

__all__ = ["Waiter", "stream_primitives", "wait_for_end"]


class Waiter(Awaitable[object], Protocol):
    """A future of asyncio, or the same for Trio."""

    def done(self) -> bool:
        """Return whether the result is set."""
        ...

    def set_result(self, result: None, /) -> None:
        """End the wait; called once, on the event loop."""
        ...


class _TrioWaiter:
    def __init__(self) -> None:
        self._event = anyio.Event()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, result: None, /) -> None:  # noqa: ARG002 - as of a future
        self._event.set()


def stream_primitives() -> tuple[
    Callable[..., None], Callable[[], Waiter], Callable[[Callable[[], None]], None]
]:
    """Return three functions for a producer in threads and its consumer on this event loop.

    The first schedules a call on the event loop from any thread. The second makes a waiter. The
    third submits a job, which must not raise, to the threads for streams.
    """
    call_soon = thread_safe_call_soon()
    if is_asyncio():
        loop = asyncio.get_running_loop()
        make_waiter: Callable[[], Waiter] = loop.create_future

        def start(job: Callable[[], None]) -> None:
            stream_pool().submit(job, loop)
    else:
        make_waiter = _TrioWaiter

        def start(job: Callable[[], None]) -> None:
            start_task(anyio.to_thread.run_sync(job, limiter=stream_pool().trio_limiter()))

    def call(function: Callable[..., object], *args: Any) -> None:
        try:  # noqa: SIM105 - perf: sync_stream -3 %, instead of `suppress`
            call_soon(function, *args)
        except RuntimeError:
            pass  # the event loop is closed: its tasks were not awaited

    return call, make_waiter, start


async def wait_for_end(waiter: Waiter) -> None:
    """Wait for ``waiter`` even if the task is cancelled; then raise the cancellation."""
    if not is_asyncio():
        # By its type, a cancel scope may swallow an error; a shield does not.
        with cast("AbstractContextManager[object, None]", anyio.CancelScope(shield=True)):
            await waiter
        return
    future = cast("asyncio.Future[None]", waiter)
    try:
        await asyncio.wait([future])
    except asyncio.CancelledError:
        await wait_despite_cancellation(future)
        raise
