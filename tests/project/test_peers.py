"""The README's table of features: each row is proven here, and each peer's cell was tried."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

import asgikit
from tests.project.peer_apps import LIBRARIES
from tests.project.peers import FEATURES, PEERS, README, heads, make_table, try_library
from tests.project.snippets import ROOT
from tests.project.works_with import printed

if TYPE_CHECKING:
    from pathlib import Path

# What there is none of here, and the README says so.
MISSING = {"websockets", "a router", "WSGI"}

TABLE = printed(README.read_text(encoding="utf-8"), "peers")


def columns() -> dict[str, list[str]]:
    """Read the table's columns, by their heads."""
    head, _, *rows = [line.strip("| ").split(" | ") for line in TABLE.splitlines()]
    return {name: [row[at + 1] for row in rows] for at, name in enumerate(head[:-1])}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.label)
def test_every_row_names_a_test_that_exists(feature: object) -> None:
    assert isinstance(feature, tuple)
    file, _, name = feature[3].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef

    assert name in {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on which the peers are tried too
async def test_our_column_is_what_is_seen(tmp_path: Path) -> None:
    seen = await try_library("asgikit", tmp_path)

    assert columns()["asgikit"] == seen
    assert {
        feature.label for feature, cell in zip(FEATURES, seen, strict=True) if cell != "yes"
    } == MISSING


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # which is the one that some of them know
@pytest.mark.parametrize("name", PEERS)
# Theirs is theirs.
@pytest.mark.filterwarnings("ignore")
async def test_the_column_of_a_peer_is_what_is_seen(name: str, tmp_path: Path) -> None:
    if find_spec(name.lower()) is None:
        pytest.skip(f"{name} is not installed")
    (head,) = [each for each in columns() if each.startswith(name)]
    if head not in heads():
        pytest.skip(f"the table is about {head}")

    assert columns()[head] == await try_library(name, tmp_path)


def test_the_table_is_as_it_is_written() -> None:
    assert make_table({name: cells for name, cells in columns().items() if name}) == TABLE


def test_there_is_no_router_and_no_wsgi() -> None:
    names = " ".join(asgikit.__all__).lower()

    assert [
        word for word in ("rout", "wsgi", "mount", "session", "template") if word in names
    ] == []
    assert list(LIBRARIES) == ["asgikit", *PEERS]
