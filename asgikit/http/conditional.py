"""Entity tags and preconditions (:rfc:`9110`, sections 8.8.3 and 13): 304, 412 or go on."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from asgikit.http.dates import parse_http_date
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
# Commas and white space are taken with the tag that follows them, in one step however many there
# are.
_ELEMENT = re.compile(rf"[ \t,]*+{_ENTITY_TAG}[ \t]*+(?:,|\Z)")

# What tells of a representation that a 304 does not have. What guides a cache stays, and what
# belongs to the exchange (section 15.4.5): a cookie that was renewed, or who may read the answer.
_OF_REPRESENTATION = frozenset(
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
    """An entity tag (section 8.8.3): the text between its quotes, and whether it is weak."""

    value: str
    weak: bool = False

    def __str__(self) -> str:
        return format_etag(self.value, weak=self.weak)

    def matches_strongly(self, other: ETag) -> bool:
        """Compare byte for byte (section 8.8.3.2): a weak tag equals nothing.

        >>> ETag("1").matches_strongly(ETag("1")), ETag("1", weak=True).matches_strongly(ETag("1"))
        (True, False)
        """
        return not self.weak and not other.weak and self.value == other.value

    def matches_weakly(self, other: ETag) -> bool:
        """Compare by meaning (section 8.8.3.2): weak or not, the same text is the same.

        >>> ETag("1", weak=True).matches_weakly(ETag("1"))
        True
        """
        return self.value == other.value


class EntityTags(NamedTuple):
    """An ``If-Match`` or ``If-None-Match`` field: a list of tags, or any there is (``*``).

    A field that is malformed is neither, and so it matches nothing.
    """

    tags: tuple[ETag, ...]
    any: bool = False

    def matches_strongly(self, etag: ETag | None) -> bool:
        """Tell whether the field is ``*`` or names ``etag``, by strong comparison."""
        if etag is None or self.any:
            return self.any
        return any(tag.matches_strongly(etag) for tag in self.tags)

    def matches_weakly(self, etag: ETag | None) -> bool:
        """Tell whether the field is ``*`` or names ``etag``, by weak comparison."""
        if etag is None or self.any:
            return self.any
        return any(tag.matches_weakly(etag) for tag in self.tags)


def parse_etag(text: str) -> ETag | None:
    """Read an entity tag; :obj:`None` where it is malformed (section 8.8.3).

    >>> parse_etag('W/"1"')
    ETag(value='1', weak=True)
    """
    match = _parse_entity_tag(strip_ows(text))
    return None if match is None else ETag(match[2], match[1] is not None)


def format_etag(value: str, *, weak: bool = False) -> str:
    """Write an entity tag (section 8.8.3).

    Raises:
        ValueError: ``value`` has a DQUOTE, a space or another character that no tag can hold.

    >>> format_etag("1", weak=True)
    'W/"1"'
    """
    if _is_opaque(value) is None:
        raise ValueError(
            f"an entity tag is visible characters of ISO-8859-1 without quotes, not {value!r}"
        )
    return f'W/"{value}"' if weak else f'"{value}"'


def parse_etag_list(text: str) -> EntityTags:
    """Read ``If-Match`` or ``If-None-Match`` (sections 13.1.1 and 13.1.2).

    One malformed member makes the whole field match nothing: then If-None-Match costs an answer in
    full and never a false 304, and If-Match fails and never overwrites what it was to protect.

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
        # Each turn takes two DQUOTEs at the least.
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
    """Evaluate a request's preconditions in their order (section 13.2.2).

    Args:
        method: of the request, upper-case.
        if_match: the field as sent, repeated ones joined by ``", "``; :obj:`None` where absent.
        if_unmodified_since: likewise.
        if_none_match: likewise.
        if_modified_since: likewise.
        etag: of the representation as it is now.
        last_modified: of the same; an aware datetime or POSIX seconds.
        exists: whether there is a representation at all.
        now: when the request came. Only dates of the obsolete RFC 850 format need it, and are no
            dates without.

    Returns:
        304 or 412, the status to answer with; or :obj:`None` to do what was asked.

    Raises:
        ValueError: ``last_modified`` is a datetime without a time zone.

    >>> evaluate_preconditions(method="GET", if_none_match='"1", "2"', etag=ETag("2"))
    304
    """
    # These select no representation that a condition could be about (section 13.2.1).
    if method in ("CONNECT", "OPTIONS", "TRACE"):
        return None
    if not exists:
        # Nothing is there that could match; nothing has a date.
        return None if if_match is None else 412

    if if_match is not None:
        if not parse_etag_list(if_match).matches_strongly(etag):
            return 412
    elif _is_modified_since(if_unmodified_since, last_modified, now) is True:
        return 412

    reads = method in ("GET", "HEAD")
    if if_none_match is not None:
        return _evaluate_if_none_match(parse_etag_list(if_none_match), etag, reads=reads)
    if reads and _is_modified_since(if_modified_since, last_modified, now) is False:
        return 304
    return None


def _evaluate_if_none_match(tags: EntityTags, etag: ETag | None, *, reads: bool) -> int | None:
    if tags.matches_weakly(etag):
        return 304 if reads else 412
    # A field that names nothing is malformed. A read is then answered in full; a write that was to
    # be guarded is refused, as nobody can tell against what.
    return None if reads or tags.tags else 412


def _is_modified_since(
    field: str | None, last_modified: datetime | float | None, now: datetime | float | None
) -> bool | None:
    """Tell whether there was a change after the date in ``field``; :obj:`None`: nobody knows.

    Without a date of the representation, or with something that is no date, a condition is ignored
    (sections 13.1.3 and 13.1.4).
    """
    if field is None or last_modified is None:
        return None
    date = parse_http_date(strip_ows(field), now=now)
    return None if date is None else _whole_seconds(last_modified) > _whole_seconds(date)


def _whole_seconds(when: datetime | float) -> int:
    # Last-Modified went out without its fraction, so the fraction is not compared either.
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
    """Tell whether ``If-Range`` names the representation as it is now (section 13.1.5).

    Args:
        value: the field.
        etag: of the representation, compared strongly.
        last_modified: of the same, an aware datetime or POSIX seconds; it must be the very date.
        now: when the request came; see :func:`evaluate_preconditions`.

    Returns:
        Whether to send the ranges asked for; all of the representation where not.

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
    # A date is strong where the origin knows that nothing changed twice in that second
    # (section 8.8.2.2). The 60 seconds that section suggests are for those who see no more of a
    # representation than Date and Last-Modified; we hold the file, and have no clock here. So the
    # exact date is enough, and an earlier or a later one is not.
    return _whole_seconds(date) == _whole_seconds(last_modified)


def not_modified_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Take the fields of an answer 200 that its 304 carries (section 15.4.5), in order.

    Args:
        raw: lower-case names and values.

    >>> not_modified_headers([(b"etag", b'"1"'), (b"content-length", b"10")])
    [(b'etag', b'"1"')]
    """
    kept = [field for field in raw if field[0] not in _OF_REPRESENTATION]
    # Last-Modified is of use to a cache only where there is no ETag.
    if any(name == b"etag" for name, _ in kept):
        return [field for field in kept if field[0] != b"last-modified"]
    return kept
