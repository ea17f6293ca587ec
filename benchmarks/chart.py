"""A run as a chart: a line for each scenario, a dot for each contender."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from benchmarks.report import by_scenario
from benchmarks.results import BASE, OURS, Run
from benchmarks.scenarios import SCENARIOS

# Told apart by people who see no red or no green (Okabe and Ito), and by their marks.
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def figure(*, columns: int = 1, **size: Any) -> tuple[Any, Any]:
    """Make a figure, and its empty panels; the same data give the same SVG.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "benchmarks", "font.family": "sans-serif", "font.size": 9}
    )
    # Not pyplot, which holds figures and looks for a screen.
    made = importlib.import_module("matplotlib.figure").Figure(layout="constrained", **size)
    return made, made.subplots(ncols=columns)


def write(made: Any, path: Path) -> None:
    """Write a figure as SVG, without the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, format="svg", metadata={"Date": None})


def draw(run: Run, path: Path) -> None:
    """Draw the ratios of a run."""
    table = by_scenario(run)
    names = list(table)
    made, axes = figure(figsize=(8.5, 1.5 + 0.33 * len(names)))
    contenders = dict.fromkeys(name for line in table.values() for name in line if name != BASE)
    for place, contender in enumerate(contenders):
        points = [
            (line[contender].ratio_of_minima, height)
            for height, line in enumerate(table.values())
            if contender in line
        ]
        axes.scatter(
            *zip(*points, strict=True),
            label=contender,
            color=_COLOURS[place % len(_COLOURS)],
            marker=_MARKS[place % len(_MARKS)],
            s=52 if contender == OURS else 24,
            zorder=4 if contender == OURS else 3,
        )
    targets = [
        (scenario.target, names.index(name))
        for name, scenario in SCENARIOS.items()
        if name in table and scenario.target
    ]
    if targets:
        axes.scatter(
            *zip(*targets, strict=True), label="target", color="#777777", marker="|", s=120
        )
    axes.axvline(1, color="#777777", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], minor=False)
    axes.set_yticks(range(len(names)), [f"{SCENARIOS[name].title}  ({name})" for name in names])
    axes.invert_yaxis()
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("time of a request, as a ratio to raw ASGI (log scale; left is faster)")
    made.legend(
        loc="outside upper center", ncols=9, frameon=False, handletextpad=0.1, columnspacing=1.0
    )
    write(made, path)
