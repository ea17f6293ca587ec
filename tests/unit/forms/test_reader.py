"""Forms read whole or in parts, their limits, and the files that errors leave."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from asgikit import (
    DEFAULT_LIMITS,
    BodyConsumed,
    ClientDisconnect,
    ContentTooLarge,
    InvalidForm,
    Limits,
    RequestTimeout,
)
from asgikit import UnsupportedMediaType as WrongType
from asgikit.body.body import Body
from asgikit.forms import reader as form_reader
from asgikit.forms import spool, temporary_file
from asgikit.forms.form_data import FormData, PendingForm
from asgikit.forms.reader import Part, Parts, iter_parts, read_form
from asgikit.forms.uploads import UploadFile
from tests.support.form_bodies import CONTENT_TYPE, VALID, File, Items, body, file, text
from tests.support.paths import ROOT
from tests.support.waiting import BOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgikit.types import Message

pytestmark = pytest.mark.anyio

URLENCODED = "application/x-www-form-urlencoded"


class Sent:
    """A ``receive()`` of some chunks and an end: complete, disconnect or stall."""

    def __init__(self, *chunks: bytes, end: str = "complete") -> None:
        self.chunks = list(chunks)
        self.end = end
        self.received = 0  # bytes so far
        self.waiting = anyio.Event()

    async def __call__(self) -> Message:
        if self.chunks:
            chunk = self.chunks.pop(0)
            self.received += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": True}
        if self.end == "disconnect":
            return {"type": "http.disconnect"}
        if self.end == "stall":
            self.waiting.set()
            await anyio.sleep_forever()
        return {"type": "http.request", "body": b"", "more_body": False}


def no_length(_: int) -> bool:
    """Return ``False``, as without a Content-Length."""
    return False


async def read(sent: Sent, content_type: str = CONTENT_TYPE, **limits: Any) -> FormData:
    return await read_form(Body(sent), content_type, no_length, Limits(**limits))


def pending(sent: Sent) -> PendingForm:
    return PendingForm(
        lambda limits: read_form(Body(sent), CONTENT_TYPE, no_length, limits), DEFAULT_LIMITS
    )


def parts_of(sent: Sent, **limits: Any) -> Parts:
    return iter_parts(Body(sent), CONTENT_TYPE, no_length, Limits(**limits))


async def items_of(form: FormData) -> Items:
    return [
        (name, value)
        if isinstance(value, str)
        else (name, File(value.filename, await value.read(), value.content_type))
        for name, value in form.items()
    ]


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Check that the block closes its files, without the garbage collector."""
    gc.collect()
    gc.disable()
    before = descriptors()
    try:
        yield
        assert descriptors() == before
    finally:
        gc.enable()


# A file of 3 MiB: 1 is in memory, 1 was written, 1 is gathered.
LARGE = [file("f", "x", b"x" * 60_000, "Content-Type: a/b")[:-2], *[b"y" * 60_000] * 50]


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("spool_size", [0, 1024 * 1024])
async def test_form_is_read(name: str, spool_size: int) -> None:
    data, items = VALID[name]
    for size in (1, 50, len(data)):
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        form = await read(Sent(*chunks, b""), spool_size=spool_size)
        assert await items_of(form) == items
        await form.close()


async def test_form_is_multidict_whose_first_value_wins() -> None:
    form = await read(Sent(body(text("a", b"1"), text("b", b"2"), text("a", b"3"))))

    assert form["a"] == "1"
    assert form.getall("a") == ["1", "3"]
    assert repr(form) == "<FormData('a': '1', 'b': '2', 'a': '3')>"


async def test_text_in_many_chunks_is_joined() -> None:
    value = b"0123456789" * 5000
    data = body(text("a", value), text("b", b"v"))
    whole = await read(Sent(data[:10_000], data[10_000:]))

    assert whole["a"] == value.decode()
    assert whole["b"] == "v"


async def test_urlencoded_form_is_read() -> None:
    form = await read(Sent(b"a=1&b=caf%C3", b"%A9+x&&a=&c"), URLENCODED + ";charset=utf-7")

    assert list(form.items()) == [("a", "1"), ("b", "café x"), ("a", ""), ("c", "")]
    await form.close()


@pytest.mark.parametrize(
    ("content_type", "data", "limits", "name"),
    [
        (URLENCODED, b"a=1&b=2", {"max_fields": 1}, "max_fields"),
        (URLENCODED, b"a=1234", {"max_field_size": 3}, "max_field_size"),
        (URLENCODED, b"a=1234", {"max_text_size": 5}, "max_text_size"),
        (CONTENT_TYPE, body(text("a", b"1234")), {"max_text_size": 3}, "max_text_size"),
        (CONTENT_TYPE, body(text("a", b"1234")), {"max_form_size": 50}, "max_form_size"),
        (CONTENT_TYPE, body(file("a", "x", b"1234")), {"max_file_size": 3}, "max_file_size"),
    ],
)
async def test_form_over_a_limit_is_413_with_its_name(
    content_type: str, data: bytes, limits: dict[str, int], name: str
) -> None:
    with pytest.raises(ContentTooLarge) as error:
        await read(Sent(data), content_type, **limits)

    assert (error.value.limit, error.value.maximum) == (name, limits[name])


@pytest.mark.parametrize(
    ("content_type", "name"), [(URLENCODED, "max_text_size"), (CONTENT_TYPE, "max_form_size")]
)
async def test_content_length_over_the_limit_is_413_before_receive(
    content_type: str, name: str
) -> None:
    sent = Sent(b"x" * 10)
    limits = Limits(max_text_size=9, max_form_size=9)
    with pytest.raises(ContentTooLarge, match=name):
        await read_form(Body(sent), content_type, (10).__gt__, limits)
    if content_type == CONTENT_TYPE:
        with pytest.raises(ContentTooLarge, match=name):
            iter_parts(Body(sent), content_type, (10).__gt__, limits)

    assert sent.received == 0


async def test_form_in_one_message_is_read_at_once_within_its_limit() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"a=v&b=", "more_body": False}

    for limit, read_whole in ((6, True), (5, False)):
        limits = Limits(max_text_size=limit)
        with nullcontext() if read_whole else pytest.raises(ContentTooLarge, match="max_text_size"):
            form = await read_form(Body(receive), URLENCODED, no_length, limits)
            assert list(form.items()) == [("a", "v"), ("b", "")]


async def test_length_at_limit_or_without_one_is_read() -> None:
    data = body(text("a", b"v"))
    for limit in (len(data), None):
        limits = Limits(max_form_size=limit, max_text_size=limit)
        form = await read_form(Body(Sent(data)), CONTENT_TYPE, len(data).__gt__, limits)
        assert form["a"] == "v"
        assert (await read_form(Body(Sent(b"a=v")), URLENCODED, (3).__gt__, limits))["a"] == "v"


async def test_form_over_a_limit_is_refused_early() -> None:
    sent = Sent(*LARGE)
    with nothing_left_open():
        with pytest.raises(ContentTooLarge):
            await read(sent, max_file_size=150_000, spool_size=0)

        assert sent.received < 150_000 + 64 * 1024


@pytest.mark.parametrize("content_type", [None, "", CONTENT_TYPE, URLENCODED])
@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
async def test_empty_body_is_empty_form(content_type: str | None, chunks: list[bytes]) -> None:
    form = await read_form(Body(Sent(*chunks)), content_type, no_length, DEFAULT_LIMITS)

    assert list(form.items()) == []
    await form.close()


async def test_parts_of_empty_multipart_body_are_none() -> None:
    assert [part async for part in parts_of(Sent())] == []


@pytest.mark.parametrize("content_type", [None, "", CONTENT_TYPE])
async def test_disconnect_before_empty_body_is_no_form(content_type: str | None) -> None:
    with pytest.raises(ClientDisconnect):
        await read_form(Body(Sent(end="disconnect")), content_type, no_length, DEFAULT_LIMITS)


@pytest.mark.parametrize("content_type", [None, ""])
async def test_body_without_content_type_is_refused_and_kept(content_type: str | None) -> None:
    whole = Body(Sent(b"", b"a", b"=v"))
    with pytest.raises(WrongType):
        await read_form(whole, content_type, no_length, DEFAULT_LIMITS)

    assert await whole.read(None, None) == b"a=v"


async def test_length_without_content_type_is_refused_before_receive() -> None:
    sent = Sent(b"v")
    with pytest.raises(WrongType):
        await read_form(Body(sent), None, (1).__gt__, DEFAULT_LIMITS)

    assert sent.received == 0


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/mixed; boundary=X"])
async def test_another_media_type_is_refused(content_type: str | None) -> None:
    sent = Sent(b"v")
    with pytest.raises(WrongType) as error:
        await read_form(Body(sent), content_type, no_length, DEFAULT_LIMITS)
    assert error.value.headers == {"accept": f"{URLENCODED}, multipart/form-data"}

    with pytest.raises(WrongType) as error:
        iter_parts(Body(sent), content_type, no_length, DEFAULT_LIMITS)
    assert error.value.headers == {"accept": "multipart/form-data"}
    assert sent.received == 0


async def test_form_is_read_after_body() -> None:
    for data, content_type in ((body(text("a", b"v")), CONTENT_TYPE), (b"a=v", URLENCODED)):
        whole = Body(Sent(data[:3], data[3:]))
        assert await whole.read(None, None) == data
        for _ in range(2):
            form = await read_form(whole, content_type, no_length, DEFAULT_LIMITS)
            assert form["a"] == "v"


async def test_multipart_body_is_read_once() -> None:
    whole = Body(Sent(body(text("a", b"v"))))
    await read_form(whole, CONTENT_TYPE, no_length, DEFAULT_LIMITS)

    with pytest.raises(BodyConsumed):
        await whole.read(None, None)
    with pytest.raises(BodyConsumed):
        await read_form(whole, CONTENT_TYPE, no_length, DEFAULT_LIMITS)


async def test_urlencoded_body_is_kept_after_its_form() -> None:
    whole = Body(Sent(b"a=v"))
    await read_form(whole, URLENCODED, no_length, DEFAULT_LIMITS)

    assert await whole.read(None, None) == b"a=v"


async def test_parsing_a_large_message_yields_to_other_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(form_reader, "CHECKPOINT_INTERVAL", -1)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        form = await read(Sent(body(file("f", "x", b"x" * 700_000))))
        group.cancel_scope.cancel()

    assert turns >= 700_000 // form_reader.PARSE_SIZE
    assert isinstance(form["f"], UploadFile)
    assert form["f"].size == 700_000


async def test_spooling_50_mb_never_blocks_the_loop_for_50_ms() -> None:
    # CPU time of the thread of the loop; the best of three runs.
    assert min([await longest_stretch() for _ in range(3)]) < 0.05


async def longest_stretch() -> float:
    """Return the longest CPU time between two wake-ups of a task that sleeps 1 ms, in seconds."""
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await anyio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    async with anyio.create_task_group() as group:
        group.start_soon(probe)
        await anyio.sleep(0.01)
        form = await read(Sent(LARGE[0], *[b"y" * 65_536] * 800, b"\r\n--X--"))
        group.cancel_scope.cancel()
    assert longest > 0
    await form.close()
    return longest


# Every exit closes the files.


async def test_form_context_closes_files_and_keeps_text() -> None:
    parts = [*LARGE, b"\r\n", text("a", b"v"), file("g", "y", b"small"), b"--X--"]
    with nothing_left_open():
        async with pending(Sent(*parts)) as form:
            large, small = form["f"], form["g"]
            assert isinstance(large, UploadFile)
            assert isinstance(small, UploadFile)
            assert large.size == len(b"".join(LARGE)) - LARGE[0].index(b"\r\n\r\n") - 4
            assert (await large.read())[-1:] == b"y"
    for upload in (large, small):
        with pytest.raises(ValueError, match="closed"):
            await upload.read()
    assert form["a"] == "v"


async def test_error_in_form_context_closes_the_files() -> None:
    with nothing_left_open(), pytest.raises(ZeroDivisionError):
        async with pending(Sent(*LARGE, b"\r\n--X--")):
            raise ZeroDivisionError


async def test_awaited_form_is_closed_by_close() -> None:
    with nothing_left_open():
        form = await pending(Sent(*LARGE, b"\r\n--X--"))
        kept = form["f"]
        assert isinstance(kept, UploadFile)
        kept.detach()
        await form.close()
        assert len(await kept.read()) == kept.size
        await kept.close()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("complete", InvalidForm),  # cut short
        ("disconnect", ClientDisconnect),
        ("stall", RequestTimeout),
    ],
)
async def test_error_while_reading_closes_files(end: str, error: type[Exception]) -> None:
    with nothing_left_open(), pytest.raises(error):
        await read(Sent(*LARGE, end=end), body_timeout=0.01 if end == "stall" else None)


async def test_malformed_part_closes_files_before_it() -> None:
    with nothing_left_open(), pytest.raises(InvalidForm):
        await read(Sent(*LARGE, b"\r\n--X\r\n", b"no colon\r\n"))


async def test_full_disk_closes_files(monkeypatch: pytest.MonkeyPatch) -> None:
    write = temporary_file._write_chunks
    written: list[int] = []

    def writev(descriptor: int, pieces: list[bytes]) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(1)
        return write(descriptor, pieces)

    monkeypatch.setattr(temporary_file, "_write_chunks", writev)
    with nothing_left_open(), pytest.raises(OSError, match="No space left"):
        await read(Sent(*LARGE, b"\r\n--X--"))


async def test_cancelled_form_closes_its_files() -> None:
    with nothing_left_open():
        async with anyio.create_task_group() as group:
            sent = Sent(*LARGE, end="stall")
            group.start_soon(read, sent)
            await sent.waiting.wait()
            group.cancel_scope.cancel()


async def test_form_cancelled_at_any_await_closes_its_files() -> None:
    """One more iteration of the loop each time, until the form is read whole."""
    done = False
    turns = 0
    # Worker threads write the file, so a busy machine needs more iterations.
    with anyio.fail_after(BOUND):
        while not done:
            with nothing_left_open():
                async with anyio.create_task_group() as group:

                    async def work() -> None:
                        nonlocal done
                        async with pending(Sent(*LARGE, b"\r\n--X--")):
                            done = True
                            await anyio.sleep_forever()

                    group.start_soon(work)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                        if turns % 2:
                            await anyio.sleep(0.0005)
                    group.cancel_scope.cancel()
            turns += 1


# Parts.


async def collect(parts: Parts) -> Items:
    return [
        (part.name, await part.text())
        if part.filename is None
        else (part.name, File(part.filename, await part.read(), part.content_type))
        async for part in parts
    ]


@pytest.mark.parametrize("name", VALID)
async def test_parts_are_iterated_in_order(name: str) -> None:
    data, items = VALID[name]
    for size in (1, 50, len(data)):
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        assert await collect(parts_of(Sent(*chunks))) == items


async def test_part_is_read_as_it_arrives() -> None:
    sent = Sent(file("f", "C:\\x", b"12", "X-Other: 1")[:-2], b"34", b"56\r\n--X--\r\n")
    pieces = []
    async for part in parts_of(sent):
        assert (part.name, part.filename, part.raw_filename) == ("f", "x", "C:\\x")
        assert (part.content_type, part.headers["x-other"]) == (None, "1")
        assert repr(part) == "<Part 'f'>"
        async for data in part:
            assert type(data) is bytes
            pieces.append((data, len(sent.chunks)))
        # At its end, and to stay there.
        assert await part.read() == b""

    assert pieces == [(b"12", 2), (b"34", 1), (b"56", 0)]


async def test_part_that_is_not_read_is_skipped() -> None:
    data = body(file("f", "x", b"x" * 100_000), text("a", b"1"), text("b", b"2"))
    chunks = [data[start : start + 1000] for start in range(0, len(data), 1000)]

    parts = parts_of(Sent(*chunks))
    first = await anext(parts)
    assert await anext(first) != b""
    assert [part.name async for part in parts] == ["a", "b"]

    with pytest.raises(BodyConsumed, match="<Part 'f'> is over"):
        await first.read()


async def test_limits_hold_for_parts_that_are_skipped() -> None:
    for limits, name in (({"max_file_size": 9}, "max_file_size"), ({"max_files": 0}, "max_files")):
        with pytest.raises(ContentTooLarge, match=name):
            await collect_names(parts_of(Sent(body(file("f", "x", b"x" * 10))), **limits))


async def collect_names(parts: Parts) -> list[str]:
    return [part.name async for part in parts]


@pytest.mark.parametrize(
    ("chunks", "end", "error"),
    [
        ([file("f", "x", b"12")], "complete", InvalidForm),
        ([file("f", "x", b"12")], "disconnect", ClientDisconnect),
        ([b"--X\r\nbad\r\n"], "complete", InvalidForm),
        ([b"--"], "complete", InvalidForm),
    ],
)
async def test_parts_of_a_truncated_body_raise(
    chunks: list[bytes], end: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await collect(parts_of(Sent(*chunks, end=end)))


async def test_text_of_part_is_decoded_by_its_charset() -> None:
    with pytest.raises(InvalidForm):
        await collect(parts_of(Sent(body(text("a", b"\xff")))))


async def test_part_keeps_none_of_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "TemporaryFile", None)
    monkeypatch.setattr(form_reader, "Spool", None)

    (part,) = [part async for part in one_by_one(parts_of(Sent(*LARGE, b"\r\n--X--")))]
    assert part == len(b"".join(LARGE)) - LARGE[0].index(b"\r\n\r\n") - 4


async def one_by_one(parts: Parts) -> Any:
    async for part in parts:
        assert isinstance(part, Part)
        yield sum([len(data) async for data in part])


# Memory is measured in a child process, since the peak of a process never falls.

MEASURE = """
import asyncio, gc, resource
from asgikit import Limits, ClientDisconnect
from asgikit.body.body import Body
from asgikit.forms.reader import read_form
from tests.unit.forms.test_reader import Sent, no_length
from tests.support.form_bodies import CONTENT_TYPE, file, text

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def read(*chunks, end="complete", **limits):
    return await read_form(Body(Sent(*chunks, end=end)), CONTENT_TYPE, no_length, Limits(**limits))

async def main():
    await (await read(file("f", "x", b"x" * 2_000_000), b"--X--")).close()
    gc.collect(); gc.disable()
    before = peak()
    {work}
    print(peak() - before)

asyncio.run(main())
"""


def measure(work: str) -> float:
    """Return the growth of the process during ``work`` in MiB."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURE.replace("{work}", work)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return float(run.stdout)


def test_100_files_below_the_spool_size_take_little_memory() -> None:
    work = """
    class Parts:
        def __iter__(self):
            for _ in range(100):
                yield file("f", "x", b"z" * (1024 * 1024 - 1))
            yield b"--X--"
    sent = Sent()
    parts = iter(Parts())
    async def receive():
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}
    form = await read_form(Body(receive), CONTENT_TYPE, no_length, Limits(spool_size=1024 * 1024))
    assert len(form) == 100
    await form.close()
"""
    assert measure(work) < 16


def test_1000_interrupted_uploads_leave_no_memory() -> None:
    work = """
    import os
    chunks = [file("f", "x", b"x" * 60_000)[:-2], *[b"y" * 60_000] * 23]
    open_before = len(os.listdir("/dev/fd"))
    for _ in range(1000):
        try:
            await read(*chunks, end="disconnect")
        except ClientDisconnect:
            pass
    assert len(os.listdir("/dev/fd")) == open_before
"""
    assert measure(work) < 5
