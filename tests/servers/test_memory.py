"""Memory of a server process for each client that waits, as resident bytes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.client import Connection
from tests.servers.harness import SETUPS, Server

UVICORN = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")
WARM_UP = 50
CLIENTS = 200
KiB = 1024


def read_resident_size(pid: int) -> int:
    """Return the resident set size of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KiB
    raise AssertionError("the kernel reports no resident set size")


def start_stream(server: Server, stack: ExitStack, coding: str) -> None:
    connection: Connection = stack.enter_context(server.connect())
    connection.send_head("GET", "/", f"Accept-Encoding: {coding}")
    connection.read_head()
    assert connection.read_chunk()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("coding", ["br", "gzip", "zstd"])
def test_idle_event_client_under_compress_holds_60_kib(coding: str, tmp_path: Path) -> None:
    with Server(UVICORN, "served.idle_events:app", tmp_path) as server, ExitStack() as stack:
        for _ in range(WARM_UP):
            start_stream(server, stack, coding)
        before = read_resident_size(server.pid)
        for _ in range(CLIENTS):
            start_stream(server, stack, coding)
        held = (read_resident_size(server.pid) - before) / CLIENTS

    assert held < 60 * KiB
