"""A time limit for ``send``: a client that stops reading cannot hold a response for ever."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import DONE, deliver, finish_steps, finish_within
from asgikit.types import Message, Send

__all__ = ["bound_send", "check_seconds", "make_timeout"]


def check_seconds(name: str, seconds: float) -> None:
    """Raise :exc:`ValueError` unless ``seconds`` is above zero.

    >>> check_seconds("send_timeout", 120)
    """
    if not seconds > 0:
        raise ValueError(f"{name} is seconds above zero, or None; not {seconds!r}")


def bound_send(
    send: Send, seconds: float | None, on_wait: Callable[[], None] | None = None
) -> Send:
    """Return a ``send`` that raises :exc:`TimeoutError` if it waits longer than ``seconds``.

    As an ``OSError``, that error ends the response as a disconnect does.

    Args:
        send: takes the messages.
        seconds: for one message, or ``None`` for any time.
        on_wait: called on asyncio when ``send`` begins to wait.
    """

    async def send_within(message: Message) -> None:
        if not is_asyncio():
            with anyio.move_on_after(seconds):
                return await send(message)
            raise make_timeout(seconds)
        steps = deliver(send(message), [])
        step = next(steps, DONE)
        if step is DONE:
            return None
        if on_wait is not None:
            on_wait()
        if seconds is None:
            return await finish_steps(steps, step)
        return await finish_within(seconds, steps, step, make_timeout)

    return send_within


def make_timeout(seconds: float | None) -> TimeoutError:
    """Return the error of a client that took no message for ``seconds``."""
    return TimeoutError(f"the client took no message for {seconds:g} seconds")
