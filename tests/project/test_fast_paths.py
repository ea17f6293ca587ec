"""The fast paths are labelled, worth their lines, and listed in the architecture page."""

from __future__ import annotations

import pytest

from tests.project.fast_paths import (
    BLOCK,
    PAGE,
    FastPath,
    find_fast_paths,
    parse_savings,
    write_fast_paths,
)
from tests.project.pages import read_block

FAST_PATHS = [*find_fast_paths()]


def test_architecture_page_lists_the_fast_paths() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert read_block(page, BLOCK) == write_fast_paths(), "run python -m tests.project.fast_paths"


@pytest.mark.parametrize("path", FAST_PATHS, ids=lambda path: path.place)
def test_fast_path_names_its_scenario_and_saves_3_percent(path: FastPath) -> None:
    assert path.savings
    for percent in path.savings.values():
        assert percent is None or percent >= 3


@pytest.mark.parametrize(
    ("text", "savings"),
    [
        ("plaintext -30 %, against `_send()`.", {"plaintext": 30}),
        ("events -49 %, events_wait -35 %", {"events": 49, "events_wait": 35}),
        ("events_wait: one coroutine less", {"events_wait": None}),
        ("all_headers -30 % - a name in lower case", {"all_headers": 30}),
        ("-30 %", {}),
    ],
)
def test_parse_savings(text: str, savings: dict[str, int | None]) -> None:
    assert parse_savings(text) == savings
