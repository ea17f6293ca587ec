"""Times of rounds to ratios, and ratios to a table."""

from __future__ import annotations

import importlib
import statistics
from dataclasses import dataclass
from typing import Any

BASE = "raw"
# Seconds of one request, by contender, scenario and round.
Times = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Row:
    """One contender in one scenario.

    Attributes:
        best: seconds of one request in the contender's fastest round.
        ratio_of_minima: that, over raw's.
        median_of_ratios: the median, over the rounds, of this round's time over raw's in the same.
    """

    scenario: str
    contender: str
    best: float
    ratio_of_minima: float
    median_of_ratios: float


def compare(times: Times) -> list[Row]:
    """Set every contender against raw, scenario by scenario.

    >>> compare({"raw": {"a": [1.0, 2.0]}, "x": {"a": [3.0, 4.0]}})[1].ratio_of_minima
    3.0
    """
    return [
        Row(
            scenario,
            contender,
            best=min(seconds[scenario]),
            ratio_of_minima=min(seconds[scenario]) / min(base),
            median_of_ratios=statistics.median(
                mine / raw for mine, raw in zip(seconds[scenario], base, strict=True)
            ),
        )
        for scenario, base in times[BASE].items()
        for contender, seconds in times.items()
    ]


HEAD = ("scenario", "contender", "us", "ratio min", "ratio med")


def cells(row: Row) -> tuple[str, ...]:
    """Write one row; times in microseconds."""
    numbers = (row.best * 1e6, row.ratio_of_minima, row.median_of_ratios)
    return row.scenario, row.contender, *(f"{number:.2f}" for number in numbers)


def plain_table(rows: list[Row]) -> str:
    """Write the table as plain text."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place > 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def show(rows: list[Row]) -> None:
    """Print the table, by rich where that is installed."""
    try:
        console: Any = importlib.import_module("rich.console").Console()
        table: Any = importlib.import_module("rich.table").Table(title="Ratios to raw ASGI")
    except ModuleNotFoundError:
        print(plain_table(rows))
        return
    for place, title in enumerate(HEAD):
        table.add_column(title, justify="right" if place > 1 else "left", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row), end_section=row.contender == rows[-1].contender)
    console.print(table)
