"""What every test shares: the two event loops, and how long properties are tried."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Read by mypy and pyright in test_types.py; one of them is wrong on purpose.
collect_ignore = ["project/typing"]

settings.register_profile("quick", max_examples=200, deadline=None)
settings.register_profile(
    "full",
    max_examples=100_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# `--hypothesis-profile` comes after this and has the last word.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loops that every async test runs on."""
    backend: str = request.param
    return backend
