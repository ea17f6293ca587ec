"""Fixtures of the unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asgikit.runtime import threads

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def one_thread_each() -> Iterator[None]:
    """Limit each pool to one thread, and forget that it has logged a warning."""
    limits = {pool._name: pool._limit for pool in (threads._handlers, threads._streams)}
    threads._handlers.reset()  # idle threads of other tests must not count
    threads._streams.reset()
    threads.set_thread_limits(**dict.fromkeys(limits, 1))
    yield
    threads.set_thread_limits(**limits)
