"""A temporary file without a name, shared by the uploads of a form."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeAlias

__all__ = ["GATHER_SIZE", "Chunk", "TemporaryFile"]

Chunk: TypeAlias = bytes | bytearray | memoryview

#: Bytes that are gathered for one write or read in a worker thread.
GATHER_SIZE = 1024 * 1024


class TemporaryFile:
    """A file without a name, opened by the first write and shared by the uploads of a form.

    Its methods block: they run in worker threads. The file is closed when each of its users has
    closed it.

    Attributes:
        users: The number of uploads that have a part of the file.
    """

    __slots__ = ("_descriptor", "_lock", "users")

    def __init__(self) -> None:
        self._descriptor = -1
        self._lock = Lock()
        self.users: int = 1

    def write(self, position: int, chunks: Sequence[Chunk]) -> None:
        """Write ``chunks``, one behind the other, at ``position`` in bytes."""
        with self._lock:
            if self._descriptor < 0:
                self._descriptor = _open()
            os.lseek(self._descriptor, position, os.SEEK_SET)
            written = _write_chunks(self._descriptor, chunks)
            if written < sum(map(len, chunks)):
                rest = memoryview(b"".join(chunks))[written:]
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]

    def read(self, position: int, size: int) -> bytes:
        """Read ``size`` bytes at ``position``; fewer at the end of the file."""
        chunks = []
        with self._lock:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            # One system call reads at most 2 GiB.
            while size and (data := os.read(self._descriptor, size)):
                chunks.append(data)
                size -= len(data)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def copy(self, position: int, size: int) -> TemporaryFile:
        """Return a new file with ``size`` bytes of this one, from ``position`` on."""
        target = TemporaryFile()
        for start in range(0, size, GATHER_SIZE):
            target.write(start, [self.read(position + start, min(GATHER_SIZE, size - start))])
        return target

    def close(self) -> None:
        """Close the file for one of its users; the last one closes the descriptor."""
        with self._lock:
            self.users -= 1
            if self.users <= 0:
                self._close_descriptor()

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # A file that was never closed is closed without a ResourceWarning.
    __del__ = _close_descriptor


def _open() -> int:
    # A file object would warn when it is garbage-collected, a descriptor does not.
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _write_joined(descriptor: int, chunks: Sequence[Chunk]) -> int:
    return os.write(descriptor, b"".join(chunks))


# Windows has no writev.
_write_chunks: Callable[[int, Sequence[Chunk]], int] = getattr(os, "writev", _write_joined)
