"""What the tests of streams share: things to draw from, a client that leaves, and cancellation."""

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
    """Have a server send ``response`` that hangs up with the last message.

    It takes its time over that one, and has said by then that the client is gone. Tells whether
    it got to the end.
    """
    goodbye = anyio.Event()
    closed = False

    async def receive() -> Message:
        await goodbye.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal closed
        if message["type"] == "http.response.body" and not message.get("more_body"):
            goodbye.set()
            for _ in range(10):
                await checkpoint()
            closed = True

    await response({"type": "http", "method": method, "path": "/", "headers": []}, receive, send)
    return closed


class Boom(Exception):
    """An error of the app's own."""


# A step of a source: to wait for what never comes.
WAIT: Any = object()


class Source:
    """Steps to go through, as any kind of iterator, and notes of what happens to it."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.steps_taken = 0
        self.has_started = False
        self.closes: list[int] = []  # threads
        self.overlaps = 0
        self.is_shut_down = False
        self.waiting = threading.Event()
        self.resume = threading.Event()
        self._drawing = False
        # A sync iterable runs ahead: what tells that the chunks before the wait were sent.
        self.is_sent: Callable[[], bool] = lambda: True

    def is_waiting(self) -> bool:
        """Return whether it waits for what never comes, and all before it was sent."""
        return self.waiting.is_set() and self.is_sent()

    async def shutdown(self) -> None:
        """Return, and note it, once somebody waits."""
        await until(self.is_waiting)
        self.is_shut_down = True

    def close(self) -> None:
        self.overlaps += self._drawing
        self.closes.append(threading.get_ident())

    def _next(self) -> Any:
        step = self.steps[self.steps_taken]
        self.steps_taken += 1
        if isinstance(step, Exception):
            raise step
        return step

    async def _draw_async(self) -> Any:
        step = self._next()
        if step is WAIT:
            self.waiting.set()
            await anyio.sleep_forever()
        return step

    def _draw(self) -> Any:
        step = self._next()
        if step is WAIT:
            self._drawing = True
            self.waiting.set()
            assert self.resume.wait(BOUND)
            self._drawing = False
            return b"late"
        return step

    async def async_generator(self) -> AsyncGenerator[Any]:
        self.has_started = True
        try:
            while self.steps_taken < len(self.steps):
                yield await self._draw_async()
        finally:
            self.close()

    def generator(self) -> Generator[Any]:
        self.has_started = True
        try:
            while self.steps_taken < len(self.steps):
                yield self._draw()
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
        return await self.source._draw_async()

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
        return self.source._draw()

    def close(self) -> None:
        self.source.close()


class SyncFile:
    """Has lines too, which nobody is to ask for."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.sizes: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("a file was read by lines")

    def read(self, size: int) -> Any:
        self.sizes.append(size)
        return b"" if self.source.steps_taken == len(self.source.steps) else self.source._draw()

    def close(self) -> None:
        self.source.close()


class AsyncFile:
    """As those of anyio: it has the sync ``close`` of the file within as well."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        raise AssertionError("a file was read by lines")

    async def read(self, size: int) -> Any:
        if self.source.steps_taken == len(self.source.steps):
            return b""
        return await self.source._draw_async()

    async def aclose(self) -> None:
        self.source.close()

    def close(self) -> None:
        raise AssertionError("a file was closed on the loop")


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
    """Check that ``source`` was closed once; a generator that never ran has nothing to do then."""
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
    """The other end: leaves when ``leaves()``, or after some messages, or makes one fail."""

    def __init__(
        self,
        leaves: Callable[[], bool] = lambda: False,
        *,
        disconnect_after: int | None = None,
        send_fails_at: int | None = None,
    ) -> None:
        self.scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        self.leaves = leaves
        self.disconnect_after = disconnect_after
        self.is_leaving = anyio.Event()
        self.send_fails_at = send_fails_at
        self.checker = Checker(self.scope)
        self.messages: list[Message] = []
        self.is_disconnected = False
        self.is_sending = False

    async def receive(self) -> Message:
        if self.disconnect_after is None:
            await until(self.leaves)
        else:
            await self.is_leaving.wait()
        self.is_disconnected = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        assert not self.is_disconnected, "sent after the client left"
        assert not self.is_sending, "sent while another message was being sent"
        if len(self.messages) == self.send_fails_at:
            raise BrokenPipeError
        self.messages.append(self.checker.take(message))
        if len(self.messages) == self.disconnect_after:
            self.is_leaving.set()
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
    """Let a thread go on some turns of the loop after ``when()``: nothing may be closed before."""
    await until(when)
    for _ in range(10):
        await checkpoint()
    source.resume.set()


async def cancel(source: Source, outside: anyio.CancelScope) -> None:
    await until(source.is_waiting)
    outside.cancel()
    await release(source, lambda: True)


@types.coroutine
def cancelled_at(
    at: int, cancel: Callable[[], object], work: Awaitable[None]
) -> Generator[Any, Any, None]:
    """Await ``work``, and call ``cancel()`` as it waits for the ``at``-th time."""
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
    """Tell whether ``work`` was cancelled before its end."""
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
    # No cancellation gets lost, and no task stays behind.
    assert task.cancelled() == bool(cancels)
    assert asyncio.all_tasks() == before
    if not cancels:
        task.result()
    return task.cancelled()
