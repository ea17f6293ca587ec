"""The server's side of a request, in process: answers are checked, or timed and dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.answers import Answer, WrongAnswer, collect
from benchmarks.scenarios import Scenario

PATIENCE = 60.0  # seconds after which an answer will not come any more


async def drop(_message: dict[str, Any]) -> None:
    """Send nowhere."""


def waiting(messages: Sequence[dict[str, Any]], loop: asyncio.AbstractEventLoop) -> Any:
    """Make a `receive` and a `send` of a client that stays: after the body, `receive` waits."""
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in left:
            return message
        return await loop.create_future()  # type: ignore[no-any-return]

    return receive, drop


def leaving(messages: Sequence[dict[str, Any]], loop: asyncio.AbstractEventLoop) -> Any:
    """Make those of a client that is seen to leave once it has its answer."""
    left = iter(messages)
    gone: asyncio.Future[None] | None = None
    has_answer = False

    async def receive() -> dict[str, Any]:
        nonlocal gone
        for message in left:
            return message
        if not has_answer:
            gone = gone or loop.create_future()
            await gone
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal has_answer
        if message["type"] != "http.response.start" and not message.get("more_body", False):
            has_answer = True
            if gone is not None and not gone.done():
                gone.set_result(None)

    return receive, send


async def answer(app: Any, scenario: Scenario) -> Answer:
    """Send one request, and keep what comes back.

    Raises:
        WrongAnswer: it is no answer, or does not come.
    """
    messages: list[dict[str, Any]] = []
    connect = leaving if scenario.watched else waiting
    receive, send = connect(scenario.messages(), asyncio.get_running_loop())

    async def keep(message: dict[str, Any]) -> None:
        messages.append({**message})
        await send(message)

    try:
        async with asyncio.timeout(PATIENCE):
            await app(scenario.scope(), receive, keep)
    except TimeoutError as error:
        raise WrongAnswer(f"{scenario.name}: no answer within {PATIENCE:.0f} s") from error
    return collect(messages)


async def measure(
    app: Any, scenario: Scenario, messages: Sequence[dict[str, Any]], requests: int
) -> float:
    """Give the seconds that ``requests`` requests take, one awaited after another.

    Each has a scope, a header list, a `receive` and a `send` of its own. A server makes them for
    each request, too, so they are made on the clock: what was made ahead would be out of the cache.
    """
    loop = asyncio.get_running_loop()
    connect = leaving if scenario.watched else waiting
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
