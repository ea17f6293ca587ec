"""Results as tables: on the terminal, and in Markdown for the page."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import MISSING
from benchmarks.results import BASE, OURS, Change, Row, Run, rows
from benchmarks.scenarios import SCENARIOS

PAGE = Path(__file__).parent / "README.md"
#: Pairs that do not do the same work, and why: a peer is not compared there.
UNLIKE = {
    ("g_form", "falcon"): "its parser is compiled by Cython",
    ("j_stream", "falcon"): "it does not watch for a client that leaves",
    ("j24_stream", "falcon"): "it does not watch for a client that leaves",
    ("j_stream", "blacksheep"): "it does not watch for a client that leaves",
    ("j24_stream", "blacksheep"): "it does not watch for a client that leaves",
    ("i2_parts_50m", "falcon"): "its parser is compiled by Cython",
    ("n_events", "falcon"): "it sends no pings",
    ("n_events", "blacksheep"): "it does not watch for a client that leaves",
}
#: How much of a target noise may take.
NOISE = 1.04

Lines = Sequence[Sequence[str]]


def microseconds(seconds: float) -> str:
    """Write a time, by three digits or so.

    >>> microseconds(1.234e-6), microseconds(0.0345)
    ('1.23', '34,500')
    """
    number = seconds * 1e6
    return f"{number:.2f}" if number < 100 else f"{float(f'{number:.3g}'):,.0f}"


def plain_table(lines: Lines) -> str:
    """Write a table as plain text; its first line is the head, its first column the names."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(lines: Lines) -> str:
    """Write a table in Markdown."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def show(title: str, lines: Lines) -> None:
    """Print a table: by rich where that is installed and the terminal is wide enough for it."""
    text = plain_table(lines)
    try:
        console: Any = importlib.import_module("rich.console").Console()
        table: Any = importlib.import_module("rich.table").Table(title=title)
    except ModuleNotFoundError:
        console = None
    borders = 3 * len(lines[0]) + 1
    if console is None or console.width < text.index("\n") + borders:
        print(f"\n{title}\n{text}")
        return
    head, *body = lines
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for line in body:
        table.add_row(*(cell.replace("**", "") for cell in line))
    console.print(table)


def by_scenario(run: Run) -> dict[str, dict[str, Row]]:
    """Give the rows of a run by scenario and contender."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows(run.times):
        found.setdefault(row.scenario, {})[row.contender] = row
    return found


def ratio_lines(run: Run) -> Lines:
    """Make the main table: a line for each scenario, ratios of minima and (of paired medians)."""
    table = by_scenario(run)
    contenders = list(dict.fromkeys(name for line in table.values() for name in line))
    lines = [["scenario", "raw, µs", "target", *(name for name in contenders if name != BASE)]]
    for scenario, line in table.items():
        fastest = min(
            (row.ratio_of_minima for name, row in line.items() if name != BASE), default=0.0
        )
        target = SCENARIOS[scenario].target
        cells = [scenario, microseconds(line[BASE].best), f"{target:g}" if target else ""]
        for name in lines[0][3:]:
            row = line.get(name)
            if row is None:
                cells.append("-")
                continue
            mark = "**" if row.ratio_of_minima == fastest else ""
            cells.append(f"{mark}{row.ratio_of_minima:.2f}{mark} ({row.median_of_ratios:.2f})")
        lines.append(cells)
    return lines


def verdicts(run: Run) -> list[str]:
    """Tell where asgikit misses its target or is behind a peer; nothing is all well."""
    found = []
    for scenario, line in by_scenario(run).items():
        if OURS not in line:
            continue
        ours, target = line[OURS].ratio_of_minima, SCENARIOS[scenario].target
        if target is not None and ours > target * NOISE:
            found.append(f"{scenario}: {ours:.2f}, over its target of {target:g}")
        for name, row in line.items():
            if row.ratio_of_minima < ours and name not in (BASE, OURS):
                reason = UNLIKE.get((scenario, name))
                words = f"{scenario}: {ours:.2f}, behind {name}'s {row.ratio_of_minima:.2f}"
                found.append(f"{words} ({reason})" if reason else words)
    return found


def change_lines(found: list[Change]) -> Lines:
    """Make the table of what changed between two runs."""
    head = ["scenario", "contender", "before", "now", "by minima", "by medians", ""]
    return [
        head,
        *(
            [
                change.scenario,
                change.contender,
                f"{change.before:.2f}",
                f"{change.after:.2f}",
                f"{(change.by_minima - 1) * 100:+.1f} %",
                f"{(change.by_medians - 1) * 100:+.1f} %",
                ("slower" if change.by_minima > 1 else "faster") if change.is_real else "",
            ]
            for change in found
        ),
    ]


def origin(when: str, machine: dict[str, Any], versions: dict[str, str]) -> str:
    """Say when, on what and with what it was measured."""
    parts = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{when}; {machine['python']}, {machine['system']}, {machine['processor']}, "
        f"{machine['cores']} cores; {parts}."
    )


def missing_lines() -> list[str]:
    """Say which contender has no entry where, and why."""
    return [f"- {name} has no `{app}`: it {reason}." for (name, app), reason in MISSING.items()]


def page(run: Run) -> str:
    """Write the part of the page that a run gives."""
    found = verdicts(run)
    judged = "\n".join(f"- {words}" for words in found) or "- Nowhere."
    return "\n\n".join(
        [
            "![Ratios to raw ASGI, one dot a contender](results/in_process.svg)",
            markdown_table(ratio_lines(run)),
            "Where asgikit misses its target, or a peer is ahead:",
            judged,
            "No entry:",
            "\n".join(missing_lines()),
            f"Measured {origin(run.when, run.machine, run.versions)}",
        ]
    )


def put_into_page(section: str, text: str, path: Path = PAGE) -> None:
    """Write a section of the page anew, between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {section}: written by --save -->", f"<!-- {section}: end -->"
    before, found, rest = path.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{path} has no lines {begin!r} and {end!r}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
