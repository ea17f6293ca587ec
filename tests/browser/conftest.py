"""A browser for the whole run, and the servers that it is pointed at."""

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

# Seconds for anything that a page does, wide because the machine may be busy.
BOUND = 50

# What asyncio and granian print when something is sent after the client has left.
GONE = re.compile(r"socket\.send\(\) raised exception\.|\[INFO\] ASGI transport error: ")

NAMES = ("uvicorn-httptools-uvloop", "hypercorn-asyncio", "granian")

# Nothing but the servers of these tests is asked for anything.
OPTIONS = (
    "--headless",
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-dev-shm-usage",  # which is small in containers
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
    """Give the path of ``name``; without it, skip the test, but fail in CI, which installs it."""
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
        # Between us and the driver there is none.
        environment.setenv("no_proxy", "localhost")
        return Chrome(options, service)


def descendants(pid: int) -> list[int]:
    """Give the processes that ``pid`` has started, and those that they have started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # pid (name) state ppid ...; a name may hold anything.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


@contextmanager
def ended(pid: int) -> Iterator[None]:
    """See that ``pid`` and its descendants have ended soon after the block; end them if not."""
    waiting: list[int] = []
    for process in descendants(pid):
        with suppress(ProcessLookupError):
            # Unlike its number it can be no other process's.
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
    """Chromium, driven by the driver that was built with it."""
    require("selenium")
    browser = start(tmp_path_factory.mktemp("chromium"))
    try:
        browser.set_script_timeout(BOUND)
        browser.set_page_load_timeout(BOUND)
        yield browser
    finally:
        with ended(browser.service.process.pid):
            browser.quit()


@pytest.fixture(
    scope="session",
    params=[setup for setup in SETUPS if setup.name in NAMES],
    ids=[setup.name for setup in SETUPS if setup.name in NAMES],
)
def server(
    request: pytest.FixtureRequest, browser: Chrome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose page the browser may open; its log must be clean in the end."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with Server(request.param, "served.browsed:app", folder) as server:
        yield server
        # So that no connection holds up its end.
        browser.get("about:blank")
        obeyed = server.stop()
    assert obeyed, server.setup.name
    assert [line for line in server.problems if not GONE.search(line)] == [], server.setup.name
