"""The spool: the files of one form as they arrive, in memory or on disk.

Small files stay in memory, until all of them together exceed the size of the spool. The file that
would exceed it goes to disk, and the files after it share the memory that is left. All files on
disk are parts of one temporary file, one after the other, so that a form has one descriptor.

Writing is done in a worker thread. The chunks that wait for it are gathered to 1 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from asgikit.forms.temporary_file import Chunk, TemporaryFile
from asgikit.forms.uploads import UploadFile
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from asgikit.forms.part_reader import PartHead

__all__ = ["Spool"]

#: Chunks below this size are joined as they arrive: an object for each takes more memory.
SMALL = 4096


class Spool:
    """The files of one form as they arrive.

    Args:
        size: Bytes that may stay in memory.

    Attributes:
        uploads: All files so far.
        pending_size: Bytes that wait to be written. :meth:`flush` is to be called when they reach
            ``GATHER_SIZE``, and at the end.
    """

    __slots__ = (
        "_chunks",
        "_file",
        "_file_size",
        "_memory_used",
        "_queue",
        "_size",
        "pending_size",
        "uploads",
    )

    def __init__(self, size: int) -> None:
        self._size = size
        self._file: TemporaryFile | None = None
        self._file_size = 0
        self._memory_used = 0  # by the files that have ended
        self._chunks: list[Chunk] = []  # of the current file, not yet written
        self._queue: list[tuple[TemporaryFile, int, list[Chunk]]] = []
        self.uploads: list[UploadFile] = []
        self.pending_size: int = 0

    def begin(self, head: PartHead) -> UploadFile:
        """Return a new file for a part; its bytes follow by :meth:`add`."""
        name, filename, raw_filename = head.disposition
        upload = UploadFile(
            name, filename or "", raw_filename=raw_filename, headers=head.raw_headers
        )
        self._chunks = []
        self.uploads.append(upload)
        return upload

    def add(self, upload: UploadFile, data: bytes | memoryview) -> None:
        """Append ``data`` to the current file."""
        chunks = self._chunks
        size = len(data)
        if size >= SMALL:
            chunks.append(data)
        elif chunks and isinstance(last := chunks[-1], bytearray):
            last += data
        else:
            chunks.append(bytearray(data))
        upload.size += size
        if upload._file is not None:
            self.pending_size += size
            self._file_size += size
        elif self._memory_used + upload.size > self._size:
            self._move_to_disk(upload)

    def _move_to_disk(self, upload: UploadFile) -> None:
        if self._file is None:
            self._file = TemporaryFile()
        else:
            self._file.users += 1
        upload._file, upload._start = self._file, self._file_size
        upload._content = None
        self._queue.append((upload._file, upload._start, self._chunks))
        self.pending_size += upload.size
        self._file_size += upload.size

    def end(self, upload: UploadFile) -> None:
        """End the current file."""
        if upload._file is None:
            upload._content = b"".join(self._chunks)
            self._memory_used += upload.size

    async def flush(self) -> None:
        """Write the pending bytes."""
        queue, self._queue = self._queue, []
        self.pending_size = 0
        upload = self.uploads[-1]
        if upload._file is not None:
            # More bytes of it may follow.
            self._chunks = []
            self._queue.append((upload._file, upload._start + upload.size, self._chunks))
        await run_blocking_io(_write_all, queue)


def _write_all(queue: Iterable[tuple[TemporaryFile, int, list[Chunk]]]) -> None:
    for file, position, chunks in queue:
        if chunks:
            file.write(position, chunks)
