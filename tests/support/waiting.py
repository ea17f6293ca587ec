"""Waits for a condition, with a bound in seconds."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel

__all__ = ["BOUND", "until", "until_thread"]

#: Seconds that no test waits: a bound on a wait that would never end.
BOUND = 30.0


async def until(condition: Callable[[], object]) -> None:
    """Yield to the event loop until ``condition()`` holds."""
    with anyio.fail_after(BOUND):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def until_thread(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` holds, which another thread makes true."""
    with anyio.fail_after(BOUND):
        while not condition():  # noqa: ASYNC110 - a thread sets no event of the loop
            await anyio.sleep(0.001)
