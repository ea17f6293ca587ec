"""The comparison: a test proves each row for asgikit, and each peer's cell is tried again."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import asgikit
from tests.project.pages import README, SOURCE, read_block
from tests.project.peer_apps import LIBRARIES
from tests.project.peers import (
    FEATURES,
    HOME,
    PAGE,
    PEERS,
    Feature,
    find_test,
    heads,
    make_table,
    read_columns,
    summarize,
    try_library,
)
from tests.support.paths import ROOT

# The features that asgikit does not have.
MISSING = {"websockets", "router", "WSGI"}

COLUMNS = read_columns()
REGENERATE = "run: python -m tests.project.peers --links"


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.label)
def test_proof_of_a_row_is_a_test_that_exists(feature: Feature) -> None:
    assert find_test(feature.test).name.startswith("test_")


def test_find_test_returns_the_one_file_or_raises(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text("def test_one():\n    pass\n\ndef test_two(): ...\n")
    (folder / "test_b.py").write_text("class TestB:\n    async def test_two(self): ...\n")
    (folder / "helpers.py").write_text("def test_one(): ...\n")

    assert find_test("test_one", tmp_path) == Path("tests/unit/test_a.py")
    with pytest.raises(LookupError, match=r"test_two: .*test_a\.py, .*test_b\.py"):
        find_test("test_two", tmp_path)
    with pytest.raises(LookupError, match="tests with the name test_on: none"):
        find_test("test_on", tmp_path)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # as the peers
async def test_column_of_asgikit_equals_its_trials(tmp_path: Path) -> None:
    results = await try_library("asgikit", tmp_path)

    assert COLUMNS["asgikit"] == results
    assert {
        feature.label for feature, cell in zip(FEATURES, results, strict=True) if cell != "yes"
    } == MISSING


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # some peers do not support Trio
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.filterwarnings("ignore")  # warnings of the peers
async def test_column_of_a_peer_equals_its_trials(name: str, tmp_path: Path) -> None:
    if find_spec(name.lower()) is None:
        pytest.skip(f"{name} is not installed")
    (head,) = [each for each in COLUMNS if each.startswith(name)]
    if head not in heads():
        pytest.skip(f"the table is about {head}")

    assert COLUMNS[head] == await try_library(name, tmp_path)


def test_docs_page_has_the_generated_table() -> None:
    table = read_block(PAGE.read_text(encoding="utf-8"), "peers")

    assert make_table(COLUMNS) == table, REGENERATE


@pytest.mark.parametrize("page", [README, HOME], ids=lambda page: page.name)
def test_page_has_five_rows_of_the_table(page: Path) -> None:
    table = read_block(page.read_text(encoding="utf-8"), "peers")

    assert summarize(COLUMNS) == table, REGENERATE
    assert len(table.splitlines()) == 2 + 5


def test_proof_links_to_the_file_that_has_the_test() -> None:
    rows = make_table(COLUMNS).splitlines()[2:]

    for feature, row in zip(FEATURES, rows, strict=True):
        _, _, target = row.rpartition("](")
        link, _, title = target.removesuffix(") |").partition(" ")
        file = ROOT / link.removeprefix(f"{SOURCE}/")
        assert title == f'"{feature.test}"'
        assert ROOT / "tests" in file.parents
        assert f"def {feature.test}(" in file.read_text(encoding="utf-8")


def test_there_is_no_router_and_no_wsgi() -> None:
    names = " ".join(asgikit.__all__).lower()

    assert [
        word for word in ("rout", "wsgi", "mount", "session", "template") if word in names
    ] == []
    assert list(LIBRARIES) == ["asgikit", *PEERS]
