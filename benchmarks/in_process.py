"""Measure asgikit in process, against raw ASGI and its peers: `python -m benchmarks`.

Each contender has a process of its own; all are pinned to one core and take turns in random order.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import chart, report, results
from benchmarks.contenders import CONTENDERS, IN_PEERS, MISSING, find_interpreter, installed
from benchmarks.options import make_parser
from benchmarks.results import BASE, OURS, Load, Table
from benchmarks.scenarios import SCENARIOS

ROUND = 0.012  # seconds of requests per contender and round; at least one request
PASSES = 3  # how often the list of scenarios is repeated, each time with a part of the rounds
WARM_UP = 0.1  # seconds of requests before the rounds of a pass
#: Variables of the measured processes.
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
ROOT = Path(__file__).parent.parent


class WorkerDied(Exception):
    """The process of a contender ended; its standard error has the reason."""


class Worker:
    """The process of a contender, pinned to the last core if the system supports it."""

    def __init__(self, contender: str, python: str | None = None) -> None:
        self.contender = contender
        self.process = subprocess.Popen(
            [python or sys.executable, "-m", "benchmarks.worker", contender],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        pin(self.process.pid, -1)

    def call(self, *command: Any) -> Any:
        """Send a command, and return its result.

        Raises:
            WorkerDied: the process has ended.
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
            raise WorkerDied(f"{self.contender}: its process ended at {command}")
        return json.loads(line)

    def seconds(self, scenario: str, requests: int) -> float:
        """Return the mean seconds of a request."""
        return float(self.call("measure", scenario, requests)) / requests

    def close(self) -> None:
        """Close the input, and wait for the end of the process."""
        try:
            self.process.communicate()
        except BrokenPipeError:
            self.process.wait()


def pin(process: int, index: int) -> None:
    """Pin a process to one of the available cores, if the system supports it."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process, {cores[index % len(cores)]})


def progress(total: int, done: int) -> None:
    """Show the progress on a terminal."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} rounds", end=end, file=sys.stderr, flush=True)


@dataclass
class Run:
    """The result of a run.

    Attributes:
        rounds: seconds by scenario, contender and round.
        errors: the wrong responses.
        others: the cores that other processes used.
    """

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    others: float = 0.0

    def table(self) -> Table:
        return {name: results.summarize(dict(rounds)) for name, rounds in self.rounds.items()}


def check(workers: dict[str, Worker], scenario: str, run: Run) -> None:
    """Add a scenario to ``run`` with the contenders that respond correctly."""
    rounds: dict[str, list[float]] = {}
    for contender, worker in list(workers.items()):
        if {(contender, scenario), (contender, SCENARIOS[scenario].key)} & MISSING.keys():
            continue
        try:
            error = worker.call("check", scenario)
        except WorkerDied as died:
            error = str(died)
            del workers[contender]
        if error is None:
            rounds[contender] = []
        else:
            run.errors.append(f"{contender}: {error}")
    if BASE in rounds:
        run.rounds[scenario] = rounds


def warm_up(worker: Worker, scenario: str) -> int:
    """Return the number of requests that take a round, after some requests to warm up."""
    seconds = worker.seconds(scenario, 1)
    if seconds < ROUND:
        seconds = worker.seconds(scenario, 50)
        worker.seconds(scenario, max(1, int(WARM_UP / seconds)))
        seconds = worker.seconds(scenario, 50)
    return max(1, int(ROUND / seconds))


def split_rounds(rounds: int) -> list[int]:
    """Split the rounds among the passes.

    >>> split_rounds(10)
    [4, 3, 3]
    """
    return [len(range(first, rounds, PASSES)) for first in range(min(PASSES, rounds))]


def measure(
    contenders: Iterable[str],
    scenarios: Iterable[str],
    rounds: int,
    seed: int = 1,
    python: str | None = None,
) -> Run:
    """Check and measure contenders; with 0 rounds, only check them.

    ``python`` is the interpreter of all contenders; by default, the one that has each installed.

    Raises:
        WorkerDied: a process ended while it was measured.
    """
    run, load = Run(), Load()
    shuffle = Random(seed).shuffle
    done = 0
    with ExitStack() as stack:
        workers = {
            contender: stack.enter_context(
                closing(Worker(contender, python or find_interpreter(contender)))
            )
            for contender in dict.fromkeys((BASE, OURS, *contenders))
        }
        for scenario in scenarios:
            check(workers, scenario, run)
        for count in split_rounds(rounds):
            for scenario, times in run.rounds.items():
                requests = {name: warm_up(workers[name], scenario) for name in times}
                for _ in range(count):
                    order = list(times)
                    shuffle(order)
                    for name in order:
                        times[name].append(workers[name].seconds(scenario, requests[name]))
                    done += 1
                    progress(rounds * len(run.rounds), done)
    run.others = load.others()
    return run


def select(prefixes: str, names: Iterable[str]) -> list[str]:
    """Return the names that start with one of the prefixes, which are separated by commas."""
    return [name for name in names if name.startswith(tuple(prefixes.split(",")))]


def save(table: Table, run: dict[str, Any]) -> None:
    """Save a run with its chart and its section of the page."""
    results.save("in_process", {**run, "rows": results.dump_rows(table)})
    publish(results.read("in_process") or {})


def publish(run: dict[str, Any]) -> None:
    """Write the chart and the sections of both pages from a saved run."""
    table = results.read_table(run)
    chart.draw(table, run)
    report.replace_section("in process", report.in_process_section(table, run))
    report.replace_section("performance", report.guide_section(table, run), report.GUIDE)


def main(arguments: list[str]) -> int:
    """Measure, print and save; the exit status is 1 after a wrong response."""
    parser = make_parser("", __doc__, only="", against="", rounds=40, seed=1, save=False)
    options = parser.parse_args(arguments)
    scenarios = select(options.only, SCENARIOS)
    contenders = select(options.against, CONTENDERS)
    if not scenarios or not contenders or options.rounds < 0:
        parser.error(
            f"no scenario or contender selected; the scenarios are {', '.join(SCENARIOS)}; "
            f"the contenders are {', '.join(CONTENDERS)}"
        )
    available = [name for name in contenders if name in installed()]
    for name in sorted({*contenders} - {*available}):
        note = "; `python -m benchmarks peers` installs it" if name in IN_PEERS else ""
        print(f"{name} is not installed, and is skipped{note}")
    run = measure(available, scenarios, options.rounds, options.seed)
    for error in run.errors:
        print(f"WRONG {error}")
    if options.rounds:
        table = run.table()
        title = "Time of a request as a ratio to raw: of minima (of paired medians)"
        report.show(title, report.ratio_lines(table))
        print("\n".join(["", *report.verdicts(table), *report.leads(table)]))
        print(report.busyness(run.others))
        context = results.context(run.others, rounds=options.rounds, seed=options.seed)
        if options.save:
            save(table, context)
    return 1 if run.errors else 0
