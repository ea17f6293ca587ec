"""The choice between 200, 206, 304, 412 and 416, without a file and without a server."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.exceptions import RangeNotSatisfiable
from asgikit.http.ranges import Span
from asgikit.http.response_plan import (
    RawHeaders,
    Selection,
    answer_precondition,
    error_headers,
    read_conditional_headers,
    select,
)

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
LATER = b"Sun, 06 Nov 1994 08:49:38 GMT"
FIELDS = [
    (b"content-type", b"text/plain"),
    (b"cache-control", b"max-age=60"),
    (b"etag", b'"1"'),
    (b"last-modified", DATE),
    (b"set-cookie", b"a=b"),
]
CONTENT = b"0123456789"


def select_ten_bytes(
    fields: dict[str, str] | RawHeaders, method: str = "GET", status_code: int = 200
) -> Selection:
    """Select the response for ten bytes with FIELDS."""
    if isinstance(fields, dict):
        fields = [(name.encode(), value.encode()) for name, value in fields.items()]
    return select(
        method, status_code, fields, FIELDS, 10, now=8e8, make_boundary=lambda: "boundary"
    )


def body_of(selection: Selection, content: bytes = CONTENT) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else content[piece.start : piece.stop]
        for piece in selection.segments
    )


WHOLE = (200, CONTENT)

CASES = [
    ({}, *WHOLE),
    ({"range": "bytes=0-0"}, 206, b"0"),
    ({"range": "bytes=2-"}, 206, b"23456789"),
    ({"range": "bytes=-3"}, 206, b"789"),
    ({"range": "bytes=-100"}, 206, CONTENT),
    ({"range": "bytes=0-1,500-600"}, 206, b"01"),  # one remaining range needs no parts
    ({"range": "bytes=0-6,3-9"}, *WHOLE),  # more bytes than the representation
    ({"range": "pages=1-2"}, *WHOLE),
    ({"range": "bytes=2-1"}, *WHOLE),
    ({"range": "bytes=" + ",".join(["0-0"] * 17)}, *WHOLE),
    # If-Range: a strong entity tag, or the equal date.
    ({"range": "bytes=0-0", "if-range": '"1"'}, 206, b"0"),
    ({"range": "bytes=0-0", "if-range": '"2"'}, *WHOLE),
    ({"range": "bytes=0-0", "if-range": 'W/"1"'}, *WHOLE),
    ({"range": "bytes=0-0", "if-range": DATE.decode()}, 206, b"0"),
    ({"range": "bytes=0-0", "if-range": LATER.decode()}, *WHOLE),
    ({"range": "bytes=0-0", "if-range": "Sunday, 06-Nov-94 08:49:37 GMT"}, 206, b"0"),
    ({"range": "bytes=0-0", "if-range": "junk"}, *WHOLE),
    ({"if-range": '"1"'}, *WHOLE),  # without Range
    # Preconditions come before ranges.
    ({"if-none-match": '"1"'}, 304, b""),
    ({"if-none-match": '"1"', "range": "bytes=0-0"}, 304, b""),
    ({"if-none-match": '"1"', "range": "bytes=99-"}, 304, b""),
    ({"if-none-match": '"2"', "range": "bytes=0-0"}, 206, b"0"),
    ({"if-none-match": '"2"', "if-modified-since": DATE.decode()}, *WHOLE),
    ({"if-modified-since": DATE.decode()}, 304, b""),
    ({"if-match": '"2"'}, 412, b""),
    ({"if-match": "*"}, *WHOLE),
    ({"if-unmodified-since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 412, b""),
]


@pytest.mark.parametrize(("fields", "status_code", "body"), CASES)
@pytest.mark.parametrize("method", ["GET", "QUERY"])
def test_select_for_get_and_query(
    method: str, fields: dict[str, str], status_code: int, body: bytes
) -> None:
    selection = select_ten_bytes(fields, method)

    assert (selection.status_code, body_of(selection)) == (status_code, body)


@pytest.mark.parametrize(("fields", "status_code", "body"), CASES)
def test_select_for_head_has_no_body_and_ignores_ranges(
    fields: dict[str, str], status_code: int, body: bytes
) -> None:
    selection = select_ten_bytes(fields, "HEAD")

    assert selection.segments == []
    assert selection.status_code == (200 if status_code == 206 else status_code)
    if selection.status_code == 200:
        assert (b"content-length", b"10") in selection.headers


@pytest.mark.parametrize(("method", "status_code"), [("POST", 200), ("GET", 404), ("GET", 206)])
@pytest.mark.parametrize("fields", [fields for fields, *_ in CASES])
def test_select_for_other_method_or_status_sends_whole(
    method: str, status_code: int, fields: dict[str, str]
) -> None:
    assert select_ten_bytes(fields, method, status_code) == Selection(
        status_code, [*FIELDS, (b"content-length", b"10")], [Span(0, 10)]
    )


def test_select_without_request_sends_no_accept_ranges() -> None:
    selection = select("GET", 200, None, FIELDS, 10, make_boundary=str)

    assert selection == (200, [*FIELDS, (b"content-length", b"10")], [(0, 10)])


def test_select_headers_of_each_status() -> None:
    ranges = (b"accept-ranges", b"bytes")

    assert select_ten_bytes({}).headers == [*FIELDS, ranges, (b"content-length", b"10")]
    assert select_ten_bytes({"range": "bytes=1-2"}).headers == [
        *FIELDS,
        ranges,
        (b"content-range", b"bytes 1-2/10"),
        (b"content-length", b"2"),
    ]
    assert select_ten_bytes({"if-none-match": "*"}).headers == [FIELDS[1], FIELDS[2], FIELDS[4]]
    # A 412 must not be cached as the content would be.
    assert select_ten_bytes({"if-match": '"2"'}).headers == [FIELDS[4], (b"content-length", b"0")]


def test_select_several_ranges_has_exact_content_length() -> None:
    selection = select_ten_bytes({"range": "bytes=7-8, 0-1"})

    assert selection.status_code == 206
    assert selection.headers == [
        *FIELDS[1:],
        (b"accept-ranges", b"bytes"),
        (b"content-type", b"multipart/byteranges; boundary=boundary"),
        (b"content-length", b"%d" % len(body_of(selection))),
    ]
    assert body_of(selection) == (
        b"--boundary\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/10\r\n\r\n78"
        b"\r\n--boundary\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--boundary--\r\n"
    )


def test_select_parts_without_content_type() -> None:
    request_headers = [(b"range", b"bytes=0-0,9-9")]
    selection = select("GET", 200, request_headers, [], 10, make_boundary=lambda: "b")

    assert body_of(selection).startswith(b"--b\r\nContent-Range: bytes 0-0/10\r\n\r\n0")


@pytest.mark.parametrize("value", ["bytes=-0", "bytes=10-", "bytes=10-11,-0"])
def test_select_ranges_beyond_the_end_raises(value: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        select_ten_bytes({"range": value})

    assert caught.value.size == 10


def test_select_ignores_range_of_empty_representation() -> None:
    selection = select("GET", 200, [(b"range", b"bytes=0-")], [], 0, make_boundary=str)

    assert selection == (200, [(b"accept-ranges", b"bytes"), (b"content-length", b"0")], [])


def test_select_unconditional_still_obeys_if_range() -> None:
    def unconditional(*fields: tuple[bytes, bytes]) -> int:
        return select(
            "GET", 200, fields, FIELDS, 10, conditional=False, make_boundary=str
        ).status_code

    assert unconditional((b"if-none-match", b"*")) == 200
    assert unconditional((b"if-match", b'"2"')) == 200
    assert unconditional((b"range", b"bytes=0-0")) == 206
    assert unconditional((b"range", b"bytes=0-0"), (b"if-range", b'"2"')) == 200


def test_select_without_ranges_sends_no_accept_ranges() -> None:
    request_headers = [(b"range", b"bytes=0-0")]
    selection = select("GET", 200, request_headers, [], 10, max_ranges=0, make_boundary=str)

    assert selection == (200, [(b"content-length", b"10")], [(0, 10)])


def test_select_does_not_repeat_headers() -> None:
    fields = [
        (b"accept-ranges", b"bytes"),
        (b"content-length", b"10"),
        (b"content-range", b"bytes 0-9/10"),
    ]

    assert select("GET", 200, [], fields, 10, make_boundary=str).headers == [
        (b"accept-ranges", b"bytes"),
        (b"content-length", b"10"),
    ]


def test_select_does_not_change_its_arguments() -> None:
    before = [*FIELDS]
    for fields, *_ in CASES:
        select_ten_bytes(fields)

    assert before == FIELDS


@pytest.mark.parametrize(
    ("fields", "status_code"),
    [
        ([(b"if-none-match", b'"2"'), (b"if-none-match", b'"1"')], 304),  # a list of two lines
        ([(b"range", b"bytes=0-0"), (b"range", b"bytes=1-1")], 200),  # not a list
        ([(b"if-modified-since", DATE), (b"if-modified-since", DATE)], 200),  # not a list
        ([(b"if-none-match", b'"1"'), (b"if-none-match", b"\xff")], 200),
    ],
)
def test_conditional_header_lines_are_one_list(fields: RawHeaders, status_code: int) -> None:
    assert select_ten_bytes(fields).status_code == status_code


def test_request_without_conditional_headers() -> None:
    assert read_conditional_headers([(b"host", b"a"), (b"accept", b"*/*")]) == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_answer_precondition_ignores_writing_methods(method: str) -> None:
    assert answer_precondition(method, {b"if-match": '"2"'}, FIELDS) is None


def test_precondition_without_validator_tests_existence() -> None:
    assert answer_precondition("GET", {b"if-match": '"1"'}, []) == (
        412,
        [(b"content-length", b"0")],
        [],
    )
    assert answer_precondition("GET", {b"if-match": "*"}, []) is None
    assert answer_precondition("GET", {b"if-modified-since": DATE.decode()}, []) is None


def test_error_headers_drop_content_headers() -> None:
    kept = [(b"access-control-allow-origin", b"*"), (b"x-content-type-options", b"nosniff")]

    assert error_headers([*FIELDS, (b"expires", DATE), *kept]) == [FIELDS[4], *kept]


positions = st.integers(0, 60).map(str) | st.just("")
ranges = st.tuples(positions, positions).map("-".join)
fields = st.lists(ranges, min_size=1, max_size=6).map(lambda sets: "bytes=" + ",".join(sets))


@pytest.mark.property
@given(field=fields, size=st.integers(0, 50))
def test_select_partial_body_matches_ranges_and_length(field: str, size: int) -> None:
    content = bytes(range(size))
    request_headers = [(b"range", field.encode())]
    headers = [(b"content-type", b"a/b")]
    try:
        selection = select(
            "GET", 200, request_headers, headers, size, make_boundary=lambda: "BOUND"
        )
    except RangeNotSatisfiable:
        assert size > 0
        return

    sent = dict(selection.headers)
    body = body_of(selection, content)
    assert int(sent[b"content-length"]) == len(body)
    slices = read_slices(selection, body)
    assert all(content[start:stop] == data for start, stop, data in slices)
    assert sum(len(data) for *_, data in slices) <= size
    if selection.status_code == 206:
        covered = {at for start, stop, _ in slices for at in range(start, stop)}
        assert covered == requested_positions(field, size)


def read_slices(selection: Selection, body: bytes) -> list[tuple[int, int, bytes]]:
    """Parse a response as a client does."""
    sent = dict(selection.headers)
    if selection.status_code == 200:
        return [(0, len(body), body)]
    if b"content-range" in sent:
        return [(*read_content_range(sent[b"content-range"]), body)]
    assert sent[b"content-type"] == b"multipart/byteranges; boundary=BOUND"
    assert body.startswith(b"--BOUND\r\n")
    *parts, closing = (b"\r\n" + body).split(b"\r\n--BOUND")
    assert closing == b"--\r\n"
    slices = []
    for part in parts[1:]:
        head, _, data = part.partition(b"\r\n\r\n")
        media_type, content_range = head.removeprefix(b"\r\n").split(b"\r\n")
        assert media_type == b"Content-Type: a/b"
        slices.append((*read_content_range(content_range.removeprefix(b"Content-Range: ")), data))
    return slices


def read_content_range(value: bytes) -> tuple[int, int]:
    match = re.fullmatch(rb"bytes (\d+)-(\d+)/\d+", value)
    assert match is not None
    return int(match[1]), int(match[2]) + 1


def requested_positions(field: str, size: int) -> set[int]:
    """Return the positions that a Range header names by section 14.1.2."""
    at: set[int] = set()
    for pair in field.removeprefix("bytes=").split(","):
        first, last = pair.split("-")
        if first:
            at.update(range(int(first), min(int(last or size), size - 1) + 1))
        else:
            at.update(range(max(size - int(last), 0), size))
    return at
