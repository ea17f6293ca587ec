"""One contender in a process of its own: checks its answers, and times them, as it is told.

It reads a JSON list a line from its standard input, and answers each with a JSON line:

- `["check", scenario]`: `null` where the answer is right, else what is wrong;
- `["measure", scenario, requests]`: the seconds that these requests took;
- `["floor", scenario, requests]`: the same for an app that does nothing.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
from typing import Any

from benchmarks import exchange
from benchmarks.contenders import load, raw
from benchmarks.payloads import make_files
from benchmarks.scenarios import SCENARIOS, Scenario


class Worker:
    """The apps of one contender, and the request that is sent again and again."""

    def __init__(self, contender: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.apps = runner.run(load(contender))
        self.scenario: Scenario | None = None
        self.messages: list[dict[str, Any]] = []

    def turn_to(self, scenario: Scenario) -> None:
        """Have the messages of one scenario at hand, of which some take 50 MB."""
        if scenario is not self.scenario:
            self.scenario = scenario
            self.messages = scenario.messages()
            # What is there by now stays; the collector need not look at it in each round.
            gc.collect()
            gc.freeze()

    def check(self, name: str) -> str | None:
        """Tell what is wrong with an answer: with the second one, too."""
        scenario = SCENARIOS[name]
        try:
            for _ in range(2):
                scenario.check(self.runner.run(exchange.answer(self.apps[scenario.key], scenario)))
        except Exception as error:  # noqa: BLE001 - whatever a contender raises is no answer
            return f"{type(error).__name__}: {error}"
        return None

    def measure(self, name: str, requests: int) -> float:
        scenario = SCENARIOS[name]
        self.turn_to(scenario)
        return self._run(self.apps[scenario.key], scenario, requests)

    def floor(self, name: str, requests: int) -> float:
        scenario = SCENARIOS[name]
        self.turn_to(scenario)
        return self._run(raw.nothing, scenario, requests)

    def _run(self, app: Any, scenario: Scenario, requests: int) -> float:
        return self.runner.run(exchange.measure(app, scenario, self.messages, requests))


def main() -> None:
    """Do what the input says until it ends."""
    # A contender may print: only answers go where answers are read.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    make_files()
    try:
        loop_factory = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        loop_factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        worker = Worker(sys.argv[1], runner)
        for line in sys.stdin:
            operation, *arguments = json.loads(line)
            print(json.dumps(getattr(worker, operation)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
