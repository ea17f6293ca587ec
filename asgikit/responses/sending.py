"""The end of a response: send errors, disconnects and the background task of every class."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from asgikit._logging import logger
from asgikit.exceptions import HTTPError
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.cancellation import shielded
from asgikit.runtime.threads import call
from asgikit.types import Message, Send

__all__ = ["Disconnected", "burst_size", "finish", "send_all"]

# Messages that a stream sends before it yields to the event loop. If neither the iterator nor
# `send` ever waits, the loop could not report a disconnect otherwise.
_BURST = 128
# The transports of asyncio's own loop report a lost connection in the next iteration of the loop.
# Before that they log each write from the sixth on: 16 lines at most, with two opening messages.
_BURST_ON_ASYNCIO = 19


class Disconnected(Exception):
    """The client has disconnected: no further message can be sent."""


class HasBackground(Protocol):
    """A response with a background task."""

    background: Callable[[], Any] | None


async def send_all(send: Send, *messages: Message) -> None:
    """Send ``messages``, the start of the response among them or before them.

    Raises:
        Disconnected: ``send`` raised an ``OSError``.
        HTTPError: the ``send`` of a middleware raised it; it is marked as raised after the start.
    """
    try:
        for message in messages:
            await send(message)
    except OSError as error:
        raise Disconnected(repr(error)) from error
    except HTTPError as error:
        error.response_started = True
        raise


def burst_size() -> int:
    """Return how many messages a stream sends before it yields to the event loop."""
    if not is_asyncio():
        return _BURST
    loop: Any = asyncio.get_running_loop()
    return _asyncio_burst_size(type(loop))  # type: ignore[arg-type] # a type is hashable


@functools.cache
def _asyncio_burst_size(loop_type: type) -> int:
    # perf: stream -12 % on uvloop, whose transports log nothing.
    return _BURST_ON_ASYNCIO if issubclass(loop_type, asyncio.BaseEventLoop) else _BURST


async def finish(sending: Awaitable[None], response: HasBackground | None = None) -> None:
    """Await ``sending``, which sends a response, and run the background task of the response.

    The background task runs once, also after a disconnect or an error. If the request is cancelled
    before the end of the response, it does not run. Once it runs, cancelling the request does not
    cancel it.

    Raises:
        Exception: an error of ``sending`` other than :exc:`Disconnected`.
    """
    try:
        await sending
    except Disconnected as error:
        logger.debug("the client disconnected: %s", error)
    except Exception:
        if response is not None and response.background is not None:
            await shielded(_run_background(response.background))
        raise
    if response is not None and response.background is not None:
        await shielded(_run_background(response.background))


async def _run_background(background: Callable[[], Any]) -> None:
    """Call ``background``, and log its error."""
    try:
        await call(background)
    except Exception:
        logger.exception("the background task %r failed", background)
