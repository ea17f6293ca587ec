"""What to send of a representation (:rfc:`9110`, sections 13 and 14): all, slices, or none of it.

The request's preconditions and ranges meet the response's own fields and size here, in bytes as
ASGI has both. Nothing is read and nothing is sent.
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
from asgikit.http.ranges import Span, format_byte_ranges, format_content_range, parse_range
from asgikit.limits import MAX_HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from asgikit.http.conditional import ETag

__all__ = [
    "Selection",
    "answer_precondition",
    "error_headers",
    "has_conditional_headers",
    "read_conditional_headers",
    "select",
]

RawHeaders = list[tuple[bytes, bytes]]

# The fields of a request that choose between the answers.
_CONDITIONAL_HEADERS = frozenset(
    {
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)

# The fields that tell of a content, and for how long to keep it.
_OF_CONTENT = frozenset(
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

_MADE_HERE = (b"content-length", b"content-range")
_ACCEPT_RANGES = (b"accept-ranges", b"bytes")


class Selection(NamedTuple):
    """An answer, ready to be sent.

    Attributes:
        status_code: of the answer.
        headers: all of its fields, Content-Length among them.
        segments: its body, in order: bytes as they are, and slices of the representation.
    """

    status_code: int
    headers: RawHeaders
    segments: list[bytes | Span]


def has_conditional_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request has a precondition or a range, which few have.

    >>> has_conditional_headers([(b"host", b"example.com")])
    False
    """
    for name, _ in request_headers:  # noqa: SIM110 - any() takes twice as long
        if name in _CONDITIONAL_HEADERS:
            return True
    return False


def read_conditional_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return the preconditions and the range of a request, by lower-case name.

    A header over 8 KiB is left out.

    >>> read_conditional_headers([(b"host", b"example.com"), (b"range", b"bytes=0-1")])
    {b'range': 'bytes=0-1'}
    """
    conditional_headers: dict[bytes, list[bytes]] = {}
    for name, value in request_headers:
        if name in _CONDITIONAL_HEADERS:
            conditional_headers.setdefault(name, []).append(value)
    # Lines of one header are one list (section 5.3). If the header is no list, the value is
    # malformed and is ignored. So is a value that is too long to be parsed.
    joined = {
        name: b", ".join(values).decode("latin-1") for name, values in conditional_headers.items()
    }
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
    r"""Decide what to send of a representation of ``size`` bytes (section 13.2.2).

    Args:
        method: of the request.
        status_code: of the answer in full.
        request_headers: the request's fields; :obj:`None` where they are not known.
        headers: the fields of the answer in full, validators included.
        size: in bytes.
        conditional: whether to obey preconditions. If-Range belongs to a range, and is obeyed.
        max_ranges: more than these are not obeyed; with 0, none is.
        now: POSIX seconds, for dates of the obsolete format.
        make_boundary: gives what separates the parts of several ranges.

    Raises:
        RangeNotSatisfiable: every range asked for lies beyond the end.

    >>> fields = [(b"range", b"bytes=2-")]
    >>> selection = select("GET", 200, fields, [], 10, make_boundary=str)
    >>> selection.status_code, selection.segments
    (206, [Span(start=2, stop=10)])
    """
    own = dict(headers)
    headers = [*headers]
    if b"content-length" in own or b"content-range" in own:
        headers = [field for field in headers if field[0] not in _MADE_HERE]
    # Both are about what would be a 200 (sections 13.2.1 and 14.2).
    if status_code == 200 and request_headers is not None and method in ("GET", "HEAD"):
        if max_ranges and b"accept-ranges" not in own:
            headers.append(_ACCEPT_RANGES)
        if has_conditional_headers(request_headers):
            conditional_headers = read_conditional_headers(request_headers)
            answer = (
                answer_precondition(method, conditional_headers, headers, now)
                if conditional
                else None
            )
            if answer is None and method == "GET" and b"range" in conditional_headers:
                answer = _select_ranges(
                    conditional_headers, headers, size, max_ranges, now, make_boundary
                )
            if answer is not None:
                return answer
    headers.append((b"content-length", b"%d" % size))
    whole: list[bytes | Span] = [Span(0, size)] if size and method != "HEAD" else []
    return Selection(status_code, headers, whole)


def answer_precondition(
    method: str,
    conditional_headers: dict[bytes, str],
    headers: RawHeaders,
    now: float | None = None,
) -> Selection | None:
    """Answer 304 or 412 where a precondition says so; :obj:`None`: go on.

    Args:
        method: of the request. What others than GET and HEAD have done is done: no condition that
            fails afterwards takes it back.
        conditional_headers: what :func:`read_conditional_headers` has read.
        headers: the fields of the answer 200, validators included.
        now: POSIX seconds, for dates of the obsolete format.

    >>> answer_precondition("GET", {b"if-none-match": '"1"'}, [(b"etag", b'"1"')])
    Selection(status_code=304, headers=[(b'etag', b'"1"')], segments=[])
    """
    if method not in ("GET", "HEAD"):
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
    """Take the fields of an answer 200 that an error in its place has too, in order.

    Cookies are for the exchange, and ``Access-Control-Allow-Origin`` for whoever reads the error.
    What tells of the content, and for how long to keep it, is not said of an error.

    >>> error_headers([(b"set-cookie", b"a=b"), (b"cache-control", b"max-age=600")])
    [(b'set-cookie', b'a=b')]
    """
    return [field for field in headers if field[0] not in _OF_CONTENT]


def _validators(headers: RawHeaders) -> tuple[ETag | None, datetime | None]:
    """Read what goes out: the client has nothing else to compare with."""
    own = dict(headers)
    etag = own.get(b"etag")
    last_modified = own.get(b"last-modified")
    return (
        None if etag is None else parse_etag(etag.decode("latin-1")),
        None if last_modified is None else parse_http_date(last_modified.decode("latin-1")),
    )


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
        start, stop = spans[0]
        content_range = format_content_range(spans[0], size).encode("ascii")
        fields = [
            *headers,
            (b"content-range", content_range),
            (b"content-length", b"%d" % (stop - start)),
        ]
        return Selection(206, fields, [*spans])
    # What all have in common is in each of the parts, Content-Range in nothing else
    # (section 15.3.7.2).
    media_type = dict(headers).get(b"content-type")
    framed = format_byte_ranges(
        spans,
        size,
        media_type=None if media_type is None else media_type.decode("latin-1"),
        boundary=make_boundary(),
    )
    fields = [field for field in headers if field[0] != b"content-type"]
    fields.append((b"content-type", framed.content_type.encode("ascii")))
    fields.append((b"content-length", b"%d" % framed.content_length))
    segments: list[bytes | Span] = []
    for part in zip(framed.part_headers, spans, strict=True):
        segments += part
    return Selection(206, fields, [*segments, framed.closing])
