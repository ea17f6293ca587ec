"""The same small apps for each contender, one module each.

A module has a function for each name in `benchmarks.scenarios.APPS`, except for those in `MISSING`.
It may have a function `adapt(name, function)`, which returns the ASGI app of a function, and an
async function `start(app)`, which is called before an app serves.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from benchmarks.scenarios import APPS

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
}

_NO_PARTS = "buffers each part of a form"
_NO_EVENTS = "has no server-sent events"
_NO_COMPRESSION = "has no compression"

#: The reasons why a contender has no app.
MISSING = {
    ("starlette", "parts"): _NO_PARTS,
    ("starlette", "events"): _NO_EVENTS,
    ("baize", "parts"): _NO_PARTS,
    ("baize", "gzip_10k"): _NO_COMPRESSION,
    ("falcon", "upload"): "does not store uploads",
    ("falcon", "gzip_10k"): _NO_COMPRESSION,
    ("litestar", "parts"): _NO_PARTS,
    ("quart", "parts"): _NO_PARTS,
    ("quart", "events"): _NO_EVENTS,
    ("quart", "gzip_10k"): _NO_COMPRESSION,
}


def installed() -> list[str]:
    """Return the installed contenders; raw is the first."""
    return [name for name, package in CONTENDERS.items() if find_spec(package) is not None]


async def load(contender: str) -> dict[str, Any]:
    """Return the apps of a contender by name, ready to serve."""
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    functions = {name: getattr(module, name) for name in APPS if hasattr(module, name)}
    if not hasattr(module, "adapt"):
        return functions
    apps = {name: module.adapt(name, function) for name, function in functions.items()}
    if hasattr(module, "start"):
        for app in apps.values():
            await module.start(app)
    return apps
