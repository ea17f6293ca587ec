"""Awaitables whose first step is taken by hand, and waits with a time limit.

A coroutine runs in steps: each ends when the coroutine yields to the event loop. Most awaits of
this package have one step, because their data has arrived already. To take that step with
``next()`` shows whether it was the only one, before a timer or a task is made for the rest.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, TypeVar, cast

import anyio

from asgikit.exceptions import RequestTimeout
from asgikit.runtime.backend import is_asyncio

__all__ = ["DONE", "deliver", "finish_steps", "finish_within", "wait_within"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: The result of ``next(steps, DONE)`` after the last step.
DONE: Final[Any] = object()


async def wait_within(
    seconds: float | None,
    awaitable: Awaitable[T],
    make_error: Callable[[float], Exception] | None = None,
) -> T:
    """Await with a time limit.

    Args:
        seconds: the limit; ``None`` for none.
        awaitable: cancelled at the limit.
        make_error: called with ``seconds``; returns the error to raise at the limit.

    Raises:
        RequestTimeout: the limit was reached, and there is no ``make_error``.
    """
    if seconds is None:
        return await awaitable
    if not is_asyncio():
        with anyio.move_on_after(seconds):
            return await awaitable
        raise (make_error or _timeout)(seconds)
    results: list[T] = []
    steps = deliver(awaitable, results)
    # An awaitable with one step needs no timer, which takes 2 us.
    step = next(steps, DONE)
    if step is not DONE:
        await finish_within(seconds, steps, step, make_error)
    return results[0]


def _coroutine(function: F) -> F:
    """Return ``types.coroutine(function)``, typed as the generator function that it still is."""
    made: Any = types.coroutine(function)
    return cast("F", made)


@_coroutine
def deliver(awaitable: Awaitable[T], results: list[T]) -> Generator[Any, Any, None]:
    """Await on asyncio in steps of a generator, and append the result to ``results``.

    ``next(steps, DONE)`` takes the first step. To catch the ``StopIteration`` of the coroutine
    itself, which has the result, would take twice the time.
    """
    steps: Any = awaitable
    if steps.__class__ is not types.CoroutineType:
        # Servers return other awaitables as well. granian's have no throw().
        steps = _await(awaitable)
    results.append((yield from steps))


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def finish_within(
    seconds: float,
    steps: Generator[Any, Any, None],
    step: Any,
    make_error: Callable[[float], Exception] | None = None,
) -> None:
    """Await the steps after the first one, ``step``, as :func:`wait_within` does."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await finish_steps(steps, step)
    except TimeoutError:
        if timer.expired():
            raise (make_error or _timeout)(seconds) from None
        raise


def _timeout(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"No message arrived within {seconds:g} seconds.")


@types.coroutine
def finish_steps(steps: Generator[Any, Any, None], step: Any) -> Generator[Any, Any, None]:
    """Await the steps after the first one, ``step``."""
    try:
        while True:
            try:
                yield step  # asyncio sends nothing back
            except BaseException as error:  # noqa: BLE001 - thrown into the steps
                step = steps.throw(error)
            else:
                return (yield from steps)
    except StopIteration:
        return None  # the steps caught the error, and ended
