"""Helpers for tests of streams: iterables, a client that disconnects, and cancellation."""

from __future__ import annotations

import asyncio
import functools
import threading
import types
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit.testing.checker import Checker
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Generator,
        Iterator,
    )

    from asgikit.types import Message, Scope


async def completes_after_early_disconnect(response: Any, method: str = "GET") -> bool:
    """Return whether ``response`` waits for its last ``send`` although a disconnect was reported.

    Some servers report the disconnect before the last call of ``send`` returns.
    """
    is_last = anyio.Event()
    is_complete = False

    async def receive() -> Message:
        await is_last.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal is_complete
        if message["type"] == "http.response.body" and not message.get("more_body"):
            is_last.set()
            for _ in range(10):
                await checkpoint()
            is_complete = True

    await response({"type": "http", "method": method, "path": "/", "headers": []}, receive, send)
    return is_complete


class Boom(Exception):
    """An error that the app raises."""


# A step of a source that waits: async sources forever, sync sources until ``resume`` is set.
WAIT: Any = object()


class Source:
    """Iterables of each kind over the same steps, which record their use.

    A step is a chunk to yield, an exception to raise, or :data:`WAIT`.

    Attributes:
        steps_taken: the number of steps that were iterated over.
        has_started: a generator has run its first step.
        closes: the identifier of the thread of each close.
        overlaps: the number of closes during a step.
        waiting: set at a ``WAIT`` step.
        resume: ends the ``WAIT`` step of a sync iterable if set.
        is_sent: returns whether the chunks before the ``WAIT`` step were sent. Sync iterables run
            ahead of the client.
        is_shut_down: :meth:`shutdown` has returned.
    """

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.steps_taken = 0
        self.has_started = False
        self.closes: list[int] = []
        self.overlaps = 0
        self.is_shut_down = False
        self.waiting = threading.Event()
        self.resume = threading.Event()
        self._is_in_step = False
        self.is_sent: Callable[[], bool] = lambda: True

    def is_waiting(self) -> bool:
        """Return whether a ``WAIT`` step was reached and the chunks before it were sent."""
        return self.waiting.is_set() and self.is_sent()

    async def shutdown(self) -> None:
        """Return at a ``WAIT`` step; for the parameter ``shutdown`` of responses."""
        await until(self.is_waiting)
        self.is_shut_down = True

    def close(self) -> None:
        self.overlaps += self._is_in_step
        self.closes.append(threading.get_ident())

    def _take_step(self) -> Any:
        step = self.steps[self.steps_taken]
        self.steps_taken += 1
        if isinstance(step, Exception):
            raise step
        return step

    async def _step_async(self) -> Any:
        step = self._take_step()
        if step is WAIT:
            self.waiting.set()
            await anyio.sleep_forever()
        return step

    def _step(self) -> Any:
        step = self._take_step()
        if step is WAIT:
            self._is_in_step = True
            self.waiting.set()
            assert self.resume.wait(BOUND)
            self._is_in_step = False
            return b"late"
        return step

    async def async_generator(self) -> AsyncGenerator[Any]:
        self.has_started = True
        try:
            while self.steps_taken < len(self.steps):
                yield await self._step_async()
        finally:
            self.close()

    def generator(self) -> Generator[Any]:
        self.has_started = True
        try:
            while self.steps_taken < len(self.steps):
                yield self._step()
        finally:
            self.close()

    def async_iterator(self) -> AsyncIterator[Any]:
        return CustomAsyncIterator(self)

    def iterator(self) -> Iterator[Any]:
        return CustomIterator(self)


class CustomAsyncIterator:
    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> CustomAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        if self.source.steps_taken == len(self.source.steps):
            raise StopAsyncIteration
        return await self.source._step_async()

    async def aclose(self) -> None:
        self.source.close()


class CustomIterator:
    def __init__(self, source: Source) -> None:
        self.source = source

    def __iter__(self) -> CustomIterator:
        return self

    def __next__(self) -> Any:
        if self.source.steps_taken == len(self.source.steps):
            raise StopIteration
        return self.source._step()

    def close(self) -> None:
        self.source.close()


class SyncFile:
    """A binary file object; iteration over its lines fails the test."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.sizes: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("a file was read by lines")

    def read(self, size: int) -> Any:
        self.sizes.append(size)
        return b"" if self.source.steps_taken == len(self.source.steps) else self.source._step()

    def close(self) -> None:
        self.source.close()


class AsyncFile:
    """An async file object as in anyio, where ``close`` is the blocking one of the wrapped file."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        raise AssertionError("a file was read by lines")

    async def read(self, size: int) -> Any:
        if self.source.steps_taken == len(self.source.steps):
            return b""
        return await self.source._step_async()

    async def aclose(self) -> None:
        self.source.close()

    def close(self) -> None:
        raise AssertionError("a file was closed on the event loop")


KINDS: dict[str, Callable[[Source], Any]] = {
    "async generator": Source.async_generator,
    "generator": Source.generator,
    "async iterator": Source.async_iterator,
    "iterator": Source.iterator,
    "file": SyncFile,
    "async file": AsyncFile,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def assert_closed_once(source: Source, iterator: Any, kind: str) -> None:
    """Check that ``source`` was closed once, in the right thread; generators only if they ran."""
    assert source.overlaps == 0
    if "generator" in kind:
        assert getattr(iterator, "ag_frame", None) is None
        assert getattr(iterator, "gi_frame", None) is None
        assert len(source.closes) == source.has_started
    else:
        assert len(source.closes) == 1
    on_loop = [thread == threading.get_ident() for thread in source.closes]
    assert on_loop == [kind.startswith("async")] * len(on_loop)


class Client:
    """A client that disconnects, as the server reports it to the app.

    It checks that messages are valid, do not overlap, and are not sent after the disconnect.

    Args:
        is_disconnecting: the client disconnects once this returns true.
        disconnect_after: the client disconnects after this number of messages instead.
        send_fails_at: ``send`` raises ``BrokenPipeError`` for the message with this index.
    """

    def __init__(
        self,
        is_disconnecting: Callable[[], bool] = lambda: False,
        *,
        disconnect_after: int | None = None,
        send_fails_at: int | None = None,
    ) -> None:
        self.scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        self.is_disconnecting = is_disconnecting
        self.disconnect_after = disconnect_after
        self._is_at_limit = anyio.Event()
        self.send_fails_at = send_fails_at
        self.checker = Checker(self.scope)
        self.messages: list[Message] = []
        self.is_disconnected = False
        self.is_sending = False

    async def receive(self) -> Message:
        if self.disconnect_after is None:
            await until(self.is_disconnecting)
        else:
            await self._is_at_limit.wait()
        self.is_disconnected = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        assert not self.is_disconnected, "sent after the disconnect"
        assert not self.is_sending, "sent while another message was being sent"
        if len(self.messages) == self.send_fails_at:
            raise BrokenPipeError
        self.messages.append(self.checker.add(message))
        if len(self.messages) == self.disconnect_after:
            self._is_at_limit.set()
        self.is_sending = True
        try:
            await checkpoint()
        finally:
            self.is_sending = False

    async def get(self, app: Callable[..., Awaitable[None]]) -> None:
        await app(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return bytes(self.checker.body)


async def release(source: Source, when: Callable[[], bool]) -> None:
    """Resume ``source`` ten checkpoints after ``when()`` is true; it must not be closed before."""
    await until(when)
    for _ in range(10):
        await checkpoint()
    source.resume.set()


async def cancel(source: Source, outside: anyio.CancelScope) -> None:
    """Cancel ``outside`` once ``source`` waits, then resume ``source``."""
    await until(source.is_waiting)
    outside.cancel()
    await release(source, lambda: True)


@types.coroutine
def cancelled_at(
    at: int, cancel: Callable[[], object], work: Awaitable[None]
) -> Generator[Any, Any, None]:
    """Await ``work``, and call ``cancel()`` when it suspends for the ``at``-th time (from 1)."""
    steps = work.__await__()
    step = functools.partial(steps.send, None)
    while True:
        try:
            waited_for = step()
        except StopIteration:
            return
        at -= 1
        if at == 0:
            cancel()
        try:
            step = functools.partial(steps.send, (yield waited_for))
        except BaseException as error:  # noqa: BLE001 - passed on
            step = functools.partial(steps.throw, error)


async def run_cancelled_at(at: int, work: Coroutine[Any, Any, None], how: str) -> bool:
    """Run ``work``, cancel it at its suspension number ``at``, and return whether it was cancelled.

    Args:
        at: from 1; past the last suspension, ``work`` is not cancelled.
        work: the coroutine to run.
        how: ``scope`` cancels an anyio scope, any other value an asyncio task.
    """
    if how == "scope":
        with anyio.CancelScope() as outside:
            await cancelled_at(at, outside.cancel, work)
        return outside.cancelled_caught

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        await cancelled_at(at, lambda: cancels.append(task.cancel()), work)

    cancels: list[bool] = []
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(run())
    await asyncio.wait([task])
    # Each cancellation is raised, and no task is left.
    assert task.cancelled() == bool(cancels)
    assert asyncio.all_tasks() == before
    if not cancels:
        task.result()
    return task.cancelled()
