"""Blocking calls in worker threads, on asyncio and on Trio.

There is a pool for each kind of work, so that none delays another: ``def`` handlers (40 threads),
sync iterables of streams (256) and files (a few). :func:`set_thread_limits` changes these numbers.

On asyncio the threads are those of this module. On Trio they are Trio's own, and a pool is a
limiter: only Trio can connect a thread to the task that waits for it, as ``anyio.from_thread``
needs.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import os
import queue
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    import asyncio
else:
    from asgikit.runtime.backend import asyncio

from asgikit._logging import logger
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.cancellation import shielded, wait_despite_cancellation

__all__ = [
    "call",
    "call_in_thread",
    "copy_thread_context",
    "is_async_callable",
    "run_blocking_io",
    "run_in_stream_thread",
    "set_thread_limits",
    "stream_pool",
]


P = ParamSpec("P")


T = TypeVar("T")


def is_async_callable(function: Callable[..., Any]) -> bool:
    """Tell whether a call gives an awaitable: a coroutine function, or an async ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


def _anyio_thread_claim() -> Callable[[Any], AbstractContextManager[object]] | None:
    """Return a function that makes ``anyio.from_thread`` work in a thread of this module.

    The function takes an asyncio event loop and returns a context manager for the worker thread.
    This is the only use of anyio's private state. If a release of anyio lacks it, this is ``None``,
    and ``def`` handlers run in anyio's own threads.
    """
    try:
        from anyio._core._eventloop import (
            claim_worker_thread,
            get_async_backend,
            threadlocals,
        )
    except ImportError:
        return None

    @contextlib.contextmanager
    def claim(loop: Any) -> Generator[None]:
        backend = get_async_backend("asyncio")
        with claim_worker_thread(backend, loop):
            # The parent scope of what `from_thread.run` runs; anyio 4.4 requires one.
            threadlocals.current_cancel_scope = backend.create_cancel_scope(shield=True)
            try:
                yield
            finally:
                del threadlocals.current_cancel_scope

    return claim


_claim = _anyio_thread_claim()


class _ThreadPool:
    """Daemon threads that take one job after another, in order, started on demand.

    A ThreadPoolExecutor costs 5 us a job more, and ``run_in_executor``, whose threads belong to
    the app, another 8 on uvloop and 40 on asyncio's own loop.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar(name)
        self.reset()

    def reset(self) -> None:
        """Forget all threads: a child process has none of those of its parent."""
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread_count = 0
        self._idle_count = 0  # threads that no job in the queue is meant for
        self._backlog = 0  # jobs in the queue that no thread is free for
        self._is_saturated = False

    def set_limit(self, limit: int) -> None:
        """Change the number of threads; those over it end when they are idle."""
        with self._lock:
            self._limit = limit
            missing = max(0, min(self._backlog, limit - self._thread_count))
            self._backlog -= missing
            self._thread_count += missing
            surplus = max(0, min(self._idle_count, self._thread_count - limit))
            self._idle_count -= surplus
        for _ in range(missing):
            self._start_thread()
        for _ in range(surplus):
            self._jobs.put((_do_nothing, None))

    def submit(self, job: Callable[[], None], loop: Any = None) -> None:
        """Run ``job``, which raises nothing, in a thread of the pool.

        Args:
            job: is called without arguments.
            loop: the asyncio event loop that ``anyio.from_thread`` reaches in ``job``.

        Raises:
            RuntimeError: the system starts no thread, and the pool has none.
        """
        was_saturated = False
        with self._lock:
            if self._idle_count:
                self._idle_count -= 1
                self._jobs.put((job, loop))
                return
            must_start = self._thread_count < self._limit
            if must_start:
                self._thread_count += 1
            else:
                self._backlog += 1
                self._is_saturated, was_saturated = True, self._is_saturated
        if must_start:
            self._start_thread()
        elif not was_saturated:
            self._warn()
        self._jobs.put((job, loop))

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"asgikit {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system is at its own limit: the threads that there are take the job.
            with self._lock:
                self._thread_count -= 1
                if not self._thread_count:
                    raise
                self._backlog += 1

    def _work(self) -> None:
        # The claim stays after a job, because claiming a thread costs 5 us, and the next job mostly
        # comes from the same loop. # perf: def_handler
        claim = contextlib.ExitStack()
        claimed: Any = None
        while True:
            job, loop = self._jobs.get()
            if loop is not claimed and loop is not None and _claim is not None:
                claim.close()
                claim.enter_context(_claim(loop))
                claimed = loop
            job()
            del job  # it refers to a request
            with self._lock:
                if self._backlog:
                    self._backlog -= 1
                elif self._thread_count > self._limit:
                    self._thread_count -= 1
                    break
                else:
                    self._idle_count += 1
                    if self._is_saturated:
                        self._note_busy(self._thread_count - self._idle_count)
        claim.close()

    def trio_limiter(self) -> anyio.CapacityLimiter:
        """Return the limiter that is this pool on Trio, where a job is about to be started."""
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self._limit)
            self._limiter.set(limiter)
        if limiter.total_tokens != self._limit:
            limiter.total_tokens = self._limit
        if limiter.borrowed_tokens < self._limit:
            self._note_busy(limiter.borrowed_tokens)
        elif not self._is_saturated:
            self._is_saturated = True
            self._warn()
        return limiter

    def _note_busy(self, count: float) -> None:
        # Not before half of the threads are idle: a pool that is full now and then, many times a
        # second, would log each time.
        if count * 2 <= self._limit:
            self._is_saturated = False

    def _warn(self) -> None:
        logger.warning(
            "all %d threads for %s are busy, so that others wait for one; "
            "asgikit.runtime.threads.set_thread_limits(%s=...) allows more",
            self._limit,
            self._name,
            self._name,
        )


def _do_nothing() -> None:
    """Wake an idle thread, which then ends."""


_handlers = _ThreadPool("handlers", 40)
_streams = _ThreadPool("streams", 256)
_files = _ThreadPool("files", min(32, (os.cpu_count() or 1) + 4))


# Windows has no fork.
_register_at_fork = getattr(os, "register_at_fork", dict)
for _pool in (_handlers, _streams, _files):
    _register_at_fork(after_in_child=_pool.reset)


def stream_pool() -> _ThreadPool:
    """Return the pool for sync iterables and file objects that a response streams."""
    return _streams


def set_thread_limits(
    *, handlers: int | None = None, streams: int | None = None, files: int | None = None
) -> None:
    """Set how many worker threads the process has at most for each kind of work.

    A pool that is full queues in order, and logs one WARNING.

    Args:
        handlers: for ``def`` handlers and background functions; 40 at first. ``None`` leaves it
            as it is.
        streams: for sync iterables and file objects that a response streams; 256 at first.
        files: for reading and writing files; at first 4 more than the machine has processors, and
            32 at most.

    Raises:
        ValueError: a limit is below 1.

    >>> set_thread_limits(handlers=40, streams=256)
    """
    limits = ((_handlers, handlers), (_streams, streams), (_files, files))
    for _, limit in limits:
        if limit is not None and limit < 1:
            raise ValueError(f"a thread limit must be at least 1, but is {limit}")
    for pool, limit in limits:
        if limit is not None:
            pool.set_limit(limit)


def copy_thread_context() -> contextvars.Context:
    """Return a copy of the current context for a worker thread, where no event loop runs."""
    context = contextvars.copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and context.get(sniffio.current_async_library_cvar) is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a thread for handlers, and return its result.

    It sees the context variables of the task; what it sets is not seen by the task. If the task is
    cancelled before ``function`` began, it is not called; if later, its end is waited for.
    """
    if is_asyncio() and _claim is None:
        return await shielded(_run_in_anyio_thread(_handlers, function, *args, **kwargs))
    return await _run_in_pool(_handlers, functools.partial(function, *args, **kwargs))


async def run_in_stream_thread(function: Callable[..., T], *args: Any) -> T:
    """Run ``function`` in a thread for streams, as :func:`run_in_thread` does."""
    return await _run_in_pool(_streams, functools.partial(function, *args))


async def _run_in_pool(pool: _ThreadPool, function: Callable[[], T]) -> T:
    if not is_asyncio():
        return await _run_in_anyio_thread(pool, function)
    call = _ThreadCall(functools.partial(copy_thread_context().run, function))
    pool.submit(call.work, call.loop)
    return await call.wait(can_drop=True)


async def _run_in_anyio_thread(
    pool: _ThreadPool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    # Trio lets no coroutine out of a thread, but does not look into a tuple.
    (result,) = await anyio.to_thread.run_sync(
        lambda: (function(*args, **kwargs),), limiter=pool.trio_limiter()
    )
    return result


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` where it belongs: async ones on the loop, others in a thread."""
    if is_async_callable(function):
        return await function(*args)
    return await call_in_thread(function, *args)


async def call_in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` in a thread for handlers; await its result here if it is awaitable."""
    result = await run_in_thread(function, *args)
    return await result if inspect.isawaitable(result) else result


async def run_blocking_io(function: Callable[..., T], *args: Any) -> T:
    """Run a function that waits only for a disk in a thread for files, always to its end."""
    work = functools.partial(function, *args)
    if not is_asyncio():
        return await shielded(_run_in_anyio_thread(_files, work))
    call = _ThreadCall(work)
    _files.submit(call.work)
    return await call.wait(can_drop=False)


class _ThreadCall(Generic[T]):
    """One call in a worker thread, for one asyncio task."""

    __slots__ = ("_begun", "_error", "_function", "_future", "_is_done", "_result", "loop")

    _result: T

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._is_done = False
        # Held by the first of the thread that begins and the task that drops the call.
        self._begun = threading.Lock()
        self.loop = asyncio.get_running_loop()
        self._future = self.loop.create_future()

    async def wait(self, *, can_drop: bool) -> T:
        """Return the result.

        Args:
            can_drop: whether a cancellation drops a call that has not begun.
        """
        try:
            await self._future
        except asyncio.CancelledError:
            # The function may be using objects that the task closes next.
            if not self._is_done and not (can_drop and self._begun.acquire(blocking=False)):
                self._future = self.loop.create_future()
                await wait_despite_cancellation(self._future)
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def work(self) -> None:
        """Call the function, in the thread."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised in the task
            self._error = error
        # The loop may be closed, if nothing waited for its tasks.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_done = True
        if not self._future.done():
            self._future.set_result(None)
