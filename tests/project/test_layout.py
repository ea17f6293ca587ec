"""The ladder of modules: each stands on lower floors only, and the face is the sum of the parts."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import asgikit

PACKAGE = Path(asgikit.__file__).parent

# A module imports from lower floors only. Modules of later work have their place already.
FLOORS: dict[str, float] = {
    "exceptions": 0,
    "limits": 0,
    "_late": 0,
    "http.grammar": 0,
    "http.dates": 1,
    "http.content": 1,
    "http.extended": 1,
    "http.trailers": 1,
    "http.ranges": 1,
    "http.event_stream": 1,
    "http.cookies": 2,
    "http.media_types": 2,
    "http.disposition": 2,
    "http.conditional": 2,
    "http.caching": 2,
    "http.links": 2,
    "http.fields": 2,
    "http.authentication": 2,
    "http.forwarded": 2,
    "http.negotiation": 3,
    "http.selection": 3,
    "asgi": 4,
    "concurrency": 4,
    "headers": 4,
    "query": 4,
    "json_text": 4,
    "content_coding": 4,
    "url": 5,
    "body": 5,
    "request_coding": 6,
    "form_parts": 4,
    "form_types": 5,
    "forms": 5,
    "uploads": 6,
    "form_data": 6.2,
    "form_reader": 6.5,
    "request_fields": 6.8,
    "response_fields": 6.8,
    "request": 7,
    "responses": 7,
    "problem": 7.5,
    "redirect": 7.5,
    "_drawing": 7,
    "_file_reader": 7,
    "_asgi_checker": 8,
    "negotiate": 8,
    "streaming": 8,
    "event_source": 9,
    "files": 8,
    "staticfiles": 9,
    "compression": 9,
    "app": 9,
    "testing": 9,
    "__init__": 10,
    "__main__": 11,
}
# `asgikit.http` binds nothing, so it stands anywhere.
PACKAGES = {"http.__init__"}

# What others are built from, and what only tests import: public by their own names.
NOT_IN_THE_FACE = {
    "body", "concurrency", "content_coding", "form_parts", "form_types", "forms", "json_text",
    "testing",
}  # fmt: skip

# Text or bytes in, values out: no await, no clock, no file, no ASGI.
PURE = ("http.", "form_parts", "form_types", "forms")
IMPURE_IMPORTS = {
    "anyio", "asyncio", "concurrent", "glob", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "trio", "urllib.request", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "input", "print"}
CLOCKS = {"monotonic", "now", "perf_counter", "time", "time_ns", "today", "utcnow"}

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)


def read(module: str) -> ast.Module:
    return ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))


def is_pure(module: str) -> bool:
    return module.startswith(PURE[0]) or module in PURE


def imported_names(tree: ast.Module, module: str) -> set[str]:
    """Give every module that ``tree`` imports, those for type checkers among them."""
    package = ("asgikit." + module).rpartition(".")[0]
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            names.add(base)
            # `from asgikit.http import dates` imports a module by its own name.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def floors_below(tree: ast.Module, module: str) -> list[str]:
    """Give the imports of ``tree`` that do not stand below ``module``."""
    inside = {
        name.removeprefix("asgikit.")
        for name in imported_names(tree, module)
        if name.startswith("asgikit.")
    }
    wrong = [name for name in inside if FLOORS.get(name, -1) >= FLOORS[module]]
    # The package itself stands on the roof, whatever is imported from it by name.
    wrong += ["asgikit"] if "asgikit" in imported_names(tree, module) else []
    return sorted(wrong)


def impurities(tree: ast.Module, module: str) -> list[str]:
    """Give what ``tree`` has that waits, reads a clock or touches a file."""
    found = [
        name
        for name in imported_names(tree, module)
        if name in IMPURE_IMPORTS
        or name.partition(".")[0] in IMPURE_IMPORTS
        or name.startswith("asgikit.asgi")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            found.append(type(node).__name__)
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
                found.append(called.id)
            if isinstance(called, ast.Attribute) and called.attr in CLOCKS:
                found.append(called.attr)
    return sorted(found)


def declared_names(tree: ast.Module) -> list[str] | None:
    """Give ``__all__`` as it is written out; :obj:`None` where there is none."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                names: list[str] = ast.literal_eval(value)
                return names
    return None


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor_and_says_what_it_is(module: str) -> None:
    assert module in FLOORS or module in PACKAGES, "give it a floor in this table"
    assert ast.get_docstring(read(module))


@pytest.mark.parametrize("module", [name for name in MODULES if name in FLOORS])
def test_every_module_imports_from_lower_floors_only(module: str) -> None:
    assert floors_below(read(module), module) == []


@pytest.mark.parametrize("module", [name for name in MODULES if is_pure(name)])
def test_what_http_means_is_read_and_written_without_io(module: str) -> None:
    assert impurities(read(module), module) == []


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__init__")])
def test_every_module_says_which_of_its_names_are_public(module: str) -> None:
    names = declared_names(read(module))

    assert names is not None
    assert names == sorted(names, key=isort_key)
    assert not [name for name in names if name.startswith("_")]
    assert not [
        name for name in names if not hasattr(importlib.import_module(f"asgikit.{module}"), name)
    ]


def isort_key(name: str) -> tuple[int, str]:
    """Sort as ruff does: constants, classes, the rest."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_the_face_is_the_sum_of_the_top_level_modules() -> None:
    top_level = {name for name in MODULES if "." not in name and not name.startswith("_")}
    public = top_level - NOT_IN_THE_FACE
    parts = [name for module in public for name in declared_names(read(module)) or []]

    assert len(parts) == len(set(parts)), "two modules share a public name"
    assert sorted(asgikit.__all__) == sorted(parts)
    assert [name for name in asgikit.__all__ if not hasattr(asgikit, name)] == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("url", "from asgikit.headers import Headers", []),
        ("url", "from .headers import Headers", []),
        ("url", "from asgikit.request import Request", ["request"]),
        ("url", "import asgikit.body", ["body"]),  # the same floor
        ("http.dates", "from . import ranges", ["http.ranges"]),
        ("http.dates", "from .. import limits", ["asgikit"]),  # through the roof
        ("http.dates", "from ..asgi import Scope", ["asgi"]),
        ("url", "if TYPE_CHECKING:\n    from asgikit import Request", ["asgikit"]),
        ("url", "def later():\n    from asgikit.app import to_asgi", ["app"]),
    ],
)
def test_an_import_from_above_is_seen(module: str, source: str, wrong: list[str]) -> None:
    assert floors_below(ast.parse(source), module) == wrong


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import re", []),
        ("from datetime import datetime\ndatetime.fromtimestamp(0)", []),
        ("import os.path", ["os.path"]),
        ("import time\ntime.gmtime(0)", []),
        ("import time\ntime.time()", ["time"]),
        ("datetime.now(UTC)", ["now"]),
        ("open('a')", ["open"]),
        ("async def f(): await g()", ["AsyncFunctionDef", "Await"]),
        ("from asgikit.asgi import Scope", ["asgikit.asgi", "asgikit.asgi.Scope"]),
    ],
)
def test_what_waits_or_touches_the_world_is_seen(source: str, found: list[str]) -> None:
    assert impurities(ast.parse(source), "http.sample") == found
