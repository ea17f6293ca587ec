"""The end of a server while event streams, an upload and a download are open.

    python -m tests.servers.test_shutdown            # compare the table of the deployment guide
    python -m tests.servers.test_shutdown --write    # write it

Each case states what the server does; its test proves it, and the guide shows it.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import TYPE_CHECKING

import pytest

from tests.project.pages import DOCS, update_pages, write_table
from tests.servers.harness import SETUPS, Server, Setup, measure_best, until
from tests.support.form_bodies import CONTENT_TYPE, body, file
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.client import Connection

PAGE = DOCS / "guides" / "deployment.md"

APP = "served.shutdown:app"
STREAMS = 3
UPLOAD = body(file("f", "a", b"x" * 2_400_000))
SENT_BEFORE = 1_500_000  # bytes of the upload, of which a part is in a temporary file
DOWNLOAD_SIZE = 40_000_000  # bytes, more than the sockets hold
# Seconds from the stop to the end of the streams; less than the time limit of hypercorn.
END_BOUND = 1.0
EXIT_BOUND = 2.0  # seconds from the end of the last transfer to the end of the process
MAX_REQUESTS = 3

SIGTERM, HUP, LIMIT = "SIGTERM", "SIGHUP", "`max_requests`"
ENDED, CUT_OFF, CUT_OFF_LATE = "ended", "cut off", "cut off at the time limit"
FINISHED = "finished"
CLEAN = "clean"


@dataclass(frozen=True)
class Case:
    """A way to stop a server, and the effects.

    Attributes:
        label: the server and its options, as in the guide.
        setup: how to start it.
        stop: a signal to its main process, or the option that limits the requests of a worker.
        streams: the end of the event streams.
        transfers: the end of an upload and of a download.
        lifespan: whether the lifespan ends after the transfers.
        log: the log of the server.
    """

    label: str
    setup: Setup
    stop: str = SIGTERM
    streams: str = ENDED
    transfers: str = FINISHED
    lifespan: str = ENDED
    log: str = CLEAN

    @property
    def name(self) -> str:
        """The name in test identifiers."""
        return f"{self.setup.name}-{self.stop.strip('`')}"


def _setup(name: str, *options: str) -> Setup:
    """Return the set-up ``name`` with further options."""
    (setup,) = [setup for setup in SETUPS if setup.name == name]
    return replace(setup, name="-".join([name, *options]), arguments=(*setup.arguments, *options))


def _gunicorn(name: str, *options: str) -> Setup:
    arguments = ("gunicorn", "--bind=127.0.0.1:{port}", *options, "{app}")
    return Setup(name, ("gunicorn", "uvicorn_worker"), arguments)


CONFIGURED = f"--config={ROOT / 'examples' / 'scale' / 'gunicorn_conf.py'}"
GRACEFUL = "--graceful-timeout=5"  # a busy machine needs some seconds for the transfers
ONE_PROCESS = "--workers=0"

CASES = (
    Case("uvicorn, h11", _setup("uvicorn-h11-asyncio")),
    Case("uvicorn, httptools and uvloop", _setup("uvicorn-httptools-uvloop")),
    Case("uvicorn, `--workers 2`", _setup("uvicorn-httptools-uvloop", "--workers=2")),
    Case("gunicorn, with uvicorn workers", _gunicorn("gunicorn", CONFIGURED)),
    Case("gunicorn, with uvicorn workers", _gunicorn("gunicorn", CONFIGURED), HUP),
    Case(
        "gunicorn, with uvicorn workers",
        _gunicorn(
            "gunicorn",
            CONFIGURED,
            f"--max-requests={MAX_REQUESTS}",
            "--max-requests-jitter=0",
        ),
        LIMIT,
    ),
    Case("gunicorn, `--worker-class asgi`", _gunicorn("gunicorn-asgi", "--worker-class=asgi")),
    Case("granian", _setup("granian")),
    Case("granian, `--workers 2`", _setup("granian", "--workers=2")),
    Case("hypercorn, `--workers 0`", _setup("hypercorn-asyncio", ONE_PROCESS)),
    Case(
        "hypercorn, `shutdown_trigger=shutdown.wait`, Trio",
        Setup("hypercorn-program", ("hypercorn", "trio"), ("served.shutdown_on_trio", "{port}")),
    ),
    Case(
        "hypercorn",
        _setup("hypercorn-asyncio", GRACEFUL),
        streams=CUT_OFF_LATE,
        log="tracebacks of asyncio",
    ),
    Case("hypercorn, Trio", _setup("hypercorn-trio", GRACEFUL), streams=CUT_OFF_LATE),
    Case("daphne", _setup("daphne"), streams=CUT_OFF, transfers=CUT_OFF, lifespan="none"),
)
# https://github.com/pgjones/hypercorn/issues/308
WAITS_FOREVER = {"hypercorn-asyncio" + "-" + GRACEFUL} if sys.version_info >= (3, 12) else set()

# Lines of a log that are no fault of the stop.
HARMLESS = re.compile(
    # gunicorn closes sockets that uvicorn has closed.
    r"\[INFO\] Error while closing socket"
    # The main process of uvicorn leaves its socket to the end of the process.
    r"|ResourceWarning: (?:unclosed <socket\.socket fd=\d+, family=2, type=1, proto=0, laddr"
    r"|Enable tracemalloc)"
)


def _read_events(connection: Connection) -> tuple[bytes | None, float]:
    """Return the rest of an event stream, ``None`` if it is cut off, and the time of its end."""
    try:
        rest = b"".join(iter(connection.read_chunk, b""))
    except (OSError, ValueError):  # the line of the next chunk is missing
        return None, time.monotonic()
    return rest, time.monotonic()


def _finish(upload: Connection, download: Connection) -> str:
    """Finish both transfers; return how they end."""
    try:
        upload.send(UPLOAD[SENT_BEFORE:])
        assert upload.read_response().body == b"['UploadFile']"
        received = 0
        while received < DOWNLOAD_SIZE:
            received += len(download.read_some())
    except ConnectionError:
        return CUT_OFF
    return FINISHED


def _stop(server: Server, case: Case) -> None:
    if case.stop == LIMIT:
        for _ in range(MAX_REQUESTS):
            with server.connect() as connection:
                connection.request("GET", "/ready")
    else:
        os.kill(server.pid, getattr(signal, case.stop))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stop_has_the_effects_that_the_guide_shows(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.setup.name in WAITS_FOREVER:
        pytest.skip("hypercorn waits for its streams without a limit")
    monkeypatch.setenv("WORKERS", "1")
    attempts = count()

    def measure() -> float:
        folder = tmp_path / str(next(attempts))
        folder.mkdir()
        to_end, to_exit = _check_stop(case, folder)
        return to_exit if to_end <= END_BOUND else inf

    if case.streams == CUT_OFF_LATE:
        assert measure() == inf
    elif case.stop in {HUP, LIMIT}:
        measure()  # the main process goes on
    else:
        assert measure_best(measure, EXIT_BOUND) <= EXIT_BOUND


def _check_stop(case: Case, folder: Path) -> tuple[float, float]:
    """Check all effects but the times.

    Returns:
        The seconds from the stop to the end of the streams, and from the end of the last transfer
        to the end of the process.
    """
    with (folder / "download").open("wb") as download_file:
        download_file.truncate(DOWNLOAD_SIZE)
    workers = 2 if "--workers=2" in case.setup.arguments else 1
    with Server(case.setup, APP, folder) as server, ThreadPoolExecutor(STREAMS) as pool:
        if case.lifespan == ENDED:
            # A worker of granian loses a SIGTERM that arrives before the start of its lifespan.
            until(lambda: len(_started(server)) == workers, "start of all workers")
        streams = [server.connect() for _ in range(STREAMS)]
        for stream in streams:
            stream.send_head("GET", "/events")
            assert stream.read_head().status == 200
            while b"data" not in stream.read_chunk():
                pass
        upload, download = server.connect(), server.connect()
        length = f"Content-Length: {len(UPLOAD)}"
        upload.send_head("POST", "/upload", f"Content-Type: {CONTENT_TYPE}", length)
        upload.send(UPLOAD[:SENT_BEFORE])
        if case.setup.streams_body:
            server.wait_for_mark("marks", "uploading")
        download.send_head("GET", "/download")
        assert download.read_head().status == 200

        stopped = time.monotonic()
        _stop(server, case)
        ends = [pool.submit(_read_events, each) for each in streams]
        wait(ends, END_BOUND)
        transfers = _finish(upload, download)
        finished = time.monotonic()
        last_events, times = zip(*(end.result() for end in ends), strict=True)
        for connection in (*streams, upload, download):
            connection.close()
        if case.stop in {HUP, LIMIT}:
            server.wait_for_mark("marks", f"down {_started(server)[0]}")
            until(lambda: len(_started(server)) > 1, "new worker")
            assert server.stop()
        else:
            until(lambda: server.has_ended, "end of the process")
        exited = time.monotonic()

    if case.streams == ENDED:
        for last in last_events:
            assert last is not None
            assert re.fullmatch(rb"event: end\nretry: 1\d{3}\ndata: bye\n\n", last)
    else:
        assert set(last_events) == {None}
    assert transfers == case.transfers
    marks = server.marks("marks")
    assert marks.count("closed") == (0 if case.streams == CUT_OFF else STREAMS)
    started = _started(server)
    assert sorted(mark for mark in marks if "down" in mark) == sorted(
        f"down {pid}" for pid in started
    )
    assert bool(started) == (case.lifespan == ENDED)
    assert [*(folder / "tmp").iterdir()] == []
    faults = [line for line in server.problems if not HARMLESS.search(line)]
    assert bool(faults) == (case.log != CLEAN), faults
    return max(times) - stopped, exited - finished


def _started(server: Server) -> list[str]:
    """Return the identifiers of the processes whose lifespan has started."""
    return [mark.removeprefix("up ") for mark in server.marks("marks") if mark.startswith("up ")]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_call_of_set_ends_streams_and_fails_readiness_check(setup: Setup, tmp_path: Path) -> None:
    with Server(setup, APP, tmp_path) as server, server.connect() as stream:
        stream.send_head("GET", "/events")
        assert stream.read_head().status == 200
        while b"data" not in stream.read_chunk():
            pass
        with server.connect() as connection:
            assert connection.request("GET", "/ready").status == 200
        with server.connect() as connection:
            connection.request("POST", "/stop", body=b"")
        last, _ = _read_events(stream)
        with server.connect() as connection:
            assert connection.request("GET", "/ready").status == 503
        assert last is not None
        assert last.startswith(b"event: end\nretry: 1")
        assert server.stop()
    assert server.problems == []


# --- many clients --------------------------------------------------------------------------------

CLIENTS = 2000


async def _visit(server: Server, limit: asyncio.Semaphore, is_open: asyncio.Event) -> bytes:
    """Request the events, and read them to the end of the connection."""
    async with limit:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = await reader.readuntil(b"data")
    is_open.set()
    received += await reader.read()
    writer.close()
    return received


async def _stop_while_crowded(server: Server) -> tuple[float, list[bytes]]:
    """Return the seconds from the stop to the end of the last stream, and all streams.

    The time that the server waits for a core is not counted: other processes cause it.
    """
    limit = asyncio.Semaphore(100)  # of simultaneous handshakes
    are_open = [asyncio.Event() for _ in range(CLIENTS)]
    visits = [asyncio.create_task(_visit(server, limit, is_open)) for is_open in are_open]
    async with asyncio.timeout(60):
        for is_open in are_open:
            await is_open.wait()
        started = time.monotonic() - server.core_wait
        os.kill(server.pid, signal.SIGTERM)
        streams = await asyncio.gather(*visits)
    # A process that has ended keeps its statistics until the harness waits for it.
    return time.monotonic() - server.core_wait - started, streams


def test_idle_event_clients_end_within_a_second(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may open only {hard} files")
    attempts = count()

    def measure() -> float:
        folder = tmp_path / str(next(attempts))
        folder.mkdir()
        with Server(_setup("uvicorn-httptools-uvloop"), APP, folder) as server:
            seconds, streams = asyncio.run(_stop_while_crowded(server))
            until(lambda: server.has_ended, "end of the process")
        assert all(stream.endswith(b"data: bye\n\n\r\n0\r\n\r\n") for stream in streams)
        retries = {re.findall(rb"retry: (\d+)\n", stream)[-1] for stream in streams}
        assert len(retries) > 500  # of 1001 numbers
        assert server.marks("marks").count("closed") == CLIENTS
        assert server.problems == []
        return seconds

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        assert measure_best(measure, 1.0) <= 1.0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the table of the guide ----------------------------------------------------------------------


def table() -> str:
    """Write the table of the guide."""
    head = ["server", "stop", "event streams", "upload, download", "lifespan", "log"]
    rows = [
        [case.label, case.stop, case.streams, case.transfers, case.lifespan, case.log]
        for case in CASES
    ]
    return write_table(head, rows)


def main(arguments: list[str]) -> int:
    """Compare the guide with the cases; with ``--write``, write it."""
    is_writing = arguments == ["--write"]
    stale = update_pages("shutdown", {PAGE: table()}, write=is_writing)
    return int(bool(stale) and not is_writing)


def test_guide_has_the_table_of_the_cases() -> None:
    assert main([]) == 0, "run: python -m tests.servers.test_shutdown --write"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
