"""The measure of growth in tests/support/growth.py detects quadratic time."""

from __future__ import annotations

import re

from tests.support.growth import grows_linearly


def test_grows_linearly_detects_quadratic_time() -> None:
    assert not grows_linearly(re.compile(r"[a]*b").findall, "a")
    assert grows_linearly(re.compile(r"[a]*+c?").findall, "a")
