"""What waits for a disk when a file is sent: done in worker threads, in as few hops as can be."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from stat import S_ISREG
from typing import Generic, TypeVar

import anyio

from asgikit.concurrency import asyncio_task, run_in_thread
from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.ranges import Span
from asgikit.http.selection import Selection

__all__ = ["FileReader", "hop", "look_at", "refusal"]

T = TypeVar("T")

#: Bytes that one hop reads: what is held for a client that has stopped reading.
HOP = 1024 * 1024
#: Messages that one hop makes at most, where they are small.
MESSAGES = 64

# O_NONBLOCK: a fifo without a writer does not hold the thread. O_NOCTTY: a terminal does not take
# hold of the process. Windows has none of these but O_BINARY, which nobody else has.
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
FLAGS = functools.reduce(lambda flags, name: flags | getattr(os, name, 0), _FLAGS, os.O_RDONLY)

# Names behind which a file system has nothing that could be sent.
_NOT_FOUND = {
    errno.EINVAL,  # characters that this file system does not take
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENODEV,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENXIO,  # a socket
}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def refusal(error: OSError | ValueError) -> HTTPError | None:
    """Give the answer to a name that does not open; :obj:`None` where the fault is our own."""
    # A NUL, or what no file system encodes, is a ValueError, and the name of nothing.
    number = error.errno if isinstance(error, OSError) else errno.ENOENT
    if number in _FORBIDDEN:
        return HTTPError(403)
    return HTTPError(404) if number in _NOT_FOUND else None


def look_at(path: str) -> os.stat_result:
    """Tell how a regular file looks, without opening it.

    Raises:
        HTTPError: 404 or 403, there is none to send.
        OSError: the disk's own fault.
    """
    try:
        looks = os.stat(path)
    except (OSError, ValueError) as error:
        raise refusal(error) or error from error
    if not S_ISREG(looks.st_mode):
        raise HTTPError(404)
    return looks


class FileReader:
    """An open file and what is left to send of it; all of its methods are for a worker thread.

    Args:
        chunk_size: bytes to read at once, at most.

    Attributes:
        descriptor: of the file; :obj:`None` before it is open, and as soon as it is read.
        pieces: of the body that are not read yet.
    """

    __slots__ = ("_position", "chunk_size", "descriptor", "pieces")

    def __init__(self, chunk_size: int) -> None:
        self.chunk_size = chunk_size
        self.descriptor: int | None = None
        self.pieces: list[bytes | Span] = []
        self._position = 0

    def open(self, path: str, *, folder: int | None = None, flags: int = 0) -> os.stat_result:
        """Open a regular file, and tell how it looks.

        Args:
            path: of the file.
            folder: the descriptor of a folder that ``path`` starts from.
            flags: further ones to open it with.

        Raises:
            HTTPError: 404 or 403, there is none to send.
            OSError: the disk's own fault.
        """
        try:
            self.descriptor = os.open(path, FLAGS | flags, dir_fd=folder)
        except (OSError, ValueError) as error:
            raise refusal(error) or error from error
        looks = os.fstat(self.descriptor)
        if not S_ISREG(looks.st_mode):
            self.close()
            raise HTTPError(404)
        return looks

    def exchange(
        self, path: str, *, folder: int | None = None, flags: int = 0
    ) -> os.stat_result | None:
        """Open another file in the place of this one, as :meth:`open` does, if it can be opened."""
        other = FileReader(self.chunk_size)
        try:
            looks = other.open(path, folder=folder, flags=flags)
        except HTTPError:
            return None
        self.close()
        self.descriptor = other.descriptor
        return looks

    def begin(self, choose: Callable[[], Selection]) -> tuple[Selection, list[bytes]]:
        """Open, decide, and read what goes into the first messages: all of a small file.

        Args:
            choose: opens the file with :meth:`open`, and decides.
        """
        try:
            selection = choose()
            self.pieces = [*selection.pieces]
            return selection, self.read()
        except BaseException:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """Read what goes into the next messages, about :data:`HOP`; close the file at its end.

        Raises:
            ContentLengthMismatch: the file has become shorter.
        """
        pieces = self.pieces
        chunks: list[bytes] = []
        left = HOP
        while pieces and left > 0 and len(chunks) < MESSAGES:
            piece = pieces.pop(0)
            chunk = piece if isinstance(piece, bytes) else self._read_span(piece)
            left -= len(chunk)
            chunks.append(chunk)
        if not pieces:
            self.close()
        return chunks

    def _read_span(self, span: Span) -> bytes:
        start, stop = span
        if self.descriptor is None:
            raise RuntimeError("there is no open file to read from")
        if start != self._position:
            os.lseek(self.descriptor, start, os.SEEK_SET)
        # Not a byte more than there is: a read that is longer than the file costs 60 us, not 12.
        chunk = os.read(self.descriptor, min(self.chunk_size, stop - start))
        if not chunk:
            raise ContentLengthMismatch(
                f"the file became shorter while it was sent: {stop - start} bytes are missing"
            )
        self._position = start = start + len(chunk)
        if start < stop:
            self.pieces.insert(0, Span(start, stop))
        return chunk

    def close(self) -> None:
        """Close the file where it is open."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Threads:
    """Threads that take one job after the other, started as there is need for them.

    They are asyncio's alone. A ThreadPoolExecutor costs 5 us a job more, ``run_in_executor``, whose
    threads are the user's to fill, another 8 on uvloop, and 40 on asyncio's own loop.
    """

    def __init__(self, most: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._missing = most

    def submit(self, job: Callable[[], None]) -> None:
        """Have ``job`` done, which raises nothing."""
        self._jobs.put(job)
        with self._lock:
            if self._idle:
                self._idle -= 1
                return
            if not self._missing:
                return
            self._missing -= 1
        threading.Thread(target=self._work, name="asgikit", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


def _make_threads() -> None:
    global _threads  # noqa: PLW0603 - a child process has none of its parent's threads
    _threads = _Threads(min(32, (os.cpu_count() or 1) + 4))


_threads: _Threads
_make_threads()
# Windows has no fork.
getattr(os, "register_at_fork", dict)(after_in_child=_make_threads)


class _Hop(Generic[T]):
    """One call in a thread, for one asyncio task."""

    __slots__ = ("_error", "_function", "_future", "_is_done", "_loop", "_result")

    _result: T

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._is_done = False
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    async def run(self) -> T:
        _threads.submit(self._work)
        try:
            await self._future
        except asyncio.CancelledError:
            # The thread may be reading from what is closed next. The scope keeps anyio from
            # cancelling again at every turn; a task's own cancel() may come any number of times,
            # and what came first is raised in the end.
            with anyio.CancelScope(shield=True):
                while not self._is_done:
                    self._future = self._loop.create_future()
                    with suppress(asyncio.CancelledError):
                        await self._future
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def _work(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised in the task
            self._error = error
        # The loop may be closed, if nobody waited for its tasks.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_done = True
        if not self._future.done():
            self._future.set_result(None)


async def hop(function: Callable[[], T]) -> T:
    """Run ``function`` in a worker thread; cancelling waits for its end."""
    if asyncio_task() is None:
        return await run_in_thread(function)
    return await _Hop(function).run()
