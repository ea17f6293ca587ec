"""Six set-ups of real servers: each a process of its own, asked over a raw socket."""

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

from tests.servers.client import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HERE = Path(__file__).parent

# Bounds in seconds, wide because the machine may be busy; nothing waits this long when all is well.
START_BOUND = 30.0
STOP_BOUND = 10.0
WAIT_BOUND = 10.0

# What a server writes when something went wrong, or might. Every line of a log is held to it.
PROBLEM = re.compile(
    r"traceback|\bwarn(?:ing)?\b|\w+warning\b|\berror\b|\bcritical\b|exception|panicked",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Setup:
    """One server with its options.

    Attributes:
        name: how tests call it.
        needs: the modules it is made of.
        arguments: of ``python -m``; ``{app}`` and ``{port}`` are filled in.
        bare: it tells an ASGI 2 app by itself and serves it as it is.
        lifespan: it runs the lifespan protocol.
        early: it starts the app before the body is there.
        denial: the status of a websocket that the app denies; 404 is the app's own.
        drains: it reads the rest of a body that the app left unread, and keeps the connection.
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
    """Skip the test where one of ``modules`` is missing; fail it in CI, which installs all."""
    missing = [name for name in modules if find_spec(name) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def until(condition: Callable[[], object], what: str, bound: float = WAIT_BOUND) -> None:
    """Wait for ``condition`` to hold, at most ``bound`` seconds.

    Raises:
        TimeoutError: it did not; the message says ``what`` was waited for.
    """
    deadline = time.monotonic() + bound
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {bound:g} s")
        time.sleep(0.002)


class Server:
    """One app behind one set-up, in a folder and a process group of its own.

    A context manager: the server takes connections inside, and has ended after it. ``folder`` is
    the working directory of the process, where apps leave their marker files; its temporary files
    go to ``folder / "tmp"``, what it prints to ``folder / "log"``.
    """

    def __init__(self, setup: Setup, app: str, folder: Path) -> None:
        require(*setup.needs)
        self.setup = setup
        self.folder = folder
        self._obeyed: bool | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (folder / "tmp").mkdir()
        arguments = [part.format(app=app, port=self.port) for part in setup.arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "PYTHONUNBUFFERED": "1",
            # A file or socket that nobody closed is a line of the log.
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
            raise RuntimeError(f"{self.setup.name} ended at its start:\n{self.log}")
        try:
            socket.create_connection(("127.0.0.1", self.port), WAIT_BOUND).close()
        except ConnectionError:
            return False
        return True

    def stop(self) -> bool:
        """Ask the server to end, and see that nothing of it is left; tell whether it obeyed."""
        if self._obeyed is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_BOUND)
            except subprocess.TimeoutExpired:
                self._obeyed = False
            else:
                self._obeyed = True
            # A worker that was left, or multiprocessing's resource tracker on its way out.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        return self._obeyed

    @property
    def pid(self) -> int:
        """The process that the server was started as."""
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the server has printed so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def problems(self) -> list[str]:
        """The lines of the log that tell of trouble."""
        return [line for line in self.log.split("\n") if PROBLEM.search(line)]

    def connect(self) -> Connection:
        """Open a connection; a context manager."""
        return Connection(self.port)

    def marks(self, name: str) -> list[str]:
        """Give the lines that the app has written whole to the file ``name`` so far."""
        try:
            return (self.folder / name).read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def wait_for_mark(self, name: str, line: str) -> list[str]:
        """Wait for ``line`` in the file ``name``, and give all its lines."""
        until(
            lambda: line in self.marks(name),
            f"{line!r} among the marks {name!r} of {self.setup.name}",
        )
        return self.marks(name)
