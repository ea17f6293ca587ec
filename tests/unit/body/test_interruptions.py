"""Interrupted readers continue at the next byte, and never report the end of a truncated body."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit.body.body import Body
from asgikit.exceptions import BodyConsumed
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
