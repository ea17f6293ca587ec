"""The architecture: layers of packages, import circles, exports and the size of modules."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import asgikit

PACKAGE = Path(asgikit.__file__).parent

# The layers, from the lowest. A package imports from its own layer's packages by itself only, and
# from the layers below.
LAYERS: list[set[str]] = [
    {"_json", "limits", "types", "_lazy", "_logging", "_signatures"},
    {"exceptions"},
    {"http"},
    {"_json_parser", "datastructures", "runtime", "scopes"},
    {"body"},
    {"forms"},
    {"requests", "responses"},
    {"apps", "testing"},
]
# A module that imports the lowest layer only, and which all layers may import.
FOUNDATION = "http.grammar"
LAYER_OF = {package: number for number, layer in enumerate(LAYERS) for package in layer}

# Names that users import from an internal package, as the documentation shows.
DOCUMENTED = {"runtime.threads": {"set_thread_limits"}}

#: Loose modules in `asgikit/`, `__init__` and `__main__` included.
MOST_LOOSE_MODULES = 12
MOST_LINES = 450
MOST_LINES_OF_EXPORTS = 80

# Text or bytes in, values out: no await, no clock, no file, no ASGI.
PURE = ("http.", "forms.multipart", "forms.part_reader", "forms.content_type")
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
# The top of the package and the program stand above all layers.
LAYERED = [name for name in MODULES if name not in {"__init__", "__main__"}]
PACKAGES = [name for name in MODULES if name.endswith(".__init__")]


def read(module: str) -> ast.Module:
    return ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))


def package_of(module: str) -> str:
    """Return the package of a module below `asgikit`; a loose module is its own package."""
    return module.partition(".")[0]


def imported_names(tree: ast.AST, module: str) -> set[str]:
    """Return each module that ``tree`` imports, those for type checkers included."""
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


def imports_from_above(tree: ast.Module, module: str) -> list[str]:
    """Return the imports of ``tree`` that are not below the layer of ``module``."""
    own = package_of(module)
    wrong = set[str]()
    for name in imported_names(tree, module):
        if name == "asgikit":
            wrong.add(name)  # the top level is above all layers
        elif name.startswith("asgikit."):
            other = package_of(name.removeprefix("asgikit."))
            if f"{name}.".startswith(f"asgikit.{FOUNDATION}."):
                continue
            # A name of the top level, such as `asgikit.Request`, is no package.
            if other != own and LAYER_OF.get(other, -1) >= LAYER_OF[own]:
                wrong.add(other)
    return sorted(wrong)


def impurities(tree: ast.Module, module: str) -> list[str]:
    """Return the names in ``tree`` that wait, read a clock or touch a file."""
    found = [
        name
        for name in imported_names(tree, module)
        if name in IMPURE_IMPORTS
        or name.partition(".")[0] in IMPURE_IMPORTS
        or name.startswith(("asgikit.types", "asgikit.runtime"))
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
    """Return ``__all__`` as it is written out, or :obj:`None` if it is absent."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                names: list[str] = ast.literal_eval(value)
                return names
    return None


def imports_by_name() -> dict[str, set[str]]:
    """Return the names that modules of the package import from each of its modules."""
    names: dict[str, set[str]] = {}
    for module in MODULES:
        for node in ast.walk(read(module)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asgikit."):
                home = str(node.module).removeprefix("asgikit.")
                names.setdefault(home, set()).update(alias.name for alias in node.names)
    return names


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a circle in ``graph``, or an empty list."""
    finished = set[str]()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in finished:
            return []
        for other in sorted(graph.get(node, ())):
            if circle := visit(other, [*path, node]):
                return circle
        finished.add(node)
        return []

    return next((circle for node in sorted(graph) if (circle := visit(node, []))), [])


def module_imports(module: str) -> set[str]:
    """Return the modules of the package that ``module`` imports, inside of functions as well."""
    names = {name.removeprefix("asgikit.") for name in imported_names(read(module), module)}
    return names & {*MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_module_has_a_docstring(module: str) -> None:
    assert ast.get_docstring(read(module))


@pytest.mark.parametrize("module", LAYERED)
def test_module_imports_from_lower_layers_only(module: str) -> None:
    assert package_of(module) in LAYER_OF, "add the package to a layer in this table"
    assert imports_from_above(read(module), module) == []


def test_foundation_imports_from_the_lowest_layer_only() -> None:
    assert {package_of(name) for name in module_imports(FOUNDATION)} <= LAYERS[0]


def test_packages_have_no_import_circle() -> None:
    assert find_circle({module: module_imports(module) for module in LAYERED}) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(PURE)])
def test_http_and_form_parsers_do_no_io(module: str) -> None:
    assert impurities(read(module), module) == []


@pytest.mark.parametrize("module", [name for name in LAYERED if not name.endswith("__init__")])
def test_all_holds_the_names_that_other_modules_import(module: str) -> None:
    names = declared_names(read(module))
    imported = imports_by_name().get(module, set())

    assert names is not None
    assert names == sorted(names, key=isort_key)
    assert [name for name in names if name.startswith("_")] == []
    assert sorted(imported - {*names}) == []
    # The modules of `asgikit.http` are documented: applications import from them.
    if package_of(module) != "http":
        assert sorted({*names} - imported - DOCUMENTED.get(module, set())) == []
    for name in names:
        assert hasattr(importlib.import_module(f"asgikit.{module}"), name)


def isort_key(name: str) -> tuple[int, str]:
    """Sort as ruff does: constants, classes, the rest."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("package", PACKAGES)
def test_package_init_holds_exports_only(package: str) -> None:
    tree = read(package)
    lines = (PACKAGE / (package.replace(".", "/") + ".py")).read_text().count("\n")

    assert lines <= MOST_LINES_OF_EXPORTS
    for node in tree.body:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.Assign | ast.Expr), (
            ast.unparse(node)
        )
    name = "asgikit." + package.removesuffix(".__init__")
    for public in declared_names(tree) or []:
        assert hasattr(importlib.import_module(name), public)


def test_top_level_names_come_from_the_packages() -> None:
    homes = [
        "exceptions", "limits", "types", "apps", "datastructures", "forms", "requests", "responses",
    ]  # fmt: skip
    parts: set[str] = set()
    for home in homes:
        module = f"{home}.__init__" if f"{home}.__init__" in MODULES else home
        parts.update(declared_names(read(module)) or [])

    assert sorted({*asgikit.__all__} - parts - {"RawHeaders", "MAX_HEADER_SIZE"}) == []
    assert sorted(parts - {*asgikit.__all__} - {"RawHeaders", "MAX_HEADER_SIZE"}) == []
    assert [name for name in asgikit.__all__ if not hasattr(asgikit, name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_module_is_short(module: str) -> None:
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")

    assert source.count("\n") <= MOST_LINES


def test_loose_modules_are_few() -> None:
    assert len([name for name in MODULES if "." not in name]) <= MOST_LOOSE_MODULES


def test_module_names_do_not_hide_exports() -> None:
    # Importing `asgikit.apps.x` sets the attribute `x` of the package: an export of that name
    # would be the module from then on.
    for package in ["__init__", *PACKAGES]:
        name = f"asgikit.{package}".removesuffix(".__init__")
        exported = {*(declared_names(read(package)) or [])}
        submodules = {
            module.rpartition(".")[2]
            for module in (f"asgikit.{each}".removesuffix(".__init__") for each in MODULES)
            if module.rpartition(".")[0] == name
        }
        assert exported & submodules == set()


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("body.receiver", "from asgikit.datastructures.headers import Headers", []),
        ("body.receiver", "from ..datastructures.headers import Headers", []),
        ("body.receiver", "from asgikit.body.sharing import KEY", []),  # the same package
        ("body.receiver", "from asgikit.requests.request import Request", ["requests"]),
        ("responses.json", "import asgikit.requests.request", ["requests"]),  # the same layer
        ("scopes", "from asgikit._json_parser import parse_json", ["_json_parser"]),
        ("limits", "from asgikit.http.grammar import TOKEN", []),
        ("limits", "from asgikit.http.dates import parse_http_date", ["http"]),
        ("http.dates", "from . import ranges", []),
        ("http.dates", "from .. import limits", ["asgikit"]),  # through the top level
        ("http.dates", "from ..scopes import extensions", ["scopes"]),
        ("forms.reader", "if TYPE_CHECKING:\n    from asgikit import Request", ["asgikit"]),
        ("forms.reader", "def f():\n    from asgikit.apps.adapters import to_asgi", ["apps"]),
    ],
)
def test_import_from_above_is_found(module: str, source: str, wrong: list[str]) -> None:
    assert imports_from_above(ast.parse(source), module) == wrong


@pytest.mark.parametrize(
    ("graph", "circle"),
    [
        ({"a": {"b"}, "b": {"c"}}, []),
        ({"a": {"a"}}, ["a", "a"]),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"b"}, "d": {"c"}}, ["b", "d", "c", "b"]),
    ],
)
def test_import_circle_is_found(graph: dict[str, set[str]], circle: list[str]) -> None:
    assert find_circle(graph) == circle


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
        ("from asgikit.types import Scope", ["asgikit.types", "asgikit.types.Scope"]),
    ],
)
def test_io_in_a_pure_module_is_found(source: str, found: list[str]) -> None:
    assert impurities(ast.parse(source), "http.sample") == found
