"""The chart of the README: six scenarios as bars, asgikit beside Starlette."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from benchmarks.results import OURS, Row, Table

CHART = Path(__file__).parent / "chart.svg"
PEER = "starlette"
TITLES = {
    "plaintext": "Send a short text",
    "json_small": "Send a small JSON document",
    "json_body": "Read a JSON request",
    "urlencoded": "Read a form of 20 fields",
    "stream": "Stream 100 chunks",
    "file_100k": "Send a file of 100 KB",
}

# Wide enough for a phone at full size; the colours follow the mode of the viewer.
_WIDTH, _LABEL, _BAR, _TOP, _STEP = 390, 62, 260, 62, 68
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b2024 }
.title { font-weight: 600 } .soft { font-size: 11px; fill: #525a62 }
.asgikit { fill: #0c5f74 } .starlette { fill: #a3aab1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9eb } .soft { fill: #a4acb3 }
  .asgikit { fill: #83cbdf } .starlette { fill: #6b737b }
}
"""


def _text(x: int, y: int, content: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(content)}</text>'


def _pair(title: str, rows: dict[str, Row], top: int) -> list[str]:
    longest = max(rows[OURS].ratio, rows[PEER].ratio)
    found = [_text(0, top, title)]
    for y, name in ((top + 8, OURS), (top + 28, PEER)):
        ratio = rows[name].ratio
        width = max(1, round(_BAR * ratio / longest))
        found += [
            _text(0, y + 12, name.capitalize() if name == PEER else name, "soft"),
            f'<rect x="{_LABEL}" y="{y}" width="{width}" height="16" rx="3" class="{name}"/>',
            _text(_LABEL + width + 6, y + 13, f"{ratio:.2f}"),
        ]
    return found


def draw(table: Table, run: dict[str, Any], path: Path = CHART) -> None:
    """Write the chart of the scenarios that have both libraries."""
    shown = {name: table[name] for name in TITLES if {OURS, PEER} <= table.get(name, {}).keys()}
    versions, machine = run["versions"], run["machine"]
    parts = [_text(0, 16, "Time of a request, as a ratio to raw ASGI (1.00)", "title")]
    parts.append(_text(0, 34, "Shorter is faster. Each pair of bars has its own scale.", "soft"))
    for number, (name, rows) in enumerate(shown.items()):
        parts += _pair(TITLES[name], rows, _TOP + _STEP * number)
    bottom = _TOP + _STEP * len(shown)
    origin = f"Starlette {versions.get(PEER, '')}, {machine['python']}, {machine['processor']}"
    parts += [_text(0, bottom, origin, "soft"), _text(0, bottom + 16, run["date"][:10], "soft")]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 24}" '
        f'width="{_WIDTH}" role="img" aria-label="Time of a request as a ratio to raw ASGI">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n",
        encoding="utf-8",
    )
