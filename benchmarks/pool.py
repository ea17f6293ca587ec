"""The contenders' processes, and how they take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.contenders import MISSING
from benchmarks.results import BASE, OURS, Run
from benchmarks.scenarios import SCENARIOS

ROUND = 0.012  # seconds that a contender works in a round, if one request does not take longer
PASSES = 3  # how often all scenarios are gone through, each time with a part of the rounds
WARM_UP = 0.1  # seconds, before the first pass and the turns that follow it
ENVIRONMENT = {"PYTHONHASHSEED": "0"}


def last_core() -> int | None:
    """Give the core to pin to, where the system can pin."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


class Died(Exception):
    """A contender's process ended; it has said why."""


class Worker:
    """A contender's process, on a core of its own where the system can pin one."""

    def __init__(self, contender: str) -> None:
        self.contender = contender
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", contender],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        core = last_core()
        if core is not None:
            # All on one core: they work in turns, and no core is like the other.
            os.sched_setaffinity(self.process.pid, {core})

    def ask(self, *command: Any) -> Any:
        """Have it do something, and wait for what it gives.

        Raises:
            Died: it has ended instead.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Died(f"{self.contender}: its process ended at {command}")
        return json.loads(line)

    def seconds(self, scenario: str, requests: int) -> float:
        """Give the seconds of one request, the mean of ``requests``."""
        return float(self.ask("measure", scenario, requests)) / requests

    def close(self) -> None:
        """End its input, and wait until it is gone."""
        try:
            self.process.communicate()
        except BrokenPipeError:
            self.process.wait()


@contextmanager
def workers(contenders: list[str]) -> Iterator[dict[str, Worker]]:
    """Start a process for each contender, and end them."""
    started: dict[str, Worker] = {}
    try:
        for contender in contenders:
            started[contender] = Worker(contender)
        yield started
    finally:
        for worker in started.values():
            worker.close()


class Rounds:
    """One run: checks first, then rounds in which the contenders take turns in random order."""

    def __init__(self, pool: dict[str, Worker], run: Run, advance: Callable[[], None]) -> None:
        self.pool = pool
        self.run = run
        self.advance = advance
        self.requests: dict[tuple[str, str], int] = {}

    def check(self, scenario: str) -> None:
        """Keep the contenders whose answer is right; what is wrong is noted."""
        right = {}
        for contender, worker in list(self.pool.items()):
            if (contender, SCENARIOS[scenario].key) in MISSING:
                continue
            try:
                wrong = worker.ask("check", scenario)
            except Died as error:
                wrong = str(error)
                del self.pool[contender]
            if wrong is None:
                right[contender] = list[float]()
            else:
                self.run.wrong.append(f"{contender}: {wrong}")
        if BASE in right:
            self.run.times[scenario] = right

    def warm_up(self, scenario: str) -> None:
        """Find how many requests fill a round, and run some rounds for nothing."""
        for contender in self.run.times[scenario]:
            worker = self.pool[contender]
            seconds = worker.seconds(scenario, 1)
            if seconds < ROUND:
                seconds = worker.seconds(scenario, 50)
                worker.seconds(scenario, max(1, int(WARM_UP / seconds)))
                seconds = worker.seconds(scenario, 50)
            self.requests[contender, scenario] = max(1, int(ROUND / seconds))
        requests = self.requests[BASE, scenario]
        floor = self.pool[BASE].ask("floor", scenario, requests) / requests
        self.run.floor[scenario] = min(floor, self.run.floor.get(scenario, floor))

    def measure(self, scenario: str, rounds: int, shuffle: Callable[[list[str]], None]) -> None:
        """Run some rounds."""
        times = self.run.times[scenario]
        for _ in range(rounds):
            order = list(times)
            shuffle(order)
            for contender in order:
                requests = self.requests[contender, scenario]
                times[contender].append(self.pool[contender].seconds(scenario, requests))
            self.advance()


def shares(rounds: int) -> list[int]:
    """Deal the rounds out to the passes.

    >>> shares(10)
    [4, 3, 3]
    """
    return [len(range(first, rounds, PASSES)) for first in range(min(PASSES, rounds))]


def measure(
    contenders: list[str],
    scenarios: list[str],
    rounds: int,
    seed: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> Run:
    """Time contenders in scenarios; no rounds is the check alone.

    Raises:
        Died: a contender's process ended while it was timed.
    """
    contenders = list(dict.fromkeys((BASE, OURS, *contenders)))
    run = Run(settings={"rounds": rounds, "seed": seed, "round_seconds": ROUND})
    shuffle = Random(seed).shuffle
    with workers(contenders) as pool:
        turns = Rounds(pool, run, advance)
        for scenario in scenarios:
            turns.check(scenario)
        for share in shares(rounds):
            for scenario in run.times:
                turns.warm_up(scenario)
                turns.measure(scenario, share, shuffle)
    return run
