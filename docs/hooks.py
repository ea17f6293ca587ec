"""Hooks of mkdocs: the site has a copy, as text, of each test that a page links to.

A page links to ``../../tests/NAME.py``, as in a checkout; in the site, to ``tests/NAME.py.txt``.
Only pages at the top of the site may have such links.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGES = Path(__file__).parent / "pages"
TESTS = PAGES.parent.parent / "tests"

_link = re.compile(r"(?<=\]\()\.\./\.\./(?P<path>tests/[\w./-]+\.py)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the linked tests to the files of the site."""
    linked = {
        match["path"]
        for page in PAGES.glob("*.md")
        for match in _link.finditer(page.read_text(encoding="utf-8"))
    }
    for path in sorted(linked):
        source = str(TESTS.parent / path)
        files.append(File.generated(config, f"{path}.txt", abs_src_path=source))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Link to the copies of the tests."""
    return _link.sub(r"\g<path>.txt", markdown)
