"""Byte ranges (:rfc:`9110`, section 14): which slices of a file to send, and their framing."""

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
# Commas and white space are taken with the range that follows them, in one step however many there
# are. An other-range belongs to a unit that we do not know, so it is read as malformed.
_RANGE_SPEC = re.compile(r"[ \t,]*+(?:([0-9]++)-([0-9]*+)|-([0-9]++))[ \t]*+(?:,|\Z)")

# Content-Range    = range-unit SP ( range-resp / unsatisfied-range )
# range-resp       = first-pos "-" last-pos "/" ( complete-length / "*" )
# unsatisfied-range = "*/" complete-length
_CONTENT_RANGE = re.compile(r"([0-9]++)-([0-9]++)/(?:([0-9]++)|\*)").fullmatch
_UNSATISFIED_RANGE = re.compile(r"\*/([0-9]++)").fullmatch

# boundary         = 0*69<bchars> bcharsnospace        (RFC 2046, section 5.1.1)
#
# Only those that are token characters as well, so that Content-Type needs no quotes.
_is_boundary = re.compile(r"[0-9A-Za-z'+_.-]{1,70}").fullmatch

# The RFC puts no bound on the digits. What takes more than 19 of them lies beyond any file.
_BEYOND = 10**19


class Span(NamedTuple):
    """A slice of a representation in bytes, half-open: ``content[start:stop]``."""

    start: int
    stop: int


class RangeSpec(NamedTuple):
    """One range as it was asked for, both ends inclusive (section 14.1.1).

    ``(0, 499)`` are the first 500 bytes, ``(500, None)`` all from the 501st, and ``(None, 500)``
    the last 500.
    """

    first: int | None
    last: int | None

    def resolve(self, size: int) -> Span | None:
        """Give what there is of it in ``size`` bytes; :obj:`None` where there is nothing.

        >>> RangeSpec(None, 500).resolve(2000)
        Span(start=1500, stop=2000)
        """
        first, last = self
        if first is None:
            # A suffix longer than the representation is all of it (section 14.1.2).
            first, last = max(size - (last or 0), 0), None
        stop = size if last is None else min(last + 1, size)
        return Span(first, stop) if first < stop else None


class RangesSpecifier(NamedTuple):
    """A ``Range`` field before the size is known: a lower-case unit, and one range or more."""

    unit: str
    ranges: list[RangeSpec]


class ContentRange(NamedTuple):
    """A ``Content-Range`` field in bytes (section 14.4).

    ``span`` is :obj:`None` in an answer 416, ``size`` where the whole size is not known.
    """

    span: Span | None
    size: int | None


class ByteRanges(NamedTuple):
    """The framing of a ``multipart/byteranges`` body (section 14.6).

    The body is each of ``part_headers`` and then the bytes of its span, and ``closing`` in the end.

    Attributes:
        content_type: of the response.
        part_headers: what goes before each span, delimiter and blank line included.
        closing: what goes after the last one.
        content_length: of all of it, in bytes.
    """

    content_type: str
    part_headers: list[bytes]
    closing: bytes
    content_length: int


def parse_ranges_specifier(value: str, *, limit: int = 16) -> RangesSpecifier | None:
    """Read a ``Range`` field of any unit that counts as bytes do (section 14.1.1).

    Args:
        value: the field.
        limit: more ranges than this are not read.

    Returns:
        What it asks for; or :obj:`None` where it is malformed or over the limit. Positions of more
        than 19 digits come out as ``10**19``.

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
        # The work ends at the limit, whatever the length of the field (section 17.15).
        if spec is None or len(ranges) >= limit:
            return None
        # Each turn takes a "-" at the least.
        position = spec.end()
        first, last, suffix = map(_position, spec.groups())
        # A last position before the first makes the field invalid (section 14.1.1).
        if first is not None and last is not None and last < first:
            return None
        ranges.append(RangeSpec(first, last if suffix is None else suffix))
    return RangesSpecifier(match[1].lower(), ranges) if ranges else None


def _position(digits: str | None) -> int | None:
    if not digits:
        return None
    number = parse_digits(digits.lstrip("0") or "0")
    return _BEYOND if number is None else number


def parse_range(value: str, size: int, *, limit: int = 16) -> list[Span] | None:
    """Resolve a ``Range`` field against a representation of ``size`` bytes (section 14.2).

    Args:
        value: the field.
        size: of the representation, in bytes.
        limit: more ranges than this are an attack or a mistake.

    Returns:
        Non-empty spans within ``[0, size)``, in the order asked for, overlapping ones merged; or
        :obj:`None` when the field must be ignored and all of it sent.

    Raises:
        RangeNotSatisfiable: every range lies beyond ``size``.

    >>> parse_range("bytes=0-499, -1", 1000)
    [Span(start=0, stop=500), Span(start=999, stop=1000)]
    """
    specifier = parse_ranges_specifier(value, limit=limit)
    # A unit we do not know makes the field as if absent (section 14.2).
    if specifier is None or specifier.unit != "bytes":
        return None
    # No Content-Range can name a slice of nothing, and some clients send a Range with every
    # request: they get their empty file, not an error.
    if size == 0:
        return None
    spans = [span for spec in specifier.ranges if (span := spec.resolve(size)) is not None]
    if not spans:
        raise RangeNotSatisfiable(size)
    # Ranges that ask for more than there is are cheaper to answer with all of it (section 17.15).
    if sum(stop - start for start, stop in spans) > size:
        return None
    return _merge(spans) if len(spans) > 1 else spans


def _merge(spans: list[Span]) -> list[Span]:
    """Join the spans that overlap, in the place of the first; keep the order (section 15.3.7.2)."""
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1].stop:
            merged[-1] = Span(merged[-1].start, max(merged[-1].stop, stop))
        else:
            merged.append(Span(start, stop))
    starts = [span.start for span in merged]
    # Each span lies in the last merged one that starts no later than it does.
    return list(dict.fromkeys(merged[bisect_right(starts, start) - 1] for start, _ in spans))


def format_content_range(span: Span, size: int | None) -> str:
    """Write the ``Content-Range`` of an answer 206 (section 14.4).

    Raises:
        ValueError: the span is empty, or not within ``size`` bytes.

    >>> format_content_range(Span(0, 500), 1000)
    'bytes 0-499/1000'
    """
    start, stop = span
    if not 0 <= start < stop or (size is not None and stop > size):
        raise ValueError(f"not a part of {size} bytes: {span}")
    return f"bytes {start}-{stop - 1}/{'*' if size is None else size}"


def format_unsatisfied_range(size: int) -> str:
    """Write the ``Content-Range`` of an answer 416 (section 14.4).

    Raises:
        ValueError: the size is negative.

    >>> format_unsatisfied_range(1000)
    'bytes */1000'
    """
    if size < 0:
        raise ValueError(f"a size is not negative: {size}")
    return f"bytes */{size}"


def parse_content_range(value: str) -> ContentRange | None:
    """Read a ``Content-Range`` field (section 14.4).

    Returns:
        Its span and size; or :obj:`None` where it is malformed, contradicts itself, or counts in
        another unit than bytes.

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
    # A last position before the first, or not within the size, makes the field invalid.
    if last < first or (size is not None and last >= size):
        return None
    return ContentRange(Span(first, last + 1), size)


def format_byte_ranges(
    spans: Sequence[Span], size: int, *, media_type: str | None, boundary: str
) -> ByteRanges:
    r"""Frame several spans as ``multipart/byteranges`` (section 14.6).

    Args:
        spans: what to send, in this order.
        size: of the whole representation, in bytes.
        media_type: of the whole representation; it is repeated in each part.
        boundary: what separates the parts. The content must not have it: take a random one.

    Raises:
        ValueError: there are no spans, one is not within ``size``, or the boundary or the media
            type cannot be written.

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
        # The CRLF before a delimiter belongs to it, and not to the part before (RFC 2046, 5.1.1).
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
