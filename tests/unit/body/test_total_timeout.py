"""``Limits.total_timeout``: the sum of the waits for a whole body, on a clock of the test."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import Limits, Request
from asgikit.body import receiver
from asgikit.exceptions import RequestTimeout
from tests.support.clients import BodyClient as Client
from tests.support.waiting import BOUND, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asgikit.types import Message, Receive

pytestmark = pytest.mark.anyio

URLENCODED = (b"content-type", b"application/x-www-form-urlencoded")
MULTIPART = (b"content-type", b"multipart/form-data; boundary=X")
GZIP = (b"content-encoding", b"gzip")

# Seconds of the clock between two messages.
STEP = 10.0


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the receiver."""
    clock = Clock()
    monkeypatch.setattr(receiver, "monotonic", clock)
    return clock


def slow(clock: Clock, data: bytes, size: int = 1) -> Receive:
    """Return a ``receive()`` of ``size`` bytes of ``data`` after each step of the clock."""
    chunks = [data[at : at + size] for at in range(0, len(data), size)]

    async def receive() -> Message:
        await checkpoint()
        clock.now += STEP
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    return receive


def interrupted(clock: Clock) -> tuple[Client, Receive]:
    """Return a client that has sent three chunks, and its ``receive()``, a step for each."""
    client = Client(*[{"type": "http.request", "body": b"a", "more_body": True}] * 3)

    async def receive() -> Message:
        await checkpoint()
        message = await client.receive()
        clock.now += STEP
        return message

    return client, receive


def empty_messages(clock: Clock) -> Receive:
    """Return a ``receive()`` of messages without a byte, and without an end."""

    async def receive() -> Message:
        await checkpoint()
        clock.now += STEP
        return {"type": "http.request", "body": b"", "more_body": True}

    return receive


def request_of(
    receive: Receive, *headers: tuple[bytes, bytes], total_timeout: float | None = 300.0
) -> Request:
    limits = Limits(total_timeout=total_timeout)
    return Request({"type": "http", "headers": [*headers]}, receive, limits=limits)


async def read_parts(request: Request) -> bytes:
    return b"".join([await part.read() async for part in request.parts()])


async def read_stream(request: Request) -> bytes:
    return b"".join([chunk async for chunk in request.stream()])


async def read_multipart(request: Request) -> Any:
    return (await request.form())["a"]


WHOLE: dict[str, tuple[Callable[[Request], Awaitable[Any]], tuple[Any, ...], bytes]] = {
    "body": (Request.body, (), b'["abcdefghi"]'),
    "text": (Request.text, (), b'["abcdefghi"]'),
    "json": (Request.json, (), b'["abcdefghi"]'),
    "urlencoded form": (lambda request: request.form(), (URLENCODED,), b"a=123456789"),
    "coded body": (Request.body, (GZIP,), gzip.compress(b"abc")),
    # A body of a form without a media type is read to see whether it is empty.
    "empty form": (lambda request: request.form(), (), b""),
}
FORM = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--X--\r\n'
UNBOUNDED: dict[str, tuple[Callable[[Request], Awaitable[Any]], tuple[Any, ...], bytes]] = {
    "stream": (read_stream, (), b"value"),
    "parts": (read_parts, (MULTIPART,), FORM),
    "multipart form": (read_multipart, (MULTIPART,), FORM),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_whole_body_over_total_timeout_is_408(name: str, clock: Clock) -> None:
    read, headers, data = WHOLE[name]
    receive = slow(clock, data) if data else empty_messages(clock)
    request = request_of(receive, *headers, total_timeout=4 * STEP + 1)
    with anyio.fail_after(BOUND), pytest.raises(RequestTimeout, match="Over total_timeout, which"):
        await read(request)
    # Four messages in time, and the fifth one.
    assert clock.now == 1000 + 5 * STEP
    await request.close()


@pytest.mark.parametrize("total_timeout", [None, 13 * STEP])
async def test_body_within_total_timeout_is_read(total_timeout: float | None, clock: Clock) -> None:
    request = request_of(slow(clock, b'["abcdefghi"]'), total_timeout=total_timeout)
    with anyio.fail_after(BOUND):
        assert await request.json() == ["abcdefghi"]


@pytest.mark.parametrize("name", UNBOUNDED)
async def test_streamed_body_has_no_total_timeout(name: str, clock: Clock) -> None:
    read, headers, data = UNBOUNDED[name]
    request = request_of(slow(clock, data), *headers, total_timeout=0.0)
    with anyio.fail_after(BOUND):
        assert await read(request) in ("value", b"value")
    await request.close()


@pytest.mark.parametrize("body_timeout", [None, 60.0])
async def test_wait_for_a_message_ends_at_total_timeout(body_timeout: float | None) -> None:
    limits = Limits(total_timeout=0.01, body_timeout=body_timeout)
    request = Request({"type": "http", "headers": []}, Client().receive, limits=limits)
    with anyio.fail_after(BOUND), pytest.raises(RequestTimeout) as raised:
        await request.body()
    assert str(raised.value) == "408 Request Timeout: Over total_timeout, which is 0.01 seconds."
    await request.close()


async def test_wait_for_a_message_over_body_timeout_names_its_seconds() -> None:
    limits = Limits(total_timeout=BOUND, body_timeout=0.01)
    request = Request({"type": "http", "headers": []}, Client().receive, limits=limits)
    with anyio.fail_after(BOUND), pytest.raises(RequestTimeout, match=r"within 0\.01 seconds"):
        await request.body()
    await request.close()


async def test_waits_of_interrupted_reads_are_added(clock: Clock) -> None:
    client, receive = interrupted(clock)
    request = request_of(receive, total_timeout=4 * STEP + 1)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(request.body)
            await until(lambda: client.in_flight and not client.messages)
            group.cancel_scope.cancel()
        assert client.delivered == 3
        # The time between two reads does not count.
        clock.now += 1000
        client.send({"type": "http.request", "body": b"b"})
        assert await request.body() == b"aaab"


async def test_interrupted_reads_over_total_timeout_raise_and_resume(clock: Clock) -> None:
    client, receive = interrupted(clock)
    scope = {"type": "http", "headers": []}
    request = Request(scope, receive, limits=Limits(total_timeout=3 * STEP - 1))
    patient = Request(scope, receive, limits=Limits(total_timeout=5 * STEP))
    with anyio.fail_after(BOUND):
        with pytest.raises(RequestTimeout):
            await request.body()
        client.send({"type": "http.request", "body": b"b"})
        with pytest.raises(RequestTimeout):
            await request.body()
        assert await patient.body() == b"aaab"
        assert await request.body() == b"aaab"


async def test_time_that_two_readers_wait_together_counts_once(clock: Clock) -> None:
    request = request_of(slow(clock, b"abcdefghij", 2), total_timeout=6 * STEP)
    got: list[bytes] = []

    async def read() -> None:
        got.append(await request.body())

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(read)
    assert got == [b"abcdefghij"] * 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("chunks", [[b"[1]"], [b"[", b"1", b"]"]])
async def test_body_that_is_there_at_once_reads_no_clock(chunks: list[bytes], clock: Clock) -> None:
    client = Client(
        *[
            {"type": "http.request", "body": chunk, "more_body": at < len(chunks)}
            for at, chunk in enumerate(chunks, 1)
        ]
    )
    assert await request_of(client.receive).json() == [1]
    assert clock.reads == 0
