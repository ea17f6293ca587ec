"""The head of a request: request line, headers and connection, read from an ASGI scope."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgikit.datastructures.address import Address, parse_address
from asgikit.datastructures.headers import Headers
from asgikit.datastructures.query import QueryParams, parse_query
from asgikit.datastructures.request_url import base_url, request_host, request_url, route_path
from asgikit.datastructures.state import State
from asgikit.datastructures.url import URL, quote_path
from asgikit.exceptions import HTTPError, InvalidHeader
from asgikit.http.cookies import parse_cookies
from asgikit.http.grammar import join_lines, parse_digits, strip_ows
from asgikit.http.media_types import MediaType, parse_media_type
from asgikit.limits import Limits
from asgikit.scopes import extensions
from asgikit.types import Scope

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import TypeVar as TypeVarWithDefault

    from asgikit.http.conditional import ETag

    StateT = TypeVarWithDefault("StateT", default=State)
else:
    StateT = TypeVar("StateT")

__all__ = ["RequestHead", "StateT"]

# Attributes of requests in other libraries, for the error message.
_REPLACEMENTS = {
    "args": "request.query_params",
    "data": "await request.body()",
    "files": "await request.form()",
    "session": 'request.scope["session"], which a session middleware sets',
    "user": 'request.scope["user"], which an authentication middleware sets',
}


class RequestHead(Mapping[str, Any], Generic[StateT]):
    """The parts of a request that its ASGI scope holds; a read-only mapping of the scope.

    Each value is parsed when it is first read.
    """

    __slots__ = ("_cookies", "_headers", "_query_params", "_url", "limits", "scope")

    scope: Scope
    limits: Limits
    _cookies: dict[str, str] | None
    _headers: Headers | None
    _query_params: QueryParams | None
    _url: URL | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in _REPLACEMENTS:
                message += f": use {_REPLACEMENTS[name]}"
            raise AttributeError(message, name=name, obj=self)

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    def __eq__(self, other: object) -> bool:
        return True if self is other else NotImplemented

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path!r}>"

    @property
    def method(self) -> str:
        """The method, in upper case as servers give it; GET where the scope is no request's."""
        method: str = self.scope.get("method", "GET")
        return method

    @property
    def path(self) -> str:
        """The decoded path, as the scope has it. Some hosts include ``root_path``, others do not.

        To match routes, use :attr:`route_path`.
        """
        path: str = self.scope.get("path") or ""
        return path

    @property
    def route_path(self) -> str:
        """The decoded path below ``root_path`` and the mount, for matching routes.

        It starts with a slash.
        """
        return route_path(self.scope)

    @property
    def raw_path(self) -> bytes:
        """The path as it was sent; as it would be, from a server that does not tell."""
        raw_path: bytes | None = self.scope.get("raw_path")
        return raw_path if raw_path is not None else quote_path(self.path).encode("ascii")

    @property
    def root_path(self) -> str:
        """Where the app is mounted: no slash at its end, empty at the root."""
        root_path: str = self.scope.get("root_path") or ""
        return root_path

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as the server sees it."""
        scheme: str = self.scope.get("scheme") or "http"
        return scheme

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1``, ``2`` or ``3``."""
        http_version: str = self.scope.get("http_version") or "1.1"
        return http_version

    @property
    def url(self) -> URL:
        """The URL that the client requested, on every server and in every mount.

        A malformed Host header is replaced by the address of the server.
        """
        url = self._url
        if url is None:
            url = self._url = request_url(self.scope)
        return url

    @property
    def base_url(self) -> URL:
        """The URL of the app's own root, with a slash at its end."""
        return base_url(self.scope)

    @property
    def host(self) -> str | None:
        """The Host field in lower case; ``None`` where absent, repeated or malformed."""
        return request_host(self.headers.raw)

    @property
    def query_params(self) -> QueryParams:
        """The fields of the query string, in order, repeated ones kept; the first value wins.

        Raises:
            BadRequest: there are more than ``max_query_fields``.
        """
        query_params = self._query_params
        if query_params is None:
            query_params = self._query_params = parse_query(
                self.scope.get("query_string") or b"", self.limits.max_query_fields
            )
        return query_params

    @property
    def headers(self) -> Headers:
        """The header fields."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(self.scope.get("headers") or ())
        return headers

    def join_header(self, name: bytes, separator: bytes = b", ") -> str | None:
        """Return the value of a header, its lines joined (:rfc:`9110`, section 5.3).

        Args:
            name: The name in lower case.
            separator: Bytes that no valid value contains, for a header that is no list.

        Raises:
            HTTPError: 431, the value is over ``max_header_size``.
        """
        value = join_lines(self.headers.raw_values(name), separator)
        return None if value is None else self._check_size(name, value)

    def _check_size(self, name: bytes, value: str) -> str:
        limit = self.limits.max_header_size
        if limit is not None and len(value) > limit:
            raise HTTPError(431, f"The header {name.decode()} is over {limit} bytes.")
        return value

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies (RFC 6265bis); the first of two of one name wins, nameless ones are left out.

        Raises:
            HTTPError: 431, there are more than 500.
        """
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = parse_cookies(self.headers.raw_values(b"cookie"))
        return cookies

    @property
    def content_type(self) -> str | None:
        """The Content-Type field as it was sent."""
        return self.headers.get("content-type")

    @property
    def media_type(self) -> MediaType | None:
        """The Content-Type header, parsed; ``None`` if absent or malformed.

        Raises:
            HTTPError: 431, the header is over ``max_header_size``.
        """
        content_type = self.content_type
        if content_type is None:
            return None
        return parse_media_type(self._check_size(b"content-type", content_type))

    @property
    def content_length(self) -> int | None:
        """The body's length in bytes; ``None`` where it is not told ahead.

        Raises:
            InvalidHeader: the field is repeated, or no number (:rfc:`9110`, section 8.6).
        """
        lengths = self.headers.raw_values(b"content-length")
        # Transfer-Encoding overrides Content-Length (RFC 9112, section 6.3).
        if not lengths or "transfer-encoding" in self.headers:
            return None
        length = parse_digits(strip_ows(lengths[0].decode("latin-1")))
        if length is None or len(lengths) > 1:
            raise InvalidHeader("Content-Length is no number of bytes.")
        return length

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that an ``EventSource`` has seen before it reconnects.

        ``None`` where there is none yet, and where the field is repeated or no UTF-8, in which
        clients send it (HTML standard, section 9.2.4).
        """
        ids = self.headers.raw_values(b"last-event-id")
        if len(ids) != 1:
            return None
        try:
            return ids[0].decode("utf-8")
        except UnicodeDecodeError:
            return None

    @property
    def client(self) -> Address | None:
        """The peer of the connection: the client, or the last proxy before this server."""
        return parse_address(self.scope.get("client"))

    @property
    def server(self) -> Address | None:
        """The address this request came in by."""
        return parse_address(self.scope.get("server"))

    @property
    def path_params(self) -> Mapping[str, Any]:
        """What a router made of the path."""
        path_params: Mapping[str, Any] | None = self.scope.get("path_params")
        return {} if path_params is None else path_params

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The ASGI extensions the server offers."""
        return extensions(self.scope)

    @property
    def state(self) -> StateT:
        """What lifespan, middleware and handlers share, as items and as attributes."""
        entries = self.scope.get("state")
        if entries is None:
            entries = self.scope["state"] = {}
        state: Any = State(entries)
        return state  # type: ignore[no-any-return] # a protocol of the user's own, by word

    def check_preconditions(
        self,
        *,
        etag: str | ETag | None = None,
        last_modified: datetime | float | None = None,
    ) -> int | None:
        """Evaluate the preconditions ahead of the work (:rfc:`9110`, section 13.2.2).

        Args:
            etag: what stands between the quotes of the entity tag as it is now; an
                :class:`~asgikit.http.conditional.ETag` for a weak one.
            last_modified: when there was a change; an aware datetime or POSIX seconds. Where both
                are absent there is nothing yet: If-Match fails, ``If-None-Match: *`` holds.

        Returns:
            304 or 412, the status to answer with; or ``None`` to do what was asked.

        Raises:
            HTTPError: 431, one of these headers is over ``max_header_size``.
            ValueError: ``etag`` has quotes, or ``last_modified`` no time zone.

        >>> from asgikit import Request
        >>> request = Request({"type": "http", "method": "PUT", "path": "/",
        ...                    "headers": [(b"if-match", b'"1"')]})
        >>> request.check_preconditions(etag="2")
        412
        """
        from asgikit.http.conditional import ETag, evaluate_preconditions, format_etag

        if isinstance(etag, str):
            format_etag(etag)
            etag = ETag(etag)
        return evaluate_preconditions(
            method=self.method,
            if_match=self.join_header(b"if-match"),
            if_unmodified_since=self.join_header(b"if-unmodified-since"),
            if_none_match=self.join_header(b"if-none-match"),
            if_modified_since=self.join_header(b"if-modified-since"),
            etag=etag,
            last_modified=last_modified,
            exists=etag is not None or last_modified is not None,
            now=time.time(),
        )
