"""Awaitables whose first step is taken by hand, and waits with a time limit."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio

from asgikit.exceptions import RequestTimeout

if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio

from asgikit.runtime.backend import is_asyncio

__all__ = ["DONE", "deliver", "finish_steps", "finish_within", "wait_within"]

T = TypeVar("T")


F = TypeVar("F", bound=Callable[..., Any])


#: What ``next()`` gives in the place of a step, after the last one.
DONE: Final[Any] = object()


async def wait_within(
    seconds: float | None,
    awaitable: Awaitable[T],
    make_error: Callable[[float], Exception] | None = None,
) -> T:
    """Await with a bound in seconds, ``None`` for none.

    Args:
        seconds: to wait at most.
        awaitable: is cancelled where it takes longer.
        make_error: makes, of ``seconds``, the error to raise then.

    Raises:
        RequestTimeout: it took longer, and there is no ``make_error``.
    """
    if seconds is None:
        return await awaitable
    if not is_asyncio():
        with anyio.move_on_after(seconds):
            return await awaitable
        raise (make_error or _timeout)(seconds)
    results: list[T] = []
    steps = deliver(awaitable, results)
    # What is there already comes with the first step and needs no timer: that saves 2 us.
    step = next(steps, DONE)
    if step is not DONE:
        await finish_within(seconds, steps, step, make_error)
    return results[0]


def _coroutine(function: F) -> F:
    """Do as :func:`types.coroutine`, whose type forgets that this is a generator, too."""
    made: Any = types.coroutine(function)
    return cast("F", made)


@_coroutine
def deliver(awaitable: Awaitable[T], results: list[T]) -> Generator[Any, Any, None]:
    """Await step by step, on asyncio, and put what that gives into ``results``.

    For who takes the first step by hand, ``next(steps, DONE)``, to see whether that was all. It
    costs half of what it takes to catch the ``StopIteration`` that has the result.
    """
    steps: Any = awaitable
    if steps.__class__ is not types.CoroutineType:
        # Servers give any awaitable; granian's cannot be thrown into.
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
    """Await on asyncio what has taken its first step, ``step``, already; as :func:`wait_within`."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await finish_steps(steps, step)
    except TimeoutError:
        if timer.expired():
            raise (make_error or _timeout)(seconds) from None
        raise


def _timeout(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"Nothing came for {seconds:g} seconds.")


@types.coroutine
def finish_steps(steps: Generator[Any, Any, None], step: Any) -> Generator[Any, Any, None]:
    """Await what has taken its first step already."""
    try:
        while True:
            try:
                yield step  # asyncio sends nothing back
            except BaseException as error:  # noqa: BLE001 - thrown in, to be thrown on
                step = steps.throw(error)
            else:
                return (yield from steps)
    except StopIteration:
        return None  # it was caught there, and all was done
