"""The content of a response as an async iterator: iterables, iterators and file objects.

A sync iterable is iterated in worker threads:

- A *burst* is one job in a worker thread. It runs steps of the iterator, appends each chunk to a
  buffer, and ends after 16 chunks, 256 KiB, or the end of the iterable. Then the thread is free.
- The consumer, on the event loop, takes chunks from the buffer. When it takes the last one, it
  starts the next burst. So at most one burst runs, at most 16 chunks ahead.
- If the consumer waits, the thread wakes it as soon as there is a chunk. Otherwise the thread does
  not call the event loop before the end of the burst.

Only the event loop changes the state of the iterator; a thread appends to the buffer and reads
attributes. No lock is needed: the consumer stores its waiter before it checks the buffer, and the
thread appends to the buffer before it checks the waiter, so that at least one sees the other. The
methods of a deque are atomic under the GIL, and locked in free-threaded builds of CPython.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from types import AsyncGeneratorType
from typing import Any

import anyio

from asgikit._logging import logger
from asgikit.runtime.cancellation import shielded
from asgikit.runtime.stream_threads import Waiter, stream_primitives, wait_for_end
from asgikit.runtime.threads import copy_thread_context, is_async_callable, run_in_stream_thread

__all__ = [
    "ThreadedIterator",
    "close",
    "is_finished",
    "iterate_file",
    "iterate_on_loop",
    "track_running",
]

# Bytes of one read of a file object.
READ_SIZE = 256 * 1024

# How far a sync iterable may be ahead of the client.
MAX_CHUNKS_AHEAD = 16
MAX_BYTES_AHEAD = 256 * 1024

# Other chunks are values to be formatted: only their number counts.
_SIZED = (bytes, str, bytearray, memoryview)

_END: Any = object()


def is_finished(iterator: object) -> bool:
    """Return whether ``iterator`` is a generator that has ended, or wraps such a generator."""
    if isinstance(iterator, AsyncGeneratorType):
        return iterator.ag_frame is None
    if isinstance(iterator, ThreadedIterator):
        return iterator.is_finished()
    return getattr(iterator, "ag_frame", iterator) is None or (
        getattr(iterator, "gi_frame", iterator) is None
    )


async def iterate_on_loop(items: Iterable[Any]) -> AsyncGenerator[Any]:
    """Iterate over a collection in memory, on the event loop."""
    for item in items:
        yield item


class _TrackedIterator:
    """An async iterator with the attribute ``ag_running`` of an async generator."""

    __slots__ = ("_iterator", "ag_running")

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator
        self.ag_running = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self.ag_running = True
        try:
            return await self._iterator.__anext__()
        finally:
            self.ag_running = False


def track_running(iterator: AsyncIterator[Any]) -> Any:
    """Return an iterator over ``iterator`` whose ``ag_running`` is true while a step runs."""
    # Other kinds of generators may have an `ag_running` that is false while they wait.
    is_tracked = isinstance(iterator, (AsyncGeneratorType, ThreadedIterator))
    return iterator if is_tracked else _TrackedIterator(iterator)


def iterate_file(file: Any) -> AsyncIterator[Any]:
    """Return an iterator over a file object, sync or async, that closes the file.

    Text is read by lines and bytes with ``read1``, which wait for the fewest bytes. So the output
    of a program or a connection is sent as it arrives.
    """
    readline = getattr(file, "readline", None)
    if hasattr(file, "encoding") and callable(readline) and not is_async_callable(readline):
        lines = iter(functools.partial(readline, READ_SIZE), "")
        return ThreadedIterator(lines, close=getattr(file, "close", None), joins_chunks=True)
    return FileObjectIterator(file)


class FileObjectIterator:
    """A file object, in chunks of up to 256 KiB; a sync one is read in worker threads."""

    __slots__ = ("_file", "_is_async", "_read")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_async = is_async_callable(file.read)
        read1 = None if self._is_async else getattr(file, "read1", None)
        self._read: Callable[[int], Any] = read1 if callable(read1) else file.read

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._is_async:
            chunk = await self._read(READ_SIZE)
        else:
            chunk = await run_in_stream_thread(self._read, READ_SIZE)
            if inspect.isawaitable(chunk):
                chunk = await chunk
        if chunk:
            return chunk
        if chunk is None:
            raise BlockingIOError("read() of a non-blocking file has no bytes: open it as blocking")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the file, also if the task is cancelled meanwhile."""
        # A file of anyio has both, and its `close` blocks.
        close = getattr(self._file, "aclose", None) or getattr(self._file, "close", None)
        if close is not None:
            await shielded(_call(close))


async def _call(close: Callable[[], Any]) -> None:
    result = close() if is_async_callable(close) else await run_in_stream_thread(close)
    if inspect.isawaitable(result):
        await result


class ThreadedIterator:
    """A sync iterable, iterated and closed in worker threads, in one ``contextvars.Context``.

    Args:
        content: an iterable; each step may block, and may run in another thread than the last.
        close: called at the end, instead of the ``close`` of the iterator.
        joins_chunks: whether to join the chunks in the buffer, which are text.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_call_soon",
        "_chunks",
        "_close",
        "_closed",
        "_content",
        "_context",
        "_error",
        "_is_closing",
        "_is_over",
        "_is_running",
        "_iterator",
        "_joins_chunks",
        "_make_waiter",
        "_max_chunks",
        "_start_job",
        "_waiter",
    )

    _begun: threading.Lock
    _call_soon: Callable[..., object]
    _context: Any  # contextvars.Context, set by _bind()
    _make_waiter: Callable[[], Waiter]
    _start_job: Callable[[Callable[[], None]], None]

    def __init__(
        self,
        content: Iterable[Any],
        *,
        close: Callable[[], Any] | None = None,
        joins_chunks: bool = False,
    ) -> None:
        self._content = content
        self._close = close
        self._joins_chunks = joins_chunks
        self._max_chunks = MAX_BYTES_AHEAD if joins_chunks else MAX_CHUNKS_AHEAD
        self._context = None
        self._iterator: Iterator[Any] | None = None
        self._buffer: deque[Any] = deque()
        self._waiter: Waiter | None = None  # of a consumer that waits for a chunk
        self._closed: Waiter | None = None  # of aclose()
        self._error: BaseException | None = None
        self._is_running = False  # a burst, from its start to the call of _end_burst
        self._is_over = False  # the iterable is at its end, or has raised
        self._is_closing = False
        self._chunks = self._iterate()

    def __aiter__(self) -> AsyncIterator[Any]:
        # perf: sync_stream -10 %: `async for` over a generator, not over this object.
        return self._chunks

    def __anext__(self) -> Awaitable[Any]:
        return self._chunks.__anext__()

    async def _iterate(self) -> AsyncGenerator[Any]:
        buffer = self._buffer
        self._bind()
        while True:
            while buffer:
                chunk = buffer.popleft()
                if self._joins_chunks:
                    chunk = "".join([chunk, *(buffer.popleft() for _ in range(len(buffer)))])
                if not (buffer or self._is_running or self._is_over):
                    self._start_burst()
                yield chunk
            if not self._is_running:
                if self._is_over:
                    break
                self._start_burst()
            self._waiter = waiter = self._make_waiter()
            try:
                if not buffer:  # see the module's docstring
                    await waiter
            finally:
                self._waiter = None
        self._raise_error()

    @property
    def ag_running(self) -> bool:
        """Whether the consumer waits for a chunk, as of an async generator."""
        chunks: Any = self._chunks
        return bool(chunks.ag_running)

    def is_finished(self) -> bool:
        """Return whether all chunks were taken and nothing is left to close."""
        return is_finished(self._chunks) and self._is_over and self._close_function() is None

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _bind(self) -> None:
        """Bind the iterator to the current event loop and context, once."""
        if self._context is None:
            self._context = copy_thread_context()
            self._call_soon, self._make_waiter, self._start_job = stream_primitives()

    def _start_burst(self) -> None:
        self._is_running = True
        # Acquired by the thread that begins the burst, or by the task that drops it.
        self._begun = begun = threading.Lock()
        self._start_job(functools.partial(self._run_burst, begun))

    def _run_burst(self, begun: threading.Lock) -> None:
        """Run a burst, in a worker thread."""
        if begun.acquire(blocking=False):
            is_over, error = self._context.run(self._produce)
            # Not inside the context: the event loop may enter it for the next job at once.
            self._call_soon(functools.partial(self._end_burst, error, is_over=is_over))

    def _produce(self) -> tuple[bool, BaseException | None]:
        """Append chunks to the buffer; return whether the iterable is over, and its error."""
        buffer = self._buffer
        notified: Waiter | None = None
        size = 0
        try:
            if self._iterator is None:
                self._iterator = iter(self._content)
            iterator = self._iterator
            for _ in range(self._max_chunks):
                chunk = next(iterator, _END)
                if chunk is _END:
                    return True, None
                buffer.append(chunk)
                waiter = self._waiter
                if waiter is not None and waiter is not notified:
                    notified = waiter
                    self._call_soon(_wake, waiter)
                if chunk.__class__ is bytes or isinstance(chunk, _SIZED):
                    size += len(chunk)
                    if size >= MAX_BYTES_AHEAD:
                        break
                if self._is_closing:
                    break
        except BaseException as error:  # noqa: BLE001 - raised in the task
            return True, error
        return False, None

    def _end_burst(self, error: BaseException | None, *, is_over: bool) -> None:
        """Update the state after a burst, on the event loop."""
        self._is_running = False
        self._is_over = is_over
        self._error = error
        if self._is_closing:
            self._start_close()
        elif self._waiter is not None:
            _wake(self._waiter)

    async def aclose(self) -> None:
        """Close the iterator in a worker thread, after the step that is running; once.

        When this returns or raises, no code of the iterator runs any more, even if the task was
        cancelled meanwhile.
        """
        if self._is_closing:
            return
        self._is_closing = True
        await self._chunks.aclose()
        # A burst that is still waiting for a thread is dropped.
        if self._is_running and self._begun.acquire(blocking=False):
            self._is_running = False
        if not self._is_running and self._close_function() is None:
            self._finish_close(None)
            return
        self._bind()
        self._closed = closed = self._make_waiter()
        if not self._is_running:
            self._start_close()
        await wait_for_end(closed)
        self._raise_error()

    def _close_function(self) -> Callable[[], Any] | None:
        if self._close is not None:
            return self._close
        iterator: Any = self._iterator
        if iterator is None and hasattr(self._content, "__next__"):
            # An iterator is closed even if no step was taken.
            iterator = self._content
        return None if is_finished(iterator) else getattr(iterator, "close", None)

    def _start_close(self) -> None:
        close = self._close_function()
        if close is None:
            self._finish_close(None)
        else:
            self._start_job(functools.partial(self._run_close, close))

    def _run_close(self, close: Callable[[], Any]) -> None:
        """Close the iterator, in a worker thread."""
        error: BaseException | None = None
        try:
            self._context.run(close)
        except BaseException as caught:  # noqa: BLE001 - raised in the task
            error = caught
        self._call_soon(self._finish_close, error)

    def _finish_close(self, error: BaseException | None) -> None:
        if self._error is not None:
            # It happened ahead of the client, which disconnected before its position.
            logger.error("an iterable failed after a disconnect", exc_info=self._error)
        self._is_over = True
        self._error = error
        self._buffer.clear()
        if self._closed is not None:
            self._closed.set_result(None)


def _wake(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def close(iterator: AsyncIterator[Any], scope: anyio.CancelScope) -> None:
    """Close an async iterator, which may be at its end, under a shield.

    Call it in the task that has iterated: the scopes and task groups that a generator has open
    belong to that task.

    Args:
        iterator: an async iterator.
        scope: a scope of this task, entered before the first step of ``iterator``. It becomes the
            shield. A new scope could not: scopes are left in reverse order, and those that the
            generator has open were entered before it.
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
        # A task group around a `yield` wraps the GeneratorExit in a group.
        _, errors = group.split(GeneratorExit)
        if errors is not None:
            raise errors from None
