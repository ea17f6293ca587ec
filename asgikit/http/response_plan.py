"""Choose between 200, 206, 304 and 412 for a representation (:rfc:`9110`, sections 13 and 14).

:func:`select` compares the request's conditional headers with the validators, the size and the
status of the response that the app made, and returns a :class:`Selection`. Nothing is read or sent
here. The steps are those of section 13.2.2:

1. Preconditions apply only if the status would be 200 and the method is GET, HEAD or QUERY
   (:rfc:`10008`). They give a 304 or a 412 without a body, with some of the headers of the 200.
2. Range applies only to GET and QUERY. If If-Range is there, it must match the validators.
3. If ranges are obeyed, the response is a 206 with one span or with ``multipart/byteranges``. If no
   range overlaps the representation, :exc:`~asgikit.exceptions.RangeNotSatisfiable` is raised.
4. Otherwise the whole representation is sent with the status of the app.

A response with its body in memory uses step 1 alone: :func:`answer_precondition`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgikit.http.conditional import (
    evaluate_preconditions,
    if_range_matches,
    not_modified_headers,
    parse_etag,
)
from asgikit.http.dates import parse_http_date
from asgikit.http.framing import READ_METHODS
from asgikit.http.ranges import Span, format_byte_ranges, format_content_range, parse_range
from asgikit.limits import MAX_HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from asgikit.http.conditional import ETag

__all__ = [
    "CONDITIONAL_HEADERS",
    "Selection",
    "answer_precondition",
    "error_headers",
    "has_conditional_headers",
    "part_headers",
    "read_conditional_headers",
    "select",
]

RawHeaders = list[tuple[bytes, bytes]]

#: The headers of a request that select the response.
CONDITIONAL_HEADERS = frozenset(
    {
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)

# Headers that describe the content of a response and how long caches may store it.
_CONTENT_HEADERS = frozenset(
    {
        b"accept-ranges",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-location",
        b"content-range",
        b"content-type",
        b"etag",
        b"expires",
        b"last-modified",
    }
)

# Headers that follow from the selection.
_FRAMING_HEADERS = (b"content-length", b"content-range")
_ACCEPT_RANGES = (b"accept-ranges", b"bytes")


class Selection(NamedTuple):
    """A response to send.

    Attributes:
        status_code: The status.
        headers: The headers, with Content-Length.
        segments: The body in order: bytes, and spans of the representation.
    """

    status_code: int
    headers: RawHeaders
    segments: list[bytes | Span]


def has_conditional_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request has a precondition or a Range header.

    >>> has_conditional_headers([(b"host", b"example.com")])
    False
    """
    for name, _ in request_headers:  # noqa: SIM110 - any() with a generator is slower
        if name in CONDITIONAL_HEADERS:
            return True
    return False


def read_conditional_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return the preconditions and the Range header of a request by lower-case name.

    A header over 8 KiB is left out, which means that it is ignored.

    >>> read_conditional_headers([(b"host", b"example.com"), (b"range", b"bytes=0-1")])
    {b'range': 'bytes=0-1'}
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, value in request_headers:
        if name in CONDITIONAL_HEADERS:
            lines.setdefault(name, []).append(value)
    # Lines of one header are one list (section 5.3). If the grammar of the header is no list, the
    # joined value is malformed and is ignored.
    joined = {name: b", ".join(values).decode("latin-1") for name, values in lines.items()}
    return {name: value for name, value in joined.items() if len(value) <= MAX_HEADER_SIZE}


def select(
    method: str,
    status_code: int,
    request_headers: Iterable[tuple[bytes, bytes]] | None,
    headers: RawHeaders,
    size: int,
    *,
    conditional: bool = True,
    max_ranges: int = 16,
    now: float | None = None,
    make_boundary: Callable[[], str],
) -> Selection:
    r"""Select the response for a representation of ``size`` bytes (section 13.2.2).

    Args:
        method: The method of the request in upper case.
        status_code: The status of the whole response.
        request_headers: The headers of the request; ``None`` if they are not known.
        headers: The headers of the whole response, with its validators.
        size: The size of the representation in bytes.
        conditional: Whether to obey preconditions. If-Range is part of a range request, and is
            obeyed in any case.
        max_ranges: The number of ranges accepted; with 0, Range is ignored.
        now: The time of the request in POSIX seconds, for dates of the obsolete RFC 850 format.
        make_boundary: Returns the boundary of a response with several ranges.

    Raises:
        RangeNotSatisfiable: Each range begins at or after ``size``.

    >>> request_headers = [(b"range", b"bytes=2-")]
    >>> selection = select("GET", 200, request_headers, [], 10, make_boundary=str)
    >>> selection.status_code, selection.segments
    (206, [Span(start=2, stop=10)])
    """
    own = dict(headers)
    headers = [*headers]
    if b"content-length" in own or b"content-range" in own:
        headers = [header for header in headers if header[0] not in _FRAMING_HEADERS]
    # Preconditions and ranges apply only if the status would be 200 (sections 13.2.1 and 14.2).
    if status_code == 200 and request_headers is not None and method in READ_METHODS:
        if max_ranges and b"accept-ranges" not in own:
            headers.append(_ACCEPT_RANGES)
        if has_conditional_headers(request_headers):
            asked = read_conditional_headers(request_headers)
            selection = answer_precondition(method, asked, headers, now) if conditional else None
            if selection is None and method != "HEAD" and b"range" in asked:
                selection = _select_ranges(asked, headers, size, max_ranges, now, make_boundary)
            if selection is not None:
                return selection
    headers.append((b"content-length", b"%d" % size))
    whole: list[bytes | Span] = [Span(0, size)] if size and method != "HEAD" else []
    return Selection(status_code, headers, whole)


def answer_precondition(
    method: str,
    conditional_headers: dict[bytes, str],
    headers: RawHeaders,
    now: float | None = None,
) -> Selection | None:
    """Return the 304 or 412 that the preconditions require.

    Args:
        method: The method of the request in upper case. For methods that write, the
            result is ``None``: the app has performed the request already, and a 412 would deny
            that.
        conditional_headers: The result of :func:`read_conditional_headers`.
        headers: The headers of the 200, with its validators.
        now: The time of the request in POSIX seconds, for dates of the obsolete RFC 850 format.

    Returns:
        The response; ``None`` if the 200 is to be sent.

    >>> answer_precondition("GET", {b"if-none-match": '"1"'}, [(b"etag", b'"1"')])
    Selection(status_code=304, headers=[(b'etag', b'"1"')], segments=[])
    """
    if method not in READ_METHODS:
        return None
    # perf: static_range -5 %: a range alone is no precondition.
    if conditional_headers.keys() <= {b"range", b"if-range"}:
        return None
    etag, last_modified = _validators(headers)
    status = evaluate_preconditions(
        method=method,
        if_match=conditional_headers.get(b"if-match"),
        if_unmodified_since=conditional_headers.get(b"if-unmodified-since"),
        if_none_match=conditional_headers.get(b"if-none-match"),
        if_modified_since=conditional_headers.get(b"if-modified-since"),
        etag=etag,
        last_modified=last_modified,
        now=now,
    )
    if status == 304:
        return Selection(304, not_modified_headers(headers), [])
    if status == 412:
        return Selection(412, [*error_headers(headers), (b"content-length", b"0")], [])
    return None


def error_headers(headers: RawHeaders) -> RawHeaders:
    """Select the headers of a 200 that an error in its place has as well, in order.

    Headers that concern the exchange, such as cookies and CORS headers, are kept. Headers that
    describe the content, or how long it may be stored, are left out.

    >>> error_headers([(b"set-cookie", b"a=b"), (b"cache-control", b"max-age=600")])
    [(b'set-cookie', b'a=b')]
    """
    return [header for header in headers if header[0] not in _CONTENT_HEADERS]


def _validators(headers: RawHeaders) -> tuple[ETag | None, datetime | None]:
    # The client compares with the headers that it received, so those of the response count.
    own = dict(headers)
    etag = own.get(b"etag")
    last_modified = own.get(b"last-modified")
    return (
        None if etag is None else parse_etag(etag.decode("latin-1")),
        None if last_modified is None else parse_http_date(last_modified.decode("latin-1")),
    )


def part_headers(span: Span, size: int) -> RawHeaders:
    """Return the headers of a 206 that describe its span of a representation of ``size`` bytes.

    >>> part_headers(Span(0, 2), 10)
    [(b'content-range', b'bytes 0-1/10'), (b'content-length', b'2')]
    """
    start, stop = span
    content_range = format_content_range(span, size).encode("ascii")
    return [(b"content-range", content_range), (b"content-length", b"%d" % (stop - start))]


def _select_ranges(
    conditional_headers: dict[bytes, str],
    headers: RawHeaders,
    size: int,
    max_ranges: int,
    now: float | None,
    make_boundary: Callable[[], str],
) -> Selection | None:
    condition = conditional_headers.get(b"if-range")
    if condition is not None:
        etag, last_modified = _validators(headers)
        if not if_range_matches(condition, etag=etag, last_modified=last_modified, now=now):
            return None
    spans = parse_range(conditional_headers[b"range"], size, limit=max_ranges)
    if spans is None:
        return None
    if len(spans) == 1:
        return Selection(206, headers + part_headers(spans[0], size), [*spans])
    # Each part has the media type and its Content-Range; the response itself has no Content-Range
    # (section 15.3.7.2).
    media_type = dict(headers).get(b"content-type")
    framed = format_byte_ranges(
        spans,
        size,
        media_type=None if media_type is None else media_type.decode("latin-1"),
        boundary=make_boundary(),
    )
    headers = [header for header in headers if header[0] != b"content-type"]
    headers.append((b"content-type", framed.content_type.encode("ascii")))
    headers.append((b"content-length", b"%d" % framed.content_length))
    segments: list[bytes | Span] = []
    for part in zip(framed.part_headers, spans, strict=True):
        segments += part
    return Selection(206, headers, [*segments, framed.closing])
