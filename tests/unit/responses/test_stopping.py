"""Streams of chunks that end at ``shutdown``; test_events.py has the rest of events."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import (
    ContentLengthMismatch,
    EventSourceResponse,
    NDJSONResponse,
    StreamingResponse,
)
from asgikit.testing import exchange
from tests.support.streams import (
    KINDS,
    WAIT,
    Boom,
    Client,
    Source,
    assert_closed_once,
    every_kind,
    release,
)
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asgikit.types import Message

pytestmark = pytest.mark.anyio


@every_kind
@pytest.mark.parametrize("count", [0, 2])
async def test_shutdown_while_stream_waits_completes_response_and_closes_iterator(
    kind: str, count: int
) -> None:
    source = Source(*[b"a"] * count, WAIT)
    iterator = KINDS[kind](source)
    client = Client()
    done: list[str] = []
    response = StreamingResponse(
        iterator, background=lambda: done.append("background"), shutdown=source.shutdown
    )
    source.is_sent = lambda: client.body == b"a" * count

    async with anyio.create_task_group() as group:
        group.start_soon(release, source, lambda: source.is_shut_down)
        await client.get(response)

    client.checker.end()
    assert client.body == b"a" * count
    assert done == ["background"]
    assert_closed_once(source, iterator, kind)


async def test_shutdown_ends_ndjson_after_a_line() -> None:
    source = Source("a", WAIT)

    answer = await exchange(NDJSONResponse(source.async_generator(), shutdown=source.shutdown))

    assert answer.body == b'"a"\n'


@pytest.mark.parametrize(
    ("response_class", "opening", "message"),
    [
        (StreamingResponse, b"", b"a"),
        (EventSourceResponse, b": ping\n", b"data: a\n\n"),
    ],
)
async def test_shutdown_during_send_lets_message_finish(
    response_class: type[StreamingResponse], opening: bytes, message: bytes
) -> None:
    client = Client()
    shutdown = anyio.Event()
    sent: list[bytes] = []

    async def send(sending: Message) -> None:
        if sending.get("body") == message:
            shutdown.set()
            for _ in range(10):
                await checkpoint()
            sent.append(sending["body"])
        await client.send(sending)

    source = Source("a", "b", WAIT)
    with anyio.fail_after(BOUND):
        await response_class(source.async_generator(), shutdown=shutdown)(
            client.scope, client.receive, send
        )

    client.checker.end()
    assert (client.body, sent) == (opening + message, [message])
    assert (source.steps_taken, len(source.closes)) == (1, 1)


async def test_stream_that_never_waits_ends_at_shutdown() -> None:
    client = Client()
    shutdown = anyio.Event()
    source = Source()

    async def never_waits() -> AsyncGenerator[bytes]:
        try:
            while True:
                source.steps_taken += 1
                if source.steps_taken == 10:
                    shutdown.set()
                yield b"a"
        finally:
            source.close()

    await client.get(StreamingResponse(never_waits(), shutdown=shutdown))

    client.checker.end()
    assert (len(source.closes), source.steps_taken < 1000) == (1, True)


async def test_disconnect_before_shutdown_ends_stream_without_last_message() -> None:
    source = Source(b"a", WAIT)
    client = Client(source.waiting.is_set)

    await client.get(StreamingResponse(source.async_generator(), shutdown=anyio.Event()))

    assert client.messages[-1]["more_body"] is True
    assert len(source.closes) == 1


async def test_shutdown_after_disconnect_sends_nothing() -> None:
    shutdown = anyio.Event()
    is_waiting = anyio.Event()
    client = Client(is_waiting.is_set)

    async def stubborn() -> AsyncGenerator[bytes]:
        yield b"a"
        is_waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                shutdown.set()
                for _ in range(10):
                    await checkpoint()

    await client.get(StreamingResponse(stubborn(), shutdown=shutdown))

    assert client.messages[-1]["more_body"] is True


async def test_trailers_follow_chunks_of_stream_that_was_shut_down() -> None:
    source = Source(b"a", WAIT)
    answer = await exchange(
        StreamingResponse(
            source.async_generator(), trailers={"x-end": "yes"}, shutdown=source.shutdown
        ),
        scope={"extensions": {"http.response.trailers": {}}},
    )

    assert answer.body == b"a"
    assert answer.trailers is not None
    assert answer.trailers["x-end"] == "yes"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_unused_shutdown_coroutine_of_stream_is_closed(method: str) -> None:
    # Otherwise it would warn that it was never awaited, which is an error here.
    await exchange(StreamingResponse([b"a"], shutdown=checkpoint()), method)
    gc.collect()


async def test_error_of_shutdown_is_raised_and_closes_iterator() -> None:
    async def fail() -> None:
        await until(source.waiting.is_set)
        raise Boom

    source = Source(b"a", WAIT)
    with pytest.raises(Boom):
        await Client().get(StreamingResponse(source.async_generator(), shutdown=fail))
    assert len(source.closes) == 1


async def test_content_length_with_shutdown_raises_and_closes_iterator() -> None:
    source = Source(b"a")

    with pytest.raises(ContentLengthMismatch, match="shutdown"):
        await Client().get(
            StreamingResponse(source.async_generator(), content_length=1, shutdown=anyio.Event())
        )


def test_init_with_shutdown_of_another_kind_raises() -> None:
    with pytest.raises(TypeError, match="not int"):
        StreamingResponse([], shutdown=1)  # type: ignore[arg-type]
