"""The task of a first step may be inspected, although it is not initialised yet."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from asgikit import PlainTextResponse, Request, request_response
from asgikit.testing import exchange

METHODS = ["get_coro", *(["get_context"] if sys.version_info >= (3, 12) else [])]


@pytest.mark.parametrize("method", METHODS)
def test_task_can_be_inspected_in_and_after_its_first_step(method: str) -> None:
    seen: list[Any] = []

    @request_response
    async def app(request: Request) -> PlainTextResponse:
        async def receive() -> Any:
            task: Any = asyncio.current_task()
            seen.append(getattr(task, method)())
            await checkpoint()
            seen.append(getattr(task, method)())
            assert request.receive is not None
            return await request.receive()

        return PlainTextResponse(await Request(dict(request.scope), receive).body())

    assert asyncio.run(exchange(app, "POST", body=b"tea")).body == b"tea"
    # These methods of asyncio.Task end the process if the task is not initialised.
    assert seen[0] is None
    assert seen[1] is not None
