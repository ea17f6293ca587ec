"""What the unit tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asgikit.runtime import threads

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def one_thread_each() -> Iterator[None]:
    """Let each pool have one thread, and log again when it is full."""
    limits = {pool._name: pool._limit for pool in (threads._handlers, threads._streams)}
    threads._handlers.reset()  # what is idle from other tests must not count
    threads._streams.reset()
    threads.set_thread_limits(**dict.fromkeys(limits, 1))
    yield
    threads.set_thread_limits(**limits)
