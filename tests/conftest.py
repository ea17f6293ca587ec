"""Fixtures and hypothesis profiles of all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Samples for the type checkers in test_types.py. One of them has type errors on purpose.
collect_ignore = ["project/typing"]

# For the Python versions beside the main one: see `versions` in noxfile.py.
settings.register_profile("brief", max_examples=10, deadline=None)
settings.register_profile("quick", max_examples=200, deadline=None)
settings.register_profile(
    "full",
    max_examples=100_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# The option `--hypothesis-profile` is read later and overrides this.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each async test on both event loops."""
    backend: str = request.param
    return backend
