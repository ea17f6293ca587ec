"""The head of a response: its status and its headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.http.cookies import format_set_cookie
from asgikit.http.framing import check_status
from asgikit.http.grammar import check_field
from asgikit.types import RawHeaders

if TYPE_CHECKING:
    from typing import Unpack

    from asgikit.http.caching import CacheControl, CacheDirectives

__all__ = ["CONNECTION_HEADERS", "HeadersArgument", "ResponseHead", "drop_connection_headers"]

HeadersArgument: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
SameSite: TypeAlias = Literal["lax", "strict", "none"]

#: Headers that make sending take the general path, in which some of them are dropped.
CONNECTION_HEADERS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def drop_connection_headers(headers: RawHeaders) -> RawHeaders:
    """Return the headers without those that belong to the connection of the server.

    An application that forwards the headers of an upstream server has them. ``Connection: close``
    stays: it asks the server to close the connection (:rfc:`9112`, section 9.6).

    >>> drop_connection_headers([(b"connection", b"close, x-a"), (b"x-a", b"1"), (b"x-b", b"2")])
    [(b'connection', b'close'), (b'x-b', b'2')]
    """
    if CONNECTION_HEADERS.isdisjoint([name for name, _ in headers]):
        return headers
    from asgikit.http.fields import connection_options

    options = connection_options(headers)
    dropped = CONNECTION_HEADERS | options
    kept = [header for header in headers if header[0] not in dropped]
    return [(b"connection", b"close"), *kept] if b"close" in options else kept


class ResponseHead:
    """The status and the headers of a response, and the methods that set them."""

    __slots__ = ("_headers", "_raw", "_status_code")

    if TYPE_CHECKING:
        _headers: MutableHeaders | None
        _raw: RawHeaders | None
        _status_code: int

        def _list(self) -> RawHeaders: ...

    @property
    def status_code(self) -> int:
        """The status, an ``int`` from 200 to 599."""
        return self._status_code

    @status_code.setter
    def status_code(self, status_code: int) -> None:
        check_status(status_code)
        self._status_code = status_code

    @property
    def headers(self) -> MutableHeaders:
        """The headers, to read and to change. Each is checked when it is set."""
        headers = self._headers
        if headers is None:
            headers = self._headers = MutableHeaders._over(self._list())
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as ASGI has them. An addition to this list is checked when it is sent."""
        # `_headers` makes sending check the list again.
        _ = self.headers
        return self._list()

    @raw_headers.setter
    def raw_headers(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = [check_field(name, value) for name, value in raw]
        self._headers = MutableHeaders._over(self._raw)

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | None = None,
        expires: datetime | str | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,  # noqa: FBT001 - Starlette's signature
        httponly: bool = False,  # noqa: FBT001
        samesite: SameSite | None = "lax",
        partitioned: bool = False,  # noqa: FBT001
    ) -> None:
        """Add a Set-Cookie header (RFC 6265bis, section 4.1).

        Args:
            key: the name of the cookie, a token.
            value: any text. Characters that a cookie cannot hold are quoted; ``Request.cookies``
                undoes that.
            max_age: seconds until the client drops the cookie; ``None`` for the end of its session.
            expires: the same as a date: an aware datetime, an HTTP date, or seconds from now.
            path: the path below which the client sends the cookie.
            domain: the host with its subdomains; ``None`` for this host alone.
            secure: whether the client sends the cookie over TLS alone.
            httponly: whether the cookie is hidden from scripts.
            samesite: ``strict``, ``lax`` or ``none``; ``None`` leaves it to the client.
            partitioned: whether the client keeps one cookie for each top-level site.

        Raises:
            ValueError: the cookie cannot be sent, is longer than 4096 bytes, or lacks an attribute
                that a prefix (``__Host-``, ``__Secure-``) or another attribute requires.

        >>> from asgikit import Response
        >>> response = Response()
        >>> response.set_cookie("theme", "dark", max_age=3600, httponly=True)
        >>> response.headers["set-cookie"]
        'theme=dark; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax'
        """
        if expires is not None and isinstance(expires, int | float):
            try:
                expires = datetime.now(UTC) + timedelta(seconds=expires)
            except (OverflowError, ValueError):
                raise ValueError(f"expires is no date: {expires!r} seconds from now") from None
        cookie = format_set_cookie(
            key,
            value,
            max_age,
            expires,
            path,
            domain,
            secure,
            httponly,
            samesite,
            partitioned,
        )
        self._list().append((b"set-cookie", cookie))

    def delete_cookie(
        self,
        key: str,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,  # noqa: FBT001 - Starlette's signature
        httponly: bool = False,  # noqa: FBT001
        samesite: SameSite | None = "lax",
        partitioned: bool = False,  # noqa: FBT001
    ) -> None:
        """Add a Set-Cookie header that deletes a cookie, by the attributes it was set with."""
        self.set_cookie(
            key,
            max_age=0,
            expires=datetime.fromtimestamp(0, UTC),
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    def set_etag(self, etag: str, *, weak: bool = False) -> None:
        """Set the entity tag (:rfc:`9110`, section 8.8.3).

        Args:
            etag: the text between the quotes.
            weak: whether the tag stands for contents of one meaning, and not for one content.

        Raises:
            ValueError: ``etag`` contains a quote, a space or another character that is not allowed.

        >>> from asgikit import Response
        >>> response = Response("tea", conditional=True)
        >>> response.set_etag("v7")
        >>> response.headers["etag"]
        '"v7"'
        """
        from asgikit.http.conditional import format_etag

        self.headers["etag"] = format_etag(etag, weak=weak)

    def add_vary(self, *names: str) -> None:
        """Add names of request headers to Vary (:rfc:`9110`, section 12.5.5)."""
        self.headers.add_vary(*names)

    def cache_control(
        self, value: CacheControl | None = None, /, **directives: Unpack[CacheDirectives]
    ) -> None:
        """Set Cache-Control (:rfc:`9111`, section 5.2.2) from a value, or from its attributes.

        Raises:
            TypeError: both are given, or a directive is unknown.
            ValueError: a directive cannot be sent, there is none, or both public and private.

        >>> from asgikit import Response
        >>> response = Response("tea")
        >>> response.cache_control(max_age=31536000, public=True, immutable=True)
        >>> response.headers["cache-control"]
        'max-age=31536000, public, immutable'
        """
        from asgikit.http.caching import make_cache_control

        self.headers["cache-control"] = make_cache_control(value, **directives)

    def add_link(
        self,
        target: str,
        rel: str | Iterable[str],
        *,
        title: str | None = None,
        **parameters: str | None,
    ) -> None:
        """Add a Link header (:rfc:`8288`, section 3).

        Args:
            target: a URI reference, percent-encoded.
            rel: one relation type or several.
            title: for people to read, in any script.
            parameters: target attributes. ``as_="style"`` is ``as="style"``; a value of ``None``
                sends the name alone.

        Raises:
            ValueError: the header cannot be sent, or there is no relation type.

        >>> from asgikit import Response
        >>> response = Response()
        >>> response.add_link("/app.css", "preload", as_="style")
        >>> response.headers["link"]
        '</app.css>; rel="preload"; as="style"'
        """
        from asgikit.http.links import format_link

        self.headers.add("link", format_link(target, rel, title=title, **parameters))
