"""Uploaded files: in memory while small, else on disk without a name, off the event loop."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from asgikit.datastructures.headers import Headers
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from typing import Self

    from asgikit.forms.multipart import PartHead

__all__ = ["GATHER", "Spool", "UploadFile", "close_uploads"]

T = TypeVar("T")
Piece: TypeAlias = bytes | bytearray | memoryview

#: Bytes that are gathered for one trip to the disk.
GATHER = 1024 * 1024
#: Bytes of a chunk that ``async for`` gives.
CHUNK = 256 * 1024
#: Pieces below this are joined as they come: an object for each would outweigh them.
SMALL = 4096


class TemporaryFile:
    """A file without a name, made by the first write and shared by the uploads of a form.

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

    def write(self, position: int, pieces: Sequence[Piece]) -> None:
        """Write ``pieces``, one behind the other, at ``position`` in bytes."""
        with self._lock:
            if self._descriptor < 0:
                self._descriptor = _open()
            os.lseek(self._descriptor, position, os.SEEK_SET)
            written = _write_pieces(self._descriptor, pieces)
            if written < sum(map(len, pieces)):
                rest = memoryview(b"".join(pieces))[written:]
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]

    def read(self, position: int, size: int) -> bytes:
        """Read ``size`` bytes at ``position``; fewer at the end of the file."""
        pieces = []
        with self._lock:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            # The system gives 2 GiB at a time.
            while size and (data := os.read(self._descriptor, size)):
                pieces.append(data)
                size -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def copy(self, position: int, size: int) -> TemporaryFile:
        """Return a new file with ``size`` bytes of this one, from ``position`` on."""
        target = TemporaryFile()
        for start in range(0, size, GATHER):
            target.write(start, [self.read(position + start, min(GATHER, size - start))])
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
    # A descriptor of our own, as a file object would warn when it is forgotten.
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _write_joined(descriptor: int, pieces: Sequence[Piece]) -> int:
    return os.write(descriptor, b"".join(pieces))


# Windows has no writev.
_write_pieces: Callable[[int, Sequence[Piece]], int] = getattr(os, "writev", _write_joined)


class UploadFile:
    """A file out of a form: in memory while the form's files are small, else on disk.

    An input that was left empty is one as well, without a name and without bytes; it is false.
    The form closes its files, save those that are detached.

    Args:
        name: of the field.
        filename: the client's name for it, without directories. It is no name to write to.
        content: its bytes.
        raw_filename: all that was sent as its name.
        headers: of its part.

    Attributes:
        size: in bytes.
        headers: of its part.

    >>> file = UploadFile("photo", "cat.png", b"...")
    >>> file, file.size, bool(UploadFile("photo", ""))
    (<UploadFile 'photo': 'cat.png', 3 bytes>, 3, False)
    """

    __slots__ = (
        "__weakref__",
        "_content",
        "_file",
        "_is_detached",
        "_position",
        "_start",
        "filename",
        "headers",
        "name",
        "raw_filename",
        "size",
    )

    def __init__(
        self,
        name: str,
        filename: str,
        content: bytes = b"",
        *,
        raw_filename: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self.name: str = name
        self.filename: str = filename
        self.raw_filename: str = filename if raw_filename is None else raw_filename
        self.headers: Headers = Headers(headers)
        self.size: int = len(content)
        self._content: bytes | None = content  # `None` where it is on disk, or closed
        self._file: TemporaryFile | None = None
        self._start = 0  # of its bytes in the file
        self._position = 0
        self._is_detached = False

    @property
    def content_type(self) -> str | None:
        """The client's word for what it is."""
        return self.headers.get("content-type")

    def __bool__(self) -> bool:
        return self.size > 0 or self.filename != ""

    def __repr__(self) -> str:
        return f"<UploadFile {self.name!r}: {self.filename!r}, {self.size} bytes>"

    async def read(self, size: int = -1) -> bytes:
        """Read on: ``size`` bytes, fewer at the end; all that is left where it is negative.

        Raises:
            ValueError: the file is closed.
        """
        start = self._position
        left = max(self.size - start, 0)
        size = min(size, left) if size >= 0 else left
        content = self._content
        # A slice of all of it is no copy.
        data = (
            await run_blocking_io(self._open_file().read, self._start + start, size)
            if content is None
            else content[start : start + size]
        )
        self._position = start + len(data)
        return data

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Read the next chunk."""
        if chunk := await self.read(CHUNK):
            return chunk
        raise StopAsyncIteration

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, from which the next call reads or writes on.

        Args:
            offset: in bytes; behind the end is allowed.
            whence: counted from the start (0), from here (1), or from the end (2).

        Returns:
            The new position.

        Raises:
            ValueError: it is before the start; or ``whence`` is something else.
        """
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"{position} is before the start of the file")
        self._position = position
        return position

    async def write(self, data: bytes) -> int:
        """Write ``data`` here, and give its size in bytes; the file is on disk from then on.

        Raises:
            ValueError: the file is closed.
        """
        content = self._content
        if content is not None:
            file = TemporaryFile()
            await run_blocking_io(file.write, 0, [content])
            self._file, self._content = file, None
        else:
            file = self._open_file()
            if file.users > 1:
                # The bytes of other uploads come before or after its own.
                own = await run_blocking_io(file.copy, self._start, self.size)
                self._file, self._start = own, 0
                await run_blocking_io(file.close)
        await run_blocking_io(self._open_file().write, self._start + self._position, [data])
        self._position += len(data)
        self.size = max(self.size, self._position)
        return len(data)

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save all of it as ``path``, which is never there half-written.

        Args:
            path: a name of your own making. The client's could point anywhere, and its type may
                be one that your server runs.
            overwrite: take the place of a file that is there.

        Raises:
            FileExistsError: there is one, and ``overwrite`` is false.
            OSError: it can not be written.
            ValueError: the file is closed.
        """
        source = self._open_file() if self._content is None else self._content
        await run_blocking_io(_save, source, self._start, self.size, Path(path), overwrite)

    def detach(self) -> Self:
        """Take the file from its form, for work that outlives the request: it is yours to close."""
        self._is_detached = True
        return self

    async def close(self) -> None:
        """Give the file up; a second time does nothing."""
        self._is_detached = False
        await close_uploads([self])

    def _open_file(self) -> TemporaryFile:
        if self._file is None:
            raise ValueError("the file is closed: its form closes it, unless it was detached")
        return self._file


def _save(
    source: bytes | TemporaryFile, start: int, size: int, path: Path, overwrite: object
) -> None:
    # In the same folder, as neither a link nor a rename leaves its file system.
    temporary = path.with_name(f".{os.urandom(16).hex()}.part")
    try:
        with temporary.open("xb") as target:
            if isinstance(source, bytes):
                target.write(source)
            else:
                for position in range(0, size, GATHER):
                    target.write(source.read(start + position, min(GATHER, size - position)))
        if overwrite:
            temporary.replace(path)
        else:
            _move_to_new_name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _move_to_new_name(temporary: Path, path: Path) -> None:
    """Move a file to a name that must not exist yet.

    Raises:
        FileExistsError: The name exists.
    """
    try:
        # Unlike a rename, a link never replaces a file.
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        # exFAT, Azure Files, FUSE and others have no hard links, and report that by many error
        # numbers. If it is another error, the steps below raise it.
        pass
    else:
        return
    # An empty file reserves the name, so that the rename replaces that one only.
    path.open("xb").close()
    try:
        temporary.replace(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def close_uploads(uploads: Iterable[UploadFile]) -> None:
    """Close what is not detached, in one trip, which nothing interrupts."""
    files = []
    for upload in uploads:
        if not upload._is_detached:
            if upload._file is not None:
                files.append(upload._file)
            upload._file = upload._content = None
    if files:
        await run_blocking_io(_close_all, files)


def _close_all(files: Iterable[TemporaryFile]) -> None:
    for file in files:
        file.close()


class Spool:
    """The files of one form as they arrive, and the memory they share.

    Files that together are small stay in memory. One that would be too much goes to disk, and
    leaves its share of the memory to those that follow. The files on disk are parts of one
    temporary file, one after the other: a form has one descriptor.

    Args:
        size: bytes that may stay in memory.

    Attributes:
        uploads: all files so far.
        due: bytes that wait to be written: call :meth:`flush` at ``GATHER``, and at the end.
    """

    __slots__ = ("_end", "_file", "_held", "_pieces", "_queue", "_size", "due", "uploads")

    def __init__(self, size: int) -> None:
        self._size = size
        self._file: TemporaryFile | None = None  # of all files on disk
        self._end = 0  # of the bytes in it
        self._held = 0  # bytes of the files that have ended and stay in memory
        self._pieces: list[Piece] = []  # of the file that arrives, and not yet written
        self._queue: list[tuple[TemporaryFile, int, list[Piece]]] = []
        self.uploads: list[UploadFile] = []
        self.due: int = 0

    def begin(self, head: PartHead) -> UploadFile:
        """Make an empty file of a part, which gets what is added until it ends."""
        name, filename, raw_filename = head.disposition
        upload = UploadFile(
            name, filename or "", raw_filename=raw_filename, headers=head.raw_headers
        )
        self._pieces = []
        self.uploads.append(upload)
        return upload

    def add(self, upload: UploadFile, data: bytes | memoryview) -> None:
        """Add ``data`` to the file that has begun."""
        pieces = self._pieces
        size = len(data)
        if size >= SMALL:
            pieces.append(data)
        elif pieces and isinstance(last := pieces[-1], bytearray):
            last += data
        else:
            pieces.append(bytearray(data))
        upload.size += size
        if upload._file is not None:
            self.due += size
            self._end += size
        elif self._held + upload.size > self._size:
            if self._file is None:
                self._file = TemporaryFile()
            else:
                self._file.users += 1
            upload._file, upload._start = self._file, self._end
            upload._content = None
            self._queue.append((upload._file, upload._start, pieces))
            self.due += upload.size
            self._end += upload.size

    def end(self, upload: UploadFile) -> None:
        """Take the end of the file that has begun."""
        if upload._file is None:
            upload._content = b"".join(self._pieces)
            self._held += upload.size

    async def flush(self) -> None:
        """Write what is due."""
        queue, self._queue = self._queue, []
        self.due = 0
        upload = self.uploads[-1]
        if upload._file is not None:
            # More of it may come.
            self._pieces = []
            self._queue.append((upload._file, upload._start + upload.size, self._pieces))
        await run_blocking_io(_write_all, queue)


def _write_all(queue: Iterable[tuple[TemporaryFile, int, list[Piece]]]) -> None:
    for file, position, pieces in queue:
        if pieces:
            file.write(position, pieces)
