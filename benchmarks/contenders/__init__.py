"""The same small apps for each contender, one module each.

A module has a function for each name in `benchmarks.scenarios.APPS`, except for those in `MISSING`.
It may have a function `adapt(name, function)`, which returns the ASGI app of a function, and an
async function `start(app)`, which is called before an app serves.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.payloads import create_files
from benchmarks.scenarios import APPS, IDLE

# The name of each module, and the package that it needs.
CONTENDERS = {
    "raw": "orjson",
    "asgikit": "asgikit",
    "starlette": "starlette",
    "baize": "baize",
    "falcon": "falcon",
    "blacksheep": "blacksheep",
    "litestar": "litestar",
    "quart": "quart",
    "sse_starlette": "sse_starlette",
    "asgi_tools": "asgi_tools",
    "lilya": "lilya",
}
#: An environment of its own, because asgi-tools needs multidict below 7.
#: `python -m benchmarks peers` creates it.
PEERS = Path(__file__).parents[2] / f".venv-peers-{sys.version_info[0]}.{sys.version_info[1]}"
PEERS_PACKAGES = ("asgi-tools", "aiofile", "lilya", "orjson", "python-multipart", "uvloop")
IN_PEERS = ("asgi_tools", "lilya")


def expand(table: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """Return the reason for each contender and scenario; the table has names joined by spaces."""
    return {
        (contender, name): reason
        for reason, names, contenders in table
        for contender in contenders.split()
        for name in names.split()
    }


_NO_EVENTS = " ".join(name for name in APPS if name not in {"events", "events_wait"})
#: What contenders do not do: the apps or scenarios that they lack, and the contenders.
_LACKS = (
    ("buffers each part of a form", "parts", "starlette baize litestar quart asgi_tools lilya"),
    ("has no server-sent events", "events events_wait", "starlette quart"),
    ("has no compression", "gzip_10k", "baize falcon quart asgi_tools"),
    ("runs `def` handlers on the event loop", "def_handler", "blacksheep asgi_tools"),
    ("has no `def` handlers", "def_handler", "baize falcon"),
    ("is measured without its router, for `def` handlers", "def_handler", "lilya"),
    ("streams async iterators only", "sync_stream", "baize falcon blacksheep asgi_tools"),
    ("does not store uploads", "upload", "falcon"),
    ("keeps uploads in memory", "upload", "asgi_tools"),
    ("ignores If-None-Match and Range", "static_304 static_range", "litestar asgi_tools"),
    ("has server-sent events only", _NO_EVENTS, "sse_starlette"),
)
#: The reasons why a contender has no app, or an app that does not support a scenario.
MISSING = expand(_LACKS)


def find_interpreter(contender: str) -> str | None:
    """Return the Python that has a contender installed, or ``None``."""
    package = CONTENDERS[contender]
    if find_spec(package) is not None:
        return sys.executable
    if contender in IN_PEERS and any(PEERS.glob(f"lib/*/site-packages/{package}/")):
        return str(PEERS / "bin" / "python")
    return None


def installed() -> list[str]:
    """Return the installed contenders; raw is the first."""
    return [name for name in CONTENDERS if find_interpreter(name) is not None]


async def load(contender: str) -> dict[str, Any]:
    """Return the apps of a contender by name, ready to serve."""
    create_files()
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    functions = {name: getattr(module, name) for name in (*APPS, IDLE) if hasattr(module, name)}
    if not hasattr(module, "adapt"):
        return functions
    apps = {name: module.adapt(name, function) for name, function in functions.items()}
    if hasattr(module, "start"):
        for app in apps.values():
            await module.start(app)
    return apps
