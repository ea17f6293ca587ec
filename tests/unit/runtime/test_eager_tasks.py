"""Eager tasks: the task that calls ``receive()`` has its identity from its first step on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import BodyConsumed, Limits, PlainTextResponse, Request, request_response
from asgikit.testing import exchange
from asgikit.types import Message, Scope
from tests.support.waiting import BOUND

HAS_EAGER_TASKS = sys.version_info >= (3, 12)
INSPECTIONS: dict[str, Callable[[Any], Any]] = {
    "get_coro": lambda task: task.get_coro(),
    "get_name": lambda task: str(task.get_name()),
    "done": lambda task: task.done() or "not done",
    "repr": repr,
    # On Python 3.11, these raise an error in the first step.
    "get_loop": lambda task: task.get_loop() if HAS_EAGER_TASKS else task,
    "get_context": lambda task: task.get_context() if HAS_EAGER_TASKS else task,
}


@pytest.mark.parametrize("inspect", INSPECTIONS.values(), ids=INSPECTIONS)
def test_task_can_be_inspected_in_and_after_its_first_step(inspect: Callable[[Any], Any]) -> None:
    seen: list[Any] = []

    @request_response
    async def app(request: Request) -> PlainTextResponse:
        async def receive() -> Any:
            task = asyncio.current_task()
            seen.append(inspect(task))
            await checkpoint()
            assert asyncio.current_task() is task
            seen.append(inspect(task))
            assert request.receive is not None
            return await request.receive()

        return PlainTextResponse(await Request(dict(request.scope), receive).body())

    assert asyncio.run(exchange(app, "POST", body=b"tea")).body == b"tea"
    assert seen[1] is not None
    if inspect is not INSPECTIONS["get_coro"] or HAS_EAGER_TASKS:
        assert seen[0] is not None


def test_cancel_scope_may_be_cancelled_in_the_first_step() -> None:
    cancelled: list[bool] = []

    async def receive() -> Message:
        with anyio.CancelScope() as scope:
            scope.cancel("too late")
            await checkpoint()
        cancelled.append(scope.cancelled_caught)
        return {"type": "http.request", "body": b"tea"}

    async def main() -> bytes:
        scope: Scope = {"type": "http", "method": "POST", "headers": []}
        return await asyncio.wait_for(Request(scope, receive).body(), 5)

    assert asyncio.run(main()) == b"tea"
    assert cancelled == [True]


async def cancel_group_in_first_step(message: Any) -> Any:
    """Return as the ``receive()`` of Starlette's BaseHTTPMiddleware does."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        group.cancel_scope.cancel()
    return message


async def cancel_scope_in_first_step(message: Any) -> Any:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep_forever()
    return message


async def cancel_scope_around_a_checkpoint(message: Any) -> Any:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await asyncio.sleep(0)  # a bare yield
    return message


async def suppress_the_cancellation(message: Any) -> Any:
    asyncio.get_running_loop().call_soon(cast("asyncio.Task[Any]", asyncio.current_task()).cancel)
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError:
        await checkpoint()
    return message


async def return_at_the_cancellation(message: Any) -> Any:
    asyncio.get_running_loop().call_soon(cast("asyncio.Task[Any]", asyncio.current_task()).cancel)
    with suppress(asyncio.CancelledError):
        await anyio.sleep_forever()
    return message


@pytest.mark.parametrize(
    "receive",
    [
        cancel_group_in_first_step,
        cancel_scope_in_first_step,
        cancel_scope_around_a_checkpoint,
        suppress_the_cancellation,
        return_at_the_cancellation,
    ],
)
@pytest.mark.parametrize("sizes", [[3], [1, 1, 1]])
def test_receive_that_is_cancelled_before_its_task_starts_returns(
    receive: Callable[[Any], Awaitable[Any]], sizes: list[int]
) -> None:
    messages = [
        {"type": "http.request", "body": b"x" * size, "more_body": at < len(sizes)}
        for at, size in enumerate(sizes, 1)
    ]

    async def read() -> bytes:
        request = Request({"type": "http", "headers": []}, lambda: receive(messages.pop(0)))
        async with asyncio.timeout(BOUND):
            return await request.body()

    assert asyncio.run(read()) == b"xxx"


async def read_chunk(request: Request) -> bytes:
    return await anext(request.stream())


@pytest.mark.parametrize("read", [Request.body, read_chunk])
def test_call_whose_task_is_cancelled_at_once_ends_the_reader(
    read: Callable[[Request], Coroutine[Any, Any, bytes]],
) -> None:
    """Without a body_timeout, the reader would otherwise wait for ever."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def receive() -> Message:
        tasks.append(asyncio.current_task())
        asyncio.get_running_loop().call_soon(cancel)
        await asyncio.Event().wait()
        raise AssertionError

    def cancel() -> None:
        assert tasks[0] is not None
        tasks[0].cancel()

    async def main() -> None:
        scope: Scope = {"type": "http", "method": "POST", "headers": []}
        request = Request(scope, receive, limits=Limits(body_timeout=None))
        with pytest.raises(BodyConsumed, match="cancelled"):
            await asyncio.wait_for(read(request), 5)
        await request.close()

    asyncio.run(main())


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_error_of_the_first_call_is_raised_by_body(
    error: type[BaseException], *, waits: bool
) -> None:
    async def receive() -> Message:
        if waits:
            await checkpoint()
        raise error

    async def main() -> None:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        # The cancellation of a task of its own does not cancel the reader.
        lost = waits and error is asyncio.CancelledError
        with pytest.raises(BodyConsumed if lost else error):
            await asyncio.wait_for(request.body(), 5)
        await request.close()

    asyncio.run(main())
