"""The servers that tests ask: one per set-up for the whole run, or one of their own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

# The servers import these; here they would only be looked through for doctests.
collect_ignore = ["served"]


@pytest.fixture(scope="session", autouse=True)
def _end_servers_when_terminated() -> Iterator[None]:
    """SIGTERM ends the run as an interrupt does: through the fixtures that end the servers."""
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Every app of ``served`` behind each set-up; its log must be clean in the end."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with Server(request.param, "served.everything:app", folder) as server:
        yield server
        obeyed = server.stop()
    assert obeyed, server.setup.name
    assert server.problems == [], server.setup.name
