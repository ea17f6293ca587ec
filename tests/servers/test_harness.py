from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import PROBLEM, SETUPS, Server, require

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_module_skips_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no_such_server"):
        require("os", "no_such_server")


def test_missing_module_fails_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="no_such_server"):
        require("os", "no_such_server")


def test_server_that_cannot_start_raises_with_its_log(tmp_path: Path) -> None:
    server = Server(SETUPS[0], "served.minimal:no_such_app", tmp_path)

    with pytest.raises(RuntimeError, match="no_such_app"):
        server.__enter__()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_server_is_stopped_if_test_fails(tmp_path: Path) -> None:
    server = Server(SETUPS[0], "served.minimal:adapted", tmp_path)

    with suppress(ZeroDivisionError), server:
        os.kill(server.pid, 0)
        raise ZeroDivisionError
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.parametrize(
    ("line", "is_problem"),
    [
        ("INFO:     Application startup complete.", False),
        ("Traceback (most recent call last):", True),
        ("ERROR:    Exception in ASGI application", True),
        ("[2026-01-01 00:00:00 +0000] [1] [WARNING] slow", True),
        ("app.py:1: RuntimeWarning: coroutine 'f' was never awaited", True),
        ('INFO:     127.0.0.1:1 - "GET /errors HTTP/1.1" 200 OK', False),  # a part of the path
    ],
)
def test_log_line_with_warning_or_error_is_a_problem(line: str, is_problem: bool) -> None:
    assert (PROBLEM.search(line) is not None) == is_problem
