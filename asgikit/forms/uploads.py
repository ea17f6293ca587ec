"""Uploaded files: in memory if they are small, else on disk; never read on the event loop."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asgikit.datastructures.headers import Headers
from asgikit.forms.temporary_file import GATHER_SIZE, TemporaryFile
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from typing import BinaryIO, Self

__all__ = ["UploadFile", "close_uploads"]

#: Bytes of a chunk of ``async for``.
CHUNK_SIZE = 256 * 1024
#: Bytes that ``upload.file.readline()`` looks ahead.
PEEK_SIZE = 8192


class UploadFile:
    """A file of a form: in memory if the files of the form are small, else on disk.

    A file input that was left empty is one as well. It has no name and no bytes, and is false. The
    form closes its files, except detached ones.

    Args:
        name: The name of the field.
        filename: The client's name of the file, without directories. Do not write to it.
        content: The bytes.
        file: A binary file object, in place of ``content``. It is read at once.
        raw_filename: The file name as it was sent.
        headers: The headers of the part.

    Attributes:
        size: In bytes.
        headers: The headers of the part.

    Raises:
        TypeError: ``file`` is not a binary file object.

    >>> upload = UploadFile("photo", "cat.png", b"...")
    >>> upload, upload.size, bool(UploadFile("photo", ""))
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
        name: str = "",
        filename: str = "",
        content: bytes = b"",
        *,
        file: BinaryIO | None = None,
        raw_filename: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] | Mapping[str, str] = (),
    ) -> None:
        if file is not None:
            content = _read_all(file)
        self.name: str = name
        self.filename: str = filename
        self.raw_filename: str = filename if raw_filename is None else raw_filename
        self.headers: Headers = Headers(headers)
        self.size: int = len(content)
        self._content: bytes | None = content  # `None` if it is on disk or closed
        self._file: TemporaryFile | None = None
        self._start = 0  # position of its first byte in the temporary file
        self._position = 0
        self._is_detached = False

    @property
    def content_type(self) -> str | None:
        """The media type that the client declared."""
        return self.headers.get("content-type")

    @property
    def file(self) -> BinaryIO:
        """A file object to read from, for libraries that need one, such as Pillow or csv.

        It shares the position with this object. Its methods block: use it in ``def`` handlers and
        worker threads. It is read-only, and closing it does not close the upload.

        >>> UploadFile("table", "tea.csv", b"tea,cups").file.read()
        b'tea,cups'
        """
        return _Reader(self)  # type: ignore[return-value]  # it has the methods of a BinaryIO

    def __bool__(self) -> bool:
        return self.size > 0 or self.filename != ""

    def __repr__(self) -> str:
        return f"<UploadFile {self.name!r}: {self.filename!r}, {self.size} bytes>"

    async def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer at the end; all of the rest if it is negative.

        Raises:
            ValueError: The file is closed.
        """
        start, size = self._next_span(size)
        if self._content is None:
            self._open_file()
            data = await run_blocking_io(self._load, start, size)
        else:
            data = self._load(start, size)
        self._position = start + len(data)
        return data

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk of 256 KiB."""
        if chunk := await self.read(CHUNK_SIZE):
            return chunk
        raise StopAsyncIteration

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next read or write.

        Args:
            offset: In bytes. It may be behind the end.
            whence: Relative to the start (0), to the position (1), or to the end (2).

        Returns:
            The new position.

        Raises:
            ValueError: The position is before the start, or ``whence`` is another number.
        """
        return self._seek(offset, whence)

    def _seek(self, offset: int, whence: int) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"{position} is before the start of the file")
        self._position = position
        return position

    async def write(self, data: bytes) -> int:
        """Write ``data`` at the position, and return its size. The file is then on disk.

        Raises:
            ValueError: The file is closed.
        """
        content = self._content
        if content is not None:
            file = TemporaryFile()
            await run_blocking_io(file.write, 0, [content])
            self._file, self._content = file, None
        else:
            file = self._open_file()
            if file.users > 1:
                # Other uploads have the bytes before and after its own.
                own = await run_blocking_io(file.copy, self._start, self.size)
                self._file, self._start = own, 0
                await run_blocking_io(file.close)
        await run_blocking_io(self._open_file().write, self._start + self._position, [data])
        self._position += len(data)
        self.size = max(self.size, self._position)
        return len(data)

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save the whole file as ``path``. No part of it is ever seen under that name.

        Args:
            path: A name that your application chose. The client's name could point to any folder,
                and have an extension that your server executes.
            overwrite: Replace an existing file.

        Raises:
            FileExistsError: The file exists, and ``overwrite`` is false.
            OSError: It cannot be written.
            ValueError: The upload is closed.
        """
        source = self._open_file() if self._content is None else self._content
        await run_blocking_io(_save, source, self._start, self.size, Path(path), overwrite)

    def detach(self) -> Self:
        """Keep the file open when its form is closed; the caller closes it then."""
        self._is_detached = True
        return self

    async def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        self._is_detached = False
        await close_uploads([self])

    def _next_span(self, size: int) -> tuple[int, int]:
        """Return the position, and the number of bytes that a read of ``size`` returns."""
        left = max(self.size - self._position, 0)
        return self._position, min(size, left) if size >= 0 else left

    def _load(self, start: int, size: int) -> bytes:
        content = self._content
        if content is None:
            return self._open_file().read(self._start + start, size)
        # A slice of all bytes is not a copy.
        return content[start : start + size]

    def _open_file(self) -> TemporaryFile:
        if self._file is None:
            raise ValueError("the file is closed: its form closes it, unless it was detached")
        return self._file


class _Reader(io.BufferedIOBase):
    """A read-only file object over an upload, whose position it shares."""

    def __init__(self, upload: UploadFile) -> None:
        self._upload = upload

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        upload = self._upload
        data = self._load(-1 if size is None else size)
        upload._position += len(data)
        return data

    read1 = read

    def peek(self, _size: int = 0, /) -> bytes:
        # readline() of the base class finds the end of a line by it.
        return self._load(PEEK_SIZE)

    def _load(self, size: int) -> bytes:
        if self.closed:
            raise ValueError("the file object is closed")
        return self._upload._load(*self._upload._next_span(size))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._upload._seek(offset, whence)

    def tell(self) -> int:
        return self._upload._position


def _read_all(file: BinaryIO) -> bytes:
    content: object = file.read()
    if not isinstance(content, bytes):
        raise TypeError(f"file= is a binary file object, not {file!r}")
    return content


def _save(
    source: bytes | TemporaryFile, start: int, size: int, path: Path, overwrite: object
) -> None:
    # In the same folder, since links and renames do not cross file systems.
    temporary = path.with_name(f".{os.urandom(16).hex()}.part")
    try:
        with temporary.open("xb") as target:
            if isinstance(source, bytes):
                target.write(source)
            else:
                for position in range(0, size, GATHER_SIZE):
                    chunk_size = min(GATHER_SIZE, size - position)
                    target.write(source.read(start + position, chunk_size))
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
    """Close the uploads that are not detached, in one call that cannot be cancelled half-way."""
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
