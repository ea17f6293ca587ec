"""The Markdown pages of the project: generated blocks, tables, repeated lines and links.

A generated block stands between two comments, each alone on its line::

    <!-- NAME -->

    the generated text

    <!-- end of NAME -->
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

README = ROOT / "README.md"
DOCS = ROOT / "docs" / "pages"
#: The address of the files of the main branch: the site has no copies of them.
SOURCE = "https://github.com/asgikit/asgikit-http/blob/main"
PAGES = (README, *sorted(DOCS.rglob("*.md")))

# The generated blocks of each page. Any other page has none.
BLOCKS: dict[Path, tuple[str, ...]] = {
    README: ("works-with", "peers"),
    DOCS / "index.md": ("peers",),
    DOCS / "works-with.md": ("works-with",),
    DOCS / "comparison.md": ("peers",),
    DOCS / "architecture.md": ("fast-paths",),
    DOCS / "guides" / "deployment.md": ("shutdown",),
}

# A longer line that occurs twice in a page is a copy.
LONGEST_REPEATED_LINE = 40

_marker = re.compile(r"<!-- (?P<end>end of )?(?P<name>[\w-]+) -->")
_code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_separator = re.compile(r"\|(?: *:?-+:? *\|)+")
_cell_border = re.compile(r"(?<!\\)\|")
_heading = re.compile(r"^#+ (.*)$", re.MULTILINE)
_link = re.compile(
    rf"\]\((?:{SOURCE}/(?P<file>[^)#\s]+)|(?P<path>(?![a-z]+:)[^)#\s]*))"
    r"(?:#(?P<anchor>[^)\s]+))?[^)]*\)"
)


# Generated blocks.


def read_block(text: str, name: str) -> str:
    """Return the generated text between the markers of ``name``.

    Raises:
        ValueError: the markers do not occur exactly once, in order, each alone on its line with an
            empty line between it and the block.
    """
    start, end = _find_block(text, name)
    return text[start:end]


def replace_block(text: str, name: str, block: str) -> str:
    """Return ``text`` with ``block`` between the markers of ``name``; nothing else changes.

    Raises:
        ValueError: see :func:`read_block`; or ``block`` contains a marker, does not end with one
            line feed, or starts with one.
    """
    start, end = _find_block(text, name)
    if _marker.search(block):
        raise ValueError(f"the new block {name!r} contains a marker")
    if not block.strip() or block.strip("\n") + "\n" != block:
        raise ValueError(f"the new block {name!r} must start with text and end with one line feed")
    return text[:start] + block + text[end:]


def update_pages(name: str, blocks: Mapping[Path, str], *, write: bool) -> list[Path]:
    """Return the pages with a block that differs from ``blocks``; with ``write``, replace it.

    No page is written if the markers of any page are wrong.

    Raises:
        ValueError: see :func:`replace_block`.
    """
    stale: dict[Path, str] = {}
    for path, block in blocks.items():
        text = path.read_text(encoding="utf-8")
        now = replace_block(text, name, block)
        if now != text:
            stale[path] = now
    if write:
        for path, now in stale.items():
            path.write_text(now, encoding="utf-8")
    return list(stale)


def _find_block(text: str, name: str) -> tuple[int, int]:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    for marker in (begin, end):
        if (count := text.count(marker)) != 1:
            raise ValueError(f"the marker {marker} must occur once, but occurs {count} times")
    found = re.search(
        rf"(?:\A|\n\n){begin}\n\n(?P<block>(?:.*\n)?)\n{end}(?:\n\n|\n?\Z)", text, re.DOTALL
    )
    if found is None:
        raise ValueError(
            f"{begin} and {end} must stand in this order, with an empty line before and after each"
        )
    return found.span("block")


# Checks. Each returns messages, and an empty list if the page is right.


def marker_errors(text: str, names: Sequence[str]) -> list[str]:
    """Check that ``text`` has the generated blocks ``names`` and no other marker."""
    found = [(match["name"], match["end"] is not None) for match in _marker.finditer(text)]
    expected = [(name, is_end) for name in names for is_end in (False, True)]
    if found != expected:
        return [f"the markers must be those of {', '.join(names) or 'no block'}, not {found}"]
    errors = []
    for name in names:
        try:
            read_block(text, name)
        except ValueError as error:
            errors.append(str(error))
    return errors


def table_errors(text: str) -> list[str]:
    """Check that every table has one separator row, and as many cells in each row as in the head.

    Code blocks are left out. A line that starts with ``|`` belongs to a table.
    """
    errors = []
    before = ["", *_without_code(text).splitlines()]
    for number, lines in _tables(text):
        head, *rows = lines
        if before[number - 1].strip():
            errors.append(f"line {number}: a table needs an empty line before it")
        if len(lines) < 3 or not _separator.fullmatch(rows[0]):
            errors.append(f"line {number}: a table needs a head, a separator row and a row")
            continue
        if any(_separator.fullmatch(line) for line in rows[1:]):
            errors.append(f"line {number}: the table has two separator rows")
        width = len(split_row(head))
        for at, line in enumerate(lines):
            if not line.endswith("|"):
                errors.append(f"line {number + at}: the row does not end with a |")
            elif len(split_row(line)) != width:
                errors.append(f"line {number + at}: not {width} cells, as in the head: {line}")
    return errors


def repeated_lines(text: str) -> list[str]:
    """Return each table row, and each line over 40 characters, that occurs twice outside of code.

    Separator rows are left out.
    """
    lines = Counter(line.strip() for line in _without_code(text).splitlines())
    return [
        line
        for line, count in lines.items()
        if count > 1
        and (line.startswith("|") or len(line) > LONGEST_REPEATED_LINE)
        and not _separator.fullmatch(line)
    ]


def link_errors(path: Path, text: str) -> list[str]:
    """Check that every link to a file leads to one, and its anchor to a heading of that file.

    A link is relative, or starts with ``SOURCE``.
    """
    errors = []
    for match in _link.finditer(_without_code(text)):
        name = match["file"] or match["path"]
        folder = ROOT if match["file"] else path.parent
        target = (folder / name).resolve() if name else path
        if not target.exists():
            errors.append(f"there is no {name}")
        elif (anchor := match["anchor"]) and anchor not in _anchors(target):
            errors.append(f"there is no heading #{anchor} in {target.name}")
    return errors


def _anchors(path: Path) -> set[str]:
    headings = _heading.findall(_without_code(path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def _without_code(text: str) -> str:
    """Return ``text`` with code blocks emptied; line numbers stay."""
    return _code.sub(lambda match: "\n" * match.group().count("\n"), text)


# Tables.


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read_table(text: str) -> list[list[str]]:
    """Read the rows of the one table in ``text``, the head first, without the separator row."""
    ((_, (head, _, *rows)),) = _tables(text)
    return [split_row(line) for line in (head, *rows)]


def split_row(line: str) -> list[str]:
    """Split a row into its cells.

    >>> split_row("|  | a | b |")
    ['', 'a', 'b']
    """
    return [cell.strip() for cell in _cell_border.split(line)[1:-1]]


def _tables(text: str) -> list[tuple[int, list[str]]]:
    """Return each run of lines that start with ``|``, with the number of its first line.

    A line of text that follows a row without an empty line is a row for GitHub, and so is here.
    """
    tables: list[tuple[int, list[str]]] = []
    is_table = False
    for number, line in enumerate(_without_code(text).splitlines(), 1):
        if line.startswith("|") and not is_table:
            tables.append((number, []))
        is_table = bool(line.strip()) and (is_table or line.startswith("|"))
        if is_table:
            tables[-1][1].append(line.rstrip())
    return tables
