"""Run an app on a real server in a process of its own.

A :class:`Setup` is one server with its options; there are six. A :class:`Server` starts one with an
app of ``tests/servers/served`` in a temporary folder. Tests send requests with
:meth:`Server.connect`, search the log of the server, and read *marks*: lines that the app writes to
a file of the folder, so that a test can wait for an event inside of the app.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from benchmarks import server
from tests.servers.client import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HERE = Path(__file__).parent

# Time limits in seconds; long because the machine may be busy.
START_BOUND = 30.0
STOP_BOUND = 30.0
WAIT_BOUND = 30.0

# A line of a log that reports a warning or an error.
PROBLEM = re.compile(
    r"traceback|\bwarn(?:ing)?\b|\w+warning\b|\berror\b|\bcritical\b|exception|panicked",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Setup:
    """One server with its options.

    Attributes:
        name: the name in test identifiers.
        needs: the modules that must be installed.
        arguments: arguments of ``python -m``; ``{app}`` and ``{port}`` are filled in.
        runs_asgi2: it detects and serves ASGI 2 apps.
        has_lifespan: it runs the lifespan protocol.
        streams_body: it calls the app before the whole body has arrived.
        denial_status: the status if an app denies a websocket; 404 is sent by the app itself.
        drains_body: it reads the rest of an unread body and keeps the connection open.
    """

    name: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...]
    runs_asgi2: bool = False
    has_lifespan: bool = True
    streams_body: bool = True
    denial_status: int = 404
    drains_body: bool = True


_UVICORN = ("uvicorn", "{app}", "--host=127.0.0.1", "--port={port}")
_HYPERCORN = ("hypercorn", "{app}", "--bind=127.0.0.1:{port}")

SETUPS = (
    Setup(
        "uvicorn-h11-asyncio",
        ("uvicorn", "h11"),
        (*_UVICORN, "--http=h11", "--loop=asyncio"),
        runs_asgi2=True,
    ),
    Setup(
        "uvicorn-httptools-uvloop",
        ("uvicorn", "httptools", "uvloop"),
        (*_UVICORN, "--http=httptools", "--loop=uvloop"),
        runs_asgi2=True,
    ),
    Setup(
        "hypercorn-asyncio",
        ("hypercorn",),
        (*_HYPERCORN, "--worker-class=asyncio"),
        drains_body=False,
    ),
    Setup(
        "hypercorn-trio",
        ("hypercorn", "trio"),
        (*_HYPERCORN, "--worker-class=trio"),
        drains_body=False,
    ),
    Setup(
        "daphne",
        ("daphne",),
        ("daphne", "--bind=127.0.0.1", "--port={port}", "{app}"),
        runs_asgi2=True,
        has_lifespan=False,
        streams_body=False,
        denial_status=403,
    ),
    Setup(
        "granian",
        ("granian",),
        ("granian", "{app}", "--interface=asgi", "--host=127.0.0.1", "--port={port}"),
        drains_body=False,
    ),
)


def require(*modules: str) -> None:
    """Skip the test if one of ``modules`` is not installed; fail it in CI, which installs all."""
    missing = [name for name in modules if find_spec(name) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def until(condition: Callable[[], object], name: str, bound: float = WAIT_BOUND) -> None:
    """Wait until ``condition()`` is true.

    Raises:
        TimeoutError: after ``bound`` seconds; the message has the ``name`` of the condition.
    """
    deadline = time.monotonic() + bound
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {name} within {bound:g} s")
        time.sleep(0.002)


def free_port() -> int:
    """Return a free port of localhost, which no benchmark uses.

    Two processes of pytest-xdist never return the same port: a port is in use only when its server
    has started.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return server.free_port(range(20_000 + worker % 16, 32_000, 16))


def measure_best(measure: Callable[[], float], bound: float) -> float:
    """Return the first of ten measurements that is at most ``bound``, or else the smallest.

    Another process on the machine may delay some of the measurements.
    """
    values: list[float] = []
    while not values or (min(values) > bound and len(values) < 10):
        values.append(measure())
    return min(values)


class Server:
    """A process that serves one app, in a process group of its own.

    A context manager: the server accepts connections inside of it and is stopped at its end.
    ``folder`` is the working directory of the process. The files of marks are in it, temporary
    files in ``folder / "tmp"``, and the output is in ``folder / "log"``.
    """

    def __init__(self, setup: Setup, app: str, folder: Path) -> None:
        require(*setup.needs)
        self.setup = setup
        self.folder = folder
        self._was_graceful: bool | None = None
        self.port = free_port()
        (folder / "tmp").mkdir()
        arguments = [part.format(app=app, port=self.port) for part in setup.arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "PYTHONUNBUFFERED": "1",
            # A file or a socket that is not closed is reported in the log.
            "PYTHONWARNINGS": "default::ResourceWarning",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(folder / "tmp"),
        }
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        try:
            until(self._listens, f"{self.setup.name} listening", START_BOUND)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.setup.name} ended during start-up:\n{self.log}")
        try:
            socket.create_connection(("127.0.0.1", self.port), WAIT_BOUND).close()
        except ConnectionError:
            return False
        return True

    def stop(self) -> bool:
        """Stop the server and its workers; return whether it ended by itself after SIGTERM."""
        if self._was_graceful is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_BOUND)
            except subprocess.TimeoutExpired:
                self._was_graceful = False
            else:
                self._was_graceful = True
            # A remaining worker, or the resource tracker of multiprocessing.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        return self._was_graceful

    @property
    def pid(self) -> int:
        """The identifier of the process, which is also that of its process group."""
        return self._process.pid

    @property
    def core_wait(self) -> float:
        """Seconds that the main thread was ready, but waited for a core of a busy machine.

        0.0 if the system does not report it.
        """
        try:
            statistics = Path(f"/proc/{self.pid}/schedstat").read_text()
        except FileNotFoundError:
            return 0.0
        return int(statistics.split(" ")[1]) / 1e9

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def log(self) -> str:
        """The output of the server so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def problems(self) -> list[str]:
        """The lines of the log that report a warning or an error."""
        return [line for line in self.log.split("\n") if PROBLEM.search(line)]

    def connect(self) -> Connection:
        """Open a connection to the server."""
        return Connection(self.port)

    def marks(self, name: str) -> list[str]:
        """Return the complete lines of the file ``name`` so far."""
        try:
            return (self.folder / name).read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def wait_for_mark(self, name: str, line: str) -> list[str]:
        """Wait for the mark ``line`` in the file ``name``; return all marks of the file."""
        until(
            lambda: line in self.marks(name),
            f"{line!r} among the marks {name!r} of {self.setup.name}",
        )
        return self.marks(name)
