"""The head of a request: request line, headers and connection, read from an ASGI scope."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgikit.datastructures.address import Address, parse_address
from asgikit.datastructures.headers import Headers
from asgikit.datastructures.query import QueryParams, parse_query
from asgikit.datastructures.replaced import Replaced
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


class RequestHead(Mapping[str, Any], Generic[StateT]):
    """The properties of a request that are read from its ASGI scope.

    It is a read-only mapping of the scope. Each value is parsed when it is first read.
    """

    __slots__ = ("_cookies", "_headers", "_query_params", "_url", "limits", "scope")

    scope: Scope
    limits: Limits
    _cookies: dict[str, str] | None
    _headers: Headers | None
    _query_params: QueryParams | None
    _url: URL | None

    if TYPE_CHECKING:
        pass
    else:
        args = Replaced("request.query_params")
        data = Replaced("await request.body()")
        files = Replaced("await request.form()")
        session = Replaced('request.scope["session"], which a session middleware sets')
        user = Replaced('request.scope["user"], which an authentication middleware sets')

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
        """The method, in upper case; GET if the scope has none."""
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
        """The path as it was sent; from servers that do not provide it, ``path`` escaped."""
        raw_path: bytes | None = self.scope.get("raw_path")
        return raw_path if raw_path is not None else quote_path(self.path).encode("ascii")

    @property
    def root_path(self) -> str:
        """The path at which the app is mounted, without a slash at its end; empty at the root."""
        root_path: str = self.scope.get("root_path") or ""
        return root_path

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as the server has received the request."""
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
        """The URL of the root of the app, with a slash at its end."""
        return base_url(self.scope)

    @property
    def host(self) -> str | None:
        """The Host header in lower case; ``None`` if absent, repeated or malformed."""
        return request_host(self.headers.raw)

    @property
    def query_params(self) -> QueryParams:
        """The fields of the query string, in order, repeated ones kept. The first value wins.

        Raises:
            BadRequest: There are more than ``max_query_fields``.
        """
        query_params = self._query_params
        if query_params is None:
            query_params = self._query_params = parse_query(
                self.scope.get("query_string") or b"", self.limits.max_query_fields
            )
        return query_params

    @property
    def headers(self) -> Headers:
        """The headers."""
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
            HTTPError: The value is over ``max_header_size`` (431).
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
        """The cookies (RFC 6265bis). The first of a name wins; those without a name are ignored.

        Raises:
            HTTPError: There are more than 500 (431).
        """
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = parse_cookies(self.headers.raw_values(b"cookie"))
        return cookies

    @property
    def content_type(self) -> str | None:
        """The Content-Type header as it was sent; ``None`` if absent."""
        return self.headers.get("content-type")

    @property
    def media_type(self) -> MediaType | None:
        """The Content-Type header, parsed; ``None`` if absent or malformed.

        Raises:
            HTTPError: The header is over ``max_header_size`` (431).
        """
        content_type = self.content_type
        if content_type is None:
            return None
        return parse_media_type(self._check_size(b"content-type", content_type))

    @property
    def content_length(self) -> int | None:
        """The size of the body in bytes, as Content-Length declares it; ``None`` if absent.

        Raises:
            InvalidHeader: The header is repeated, or not a number (:rfc:`9110`, section 8.6).
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
        """The id of the last event that an ``EventSource`` received before it reconnects.

        ``None`` if the Last-Event-ID header is absent, repeated or not UTF-8 (HTML standard,
        section 9.2.4).
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
        """The address of the client or of the last proxy; ``None`` if unknown."""
        return parse_address(self.scope.get("client"))

    @property
    def server(self) -> Address | None:
        """The address at which the server received the request; ``None`` if unknown."""
        return parse_address(self.scope.get("server"))

    @property
    def path_params(self) -> Mapping[str, Any]:
        """The parameters that a router found in the path."""
        path_params: Mapping[str, Any] | None = self.scope.get("path_params")
        return {} if path_params is None else path_params

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The ASGI extensions that the server offers."""
        return extensions(self.scope)

    @property
    def state(self) -> StateT:
        """The state that lifespan, middleware and handlers share, as items and as attributes."""
        entries = self.scope.get("state")
        if entries is None:
            entries = self.scope["state"] = {}
        state: Any = State(entries)
        return state  # type: ignore[no-any-return] # the user declares a protocol for it

    def check_preconditions(
        self,
        *,
        etag: str | ETag | None = None,
        last_modified: datetime | float | None = None,
    ) -> int | None:
        """Evaluate the preconditions before the request is processed (:rfc:`9110`, section 13.2.2).

        Args:
            etag: The current entity tag, without its quotation marks; an
                :class:`~asgikit.http.conditional.ETag` for a weak one.
            last_modified: The time of the last change, an aware datetime or POSIX seconds. If both
                arguments are absent, the resource does not exist: If-Match fails, and
                ``If-None-Match: *`` holds.

        Returns:
            The status of the response, 304 or 412; ``None`` if the request is to be processed.

        Raises:
            HTTPError: One of the headers is over ``max_header_size`` (431).
            ValueError: ``etag`` has quotation marks, or ``last_modified`` has no time zone.

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
