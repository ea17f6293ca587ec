"""Blocking calls in worker threads, on asyncio and on Trio.

Each kind of work has a pool of its own, so that none delays another: ``def`` handlers (40 threads),
sync iterables of streams (256) and files (a few). :func:`set_thread_limits` changes the limits.

On asyncio the threads belong to this module. On Trio they belong to Trio, and a pool is a limiter:
only Trio can connect a thread to the task that waits for it, as ``anyio.from_thread`` requires.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

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
    """Return whether ``function`` is a coroutine function or has an async ``__call__``."""
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


#: Seconds after which a thread without a job ends.
IDLE_SECONDS = 60.0
#: Seconds between two warnings about one full pool.
WARNING_SECONDS = 60.0


class _ThreadPool:
    """Daemon threads, started on demand, that run jobs in the order of their submission."""

    # perf: def_handler -25 %, instead of `run_in_executor` and its ThreadPoolExecutor.

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar(name)
        self.reset()

    def reset(self) -> None:
        """Forget all threads; a child process has none of the threads of its parent."""
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread_count = 0
        self._idle_count = 0  # threads without a job, in the queue or running
        self._backlog = 0  # jobs in the queue without a free thread
        self._next_warning = 0.0  # by the clock of `time.monotonic`

    def set_limit(self, limit: int) -> None:
        """Change the limit; surplus threads end when they are idle."""
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
        if must_start:
            self._start_thread()
        else:
            self._warn()
        self._jobs.put((job, loop))

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"asgikit {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system is at its own limit: a thread of the pool takes the job.
            with self._lock:
                self._thread_count -= 1
                if not self._thread_count:
                    raise
                self._backlog += 1

    def _work(self) -> None:
        # perf: def_handler -12 %: a thread stays claimed for the event loop of its last job.
        claim = contextlib.ExitStack()
        claimed: Any = None
        while True:
            try:
                job, loop = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._idle_count:
                        self._idle_count -= 1
                        self._thread_count -= 1
                        break
                continue  # a job is about to be queued for this thread
            if loop is not claimed and loop is not None and _claim is not None:
                claim.close()
                claim.enter_context(_claim(loop))
                claimed = loop
            job()
            del job  # it has a reference to a request
            with self._lock:
                if self._backlog:
                    self._backlog -= 1
                elif self._thread_count > self._limit:
                    self._thread_count -= 1
                    break
                else:
                    self._idle_count += 1
        claim.close()

    def trio_limiter(self) -> anyio.CapacityLimiter:
        """Return the limiter of this pool on Trio, for a job that starts now."""
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self._limit)
            self._limiter.set(limiter)
        if limiter.total_tokens != self._limit:
            limiter.total_tokens = self._limit
        if limiter.borrowed_tokens >= self._limit:
            self._warn()
        return limiter

    def _warn(self) -> None:
        """Log that the pool is full, at most once in ``WARNING_SECONDS``."""
        now = time.monotonic()
        if now < self._next_warning:
            return
        self._next_warning = now + WARNING_SECONDS
        logger.warning(
            "all %d threads for %s are busy, and further calls wait; "
            "asgikit.runtime.threads.set_thread_limits(%s=...) raises the limit",
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
    """Set the maximum number of worker threads for each kind of work.

    If all threads of a pool are busy, calls wait in order, and one WARNING is logged. ``None``
    keeps a limit as it is. A thread that is idle for a minute ends.

    Args:
        handlers: for ``def`` handlers and background functions; 40 by default.
        streams: for sync iterables and file objects that a response streams; 256 by default.
        files: for reading and writing files; by default the number of processors plus 4, at most
            32.

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

    The function runs in a copy of the task's context. If the task is cancelled before the function
    began, it is not called; if later, the task waits for its end.
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
    # Trio refuses a coroutine as a result, but does not look into a tuple.
    (result,) = await anyio.to_thread.run_sync(
        lambda: (function(*args, **kwargs),), limiter=pool.trio_limiter()
    )
    return result


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call an async function on the event loop, and any other in a thread for handlers."""
    if is_async_callable(function):
        return await function(*args)
    return await call_in_thread(function, *args)


async def call_in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` in a thread for handlers; if the result is awaitable, await it here."""
    result = await run_in_thread(function, *args)
    return await result if inspect.isawaitable(result) else result


async def run_blocking_io(function: Callable[..., T], *args: Any) -> T:
    """Run disk I/O in a thread for files, to its end even if the task is cancelled."""
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
        # Acquired by the thread that begins the call, or by the task that drops it.
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
            # The function may use objects that the task closes next.
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
        # The event loop may be closed, if its tasks were not awaited.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_done = True
        if not self._future.done():
            self._future.set_result(None)
