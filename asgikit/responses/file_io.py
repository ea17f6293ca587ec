"""What waits for a disk when a file is sent: done in worker threads, in as few hops as can be."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from stat import S_ISREG

from asgikit.exceptions import ContentLengthMismatch, HTTPError
from asgikit.http.ranges import Span
from asgikit.http.response_plan import Selection

__all__ = ["FileReader", "look_at", "refusal"]

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
        self.chunk_size: int = chunk_size
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
            self.pieces = [*selection.segments]
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
