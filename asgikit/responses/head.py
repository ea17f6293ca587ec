"""The header fields of a response from typed values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Unpack

    from asgikit.headers import MutableHeaders
    from asgikit.http.caching import CacheControl, CacheDirectives

__all__: list[str] = []


class ResponseFields:
    """What :class:`~asgikit.Response` makes header fields of."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def headers(self) -> MutableHeaders: ...

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
