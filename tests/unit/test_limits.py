"""Limits: one frozen set of bounds."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from asgikit.limits import DEFAULT_LIMITS, Limits

NAMES = [field.name for field in dataclasses.fields(Limits)]
# Something is always held in memory.
BOUNDED = {"spool_size"}


def test_default_limits_have_documented_values() -> None:
    assert dataclasses.asdict(DEFAULT_LIMITS) == {
        "max_body_size": 10 * 1024**2,
        "max_form_size": 128 * 1024**2,
        "max_text_size": 2 * 1024**2,
        "max_fields": 1000,
        "max_files": 100,
        "max_field_size": 1024**2,
        "max_file_size": None,
        "spool_size": 1024**2,
        "max_query_fields": 1000,
        "max_header_size": 8192,
        "max_ratio": 100,
        "body_timeout": 60.0,
        "total_timeout": 300.0,
    }
    assert Limits() == DEFAULT_LIMITS


@pytest.mark.parametrize("name", NAMES)
def test_limit_may_be_zero_but_not_negative(name: str) -> None:
    assert getattr(Limits(**{name: 0}), name) == 0
    with pytest.raises(ValueError, match=f"{name} must not be negative, but is -1"):
        Limits(**{name: -1})


@pytest.mark.parametrize("name", sorted(set(NAMES) - BOUNDED))
def test_limit_of_none_is_accepted(name: str) -> None:
    unbounded: dict[str, Any] = {name: None}

    assert getattr(Limits(**unbounded), name) is None


def test_limits_are_frozen_and_named() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_LIMITS.max_files = 1  # type: ignore[misc]  # tested
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[call-arg]  # tested
    assert dataclasses.replace(DEFAULT_LIMITS, max_files=1).max_files == 1
