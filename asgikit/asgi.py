"""ASGI's types, and what this server can do, read from a scope.

The aliases are those of the specification (https://asgi.readthedocs.io/en/latest/specs/www.html) as
most type checkers and frameworks spell them: a scope is a mutable mapping, a message likewise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

__all__ = ["ASGIApp", "Message", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]


def extensions(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the extensions the server offers: those of ``scope``, empty where it names none."""
    offered = scope.get("extensions")
    return offered if isinstance(offered, Mapping) else {}
