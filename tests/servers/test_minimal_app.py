"""Start, request, stop: unwrapped ASGI 2 apps where supported, adapted apps on each server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, Setup

if TYPE_CHECKING:
    from pathlib import Path

ALL = [pytest.param(setup, id=setup.name) for setup in SETUPS]
ASGI2 = [pytest.param(setup, id=setup.name) for setup in SETUPS if setup.runs_asgi2]

TARGET = "/caf%C3%A9/a%20b%2Fc?x=1&y=a+b%26c&x=2"
EXPECTED = {"method": "GET", "path": "/café/a b/c", "query_params": {"x": "1", "y": "a b&c"}}


def check_start_request_stop(setup: Setup, app: str, folder: Path) -> None:
    """Check the response of ``app``, the end of its server, and the log."""
    with Server(setup, app, folder) as server:
        with server.connect() as connection:
            response = connection.request("GET", TARGET)
            assert response.status == 200
            assert response.json() == EXPECTED
            assert response.get("content-type") == "application/json"
            assert response.get("content-length") == str(len(response.body))
            # The same connection: no byte of the first response is left on it.
            assert connection.request("GET", TARGET).json() == EXPECTED
        assert server.stop()
    assert server.problems == []


@pytest.mark.parametrize("setup", ASGI2)
@pytest.mark.parametrize(
    "app", ["minimal:app", "structures:closure", "structures:partial", "structures:Structure"]
)
def test_asgi2_app_runs_without_adapter(setup: Setup, app: str, tmp_path: Path) -> None:
    check_start_request_stop(setup, f"served.{app}", tmp_path)


@pytest.mark.parametrize("setup", ALL)
@pytest.mark.parametrize("app", ["minimal:adapted", "structures:coroutine_handler"])
def test_adapted_app_runs_on_each_server(setup: Setup, app: str, tmp_path: Path) -> None:
    check_start_request_stop(setup, f"served.{app}", tmp_path)


@pytest.mark.parametrize("setup", ALL)
def test_lifespan_starts_before_first_request_and_ends_after_last(
    setup: Setup, tmp_path: Path
) -> None:
    if not setup.has_lifespan:
        pytest.skip(f"{setup.name} has no lifespan protocol")
    with Server(setup, "served.minimal:with_lifespan", tmp_path) as server:
        with server.connect() as connection:
            assert connection.request("GET", "/").json() == {"greeting": "hello"}
        assert server.marks("lifespan") == ["started"]
        assert server.stop()
    assert server.marks("lifespan") == ["started", "stopped"]
    assert server.problems == []
