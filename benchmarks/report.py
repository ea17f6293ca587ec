"""Results as tables, on the terminal and in the README of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import MISSING, expand
from benchmarks.results import BASE, OURS, Table
from benchmarks.scenarios import SCENARIOS

PAGE = Path(__file__).parent / "README.md"
GUIDE = Path(__file__).parents[1] / "docs" / "pages" / "performance.md"

_UNLIKE = (
    ("its parser is compiled by Cython", "urlencoded parts_50m", "falcon"),
    ("its parser is compiled by Cython", "urlencoded multipart", "asgi_tools"),
    ("it does not watch for a disconnect", "stream stream_asgi24", "falcon blacksheep"),
    ("it does not watch for a disconnect", "events events_wait", "blacksheep"),
    ("it opens the file on the event loop", "static_304", "baize falcon blacksheep"),
    ("it sends no pings", "events events_wait", "falcon"),
    ("it sends no pings and does not check the text", "events events_wait", "asgi_tools"),
)
#: The reasons why a peer is not comparable in a scenario.
INCOMPARABLE = expand(_UNLIKE)
DISPLAY_NAMES = {
    **{name: name.capitalize() for name in ("starlette", "falcon", "litestar", "quart", "lilya")},
    "blacksheep": "BlackSheep",
    "sse_starlette": "sse-starlette",
    "asgi_tools": "asgi-tools",
}
#: The factor by which a ratio may exceed its target, for noise.
NOISE = 1.04

#: The cores of other processes above which a run is not reliable.
BUSY = 0.1

Lines = Sequence[Sequence[str]]


def microseconds(seconds: float) -> str:
    """Format seconds as microseconds with about three digits.

    >>> microseconds(1.234e-6), microseconds(0.0345)
    ('1.23', '34,500')
    """
    number = seconds * 1e6
    return f"{number:.2f}" if number < 100 else f"{float(f'{number:.3g}'):,.0f}"


def display(contender: str) -> str:
    """Return the name of a contender as its project writes it."""
    return DISPLAY_NAMES.get(contender, contender)


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
    lines = [["scenario", "raw, µs", "target", *map(display, contenders)]]
    for scenario, rows in table.items():
        fastest = min((row.ratio for name, row in rows.items() if name != BASE), default=0.0)
        target = SCENARIOS[scenario].target
        cells = [
            SCENARIOS[scenario].title,
            microseconds(rows[BASE].seconds),
            f"{target:g}" if target else "",
        ]
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
        title = SCENARIOS[scenario].title
        if target is not None and ours > target * NOISE:
            found.append(f"{title}: {ours:.2f}, over the target of {target:g}")
        for name, row in rows.items():
            if row.ratio < ours and name not in (BASE, OURS):
                reason = INCOMPARABLE.get((name, scenario))
                note = f" ({reason})" if reason else ""
                found.append(f"{title}: {ours:.2f}, {display(name)} has {row.ratio:.2f}{note}")
    return found


def lead(table: Table, peer: str) -> str:
    """Return in how many of the shared scenarios asgikit is faster than a peer."""
    shared = {name: rows for name, rows in table.items() if {OURS, peer} <= rows.keys()}
    behind = [
        SCENARIOS[name].title
        for name, rows in shared.items()
        if rows[OURS].ratio >= rows[peer].ratio
    ]
    return (
        f"asgikit is ahead of {display(peer)} in {len(shared) - len(behind)} of {len(shared)} "
        f"shared scenarios{', but not in: ' if behind else ''}{', '.join(behind)}."
    )


def leads(table: Table) -> list[str]:
    """Return :func:`lead` for each peer of a table."""
    peers = dict.fromkeys(name for rows in table.values() for name in rows)
    return [lead(table, peer) for peer in peers if peer not in (BASE, OURS)]


def origin(run: dict[str, Any]) -> str:
    """Format the date, the machine and the versions of a run."""
    machine = run["machine"]
    parts = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"Measured {run['date']}; {machine['python']}, {machine['system']}, "
        f"{machine['processor']}, {machine['cores']} cores; {parts}."
        f"{' ' + busyness(run['others']) if 'others' in run else ''}"
    )


def busyness(others: float) -> str:
    """Return whether other processes kept the machine busy, from the cores that they used."""
    if others > BUSY:
        return f"The machine was busy: other processes used {others:.2f} cores."
    return f"The machine was quiet: other processes used {others:.2f} cores."


def in_process_section(table: Table, run: dict[str, Any]) -> str:
    """Format the section of the page about the benchmark in process."""
    found = [f"- {line}" for line in verdicts(table)] or ["- None."]
    missing: dict[tuple[str, str], list[str]] = {}
    for (name, app), reason in MISSING.items():
        if name in {name for rows in table.values() for name in rows}:
            missing.setdefault((name, reason), []).append(f"`{app}`")
    absent = [
        f"- {display(name)} {reason}: {', '.join(apps)}."
        for (name, reason), apps in missing.items()
    ]
    return "\n\n".join(
        [
            "![Times of six scenarios as ratios to raw ASGI](chart.svg)",
            markdown_table(ratio_lines(table)),
            "Scenarios in which asgikit misses its target, or a peer is faster:",
            "\n".join(found),
            "\n".join(f"- {line}" for line in leads(table)),
            "What a contender does not do, and the scenarios that it lacks:",
            "\n".join(absent),
            origin(run),
        ]
    )


def guide_section(table: Table, run: dict[str, Any]) -> str:
    """Format the section of the guide about performance: times beside those of Starlette."""
    lines = [["a request", "asgikit, µs", "Starlette, µs", "factor"]]
    for name, rows in table.items():
        if OURS in rows and "starlette" in rows:
            ours, peer = rows[OURS].seconds, rows["starlette"].seconds
            cells = [microseconds(ours), microseconds(peer), f"{peer / ours:.1f}"]
            lines.append([SCENARIOS[name].title, *cells])
    found = [markdown_table(lines)]
    if OURS in table.get("def_handler", {}):
        seconds = table["def_handler"][OURS].seconds - table["plaintext"][OURS].seconds
        found.append(
            f"A `def` handler, which runs in a worker thread, takes {microseconds(seconds)} µs "
            "longer than an `async def` handler."
        )
    versions = f"{run['machine']['python']}, Starlette {run['versions']['starlette']}"
    where = f"in process, without a server: {versions}, {run['machine']['processor']}."
    found.append(f"Measured {run['date'][:10]} {where}")
    return "\n\n".join(found)


def replace_section(name: str, text: str, path: Path | None = None) -> None:
    """Replace a section of the page, which is between two comments.

    Raises:
        ValueError: the page has no such comments.
    """
    path = path or PAGE
    begin, end = f"<!-- {name}: written by --save -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{path} has no lines {begin!r} and {end!r}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
