"""One app, started, asked and stopped: bare where the server knows ASGI 2, wrapped everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, Setup

if TYPE_CHECKING:
    from pathlib import Path

ALL = [pytest.param(setup, id=setup.name) for setup in SETUPS]
BARE = [pytest.param(setup, id=setup.name) for setup in SETUPS if setup.runs_asgi2]

TARGET = "/caf%C3%A9/a%20b%2Fc?x=1&y=a+b%26c&x=2"
ANSWER = {"method": "GET", "path": "/café/a b/c", "query_params": {"x": "1", "y": "a b&c"}}


def check_life(setup: Setup, app: str, folder: Path) -> None:
    """Start ``app``, ask it, stop it: the answer is right, and the log is clean."""
    with Server(setup, app, folder) as server:
        with server.connect() as connection:
            answer = connection.request("GET", TARGET)
            assert answer.status == 200
            assert answer.json() == ANSWER
            assert answer.get("content-type") == "application/json"
            assert answer.get("content-length") == str(len(answer.body))
            # The same connection: the first answer has ended where it says.
            assert connection.request("GET", TARGET).json() == ANSWER
        assert server.stop()
    assert server.problems == []


@pytest.mark.parametrize("setup", BARE)
@pytest.mark.parametrize(
    "app", ["seed:app", "structures:closure", "structures:partial", "structures:Structure"]
)
def test_an_asgi_2_app_runs_bare(setup: Setup, app: str, tmp_path: Path) -> None:
    check_life(setup, f"served.{app}", tmp_path)


@pytest.mark.parametrize("setup", ALL)
@pytest.mark.parametrize("app", ["seed:everywhere", "structures:coroutine_handler"])
def test_a_wrapped_app_runs_everywhere(setup: Setup, app: str, tmp_path: Path) -> None:
    check_life(setup, f"served.{app}", tmp_path)


@pytest.mark.parametrize("setup", ALL)
def test_a_lifespan_starts_before_the_first_request_and_stops_after_the_last(
    setup: Setup, tmp_path: Path
) -> None:
    if not setup.has_lifespan:
        pytest.skip(f"{setup.name} has no lifespan protocol")
    with Server(setup, "served.seed:with_lifespan", tmp_path) as server:
        with server.connect() as connection:
            assert connection.request("GET", "/").json() == {"greeting": "hello"}
        assert server.marks("lifespan") == ["started"]
        assert server.stop()
    assert server.marks("lifespan") == ["started", "stopped"]
    assert server.problems == []
