"""The event loop that runs the current code: asyncio or Trio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import anyio.lowlevel

__all__ = ["asyncio_task", "checkpoint", "is_asyncio", "thread_safe_call_soon"]


def asyncio_task() -> asyncio.Task[Any] | None:
    """Return the current task of asyncio; ``None`` on Trio, also if asyncio hosts Trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_asyncio() -> bool:
    """Return whether asyncio runs the current task, and not Trio."""
    # On Python 3.11, `current_task()` makes a system call.
    return "trio" not in sys.modules or asyncio_task() is not None


async def checkpoint() -> None:
    """Yield to the event loop once; raise if the task was cancelled."""
    # anyio.lowlevel.checkpoint() takes twice the time on asyncio.
    await (asyncio.sleep(0) if is_asyncio() else anyio.lowlevel.checkpoint())


def thread_safe_call_soon() -> Callable[..., object]:
    """Return the function that schedules a call on this event loop from any thread.

    It may be called in a signal handler too, and raises ``RuntimeError`` if the loop is closed.
    """
    if is_asyncio():
        return asyncio.get_running_loop().call_soon_threadsafe
    import trio

    return trio.lowlevel.current_trio_token().run_sync_soon
