"""That the ratio tells what is quadratic."""

from __future__ import annotations

import re

from tests.support.growth import grows_linearly


def test_what_is_quadratic_is_seen() -> None:
    assert not grows_linearly(re.compile(r"[a]*b").findall, "a")
    assert grows_linearly(re.compile(r"[a]*+c?").findall, "a")
