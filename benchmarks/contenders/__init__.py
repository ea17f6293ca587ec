"""The same small apps for each contender, one module each.

A module has a function for each name in `benchmarks.scenarios.APPS`, except for those in `MISSING`.
It may have a function `adapt(name, function)`, which returns the ASGI app of a function, and an
async function `start(app)`, which is called before an app serves.
"""

from __future__ import annotations

import importlib
import sys
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

_NO_DEF = "runs `def` handlers on the event loop or not at all"
_NO_SYNC = "streams async iterators only"
_NO_PARTS = "buffers each part of a form"
_NO_EVENTS = "has no server-sent events"
_NO_COMPRESSION = "has no compression"

#: The reasons why a contender has no app, or an app that does not support a scenario.
MISSING = {
    ("starlette", "parts"): _NO_PARTS,
    ("starlette", "events"): _NO_EVENTS,
    ("starlette", "events_wait"): _NO_EVENTS,
    ("baize", "parts"): _NO_PARTS,
    ("baize", "gzip_10k"): _NO_COMPRESSION,
    ("baize", "def_handler"): _NO_DEF,
    ("baize", "sync_stream"): _NO_SYNC,
    ("falcon", "upload"): "does not store uploads",
    ("falcon", "gzip_10k"): _NO_COMPRESSION,
    ("falcon", "def_handler"): _NO_DEF,
    ("falcon", "sync_stream"): _NO_SYNC,
    ("blacksheep", "def_handler"): _NO_DEF,
    ("blacksheep", "sync_stream"): _NO_SYNC,
    ("litestar", "parts"): _NO_PARTS,
    ("quart", "parts"): _NO_PARTS,
    ("quart", "events"): _NO_EVENTS,
    ("quart", "events_wait"): _NO_EVENTS,
    ("quart", "gzip_10k"): _NO_COMPRESSION,
    ("asgi_tools", "parts"): _NO_PARTS,
    ("asgi_tools", "upload"): "keeps uploads in memory",
    ("asgi_tools", "gzip_10k"): _NO_COMPRESSION,
    ("asgi_tools", "def_handler"): _NO_DEF,
    ("asgi_tools", "sync_stream"): _NO_SYNC,
    ("lilya", "parts"): _NO_PARTS,
    ("lilya", "def_handler"): "is measured without its router, which calls `def` handlers",
    **{
        (contender, name): f"ignores {header}"
        for contender in ("litestar", "asgi_tools")
        for name, header in (("static_304", "If-None-Match"), ("static_range", "Range"))
    },
    **{
        ("sse_starlette", name): "has server-sent events only"
        for name in APPS
        if name not in {"events", "events_wait"}
    },
}


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
