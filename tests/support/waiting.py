"""Wait for a condition, with a time limit."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel

__all__ = ["BOUND", "until", "until_thread"]

#: Time limit of a wait in seconds. It is reached only if the test fails.
BOUND = 30.0


async def until(condition: Callable[[], object]) -> None:
    """Yield to the event loop until ``condition()`` is true.

    Raises:
        TimeoutError: after :data:`BOUND` seconds.
    """
    with anyio.fail_after(BOUND):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def until_thread(condition: Callable[[], object]) -> None:
    """Wait until another thread has made ``condition()`` true.

    Raises:
        TimeoutError: after :data:`BOUND` seconds.
    """
    with anyio.fail_after(BOUND):
        while not condition():  # noqa: ASYNC110 - a thread cannot set an event of the loop
            await anyio.sleep(0.001)
