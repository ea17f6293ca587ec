"""What a response draws from, as async iterators: iterables, iterators and files."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from typing import Any

import anyio

from asgikit.runtime.cancellation import shielded
from asgikit.runtime.threads import call, run_in_thread

__all__ = []

# Bytes of one read of a file object.
PIECE = 256 * 1024

_END: Any = object()


def is_finished(iterator: object) -> bool:
    """Tell whether ``iterator`` is a generator that came to its end."""
    return getattr(iterator, "ag_frame", iterator) is None or (
        getattr(iterator, "gi_frame", iterator) is None
    )


async def give(items: Iterable[Any]) -> AsyncGenerator[Any]:
    """Draw from what is all there, on the event loop."""
    for item in items:
        yield item


class FileReader:
    """A file object, in pieces; what is not async runs in worker threads."""

    __slots__ = ("file",)

    def __init__(self, file: Any) -> None:
        self.file = file

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        piece: Any = await call(self.file.read, PIECE)
        if piece:
            return piece
        if piece is None:
            raise BlockingIOError("the file does not wait for its bytes: open one that does")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        # anyio's files have both, and `close` is that of the file within, which would block.
        close = getattr(self.file, "aclose", None) or getattr(self.file, "close", None)
        if close is not None:
            await shielded(call(close))


class ThreadedIterator:
    """A sync iterable, drawn and closed in worker threads: it may wait as long as it likes."""

    __slots__ = ("content", "iterator")

    def __init__(self, content: Iterable[Any]) -> None:
        self.content = content
        self.iterator: Iterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        chunk = await run_in_thread(self._next)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> Any:
        if self.iterator is None:
            self.iterator = iter(self.content)
        return next(self.iterator, _END)

    async def aclose(self) -> None:
        iterator: Any = self.iterator
        if iterator is None and hasattr(self.content, "__next__"):
            # It was never drawn from, but is to be closed all the same.
            iterator = self.content
        close = getattr(iterator, "close", None)
        if close is not None and not is_finished(iterator):
            await shielded(run_in_thread(close))


async def close(iterator: AsyncIterator[Any], scope: anyio.CancelScope) -> None:
    """Close an async iterator, which may be at its end, under a shield.

    This must be the task that has iterated over it: scopes and task groups that a generator has
    open are bound to that.

    Args:
        iterator: an async iterator.
        scope: of this task, entered before the first step of ``iterator``. It becomes the shield,
            since scopes are left in the reverse order: one that is entered now could not be left
            after those that a generator has open.
    """
    if is_finished(iterator) or (aclose := getattr(iterator, "aclose", None)) is None:
        return
    scope.shield = True
    if scope.cancel_called and not hasattr(iterator, "ag_frame"):
        # A cancelled scope shields nothing, and only a generator has scopes open.
        with anyio.CancelScope(shield=True):
            await _close(aclose)
    else:
        await _close(aclose)


async def _close(aclose: Callable[[], Awaitable[Any]]) -> None:
    try:
        await aclose()
    except BaseExceptionGroup as group:
        # A task group around a `yield` wraps the GeneratorExit.
        _, errors = group.split(GeneratorExit)
        if errors is not None:
            raise errors from None
