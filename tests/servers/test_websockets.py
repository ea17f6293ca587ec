"""Denied websockets on each websocket implementation of uvicorn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, Setup, require

if TYPE_CHECKING:
    from pathlib import Path

UVICORN = [setup for setup in SETUPS if setup.name.startswith("uvicorn")]

DENIALS = [("/handler", 404, b""), ("/response", 403, b"no"), ("/stream", 401, b"nonono")]


@pytest.mark.parametrize(
    ("implementation", "module"),
    [
        ("websockets-sansio", "websockets"),  # the default
        ("websockets", "websockets"),
        ("wsproto", "wsproto"),
    ],
)
@pytest.mark.parametrize("setup", UVICORN, ids=[setup.name for setup in UVICORN])
def test_denial_on_uvicorn_is_sent_whole_and_logs_no_error(
    setup: Setup, implementation: str, module: str, tmp_path: Path
) -> None:
    require(module)
    setup = replace(setup, arguments=(*setup.arguments, f"--ws={implementation}"))
    with Server(setup, "served.denials:app", tmp_path) as server:
        for target, status, body in DENIALS * 2:
            with server.connect() as connection:
                answer = connection.request_websocket(target)
                assert (answer.status, answer.body) == (status, body)
        server.stop()
        log = server.log

    assert [line for line in log.split("\n") if "ERROR" in line or "Traceback" in line] == []
