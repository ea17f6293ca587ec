"""Measures asgikit against raw ASGI and its peers, in process: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import pool, report
from benchmarks.contenders import CONTENDERS, installed
from benchmarks.results import BASE, FOLDER, OURS, Run, changes
from benchmarks.scenarios import SCENARIOS


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar of the rounds, by rich where that is installed."""
    try:
        bar: Any = importlib.import_module("rich.progress").Progress(transient=True)
    except ModuleNotFoundError:
        yield lambda: None
        return
    with bar:
        task = bar.add_task("rounds", total=total)
        yield lambda: bar.advance(task)


def pick(words: str, among: dict[str, Any]) -> list[str]:
    """Give the names that start with one of ``words``, which commas separate."""
    return [name for name in among if name.startswith(tuple(words.split(",")))]


def parser() -> argparse.ArgumentParser:
    """Make the reader of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("--only", default="", metavar="A,B", help="scenarios, by how they start")
    made.add_argument("--against", default="", metavar="A,B", help="peers, by how they start")
    made.add_argument("--rounds", type=int, default=40, help="a scenario (40); 0: only check")
    made.add_argument("--seed", type=int, default=1, help="of the shuffle (1)")
    made.add_argument("--compare", type=Path, metavar="OLD.json", help="with another run's JSON")
    made.add_argument("--output", type=Path, metavar="NEW.json", help="write the run as JSON")
    made.add_argument(
        "--save", action="store_true", help="write JSON, chart and table into benchmarks/"
    )
    return made


def publish(run: Run) -> None:
    """Write what the page shows."""
    chart = importlib.import_module("benchmarks.chart")
    run.save(FOLDER / "in_process.json")
    chart.draw(run, FOLDER / "in_process.svg")
    report.put_into_page("in process", report.page(run))


def main(arguments: list[str]) -> int:
    """Measure, print, and keep what is to be kept."""
    options = parser().parse_args(arguments)
    scenarios = pick(options.only, SCENARIOS)
    contenders = pick(options.against, CONTENDERS)
    if not scenarios or not contenders or options.rounds < 0:
        parser().error(
            f"nothing to do; the scenarios are {', '.join(SCENARIOS)}; "
            f"the contenders are {', '.join(CONTENDERS)}"
        )
    there = [name for name in installed() if name in (BASE, OURS, *contenders)]
    for name in sorted({*contenders} - {*there}):
        print(f"{name} is not installed, and left out")
    with progress(options.rounds * len(scenarios)) as advance:
        run = pool.measure(there, scenarios, options.rounds, options.seed, advance)
    for words in run.wrong:
        print(f"WRONG {words}")
    if options.rounds:
        report.show(
            "Time of a request: ratio of minima to raw (of paired medians)", report.ratio_lines(run)
        )
        for words in report.verdicts(run):
            print(words)
    if options.compare:
        found = changes(Run.read(options.compare).times, run.times)
        report.show(f"Against {options.compare}", report.change_lines(found))
    if options.output:
        run.save(options.output)
    if options.save:
        publish(run)
    return 1 if run.wrong else 0
