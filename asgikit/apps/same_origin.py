"""Refusal of cross-origin requests (cross-site request forgery), as Go's CrossOriginProtection.

A browser says in ``Sec-Fetch-Site`` (W3C Fetch Metadata) from where a request comes. Older browsers
say it in ``Origin`` (:rfc:`6454`). A page cannot set either header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from asgikit.responses.problem import ProblemResponse
from asgikit.types import ASGIApp, Scope

__all__ = ["SameOrigin"]

# Methods without effect (RFC 9110, section 9.2.1; RFC 10008).
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})

# As browsers write it (RFC 6454, section 6.2): scheme "://" host [ ":" port ], in lower case.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*+ :// (?: \[ [0-9a-f:.]++ \] | [a-z0-9._-]++ ) (?: : [0-9]{1,5} )?",
    re.VERBOSE,
)


class SameOrigin:
    """An ASGI app that refuses cross-origin requests to another app with a 403.

    GET, HEAD, OPTIONS, QUERY and scopes other than ``http`` pass. A request by any other method
    passes if one of these holds:

    - its ``Sec-Fetch-Site`` is ``same-origin`` or ``none`` (typed, or from a bookmark);
    - it has no ``Sec-Fetch-Site``, and the host and port of its ``Origin`` are those of ``Host``;
    - its ``Origin`` is one of ``trusted_origins``;
    - it has neither header, and thus comes from no browser.

    Args:
        app: An ASGI 3 app.
        trusted_origins: Other origins whose pages may send requests, such as
            ``"https://app.example.com"``. If a proxy replaces ``Host``, add the origin of the site.

    Raises:
        ValueError: A trusted origin is not written as browsers send it.

    >>> from asgikit import PlainTextResponse, to_asgi
    >>> app = SameOrigin(to_asgi(PlainTextResponse("saved")), ["https://app.example.com"])
    """

    __slots__ = ("_app", "_refusal", "_trusted_origins")

    def __init__(self, app: ASGIApp, trusted_origins: Iterable[str] = ()) -> None:
        self._app: ASGIApp = app
        origins = list(trusted_origins)
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin as browsers send it: scheme://host")
        self._trusted_origins = frozenset(origin.encode("ascii") for origin in origins)
        self._refusal = ProblemResponse(
            403, title="Forbidden", detail="The request comes from a page of another origin."
        )

    def __repr__(self) -> str:
        return f"SameOrigin({self._app!r})"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "http" and not self._allows(scope):
            await self._refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        if scope["method"] in _SAFE_METHODS:
            return True
        sites = _values(scope, b"sec-fetch-site")
        origins = _values(scope, b"origin")
        if sites in ([b"same-origin"], [b"none"]) or not (sites or origins):
            return True
        if len(origins) != 1:
            return False
        if origins[0] in self._trusted_origins:
            return True
        _, _, host = origins[0].partition(b"://")
        return not sites and [host] == [value.lower() for value in _values(scope, b"host")]


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for each, value in scope["headers"] if each == name and value]
