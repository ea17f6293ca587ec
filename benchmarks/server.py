"""One contender behind a server: `python -m benchmarks.server SERVER CONTENDER PORT` serves it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.checks import Response
from benchmarks.contenders import load
from benchmarks.in_process import ENVIRONMENT, ROOT, pin
from benchmarks.results import TICK
from benchmarks.scenarios import Scenario

TIME_LIMIT = 30.0  # seconds to start, and to send a response
CONTENDER = "BENCHMARKS_CONTENDER"


class Site:
    """The apps of a contender, each at its path."""

    def __init__(self, contender: str) -> None:
        self.contender = contender
        self.apps: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.apps[scope["path"].partition(".")[0]](scope, receive, send)
            return
        await receive()
        self.apps = {f"/{name}": app for name, app in (await load(self.contender)).items()}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


site = Site(os.environ.get(CONTENDER, "raw"))


def serve_uvicorn(port: int) -> None:
    options = {"loop": "uvloop", "http": "httptools", "ws": "none", "lifespan": "on"}
    uvicorn = importlib.import_module("uvicorn")
    uvicorn.run(site, port=port, access_log=False, log_level="error", **options)


def serve_granian(port: int, http: str = "1") -> None:
    options = {"interface": "asgi", "loop": "uvloop", "http": http, "websockets": False}
    granian = importlib.import_module("granian")
    target = "benchmarks.server:site"
    granian.Granian(target, port=port, workers=1, log_level="error", **options).serve()


def serve_hypercorn(port: int) -> None:
    """Serve HTTP/1.1 and, with prior knowledge, HTTP/2."""
    config = importlib.import_module("hypercorn.config").Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "ERROR"
    serve = importlib.import_module("hypercorn.asyncio").serve
    loop_factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        # Its tasks of connections are reported as cancelled at the end.
        runner.get_loop().set_exception_handler(lambda *_: None)
        runner.run(serve(site, config))


#: The servers, of which those with HTTP/2 accept HTTP/1.1 as well.
SERVERS: dict[str, Callable[[int], None]] = {
    "uvicorn": serve_uvicorn,
    "granian": serve_granian,
    "granian-h2": partial(serve_granian, http="auto"),
    "hypercorn-h2": serve_hypercorn,
}
HTTP2 = "-h2"  # the suffix of a server that is loaded over HTTP/2


def is_installed(server: str) -> bool:
    return find_spec(server.removesuffix(HTTP2)) is not None


def _stat(process: int) -> list[str]:
    # The name of the program is in parentheses and may contain spaces.
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()


def descendants(process: int) -> list[int]:
    """Return a process and its child processes, recursively."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
    found = [process]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def free_port(ports: range = range(12_000, 20_000)) -> int:
    """Return a free port of localhost among ``ports``, below those that clients get.

    On one of those, a connection before the server listens may be to itself.
    """
    while True:
        port = random.SystemRandom().choice(ports)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A process with a server and a contender, pinned to the first core."""

    def __init__(self, server: str, contender: str) -> None:
        self.name = f"{contender} on {server}"
        self.protocol = "http2" if server.endswith(HTTP2) else "http1"
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", server, contender, str(self.port)],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT, CONTENDER: contender},
            start_new_session=True,  # a process group, which close() ends with its workers
        )
        pin(self.process.pid, 0)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        self.processes = descendants(self.process.pid)

    def _wait(self) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} does not start") from None
                time.sleep(0.05)
            else:
                return

    def target(self, scenario: Scenario) -> str:
        """Return the request target of a scenario."""
        return scenario.path + (f"?{scenario.query.decode()}" if scenario.query else "")

    def check(self, scenario: Scenario) -> None:
        """Send one request.

        Raises:
            WrongResponse: the response is wrong.
            OSError: the connection failed.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIME_LIMIT)
        headers = {"content-type": scenario.content_type} if scenario.content_type else {}
        body = b"".join(scenario.content()) or None
        with contextlib.closing(connection):
            connection.request(scenario.method, self.target(scenario), body, headers)
            response = connection.getresponse()
            pairs = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in response.getheaders()
            ]
            scenario.check(Response(response.status, pairs, response.read()))

    def cpu_seconds(self) -> float:
        """Return the CPU time so far, of user and system."""
        return TICK * sum(int(ticks) for one in self.processes for ticks in _stat(one)[11:13])

    def close(self) -> None:
        """End the process group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(timeout=10)
        self.process.wait()


def main() -> None:
    """Serve until a signal arrives."""
    server, contender, port = sys.argv[1:]
    # Fail here if an import fails: a server may hide the traceback of its worker.
    asyncio.run(load(contender))
    SERVERS[server](int(port))


if __name__ == "__main__":
    main()
