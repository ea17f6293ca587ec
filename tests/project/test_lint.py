"""Rules of the project that no linter has, such as functions that must not read client text."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import asgikit
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

re_parser: Any = importlib.import_module("re._parser")
UNBOUNDED = (re_parser.MAX_REPEAT, re_parser.MIN_REPEAT)
FINAL = (re_parser.POSSESSIVE_REPEAT, re_parser.ATOMIC_GROUP)

PACKAGE = Path(asgikit.__file__).parent


class Hit(NamedTuple):
    """A broken rule, and the function in which it is broken."""

    rule: str
    where: str


class Allowed(NamedTuple):
    """A function that may break a rule, and the reason."""

    file: str
    function: str
    rule: str
    reason: str


ALLOWED = [
    Allowed(
        "http/grammar.py", "parse_digits", "int()", "the only use: ASCII digits of limited number"
    ),
    Allowed("http/grammar.py", "parse_digits", "isdigit()", "after isascii()"),
    Allowed("http/media_types.py", "", "split()", "of the module's own table"),
    Allowed("_json_parser.py", "_parse_integer", "int()", "digits that json found, counted"),
    Allowed(
        "requests/request.py",
        "Request._is_special",
        "isdigit()",
        "of bytes, whose digits are ASCII's",
    ),
]

# These accept the digits and spaces of all scripts, take quadratic time, or repair silently.
FORBIDDEN_CALLS = {
    "int", "isdecimal", "isdigit", "isnumeric", "splitlines", "urlparse", "urlsplit",
}  # fmt: skip
BARE_METHODS = {"lstrip", "rsplit", "rstrip", "split", "strip"}
FORBIDDEN_IMPORTS = {
    "cgi", "codecs.lookup", "email", "email.message", "email.parser", "http.cookies",
    "urllib.parse.urlparse", "urllib.parse.urlsplit",
}  # fmt: skip


def lint(tree: ast.AST, where: str = "") -> Iterator[Hit]:
    """Find broken rules in ``tree``; ``where`` is the dotted name of the function around it."""
    for node in ast.iter_child_nodes(tree):
        inside = where
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{where}.{node.name}" if where else node.name
        yield from (Hit(rule, inside) for rule in broken_rules(node))
        yield from lint(node, inside)


def broken_rules(node: ast.AST) -> Iterator[str]:
    """Return the names of the rules that ``node`` breaks."""
    match node:
        case ast.Call():
            yield from broken_by_call(node)
        case ast.Import(names=names):
            yield from (
                f"import {alias.name}" for alias in names if alias.name in FORBIDDEN_IMPORTS
            )
        case ast.ImportFrom(module=module, names=names):
            full = [f"{module}.{alias.name}" for alias in names]
            yield from (f"import {name}" for name in [module, *full] if name in FORBIDDEN_IMPORTS)
        case ast.Assert():
            yield "assert"
        case ast.ExceptHandler(type=type_, body=[ast.Pass()]) if is_broad(type_):
            yield "except Exception: pass"


def broken_by_call(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
    # The spaces in a constant are known.
    bare = not call.args and not call.keywords and not is_constant(function)
    if name in FORBIDDEN_CALLS or (name in BARE_METHODS and bare):
        yield f"{name}()"
    if ast.unparse(function) == "codecs.lookup":
        yield "codecs.lookup()"
    encodings = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "encoding")]
    if name == "decode" and not all(isinstance(value, ast.Constant) for value in encodings):
        yield "decode(variable)"


def is_constant(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant)


def is_broad(type_: ast.expr | None) -> bool:
    return type_ is None or ast.unparse(type_) in {"Exception", "BaseException"}


# An ignore has the name of a rule and a reason: `S105 - a pattern`.
IGNORE = re.compile(r"#\s*(?P<kind>type:\s*ignore|noqa|pyright:\s*ignore|pragma)(?P<rest>.*)")
REASONED = re.compile(r"(?:\[[a-zA-Z, -]+\]|: ?[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*) +(?:#|-) *\w.*")
# The reason of these is the same in each place.
REASONS = {"FBT001": "the flags of a cookie are positional, as in every other library"}


def unreasoned_ignores(source: str) -> list[str]:
    """Return the ignores without a rule or a reason, and all pragmas."""
    return [
        match.group().strip()
        for match in IGNORE.finditer(source)
        if match["kind"] == "pragma"
        or (REASONED.fullmatch(rest := match["rest"].rstrip()) is None and rest[2:] not in REASONS)
    ]


def backtracking_repeats(pattern: str | bytes) -> list[str]:
    """Return the unbounded repeats inside unbounded repeats, which may take exponential time.

    Possessive repeats and atomic groups do not backtrack, and are allowed.
    """
    return list(nested_repeats(re_parser.parse(pattern), repeated=False))


def nested_repeats(tree: Iterable[Any], *, repeated: bool) -> Iterator[str]:
    """Walk a parsed pattern; ``repeated`` is true if an unbounded repeat is around it."""
    for operator, value in tree:
        inner = repeated
        if operator in UNBOUNDED and value[1] is re_parser.MAXREPEAT:
            if repeated:
                yield f"{operator} in an unbounded repeat"
            inner = True
        elif operator in FINAL:
            inner = False
        for part in subpatterns(value):
            yield from nested_repeats(part, repeated=inner)


def subpatterns(value: Any) -> Iterator[Any]:
    """Return the patterns inside the argument of an operator."""
    if isinstance(value, re_parser.SubPattern):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from subpatterns(part)


def compiled_patterns(module: str) -> dict[str, str | bytes]:
    """Return the regular expressions of a module, also those of bound methods such as `match`."""
    patterns = {}
    for name, value in vars(importlib.import_module(module)).items():
        owner = getattr(value, "__self__", value)
        if isinstance(owner, re.Pattern):
            patterns[name] = owner.pattern
    return patterns


# The name of another project on PyPI. `pip install` must name our distribution, or a path.
WRONG_INSTALL = re.compile(
    r"(?:pip3?|uv|uv pip|pipx|poetry|pdm) +(?:install|add)[^\n|`&;#]*[\s'\"]asgikit(?![\w./-])"
)

FILES = sorted(PACKAGE.rglob("*.py"))
TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/pages/**/*",
        "examples/**/*",
        "benchmarks/**/*",
        "asgikit/**/*.py",
    )
    for path in ROOT.glob(pattern)
    if path.suffix in {".md", ".py", ".rst", ".txt", ".html"}
)


@pytest.fixture(scope="module")
def hits() -> set[tuple[str, str, str]]:
    return {
        (str(path.relative_to(PACKAGE)), hit.where, hit.rule)
        for path in FILES
        for hit in lint(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_package_breaks_no_rule(hits: set[tuple[str, str, str]]) -> None:
    allowed = {(entry.file, entry.function, entry.rule) for entry in ALLOWED}

    assert sorted(hits - allowed) == []


def test_each_exception_to_a_rule_is_needed(hits: set[tuple[str, str, str]]) -> None:
    stale = [entry for entry in ALLOWED if (entry.file, entry.function, entry.rule) not in hits]

    assert stale == []
    assert all(entry.reason for entry in ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_ignore_has_a_rule_and_a_reason(path: Path) -> None:
    assert unreasoned_ignores(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_regular_expression_has_no_nested_repeat(path: Path) -> None:
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    patterns = compiled_patterns(module.removesuffix(".__init__"))

    assert {name: backtracking_repeats(pattern) for name, pattern in patterns.items()} == {
        name: [] for name in patterns
    }


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_install_command_names_our_distribution(path: Path) -> None:
    assert WRONG_INSTALL.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("def f(x): return int(x)", [("int()", "f")]),
        ("class A:\n def f(self): self.x.strip()", [("strip()", "A.f")]),
        ("x.rstrip()", [("rstrip()", "")]),
        ("x.strip(' \\t')", []),
        ("x.split()", [("split()", "")]),  # splits at all spaces of Unicode
        ("x.split(',')", []),
        ("'GET HEAD'.split()", []),
        ("x.splitlines()", [("splitlines()", "")]),
        ("if x.isdigit(): pass", [("isdigit()", "")]),
        ("urlsplit(x)", [("urlsplit()", "")]),
        ("parse.urlparse(x)", [("urlparse()", "")]),
        ("from urllib.parse import urlsplit", [("import urllib.parse.urlsplit", "")]),
        ("from urllib.parse import unquote", []),
        ("import http.cookies", [("import http.cookies", "")]),
        ("from http import cookies", [("import http.cookies", "")]),
        ("from http.cookies import SimpleCookie", [("import http.cookies", "")]),
        ("from codecs import lookup", [("import codecs.lookup", "")]),
        ("from asgikit.http.cookies import parse_cookies", []),
        ("from email.message import Message", [("import email.message", "")]),
        ("from email.utils import formatdate", []),
        ("import cgi", [("import cgi", "")]),
        ("codecs.lookup(name)", [("codecs.lookup()", "")]),
        ("x.decode(charset)", [("decode(variable)", "")]),
        ("x.decode(encoding=charset)", [("decode(variable)", "")]),
        ("x.decode('utf-8', errors)", []),
        ("x.decode()", []),
        ("assert x", [("assert", "")]),
        ("try: f()\nexcept Exception: pass", [("except Exception: pass", "")]),
        ("try: f()\nexcept: pass", [("except Exception: pass", "")]),
        ("try: f()\nexcept OSError: pass", []),
        ("async def f():\n def g(): int(x)", [("int()", "f.g")]),
    ],
)
def test_lint_finds_broken_rules(source: str, rules: list[tuple[str, str]]) -> None:
    assert sorted(set(lint(ast.parse(source)))) == sorted(set(rules))


@pytest.mark.parametrize(
    ("comment", "is_fine"),
    [
        ("# noqa: S105 - a pattern", True),
        ("# noqa: S105, A002 - the name in the RFC", True),
        ("# type: ignore[arg-type]  # the stub is wrong", True),
        ("# type: ignore[arg-type] - the stub is wrong", True),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore", False),
        ("# noqa", False),
        ("# noqa: S105", False),
        ("# noqa: FBT001", True),
        ("# pragma: no cover - the code is fine", False),
    ],
)
def test_lint_finds_ignores_without_reason(comment: str, is_fine: bool) -> None:
    assert (unreasoned_ignores(f"x = 1  {comment}\n") == []) is is_fine


@pytest.mark.parametrize(
    ("pattern", "is_fine"),
    [
        (r"(a+)+", False),
        (r"(?:a*b?)*", False),
        (r"(?:a|b+?)*", False),
        (rb"(?:x(?:a|b{2,}))*", False),
        (r"(?:a++)+", True),
        (r"(?:a+)++", True),  # possessive: does not backtrack
        (r"(?:(?>a+)b)*", True),
        (r"(?:a{1,9})*", True),
        (r"a*b*", True),
    ],
)
def test_lint_finds_nested_repeats(pattern: str | bytes, is_fine: bool) -> None:
    assert (backtracking_repeats(pattern) == []) is is_fine


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("pip install asgikit", True),
        ("python -m pip install -U 'asgikit>=1'", True),
        ("pip install uvicorn asgikit", True),
        ("uv add asgikit", True),
        ("pip install asgikit-http", False),
        ("pip install ./asgikit", False),
        ("pip install .  # in a checkout of asgikit", False),
        ("pip install -e '.[demo]' && uvicorn asgikit", False),
    ],
)
def test_lint_finds_wrong_install_commands(line: str, is_wrong: bool) -> None:
    assert (WRONG_INSTALL.search(line) is not None) is is_wrong
