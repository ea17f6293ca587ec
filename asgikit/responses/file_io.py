"""Blocking file I/O of file responses. Everything here is called in worker threads.

A :class:`FileReader` opens one regular file and reads the segments of it that a response sends. One
call reads several messages, because a call in a worker thread costs more than a read. A client that
stops reading must not hold much memory, so the amount for a call starts at 256 KiB, grows to
1 MiB while ``send`` does not wait, and falls to one message as soon as it does. Messages are small
until ``send`` has taken a few MiB without waiting.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from contextlib import suppress
from stat import S_ISREG

from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.ranges import Span
from asgikit.http.response_plan import Selection

__all__ = [
    "FIRST_READ",
    "UNKNOWN_SIZE",
    "FileReader",
    "is_virtual",
    "refusal",
    "stat_file",
]

#: Bytes of the first call of :meth:`FileReader.read`, and of the largest one.
FIRST_READ = 256 * 1024
LARGEST_READ = 1024 * 1024
# Bytes of a message until this many bytes went out without a wait, if the body is longer than
# ``chunk_size``. If the client stops reading, one message is in the buffer of the server and one
# waits in ``send``. The sockets of both sides may take 4 MiB and more before that.
_SMALL_MESSAGE = 64 * 1024
_WAIT_FREE = 8 * 1024 * 1024
# Messages of one call, if they are small.
MOST_MESSAGES = 64

# Bytes that all readers together read ahead; divided by their number.
_MOST_AHEAD = 4 * 1024 * 1024
_active: set[FileReader] = set()

# The end of a segment that reaches to the end of a file of unknown size.
UNKNOWN_SIZE = 2**63 - 1

# O_NONBLOCK: a FIFO without a writer does not block the thread. O_NOCTTY: a terminal does not
# become the controlling one. Windows has only O_BINARY, and no other system has that.
_FLAG_NAMES = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
_FLAGS = functools.reduce(
    lambda flags, name: flags | getattr(os, name, 0), _FLAG_NAMES, os.O_RDONLY
)
# Windows has neither.
_major: Callable[[int], int] = getattr(os, "major", int)
_O_PATH: int | None = getattr(os, "O_PATH", None)

# Errors of `open` and `stat` that say that the name leads to nothing that can be sent.
_NOT_FOUND = {
    errno.EINVAL,  # the file system does not allow a character of the name
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENODEV,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENXIO,  # a socket
}
_FORBIDDEN = {errno.EACCES, errno.EPERM}

# File systems of the Linux kernel whose files are made up when they are read: `st_size` is 0 on
# procfs and 4096 on sysfs, and not the length of the content.
_VIRTUAL_TYPES = {
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "proc",
    "securityfs",
    "sysfs",
    "tracefs",
}


def refusal(error: OSError | ValueError) -> HTTPError | None:
    """Return the 403 or 404 that answers an error of ``open``, or ``None`` for a server fault."""
    # A NUL or a lone surrogate in a path is a ValueError.
    number = error.errno if isinstance(error, OSError) else errno.ENOENT
    if number in _FORBIDDEN:
        return HTTPError(403)
    return HTTPError(404) if number in _NOT_FOUND else None


def stat_file(path: str) -> os.stat_result:
    """Return the status of a regular file without opening it.

    Raises:
        HTTPError: 404 or 403, there is no such file.
        OSError: another failure of the system.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise refusal(error) or error from error
    if not S_ISREG(status.st_mode):
        raise HTTPError(404)
    return status


@functools.lru_cache(maxsize=256)
def is_virtual(device: int) -> bool:
    """Return whether a device number (``st_dev``) is that of procfs, sysfs or their like.

    The size of such a file is not the length of its content.
    """
    # They have no block device: the major number is 0.
    if _major(device):
        return False
    with (
        suppress(OSError),
        open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file,
    ):
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
        for line in file:
            before, _, after = line.partition(" - ")
            if before.split(" ")[2] == f"0:{device}":
                return after.split(" ")[0] in _VIRTUAL_TYPES
    return False


class FileReader:
    """One open file, and the segments of it that are still to be sent.

    Args:
        chunk_size: bytes of one message, at most.

    Attributes:
        descriptor: of the open file, or ``None``.
        largest_read: bytes of one call of :meth:`read`, at most, give or take a chunk.
        segments: the segments of the body that are not read yet.
    """

    __slots__ = (
        "_chunk_size",
        "_is_growing",
        "_last_segments",
        "_message_size",
        "_position",
        "_read_size",
        "_wait_free",
        "descriptor",
        "largest_read",
        "segments",
    )

    def __init__(self, chunk_size: int) -> None:
        self.descriptor: int | None = None
        self.largest_read: int = LARGEST_READ
        self.segments: list[bytes | Span] = []
        self._chunk_size = chunk_size
        self._message_size = chunk_size
        self._read_size = FIRST_READ
        self._is_growing = True
        self._last_segments: list[bytes | Span] = []  # one for each chunk of the last call
        self._position = 0
        self._wait_free = 0  # bytes since `send` has waited

    def open(self, path: str, *, folder: int | None = None, flags: int = 0) -> os.stat_result:
        """Open a regular file, and return its status.

        Args:
            path: of the file.
            folder: the descriptor of a folder that ``path`` is relative to.
            flags: added to those of ``os.open``.

        Raises:
            HTTPError: 404 or 403, there is no such file.
            OSError: another failure of the system.
        """
        try:
            try:
                self.descriptor = os.open(path, _FLAGS | flags, dir_fd=folder)
            except BlockingIOError:
                self.descriptor = _open_leased(path, folder, flags)
        except (OSError, ValueError) as error:
            raise refusal(error) or error from error
        status = os.fstat(self.descriptor)
        if not S_ISREG(status.st_mode):
            self.close()
            raise HTTPError(404)
        return status

    def replace(
        self, path: str, *, folder: int | None = None, flags: int = 0
    ) -> os.stat_result | None:
        """Open another file instead, as :meth:`open` does; keep this one if that fails.

        Returns:
            The status of the other file, or ``None`` if there is none.
        """
        other = FileReader(self._chunk_size)
        try:
            status = other.open(path, folder=folder, flags=flags)
        except HTTPError:
            return None
        self.close()
        self.descriptor = other.descriptor
        return status

    def begin(self, choose: Callable[[], Selection]) -> tuple[Selection, list[bytes]]:
        """Open the file, decide what to send of it, and read the first chunks.

        Args:
            choose: opens the file with :meth:`open`, and decides.
        """
        try:
            selection = choose()
            small = self._read_small(selection.segments)
            if small is not None:
                return selection, small
            self.segments = [*selection.segments]
            size = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in self.segments)
            if size > self._chunk_size:
                _active.add(self)
                self._message_size = min(self._chunk_size, _SMALL_MESSAGE)
            return selection, self.read()
        except BaseException:
            self.close()
            raise

    # perf: file_100k -10 %
    def _read_small(self, segments: list[bytes | Span]) -> list[bytes] | None:
        """Read a body of at most one span and one message, and close the file.

        Returns:
            What :meth:`read` would; ``None`` if it has to.
        """
        if not segments:
            self.close()
            return []
        span = segments[0]
        if len(segments) > 1 or isinstance(span, bytes) or self.descriptor is None:
            return None
        start, stop = span
        size = stop - start
        if size > FIRST_READ or size > self._chunk_size:
            return None
        if start:
            os.lseek(self.descriptor, start, os.SEEK_SET)
        chunk = os.read(self.descriptor, size)
        if len(chunk) != size:
            self._position = start + len(chunk)
            return None
        self.close()
        return [chunk]

    def read(self) -> list[bytes]:
        """Read the next chunks, one for each message, and close the file if none is left.

        Raises:
            ContentLengthMismatch: the file has become shorter.
        """
        segments = self.segments
        chunks: list[bytes] = []
        self._last_segments = []
        remaining = size = min(self._read_size, _MOST_AHEAD // max(len(_active), 1))
        while segments and remaining > 0 and len(chunks) < MOST_MESSAGES:
            segment = segments.pop(0)
            if isinstance(segment, bytes):
                chunk = segment
            else:
                chunk = self._read_span(segment)
                segment = Span(segment.start, segment.start + len(chunk))
            if chunk:
                remaining -= len(chunk)
                chunks.append(chunk)
                self._last_segments.append(segment)
        if self._is_growing:
            self._read_size = min(2 * self._read_size, self.largest_read)
            self._wait_free += size - remaining
            if self._wait_free > _WAIT_FREE:
                self._message_size = self._chunk_size
        self._is_growing = True
        # Several chunks that are larger together are read again if `send` waits: see `unread`.
        if not segments and (size - remaining <= FIRST_READ or len(chunks) == 1):
            self.close()
        return chunks

    def _read_span(self, span: Span) -> bytes:
        start, stop = span
        if self.descriptor is None:
            raise RuntimeError("there is no open file to read from")
        if start != self._position:
            os.lseek(self.descriptor, start, os.SEEK_SET)
        # A read that asks for more than the file has allocates more than it returns: 60 us, not 12.
        chunk = os.read(self.descriptor, min(self._message_size, stop - start))
        if not chunk and stop != UNKNOWN_SIZE:
            raise ContentLengthMismatch(
                f"the file became shorter while it was sent: {stop - start} bytes are missing"
            )
        self._position = end = start + len(chunk)
        if chunk and end < stop:
            self.segments.insert(0, Span(end, stop))
        return chunk

    def unread(self, count: int) -> bool:
        """Put back the last ``count`` chunks of the last call, since ``send`` is waiting.

        They are read again later, in calls of one message at first.

        Returns:
            Whether that was done: a file of at most 256 KiB is closed already, and stays in memory.
        """
        self._read_size = 1
        self._message_size = min(self._chunk_size, _SMALL_MESSAGE)
        self._wait_free = 0
        self._is_growing = False
        if self.descriptor is None:
            return False
        self.segments[:0] = self._last_segments[len(self._last_segments) - count :]
        return True

    def close(self) -> None:
        """Close the file if it is open."""
        _active.discard(self)
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open_leased(path: str, folder: int | None, flags: int) -> int:
    """Open a file that another process has a lease on, as Samba has for an oplock.

    The kernel asks that process to give the lease up, and the thread waits for it: at most
    ``/proc/sys/fs/lease-break-time``, 45 seconds. O_PATH first makes sure that it is a regular
    file, since to open a FIFO without O_NONBLOCK could block for ever.
    """
    if _O_PATH is None:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process has a lease on the file")
    handle = os.open(path, _O_PATH | os.O_CLOEXEC | flags, dir_fd=folder)
    try:
        if not S_ISREG(os.fstat(handle).st_mode):
            raise HTTPError(404)
        return os.open(f"/proc/self/fd/{handle}", _FLAGS & ~os.O_NONBLOCK)
    finally:
        os.close(handle)
