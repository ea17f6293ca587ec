"""Sync iterables and file objects: one context, live chunks, bounded run-ahead, one close."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import EventSourceResponse, NDJSONResponse, StreamingResponse
from asgikit.responses.iteration import (
    MAX_BYTES_AHEAD,
    MAX_CHUNKS_AHEAD,
    ThreadedIterator,
    is_finished,
)
from asgikit.runtime import threads
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.threads import run_in_stream_thread
from asgikit.testing import exchange
from tests.support.streams import Boom, Client
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="outer")
CLASSES: dict[str, Callable[[Any], StreamingResponse]] = {
    "stream": StreamingResponse,
    "NDJSON": NDJSONResponse,
    "events": lambda events: EventSourceResponse(events, ping=None),
}
every_class = pytest.mark.parametrize("make", CLASSES.values(), ids=CLASSES)


# Context


@every_class
@pytest.mark.parametrize("disconnects", [False, True])
async def test_context_variable_is_kept_across_yields_and_in_close(
    make: Callable[[Any], StreamingResponse], *, disconnects: bool
) -> None:
    seen: list[str] = []

    def chunks() -> Iterator[str]:
        token = VARIABLE.set("inner")
        try:
            for _ in range(100):
                seen.append(VARIABLE.get())
                yield "x"
        finally:
            seen.append(VARIABLE.get())
            VARIABLE.reset(token)
            seen.append(VARIABLE.get())

    VARIABLE.set("task")
    await Client(disconnect_after=5 if disconnects else None).get(make(chunks()))

    assert seen[-2:] == ["inner", "task"]
    assert set(seen[:-1]) == {"inner"}
    assert disconnects == (len(seen) < 102)
    assert VARIABLE.get() == "task"


# Live chunks


@every_class
async def test_chunk_is_sent_while_next_step_waits(
    make: Callable[[Any], StreamingResponse],
) -> None:
    go_on = threading.Event()
    yielded: list[float] = []
    delays: list[float] = []

    def chunks() -> Iterator[str]:
        for _ in range(3):
            yielded.append(time.monotonic())
            yield "x"
            assert go_on.wait(BOUND)
            go_on.clear()

    async def send(message: dict[str, Any]) -> None:
        if b"x" in message.get("body", b""):
            delays.append(time.monotonic() - yielded[-1])
            go_on.set()

    await make(chunks())(Client().scope, Client().receive, send)

    assert len(delays) == 3
    assert min(delays) < 0.05  # on a busy machine one may be slow


# Run-ahead


@pytest.mark.usefixtures("one_thread_each")
@pytest.mark.parametrize(
    ("chunk", "most"),
    [
        ("", MAX_CHUNKS_AHEAD),
        (b"x", MAX_CHUNKS_AHEAD),
        (object(), MAX_CHUNKS_AHEAD),
        ("x" * (MAX_BYTES_AHEAD // 4), 4),
        (bytearray(MAX_BYTES_AHEAD // 4), 4),
        (memoryview(bytes(2 * MAX_BYTES_AHEAD)), 1),
    ],
    ids=["empty", "short", "value", "text", "bytearray", "longer than allowed"],
)
async def test_iterable_runs_ahead_by_bounded_chunks_and_bytes(chunk: Any, most: int) -> None:
    steps = 0

    def chunks() -> Iterator[Any]:
        nonlocal steps
        for _ in range(100):
            steps += 1
            yield chunk

    iterator = ThreadedIterator(chunks())
    for taken in range(1, 101):
        await anext(iterator)
        # The only thread is free once a burst is over.
        await run_in_stream_thread(int)
        assert steps - taken <= most
        if taken == 1:
            # The first chunk was taken from a full burst.
            assert steps == most or (most, steps) == (1, 2)
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)
    assert is_finished(iterator)


# Errors


@every_class
@pytest.mark.parametrize("count", [0, 1, 16, 17, 40])
async def test_error_of_iterable_arrives_after_chunks_before_it(
    make: Callable[[Any], StreamingResponse], count: int
) -> None:
    def chunks() -> Iterator[str]:
        for _ in range(count):
            yield "x"
        raise Boom

    client = Client()
    with pytest.raises(Boom):
        await client.get(make(chunks()))
    assert client.body.count(b"x") == count


async def test_error_of_iter_is_raised() -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise Boom

    with pytest.raises(Boom):
        await exchange(StreamingResponse(Broken()))


async def test_error_of_close_is_raised() -> None:
    class Broken:
        def __iter__(self) -> Broken:
            return self

        def __next__(self) -> bytes:
            return b"x"

        def close(self) -> None:
            raise Boom

    with pytest.raises(Boom):
        await Client(disconnect_after=3).get(StreamingResponse(Broken()))


@every_class
async def test_error_ahead_of_disconnected_client_is_logged(
    make: Callable[[Any], StreamingResponse], caplog: pytest.LogCaptureFixture
) -> None:
    is_raised = threading.Event()

    def chunks() -> Iterator[str]:
        try:
            yield "x"
            yield "x"
            raise Boom
        finally:
            is_raised.set()

    client = Client()

    async def send(message: dict[str, Any]) -> None:
        if b"x" in message.get("body", b""):
            await until(is_raised.is_set)
            await run_in_stream_thread(int)  # the burst reports its end before
            raise BrokenPipeError

    await make(chunks())(client.scope, client.receive, send)

    (record,) = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert record.getMessage() == "an iterable failed after a disconnect"
    assert record.exc_info is not None
    assert record.exc_info[0] is Boom


# Closing


class Steps:
    """An iterator that counts its steps and closes."""

    def __init__(self) -> None:
        self.steps = 0
        self.closes = 0

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> bytes:
        self.steps += 1
        return b"x"

    def close(self) -> None:
        self.closes += 1


@pytest.mark.parametrize("taken", [0, 1, 16, 17])
async def test_iterator_closed_twice_is_closed_once(taken: int) -> None:
    steps = Steps()
    iterator = ThreadedIterator(steps)
    for _ in range(taken):
        await anext(iterator)
    await iterator.aclose()
    await iterator.aclose()

    assert steps.closes == 1
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def test_iterable_without_close_is_left() -> None:
    iterator = ThreadedIterator(range(100))
    await anext(iterator)
    await iterator.aclose()
    await ThreadedIterator(range(100)).aclose()


@pytest.mark.usefixtures("one_thread_each")
async def test_burst_that_waits_for_thread_is_dropped_by_close() -> None:
    begun, go_on = threading.Event(), threading.Event()
    steps = Steps()
    iterator = ThreadedIterator(steps)

    def occupy() -> None:
        begun.set()
        assert go_on.wait(BOUND)

    async def cancel() -> None:
        for _ in range(5):
            await checkpoint()
        scope.cancel()
        # The thread is free only after the burst was dropped; no public API shows it.
        await until(iterator._begun.locked)
        go_on.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run_in_stream_thread, occupy)
        await until(begun.is_set)
        with anyio.CancelScope() as scope:
            group.start_soon(cancel)
            try:
                await anext(iterator)
            finally:
                await iterator.aclose()

    assert scope.cancelled_caught
    assert (steps.steps, steps.closes) == (0, 1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("has_close", [False, True])
async def test_close_in_cancelled_task_waits_for_running_step(*, has_close: bool) -> None:
    begun, go_on = threading.Event(), threading.Event()
    events: list[str] = []

    class Slow(Steps):
        def __next__(self) -> bytes:
            begun.set()
            assert go_on.wait(BOUND)
            events.append("step")
            return b"x"

        def close(self) -> None:
            events.append("close")

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            return iter(Slow().__next__, b"")

    iterator = ThreadedIterator(Slow() if has_close else Endless())

    async def iterate() -> None:
        try:
            await anext(iterator)
        finally:
            await iterator.aclose()

    task = asyncio.ensure_future(iterate())
    await until(begun.is_set)
    for _ in range(3):
        task.cancel()
        for _ in range(3):
            await checkpoint()
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == (["step", "close"] if has_close else ["step"])


async def test_many_disconnects_leave_no_thread_busy() -> None:
    steps = [Steps() for _ in range(500)]
    async with anyio.create_task_group() as group:
        for each in steps:
            group.start_soon(Client(disconnect_after=3).get, StreamingResponse(each))

    assert {each.closes for each in steps} == {1}
    pool = threads._streams  # no public API shows its threads
    if is_asyncio():
        await until(lambda: pool._idle_count == pool._thread_count)
    else:
        await until(lambda: pool.trio_limiter().borrowed_tokens == 0)


# File objects


class Sent:
    """A ``send`` that keeps the body of a response."""

    def __init__(self) -> None:
        self.body = b""

    async def __call__(self, message: dict[str, Any]) -> None:
        self.body += message.get("body", b"")


def popen(*, text: bool = False, unbuffered: bool = False) -> tuple[Any, Callable[[bytes], Any]]:
    options: dict[str, Any] = {"text": True} if text else {"bufsize": 0 if unbuffered else -1}
    program = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    ours, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=ours, stdout=subprocess.PIPE, **options
    )
    os.close(ours)

    def write(data: bytes) -> None:
        if data:
            os.write(theirs, data)
        else:
            os.close(theirs)
            process.wait(BOUND)

    return process.stdout, write


def from_socket() -> tuple[Any, Callable[[bytes], Any]]:
    ours, theirs = socket.socketpair()
    file = ours.makefile("rb")
    ours.close()
    return file, lambda data: theirs.sendall(data) if data else theirs.close()


@pytest.mark.parametrize(
    "make",
    [popen, lambda: popen(text=True), lambda: popen(unbuffered=True), from_socket],
    ids=["Popen", "Popen, text", "Popen, unbuffered", "socket"],
)
async def test_output_of_program_or_socket_is_sent_live(make: Any) -> None:
    file, write = make()
    sent = Sent()

    async with anyio.create_task_group() as group:
        group.start_soon(StreamingResponse(file), Client().scope, Client().receive, sent)
        for line in (b"one\n", b"two\n"):
            write(line)
            await until(lambda line=line: sent.body.endswith(line))  # type: ignore[misc]
        await anyio.to_thread.run_sync(write, b"")

    assert sent.body == b"one\ntwo\n"
    assert file.closed


async def test_text_of_many_lines_is_sent_in_few_messages() -> None:
    text = "tea\n" * 10_000
    answer = await exchange(StreamingResponse(io.StringIO(text)))
    assert answer.text == text
    # Some dozens, depending on thread switches; one message per line would be 10 000.
    assert len(answer.messages) < 1000


async def test_text_file_without_readline_is_read() -> None:
    class Text:
        encoding = "utf-8"
        chunks = iter(["é", ""])

        def read(self, size: int) -> str:
            return next(self.chunks)

    assert (await exchange(StreamingResponse(Text()))).body == "é".encode()


async def test_sync_read_that_returns_awaitable_is_awaited() -> None:
    closed: list[int] = []

    async def get(chunk: bytes) -> bytes:
        await checkpoint()
        return chunk

    async def close() -> None:
        closed.append(threading.get_ident())

    class Lazy:
        chunks = iter([b"a", b"b", b""])

        def read(self, size: int) -> Any:
            return get(next(self.chunks))

        def close(self) -> Any:
            return close()

    assert (await exchange(StreamingResponse(Lazy()))).body == b"ab"
    assert closed == [threading.get_ident()]


async def test_burst_that_ends_before_consumer_waits_needs_no_wait() -> None:
    iterator = ThreadedIterator(iter([b"a", b"b"]))
    iterator._bind()
    # Instead of a thread that is faster than the loop.
    iterator._start_job = lambda job: job()

    assert [chunk async for chunk in iterator] == [b"a", b"b"]
