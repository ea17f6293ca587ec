"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from asgikit.runtime import threads


@pytest.fixture
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use new pools of one thread each, for `def` handlers and for streams."""
    for name in ("handlers", "streams"):
        monkeypatch.setattr(threads, f"_{name}", threads._ThreadPool(name, 1))
