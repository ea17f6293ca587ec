"""The headers of a request as typed values; each is parsed when it is first read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asgikit.http.grammar import strip_ows
from asgikit.requests.head import RequestHead, StateT

if TYPE_CHECKING:
    from datetime import datetime

    from asgikit.http.authentication import Authorization
    from asgikit.http.caching import CacheControl
    from asgikit.http.conditional import EntityTags, ETag
    from asgikit.http.negotiation import Accept, AcceptEncoding, AcceptLanguage
    from asgikit.http.ranges import RangesSpecifier

__all__ = ["HeaderProperties"]

T = TypeVar("T")


class HeaderProperties(RequestHead[StateT]):
    """The typed headers of a request.

    A malformed header counts as absent. The lines of a repeated header are joined as a list; if the
    header is not a list, that is malformed. A header over ``max_header_size`` raises an
    :class:`~asgikit.HTTPError` with the status 431.
    """

    __slots__ = ("_parsed",)

    _parsed: dict[bytes, Any] | None

    @property
    def accept(self) -> Accept:
        """The accepted media types (:rfc:`9110`, section 12.5.1); all if absent."""
        return self._typed(b"accept", _parse_accept)

    @property
    def accept_encoding(self) -> AcceptEncoding:
        """The accepted content codings (:rfc:`9110`, section 12.5.3)."""
        return self._typed(b"accept-encoding", _parse_accept_encoding)

    @property
    def accept_language(self) -> AcceptLanguage:
        """The accepted languages (:rfc:`9110`, section 12.5.4); all if absent."""
        return self._typed(b"accept-language", _parse_accept_language)

    @property
    def authorization(self) -> Authorization | None:
        """The credentials (:rfc:`9110`, section 11.6.2); ``None`` if absent or malformed."""
        # Credentials may have a comma, so repeated headers are joined by another separator.
        return self._typed(b"authorization", _parse_authorization, separator=b"\n")

    @property
    def cache_control(self) -> CacheControl:
        """The directives for caches (:rfc:`9111`, section 5.2.1)."""
        return self._typed(b"cache-control", _parse_cache_control)

    @property
    def range(self) -> RangesSpecifier | None:
        """The requested ranges (:rfc:`9110`, section 14.2)."""
        return self._typed(b"range", _optional(_parse_ranges))

    @property
    def if_range(self) -> ETag | datetime | None:
        """The validator of the client's partial copy (:rfc:`9110`, section 13.1.5)."""
        return self._typed(b"if-range", _optional(_parse_validator))

    @property
    def if_match(self) -> EntityTags | None:
        """The entity tags, one of which must be current (:rfc:`9110`, section 13.1.1)."""
        return self._typed(b"if-match", _optional(_parse_tags))

    @property
    def if_none_match(self) -> EntityTags | None:
        """The entity tags, none of which may be current (:rfc:`9110`, section 13.1.2)."""
        return self._typed(b"if-none-match", _optional(_parse_tags))

    @property
    def if_modified_since(self) -> datetime | None:
        """The date since which there must be a change (:rfc:`9110`, section 13.1.3)."""
        return self._typed(b"if-modified-since", _optional(_parse_date))

    @property
    def if_unmodified_since(self) -> datetime | None:
        """The date since which there must be no change (:rfc:`9110`, section 13.1.4)."""
        return self._typed(b"if-unmodified-since", _optional(_parse_date))

    def _typed(
        self, name: bytes, parse: Callable[[str | None], T], *, separator: bytes = b", "
    ) -> T:
        """Return the value of a header, parsed by ``parse`` when it is first read."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = {}
        if name not in parsed:
            parsed[name] = parse(self.join_header(name, separator))
        found: T = parsed[name]
        return found


def _optional(parse: Callable[[str], T]) -> Callable[[str | None], T | None]:
    return lambda text: None if text is None else parse(text)


# Each parser is imported on its first use. To import all of them takes 6 ms.


def _parse_accept(text: str | None) -> Accept:
    from asgikit.http.negotiation import parse_accept

    return parse_accept(text)


def _parse_accept_encoding(text: str | None) -> AcceptEncoding:
    from asgikit.http.negotiation import parse_accept_encoding

    return parse_accept_encoding(text)


def _parse_accept_language(text: str | None) -> AcceptLanguage:
    from asgikit.http.negotiation import parse_accept_language

    return parse_accept_language(text)


def _parse_authorization(text: str | None) -> Authorization | None:
    from asgikit.http.authentication import parse_authorization

    return None if text is None else parse_authorization(text)


def _parse_cache_control(text: str | None) -> CacheControl:
    from asgikit.http.caching import parse_cache_control

    return parse_cache_control(text or "")


def _parse_ranges(text: str) -> RangesSpecifier | None:
    from asgikit.http.ranges import parse_ranges_specifier

    return parse_ranges_specifier(text)


def _parse_tags(text: str) -> EntityTags:
    from asgikit.http.conditional import parse_etag_list

    return parse_etag_list(text)


def _parse_validator(text: str) -> ETag | datetime | None:
    from asgikit.http.conditional import parse_etag

    return parse_etag(text) or _parse_date(text)


def _parse_date(text: str) -> datetime | None:
    from asgikit.http.dates import parse_http_date

    return parse_http_date(strip_ows(text), now=time.time())
