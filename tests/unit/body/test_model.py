"""Random programs over one body: two readers, a poller, a client, and cancellation at any await.

A reader may read in a block of ``cancel_on_disconnect()``, which a disconnect cancels as well.

The bytes that a reader hands out are a prefix of the body, and all of it if the reader reported
the end. `receive()` is never cancelled by a reader, and nothing hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from asgikit import BodyConsumed, ClientDisconnect, Request
from asgikit.types import Message

BOUND = 20.0  # seconds, for a run of some milliseconds
BODY = bytes(range(1, 61))


@dataclass
class Server:
    """A ``receive()`` that waits for some turns of the event loop before each message."""

    sizes: list[int]
    turns: list[int]
    is_complete: bool
    sent: int = 0
    calls: int = 0
    in_flight: int = 0
    cancelled: int = 0
    is_closing: bool = False

    async def receive(self) -> Message:
        assert self.in_flight == 0, "two calls of receive() at the same time"
        self.in_flight += 1
        try:
            turns = self.turns[self.calls % len(self.turns)]
            size = self.sizes[self.calls % len(self.sizes)]
            self.calls += 1
            for _ in range(turns):
                await checkpoint()
        except BaseException:
            self.cancelled += not self.is_closing
            raise
        finally:
            self.in_flight -= 1
        start, self.sent = self.sent, min(self.sent + size, len(BODY))
        if start == len(BODY) or (not self.is_complete and self.sent == len(BODY)):
            return {"type": "http.disconnect"}
        more = self.sent < len(BODY)
        return {"type": "http.request", "body": BODY[start : self.sent], "more_body": more}


@dataclass
class Reader:
    """A reader that is cancelled again and again, and in the end is not.

    If it is watched, a disconnect cancels it as well, except at the end.
    """

    kind: str
    cancels: list[int]  # turns of the event loop until each attempt is cancelled
    is_watched: bool = False
    got: bytearray = field(default_factory=bytearray)
    outcome: str = "none"

    async def run(self, request: Request[Any], group: Any) -> None:
        stream = request.stream() if self.kind == "stream" else None
        for turns in [*self.cancels, None]:
            with anyio.CancelScope() as scope:
                if turns is not None:
                    group.start_soon(cancel_after, scope, turns)
                if turns is not None and self.is_watched:
                    with suppress(ClientDisconnect):
                        async with request.cancel_on_disconnect():
                            await self.attempt(request, stream)
                else:
                    await self.attempt(request, stream)
            if self.outcome != "none":
                return

    async def attempt(self, request: Request[Any], stream: Any) -> None:
        try:
            if stream is None:
                self.got[:] = await request.body()
            else:
                async for chunk in stream:
                    self.got += chunk
            self.outcome = "end"
        except BodyConsumed:
            self.outcome = "consumed"
        except ClientDisconnect:
            self.outcome = "disconnect"


async def cancel_after(scope: anyio.CancelScope, turns: int) -> None:
    for _ in range(turns):
        await checkpoint()
    scope.cancel()


async def poll(request: Request[Any], polls: list[int]) -> None:
    for turns in polls:
        for _ in range(turns):
            await checkpoint()
        await request.is_disconnected()


async def run_program(server: Server, readers: list[Reader], polls: list[int]) -> None:
    request = Request({"type": "http", "method": "POST", "headers": []}, server.receive)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(reader.run, request, group)
            group.start_soon(poll, request, polls)
    server.is_closing = True
    await request.close()


def check(server: Server, readers: list[Reader]) -> None:
    assert server.cancelled == 0
    for reader in readers:
        assert reader.outcome != "none"
        assert BODY.startswith(reader.got)
        if reader.outcome == "end":
            assert server.is_complete
            assert reader.got == BODY
    outcomes = {reader.outcome for reader in readers}
    assert outcomes & {"end", "disconnect"}, "one of the readers must get the body"
    if not server.is_complete:
        assert "disconnect" in outcomes


TURNS = st.integers(0, 6)
PROGRAMS = st.fixed_dictionaries(
    {
        "sizes": st.sampled_from([[60], [7], [1, 30, 5, 24], [13, 0, 13]]),
        "turns": st.lists(TURNS, min_size=1, max_size=5),
        "is_complete": st.booleans(),
        "kinds": st.lists(st.sampled_from(["stream", "body"]), min_size=1, max_size=2),
        "cancels": st.lists(st.lists(TURNS, max_size=5), min_size=2, max_size=2),
        "watches": st.lists(st.booleans(), min_size=2, max_size=2),
        "polls": st.lists(TURNS, max_size=4),
    }
)


def run(backend: str, program: dict[str, Any]) -> None:
    server = Server(program["sizes"], program["turns"], program["is_complete"])
    fields = zip(program["kinds"], program["cancels"], program["watches"], strict=False)
    readers = [Reader(*values) for values in fields]
    anyio.run(run_program, server, readers, program["polls"], backend=backend)
    check(server, readers)


@pytest.mark.property
@pytest.mark.promise
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
# 100 000 programs take eight minutes for each event loop, in which no other property is tried.
@settings(max_examples=min(settings().max_examples, 20_000))
@given(program=PROGRAMS)
def test_interrupted_readers_lose_no_byte(backend: str, program: dict[str, Any]) -> None:
    run(backend, program)


def lose_chunk(server: Server) -> None:
    server.sent += 1


@pytest.mark.parametrize("fault", [lose_chunk])
def test_lost_byte_is_found(fault: Callable[[Server], None]) -> None:
    server = Server([7], [0], is_complete=True)
    reader = Reader("stream", [])
    receive = server.receive

    async def faulty() -> Message:
        message = await receive()
        fault(server)
        return message

    server.receive = faulty  # type: ignore[method-assign]
    anyio.run(run_program, server, [reader], [])

    with pytest.raises(AssertionError):
        check(server, [reader])
