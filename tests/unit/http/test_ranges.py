"""Byte ranges: parsing, resolution against a size, and the framing of multipart/byteranges."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asgikit.exceptions import RangeNotSatisfiable
from asgikit.http.ranges import (
    ContentRange,
    RangeSpec,
    Span,
    format_byte_ranges,
    format_content_range,
    format_unsatisfied_range,
    parse_content_range,
    parse_range,
    parse_ranges_specifier,
)


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("bytes=0-9", [(0, 10)]),
        ("bytes=5-5", [(5, 6)]),
        ("bytes=90-", [(90, 100)]),
        ("bytes=-1", [(99, 100)]),
        ("bytes=-500", [(0, 100)]),  # longer than the file, so all of it
        ("bytes=90-500", [(90, 100)]),
        ("bytes=000-0009", [(0, 10)]),
        ("bytes=0-" + "9" * 5000, [(0, 100)]),  # more digits than int() accepts
        ("bytes=0-" + "0" * 5000 + "9", [(0, 10)]),
        ("BYTES=0-9", [(0, 10)]),
        ("bytes= 0-9 ,\t20-29 ", [(0, 10), (20, 30)]),
        ("bytes=,0-9,, ,20-29,", [(0, 10), (20, 30)]),  # a list may have empty elements
        ("bytes=0-0,-1", [(0, 1), (99, 100)]),
        ("bytes=0-1,500-", [(0, 2)]),  # one satisfiable range is sufficient
        ("bytes=0-1,-0", [(0, 2)]),
        ("bytes=50-59,10-19", [(50, 60), (10, 20)]),  # in the order of the header
        ("bytes=0-9,10-19", [(0, 10), (10, 20)]),  # adjacent ranges do not overlap
        ("bytes=1-5,1-5", [(1, 6)]),
        ("bytes=0-30,10-19", [(0, 31)]),
        ("bytes=40-49,10-20,15-25", [(40, 50), (10, 26)]),
        ("bytes=15-25,40-49,10-20", [(10, 26), (40, 50)]),  # merged in the place of the first
        ("bytes=0-49,0-49", [(0, 50)]),  # no more bytes than the file in total
    ],
)
def test_parse_range_returns_spans_in_order(value: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(value, 100) == spans


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=100",
        "bytes=5-4",
        "bytes=0-1,5-4",  # one invalid range invalidates the header
        "bytes 0-9",
        "bytes: 0-9",
        "bytes =0-9",
        "=0-9",
        "bytes=0.0-9.0",
        "bytes=0-1_0",
        "bytes=+0-9",
        "bytes=0-5-9",
        "bytes=0 - 9",
        "bytes=0-1 0",
        "bytes=*",
        "bytes=0-9;20-29",
        "bytes=0-9\n",
        "bytes=\xb2-\xb9",  # isdigit() is true of these
        "bytes=\u0660-\u0669",
        "pages=1-2",  # an unknown unit
        "bytes=0-9 bytes=0-9",
        "bytes=0-9, bytes=20-29",  # two lines of the header
        "bytes=" + ",".join(f"{n}-{n}" for n in range(17)),  # one range over the limit
        "bytes=0-49,0-50",  # one byte more than the file in total
        "bytes=" + "," * 64_000,
    ],
)
def test_parse_range_ignores_malformed_headers(value: str) -> None:
    assert parse_range(value, 100) is None


@pytest.mark.parametrize(
    "value", ["bytes=100-", "bytes=-0", "bytes=200-,300-400", "bytes=" + "9" * 25 + "-" + "9" * 20]
)
def test_parse_range_beyond_the_end_raises_416_with_size(value: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(value, 100)

    assert caught.value.size == 100


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=5-", "bytes=-5", "bytes=-0"])
def test_parse_range_is_ignored_for_empty_files(value: str) -> None:
    assert parse_range(value, 0) is None


def test_parse_range_accepts_as_many_ranges_as_the_limit() -> None:
    value = "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 32, 2))

    assert parse_range(value, 100) == [(n, n + 1) for n in range(0, 32, 2)]
    assert parse_range(value, 100, limit=15) is None
    assert parse_range("bytes=0-0", 100, limit=0) is None


@pytest.mark.parametrize(
    ("value", "specifier"),
    [
        ("Pages=1-2", ("pages", [(1, 2)])),
        ("bytes=0-, -5", ("bytes", [(0, None), (None, 5)])),
        ("bytes=99999999999999999999-", ("bytes", [(10**19, None)])),
        ("lines=a-b", None),  # an other-range
    ],
)
def test_parse_ranges_specifier(value: str, specifier: object) -> None:
    assert parse_ranges_specifier(value) == specifier


@pytest.mark.parametrize(
    ("span", "size", "value"),
    [
        (Span(0, 500), 1000, "bytes 0-499/1000"),
        (Span(999, 1000), 1000, "bytes 999-999/1000"),
        (Span(0, 1), None, "bytes 0-0/*"),
    ],
)
def test_content_range_round_trip(span: Span, size: int | None, value: str) -> None:
    assert format_content_range(span, size) == value
    assert parse_content_range(value) == (span, size)


def test_unsatisfied_range_round_trip() -> None:
    assert format_unsatisfied_range(0) == "bytes */0"
    assert parse_content_range("bytes */0") == ContentRange(None, 0)


@pytest.mark.parametrize(
    ("span", "size"), [(Span(5, 5), 10), (Span(-1, 5), 10), (Span(0, 11), 10), (Span(6, 5), None)]
)
def test_format_content_range_outside_of_size_raises(span: Span, size: int | None) -> None:
    with pytest.raises(ValueError, match="not a part of"):
        format_content_range(span, size)


def test_format_unsatisfied_range_of_negative_size_raises() -> None:
    with pytest.raises(ValueError, match="not negative"):
        format_unsatisfied_range(-1)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=0-499/1000",
        "pages 0-4/10",
        "bytes  0-4/10",
        "bytes 0-4",
        "bytes 4-0/10",
        "bytes 0-10/10",
        "bytes */*",
        "bytes -4/10",
        "bytes 0-4/10, bytes 5-9/10",
        "bytes 0-4/\xb9",
        f"bytes */{10**20}",
        f"bytes {10**20}-{10**20}/*",
        f"bytes 0-{10**20}/*",
        f"bytes 0-4/{10**20}",
    ],
)
def test_parse_content_range_of_malformed_text_is_none(value: str) -> None:
    assert parse_content_range(value) is None


def test_format_byte_ranges_frames_parts_with_crlf() -> None:
    spans = [Span(0, 2), Span(5, 9)]
    framed = format_byte_ranges(spans, 10, media_type="text/plain", boundary="b")

    assert framed.content_type == "multipart/byteranges; boundary=b"
    assert framed.part_headers == [
        b"--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n",
        b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-8/10\r\n\r\n",
    ]
    assert framed.closing == b"\r\n--b--\r\n"
    assert framed.content_length == sum(map(len, framed.part_headers)) + 6 + len(framed.closing)


def test_format_byte_ranges_without_media_type() -> None:
    framed = format_byte_ranges([Span(0, 2)], 10, media_type=None, boundary="b")

    assert framed.part_headers == [b"--b\r\nContent-Range: bytes 0-1/10\r\n\r\n"]


@pytest.mark.parametrize(
    ("spans", "media_type", "boundary"),
    [
        ([], None, "b"),
        ([Span(0, 11)], None, "b"),
        ([Span(0, 2)], "text/plain\r\nX: y", "b"),
        ([Span(0, 2)], None, ""),
        ([Span(0, 2)], None, "b" * 71),
        ([Span(0, 2)], None, 'b"; x="'),
        ([Span(0, 2)], None, "b\n"),
        ([Span(0, 2)], None, "b c"),  # it would need DQUOTEs
    ],
)
def test_format_byte_ranges_of_invalid_arguments_raises(
    spans: list[Span], media_type: str | None, boundary: str
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_byte_ranges(spans, 10, media_type=media_type, boundary=boundary)


sizes = st.integers(0, 300)
positions = st.integers(0, 320)
specs = st.one_of(
    st.builds(
        lambda first, length: RangeSpec(first, first + length), positions, st.integers(0, 40)
    ),
    st.builds(RangeSpec, positions, st.none()),
    st.builds(RangeSpec, st.none(), positions),
)


def write_spec(spec: RangeSpec) -> str:
    return "-".join("" if end is None else str(end) for end in spec)


def requested_positions(spec: RangeSpec, size: int) -> range:
    """Return the positions that a range names by its definition."""
    if spec.first is None:
        return range(max(size - (spec.last or 0), 0), size)
    return range(spec.first, size if spec.last is None else min(spec.last + 1, size))


def split_parts(body: bytes, boundary: str) -> list[tuple[ContentRange, bytes]]:
    """Parse a multipart/byteranges body by its delimiters alone, as clients do."""
    opening, *parts, end = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    assert (opening, end) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, blank, content = part.partition(b"\r\n\r\n")
        _, kind, content_range = head.split(b"\r\n")
        assert (kind, blank) == (b"Content-Type: a/b", b"\r\n\r\n")
        parsed = parse_content_range(content_range.decode().removeprefix("Content-Range: "))
        assert parsed is not None
        found.append((parsed, content))
    return found


@pytest.mark.property
@pytest.mark.promise
@given(size=sizes, ranges=st.lists(specs, min_size=1, max_size=20))
def test_parts_cover_the_ranges_with_exact_length(size: int, ranges: list[RangeSpec]) -> None:
    content = bytes(n % 251 for n in range(size))
    requested = [requested_positions(spec, size) for spec in ranges]
    value = "bytes=" + ", ".join(map(write_spec, ranges))
    try:
        spans = parse_range(value, size)
    except RangeNotSatisfiable:
        assert size > 0
        assert not any(requested)
        return
    if spans is None:
        assert size == 0 or len(ranges) > 16 or sum(map(len, requested)) > size
        return

    framed = format_byte_ranges(spans, size, media_type="a/b", boundary="+_x")
    body = b"".join(
        head + content[start:stop]
        for head, (start, stop) in zip(framed.part_headers, spans, strict=True)
    )
    body += framed.closing
    parts = split_parts(body, "+_x")

    assert len(body) == framed.content_length
    assert len(body) <= size + 100 * len(ranges) + 100
    covered: list[int] = []
    for (span, whole), data in parts:
        assert span is not None
        assert whole == size
        assert data == content[span.start : span.stop]
        covered += range(span.start, span.stop)
    # Each requested byte is sent once.
    assert sorted(covered) == sorted(set().union(*requested))
    # The parts are in the order in which their first bytes were requested.
    first_requested = [
        next(n for n, it in enumerate(requested) if set(it) & set(range(*s))) for s in spans
    ]
    assert first_requested == sorted(first_requested)


@given(
    first=st.integers(0, 10**20),
    last=st.none() | st.integers(0, 10**20),
    size=st.integers(0, 10**20),
)
@example(first=0, last=0, size=1)
@example(first=5, last=4, size=9)
def test_fast_path_of_parse_range_resolves_as_the_general_path(
    first: int, last: int | None, size: int
) -> None:
    value = f"bytes={first}-{'' if last is None else last}"

    def resolve(text: str) -> object:
        try:
            return parse_range(text, size)
        except RangeNotSatisfiable as error:
            return error.headers

    # A comma at the end changes nothing, and is not on the fast path.
    assert resolve(value) == resolve(value + ",")


@given(st.text(alphabet="bytes=0123456789-, \t\xb2*", max_size=40), sizes)
def test_parse_range_of_any_text_raises_only_416(value: str, size: int) -> None:
    for text in (value, "bytes=" + value):
        try:
            spans = parse_range(text, size)
        except RangeNotSatisfiable:
            continue
        assert spans is None or all(0 <= start < stop <= size for start, stop in spans)


@given(st.integers(0, 10**18), st.integers(1, 10**18), st.integers(0, 10**18) | st.none())
def test_parse_content_range_reverses_format_content_range(
    start: int, length: int, rest: int | None
) -> None:
    span = Span(start, start + length)
    size = None if rest is None else span.stop + rest

    assert parse_content_range(format_content_range(span, size)) == (span, size)
