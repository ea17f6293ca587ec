"""Structure of README.md and of the pages in docs/pages: markers, tables, repeated lines, links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.project.pages import (
    BLOCKS,
    PAGES,
    README,
    SOURCE,
    link_errors,
    marker_errors,
    read_block,
    read_table,
    repeated_lines,
    replace_block,
    table_errors,
    update_pages,
    write_table,
)
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MAX_README_LINES = 400

EACH_PAGE = pytest.mark.parametrize(
    "path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES]
)


@EACH_PAGE
def test_page_has_each_marker_of_its_blocks_once(path: Path) -> None:
    assert marker_errors(path.read_text(encoding="utf-8"), BLOCKS.get(path, ())) == []


def test_saved_sections_of_benchmarks_occur_once() -> None:
    pages = [ROOT / "benchmarks" / "README.md", *PAGES]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    markers = re.findall("^<!-- ([a-z ]+): (written by --save|end) -->$", text, re.MULTILINE)
    names = [name for name, kind in markers if kind != "end"]

    assert len(names) == len({*names}) >= 4
    assert markers == [(name, kind) for name in names for kind in ("written by --save", "end")]


@EACH_PAGE
def test_page_has_whole_tables(path: Path) -> None:
    assert table_errors(path.read_text(encoding="utf-8")) == []


@EACH_PAGE
def test_links_of_a_page_lead_to_files_and_headings(path: Path) -> None:
    assert link_errors(path, path.read_text(encoding="utf-8")) == []


def test_readme_has_no_repeated_line() -> None:
    assert repeated_lines(README.read_text(encoding="utf-8")) == []


def test_readme_has_at_most_400_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


# The checks themselves.

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"
BLOCK = f"<!-- x -->\n\n{TABLE}\n<!-- end of x -->\n"
SENTENCE = "This is a sentence of more than forty characters.\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("| a | b |\n| 1 | 2 |\n", "separator", id="no separator row"),
        pytest.param("| a | b |\n|---|---|\n", "separator", id="no row"),
        pytest.param("|---|---|\n| 1 | 2 |\n", "separator", id="no head"),
        pytest.param(TABLE + TABLE, "two separator rows", id="table pasted twice"),
        pytest.param(
            f"| field | default | of |\n|{TABLE}", "separator", id="head merged with another table"
        ),
        pytest.param(
            TABLE.replace("-", TABLE), "separator", id="every hyphen replaced with the table"
        ),
        pytest.param(TABLE + "| 3 |\n", "not 2 cells", id="missing cell"),
        pytest.param(TABLE + "| 3 | 4 | 5 |\n", "not 2 cells", id="additional cell"),
        pytest.param(TABLE + "| 3 | 4\n", "does not end", id="no end of a row"),
        pytest.param(TABLE + "A sentence.\n", "does not end", id="text after a table"),
        pytest.param("A sentence.\n" + TABLE, "empty line before", id="text before a table"),
    ],
)
def test_table_errors_of_a_broken_table_name_it(text: str, error: str) -> None:
    assert any(error in message for message in table_errors(f"# Title\n\n{text}"))


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        f"# Title\n\n{TABLE}\n{TABLE}",
        "| a | b |\n|:--|--:|\n| `x \\| y` | 2 |\n",
        "```text\n| a | b |\n```\n",
        f"```text\n{TABLE}{TABLE}```\n",
        "A | is no table.\n",
    ],
)
def test_table_errors_of_whole_tables_are_empty(text: str) -> None:
    assert table_errors(text) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(SENTENCE * 2, [SENTENCE.strip()], id="sentence twice"),
        pytest.param(f"{SENTENCE}\n  {SENTENCE}", [SENTENCE.strip()], id="indented copy"),
        pytest.param("Short.\n" * 2, [], id="short line twice"),
        pytest.param(TABLE + "| 1 | 2 |\n", ["| 1 | 2 |"], id="row twice"),
        pytest.param(f"{TABLE}\n{TABLE}", ["| a | b |", "| 1 | 2 |"], id="table twice"),
        pytest.param(f"{TABLE}\n| c | d |\n|---|---|\n| 3 | 4 |\n", [], id="separator row twice"),
        pytest.param(f"```python\n{SENTENCE * 2}```\n{SENTENCE}", [], id="in a code block"),
    ],
)
def test_repeated_lines_returns_each_copied_line(text: str, lines: list[str]) -> None:
    assert repeated_lines(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no marker"),
        pytest.param(BLOCK * 2, id="block twice"),
        pytest.param(f"{BLOCK}\n<!-- x -->\n", id="start twice"),
        pytest.param(f"{BLOCK}\n<!-- end of x -->\n", id="end twice"),
        pytest.param(f"{BLOCK}\n<!-- y -->\n", id="another block"),
        pytest.param("<!-- x -->\n\nText.\n", id="no end"),
        pytest.param("Text.\n\n<!-- end of x -->\n", id="no start"),
        pytest.param("<!-- end of x -->\n\nText.\n\n<!-- x -->\n", id="end before start"),
        pytest.param("<!-- x -->\nText.\n\n<!-- end of x -->\n", id="no empty line at the start"),
        pytest.param("<!-- x -->\n\nText.\n<!-- end of x -->\n", id="no empty line at the end"),
        pytest.param(f"Text. {BLOCK}", id="start within a line"),
    ],
)
def test_marker_errors_of_wrong_markers_are_not_empty(text: str) -> None:
    assert marker_errors(text, ["x"])


def test_marker_errors_of_right_markers_are_empty() -> None:
    other = BLOCK.replace("x -->", "y -->")

    assert marker_errors(f"# Title\n\n{BLOCK}\nText.\n\n{other}", ["x", "y"]) == []
    assert marker_errors("Text. <!-- A comment. -->", []) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[a](none.md)", "there is no none.md"),
        ("[a](page.md#none)", "there is no heading #none in page.md"),
        ("[a](#none)", "there is no heading #none in page.md"),
        ('[a](none.py "title")', "there is no none.py"),
        ("![a](none.svg)", "there is no none.svg"),
        (f"[a]({SOURCE}/tests/none.py)", "there is no tests/none.py"),
    ],
)
def test_link_errors_of_a_dead_link_name_it(text: str, error: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Two words\n")

    assert link_errors(page, text) == [error]
    fine = "[a](page.md#two-words) [b](#two-words) [c](https://none.example/x) `[d](none.md`"
    assert link_errors(page, f"[e]({SOURCE}/CONTRIBUTING.md#rules-for-text) {fine}") == []


# Replacing a block.


def test_replace_block_changes_the_block_only() -> None:
    text = f"# Title - x\n\n{BLOCK}\nText - x.\n"
    replaced = replace_block(text, "x", "New - text.\n\nMore.\n")

    assert replaced == text.replace(TABLE, "New - text.\n\nMore.\n")
    assert read_block(replaced, "x") == "New - text.\n\nMore.\n"
    assert replace_block(replaced, "x", TABLE) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        BLOCK * 2,
        f"{BLOCK}\n<!-- x -->\n",
        f"{BLOCK}\n<!-- end of x -->\n",
        "<!-- x -->\n\nText.\n",
        "<!-- end of x -->\n\nText.\n\n<!-- x -->\n",
        "<!-- x -->\nText.\n<!-- end of x -->\n",
        BLOCK.replace("x -->", "other -->"),
    ],
)
def test_replace_block_with_wrong_markers_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        replace_block(text, "x", "New.\n")
    with pytest.raises(ValueError, match="must"):
        read_block(text, "x")


@pytest.mark.parametrize(
    "block", ["", "\n", "New.", "New.\n\n", "\nNew.\n", BLOCK, "a <!-- end of x --> b\n"]
)
def test_replace_block_with_a_wrong_block_raises_value_error(block: str) -> None:
    with pytest.raises(ValueError, match="new block"):
        replace_block(BLOCK, "x", block)


def test_update_pages_with_one_wrong_page_writes_none(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.md", tmp_path / "wrong.md"
    right.write_text(BLOCK)
    wrong.write_text(BLOCK * 2)

    with pytest.raises(ValueError, match="occurs 2 times"):
        update_pages("x", {right: "New.\n", wrong: "New.\n"}, write=True)
    assert right.read_text() == BLOCK
    assert wrong.read_text() == BLOCK * 2


def test_update_pages_returns_stale_pages_and_writes_on_request(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(BLOCK)

    assert update_pages("x", {page: TABLE}, write=False) == []
    assert update_pages("x", {page: "New.\n"}, write=False) == [page]
    assert page.read_text() == BLOCK
    assert update_pages("x", {page: "New.\n"}, write=True) == [page]
    assert page.read_text() == "<!-- x -->\n\nNew.\n\n<!-- end of x -->\n"


def test_read_table_returns_the_cells_that_were_written() -> None:
    rows = [["", "a"], ["`b`", "yes <sup>1, 2</sup>"]]

    assert read_table(write_table(rows[0], rows[1:])) == rows
