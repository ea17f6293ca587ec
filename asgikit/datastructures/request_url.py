"""The URL of a request (:rfc:`9110`, section 7.1), from its ASGI scope.

Servers and frameworks disagree on ``path``, ``raw_path`` and ``root_path``. The client requests
``/api/sub/x``; the proxy or the server is configured with the root path ``/api``; an app is mounted
at ``/sub``:

==========================================  ===========  =============  =============  ========
host                                        path         root_path      raw_path       app_root
==========================================  ===========  =============  =============  ========
uvicorn                                     /api/sub/x   /api           /api/sub/x
hypercorn, daphne, granian                  /sub/x       /api           /sub/x
Starlette's Mount on uvicorn                /api/sub/x   /api/sub       /api/sub/x     /api
Starlette's Mount on hypercorn              /sub/x       /api/sub       /sub/x         /api
hypercorn's DispatcherMiddleware            /x           /api/sub       /sub/x
Litestar's mount on uvicorn                 /x/          /api           /api/sub/x
==========================================  ===========  =============  =============  ========

``app_root`` is ``app_root_path``, the root path outside of Starlette's mounts. Root paths are
compared by whole segments: ``/apidocs`` is not below ``/api``.

If a server removes the root path, and a client requests a path that repeats it (``/api/api/x``),
``path`` is ``/api/x``, as it is on uvicorn for ``/api/x``. The two cannot be told apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from asgikit.datastructures.address import parse_address
from asgikit.datastructures.url import (
    DEFAULT_PORTS,
    URL,
    fill_url,
    format_host,
    is_scheme,
    parse_host,
    quote_path,
    quote_query,
    quote_raw_path,
    quote_relative_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["base_url", "request_host", "request_url", "route_path"]

# absolute-form = absolute-URI                                     (RFC 9112, section 3.2.2)
_match_origin = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*+://[^/]*+").match


def request_url(scope: Mapping[str, Any]) -> URL:
    """Return the URL that the client requested. It never raises.

    The authority is the Host header, or ``scope["server"]`` if the header is absent, repeated or
    malformed. If the server has no address either (a unix socket), the URL is relative and has no
    scheme, since browsers would read the path after an empty host as a host.

    >>> str(request_url({"path": "/a b", "headers": [(b"host", b"example.com")]}))
    'http://example.com/a%20b'
    >>> str(request_url({"path": "/x", "root_path": "/api"}))
    '/api/x'
    """
    query = scope.get("query_string")
    return _build(
        scope, _requested_path(scope), quote_query(query) if isinstance(query, bytes) else ""
    )


def base_url(scope: Mapping[str, Any]) -> URL:
    """Return the URL of the app's root: scheme, authority and ``root_path``, then a slash.

    >>> str(base_url({"root_path": "/v1", "headers": [(b"host", b"example.com")]}))
    'http://example.com/v1/'
    """
    path = quote_path(_text(scope, "root_path"))
    return _build(scope, path if path.endswith("/") else path + "/", "")


def route_path(scope: Mapping[str, Any]) -> str:
    """Return the decoded path below the root path and the mount. It starts with a slash.

    >>> route_path({"path": "/api/teas", "root_path": "/api"})
    '/teas'
    >>> route_path({"path": "/teas", "root_path": "/api"})
    '/teas'
    """
    path, raw_path = _paths(scope)
    root = _root_path(scope)
    requested = path if raw_path is None else unquote(raw_path)
    removed = _removed_prefix(requested, path)
    if removed and root.endswith(removed):
        # The mount has removed its own path.
        root = ""
    elif removed or not _is_below(path, root):
        # The server has removed its root path. The mount may have left its own.
        root = _mount_path(scope, root)
    if _is_below(path, root):
        path = path[len(root) :]
    if removed and not requested.endswith("/"):
        # Litestar adds a slash.
        path = path.removesuffix("/")
    return path if path.startswith("/") else "/" + path


def request_host(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the Host header in lower case; ``None`` if it is absent, repeated or malformed.

    >>> request_host([(b"host", b"Example.com:80")])
    'example.com:80'
    """
    address = _host_header(headers)
    return None if address is None else format_host(*address)


def _requested_path(scope: Mapping[str, Any]) -> str:
    """Return the path that the client requested, percent-encoded."""
    path, raw_path = _paths(scope)
    if path == "*":
        # OPTIONS * has no path (RFC 9112, section 3.3).
        return ""
    if raw_path is None:
        return quote_path(_outer_root(scope, path, path)) + quote_path(path)
    # A raw path keeps escapes that the decoded one has lost (/a%2Fb), and the prefix that a host
    # has removed from the decoded one.
    return quote_path(_outer_root(scope, unquote(raw_path), path)) + raw_path


def _outer_root(scope: Mapping[str, Any], requested: str, path: str) -> str:
    """Return the prefix that ``requested`` lacks because the server removed it."""
    root = _root_path(scope)
    if path == root + requested:
        return root
    if _is_below(requested, root):
        return ""
    app_root = scope.get("app_root_path")
    if isinstance(app_root, str):
        return app_root.rstrip("/")
    removed = _removed_prefix(requested, path)
    return root.removesuffix(removed)


def _removed_prefix(requested: str, path: str) -> str:
    """Return the prefix of the requested path that a mount has removed from ``path``."""
    requested, path = requested.removesuffix("/"), path.removesuffix("/")
    return requested[: len(requested) - len(path)] if requested.endswith(path) else ""


def _mount_path(scope: Mapping[str, Any], root: str) -> str:
    """Return the part of the root path below ``app_root_path``."""
    app_root = scope.get("app_root_path")
    if not isinstance(app_root, str):
        return ""
    app_root = app_root.rstrip("/")
    return root[len(app_root) :] if _is_below(root, app_root) else ""


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")


def _root_path(scope: Mapping[str, Any]) -> str:
    root = _text(scope, "root_path").rstrip("/")
    return root if not root or root.startswith("/") else "/" + root


def _paths(scope: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return ``path``, and ``raw_path`` with valid escapes or ``None`` if it adds nothing."""
    path = _text(scope, "path")
    raw_path = scope.get("raw_path")
    if not isinstance(raw_path, bytes):
        return path, None
    origin = _match_origin(raw_path)
    if origin is not None:
        path = path.removeprefix(origin[0].decode("latin-1")) or "/"
        raw_path = raw_path[origin.end() :] or b"/"
    if raw_path.decode("utf-8", "replace") == path:
        # The server does not escape it, or there is nothing to escape.
        return path, None
    # Some hosts keep the query.
    raw_path = raw_path.partition(b"?")[0]
    return path, quote_raw_path(raw_path) if raw_path.startswith(b"/") else None


def _text(scope: Mapping[str, Any], name: str) -> str:
    value = scope.get(name)
    return value if isinstance(value, str) else ""


def _host_header(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int | None] | None:
    values = [value for name, value in headers if name.lower() == b"host"]
    # A server must refuse a repeated Host (RFC 9112, section 3.2), but not all do.
    return parse_host(values[0]) if len(values) == 1 else None


def _build(scope: Mapping[str, Any], path: str, query: str) -> URL:
    scheme = scope.get("scheme")
    if not isinstance(scheme, str) or is_scheme(scheme) is None:
        scheme = "ws" if scope.get("type") == "websocket" else "http"
    scheme = scheme.lower()
    address = _host_header(scope.get("headers") or ()) or _server_address(scope, scheme)
    url = URL.__new__(URL)
    if address is None:
        fill_url(url, "", "", (None, None), quote_relative_path(path, ""), query)
    else:
        fill_url(url, scheme, format_host(*address), address, path, query)
    return url


def _server_address(scope: Mapping[str, Any], scheme: str) -> tuple[str, int | None] | None:
    address = parse_address(scope.get("server"))
    if address is None:
        return None
    host, port = address
    # The path of a unix socket is malformed as a host.
    text = f"[{host}]" if ":" in host else host
    parsed = parse_host(text.encode("latin-1", "replace"))
    default_port = DEFAULT_PORTS.get(scheme)
    return None if parsed is None else (parsed[0], None if port == default_port else port)
