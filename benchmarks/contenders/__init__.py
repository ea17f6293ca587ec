"""The same small apps, written once for each contender: `APPS` maps a scenario to an ASGI app."""

from __future__ import annotations

from importlib.util import find_spec

# Each name is a module here, and the package it needs.
CONTENDERS = {"raw": "orjson", "asgikit": "asgikit", "starlette": "starlette"}


def installed() -> list[str]:
    """Give the contenders that can run here; raw, which all are measured by, comes first."""
    return [name for name, package in CONTENDERS.items() if find_spec(package) is not None]
