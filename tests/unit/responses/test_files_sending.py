"""Sending files: unusual files, faults, disconnects, and descriptors that must be closed."""

from __future__ import annotations

import errno
import fcntl
import functools
import gc
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from asgikit import ContentLengthMismatch, HTTPError, StaticFiles
from asgikit.responses.file_io import (
    FIRST_READ,
    LARGEST_READ,
    MOST_MESSAGES,
    FileReader,
    is_virtual,
)
from asgikit.responses.file_sending import _send_selection  # the general path, for comparison
from asgikit.responses.files import FileResponse
from asgikit.runtime.threads import run_blocking_io
from asgikit.testing import exchange
from tests.support.open_files import open_paths_below
from tests.support.streams import completes_after_early_disconnect

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgikit.http.response_plan import Selection
    from asgikit.types import Message, Send

pytestmark = pytest.mark.anyio

PATHSEND: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}
WHOLE = b"0123456789"
RANGES: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"range", b"bytes=1-5")],
    [(b"range", b"bytes=-1")],
]
# Bytes of a message of a long file.
SMALL_MESSAGE = 64 * 1024


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.txt"
    path.write_bytes(WHOLE)
    return path


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A file of many hops, in messages of one byte."""
    path = tmp_path / "long"
    path.write_bytes(b"x" * (3 * MOST_MESSAGES))
    return path


# Paths that lead to no regular file.


@pytest.fixture
def unservable(tmp_path: Path) -> dict[str, str]:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    return {
        "missing": f"{tmp_path}/missing",
        "folder": str(tmp_path),
        "fifo": f"{tmp_path}/fifo",
        "socket": f"{tmp_path}/socket",
        "device": "/dev/null",
        "loop": f"{tmp_path}/loop",
        "below a file": f"{tmp_path}/file/file",
        "long": f"{tmp_path}/{'x' * 300}",
        "NUL": f"{tmp_path}/file\0",
        "surrogate": f"{tmp_path}/\ud800",
    }


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "folder",
        "fifo",
        "socket",
        "device",
        "loop",
        "below a file",
        "long",
        "NUL",
        "surrogate",
    ],
)
@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_path_to_no_regular_file_is_404_without_blocking(
    unservable: dict[str, str], kind: str, method: str, offered: dict[str, Any]
) -> None:
    ran: list[bool] = []
    response = FileResponse(
        unservable[kind], headers={"x-own": "1"}, background=lambda: ran.append(True)
    )
    with anyio.fail_after(10):
        answer = await exchange(response, method, scope=offered)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-own"] == "1"
    assert "etag" not in answer.headers
    assert answer.body == (
        b"" if method == "HEAD" else b'{"type":"about:blank","title":"Not Found","status":404}'
    )
    assert ran == [True]


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
async def test_unreadable_file_response_is_403(
    digits: Path, number: int, offered: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patches:
        patches.setattr(os, "open", functools.partial(fail, number))
        patches.setattr(os, "stat", functools.partial(fail, number))
        answer = await exchange(FileResponse(digits), scope=offered)

    assert answer.status_code == 403
    assert answer.json()["title"] == "Forbidden"


def fail(number: int, *_: Any, **__: Any) -> Any:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("broken", ["open", "fstat", "read"])
async def test_disk_error_is_raised_before_the_start(
    digits: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[bool] = []
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with monkeypatch.context() as patches:
        patches.setattr(os, broken, functools.partial(fail, errno.EIO))
        response = FileResponse(digits, background=lambda: ran.append(True))
        with pytest.raises(OSError, match="Input/output"):
            await response(never, send)

    assert sent == []
    assert ran == [True]
    assert open_paths_below(digits) == []


async def never() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def test_file_renamed_while_sent_is_sent_to_its_end(long: Path) -> None:
    def replace() -> None:
        long.rename(long.with_name("old"))
        long.write_bytes(b"y")

    body, error = await send_and(long, replace)

    assert error is None
    assert body == b"x" * (3 * MOST_MESSAGES)


async def test_file_deleted_before_sending_is_404(digits: Path) -> None:
    response = FileResponse(digits)
    os.unlink(digits)

    assert (await exchange(response)).status_code == 404


async def test_growing_file_sends_its_content_length(long: Path) -> None:
    def grow() -> None:
        with long.open("ab") as file:
            file.write(b"y" * 1000)

    body, error = await send_and(long, grow)

    assert error is None
    assert body == b"x" * (3 * MOST_MESSAGES)


async def test_shrinking_file_raises_content_length_mismatch(long: Path) -> None:
    body, error = await send_and(long, lambda: os.truncate(long, MOST_MESSAGES + 1))

    assert isinstance(error, ContentLengthMismatch)
    assert len(body) < 3 * MOST_MESSAGES
    assert open_paths_below(long) == []


async def send_and(path: Path, interfere: Callable[[], object]) -> tuple[bytes, Exception | None]:
    """Send a file of three hops, and do something to it in the first one."""
    body = b""

    async def send(message: Message) -> None:
        nonlocal body
        if not body and message["type"] == "http.response.body":
            interfere()
        body += message.get("body", b"")

    try:
        await FileResponse(path, chunk_size=1)(never, send)
    except ContentLengthMismatch as error:
        return body, error
    return body, None


# Threads and messages.


async def test_disk_calls_run_in_worker_threads(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watch(patches: pytest.MonkeyPatch, name: str) -> None:
        function = getattr(os, name)

        def watched(*args: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                seen.append(name)
            return function(*args, **named)

        patches.setattr(os, name, watched)

    with monkeypatch.context() as patches:
        for name in ("open", "fstat", "stat", "lseek", "read", "close"):
            watch(patches, name)
        response = FileResponse(long, chunk_size=1)
        await exchange(response)
        await exchange(response, headers={"range": "bytes=0-9,100-109"})
        await exchange(response, disconnect_after=5)

    assert seen == []


async def test_messages_have_chunk_size_and_more_body(digits: Path) -> None:
    answer = await exchange(FileResponse(digits, chunk_size=4))
    bodies = [(m["body"], m["more_body"]) for m in answer.messages[1:]]

    assert bodies == [(b"0123", True), (b"4567", True), (b"89", False)]


@pytest.mark.parametrize(
    ("size", "on_asyncio", "on_trio"),
    [
        (0, 1, 1),
        (FIRST_READ, 1, 1),
        (FIRST_READ + 1, 2, 2),
        # 256 KiB, 512 KiB, 1 MiB, 1 MiB, 256 KiB
        (3 * LARGEST_READ, 5, 12),
        # ..., 512 KiB; and a call that closes the file, which `unread` may have needed
        (3 * LARGEST_READ + FIRST_READ, 6, 13),
    ],
)
async def test_file_is_read_in_few_calls(
    tmp_path: Path,
    anyio_backend_name: str,
    size: int,
    on_asyncio: int,
    on_trio: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * size)
    count = 0

    async def counted(function: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return await run_blocking_io(function, *arguments)

    monkeypatch.setattr("asgikit.responses.file_sending.run_blocking_io", counted)

    sent = 0

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    await FileResponse(path)(never, send)

    assert sent == size
    assert count == (on_asyncio if anyio_backend_name == "asyncio" else on_trio)


async def test_client_that_never_reads_holds_one_first_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (4 * LARGEST_READ))
    read_so_far = 0
    read = os.read

    def counted(descriptor: int, size: int) -> bytes:
        nonlocal read_so_far
        if size >= 1000:  # the event loop reads its own wake-ups
            read_so_far += size
        return read(descriptor, size)

    stalled = anyio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            stalled.set()
            await anyio.sleep_forever()

    monkeypatch.setattr(os, "read", counted)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(FileResponse(path).__call__, never, send)
            await stalled.wait()
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    assert read_so_far == FIRST_READ
    assert open_paths_below(path) == []


async def test_stalled_client_holds_two_messages(tmp_path: Path, anyio_backend_name: str) -> None:
    """The client takes 3 MiB at once, then stalls for a while, twice."""
    path = tmp_path / "large"
    content = os.urandom(8 * LARGEST_READ)
    path.write_bytes(content)
    held: list[int] = []
    body = b""

    async def send(message: Message) -> None:
        nonlocal body
        before, body = len(body), body + message.get("body", b"")
        if before // (3 * LARGEST_READ) != len(body) // (3 * LARGEST_READ):
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            gc.collect()
            chunks = [thing for thing in gc.get_objects() if type(thing) is list]
            held.append(sum(is_chunks(thing) for thing in chunks))

    def is_chunks(thing: list[Any]) -> int:
        """Return the bytes of a list of file chunks."""
        return sum(
            len(chunk) for chunk in thing if type(chunk) is bytes and len(chunk) == SMALL_MESSAGE
        )

    await FileResponse(path)(never, send)

    assert body == content
    assert len(held) == 2
    assert max(held) <= (0 if anyio_backend_name == "asyncio" else FIRST_READ)


@pytest.mark.parametrize("kind", ["start", "body"])
async def test_send_timeout_ends_a_response_to_a_stalled_client(
    long: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[bool] = []

    async def send(message: Message) -> None:
        if message["type"] == f"http.response.{kind}":
            await anyio.sleep_forever()

    response = FileResponse(
        long, chunk_size=1, send_timeout=0.01, background=lambda: ran.append(True)
    )
    with anyio.fail_after(20), caplog.at_level("DEBUG", logger="asgikit"):
        await response(never, send)

    assert "the client took no message for 0.01 seconds" in caplog.text
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert open_paths_below(long) == []
    assert ran == [True]


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_send_timeout_does_not_end_a_slow_download(
    digits: Path, seconds: float | None
) -> None:
    body = b""

    async def send(message: Message) -> None:
        nonlocal body
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        body += message.get("body", b"")

    with anyio.fail_after(20):
        await FileResponse(digits, chunk_size=1, send_timeout=seconds)(never, send)

    assert body == WHOLE


@pytest.mark.parametrize("kind", ["start", "body"])
async def test_send_timeout_ends_a_response_with_one_message(
    digits: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(message: Message) -> None:
        if message["type"] == f"http.response.{kind}":
            await anyio.sleep_forever()

    with anyio.fail_after(20), caplog.at_level("DEBUG", logger="asgikit"):
        await FileResponse(digits, send_timeout=0.01)(never, send)

    assert "the client took no message for 0.01 seconds" in caplog.text


@pytest.mark.parametrize("size", [0, 1, 10, FIRST_READ, FIRST_READ + 1])
async def test_fast_path_of_a_small_file_sends_as_the_general_path(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small"
    path.write_bytes(os.urandom(size))

    async def send_whole(
        selection: Selection, chunks: list[bytes], send: Send, seconds: float | None
    ) -> None:
        await _send_selection(selection, chunks, send, FileReader(FIRST_READ), seconds)

    fast = [(await exchange(FileResponse(path), headers=range_of)).messages for range_of in RANGES]
    monkeypatch.setattr(FileReader, "_read_small", lambda *arguments: None)
    monkeypatch.setattr("asgikit.responses.file_sending._send_whole", send_whole)
    general = [
        (await exchange(FileResponse(path), headers=range_of)).messages for range_of in RANGES
    ]

    assert fast == general


def test_send_timeout_is_two_minutes_by_default() -> None:
    assert FileResponse("digits.txt").send_timeout == 120


MEMORY = """
import anyio, resource, sys
from asgikit.responses.files import FileResponse

async def send(message):
    global total
    total += len(message.get("body", b""))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main():
    global total
    total = 0
    # So that all that a sending needs is there.
    scope = {"type": "http", "method": "GET", "headers": [(b"range", b"bytes=0-9999999")]}
    await FileResponse(sys.argv[1])(scope, anyio.sleep_forever, send)
    before, total = peak(), 0
    await FileResponse(sys.argv[1])(anyio.sleep_forever, send)
    print(total, peak() - before)

anyio.run(main, backend=sys.argv[2])
"""


async def test_memory_does_not_grow_with_file_size(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 1 << 30)
    done = await anyio.run_process([sys.executable, "-c", MEMORY, str(path), anyio_backend])
    total, growth = map(int, done.stdout.split())

    assert total == 1 << 30
    assert growth < 16 * LARGEST_READ


# The end of it.


@pytest.mark.parametrize("after", [0, 1, 2, 70])
@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_disconnect_ends_reads_of_a_file(long: Path, after: int, version: str) -> None:
    ran: list[bool] = []
    response = FileResponse(long, chunk_size=1, background=lambda: ran.append(True))
    with anyio.fail_after(20):
        answer = await exchange(
            response,
            disconnect_after=after,
            scope={"asgi": {"version": "3.0", "spec_version": version}},
        )

    assert len(answer.messages) == after
    assert open_paths_below(long) == []
    assert ran == [True]


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
@pytest.mark.parametrize("after", [0, 1])
async def test_oserror_of_send_counts_as_disconnect(
    digits: Path, after: int, offered: dict[str, Any]
) -> None:
    ran: list[bool] = []
    response = FileResponse(digits, background=lambda: ran.append(True))
    answer = await exchange(
        response,
        disconnect_after=after,
        scope={**offered, "asgi": {"version": "3.0", "spec_version": "2.4"}},
    )

    assert len(answer.messages) == after
    assert ran == [True]


async def test_disconnect_while_send_waits_ends_the_response(long: Path) -> None:
    stalled = anyio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            stalled.set()
            await anyio.sleep_forever()

    async def receive() -> Message:
        await stalled.wait()
        return {"type": "http.disconnect"}

    ran: list[bool] = []
    with anyio.fail_after(20):
        response = FileResponse(long, chunk_size=1, background=lambda: ran.append(True))
        await response(receive, send)

    assert open_paths_below(long) == []
    assert ran == [True]


@pytest.mark.parametrize("name", ["open", "fstat", "read", "close"])
async def test_cancelled_send_closes_the_file(
    long: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cancelled while a thread is in each of the calls; the thread is waited for."""
    started, release = threading.Event(), threading.Event()
    function = getattr(os, name)
    ran: list[bool] = []

    def slow(*args: Any, **named: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            started.set()
            assert release.wait(20)
        return function(*args, **named)

    async def cancel() -> None:
        while not started.is_set():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
        for _ in range(5):
            await anyio.lowlevel.cancel_shielded_checkpoint()
        release.set()

    async def ignore(message: Message) -> None:
        await anyio.lowlevel.checkpoint()

    with monkeypatch.context() as patches, anyio.fail_after(20):
        patches.setattr(os, name, slow)
        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            response = FileResponse(long, chunk_size=1, background=lambda: ran.append(True))
            await response(never, ignore)

    assert open_paths_below(long) == []
    assert ran == []


async def test_error_of_send_is_raised_and_file_closed(long: Path) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ZeroDivisionError

    ran: list[bool] = []
    response = FileResponse(long, chunk_size=1, background=lambda: ran.append(True))
    with pytest.raises(ZeroDivisionError):
        await response(never, send)

    assert open_paths_below(long) == []
    assert ran == [True]


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
async def test_http_error_after_start_of_a_file_is_marked(
    digits: Path, offered: dict[str, Any]
) -> None:
    async def send(message: Message) -> None:
        if message["type"] != "http.response.start":
            raise HTTPError(413)

    scope = {"type": "http", "method": "GET", "headers": [], **offered}
    with pytest.raises(HTTPError) as caught:
        await FileResponse(digits)(scope, never, send)

    assert caught.value.response_started


async def test_background_of_a_file_runs_after_the_last_message(digits: Path) -> None:
    order: list[str] = []

    async def send(message: Message) -> None:
        order.append(message["type"])

    async def background() -> None:
        order.append("background")

    await FileResponse(digits, background=background)(never, send)

    assert order == ["http.response.start", "http.response.body", "background"]


# Files of the kernel, and files that another process has a lease on.


def virtual_files() -> list[str]:
    """Return files of procfs and sysfs with content, of which `st_size` says 0 and 4096."""
    names = ("/proc/version", "/proc/filesystems", "/sys/kernel/mm/transparent_hugepage/enabled")
    return [name for name in names if os.path.exists(name)]


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
@pytest.mark.parametrize("options", [{}, {"etag": "content"}, {"headers": {"content-length": "9"}}])
async def test_virtual_file_is_streamed_without_length(
    offered: dict[str, Any], options: dict[str, Any]
) -> None:
    for path in virtual_files():
        with open(path, "rb") as file:  # noqa: ASYNC230
            size = len(file.read())
        response = FileResponse(path, **options)
        answer = await exchange(response, headers={"range": "bytes=0-1"}, scope=offered)

        assert (answer.status_code, len(answer.body)) == (200, size)
        assert answer.messages[1]["type"] == "http.response.body"
        absent = {"content-length", "etag", "last-modified", "accept-ranges"}
        assert absent.isdisjoint(answer.headers)
        head = await exchange(response, "HEAD", scope=offered)
        assert (head.status_code, head.body) == (200, b"")
        assert "content-length" not in head.headers


async def test_virtual_file_is_served_from_a_folder() -> None:
    answer = await exchange(StaticFiles("/proc/sys/kernel"), target="/ostype")

    assert (answer.status_code, answer.body) == (200, os.uname().sysname.encode() + b"\n")
    assert "content-length" not in answer.headers


async def test_device_of_a_disk_is_not_virtual(tmp_path: Path) -> None:
    assert not is_virtual(os.stat(tmp_path).st_dev)
    assert not is_virtual(os.makedev(0, 1 << 19))  # in no list of mounts
    assert not is_virtual(os.makedev(8, 1))
    assert is_virtual(os.stat("/proc").st_dev)


F_SETLEASE = 1024


@pytest.mark.skipif(sys.platform != "linux", reason="leases are of Linux")
@pytest.mark.parametrize("kind", ["FileResponse", "StaticFiles"])
async def test_file_under_a_lease_is_sent_once_it_is_given_up(digits: Path, kind: str) -> None:
    app = FileResponse(digits) if kind == "FileResponse" else StaticFiles(digits.parent)
    holder = os.open(digits, os.O_RDWR)

    def give_up(number: int, frame: object) -> None:
        fcntl.fcntl(holder, F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, give_up)
    try:
        try:
            fcntl.fcntl(holder, F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system has no leases: {error}")
        with pytest.raises(BlockingIOError):
            os.close(os.open(digits, os.O_RDONLY | os.O_NONBLOCK))
        with anyio.fail_after(20):
            answer = await exchange(app, target="/digits.txt")
    finally:
        signal.signal(signal.SIGIO, before)
        os.close(holder)

    assert (answer.status_code, answer.body) == (200, WHOLE)
    assert open_paths_below(digits.parent) == []


@pytest.mark.parametrize("replacement", ["fifo", "folder", "nothing"])
async def test_name_that_stops_to_be_a_leased_file_is_404(
    digits: Path, replacement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced after the first attempt to open it."""
    open_ = os.open

    def replace(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if path == str(digits) and flags & os.O_NONBLOCK:
            digits.unlink()
            if replacement == "fifo":
                os.mkfifo(digits)
            elif replacement == "folder":
                digits.mkdir()
            raise BlockingIOError(errno.EWOULDBLOCK, "leased")
        return open_(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", replace)
    with anyio.fail_after(20):
        answer = await exchange(FileResponse(digits))

    assert answer.status_code == 404
    assert open_paths_below(digits.parent) == []


async def test_leased_file_is_opened_again_and_sent(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, on file systems without leases as well."""
    open_ = os.open
    refused: list[str] = []

    def refuse_first(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if path == str(digits) and not refused:
            refused.append(path)
            raise BlockingIOError(errno.EWOULDBLOCK, "leased")
        return open_(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse_first)
    answer = await exchange(FileResponse(digits))

    assert refused
    assert (answer.status_code, answer.body) == (200, WHOLE)
    assert open_paths_below(digits.parent) == []


async def test_leased_file_of_another_system_is_an_error(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgikit.responses.file_io._O_PATH", None)
    with monkeypatch.context() as patches:
        patches.setattr(os, "open", functools.partial(fail, errno.EWOULDBLOCK))
        with pytest.raises(BlockingIOError):
            await FileResponse(digits)(never, lambda message: anyio.lowlevel.checkpoint())


# Handed to the server.


async def test_pathsend_is_used_if_the_server_offers_it(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    ran: list[bool] = []
    monkeypatch.setattr("asgikit.responses.file_io.FileReader.open", opened.append)
    response = FileResponse(digits, background=lambda: ran.append(True))
    answer = await exchange(response, scope=PATHSEND)

    assert answer.messages[1:] == [{"type": "http.response.pathsend", "path": str(digits)}]
    assert answer.body == WHOLE
    assert answer.headers["content-length"] == "10"
    assert opened == []
    assert ran == [True]


async def test_pathsend_path_is_absolute(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(digits.parent)
    answer = await exchange(FileResponse("digits.txt"), scope=PATHSEND)

    assert answer.messages[1]["path"] == str(digits)


async def test_path_that_is_not_utf8_is_not_sent_by_pathsend(tmp_path: Path, digits: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.txt"
    for name in (os.fsdecode(path), tmp_path / "ż.txt"):
        shutil.copy(digits, name)

    answer = await exchange(FileResponse(path), scope=PATHSEND)
    assert [message["type"] for message in answer.messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert answer.body == WHOLE
    other = await exchange(FileResponse(tmp_path / "ż.txt"), scope=PATHSEND)
    assert other.messages[1]["type"] == "http.response.pathsend"


@pytest.mark.parametrize(
    ("extensions", "kind"),
    [
        (MappingProxyType({"http.response.pathsend": {}}), "http.response.pathsend"),
        (MappingProxyType({"other": {}}), "http.response.body"),
        (None, "http.response.body"),
    ],
)
async def test_pathsend_extensions_may_be_any_mapping(
    digits: Path, extensions: object, kind: str
) -> None:
    answer = await exchange(FileResponse(digits), scope={"extensions": extensions})

    assert answer.messages[1]["type"] == kind
    assert answer.body == WHOLE


async def test_range_is_not_sent_by_pathsend(digits: Path) -> None:
    for value in ("bytes=0-1", "bytes=0-9"):
        answer = await exchange(FileResponse(digits), headers={"range": value}, scope=PATHSEND)
        assert answer.status_code == 206
        assert answer.messages[1]["type"] == "http.response.body"


async def test_disconnect_reported_at_last_message_is_no_error(
    long: Path,
) -> None:
    assert await completes_after_early_disconnect(FileResponse(long, chunk_size=1))


async def test_missing_file_without_scope_is_404(tmp_path: Path) -> None:
    response = FileResponse(tmp_path / "missing")
    answer = await exchange(lambda scope: response)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_disconnect_ends_reads_if_send_never_waits(
    tmp_path: Path, is_cancelled: bool
) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(16 * 1024 * 1024))
    sent = 0

    async def receive() -> Message:
        await anyio.lowlevel.checkpoint()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    with anyio.CancelScope() as scope:
        if is_cancelled:
            scope.cancel()
        await FileResponse(path)({"type": "http", "method": "GET", "headers": []}, receive, send)

    assert sent <= 4 * 1024 * 1024
