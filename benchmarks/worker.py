"""One contender in a process of its own: checks and measures its apps on request.

It reads a JSON list from each line of standard input, and writes the result as a JSON line:

- `["check", scenario]`: `null` if the response is right, else the error;
- `["measure", scenario, requests]`: the seconds of these requests.
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
from benchmarks.contenders import load
from benchmarks.scenarios import SCENARIOS, Scenario


class Worker:
    """The apps of a contender, and the messages of the current scenario."""

    def __init__(self, contender: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.apps = runner.run(load(contender))
        self.prepared: dict[str, Scenario] = {}
        self.scenario: Scenario | None = None
        self.messages: list[dict[str, Any]] = []

    def prepare(self, name: str) -> Scenario:
        """Return a scenario, with the ETag of the contender if it needs one."""
        if name not in self.prepared:
            scenario = SCENARIOS[name]
            prepared = exchange.prepare(self.apps[scenario.key], scenario)
            self.prepared[name] = self.runner.run(prepared)
        return self.prepared[name]

    def check(self, name: str) -> str | None:
        """Check two responses, because the second one may differ."""
        try:
            scenario = self.prepare(name)
            for _ in range(2):
                scenario.check(self.runner.run(exchange.record(self.apps[scenario.key], scenario)))
        except Exception as error:  # noqa: BLE001 - an app may raise any error
            return f"{type(error).__name__}: {error}"
        return None

    def measure(self, name: str, requests: int) -> float:
        scenario = self.prepare(name)
        if scenario is not self.scenario:
            # Only one scenario at a time: messages take up to 50 MB.
            self.scenario, self.messages = scenario, scenario.messages()
            # Exclude the existing objects from garbage collections.
            gc.collect()
            gc.freeze()
        app = self.apps[scenario.key]
        return self.runner.run(exchange.measure(app, scenario, self.messages, requests))


def main() -> None:
    """Execute commands until the end of the input."""
    # A contender may print: redirect its standard output to standard error.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        loop_factory = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        loop_factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        worker = Worker(sys.argv[1], runner)
        for line in sys.stdin:
            operation, *arguments = json.loads(line)
            print(json.dumps(getattr(worker, operation)(*arguments)), file=output, flush=True)


if __name__ == "__main__":
    main()
