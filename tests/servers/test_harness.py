from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import PROBLEM, SETUPS, Server, require

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_server_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="a_server_nobody_wrote"):
        require("os", "a_server_nobody_wrote")


def test_a_missing_server_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="a_server_nobody_wrote"):
        require("os", "a_server_nobody_wrote")


def test_a_server_that_cannot_start_says_why_and_is_gone(tmp_path: Path) -> None:
    server = Server(SETUPS[0], "served.seed:no_such_app", tmp_path)

    with pytest.raises(RuntimeError, match="no_such_app"):
        server.__enter__()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_a_server_ends_when_its_test_fails(tmp_path: Path) -> None:
    server = Server(SETUPS[0], "served.seed:everywhere", tmp_path)

    with suppress(ZeroDivisionError), server:
        os.kill(server.pid, 0)
        raise ZeroDivisionError
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.parametrize(
    ("line", "alarming"),
    [
        ("INFO:     Application startup complete.", False),
        ("Traceback (most recent call last):", True),
        ("ERROR:    Exception in ASGI application", True),
        ("[2026-01-01 00:00:00 +0000] [1] [WARNING] slow", True),
        ("app.py:1: RuntimeWarning: coroutine 'f' was never awaited", True),
        ('INFO:     127.0.0.1:1 - "GET /errors HTTP/1.1" 200 OK', False),  # a word of the path
    ],
)
def test_a_line_that_tells_of_trouble_is_seen(line: str, alarming: bool) -> None:
    assert (PROBLEM.search(line) is not None) == alarming
