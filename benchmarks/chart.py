"""The charts: six scenarios for the README, and each scenario for the guide about performance.

`python -m benchmarks.chart` draws both again from the saved results.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.report import display, microseconds
from benchmarks.results import BASE, OURS, Row, Table
from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).parents[1]
#: The chart of the README, and the chart of each scenario.
CHARTS = ROOT / "benchmarks" / "chart.svg", ROOT / "docs" / "pages" / "assets" / "benchmarks.svg"
PEER = "starlette"
TITLES = {
    "plaintext": "Send a short text",
    "json_small": "Send a small JSON document",
    "json_body": "Read a JSON request",
    "urlencoded": "Read a form of 20 fields",
    "stream": "Stream 100 chunks",
    "file_100k": "Send a file of 100 KB",
}

# Narrow enough for a phone. The colours follow the colour scheme of the system; the background is
# drawn, because the page around the image may have another scheme.
_WIDTH, _PAD, _BAR_LEFT, _BAR, _BAR_STEP = 390, 16, 108, 190, 20
_STYLE = """
text {
  font: 13.5px system-ui, sans-serif; fill: #182220;
  stroke: #fff; stroke-width: 4; stroke-linejoin: round; paint-order: stroke;
}
.title { font-size: 15px; font-weight: 650 } .name { font-weight: 600 }
.soft { font-size: 12.5px; fill: #4c5856 } .end { text-anchor: end }
.page { fill: #fff; stroke: #dde2df }
.ours { fill: #0f5c56 } .peer { fill: #87918f } .raw { stroke: #b36b00; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4eae8; stroke: #101514 } .soft { fill: #a3b0ad }
  .page { fill: #101514; stroke: #2b3635 }
  .ours { fill: #7fd3c9 } .peer { fill: #6b7876 } .raw { stroke: #f5b84b }
}
"""


def _text(x: float, y: float, content: str, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(content)}</text>'


def _raw_mark(x: float, y: float, height: float) -> str:
    return f'<path d="M{x:g} {y:g}v{height:g}" class="raw"/>'


def _group(title: str, rows: dict[str, Row], contenders: list[str], top: float) -> list[str]:
    """Draw a bar for each contender; the longest has the whole width."""
    scale = _BAR / max(rows[name].seconds for name in (BASE, *contenders))
    found = [_text(_PAD, top, title, "name")]
    mark = _BAR_LEFT + scale * rows[BASE].seconds
    marked = _raw_mark(round(mark, 1), top + 7, _BAR_STEP * len(contenders))
    if contenders == [OURS, PEER]:
        factor = f"{rows[PEER].seconds / rows[OURS].seconds:.1f} times as fast"
        found.append(_text(_WIDTH - _PAD, top, factor, "soft end"))
    numbers = []
    for number, name in enumerate(contenders):
        y = top + 9 + _BAR_STEP * number
        width = max(1, round(scale * rows[name].seconds))
        style = "ours" if name == OURS else "peer"
        found += [
            _text(_PAD, y + 13, display(name), "soft"),
            f'<rect x="{_BAR_LEFT}" y="{y:g}" width="{width}" height="16" rx="3" class="{style}"/>',
        ]
        numbers.append(
            _text(_BAR_LEFT + width + 6, y + 13, f"{microseconds(rows[name].seconds)} µs")
        )
    # The numbers are above the mark.
    return [*found, marked, *numbers]


def _origin(run: dict[str, Any]) -> Iterable[str]:
    versions, machine = run["versions"], run["machine"]
    names = (("asgikit", "asgikit-http"), ("Starlette", PEER))
    software = [f"{name} {versions[key]}" for name, key in names if key in versions]
    yield ", ".join([*software, machine["python"]])
    yield f"{machine['processor']}, {machine['cores']} cores, {run['date'][:10]}"


def _draw(groups: list[tuple[str, dict[str, Row], list[str]]], run: dict[str, Any]) -> str:
    parts = [
        _text(_PAD, 30, "Time of a request, without a server", "title"),
        _text(_PAD, 50, "Shorter is faster. Each group has its own scale.", "soft"),
        _raw_mark(_PAD + 1, 58, 14),
        _text(_PAD + 10, 70, "the same app in hand-written ASGI messages", "soft"),
    ]
    top = 100.0
    for title, rows, contenders in groups:
        parts += _group(title, rows, contenders, top)
        top += _BAR_STEP * len(contenders) + 34
    for line in _origin(run):
        parts.append(_text(_PAD, top, line, "soft"))
        top += 18
    height = round(top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="Time of a request in microseconds">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="8" class="page"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _contenders(rows: dict[str, Row]) -> list[str]:
    """Return asgikit, Starlette, and the fastest of the other peers."""
    others = sorted(rows.keys() - {BASE, OURS, PEER}, key=lambda name: rows[name].seconds)
    return [OURS, *({PEER} & rows.keys()), *others[:1]]


def _title(scenario: str) -> str:
    title = SCENARIOS[scenario].title.replace("`", "")
    return title[0].upper() + title[1:]


def draw(table: Table, run: dict[str, Any], paths: tuple[Path, Path] = CHARTS) -> None:
    """Write the chart of six scenarios that have both libraries, and the chart of all scenarios."""
    six = [
        (title, table[name], [OURS, PEER])
        for name, title in TITLES.items()
        if {OURS, PEER} <= table.get(name, {}).keys()
    ]
    every = [
        (_title(name), rows, _contenders(rows)) for name, rows in table.items() if OURS in rows
    ]
    for path, groups in zip(paths, (six, every), strict=True):
        path.write_text(_draw(groups, run), encoding="utf-8")


if __name__ == "__main__":
    saved = results.read("in_process") or {}
    draw(results.read_table(saved), saved)
