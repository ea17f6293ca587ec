"""Measures asgikit against raw ASGI and Starlette: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

from benchmarks.contenders import installed
from benchmarks.report import BASE, Times, compare, show
from benchmarks.scenarios import SCENARIOS

ROUND = 0.010  # seconds that raw works in a round
WARM_UP = 1000  # requests that tell how many fill a round


class Worker:
    """A contender's process, on a core of its own where the system can pin one."""

    def __init__(self, contender: str, scenarios: list[str]) -> None:
        self.contender = contender
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", contender, *scenarios],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if hasattr(os, "sched_setaffinity"):
            # All on one core: they work in turns, and no core is like the other.
            os.sched_setaffinity(self.process.pid, {max(os.sched_getaffinity(0))})

    def close(self) -> None:
        """End its input, and wait until it is gone."""
        self.process.communicate()

    def read(self) -> str:
        """Wait for one line.

        Raises:
            SystemExit: the process ended; it has said why.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.contender} gave up")
        return line.strip()

    def measure(self, scenario: str, requests: int) -> float:
        """Give the seconds of one request, the mean of ``requests``."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{scenario} {requests}\n")
        self.process.stdin.flush()
        return float(self.read()) / requests


def run(scenarios: list[str], rounds: int, seed: int) -> Times:
    """Time every installed contender in every scenario, in rounds that are shuffled."""
    shuffle = random.Random(seed).shuffle
    workers = {contender: Worker(contender, scenarios) for contender in installed()}
    times: Times = {contender: {name: [] for name in scenarios} for contender in workers}
    try:
        for worker in workers.values():
            worker.read()
        for name in scenarios:
            requests = int(ROUND / workers[BASE].measure(name, WARM_UP)) + 1
            for _ in range(rounds):
                order = list(workers.values())
                shuffle(order)
                for worker in order:
                    times[worker.contender][name].append(worker.measure(name, requests))
    finally:
        for worker in workers.values():
            worker.close()
    return times


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="A,B", help="scenarios by the start of their names"
    )
    parser.add_argument("--rounds", type=int, default=40, help="rounds per scenario (40)")
    parser.add_argument("--seed", type=int, default=1, help="of the shuffle (1)")
    options = parser.parse_args(arguments)
    wanted = tuple(options.only.split(","))
    scenarios = [name for name in SCENARIOS if name.startswith(wanted)]
    if not scenarios or options.rounds < 1:
        parser.error(f"nothing to do; the scenarios are {', '.join(SCENARIOS)}")
    show(compare(run(scenarios, options.rounds, options.seed)))


if __name__ == "__main__":
    main()
