"""The servers of the tests: one per set-up for the whole run. Some tests start their own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

# Only the servers import these modules; pytest would search them for doctests.
collect_ignore = ["served"]


@pytest.fixture(scope="session", autouse=True)
def _end_servers_when_terminated() -> Iterator[None]:
    """Exit pytest on SIGTERM, so that the fixtures stop their servers."""
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve the apps of ``served.everything``; the log must be without problems at the end."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with Server(request.param, "served.everything:app", folder) as server:
        yield server
        was_graceful = server.stop()
    assert was_graceful, server.setup.name
    assert server.problems == [], server.setup.name
