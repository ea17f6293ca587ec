"""The language of comments, docstrings, error messages and names of tests: see CONTRIBUTING.md.

The checks count words that often stand in the place of a standard term. A few of them are allowed:
the limits are rates, so that no sentence has to be bent.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Per 1000 words.
MOST_VAGUE_WORDS = 1.5
#: Of all docstrings, and of the names of all tests.
MOST_ODD_OPENINGS = 0.01
MOST_ODD_NAMES = 0.02

# Pronouns in the place of a subject, and phrases in the place of a term.
VAGUE = re.compile(
    r"\b(?:nobody|somebody|whoever|whatever|wherever|whichever|what|who|whom|whose)\b"
    r"|\bwhere there (?:is|are)\b"
    r"|\bthe clients? (?:left|leaves|has left|is gone|went)\b|\bclient that (?:left|leaves)\b"
    r"|\bdraws? (?:from|of)\b|\bas most (?:are|do)\b",
    re.IGNORECASE,
)
# A docstring starts with a verb of the field.
ODD_OPENING = re.compile(r"(?:Be|Gives?|Have|Hold|Lets?|Make of|Put|So|Tells?)\b")
# A name of a test starts with its subject.
ODD_NAME = re.compile(r"test_(?:it|nothing|so|what)_")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Language:
    """The texts of Python files."""

    texts: list[str] = field(default_factory=list[str])
    docstrings: list[str] = field(default_factory=list[str])
    tests: list[str] = field(default_factory=list[str])

    def add(self, source: str, *, has_errors: bool) -> None:
        """Add a file; with ``has_errors``, the messages of its ``raise`` statements as well."""
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, Documented):
                self.docstrings += filter(None, [ast.get_docstring(node)])
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.tests += filter(lambda name: name.startswith("test_"), [node.name])
            elif isinstance(node, ast.Raise) and node.exc is not None and has_errors:
                self.texts += read_strings(node.exc)
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                self.texts.append(token.string)

    def count_words(self) -> int:
        """Return the number of words in all texts."""
        return sum(len(text.split()) for text in [*self.texts, *self.docstrings])

    def find_vague_words(self) -> list[str]:
        """Return each vague word, with some of the text around it."""
        return [
            text[max(0, match.start() - 30) : match.end() + 30]
            for text in [*self.texts, *self.docstrings]
            for match in VAGUE.finditer(text)
        ]


def read_strings(tree: ast.AST) -> Iterator[str]:
    """Return the string constants in ``tree``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def read(folder: Path, *, has_errors: bool) -> Language:
    """Return the language of all Python files in ``folder``."""
    language = Language()
    for path in sorted(folder.rglob("*.py")):
        language.add(path.read_text(encoding="utf-8"), has_errors=has_errors)
    return language


@pytest.fixture(scope="module", params=["asgikit", "tests"])
def language(request: pytest.FixtureRequest) -> Language:
    # The messages of errors in tests are data.
    return read(ROOT / request.param, has_errors=request.param == "asgikit")


def test_vague_words_are_rare(language: Language) -> None:
    found = language.find_vague_words()

    assert len(found) <= MOST_VAGUE_WORDS * language.count_words() / 1000, found


@pytest.mark.parametrize(
    "pattern", ["docs/pages/**/*.md", "README.md", "CHANGELOG.md", "benchmarks/README.md"]
)
def test_vague_words_are_rare_in_pages(pattern: str) -> None:
    language = Language([path.read_text(encoding="utf-8") for path in ROOT.glob(pattern)])
    found = language.find_vague_words()

    assert len(found) <= MOST_VAGUE_WORDS * language.count_words() / 1000, found


def test_docstrings_start_with_a_term(language: Language) -> None:
    found = [text[:60] for text in language.docstrings if ODD_OPENING.match(text)]

    assert len(found) <= MOST_ODD_OPENINGS * len(language.docstrings), found


def test_names_of_tests_start_with_their_subject(language: Language) -> None:
    found = [name for name in language.tests if ODD_NAME.match(name)]

    assert len(found) <= MOST_ODD_NAMES * len(language.tests), found


SAMPLE = '''
"""Give the words to whoever asks."""
def test_it_works():
    raise ValueError(f"{1} where there is none")  # the client left
async def test_parser_works():
    """Tell nobody."""
class Given: "Given names are whole words."
'''


@pytest.mark.parametrize(("has_errors", "vague", "words"), [(True, 4, 21), (False, 3, 17)])
def test_language_of_a_file_is_counted(*, has_errors: bool, vague: int, words: int) -> None:
    language = Language()
    language.add(SAMPLE, has_errors=has_errors)

    assert len(language.find_vague_words()) == vague
    assert language.count_words() == words
    assert [bool(ODD_OPENING.match(text)) for text in language.docstrings] == [True, True, False]
    assert [bool(ODD_NAME.match(name)) for name in language.tests] == [True, False]
