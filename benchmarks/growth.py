"""Measures time and memory as what is sent doubles: `python -m benchmarks growth`.

Each point is a process of its own. The exponent is that of the curve through the larger half of the
points: 1 is linear, 2 is quadratic. Memory is what Python's allocators hand out at the peak of one
request, what is sent not counted; it is fitted by a line: how many bytes each further unit takes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.in_process import pick, progress
from benchmarks.results import FOLDER, machine, now, versions

#: An exponent above this is more than linear; less is what caches do that are full.
LINEAR = 4 / 3


@dataclass(frozen=True)
class Point:
    """What one size takes: seconds of a request, and bytes of peak memory above those at rest."""

    size: int
    seconds: float
    memory: int


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Give the slope of the line nearest to points.

    >>> slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])
    2.0
    """
    xs, ys = zip(*points, strict=True)
    return statistics.linear_regression(xs, ys).slope


def exponent(points: Sequence[Point]) -> float:
    """Give the power of the size that time grows by, over the larger half of the points.

    >>> round(exponent([Point(2**n, 3e-6 * 4**n, 0) for n in range(6)]), 6)
    2.0
    """
    larger = points[len(points) // 2 - 1 :]
    return slope([(math.log(point.size), math.log(point.seconds)) for point in larger])


def memory_slope(points: Sequence[Point]) -> float:
    """Give the bytes that each further unit of size takes."""
    return slope([(point.size, point.memory) for point in points])


def words(points: Sequence[Point], unit: str, memory: str) -> list[str]:
    """Write one line of the table."""
    time = exponent(points)
    first, last = points[0], points[-1]
    return [
        f"{first.size:,} to {last.size:,} {unit}",
        f"{report.microseconds(first.seconds)} to {report.microseconds(last.seconds)}",
        f"{time:.2f}{' (!)' if time > LINEAR else ''}",
        f"{first.memory / 1024:,.0f} to {last.memory / 1024:,.0f}",
        f"{memory_slope(points):,.2f}",
        memory,
    ]


@dataclass
class GrowthRun:
    """One run: points by what doubles."""

    points: dict[str, list[Point]] = field(default_factory=dict)
    when: str = field(default_factory=now)
    machine: dict[str, Any] = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)


async def take(request: Callable[[], Any], repeats: int) -> tuple[float, int]:
    """Send some requests for the fastest, and one more to see what memory it takes at its peak."""
    times = [await request() for _ in range(repeats)]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    await request()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times), max(0, peak - before)


def point(axis: str, size: int) -> Point:
    """Measure one size, in this process."""
    grown = importlib.import_module("benchmarks.grown")
    ground: Any = grown.AXES[axis]

    async def measured() -> tuple[float, int]:
        # A small one first, so that what is loaded once is there.
        await ground.request(ground.sizes[0])()
        return await take(ground.request(size), repeats=5)

    seconds, memory = asyncio.run(measured())
    return Point(size, seconds, memory)


def point_apart(axis: str, size: int) -> Point:
    """Measure one size, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", axis, str(size)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Point(**json.loads(finished.stdout))


def draw(run: GrowthRun, path: Path) -> None:
    """Draw time and memory over the size, both as shares of the largest, and what linear is."""
    chart = importlib.import_module("benchmarks.chart")
    made, axes = chart.figure(figsize=(8.5, 4), columns=2)
    for panel, title in zip(axes, ("seconds of a request", "peak memory, MiB"), strict=True):
        panel.set_xscale("log", base=2)
        panel.set_yscale("log" if panel is axes[0] else "symlog")
        panel.set_xlabel("what doubles, as a share of its largest")
        panel.set_title(title)
        panel.grid(color="#dddddd", linewidth=0.6)
    for axis, points in run.points.items():
        shares = [one.size / points[-1].size for one in points]
        axes[0].plot(shares, [one.seconds for one in points], marker=".", label=axis)
        axes[1].plot(shares, [one.memory / 2**20 for one in points], marker=".")
    linear = [2.0**-power for power in range(6, -1, -1)]
    axes[0].plot(linear, linear, color="#777777", linestyle=":", label="linear")
    made.legend(loc="outside lower center", ncols=5, frameon=False)
    chart.write(made, path)


HEAD = ["", "from, to", "time, µs", "exponent", "memory, KiB", "bytes a unit", "why"]


def lines(run: GrowthRun) -> report.Lines:
    """Make the table."""
    grown = importlib.import_module("benchmarks.grown")
    return [
        HEAD,
        *(
            [axis, *words(points, grown.AXES[axis].unit, grown.AXES[axis].memory)]
            for axis, points in run.points.items()
        ),
    ]


def parser(axes: Sequence[str]) -> argparse.ArgumentParser:
    """Make the reader of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__)
    made.add_argument("--only", default="", metavar="A,B", help=f"of {', '.join(axes)}")
    made.add_argument("--points", type=int, default=7, help="each twice the one before (7)")
    made.add_argument("--save", action="store_true", help="write into benchmarks/")
    return made


def main(arguments: list[str]) -> int:
    """Measure, print, and keep what is to be kept."""
    axes = importlib.import_module("benchmarks.grown").AXES
    options = parser(tuple(axes)).parse_args(arguments)
    names = pick(options.only, axes)
    run = GrowthRun()
    with progress(len(names) * options.points) as advance:
        for name in names:
            run.points[name] = []
            for size in axes[name].sizes[-options.points :]:
                run.points[name].append(point_apart(name, size))
                advance()
    report.show("As it doubles", lines(run))
    if options.save:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "growth.json").write_text(json.dumps(asdict(run), indent=1) + "\n")
        draw(run, FOLDER / "growth.svg")
        measured = f"Measured {report.origin(run.when, run.machine, run.versions)}"
        picture = "![Time and memory as it doubles](results/growth.svg)"
        table = report.markdown_table(lines(run))
        report.put_into_page("growth", f"{picture}\n\n{table}\n\n{measured}")
    return 0


if __name__ == "__main__":
    print(json.dumps(asdict(point(sys.argv[1], int(sys.argv[2])))))
