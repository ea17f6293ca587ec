"""Uploads: reading, writing, saving, the spool, and the threads that do it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import gc
import io
import os
import shutil
import tempfile
import threading
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from asgikit.forms import temporary_file, uploads
from asgikit.forms.part_reader import PartHead
from asgikit.forms.spool import SMALL, Spool
from asgikit.forms.temporary_file import GATHER_SIZE, TemporaryFile
from asgikit.forms.uploads import UploadFile, close_uploads
from asgikit.http.disposition import FormDisposition
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4


def head(name: str = "f", filename: str = "x.txt") -> PartHead:
    return PartHead(
        FormDisposition(name, filename, filename), "a/b", [(b"content-type", b"a/b")]
    )  # fmt: skip


async def receive(*pieces: bytes | memoryview, size: int) -> UploadFile:
    """Return an upload of ``pieces`` as a form makes it, in memory up to ``size`` bytes."""
    spool = Spool(size)
    file = spool.begin(head())
    for piece in pieces:
        spool.add(file, piece)
        if spool.pending_size >= GATHER_SIZE:
            await spool.flush()
    spool.end(file)
    if spool.pending_size:
        await spool.flush()
    return file


@pytest.fixture(params=["memory", "disk"])
async def file(request: pytest.FixtureRequest) -> UploadFile:
    """``DATA`` as an upload, in memory and on disk."""
    return await receive(DATA[:100], DATA[100:], size=0 if request.param == "disk" else 10_000)


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def descriptors() -> int:
    """Return the number of open files of this process."""
    return len(os.listdir("/dev/fd"))


async def test_upload_is_read_whole_and_in_chunks(file: UploadFile) -> None:
    assert (file.size, await file.read()) == (1024, DATA)
    assert await file.read() == await file.read(10) == b""

    assert await file.seek(0) == 0
    assert await file.read(0) == b""
    assert [await file.read(1000), await file.read(1000)] == [DATA[:1000], DATA[1000:]]
    await file.close()


async def test_file_is_async_iterator_of_chunks(
    file: UploadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "CHUNK_SIZE", 500)
    await file.seek(4)

    assert [chunk async for chunk in file] == [DATA[4:504], DATA[504:1004], DATA[1004:]]
    await file.close()


@pytest.mark.parametrize(
    ("offset", "whence", "position"),
    [(5, os.SEEK_SET, 5), (-3, os.SEEK_CUR, 7), (-24, os.SEEK_END, 1000), (9, os.SEEK_END, 1033)],
)
async def test_seek_is_relative_to_start_position_or_end(
    file: UploadFile, offset: int, whence: int, position: int
) -> None:
    await file.read(10)

    assert await file.seek(offset, whence) == position
    assert await file.read() == DATA[position:]
    await file.close()


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-1025, 2), (0, 3)])
async def test_malformed_seek_is_refused(file: UploadFile, offset: int, whence: int) -> None:
    with pytest.raises(ValueError, match=r"before the start|whence is"):
        await file.seek(offset, whence)
    await file.close()


async def test_upload_is_written_at_its_position(file: UploadFile) -> None:
    await file.seek(1020)
    assert await file.write(b"abcdefgh") == 8
    assert file.size == 1028

    await file.seek(2)
    await file.write(b"xy")
    await file.seek(1030)
    await file.write(b".")

    await file.seek(0)
    expected = DATA[:2] + b"xy" + DATA[4:1020] + b"abcdefgh\0\0."
    assert (file.size, await file.read()) == (1031, expected)
    await file.close()


async def test_closed_upload_raises_value_error(file: UploadFile) -> None:
    await file.close()
    await file.close()

    for use in (file.read(), file.write(b""), file.save("never")):
        with pytest.raises(ValueError, match="the file is closed"):
            await use


async def test_upload_has_the_headers_of_its_part() -> None:
    file = UploadFile(
        "f",
        "x.txt",
        raw_filename="C:\\x.txt",
        headers=[(b"content-type", b"a/b"), (b"x-other", b"1")],
    )

    assert (file.name, file.filename, file.raw_filename) == ("f", "x.txt", "C:\\x.txt")
    assert (file.content_type, file.headers["X-Other"]) == ("a/b", "1")
    assert UploadFile("f", "x.txt").raw_filename == "x.txt"
    assert UploadFile("f", "x.txt").content_type is None


@pytest.mark.parametrize(
    ("file", "is_true"),
    [
        (UploadFile("f", ""), False),  # an input that was left empty
        (UploadFile("f", "x"), True),
        (UploadFile("f", "", b"x"), True),
    ],
)
def test_file_is_false_without_name_and_without_bytes(file: UploadFile, *, is_true: bool) -> None:
    assert bool(file) is is_true


def test_upload_repr_escapes_the_names() -> None:
    assert repr(UploadFile("a\n", "\x1b", b"v")) == r"<UploadFile 'a\n': '\x1b', 1 bytes>"


async def test_saved_upload_is_complete_and_alone(file: UploadFile, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    await file.read(7)

    await file.save(path)
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["saved"]
    # It has the permissions of a new file, not those of a temporary file.
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    # The position has not changed.
    assert await file.read(2) == DATA[7:9]
    await file.close()


async def test_large_upload_is_saved_in_chunks(tmp_path: Path) -> None:
    data = os.urandom(2 * GATHER_SIZE + 5)
    file = await receive(data, size=0)

    await file.save(str(tmp_path / "saved"))
    assert (tmp_path / "saved").read_bytes() == data
    await file.close()


async def test_save_replaces_a_file_only_with_overwrite(file: UploadFile, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_bytes(b"before")

    with pytest.raises(FileExistsError):
        await file.save(path)
    assert path.read_bytes() == b"before"

    await file.save(path, overwrite=True)
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["there"]
    await file.close()


async def test_failed_save_leaves_no_file(file: UploadFile, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await file.save(tmp_path / "no folder" / "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        await file.save(tmp_path / "folder", overwrite=True)

    assert names(tmp_path) == ["folder"]
    await file.close()


NO_LINKS = [
    OSError(errno.EPERM, "exFAT, protected_hardlinks"),
    OSError(errno.EACCES, "some FUSE file systems"),
    OSError(errno.ENOTSUP, "Azure Files"),
    OSError(errno.ENOSYS, "blobfuse, rclone"),
    OSError(errno.EMLINK, "the limit of links is 1"),
    OSError(errno.EXDEV, "overlays"),
    OSError(errno.EINVAL, "Windows, on FAT32"),
    NotImplementedError("a platform without os.link"),
]


@pytest.fixture(params=NO_LINKS, ids=str)
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise request.param

    monkeypatch.setattr(os, "link", fail)


@pytest.mark.usefixtures("no_links")
async def test_save_without_hard_links_writes_whole_file(file: UploadFile, tmp_path: Path) -> None:
    await file.save(tmp_path / "saved")

    assert (tmp_path / "saved").read_bytes() == DATA
    assert names(tmp_path) == ["saved"]
    await file.close()


@pytest.mark.usefixtures("no_links")
@pytest.mark.parametrize("is_link", [False, True])
async def test_save_without_hard_links_replaces_nothing(
    file: UploadFile, tmp_path: Path, *, is_link: bool
) -> None:
    path = tmp_path / "there"
    if is_link:
        path.symlink_to("nothing")
    else:
        path.write_bytes(b"before")

    with pytest.raises(FileExistsError):
        await file.save(path)
    assert path.is_symlink() if is_link else path.read_bytes() == b"before"
    assert names(tmp_path) == ["there"]

    await file.save(path, overwrite=True)
    assert path.read_bytes() == DATA
    await file.close()


@pytest.mark.usefixtures("no_links")
async def test_save_without_hard_links_leaves_nothing_on_error(
    file: UploadFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "disk error")

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match="disk error"):
        await file.save(tmp_path / "saved")

    assert names(tmp_path) == []
    await file.close()


@pytest.mark.usefixtures("no_links")
async def test_concurrent_saves_without_hard_links_have_one_winner(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    outcomes: list[bool] = []

    async def save(data: bytes) -> None:
        try:
            await UploadFile("f", "x", data).save(path)
        except FileExistsError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(save, bytes([number]) * 1000)

    assert sorted(outcomes) == [False] * 4 + [True]
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 1000
    assert names(tmp_path) == ["saved"]


async def test_detached_upload_stays_open(file: UploadFile) -> None:
    other = await receive(DATA, size=0)
    mine = file.detach()
    assert mine is file

    await close_uploads([file, other])

    assert await mine.read() == DATA
    with pytest.raises(ValueError, match="closed"):
        await other.read()
    await mine.close()
    with pytest.raises(ValueError, match="closed"):
        await mine.read()


# The spool.


@pytest.mark.parametrize(
    ("sizes", "on_disk"),
    [
        ([10, 20, 70], [False, False, False]),
        ([101], [True]),
        ([60, 41], [False, True]),
        # A file that moves to disk frees its share for the next ones.
        ([60, 41, 40, 1], [False, True, False, True]),
        ([0, 100, 0, 1], [False, False, False, True]),
    ],
)
async def test_files_stay_in_memory_below_the_spool_size(
    sizes: list[int], on_disk: list[bool]
) -> None:
    spool = Spool(100)
    before = descriptors()
    files = []
    for size in sizes:
        file = spool.begin(head())
        for _ in range(size):
            spool.add(file, b"x")
        spool.end(file)
        files.append(file)
    if spool.pending_size:
        await spool.flush()

    assert [file._content is None for file in files] == on_disk
    assert descriptors() - before == any(on_disk)  # one file for all of them
    assert [(file.size, await file.read()) for file in files] == [
        (size, b"x" * size) for size in sizes
    ]
    await close_uploads(files)
    assert descriptors() == before


async def test_chunks_of_any_size_are_joined() -> None:
    pieces: list[bytes | memoryview] = [
        b"a" * 5,
        b"b" * SMALL,
        b"c",
        b"d" * 9,
        memoryview(b"e" * SMALL),
        b"f" * SMALL,
    ]
    expected = b"".join(pieces)

    for size in (0, GATHER_SIZE):
        file = await receive(*pieces, size=size)
        assert await file.read() == expected
        await file.close()


async def test_upload_flushed_many_times_is_complete() -> None:
    pieces = [os.urandom(300_000) for _ in range(12)]
    file = await receive(*pieces, size=GATHER_SIZE)

    assert await file.read() == b"".join(pieces)
    await file.close()


async def test_upload_that_ends_with_a_flush_is_complete() -> None:
    spool = Spool(0)
    for _ in range(2):
        spool.add(spool.begin(head()), b"x" * GATHER_SIZE)
        await spool.flush()

    assert [await file.read() for file in spool.uploads] == [b"x" * GATHER_SIZE] * 2
    await close_uploads(spool.uploads)


async def receive_three() -> list[UploadFile]:
    """Return three uploads that are parts of one temporary file."""
    spool = Spool(0)
    for letter in b"abc":
        upload = spool.begin(head())
        for _ in range(3):
            spool.add(upload, bytes([letter]) * 1000)
        spool.end(upload)
    await spool.flush()
    return spool.uploads


async def test_files_of_form_are_parts_of_one_temporary_file(tmp_path: Path) -> None:
    before = descriptors()
    uploads = await receive_three()

    assert descriptors() - before == 1
    assert [await file.read() for file in uploads] == [b"a" * 3000, b"b" * 3000, b"c" * 3000]
    for number, file in enumerate(uploads):
        await file.seek(-10, os.SEEK_END)
        assert await file.read(100) == b"abc"[number : number + 1] * 10
        await file.save(tmp_path / str(number))
    assert [(tmp_path / str(number)).read_bytes() for number in range(3)] == [
        b"a" * 3000, b"b" * 3000, b"c" * 3000,
    ]  # fmt: skip
    await close_uploads(uploads)
    assert descriptors() == before


async def test_upload_that_is_written_leaves_others_as_they_are() -> None:
    before = descriptors()
    first, second, third = await receive_three()

    await second.seek(0, os.SEEK_END)
    await second.write(b"x" * 5000)  # longer than the room that it had
    await second.seek(0)
    await second.write(b"y")

    assert descriptors() - before == 2
    await second.seek(0)
    assert await second.read() == b"y" + b"b" * 2999 + b"x" * 5000
    assert await first.read() == b"a" * 3000
    assert await third.read() == b"c" * 3000
    await close_uploads([first, second, third])
    assert descriptors() == before


async def test_last_upload_of_form_is_written_in_place() -> None:
    before = descriptors()
    first, second, third = await receive_three()

    await close_uploads([first, second])
    await third.write(b"x")
    await third.seek(0)

    assert descriptors() - before == 1
    assert await third.read() == b"x" + b"c" * 2999
    await third.close()
    assert descriptors() == before


async def test_detached_upload_is_read_after_others_are_closed() -> None:
    before = descriptors()
    uploads = await receive_three()

    uploads[1].detach()
    await close_uploads(uploads)
    await close_uploads(uploads)  # a second time does nothing

    assert await uploads[1].read() == b"b" * 3000
    await uploads[1].close()
    assert descriptors() == before


async def test_small_pending_chunks_are_joined() -> None:
    spool = Spool(0)
    file = spool.begin(head())
    for _ in range(1000):
        spool.add(file, b"xy")

    assert spool.pending_size == 2000
    assert [len(pieces) for _, _, pieces in spool._queue] == [1]


# The disk.


class Recorder:
    """A record of the threads that touch the files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: dict[str, set[int]] = {}
        for name in ("open", "dup", "write", "writev", "read", "lseek", "close", "link", "unlink"):
            self.watch(monkeypatch, os, name)
        self.watch(monkeypatch, tempfile, "TemporaryFile")

    def watch(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        function = getattr(module, name)
        threads = self.threads.setdefault(name, set())

        def recorded(*args: Any, **kwargs: Any) -> Any:
            threads.add(threading.get_ident())
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, recorded)
        if name == "writev":
            monkeypatch.setattr(temporary_file, "_write_chunks", recorded)


async def test_no_file_is_touched_on_event_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        recorder = Recorder(patch)
        file = await receive(DATA, size=0)
        await file.read()
        await file.seek(0)
        await file.write(b"x")
        await file.save(tmp_path / "x")
        await file.close()

    threads = recorder.threads
    assert {name for name, idents in threads.items() if idents} >= {
        "TemporaryFile", "dup", "writev", "lseek", "read", "close",
    }  # fmt: skip
    assert threading.get_ident() not in set[int]().union(*threads.values())


async def test_upload_in_memory_is_read_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    file = await receive(DATA, size=10_000)
    monkeypatch.setattr(uploads, "run_blocking_io", None)

    assert await file.read() == DATA
    await file.close()


async def test_short_write_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    def writev(descriptor: int, pieces: Sequence[bytes]) -> int:
        return os.write(descriptor, pieces[0][:3])

    monkeypatch.setattr(temporary_file, "_write_chunks", writev)
    file = await receive(DATA, DATA, size=0)

    assert await file.read() == DATA + DATA
    await file.close()


async def test_short_read_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    file = await receive(DATA, size=0)
    read = os.read
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 1000)))
        assert await file.read() == DATA
    await file.close()


def test_upload_is_written_without_writev() -> None:
    file = TemporaryFile()
    file.write(0, [b"a"])
    os.lseek(file._descriptor, 0, os.SEEK_END)
    assert temporary_file._write_joined(file._descriptor, [b"b", bytearray(b"c")]) == 2

    assert file.read(0, 10) == b"abc"
    file.close()


async def test_unclosed_upload_is_closed_without_a_warning() -> None:
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = await receive(DATA, size=0)
        assert descriptors() == before + 1
        gc.disable()
        try:
            del file
            # The thread that has written it lets go of it in its own time.
            with anyio.fail_after(10):
                while descriptors() > before:  # noqa: ASYNC110 - of that, no event tells
                    await anyio.sleep(0.001)
        finally:
            gc.enable()


async def test_full_disk_raises_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary_file, "_write_chunks", full)
    with pytest.raises(OSError, match="No space left"):
        await receive(DATA, size=0)


# The hop.


async def test_blocking_function_returns_or_raises_from_its_thread() -> None:
    assert await run_blocking_io(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await run_blocking_io(divmod, 1, 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_cancelled_caller_waits_for_end_of_thread(*, fails: bool) -> None:
    started, release = threading.Event(), threading.Event()
    ended = False

    def work() -> None:
        nonlocal ended
        started.set()
        release.wait(10)
        ended = True
        if fails:
            raise ValueError("not reported")

    async def watch() -> None:
        with contextlib.suppress(ValueError):
            await run_blocking_io(work)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.to_thread.run_sync(started.wait, 10)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                assert not ended
                release.set()
    assert ended


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_task_that_is_cancelled_twice_still_waits() -> None:
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(10)

    task = asyncio.create_task(run_blocking_io(work))
    await anyio.to_thread.run_sync(started.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_file_is_closed_by_task_that_is_cancelled_already() -> None:
    before = descriptors()
    file = await receive(DATA, size=0)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await file.close()

    assert descriptors() == before


# Uploads made by hand, and their file objects.


@pytest.mark.parametrize("content", [b"", b"abc"])
async def test_upload_made_of_file_has_its_bytes(content: bytes) -> None:
    upload = UploadFile(
        file=io.BytesIO(content), filename="a.png", headers={"Content-Type": "image/png"}
    )

    assert (upload.name, upload.filename, upload.raw_filename) == ("", "a.png", "a.png")
    assert upload.size == len(content)
    assert upload.content_type == "image/png"
    assert await upload.read() == content


def test_upload_made_of_open_file_starts_at_its_position(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123")
    with (tmp_path / "x").open("rb") as file:
        file.seek(2)
        upload = UploadFile("f", file=file)

    assert upload.file.read() == b"23"


def test_upload_made_of_text_file_is_refused() -> None:
    with pytest.raises(TypeError, match="binary file object"):
        UploadFile(file=io.StringIO("x"))  # type: ignore[arg-type]  # tested


async def test_file_object_shares_its_position_with_upload(file: UploadFile) -> None:
    assert file.file.read(10) == DATA[:10]
    assert await file.read(10) == DATA[10:20]
    assert file.file.tell() == 20
    assert file.file.seek(-4, os.SEEK_END) == len(DATA) - 4
    assert await file.read() == DATA[-4:]
    assert file.file.read() == b""
    assert await file.seek(0) == 0
    assert file.file.read(None) == DATA  # type: ignore[arg-type]  # as io.RawIOBase takes it
    await file.close()


async def test_file_object_reads_like_file(file: UploadFile) -> None:
    expected = io.BytesIO(DATA)
    buffer = bytearray(100)

    assert file.file.readable()
    assert file.file.seekable()
    assert not file.file.writable()
    assert file.file.readline() == expected.readline()
    assert file.file.readline(5) == expected.readline(5)
    assert file.file.readlines() == expected.readlines()
    file.file.seek(0)
    assert file.file.readinto(buffer) == 100  # type: ignore[attr-defined]  # of BufferedIOBase
    assert bytes(buffer) == DATA[:100]
    with pytest.raises(io.UnsupportedOperation):
        file.file.write(b"x")
    await file.close()


async def test_file_object_is_read_by_standard_library(tmp_path: Path) -> None:
    table = await receive(b"tea,cups\r\ngreen,2\r\n", size=0)
    rows = list(csv.reader(io.TextIOWrapper(table.file, "utf-8", newline="")))
    assert rows == [["tea", "cups"], ["green", "2"]]

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.txt", "x" * 20_000)
    upload = await receive(archive.getvalue(), size=0)
    with zipfile.ZipFile(upload.file) as reader:
        assert reader.read("a.txt") == b"x" * 20_000
    with (tmp_path / "copy").open("wb") as copy:
        upload.file.seek(0)
        shutil.copyfileobj(upload.file, copy)
    assert (tmp_path / "copy").read_bytes() == archive.getvalue()
    for each in (table, upload):
        await each.close()


async def test_closed_file_object_leaves_upload_open(file: UploadFile) -> None:
    with file.file as reader:
        assert reader.read(1) == DATA[:1]
    with pytest.raises(ValueError, match="closed"):
        reader.read()

    assert await file.read(1) == DATA[1:2]
    await file.close()
    with pytest.raises(ValueError, match="its form closes it"):
        file.file.read()
