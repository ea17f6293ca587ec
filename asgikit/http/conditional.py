"""Entity tags and preconditions (:rfc:`9110`, sections 8.8.3 and 13): 304, 412 or go on.

A precondition compares a validator of the request with one of the selected representation. They are
evaluated in the order of section 13.2.2:

1. If-Match compares entity tags strongly; without it, If-Unmodified-Since compares dates. If the
   condition is false, the response is a 412.
2. If-None-Match compares entity tags weakly. If one matches, GET, HEAD and QUERY (:rfc:`10008`)
   get a 304, other methods a 412. Without it, If-Modified-Since compares dates for these three
   methods alone, and gives a 304.
3. If-Range decides whether Range is obeyed; see :mod:`asgikit.http.ranges`.

A malformed header is never the reason for a wrong 304 and never lets a write through that it was to
guard: a malformed list of entity tags matches nothing, and a malformed date is ignored.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from asgikit.http.dates import parse_http_date
from asgikit.http.framing import READ_METHODS
from asgikit.http.grammar import OWS, strip_ows

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ETag",
    "EntityTags",
    "evaluate_preconditions",
    "format_etag",
    "if_range_matches",
    "not_modified_headers",
    "parse_etag",
    "parse_etag_list",
]

# entity-tag = [ weak ] opaque-tag
# weak       = %s"W/"                        ; case-sensitive
# opaque-tag = DQUOTE *etagc DQUOTE
# etagc      = %x21 / %x23-7E / obs-text     ; no space, and a backslash is only a character
_ETAGC = r"[\x21\x23-\x7e\x80-\xff]*+"
_ENTITY_TAG = rf'(W/)?"({_ETAGC})"'
_is_opaque = re.compile(_ETAGC).fullmatch
_parse_entity_tag = re.compile(_ENTITY_TAG).fullmatch

# If-Match   = "*" / #entity-tag
#
# Commas and white space before a tag are matched in one step, however many they are.
_ELEMENT = re.compile(rf"[ \t,]*+{_ENTITY_TAG}[ \t]*+(?:,|\Z)")

# Headers that describe the content, which a 304 does not have. Headers for caches stay
# (section 15.4.5), and so do those that concern the exchange, such as Set-Cookie and CORS headers.
_CONTENT_HEADERS = frozenset(
    {
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-range",
        b"content-type",
    }
)


class ETag(NamedTuple):
    """An entity tag (section 8.8.3): the text between its DQUOTEs, and whether it is weak."""

    value: str
    weak: bool = False

    def __str__(self) -> str:
        return format_etag(self.value, weak=self.weak)

    def matches_strongly(self, other: ETag) -> bool:
        """Return whether both tags are strong and equal (section 8.8.3.2).

        >>> ETag("1").matches_strongly(ETag("1")), ETag("1", weak=True).matches_strongly(ETag("1"))
        (True, False)
        """
        return not self.weak and not other.weak and self.value == other.value

    def matches_weakly(self, other: ETag) -> bool:
        """Return whether both tags have the same text, weak or not (section 8.8.3.2).

        >>> ETag("1", weak=True).matches_weakly(ETag("1"))
        True
        """
        return self.value == other.value


class EntityTags(NamedTuple):
    """The value of If-Match or If-None-Match: a list of tags, or ``*``, which matches any tag.

    A malformed value has no tags and matches nothing.
    """

    tags: tuple[ETag, ...]
    any: bool = False

    def matches_strongly(self, etag: ETag | None) -> bool:
        """Return whether the value is ``*`` or has ``etag``, by strong comparison."""
        if etag is None or self.any:
            return self.any
        return any(tag.matches_strongly(etag) for tag in self.tags)

    def matches_weakly(self, etag: ETag | None) -> bool:
        """Return whether the value is ``*`` or has ``etag``, by weak comparison."""
        if etag is None or self.any:
            return self.any
        return any(tag.matches_weakly(etag) for tag in self.tags)


def parse_etag(text: str) -> ETag | None:
    """Parse an entity tag (section 8.8.3); return ``None`` if it is malformed.

    >>> parse_etag('W/"1"')
    ETag(value='1', weak=True)
    """
    match = _parse_entity_tag(strip_ows(text))
    return None if match is None else ETag(match[2], match[1] is not None)


def format_etag(value: str, *, weak: bool = False) -> str:
    """Format an entity tag (section 8.8.3).

    Raises:
        ValueError: ``value`` has a DQUOTE, white space, a control character or a character outside
            of ISO-8859-1.

    >>> format_etag("1", weak=True)
    'W/"1"'
    """
    if _is_opaque(value) is None:
        raise ValueError(
            f"an entity tag is visible characters of ISO-8859-1 without quotes, not {value!r}"
        )
    return f'W/"{value}"' if weak else f'"{value}"'


def parse_etag_list(text: str) -> EntityTags:
    """Parse If-Match or If-None-Match (sections 13.1.1 and 13.1.2).

    If one element is malformed, the whole value matches nothing. If-None-Match then gives a
    needless 200 but no wrong 304, and If-Match fails instead of letting a write overwrite another.

    >>> parse_etag_list('"1", W/"2"').tags
    (ETag(value='1', weak=False), ETag(value='2', weak=True))
    >>> parse_etag_list("*").any
    True
    """
    text = strip_ows(text)
    if text == "*":
        return EntityTags((), any=True)
    tags: list[ETag] = []
    position, stop = 0, len(text.rstrip(OWS + ","))
    while position < stop:
        match = _ELEMENT.match(text, position)
        if match is None:
            return EntityTags(())
        # Each match consumes at least two DQUOTEs, so the loop ends.
        position = match.end()
        tags.append(ETag(match[2], match[1] is not None))
    return EntityTags(tuple(tags))


def evaluate_preconditions(
    *,
    method: str,
    if_match: str | None = None,
    if_unmodified_since: str | None = None,
    if_none_match: str | None = None,
    if_modified_since: str | None = None,
    etag: ETag | None = None,
    last_modified: datetime | float | None = None,
    exists: bool = True,
    now: datetime | float | None = None,
) -> int | None:
    """Evaluate the preconditions of a request in their order (section 13.2.2).

    Args:
        method: The method of the request in upper case.
        if_match: The header as sent, repeated lines joined by ``", "``; ``None`` if it is absent.
        if_unmodified_since: Likewise.
        if_none_match: Likewise.
        if_modified_since: Likewise.
        etag: The entity tag of the current representation.
        last_modified: Its modification date, as an aware datetime or POSIX seconds.
        exists: Whether there is a current representation.
        now: The time of the request, for dates of the obsolete RFC 850 format; without it, such a
            date is ignored.

    Returns:
        The status of the response, 304 or 412; ``None`` if the request is to be performed.

    Raises:
        ValueError: ``last_modified`` is a datetime without a time zone.

    >>> evaluate_preconditions(method="GET", if_none_match='"1", "2"', etag=ETag("2"))
    304
    """
    # These methods do not select a representation, so preconditions are ignored (section 13.2.1).
    if method in ("CONNECT", "OPTIONS", "TRACE"):
        return None
    if not exists:
        # If-Match is false without a representation; the other conditions hold or are ignored.
        return None if if_match is None else 412

    if if_match is not None:
        if not parse_etag_list(if_match).matches_strongly(etag):
            return 412
    elif _is_modified_since(if_unmodified_since, last_modified, now) is True:
        return 412

    is_read = method in READ_METHODS
    if if_none_match is not None:
        return _evaluate_if_none_match(parse_etag_list(if_none_match), etag, is_read=is_read)
    if is_read and _is_modified_since(if_modified_since, last_modified, now) is False:
        return 304
    return None


def _evaluate_if_none_match(tags: EntityTags, etag: ETag | None, *, is_read: bool) -> int | None:
    if tags.matches_weakly(etag):
        return 304 if is_read else 412
    # A value without tags is malformed. A read is then answered in full. A write is refused,
    # because the condition that was to guard it is unknown.
    return None if is_read or tags.tags else 412


def _is_modified_since(
    field: str | None, last_modified: datetime | float | None, now: datetime | float | None
) -> bool | None:
    """Return whether the representation changed after the date in ``field``.

    ``None`` means that the condition is ignored (sections 13.1.3 and 13.1.4): the header is absent
    or no date, or the representation has no modification date.
    """
    if field is None or last_modified is None:
        return None
    date = parse_http_date(strip_ows(field), now=now)
    return None if date is None else _whole_seconds(last_modified) > _whole_seconds(date)


def _whole_seconds(when: datetime | float) -> int:
    # Last-Modified is sent without fractions of a second, so they are not compared.
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise ValueError(f"last_modified needs a time zone, such as datetime.UTC: {when!r}")
        when = when.replace(microsecond=0).timestamp()
    return math.floor(when)


def if_range_matches(
    value: str,
    *,
    etag: ETag | None = None,
    last_modified: datetime | float | None = None,
    now: datetime | float | None = None,
) -> bool:
    """Return whether If-Range names the current representation (section 13.1.5).

    If it does, the ranges are sent; otherwise the whole representation is.

    Args:
        value: The value of the header.
        etag: The entity tag of the current representation, compared strongly.
        last_modified: Its modification date, as an aware datetime or POSIX seconds. The date in
            ``value`` must be equal, neither earlier nor later.
        now: The time of the request; see :func:`evaluate_preconditions`.

    Raises:
        ValueError: ``last_modified`` is a datetime without a time zone.

    >>> if_range_matches('"1"', etag=ETag("1")), if_range_matches('W/"1"', etag=ETag("1"))
    (True, False)
    """
    if (asked := parse_etag(value)) is not None:
        return etag is not None and asked.matches_strongly(etag)
    date = parse_http_date(strip_ows(value), now=now)
    if date is None or last_modified is None:
        return False
    # A date is a strong validator if the origin knows that the representation did not change twice
    # in that second (section 8.8.2.2). The 60 seconds of that section are for recipients that see
    # Date and Last-Modified alone. This module has no clock, so an equal date is sufficient.
    return _whole_seconds(date) == _whole_seconds(last_modified)


def not_modified_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Select the headers of a 200 that the 304 in its place has (section 15.4.5), in order.

    Headers that describe the content are left out, and Last-Modified if there is an ETag.

    Args:
        raw: Lower-case names and values.

    >>> not_modified_headers([(b"etag", b'"1"'), (b"content-length", b"10")])
    [(b'etag', b'"1"')]
    """
    kept = [header for header in raw if header[0] not in _CONTENT_HEADERS]
    # A cache needs Last-Modified only without an ETag.
    if any(name == b"etag" for name, _ in kept):
        return [header for header in kept if header[0] != b"last-modified"]
    return kept
