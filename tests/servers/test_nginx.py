"""Files and event streams behind nginx, a reverse proxy that buffers and caches."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.servers.client import Connection
from tests.servers.harness import SETUPS, STOP_BOUND, Server, free_port, measure_best, until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-h11-asyncio")

CONTENT = bytes(range(256)) * 400

# Seconds from the sending of an event to its arrival at the client of nginx.
EVENT_BOUND = 0.2

_numbers = count()

CONFIGURATION = """
{user}
daemon off;
error_log stderr warn;
pid {folder}/pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    proxy_cache_path {folder}/cache keys_zone=files:1m;
    proxy_http_version 1.1;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream_port};
        }}
        location /1.0/ {{
            proxy_pass http://127.0.0.1:{upstream_port};
            # The default of nginx in many distributions: a body without chunks, which is passed on
            # one buffer at a time.
            proxy_http_version 1.0;
        }}
        location /static/ {{
            proxy_pass http://127.0.0.1:{upstream_port};
            proxy_cache files;
            proxy_cache_revalidate on;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


def find_nginx() -> str:
    """Return the path of nginx. If it is missing, skip the test; fail it in CI."""
    # Debian installs it in a folder that is only in the path of root.
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("nginx is not installed")
    return found


@contextmanager
def nginx(upstream_port: int, folder: Path) -> Generator[int]:
    """Run nginx as a proxy of ``upstream_port``; the value is the port of nginx."""
    program = find_nginx()
    folder.mkdir()
    port = free_port()
    configuration = folder / "conf"
    # If nginx is started by root, its workers have another user, which cannot read this folder.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=folder, port=port, upstream_port=upstream_port)
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: process.poll() is not None or _listens(port), "nginx listening")
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(STOP_BOUND)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return False
    return True


@pytest.fixture
def origin(tmp_path: Path) -> Generator[Server]:
    files = tmp_path / "files"
    files.mkdir()
    (files / "data.bin").write_bytes(CONTENT)
    with Server(SETUP, "served.files:app", tmp_path) as server:
        yield server


def test_stale_file_in_proxy_cache_is_revalidated_with_304(origin: Server, tmp_path: Path) -> None:
    with nginx(origin.port, tmp_path / "nginx") as port, Connection(port) as connection:
        # The response is fresh for one second.
        first = connection.request("GET", "/static/short-lived/data.bin")
        assert (first.body, first.get("x-cache")) == (CONTENT, "MISS")
        states = []

        def is_revalidated() -> bool:
            response = connection.request("GET", "/static/short-lived/data.bin")
            assert response.body == CONTENT
            assert response.get("etag") == first.get("etag")
            states.append(response.get("x-cache"))
            return states[-1] not in {"HIT", "MISS"}

        until(is_revalidated, "revalidation")

        assert states[-1] == "REVALIDATED"
        assert '"GET /static/short-lived/data.bin HTTP/1.1" 304' in origin.log

        # Other content has another entity tag.
        (origin.folder / "files/data.bin").write_bytes(b"new")
        until(
            lambda: connection.request("GET", "/static/short-lived/data.bin").body == b"new",
            "new content",
        )


@pytest.mark.parametrize("target", ["/send/data.bin", "/static/data.bin"])
def test_ranges_and_preconditions_pass_through_proxy(
    origin: Server, tmp_path: Path, target: str
) -> None:
    with nginx(origin.port, tmp_path / "nginx") as port, Connection(port) as connection:
        for _ in ("cache miss", "cache hit"):
            whole = connection.request("GET", target)
            assert (whole.status, whole.body) == (200, CONTENT)
            part = connection.request("GET", target, "Range: bytes=1000-1999")
            assert (part.status, part.body) == (206, CONTENT[1000:2000])
            assert part.get("content-range") == f"bytes 1000-1999/{len(CONTENT)}"
            parts = connection.request("GET", target, "Range: bytes=0-0,-1")
            assert parts.status == 206
            assert str(parts.get("content-type")).startswith("multipart/byteranges")
            assert parts.get("content-length") == str(len(parts.body))
            last = connection.request(
                "GET", target, f"Range: bytes=-5\r\nIf-Range: {whole.get('etag')}"
            )
            assert (last.status, last.body) == (206, CONTENT[-5:])
            stale = connection.request("GET", target, 'Range: bytes=-5\r\nIf-Range: "stale"')
            assert (stale.status, stale.body) == (200, CONTENT)
            beyond = connection.request("GET", target, "Range: bytes=999999-")
            assert beyond.status == 416
            same = connection.request("GET", target, f"If-None-Match: {whole.get('etag')}")
            assert (same.status, same.body) == (304, b"")


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def events(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    folder = tmp_path_factory.mktemp(f"events-{request.param.name}")
    with Server(request.param, "served.events:app", folder) as server:
        yield server


def read_events(connection: Connection, number: int) -> Generator[tuple[float, float]]:
    """Yield the times of sending and of arrival of each event.

    All processes of a machine have the same monotonic clock.
    """
    rest = b""
    while number > 0 and (data := connection.read_chunk()):
        arrival = time.monotonic()
        *blocks, rest = (rest + data).split(b"\n\n")
        for block in blocks:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    number -= 1
                    yield float(line.removeprefix(b"data: ")), arrival


@pytest.mark.parametrize("folder", ["/", "/1.0/"])
def test_events_pass_proxy_in_200_ms_and_end_with_client(
    events: Server, folder: str, tmp_path: Path
) -> None:
    with nginx(events.port, tmp_path / "nginx") as port:

        def measure() -> float:
            marks = f"events-{next(_numbers)}"
            with Connection(port) as connection:
                connection.send_head("GET", f"{folder}?count=1000000&marks={marks}")
                assert connection.read_head().get("content-type") == (
                    "text/event-stream; charset=utf-8"
                )
                delays = [arrival - sent for sent, arrival in read_events(connection, 15)]
            events.wait_for_mark(marks, "closed")
            return max(delays)

        assert measure_best(measure, EVENT_BOUND) <= EVENT_BOUND


def test_events_without_x_accel_buffering_are_buffered(tmp_path: Path) -> None:
    with (
        Server(SETUP, "served.events:app", tmp_path) as server,
        nginx(server.port, tmp_path / "nginx") as port,
        Connection(port) as connection,
    ):
        connection.send_head("GET", "/1.0/?count=15&marks=buffered&buffered")
        connection.read_head()
        times = list(read_events(connection, 15))

    # The first event arrives after the last one was sent.
    assert times[0][1] > times[-1][0]
