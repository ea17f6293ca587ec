"""Scopes and task groups that a generator has open at a `yield` are left in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import EventSourceResponse, StreamingResponse
from tests.support.streams import Boom
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asgikit.types import Message

pytestmark = pytest.mark.anyio


class Exit:
    """A client that ends a response during its fifth message, while a generator is at a `yield`."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.disconnected = anyio.Event()
        self.shutdown = anyio.Event()
        self.scope = anyio.CancelScope()
        self.sent: list[Message] = []
        self.done: list[str] = []

    async def receive(self) -> Message:
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        await checkpoint()
        if len(self.sent) == 5:
            match self.how:
                case "send fails":
                    raise BrokenPipeError
                case "send raises":
                    raise Boom
                case "disconnects":
                    self.disconnected.set()
                    await anyio.sleep_forever()
                case "is cancelled":
                    self.scope.cancel()
                    await anyio.sleep_forever()
                case "shuts down":
                    self.shutdown.set()
                    await checkpoint()

    async def get(self, response: Any) -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with anyio.fail_after(BOUND), self.scope:
            if self.how == "send raises":
                with pytest.raises(Boom):
                    await response(scope, self.receive, self.send)
            else:
                await response(scope, self.receive, self.send)

    async def in_task_group(self) -> AsyncGenerator[str]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                while True:
                    yield "a"
        finally:
            self.done.append("exited")

    async def in_scopes(self) -> AsyncGenerator[str]:
        with anyio.fail_after(BOUND), anyio.CancelScope():
            while True:
                try:
                    yield "a"
                finally:
                    await checkpoint()
                    self.done.append("exited")


@pytest.mark.parametrize("how", ["disconnects", "send fails", "send raises"])
@pytest.mark.parametrize("kind", ["in_task_group", "in_scopes"])
async def test_stream_generator_is_closed_in_its_own_scopes(kind: str, how: str) -> None:
    client = Exit(how)
    chunks = getattr(client, kind)()
    await client.get(StreamingResponse(chunks, background=lambda: client.done.append("background")))

    assert chunks.ag_frame is None
    assert client.done[-2:] == ["exited", "background"]
    assert len(client.sent) == 5


@pytest.mark.parametrize(
    "how", ["disconnects", "send fails", "send raises", "is cancelled", "shuts down"]
)
@pytest.mark.parametrize("kind", ["in_task_group", "in_scopes"])
async def test_event_generator_is_closed_in_its_own_scopes(kind: str, how: str) -> None:
    client = Exit(how)
    events = getattr(client, kind)()
    await client.get(
        EventSourceResponse(
            events,
            background=lambda: client.done.append("background"),
            shutdown=client.shutdown,
        )
    )

    assert events.ag_frame is None
    last = ["exited"] if how == "is cancelled" else ["exited", "background"]
    assert client.done[-len(last) :] == last
    assert client.sent[-1]["more_body"] == (how != "shuts down")


@pytest.mark.parametrize("kind", ["in_task_group", "in_scopes"])
async def test_cancelled_stream_generator_is_closed_in_its_own_scopes(kind: str) -> None:
    client = Exit("is cancelled")
    chunks = getattr(client, kind)()
    await client.get(StreamingResponse(chunks))

    assert chunks.ag_frame is None
    assert client.done[-1] == "exited"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_task_cancelled_at_yield_in_task_group_is_cancelled() -> None:
    client = Exit("stays")
    chunks = client.in_task_group()
    task = asyncio.ensure_future(client.get(StreamingResponse(chunks)))
    await until(lambda: len(client.sent) > 5)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert client.done == ["exited"]


async def test_error_of_task_group_at_close_is_raised() -> None:
    async def fail_in_the_end() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom

    async def chunks() -> AsyncGenerator[bytes]:
        async with anyio.create_task_group() as group:
            group.start_soon(fail_in_the_end)
            while True:
                yield b"a"
                await checkpoint()

    client = Exit("send fails")
    with pytest.raises(BaseExceptionGroup) as caught:
        await client.get(StreamingResponse(chunks()))

    assert [*map(type, caught.value.exceptions)] == [Boom]
