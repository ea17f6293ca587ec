"""The same small apps, written once for each contender: `APPS` maps a scenario's key to an app.

A module whose apps must be started before they serve has an async function `start` as well.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

# Each name is a module here, and the package it needs.
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

_NO_PARTS = "hands over no part before it has all of it"
_NO_EVENTS = "knows no server-sent events"
_NO_COMPRESSION = "does not compress"

#: Why a contender has no app for a scenario.
MISSING = {
    ("starlette", "i2_parts"): _NO_PARTS,
    ("starlette", "n_events"): _NO_EVENTS,
    ("baize", "i2_parts"): _NO_PARTS,
    ("baize", "o_gzip"): _NO_COMPRESSION,
    ("falcon", "i_upload"): "stores no upload, but hands it over as it comes",
    ("falcon", "o_gzip"): _NO_COMPRESSION,
    ("litestar", "i2_parts"): _NO_PARTS,
    ("quart", "i2_parts"): _NO_PARTS,
    ("quart", "n_events"): _NO_EVENTS,
    ("quart", "o_gzip"): _NO_COMPRESSION,
}


def installed() -> list[str]:
    """Give the contenders that can run here; raw, which all are measured by, comes first."""
    return [name for name, package in CONTENDERS.items() if find_spec(package) is not None]


async def load(contender: str) -> dict[str, Any]:
    """Give a contender's apps, ready to serve."""
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    if hasattr(module, "start"):
        await module.start()
    apps: dict[str, Any] = module.APPS
    return apps
