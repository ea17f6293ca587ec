"""Blocking reads of files, and calls in worker threads."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from asgikit import ContentLengthMismatch, HTTPError
from asgikit.http.ranges import Span
from asgikit.http.response_plan import Selection
from asgikit.responses.file_io import MOST_MESSAGES, FileReader, refusal, stat_file
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from pathlib import Path

on_both_loops = pytest.mark.anyio


@pytest.fixture
def tea(tmp_path: Path) -> Path:
    path = tmp_path / "tea.txt"
    path.write_bytes(b"0123456789")
    return path


def begin(
    path: Path, pieces: list[bytes | Span], chunk_size: int = 4
) -> tuple[FileReader, list[bytes]]:
    reader = FileReader(chunk_size)

    def choose() -> Selection:
        reader.open(str(path))
        return Selection(200, [], pieces)

    return reader, reader.begin(choose)[1]


def recorded(patches: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Record the calls of a function of ``os``."""
    calls: list[tuple[Any, ...]] = []
    function = getattr(os, name)

    def record(*args: Any) -> Any:
        calls.append(args)
        return function(*args)

    patches.setattr(os, name, record)
    return calls


@pytest.mark.parametrize("most", [0, 3, 6])
@pytest.mark.parametrize("start", [0, 2])
def test_read_that_returns_less_is_continued(
    tea: Path, most: int, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read
    sizes = iter([most])
    if most:
        monkeypatch.setattr(
            os, "read", lambda descriptor, size: read(descriptor, next(sizes, size))
        )
    reader, chunks = begin(tea, [Span(start, 10)], chunk_size=20)

    assert b"".join(chunks) == b"0123456789"[start:]
    assert reader.descriptor is None


def test_small_file_is_closed_after_the_first_read(tea: Path) -> None:
    reader, chunks = begin(tea, [Span(0, 10)])

    assert chunks == [b"0123", b"4567", b"89"]
    assert reader.descriptor is None


def test_segments_are_read_in_order(tea: Path) -> None:
    _, chunks = begin(tea, [b"<", Span(7, 9), b"|", Span(0, 5), b">"])

    assert chunks == [b"<", b"78", b"|", b"0123", b"4", b">"]


def test_selection_without_segments_closes_the_file(tea: Path) -> None:
    reader, chunks = begin(tea, [])

    assert (reader.descriptor, chunks) == (None, [])


KiB = 1024

READS = [
    # Bytes, chunk size, and the messages of each call.
    (256 * KiB, 256 * KiB, [[256]]),  # not longer than one chunk
    (257 * KiB, 256 * KiB, [[64, 64, 64, 64], [1]]),
    (1024 * KiB, 256 * KiB, [[64] * 4, [64] * 8, [64] * 4]),
    (10 * 1024 * KiB, 256 * KiB, [[64] * 4, [64] * 8, *[[64] * 16] * 8, [256] * 4, [256]]),
    (2048 * KiB, 2048 * KiB, [[2048]]),  # the caller's own choice
    (100 * KiB, 30 * KiB, [[30, 30, 30, 10]]),
]


@pytest.mark.parametrize(("size", "chunk_size", "calls"), READS, ids=range(len(READS)))
def test_read_amount_grows_while_send_does_not_wait(
    tmp_path: Path, size: int, chunk_size: int, calls: list[list[int]]
) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(size))
    reader, chunks = begin(path, [Span(0, size)], chunk_size)
    lengths = [[len(chunk) // KiB for chunk in chunks]]
    content = b"".join(chunks)
    while reader.segments:
        assert reader.descriptor is not None
        chunks = reader.read()
        lengths.append([len(chunk) // KiB for chunk in chunks])
        content += b"".join(chunks)
    reader.close()

    assert content == path.read_bytes()
    assert lengths == calls


def test_read_returns_few_messages_if_they_are_small(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"x" * (MOST_MESSAGES + 1))
    reader, chunks = begin(path, [Span(0, MOST_MESSAGES + 1)], 1)

    assert len(chunks) == MOST_MESSAGES
    assert reader.read() == [b"x"]
    assert reader.descriptor is None


def test_unread_chunks_are_read_again_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1024 * KiB))
    pieces: list[bytes | Span] = [b"<", Span(0, 512 * KiB), b"|", Span(100, 1024 * KiB), b">"]
    reader, first = begin(path, pieces, 256 * KiB)
    sent = [first[0], first[1]]

    assert reader.unread(len(first) - 2)
    reads = []
    while reader.segments:
        chunks = reader.read()
        reads.append(len(chunks))
        sent += chunks
        if reader.segments:
            assert reader.unread(0)
    reader.close()

    content = path.read_bytes()
    assert b"".join(sent) == b"<" + content[: 512 * KiB] + b"|" + content[100:] + b">"
    # A piece of bytes alone, or one message.
    assert set(reads) == {1}


def test_unread_keeps_the_chunks_of_a_closed_file(tea: Path) -> None:
    reader, chunks = begin(tea, [Span(0, 10)])

    assert not reader.unread(len(chunks))
    assert reader.segments == []


def test_many_readers_share_the_bytes_that_are_read_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(1024 * KiB))
    monkeypatch.setattr("asgikit.responses.file_io._MOST_AHEAD", 256 * KiB)
    readers = [begin(path, [Span(0, 1024 * KiB)], 256 * KiB)[0] for _ in range(4)]

    assert [len(reader.read()) for reader in readers] == [1] * 4
    for reader in readers[1:]:
        reader.close()
    assert len(readers[0].read()) == 4
    readers[0].close()


def test_read_of_a_shortened_file_raises(tea: Path) -> None:
    with pytest.raises(ContentLengthMismatch, match="shorter while it was sent: 2 bytes"):
        begin(tea, [Span(0, 12)], 100)
    with pytest.raises(ContentLengthMismatch):
        begin(tea, [Span(20, 30)])


def test_failed_read_closes_the_file(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = recorded(monkeypatch, "close")

    with pytest.raises(ContentLengthMismatch):
        begin(tea, [Span(0, 12)])
    assert len(closed) == 1


def test_read_asks_for_no_more_than_the_segment(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recorded(monkeypatch, "read")

    begin(tea, [Span(0, 10)], 1000)

    assert [size for _, size in asked] == [10]


def test_short_read_is_continued(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 3)))

    assert begin(tea, [Span(1, 9)], 100)[1] == [b"123", b"456", b"78"]


def test_read_without_open_file_raises() -> None:
    reader = FileReader(4)
    reader.segments = [Span(0, 1)]

    with pytest.raises(RuntimeError, match="no open file"):
        reader.read()


def test_second_close_does_nothing(tea: Path) -> None:
    reader = FileReader(4)
    reader.open(str(tea))
    reader.close()
    reader.close()

    assert reader.descriptor is None


def test_replace_opens_another_file(tea: Path) -> None:
    other = tea.with_name("other")
    other.write_bytes(b"abc")
    reader = FileReader(4)
    reader.open(str(tea))
    first = reader.descriptor

    assert reader.replace(str(tea.with_name("none"))) is None
    assert reader.descriptor == first
    looks = reader.replace(str(other))
    assert looks is not None
    assert looks.st_size == 3
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first or -1)
    reader.close()


def unservable(folder: Path) -> dict[str, str]:
    """Make one of everything that is no file to send."""
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "file").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    return {
        "missing": f"{folder}/missing",
        "empty": "",
        "folder": str(folder),
        "fifo": f"{folder}/fifo",
        "socket": f"{folder}/socket",
        "device": "/dev/null",
        "loop": f"{folder}/loop",
        "below a file": f"{folder}/file/file",
        "long name": f"{folder}/{'x' * 300}",
        "long path": f"{folder}/{'x/' * 3000}",
        "NUL": f"{folder}/file\0.txt",
        "surrogate": f"{folder}/\ud800",
    }


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "empty",
        "folder",
        "fifo",
        "socket",
        "device",
        "loop",
        "below a file",
        "long name",
        "long path",
        "NUL",
        "surrogate",
    ],
)
@pytest.mark.parametrize("look", [FileReader(1).open, stat_file], ids=["open", "look"])
def test_open_of_no_regular_file_is_404(look: Any, kind: str, tmp_path: Path) -> None:
    path = unservable(tmp_path)[kind]

    with pytest.raises(HTTPError) as caught:
        look(path)

    assert caught.value.status_code == 404
    # It says nothing of the machine.
    assert caught.value.detail is None


def test_open_folder_is_closed_again(tmp_path: Path) -> None:
    reader = FileReader(1)
    with pytest.raises(HTTPError):
        reader.open(str(tmp_path))

    assert reader.descriptor is None


def test_stat_file_does_not_open_the_file(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = recorded(monkeypatch, "open")

    assert stat_file(str(tea)).st_size == 10
    assert opened == []


@pytest.mark.parametrize(
    ("number", "status_code"),
    [
        (errno.EACCES, 403),
        (errno.EPERM, 403),
        (errno.ENOENT, 404),
        (errno.EIO, None),
        (errno.EMFILE, None),
        (errno.ENOMEM, None),
    ],
)
@pytest.mark.parametrize("look", [FileReader(1).open, stat_file], ids=["open", "look"])
def test_open_error_is_answered_if_the_name_is_at_fault(
    look: Any, number: int, status_code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number))

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patches:
        patches.setattr(os, "open", fail)
        patches.setattr(os, "stat", fail)
        with pytest.raises((HTTPError, OSError)) as caught:
            look("tea")

    answer = refusal(error)
    assert (answer and answer.status_code) == status_code
    if status_code is None:
        assert caught.value is error
    else:
        assert isinstance(caught.value, HTTPError)
        assert caught.value.status_code == status_code


@on_both_loops
async def test_run_blocking_io_returns_the_result() -> None:
    assert await run_blocking_io(threading.get_ident) != threading.get_ident()


@on_both_loops
async def test_run_blocking_io_raises_the_error() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_blocking_io(lambda: 1 // 0)


@on_both_loops
async def test_many_blocking_calls_at_once_all_return() -> None:
    results: list[int] = []

    async def one(number: int) -> None:
        results.append(await run_blocking_io(lambda: number))

    async with anyio.create_task_group() as group:
        for number in range(500):
            group.start_soon(one, number)

    assert sorted(results) == list(range(500))


@on_both_loops
async def test_cancelled_blocking_call_waits_for_its_thread() -> None:
    started, release = threading.Event(), threading.Event()
    ended: list[bool] = []

    def work() -> None:
        started.set()
        assert release.wait(20)
        ended.append(True)

    async def let_go() -> None:
        while not started.is_set():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
        # Time to run away, if the wait could be left.
        for _ in range(10):
            await anyio.lowlevel.cancel_shielded_checkpoint()
        assert ended == []
        release.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(let_go)
            try:
                await run_blocking_io(work)
            finally:
                assert ended == [True]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_process_starts_its_own_threads() -> None:
    async def work() -> int:
        with anyio.fail_after(20):
            return await run_blocking_io(lambda: 7)

    assert anyio.run(work) == 7
    child = os.fork()
    if not child:
        code = 1
        try:
            code = anyio.run(work)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_task_cancelled_repeatedly_waits_for_its_thread() -> None:
    started, release = threading.Event(), threading.Event()
    ended: list[bool] = []

    def work() -> None:
        started.set()
        assert release.wait(20)
        ended.append(True)

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(run_blocking_io(work))
        while not started.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    asyncio.run(main())


def test_task_cancelled_after_its_thread_ended_is_cancelled() -> None:
    async def main() -> None:
        ended = threading.Event()
        task = asyncio.get_running_loop().create_task(run_blocking_io(ended.set))
        await asyncio.sleep(0)
        # The loop learns of the end in its next turn.
        assert ended.wait(20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
