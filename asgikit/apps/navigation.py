"""Whether a request is a navigation: a browser opens a page, rather than loading a part of one.

A single-page app answers the navigations to its own routes with one page. A script, an image or a
``fetch()`` of JSON that does not exist must stay a 404. The request decides by its
`Fetch Metadata <https://www.w3.org/TR/fetch-metadata/>`_, or else by its Accept header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit.http.grammar import find_header
from asgikit.http.media_types import guess_media_type

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["VARY_BY_NAVIGATION", "is_navigation"]

#: The request headers that :func:`is_navigation` reads, for Vary.
VARY_BY_NAVIGATION = "Sec-Fetch-Mode, Sec-Fetch-Dest, Accept"

# Destinations of a navigation (https://fetch.spec.whatwg.org/#concept-request-destination).
_DOCUMENTS = ("document", "embed", "fencedframe", "frame", "iframe", "object")


def is_navigation(headers: Iterable[tuple[bytes, bytes]], path: str) -> bool:
    """Return whether a request is a navigation.

    Args:
        headers: of the request, with lower-case names.
        path: of the request. Its extension decides if the headers do not: if Accept is absent or
            only ``*/*``, as curl sends it.

    >>> is_navigation([(b"sec-fetch-mode", b"navigate")], "/wiki/Vue.js")
    True
    >>> is_navigation([(b"accept", b"application/json")], "/api/users")
    False
    """
    headers = [*headers]
    mode = find_header(headers, b"sec-fetch-mode")
    if mode is not None:
        return mode == "navigate"
    destination = find_header(headers, b"sec-fetch-dest")
    if destination is not None:
        return destination in _DOCUMENTS
    named = _named_types(find_header(headers, b"accept"))
    if named - {"*/*"}:
        return "text/html" in named
    return guess_media_type(path) in (None, "text/html")


def _named_types(accept: str | None) -> set[str]:
    """Return the acceptable media ranges, without their parameters."""
    from asgikit.http.negotiation import parse_accept

    return {f"{one.type}/{one.subtype}" for one in parse_accept(accept).ranges if one.quality > 0}
