"""The event loop that runs the current code: asyncio or Trio."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

__all__ = ["asyncio", "asyncio_task", "checkpoint", "is_asyncio"]


class _LazyAsyncio:
    """The module asyncio, imported when its first attribute is read.

    A server has imported it before it runs an app. A program that only imports asgikit is spared
    25 ms, a third of the import time.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module("asyncio"), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import asyncio
else:
    asyncio = _LazyAsyncio()


def asyncio_task() -> asyncio.Task[Any] | None:
    """Give the asyncio task that runs here; ``None`` on trio, also where asyncio hosts trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_asyncio() -> bool:
    """Tell whether asyncio runs this, and not trio.

    Where nobody has imported trio it cannot be trio; to see that saves 0.25 us, since Python 3.11
    asks the system for the number of the process before it tells its loop.
    """
    return "trio" not in sys.modules or asyncio_task() is not None


async def checkpoint() -> None:
    """Let others run; what is cancelled ends here."""
    # anyio's checkpoint finds out first which loop it is on, which doubles the cost.
    await (asyncio.sleep(0) if is_asyncio() else anyio.lowlevel.checkpoint())
