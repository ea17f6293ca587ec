"""Handlers that are cancelled when the client disconnects."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from asgikit.requests.request import Request
from asgikit.runtime.threads import is_async_callable

__all__ = ["make_cancellable"]


def make_cancellable(handler: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    """Return ``handler`` in a block of :meth:`Request.cancel_on_disconnect`.

    Raises:
        TypeError: ``handler`` is a ``def`` function.
    """
    if not is_async_callable(handler):
        raise TypeError(
            f"cancel_on_disconnect takes an async def handler: {handler!r} runs in a thread, and "
            "may call anyio.from_thread.run(request.is_disconnected) between its steps"
        )
    return functools.partial(_call, handler)


async def _call(handler: Callable[[Any], Awaitable[Any]], request: Request[Any]) -> Any:
    async with request.cancel_on_disconnect():
        return await handler(request)
