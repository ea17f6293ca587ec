"""The list of fast paths in the architecture page, generated from the ``# perf:`` comments.

python -m tests.project.fast_paths            # compare the page with the code
python -m tests.project.fast_paths --write    # write the page
"""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from tests.project.pages import DOCS, update_pages, write_table
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = DOCS / "architecture.md"
BLOCK = "fast-paths"
PACKAGE = ROOT / "asgikit"

_comment = re.compile(r"# perf: (?P<text>.*)")
_saving = re.compile(r"(?P<scenario>[a-z]\w*)(?: -(?P<percent>\d+) %)?")


class FastPath(NamedTuple):
    """A ``# perf:`` comment.

    Attributes:
        place: the module and the function or class, such as ``http.disposition._parse_common``.
        savings: the percentage that it saves by scenario, ``None`` if it is not known.
    """

    place: str
    savings: dict[str, int | None]


def find_fast_paths() -> Iterator[FastPath]:
    """Find the comments in all modules of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for number, line in enumerate(source.split("\n"), 1):
            if (comment := _comment.search(line)) is not None:
                place = ".".join(filter(None, [module, _find_place(source, number)]))
                yield FastPath(place, parse_savings(comment["text"]))


def parse_savings(text: str) -> dict[str, int | None]:
    """Parse the scenarios at the start of a comment and the percentages that they save.

    >>> parse_savings("events -49 %, events_wait -35 %: one coroutine")
    {'events': 49, 'events_wait': 35}
    """
    savings: dict[str, int | None] = {}
    for part in text.partition(":")[0].split(", "):
        found = _saving.match(part)
        if found is None or (savings and found["percent"] is None):
            break
        savings[found["scenario"]] = None if found["percent"] is None else int(found["percent"])
    return savings


def _find_place(source: str, number: int) -> str:
    """Return the dotted name of the scope of a line, or of the function right below it."""
    names: list[str] = []
    nodes: Sequence[ast.stmt] = ast.parse(source).body
    while True:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first - 1 <= number <= (node.end_lineno or 0):
                    names.append(node.name)
                    nodes = node.body
                    break
        else:
            return ".".join(names)


def write_fast_paths() -> str:
    """Write the table."""
    rows = [
        [
            f"`{path.place}`",
            ", ".join(
                f"`{scenario}`" + ("" if percent is None else f" -{percent} %")
                for scenario, percent in path.savings.items()
            ),
        ]
        for path in sorted(find_fast_paths(), key=lambda path: path.place)
    ]
    return write_table(["fast path", "saves"], rows)


def main(arguments: Sequence[str]) -> int:
    """Compare the page with the code; with ``--write``, write the page."""
    is_writing = [*arguments] == ["--write"]
    stale = update_pages(BLOCK, {PAGE: write_fast_paths()}, write=is_writing)
    return int(bool(stale) and not is_writing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
