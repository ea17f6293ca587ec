"""The server side of requests in process: record one response, or measure many requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.checks import Response, WrongResponse, collect
from benchmarks.scenarios import Scenario

TIME_LIMIT = 60.0  # seconds for one response


async def drop(_message: dict[str, Any]) -> None:
    """Discard a message of the app."""


def connect_waiting(messages: Sequence[dict[str, Any]], loop: asyncio.AbstractEventLoop) -> Any:
    """Return `receive` and `send` of a client that stays: `receive` waits after the body."""
    remaining = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in remaining:
            return message
        return await loop.create_future()  # type: ignore[no-any-return]

    return receive, drop


def connect_disconnecting(
    messages: Sequence[dict[str, Any]], loop: asyncio.AbstractEventLoop
) -> Any:
    """Return `receive` and `send` of a client that disconnects after the response."""
    remaining = iter(messages)
    disconnected: asyncio.Future[None] | None = None
    is_complete = False

    async def receive() -> dict[str, Any]:
        nonlocal disconnected
        for message in remaining:
            return message
        if not is_complete:
            disconnected = disconnected or loop.create_future()
            await disconnected
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal is_complete
        if message["type"] != "http.response.start" and not message.get("more_body", False):
            is_complete = True
            if disconnected is not None and not disconnected.done():
                disconnected.set_result(None)

    return receive, send


async def record(app: Any, scenario: Scenario) -> Response:
    """Send one request, and return its response.

    Raises:
        WrongResponse: the messages are invalid, or the time limit is exceeded.
    """
    messages: list[dict[str, Any]] = []
    connect = connect_disconnecting if scenario.disconnects else connect_waiting
    receive, send = connect(scenario.messages(), asyncio.get_running_loop())

    async def record_message(message: dict[str, Any]) -> None:
        messages.append({**message})
        await send(message)

    try:
        async with asyncio.timeout(TIME_LIMIT):
            await app(scenario.scope(), receive, record_message)
    except TimeoutError as error:
        raise WrongResponse(f"{scenario.name}: no response in {TIME_LIMIT:.0f} s") from error
    return collect(messages)


async def prepare(app: Any, scenario: Scenario) -> Scenario:
    """Return the scenario with the ETag of ``app`` in If-None-Match, if it revalidates."""
    if not scenario.revalidates:
        return scenario
    response = await record(app, scenario)
    return replace(
        scenario, headers=((b"if-none-match", "".join(response.getall("etag")).encode()),)
    )


async def measure(
    app: Any, scenario: Scenario, messages: Sequence[dict[str, Any]], requests: int
) -> float:
    """Return the seconds of ``requests`` requests, one after another.

    The time includes the creation of scope, headers, `receive` and `send`, which a server creates
    for each request as well. If they were created before, they would not be in the cache.
    """
    loop = asyncio.get_running_loop()
    connect = connect_disconnecting if scenario.disconnects else connect_waiting
    template = scenario.scope()
    headers = template["headers"]
    start = time.perf_counter()
    for _ in range(requests):
        scope = template.copy()
        scope["headers"] = headers.copy()
        scope["state"] = {}
        receive, send = connect(messages, loop)
        await app(scope, receive, send)
    return time.perf_counter() - start
