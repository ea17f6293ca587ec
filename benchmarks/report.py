"""Results as tables, on the terminal and in the README of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import MISSING
from benchmarks.results import BASE, OURS, Table
from benchmarks.scenarios import SCENARIOS

PAGE = Path(__file__).parent / "README.md"

_NO_WATCH = "it does not watch for a disconnect"
_CYTHON = "its parser is compiled by Cython"
#: The reasons why a peer is not comparable in a scenario.
INCOMPARABLE = {
    ("urlencoded", "falcon"): _CYTHON,
    ("parts_50m", "falcon"): _CYTHON,
    ("stream", "falcon"): _NO_WATCH,
    ("stream_asgi24", "falcon"): _NO_WATCH,
    ("stream", "blacksheep"): _NO_WATCH,
    ("stream_asgi24", "blacksheep"): _NO_WATCH,
    ("events", "falcon"): "it sends no pings",
    ("events", "blacksheep"): _NO_WATCH,
}
#: The factor by which a ratio may exceed its target, for noise.
NOISE = 1.04

Lines = Sequence[Sequence[str]]


def microseconds(seconds: float) -> str:
    """Format seconds as microseconds with about three digits.

    >>> microseconds(1.234e-6), microseconds(0.0345)
    ('1.23', '34,500')
    """
    number = seconds * 1e6
    return f"{number:.2f}" if number < 100 else f"{float(f'{number:.3g}'):,.0f}"


def show(title: str, lines: Lines) -> None:
    """Print a table; the first line is its head, the first column its labels."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for label, *cells in lines:
        rest = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        print(f"{label:<{widths[0]}}{rest}".rstrip())


def markdown_table(lines: Lines) -> str:
    """Format a table as Markdown."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def ratio_lines(table: Table) -> Lines:
    """Return the main table: ratios of minima and (of paired medians)."""
    contenders = list(dict.fromkeys(name for rows in table.values() for name in rows))[1:]
    lines = [["scenario", "raw, µs", "target", *contenders]]
    for scenario, rows in table.items():
        fastest = min((row.ratio for name, row in rows.items() if name != BASE), default=0.0)
        target = SCENARIOS[scenario].target
        cells = [scenario, microseconds(rows[BASE].seconds), f"{target:g}" if target else ""]
        for name in contenders:
            if row := rows.get(name):
                mark = "**" if row.ratio == fastest else ""
                cells.append(f"{mark}{row.ratio:.2f}{mark} ({row.median:.2f})")
            else:
                cells.append("-")
        lines.append(cells)
    return lines


def verdicts(table: Table) -> list[str]:
    """Return the scenarios in which asgikit misses its target or a peer is faster."""
    found = []
    for scenario, rows in table.items():
        if OURS not in rows:
            continue
        ours, target = rows[OURS].ratio, SCENARIOS[scenario].target
        if target is not None and ours > target * NOISE:
            found.append(f"{scenario}: {ours:.2f}, over the target of {target:g}")
        for name, row in rows.items():
            if row.ratio < ours and name not in (BASE, OURS):
                reason = INCOMPARABLE.get((scenario, name))
                note = f" ({reason})" if reason else ""
                found.append(f"{scenario}: {ours:.2f}, {name} has {row.ratio:.2f}{note}")
    return found


def origin(run: dict[str, Any]) -> str:
    """Format the date, the machine and the versions of a run."""
    machine = run["machine"]
    parts = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"Measured {run['date']}; {machine['python']}, {machine['system']}, "
        f"{machine['processor']}, {machine['cores']} cores; {parts}."
    )


def in_process_section(table: Table, run: dict[str, Any]) -> str:
    """Format the section of the page about the benchmark in process."""
    found = [f"- {line}" for line in verdicts(table)] or ["- None."]
    missing = [f"- {name} has no `{app}`: it {reason}." for (name, app), reason in MISSING.items()]
    return "\n\n".join(
        [
            "![Times of six scenarios as ratios to raw ASGI](chart.svg)",
            markdown_table(ratio_lines(table)),
            "Scenarios in which asgikit misses its target, or a peer is faster:",
            "\n".join(found),
            "Scenarios without an app of a contender:",
            "\n".join(missing),
            origin(run),
        ]
    )


def replace_section(name: str, text: str, path: Path = PAGE) -> None:
    """Replace a section of the page, which is between two comments.

    Raises:
        ValueError: the page has no such comments.
    """
    begin, end = f"<!-- {name}: written by --save -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{path} has no lines {begin!r} and {end!r}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
