"""The tables of the migration pages have each public name of Starlette and of Werkzeug."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping

import multidict
import pytest

import asgikit
from tests.project.pages import DOCS, read_table

STARLETTE = (DOCS / "migrating.md").read_text(encoding="utf-8")
WERKZEUG = (DOCS / "migrating-wsgi.md").read_text(encoding="utf-8")
MODULES = ("requests", "responses", "datastructures", "background")
NAME = re.compile(r"`([\w.]+)`")


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the third level."""
    return read_table(page.partition(f"### {heading}\n")[2].partition("\n#")[0])[1:]


TABLES = {
    **{module: rows_of(STARLETTE, f"starlette.{module}") for module in MODULES},
    **{name: rows_of(WERKZEUG, name) for name in ("Request", "Response")},
}


def names_in(cell: str) -> Iterator[str]:
    """Return the names in a cell; a name such as ``.body`` has the class of the one before it."""
    owner = ""
    for name in NAME.findall(cell):
        if not name.startswith("."):
            owner = name.rpartition(".")[0]
        yield f"{owner}{name}" if name.startswith(".") else name


def names_of(table: str) -> list[str]:
    """Return the names of the first column of a table."""
    return [name for row in TABLES[table] for name in names_in(row[0])]


def own_members(cls: type) -> set[str]:
    """Return the public names that ``cls`` itself adds: in its body, or to its instances.

    The methods of each mapping, such as ``keys``, are left out.
    """
    names = {*vars(cls), *vars(cls).get("__annotations__", {})}
    names |= set(re.findall(r"\b(?:self|value)\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(cls)))
    return {name for name in names if not name.startswith("_")} - {*dir(Mapping)}


def public_names(module: str) -> set[str]:
    """Return the public names of a module of Starlette, and those of its classes.

    A member is listed for the class that defines it. The members of exceptions are left out, and so
    are those of `HTTPConnection`, which the page lists for `Request`.
    """
    namespace = vars(importlib.import_module(f"starlette.{module}"))
    found = set()
    for name, value in namespace.items():
        if name.startswith("_") or getattr(value, "__module__", "") != f"starlette.{module}":
            continue
        if not inspect.isclass(value):
            found |= {name} if inspect.isfunction(value) else set()
            continue
        found.add(name)
        if not issubclass(value, Exception):
            inherited = {
                member
                for base in value.__mro__[1:]
                if base.__module__.startswith("starlette")
                for member in own_members(base)
            }
            owner = name.replace("HTTPConnection", "Request")
            found |= {f"{owner}.{member}" for member in own_members(value) - inherited}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_table_has_each_public_name_of_starlette_once(module: str) -> None:
    pytest.importorskip("starlette")
    assert sorted(names_of(module)) == sorted(public_names(module))


@pytest.mark.parametrize("name", ["Request", "Response"])
def test_table_has_each_public_name_of_werkzeug_once(name: str) -> None:
    wrappers = pytest.importorskip("werkzeug.wrappers")
    members = {member for member in dir(getattr(wrappers, name)) if not member.startswith("_")}

    assert sorted(names_of(name)) == sorted(f"{name}.{member}" for member in members)


def find(path: str) -> None:
    """Find the attribute with the dotted ``path`` in asgikit, multidict, or a class of asgikit.

    Raises:
        AttributeError: there is none.
    """
    first, *names = path.split(".")
    found = {"multidict": multidict, "asgikit": asgikit}.get(first) or getattr(asgikit, first)
    for name in names:
        if not is_set_on_instances(found, name):
            found = getattr(found, name)


def is_set_on_instances(found: object, name: str) -> bool:
    """Return whether ``found`` is a class of asgikit whose instances alone have the attribute."""
    if not inspect.isclass(found):
        return False
    bases = [base for base in found.__mro__ if base.__module__.startswith("asgikit")]
    return any(name in own_members(base) - {*vars(base)} for base in bases)


STATES = [
    pytest.param(name, row[1], id=f"{table}-{name}")
    for table, rows in TABLES.items()
    for row in rows
    for name in names_in(row[0])
]


@pytest.mark.parametrize(("name", "state"), STATES)
def test_state_of_a_name_is_true(name: str, state: str) -> None:
    if state == "same":
        find(name)
    elif state == "absent":
        with pytest.raises(AttributeError):
            find(name)
    else:
        (replacement,) = NAME.findall(state)
        find(replacement)
