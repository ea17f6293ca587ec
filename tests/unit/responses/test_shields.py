"""Shields, scopes and task groups of a user's generator while a response is cancelled."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import EventSourceResponse, StreamingResponse
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from asgikit.types import Message

pytestmark = pytest.mark.anyio


class Stage:
    """A generator in a shield, and the event that cancels it meanwhile."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        self.is_inside = threading.Event()
        self.shutdown = anyio.Event()
        self.has_ended = False
        self.log: list[str] = []
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self.cause.endswith("shutdown"):
            await anyio.sleep_forever()
        await until(self.is_inside.is_set)
        self.has_ended = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        await checkpoint()

    async def watch_shutdown(self) -> None:
        await until(self.is_inside.is_set)
        self.has_ended = True

    def make(self, chunks: AsyncGenerator[str]) -> Any:
        background = lambda: self.log.append("background")  # noqa: E731 - it returns something
        kind = StreamingResponse if self.cause.startswith("stream") else EventSourceResponse
        shutdown = self.watch_shutdown if self.cause.endswith("shutdown") else None
        return kind(chunks, background=background, shutdown=shutdown)

    async def commit(self) -> None:
        """Do shielded work that lasts until some iterations of the loop after the event."""
        self.is_inside.set()
        await until(lambda: self.has_ended)
        for _ in range(10):
            await checkpoint()
        self.log.append("committed")

    async def run(self, chunks: AsyncGenerator[str]) -> list[str]:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with anyio.fail_after(BOUND):
            await self.make(chunks)(scope, self.receive, self.send)
        assert getattr(chunks, "ag_frame", chunks) is None
        return self.log


async def in_a_shield(stage: Stage) -> AsyncGenerator[str]:
    try:
        yield "a"
        with anyio.CancelScope(shield=True):
            await stage.commit()
        await anyio.sleep_forever()
    finally:
        stage.log.append("closed")


async def in_a_finally(stage: Stage) -> AsyncGenerator[str]:
    try:
        yield "a"
        stage.is_inside.set()
        await anyio.sleep_forever()
    finally:
        try:
            with anyio.CancelScope(shield=True):
                await stage.commit()
        finally:
            stage.log.append("closed")


async def in_a_thread(stage: Stage) -> AsyncGenerator[str]:
    """Commit in a thread: ``abandon_on_cancel=False`` is a shield of anyio."""

    def work() -> None:
        stage.is_inside.set()
        assert ended.wait(BOUND)
        stage.log.append("committed")

    async def release() -> None:
        await until(lambda: stage.has_ended)
        for _ in range(10):
            await checkpoint()
        ended.set()

    ended = threading.Event()
    try:
        yield "a"
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                group.start_soon(release)
                await anyio.to_thread.run_sync(work, abandon_on_cancel=False)
        await anyio.sleep_forever()
    finally:
        stage.log.append("closed")


async def in_nested_scopes(stage: Stage) -> AsyncGenerator[str]:
    try:
        with anyio.move_on_after(BOUND) as outer:
            yield "a"
            with anyio.CancelScope(shield=True), anyio.move_on_after(BOUND) as inner:
                await stage.commit()
            assert not inner.cancelled_caught
            await anyio.sleep_forever()
        assert not outer.cancelled_caught
    finally:
        stage.log.append("closed")


async def with_a_deadline_inside(stage: Stage) -> AsyncGenerator[str]:
    """Cancel a scope of the user inside the shield, which must not end the shield."""
    try:
        yield "a"
        with anyio.CancelScope(shield=True):
            with anyio.CancelScope() as own:
                stage.is_inside.set()
                await until(lambda: stage.has_ended)
                own.cancel()
                await anyio.sleep_forever()
            assert own.cancelled_caught
            await checkpoint()
            stage.log.append("committed")
        await anyio.sleep_forever()
    finally:
        stage.log.append("closed")


async def in_a_task_group(stage: Stage) -> AsyncGenerator[str]:
    """Commit in a shielded child task, for which the group waits."""

    async def child() -> None:
        with anyio.CancelScope(shield=True):
            await stage.commit()

    try:
        async with anyio.create_task_group() as group:
            yield "a"
            group.start_soon(child)
            await anyio.sleep_forever()
    finally:
        stage.log.append("closed")


PLACES: dict[str, Callable[[Stage], AsyncGenerator[str]]] = {
    function.__name__: function
    for function in (
        in_a_shield,
        in_a_finally,
        in_a_thread,
        in_nested_scopes,
        with_a_deadline_inside,
        in_a_task_group,
    )
}
every_place = pytest.mark.parametrize("place", PLACES)
every_cause = pytest.mark.parametrize(
    "cause", ["stream", "stream at shutdown", "events", "events at shutdown"]
)


@every_place
@every_cause
async def test_shielded_work_is_finished_after_disconnect_and_shutdown(
    cause: str, place: str
) -> None:
    stage = Stage(cause)

    assert await stage.run(PLACES[place](stage)) == ["committed", "closed", "background"]
    assert stage.sent[-1].get("more_body", False) != cause.endswith("shutdown")


@every_cause
async def test_chunk_yielded_after_shield_is_not_sent(cause: str) -> None:
    stage = Stage(cause)

    async def chunks() -> AsyncGenerator[str]:
        try:
            yield "a"
            with anyio.CancelScope(shield=True):
                await stage.commit()
            yield "late"
        finally:
            stage.log.append("closed")

    assert await stage.run(chunks()) == ["committed", "closed", "background"]
    assert not any(b"late" in message.get("body", b"") for message in stage.sent)


class Iterator:
    """An async iterator, no generator, that waits while it is closed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __aiter__(self) -> Iterator:
        return self

    async def __anext__(self) -> str:
        self.stage.is_inside.set()
        await anyio.sleep_forever()
        return ""

    async def aclose(self) -> None:
        await checkpoint()
        self.stage.log.append("closed")


@every_cause
async def test_async_iterator_may_wait_while_it_is_closed(cause: str) -> None:
    stage = Stage(cause)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with anyio.fail_after(BOUND):
        await stage.make(Iterator(stage))(scope, stage.receive, stage.send)  # type: ignore[arg-type]

    assert stage.log == ["closed", "background"]


# --- outer cancellation --------------------------------------------------------------------------

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio has no task.cancel()


@on_asyncio
@every_place
@every_cause
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 20])
async def test_task_cancel_during_or_after_our_cancellation_is_not_swallowed(
    cause: str, place: str, turns: int
) -> None:
    stage = Stage(cause)
    chunks = PLACES[place](stage)

    async def run() -> None:
        await stage.run(chunks)
        stage.log.append("survived")
        await asyncio.sleep(BOUND)

    task = asyncio.ensure_future(run())
    await until(lambda: stage.has_ended)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert task.cancelling() == 1
    assert getattr(chunks, "ag_frame", chunks) is None
    assert stage.log.count("closed") == 1


@on_asyncio
@every_cause
async def test_task_cancel_in_the_same_iteration_is_not_swallowed(cause: str) -> None:
    stage = Stage(cause)

    async def chunks() -> AsyncGenerator[str]:
        try:
            yield "a"
            stage.is_inside.set()
            await anyio.sleep_forever()
        finally:
            stage.log.append("closed")

    async def run() -> None:
        await stage.run(chunks())
        await asyncio.sleep(BOUND)

    class Ended(threading.Event):
        """Cancel the task just before the event is noticed."""

        def is_set(self) -> bool:
            if super().is_set():
                task.cancel()
            return super().is_set()

    stage.is_inside = Ended()
    task = asyncio.ensure_future(run())
    await asyncio.wait([task])

    assert task.cancelled()
    assert stage.log == ["closed"]


@on_asyncio
@every_cause
async def test_asyncio_timeout_around_response_raises_timeout_error(cause: str) -> None:
    stage = Stage(cause)

    def expire() -> None:  # once the generator waits; no event happens
        if timeout.when() is None:
            timeout.reschedule(0)

    stage.is_inside.set = expire  # type: ignore[method-assign]
    chunks = in_a_finally(stage)
    stage.has_ended = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            await stage.run(chunks)

    assert stage.log == ["committed", "closed"]
    await checkpoint()


@every_cause
async def test_move_on_after_around_response_ends_it(cause: str) -> None:
    stage = Stage(cause)

    def expire() -> None:  # once the generator waits; no event happens
        outside.deadline = anyio.current_time()

    stage.is_inside.set = expire  # type: ignore[method-assign]
    chunks = in_a_finally(stage)
    stage.has_ended = True
    with anyio.move_on_after(BOUND) as outside:
        await stage.run(chunks)

    assert outside.cancelled_caught
    assert stage.log == ["committed", "closed"]
    await checkpoint()


@on_asyncio
@every_cause
async def test_timeout_around_disconnected_response_does_not_expire(cause: str) -> None:
    stage = Stage(cause)
    async with asyncio.timeout(BOUND) as timeout:
        await stage.run(in_a_shield(stage))
    assert not timeout.expired()
    with anyio.move_on_after(BOUND) as scope:
        stage = Stage(cause)
        await stage.run(in_a_shield(stage))
    assert not scope.cancelled_caught
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


@every_cause
async def test_disconnect_inside_cancelled_outer_scope_ends_both(cause: str) -> None:
    stage = Stage(cause)

    async def cancel_later() -> None:
        await until(lambda: stage.has_ended)
        outside.cancel()

    run: Awaitable[list[str]]
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as outside:
            group.start_soon(cancel_later)
            run = stage.run(in_a_shield(stage))
            await run
    with suppress(ValueError):
        stage.log.remove("background")  # the two events race
    assert stage.log == ["committed", "closed"]
