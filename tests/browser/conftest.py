"""One browser for the whole run, and the servers of its pages."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.conftest import _end_servers_when_terminated  # noqa: F401 - a fixture
from tests.servers.harness import SETUPS, STOP_BOUND, Server, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

# Time limit in seconds for a script or the load of a page; long because the machine may be busy.
BOUND = 50

# The lines that asyncio and granian log for a message sent after a disconnect.
SENT_AFTER_DISCONNECT = re.compile(
    r"socket\.send\(\) raised exception\.|\[INFO\] ASGI transport error: "
)

SETUP_NAMES = ("uvicorn-httptools-uvloop", "hypercorn-asyncio", "granian")

# The browser connects to localhost only.
OPTIONS = (
    "--headless",
    "--no-sandbox",  # required to start as root
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_program(name: str) -> str:
    """Return the path of a program. If it is missing, skip the test; fail it in CI."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed")
    return found


def start(folder: Path) -> Chrome:
    """Start Chromium with its files in ``folder``."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = find_program("chromium")
    for option in OPTIONS:
        options.add_argument(option)
    service = ChromeService(
        find_program("chromedriver"),
        env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder)},
    )
    with pytest.MonkeyPatch.context() as environment:
        # No proxy between selenium and the driver.
        environment.setenv("no_proxy", "localhost")
        return Chrome(options, service)


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and the identifiers of its child processes, recursively."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The line is "pid (name) state ppid ..."; the name may contain any character.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


@contextmanager
def ensure_ended(pid: int) -> Iterator[None]:
    """Wait after the block until ``pid`` and its descendants have ended; kill them if necessary."""
    waiting: list[int] = []
    for process in descendants(pid):
        with suppress(ProcessLookupError):
            # A pidfd cannot refer to another process later, unlike a number.
            waiting.append(os.pidfd_open(process))
    try:
        yield
    finally:
        for process in waiting:
            if not select.select([process], [], [], STOP_BOUND)[0]:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            os.close(process)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Start Chromium with the driver of the same version."""
    require("selenium")
    browser = start(tmp_path_factory.mktemp("chromium"))
    try:
        browser.set_script_timeout(BOUND)
        browser.set_page_load_timeout(BOUND)
        yield browser
    finally:
        with ensure_ended(browser.service.process.pid):
            browser.quit()


@pytest.fixture(
    scope="session",
    params=[setup for setup in SETUPS if setup.name in SETUP_NAMES],
    ids=[setup.name for setup in SETUPS if setup.name in SETUP_NAMES],
)
def server(
    request: pytest.FixtureRequest, browser: Chrome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve ``served.browser``; the log must be without problems at the end."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with Server(request.param, "served.browser:app", folder) as server:
        yield server
        # Close the connections of the page, for which the server would wait.
        browser.get("about:blank")
        was_graceful = server.stop()
    assert was_graceful, server.setup.name
    assert [line for line in server.problems if not SENT_AFTER_DISCONNECT.search(line)] == [], (
        server.setup.name
    )
