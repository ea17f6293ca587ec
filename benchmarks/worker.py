"""One contender in a process of its own: checks each app's answer, then times it when told to.

It reads one line `scenario requests` from its standard input for each round, and answers with the
seconds that these requests took. A check that fails ends it.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import time
from typing import Any

from benchmarks.scenarios import SCENARIOS, Answer, Scenario, collect


async def answer(app: Any, scenario: Scenario) -> Answer:
    """Send one request, and keep what comes back."""
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scenario.scope(), receiver(scenario.content), send)
    return collect(messages)


def receiver(content: bytes) -> Any:
    """Make a fresh `receive` that gives the whole body, then tells that the client left."""
    message: dict[str, Any] = {"type": "http.request", "body": content, "more_body": False}
    messages = iter((message, {"type": "http.disconnect"}))

    async def receive() -> dict[str, Any]:
        return next(messages)

    return receive


async def drop(_message: dict[str, Any]) -> None:
    """Send nowhere."""


async def measure(app: Any, scenario: Scenario, requests: int) -> float:
    """Give the seconds that ``requests`` requests take, one awaited after another.

    Each has its own scope, header list and `receive`, made before the clock starts.
    """
    prepared = [(scenario.scope(), receiver(scenario.content)) for _ in range(requests)]
    start = time.perf_counter()
    for scope, receive in prepared:
        await app(scope, receive, drop)
    return time.perf_counter() - start


def load(contender: str) -> dict[str, Any]:
    """Give a contender's apps by scenario."""
    apps: dict[str, Any] = importlib.import_module(f"benchmarks.contenders.{contender}").APPS
    return apps


def main() -> None:
    """Serve rounds until the input ends."""
    apps = load(sys.argv[1])
    try:
        loop_factory = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        loop_factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        for name in sys.argv[2:]:
            scenario = SCENARIOS[name]
            scenario.check(runner.run(answer(apps[name], scenario)))
            runner.run(measure(apps[name], scenario, 2000))
        # What is there by now stays; the collector need not look at it in each round.
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        for line in sys.stdin:
            name, requests = line.split()
            seconds = runner.run(measure(apps[name], SCENARIOS[name], int(requests)))
            print(seconds, flush=True)


if __name__ == "__main__":
    main()
