"""Interrupted readers continue at the next byte, and never report the end of a truncated body."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import Request
from asgikit.body.body import Body
from asgikit.exceptions import BodyConsumed, HTTPError
from asgikit.types import Message

pytestmark = pytest.mark.anyio

CHUNKS = [b"ab", b"cd", b"ef", b"gh"]


class SlowServer:
    """A ``receive`` that loses its message if it is cancelled, like granian's."""

    def __init__(self) -> None:
        self.chunks = list(CHUNKS)
        self.cancelled = 0

    async def receive(self) -> Message:
        chunk = self.chunks.pop(0)
        try:
            await checkpoint()
            await checkpoint()
        except BaseException:
            self.cancelled += 1
            raise
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}


@pytest.mark.parametrize("turns", range(1, 8))
async def test_stream_cancelled_repeatedly_loses_no_byte(turns: int) -> None:
    server = SlowServer()
    stream = Body(server.receive).stream(None)
    got: list[bytes] = []
    ended = False

    async def read() -> None:
        nonlocal ended
        async for chunk in stream:
            got.append(chunk)  # noqa: PERF401 - a comprehension would lose them if cancelled
        ended = True

    with anyio.fail_after(10):
        while not ended:
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                for _ in range(turns):
                    await checkpoint()
                group.cancel_scope.cancel()
    assert got == CHUNKS
    assert server.cancelled == 0


async def test_stream_read_by_two_tasks_raises_in_one() -> None:
    stream = Body(SlowServer().receive).stream(None)
    errors = 0

    async def read() -> None:
        nonlocal errors
        try:
            await anext(stream)
        except BodyConsumed:
            errors += 1

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(read)
    assert errors == 1


async def test_closed_stream_raises_instead_of_its_end() -> None:
    stream = Body(SlowServer().receive).stream(None)
    await anext(stream)
    await stream.aclose()

    with pytest.raises(BodyConsumed, match="this stream was closed"):
        await anext(stream)


async def test_stream_has_the_methods_of_an_async_generator() -> None:
    stream = Body(SlowServer().receive).stream(None)

    assert await stream.asend(None) == CHUNKS[0]
    with pytest.raises(LookupError):
        await stream.athrow(LookupError)
    with pytest.raises(BodyConsumed, match="this stream was closed"):
        await anext(stream)


FORM = (
    b'--X\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n',
    b"first, ",
    b"second, ",
    b"third",
    b"\r\n--X--\r\n",
)


class FormServer:
    """A ``receive()`` that waits before each chunk of a form until it may go on."""

    def __init__(self) -> None:
        self.chunks = [*FORM]
        self.allowed = 0

    async def receive(self) -> Message:
        while not self.allowed:
            await checkpoint()
        self.allowed -= 1
        chunk = self.chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}


def form_request(server: FormServer) -> Request[Any]:
    headers = [(b"content-type", b"multipart/form-data; boundary=X")]
    return Request({"type": "http", "method": "POST", "headers": headers}, server.receive)


@pytest.mark.parametrize("allowed", [1, 2, 3, 4])
@pytest.mark.parametrize("reads", ["read", "iterate"])
async def test_part_read_that_was_cancelled_continues(allowed: int, reads: str) -> None:
    server = FormServer()
    request = form_request(server)
    server.allowed = allowed
    part = await anext(aiter(request.parts()))

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(part.read)
            for _ in range(30):
                await checkpoint()
            scope.cancel()
    server.allowed = 9

    with anyio.fail_after(10):
        if reads == "read":
            data = await part.read()
        else:
            data = b"".join([chunk async for chunk in part])
    assert data == b"first, second, third"
    await request.close()


@pytest.mark.parametrize("interleaving", range(10))
async def test_parts_read_by_two_tasks_raise_in_one(interleaving: int) -> None:
    server = FormServer()
    request = form_request(server)
    server.allowed = 1
    parts = request.parts()
    part = await anext(aiter(parts))
    outcomes: list[object] = []

    async def read(turns: int) -> None:
        for _ in range(turns):
            await checkpoint()
        try:
            outcomes.append(await part.read())
        except BodyConsumed as error:
            outcomes.append(type(error))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(read, interleaving)
            group.start_soon(read, 2)
            for _ in range(20):
                await checkpoint()
            server.allowed = 9
    assert BodyConsumed in outcomes
    assert b"first, second, third" in outcomes
    await request.close()


async def test_parser_error_of_parts_is_raised_again() -> None:
    server = FormServer()
    server.chunks = [FORM[0], b"\r\n--X malformed", b""]
    server.allowed = 9
    part = await anext(aiter(form_request(server).parts()))

    for _ in range(2):
        with pytest.raises(HTTPError) as caught:
            await part.read()
        assert caught.value.status_code == 400
