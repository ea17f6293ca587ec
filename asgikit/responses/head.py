"""The head of a response: its status and its header fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.http.cookies import format_set_cookie
from asgikit.http.grammar import check_field
from asgikit.types import RawHeaders

if TYPE_CHECKING:
    from typing import Unpack

    from asgikit.http.caching import CacheControl, CacheDirectives

__all__ = ["HeadersArgument", "ResponseHead"]

HeadersArgument: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


SameSite: TypeAlias = Literal["lax", "strict", "none"]


class ResponseHead:
    """The status and the header fields of a response, and the methods that set them."""

    __slots__ = ("_headers", "_raw", "status_code")

    if TYPE_CHECKING:
        status_code: int
        _headers: MutableHeaders | None
        _raw: RawHeaders | None

        def _list(self) -> RawHeaders: ...

    @property
    def headers(self) -> MutableHeaders:
        """The header fields, to read and to change; each is checked as it is set."""
        headers = self._headers
        if headers is None:
            headers = self._headers = MutableHeaders._over(self._list())
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header fields as ASGI has them; what is put in here is checked when it is sent."""
        # Whoever has the list may change it, so that sending looks at it again.
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
        """Add a Set-Cookie field (RFC 6265bis, section 4.1).

        Args:
            key: the cookie's name, a token.
            value: any text; what a cookie cannot hold is quoted, and comes back from ``cookies``.
            max_age: seconds until the client drops it; ``None`` for the end of its session.
            expires: the same as a date: an aware datetime, an HTTP date, or seconds from now.
            path: where on the host it is sent.
            domain: the host with its subdomains; ``None`` for this host alone.
            secure: send it over TLS alone.
            httponly: hide it from scripts.
            samesite: ``strict``, ``lax``, ``none``; ``None`` leaves it to the client.
            partitioned: keep one for each top-level site.

        Raises:
            ValueError: it could not be sent, a prefix (``__Host-``, ``__Secure-``) or an attribute
                asks for what is not given, or it is longer than 4096 bytes.

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
                raise ValueError(f"no date is {expires!r} seconds from now") from None
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
        """Make the client drop a cookie, which it knows by the attributes it was set with."""
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
            etag: what stands between the quotes.
            weak: it tells content that means the same, not content that is the same.

        Raises:
            ValueError: it has a quote, a space or another character that no tag can hold.

        >>> from asgikit import Response
        >>> response = Response("tea", conditional=True)
        >>> response.set_etag("v7")
        >>> response.headers["etag"]
        '"v7"'
        """
        from asgikit.http.conditional import format_etag

        self.headers["etag"] = format_etag(etag, weak=weak)

    def add_vary(self, *names: str) -> None:
        """Name request fields that this response depends on (:rfc:`9110`, section 12.5.5)."""
        self.headers.add_vary(*names)

    def cache_control(
        self, value: CacheControl | None = None, /, **directives: Unpack[CacheDirectives]
    ) -> None:
        """Set Cache-Control (:rfc:`9111`, section 5.2.2) from a value, or from its attributes.

        Raises:
            TypeError: both are given, or there is no such directive.
            ValueError: it could not be sent, says nothing, or is both public and private.

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
        """Add a Link field (:rfc:`8288`, section 3).

        Args:
            target: a URI reference, percent-encoded.
            rel: the types of the relation, one or several.
            title: for people to read, in any script.
            parameters: target attributes; ``as_="style"`` is ``as``, ``None`` is a name alone.

        Raises:
            ValueError: it could not be sent, or there is no relation.

        >>> from asgikit import Response
        >>> response = Response()
        >>> response.add_link("/app.css", "preload", as_="style")
        >>> response.headers["link"]
        '</app.css>; rel="preload"; as="style"'
        """
        from asgikit.http.links import format_link

        self.headers.add("link", format_link(target, rel, title=title, **parameters))
