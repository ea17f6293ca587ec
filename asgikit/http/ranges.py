"""Byte ranges (:rfc:`9110`, section 14): the parts of a representation to send, and their framing.

A Range header goes through three steps:

1. :func:`parse_ranges_specifier` reads its syntax into :class:`RangeSpec` values, with inclusive
   ends as in the header. A malformed header, or one with too many ranges, is ignored.
2. :meth:`RangeSpec.resolve` intersects each range with the size of the representation, and gives a
   half-open :class:`Span`. If no range overlaps it, the response is a 416.
3. :func:`parse_range` merges overlapping spans, and ignores the header if the spans ask for more
   bytes than the representation has (section 17.15).

One span is sent as a 206 with Content-Range. Several are sent as ``multipart/byteranges``, framed
by :func:`format_byte_ranges`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from asgikit.exceptions import RangeNotSatisfiable
from asgikit.http.grammar import OWS, TOKEN, check_field, parse_digits, strip_ows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ByteRanges",
    "ContentRange",
    "RangeSpec",
    "RangesSpecifier",
    "Span",
    "format_byte_ranges",
    "format_content_range",
    "format_unsatisfied_range",
    "parse_content_range",
    "parse_range",
    "parse_ranges_specifier",
]

# Range            = ranges-specifier
# ranges-specifier = range-unit "=" range-set
# range-set        = 1#range-spec
# range-unit       = token
_UNIT = re.compile(rf"({TOKEN})=")

# range-spec       = int-range / suffix-range / other-range
# int-range        = first-pos "-" [ last-pos ]
# suffix-range     = "-" suffix-length
#
# Commas and white space before a range are matched in one step, however many they are. An
# other-range belongs to an unknown unit, so it counts as malformed.
_RANGE_SPEC = re.compile(r"[ \t,]*+(?:([0-9]++)-([0-9]*+)|-([0-9]++))[ \t]*+(?:,|\Z)")

# The same for one int-range of bytes without white space or a long position.
_ONE_INT_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})").fullmatch

# Content-Range    = range-unit SP ( range-resp / unsatisfied-range )
# range-resp       = first-pos "-" last-pos "/" ( complete-length / "*" )
# unsatisfied-range = "*/" complete-length
_CONTENT_RANGE = re.compile(r"([0-9]++)-([0-9]++)/(?:([0-9]++)|\*)").fullmatch
_UNSATISFIED_RANGE = re.compile(r"\*/([0-9]++)").fullmatch

# boundary         = 0*69<bchars> bcharsnospace        (RFC 2046, section 5.1.1)
#
# Token characters alone are accepted, so that Content-Type needs no DQUOTEs.
_is_boundary = re.compile(r"[0-9A-Za-z'+_.-]{1,70}").fullmatch

# The RFC does not limit the digits. A position of more than 19 digits is beyond the end of any
# file.
_BEYOND_ANY_SIZE = 10**19


class Span(NamedTuple):
    """A half-open range of a representation in bytes: ``content[start:stop]``."""

    start: int
    stop: int


class RangeSpec(NamedTuple):
    """One range of a Range header, with inclusive ends in bytes (section 14.1.1).

    ``(0, 499)`` is the first 500 bytes, ``(500, None)`` is all bytes from position 500 on, and
    ``(None, 500)`` is the last 500 bytes.
    """

    first: int | None
    last: int | None

    def resolve(self, size: int) -> Span | None:
        """Return the span within ``size`` bytes; ``None`` if the range does not overlap them.

        >>> RangeSpec(None, 500).resolve(2000)
        Span(start=1500, stop=2000)
        """
        first, last = self
        if first is None:
            # A suffix longer than the representation means all of it (section 14.1.2).
            first, last = max(size - (last or 0), 0), None
        stop = size if last is None else min(last + 1, size)
        return Span(first, stop) if first < stop else None


class RangesSpecifier(NamedTuple):
    """The value of a Range header: a lower-case unit, and at least one range."""

    unit: str
    ranges: list[RangeSpec]


class ContentRange(NamedTuple):
    """The value of a Content-Range header in bytes (section 14.4).

    ``span`` is ``None`` in a 416. ``size`` is ``None`` if the complete length is unknown.
    """

    span: Span | None
    size: int | None


class ByteRanges(NamedTuple):
    """The framing of a ``multipart/byteranges`` body (section 14.6).

    The body is, for each span, its part headers and its bytes, and then ``closing``.

    Attributes:
        content_type: The Content-Type of the response.
        part_headers: For each span, the delimiter, the headers of its part and an empty line.
        closing: The closing delimiter.
        content_length: The length of the body in bytes.
    """

    content_type: str
    part_headers: list[bytes]
    closing: bytes
    content_length: int


def parse_ranges_specifier(value: str, *, limit: int = 16) -> RangesSpecifier | None:
    """Parse a Range header whose unit has numeric positions, as bytes have (section 14.1.1).

    Args:
        value: The value of the header.
        limit: The number of ranges accepted.

    Returns:
        The unit and its ranges; ``None`` if the value is malformed or has more ranges. A position
        of more than 19 digits is returned as ``10**19``.

    >>> parse_ranges_specifier("bytes=-500")
    RangesSpecifier(unit='bytes', ranges=[RangeSpec(first=None, last=500)])
    """
    value = strip_ows(value)
    match = _UNIT.match(value)
    if match is None:
        return None
    ranges: list[RangeSpec] = []
    position, stop = match.end(), len(value.rstrip(OWS + ","))
    while position < stop:
        spec = _RANGE_SPEC.match(value, position)
        # The limit bounds the work for a long value (section 17.15).
        if spec is None or len(ranges) >= limit:
            return None
        # Each match consumes at least one "-", so the loop ends.
        position = spec.end()
        first, last, suffix = map(_position, spec.groups())
        # A range whose last position is before its first makes the header invalid (section 14.1.1).
        if first is not None and last is not None and last < first:
            return None
        ranges.append(RangeSpec(first, last if suffix is None else suffix))
    return RangesSpecifier(match[1].lower(), ranges) if ranges else None


def _position(digits: str | None) -> int | None:
    if not digits:
        return None
    number = parse_digits(digits.lstrip("0") or "0")
    return _BEYOND_ANY_SIZE if number is None else number


def parse_range(value: str, size: int, *, limit: int = 16) -> list[Span] | None:
    """Resolve a Range header against a representation of ``size`` bytes (section 14.2).

    Args:
        value: The value of the header.
        size: The size of the representation in bytes.
        limit: The number of ranges accepted.

    Returns:
        Non-empty spans within ``[0, size)`` in the order of the header, overlapping ones merged;
        ``None`` if the header is to be ignored and the whole representation sent.

    Raises:
        RangeNotSatisfiable: Each range begins at or after ``size``.

    >>> parse_range("bytes=0-499, -1", 1000)
    [Span(start=0, stop=500), Span(start=999, stop=1000)]
    """
    one_span = _parse_one_span(value, size)
    if one_span is not None and limit:
        return [one_span]
    specifier = parse_ranges_specifier(value, limit=limit)
    # A Range header with an unknown unit is ignored (section 14.2).
    if specifier is None or specifier.unit != "bytes":
        return None
    # No Content-Range can describe a part of an empty representation. Some clients send Range with
    # each request, so the response is a 200 and not a 416.
    if size == 0:
        return None
    spans = [span for spec in specifier.ranges if (span := spec.resolve(size)) is not None]
    if not spans:
        raise RangeNotSatisfiable(size)
    # Overlapping ranges could multiply the bytes to send (section 17.15).
    if sum(stop - start for start, stop in spans) > size:
        return None
    return _merge(spans) if len(spans) > 1 else spans


# perf: static_range -4 %
def _parse_one_span(value: str, size: int) -> Span | None:
    """Resolve a Range header with one int-range as :func:`parse_range` does.

    Returns:
        ``None`` if :func:`parse_range` has to decide.
    """
    match = _ONE_INT_RANGE(value)
    if match is None:
        return None
    return RangeSpec(parse_digits(match[1]), parse_digits(match[2])).resolve(size)


def _merge(spans: list[Span]) -> list[Span]:
    """Merge overlapping spans, each in the place of its first one (section 15.3.7.2)."""
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1].stop:
            merged[-1] = Span(merged[-1].start, max(merged[-1].stop, stop))
        else:
            merged.append(Span(start, stop))
    starts = [span.start for span in merged]
    # Each span lies in the last merged span that does not start after it.
    return list(dict.fromkeys(merged[bisect_right(starts, start) - 1] for start, _ in spans))


def format_content_range(span: Span, size: int | None) -> str:
    """Format the Content-Range of a 206 (section 14.4).

    Args:
        span: The bytes that are sent.
        size: The size of the representation in bytes; ``None`` if it is unknown.

    Raises:
        ValueError: The span is empty, or not within ``size`` bytes.

    >>> format_content_range(Span(0, 500), 1000)
    'bytes 0-499/1000'
    """
    start, stop = span
    if not 0 <= start < stop or (size is not None and stop > size):
        raise ValueError(f"not a part of {size} bytes: {span}")
    return f"bytes {start}-{stop - 1}/{'*' if size is None else size}"


def format_unsatisfied_range(size: int) -> str:
    """Format the Content-Range of a 416 (section 14.4).

    Args:
        size: The size of the representation in bytes.

    Raises:
        ValueError: The size is negative.

    >>> format_unsatisfied_range(1000)
    'bytes */1000'
    """
    if size < 0:
        raise ValueError(f"a size is not negative: {size}")
    return f"bytes */{size}"


def parse_content_range(value: str) -> ContentRange | None:
    """Parse a Content-Range header (section 14.4).

    Returns:
        The span and the size; ``None`` if the value is malformed, contradicts itself or has another
        unit than bytes.

    >>> parse_content_range("bytes 0-499/1000")
    ContentRange(span=Span(start=0, stop=500), size=1000)
    >>> parse_content_range("bytes */1000")
    ContentRange(span=None, size=1000)
    """
    unit, _, positions = strip_ows(value).partition(" ")
    if unit.lower() != "bytes":
        return None
    if (match := _UNSATISFIED_RANGE(positions)) is not None:
        size = parse_digits(match[1])
        return None if size is None else ContentRange(None, size)
    if (match := _CONTENT_RANGE(positions)) is None:
        return None
    first, last = parse_digits(match[1]), parse_digits(match[2])
    size = None if match[3] is None else parse_digits(match[3])
    if first is None or last is None or (match[3] is not None and size is None):
        return None
    # The header is invalid if the last position is before the first or not within the size.
    if last < first or (size is not None and last >= size):
        return None
    return ContentRange(Span(first, last + 1), size)


def format_byte_ranges(
    spans: Sequence[Span], size: int, *, media_type: str | None, boundary: str
) -> ByteRanges:
    r"""Format the framing of several spans as ``multipart/byteranges`` (section 14.6).

    Args:
        spans: The spans in the order in which they are sent.
        size: The size of the representation in bytes.
        media_type: The media type of the representation, repeated in each part; ``None`` for none.
        boundary: The boundary. It must not occur in the content, so choose a random one.

    Raises:
        ValueError: There are no spans, a span is not within ``size``, or the boundary or the media
            type cannot be sent.

    >>> framed = format_byte_ranges([Span(0, 2), Span(5, 9)], 10, media_type=None, boundary="x")
    >>> framed.part_headers[1], framed.closing
    (b'\r\n--x\r\nContent-Range: bytes 5-8/10\r\n\r\n', b'\r\n--x--\r\n')
    """
    if not spans:
        raise ValueError("multipart/byteranges has one part or more")
    if _is_boundary(boundary) is None:
        raise ValueError(f"not a boundary of 1 to 70 plain characters: {boundary!r}")
    delimiter = b"--" + boundary.encode("ascii")
    start_of_part = delimiter + b"\r\n"
    if media_type is not None:
        start_of_part += b"Content-Type: %b\r\n" % check_field("content-type", media_type)[1]
    part_headers: list[bytes] = []
    for number, span in enumerate(spans):
        content_range = format_content_range(span, size).encode("ascii")
        # The CRLF before a delimiter belongs to the delimiter (RFC 2046, section 5.1.1).
        lead = b"\r\n" if number else b""
        part_headers.append(b"%b%bContent-Range: %b\r\n\r\n" % (lead, start_of_part, content_range))
    closing = b"\r\n" + delimiter + b"--\r\n"
    framing = sum(map(len, part_headers)) + len(closing)
    return ByteRanges(
        f"multipart/byteranges; boundary={boundary}",
        part_headers,
        closing,
        framing + sum(stop - start for start, stop in spans),
    )
