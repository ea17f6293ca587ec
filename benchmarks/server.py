"""A server's process: started on a core of its own, asked once, watched, ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.answers import Answer
from benchmarks.scenarios import Scenario

PATIENCE = 30.0  # seconds that a server may take to come up, or to answer
TICK = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def pin(process: int, core: int | None) -> None:
    """Bind a process to a core, where the system can."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {core})


def _stat(process: int) -> list[str]:
    # The name of a program, in parentheses, may have spaces in it.
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()


def family(process: int) -> list[int]:
    """Give a process and all that it has started, by /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
        except (OSError, IndexError):
            continue
    found = [process]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_seconds(processes: list[int]) -> float:
    """Give the CPU time that processes have taken so far, their system calls' too."""
    ticks = 0
    for process in processes:
        user, system = _stat(process)[11:13]
        ticks += int(user) + int(system)
    return ticks * TICK


class Server:
    """One contender behind one server, both in processes that it ends."""

    def __init__(self, server: str, contender: str, core: int | None) -> None:
        self.name = f"{contender} on {server}"
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve", server, contender, str(self.port)],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            # What it starts is ended with it, by the number of their group.
            start_new_session=True,
        )
        pin(self.process.pid, core)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        self.family = family(self.process.pid)

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{self.name} does not come up") from None
                time.sleep(0.05)
            else:
                return

    def url(self, scenario: Scenario) -> str:
        """Give the URL that a scenario's app is at."""
        query = f"?{scenario.query.decode()}" if scenario.query else ""
        return f"http://127.0.0.1:{self.port}/{scenario.key}{query}"

    def check(self, scenario: Scenario) -> None:
        """Ask once.

        Raises:
            WrongAnswer: the answer is not the right one.
            OSError: there is none.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        target = self.url(scenario).partition(str(self.port))[2]
        headers = {"content-type": scenario.content_type} if scenario.content_type else {}
        body = b"".join(scenario.content()) or None
        try:
            connection.request(scenario.method, target, body, headers)
            response = connection.getresponse()
            fields = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in response.getheaders()
            ]
            scenario.check(Answer(response.status, fields, response.read()))
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """Give the CPU time that it has taken so far."""
        return cpu_seconds(self.family)

    def close(self) -> None:
        """End it, and what it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
