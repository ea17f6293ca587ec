"""Multipart forms as events: every chunking, every prefix, every limit."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit import DEFAULT_LIMITS, ContentTooLarge, HTTPError, InvalidForm, Limits
from asgikit.forms.content_type import decode_text
from asgikit.forms.multipart import FormParser
from asgikit.forms.part_reader import PartHead
from tests.support.form_bodies import (
    BOUNDARY,
    DISPOSITION,
    VALID,
    File,
    Items,
    body,
    file,
    part,
    text,
)
from tests.support.form_bodies import shortest_complete_size as complete

if TYPE_CHECKING:
    from collections.abc import Iterable

MiB = 1024 * 1024


def parse(chunks: Iterable[bytes], limits: Limits = DEFAULT_LIMITS) -> Items:
    """Return the fields and files in ``chunks``; check that the events are in order."""
    parser = FormParser(BOUNDARY, limits)
    items: Items = []
    head: PartHead | None = None
    data = b""
    for chunk in chunks:
        for event in parser.feed(chunk):
            if isinstance(event, PartHead):
                assert head is None
                head = event
            elif event is None:
                assert head is not None
                name, filename, _ = head.disposition
                content_type = head.content_type
                items.append(
                    (name, decode_text(name, content_type, data))
                    if filename is None
                    else (name, File(filename, data, content_type))
                )
                head, data = None, b""
            else:
                assert head is not None
                assert len(event) > 0
                data += event
    parser.finish()
    return items


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("size", [1, 2, 7, 64, MiB])
def test_form_is_read_in_chunks_of_any_size(name: str, size: int) -> None:
    data, items = VALID[name]

    assert parse(pieces(data, size)) == items


@pytest.mark.parametrize("name", VALID)
def test_form_in_two_chunks_is_read(name: str) -> None:
    data, items = VALID[name]

    for at in range(len(data) + 1):
        assert parse([data[:at], data[at:]]) == items


@pytest.mark.parametrize("size", [1000, 4096, 10_000, MiB])
@pytest.mark.parametrize("end", [b"", b"\r", b"\n", b"\r\n--", b"\r\n--X-"])
def test_large_parts_with_ends_like_a_delimiter_are_read(size: int, end: bytes) -> None:
    data = (b"y" * (1000 - len(end)) + end) * 20
    whole = body(text("a", b"1"), text("b", data), file("f", "x", data), text("c", b"2"))

    for shift in range(0, 1000, 50):
        assert parse([whole[:shift], *pieces(whole[shift:], size)]) == [
            ("a", "1"),
            ("b", data.decode()),
            ("f", File("x", data)),
            ("c", "2"),
        ]


@pytest.mark.parametrize("name", VALID)
def test_truncated_form_is_refused(name: str) -> None:
    data, items = VALID[name]
    stop = complete(data)

    for at in range(1, stop):
        for chunks in ([data[:at]], pieces(data[:at], 1)):
            with pytest.raises(InvalidForm, match="ends before its closing delimiter"):
                parse(chunks)
    assert parse([data[:stop]]) == items


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_empty_body_is_empty_form(chunks: list[bytes]) -> None:
    assert parse(chunks) == []


@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"A form.\r\n", b"--\r\n--Y \r\n"])
@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t ", b" " * 5000])
@pytest.mark.parametrize("size", [1, 2, 7, MiB])
def test_padding_after_first_delimiter_is_skipped(
    preamble: bytes, padding: bytes, size: int
) -> None:
    data = preamble + b"--X" + padding + body(text("a", b"v"), text("b", b"w"))[len(b"--X") :]

    assert parse(pieces(data, size)) == [("a", "v"), ("b", "w")]


@pytest.mark.parametrize(
    "padding", [b" x", b" --", b" -", b" \n", b"\xa0", b"\x0b", b" \r", b"\r \n", b" \r\r\n"]
)
@pytest.mark.parametrize("size", [1, 2, MiB])
def test_padding_that_is_no_white_space_is_refused(padding: bytes, size: int) -> None:
    data = b"--X" + padding + body(text("a", b"v"))[len(b"--X") :]

    with pytest.raises(InvalidForm, match="malformed"):
        parse(pieces(data, size))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"--Y\r\n\r\n\r\n--Y--\r\n", "ends before"),
        (b"--Xjunk\r\n" + body(text("a", b"v")), "malformed"),
        (b"--X-\r\n" + body(text("a", b"v")), "malformed"),
        (body(part(b"v", "X-A: b")), "no Content-Disposition"),
        (b"--X\r\n\r\nv\r\n--X--\r\n", "no Content-Disposition"),
        (body(part(b"v", "Content-Disposition: form-data")), "no Content-Disposition that names"),
        (body(part(b"v", 'Content-Disposition: attachment; name="a"')), "that names"),
        (body(part(b"v", 'Content-Disposition: form-data; name="a"; name="b"')), "that names"),
        (body(part(b"v", DISPOSITION, DISPOSITION)), "two Content-Disposition headers"),
        (body(part(b"v", DISPOSITION, "Content-Type: a/b", "content-type: a/c")), "two Content-T"),
        (body(part(b"v", DISPOSITION, "Content-Type:", "Content-Type: a/c")), "two Content-Type"),
        # Lines that are folded, in the first header and in a later one.
        (body(part(b"v", "Content-Disposition: form-data;", ' name="a"')), "malformed"),
        (body(part(b"v", f" {DISPOSITION}")), "malformed"),
        (body(part(b"v", DISPOSITION, "no colon here")), "malformed"),
        (body(part(b"v", DISPOSITION, ": no name")), "malformed"),
        (body(part(b"v", DISPOSITION, "X-Space : before the colon")), "malformed"),
        (body(part(b"v", DISPOSITION, "X-A: b\rX-C: d")), "malformed"),
        (body(part(b"v", DISPOSITION, "X-A: b\nX-C: d")), "control character"),
        (body(part(b"v", DISPOSITION, "X-A: b\0")), "control character"),
        (body(part(b"v", f"{DISPOSITION}\x7f")), "control character"),
        (body(text("a", b"v")).replace(b"\r\n", b"\n"), "malformed"),
        # Python's text knows a line end here, and a firewall might.
        (b"--X\r\nX-A: b\x85" + body(text("a", b"v"))[5:], "not UTF-8"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, MiB])
def test_malformed_form_is_refused(data: bytes, problem: str, size: int) -> None:
    with pytest.raises(InvalidForm, match=problem):
        parse(pieces(data, size))


def test_name_that_is_not_utf8_has_replacement_characters() -> None:
    data = body(file("f", "x", b"v")).replace(b'"x"', b'"a\xffb.txt"')

    assert parse([data]) == [("f", File("a\ufffdb.txt", b"v"))]


OVER: list[tuple[dict[str, int], bytes, str]] = [
    ({"max_form_size": 60}, body(text("a", b"12345678")), "max_form_size"),
    ({"max_fields": 1}, body(text("a", b"1"), text("a", b"2")), "max_fields"),
    ({"max_fields": 0}, body(text("a", b"")), "max_fields"),
    ({"max_files": 1}, body(file("a", "", b""), file("a", "", b"")), "max_files"),
    ({"max_field_size": 3}, body(text("a", b"1234")), "max_field_size"),
    ({"max_field_size": 3}, body(text("abcd", b"")), "max_field_size"),
    ({"max_field_size": 3}, body(file("éé", "x", b"")), "max_field_size"),
    ({"max_file_size": 3}, body(file("a", "x", b"1234")), "max_file_size"),
    ({"max_text_size": 3}, body(text("a", b"1234")), "max_text_size"),
    ({"max_text_size": 3}, body(text("a", b"12"), text("b", b"34")), "max_text_size"),
    ({"max_text_size": 9, "max_field_size": 3}, body(text("a", b"1234")), "max_field_size"),
    ({"max_text_size": 2, "max_field_size": 3}, body(text("a", b"123")), "max_text_size"),
]


@pytest.mark.parametrize(("limits", "data", "name"), OVER)
@pytest.mark.parametrize("size", [1, MiB])
def test_form_over_a_limit_is_413_with_its_name(
    limits: dict[str, int], data: bytes, name: str, size: int
) -> None:
    with pytest.raises(ContentTooLarge) as error:
        parse(pieces(data, size), Limits(**limits))

    assert (error.value.limit, error.value.maximum) == (name, limits[name])


AT_LIMITS = Limits(
    max_form_size=len(body(text("abc", b"123"), text("b", b"4"), file("f", "longer", b"12345"))),
    max_fields=2,
    max_files=1,
    max_field_size=3,
    max_file_size=5,
    max_text_size=4,
)
NO_LIMITS = Limits(
    max_form_size=None,
    max_fields=None,
    max_files=None,
    max_field_size=None,
    max_file_size=None,
    max_text_size=None,
)


@pytest.mark.parametrize("limits", [AT_LIMITS, NO_LIMITS], ids=["at", "none"])
def test_form_within_its_limits_is_read(limits: Limits) -> None:
    data = body(text("abc", b"123"), text("b", b"4"), file("f", "longer", b"12345"))

    assert parse(pieces(data, 1), limits) == [
        ("abc", "123"),
        ("b", "4"),
        ("f", File("longer", b"12345")),
    ]


def test_text_limit_holds_without_field_limit() -> None:
    limits = Limits(max_field_size=None, max_text_size=2)

    with pytest.raises(ContentTooLarge, match="max_text_size"):
        parse([body(text("a", b"123"))], limits)


def lines(count: int, size: int) -> list[str]:
    """Return ``count`` header lines of ``size`` bytes each, without the separator."""
    return [f"X-{number:04}: {'y' * (size - 6)}" for number in range(count)]


@pytest.mark.parametrize(
    ("data", "maximum"),
    [
        (body(part(b"", DISPOSITION, *lines(16, 20))), 16),
        (body(part(b"", DISPOSITION, *lines(1, 4 * 1024 + 7))), 4 * 1024),
        (body(part(b"", DISPOSITION, "X" * (4 * 1024 + 1) + ": y")), 4 * 1024),
        (b"--X\r\nX-A: " + b"y" * 5000, 4 * 1024),  # it need not end to be too long
        (b"--X\r\n" + b"X" * 5000, 4 * 1024),
        (body(part(b"", DISPOSITION, *lines(3, 3000))), 8 * 1024),
        (body(*[part(b"", DISPOSITION, *lines(2, 4000))] * 33), 256 * 1024),
    ],
)
@pytest.mark.parametrize("size", [1, 1000, MiB])
def test_part_headers_over_their_limits_are_413(data: bytes, maximum: int, size: int) -> None:
    with pytest.raises(ContentTooLarge) as error:
        parse(pieces(data, size))

    assert (error.value.limit, error.value.maximum) == ("part headers", maximum)


def test_part_headers_at_their_limits_are_read() -> None:
    # A name and a value of 20 and 4096 bytes, and 16 fields in all.
    data = body(part(b"v", DISPOSITION, *lines(1, 4 * 1024 + 6), *lines(14, 100)))

    assert parse([data]) == [("a", "v")]


def test_part_head_has_its_headers_in_order() -> None:
    parser = FormParser(BOUNDARY, DEFAULT_LIMITS)
    head = parser.feed(body(part(b"", "X-B: 1", DISPOSITION, "X-b:2")))[0]

    assert isinstance(head, PartHead)
    assert head.raw_headers == [
        (b"x-b", b"1"),
        (b"content-disposition", b'form-data; name="a"'),
        (b"x-b", b"2"),
    ]


def test_large_data_is_returned_without_a_copy() -> None:
    parser = FormParser(BOUNDARY, DEFAULT_LIMITS)
    start = body(file("f", "x", b"x" * 5000), end=b"")[:-2]
    middle = b"y" * 5000

    _, piece = parser.feed(start)
    assert isinstance(piece, memoryview)
    assert piece.obj is start
    assert parser.feed(middle)[0] is middle


def test_parser_is_in_no_reference_cycle() -> None:
    gc.collect()
    parser = FormParser(BOUNDARY, DEFAULT_LIMITS)
    parser.feed(body(text("a", b"v")))
    del parser

    assert gc.collect() == 0


names = st.text(
    st.characters(
        blacklist_categories=["Cs", "Cc"], blacklist_characters='"\\%'  # those have escapes
    ),
    max_size=20,
)  # fmt: skip
data_bytes = st.binary(max_size=60).filter(lambda data: b"\r\n--X" not in b"\r\n" + data)


@pytest.mark.property
@given(
    st.lists(
        st.one_of(
            st.tuples(names, st.none(), st.text(max_size=40)),
            st.tuples(names, names.filter(lambda name: "/" not in name), data_bytes),
        ),
        max_size=5,
    ),
    st.lists(st.integers(1, 50), max_size=20),
)
def test_generated_form_is_read_in_any_chunks(
    sent: list[tuple[str, str | None, str | bytes]], sizes: list[int]
) -> None:
    parts: list[bytes] = []
    items: Items = []
    for name, filename, value in sent:
        if isinstance(value, str):
            data = value.encode("utf-8", "replace")
            if b"\r\n--X" in b"\r\n" + data:
                continue
            parts.append(text(name, data))
            items.append((name, data.decode()))
        else:
            parts.append(file(name, filename or "", value))
            items.append((name, File(filename or "", value)))
    whole = body(*parts)
    chunks = []
    for size in sizes:
        chunks.append(whole[:size])
        whole = whole[size:]

    assert parse([*chunks, whole]) == items


def outcome(chunks: list[bytes]) -> object:
    """Return the form in ``chunks``, or ``None`` if it is refused. Other errors are raised."""
    try:
        return parse(chunks, Limits(max_fields=3, max_files=2, max_text_size=50))
    except HTTPError:
        # If a chunk has two errors, the second one may be raised.
        return None


@pytest.mark.property
@given(
    st.sampled_from([data for data, _ in VALID.values()]),
    st.lists(st.tuples(st.integers(0), st.integers(0, 12), st.binary(max_size=6)), max_size=4),
    st.integers(1, 9),
)
def test_mutated_form_is_read_alike_in_any_chunks(
    data: bytes, changes: list[tuple[int, int, bytes]], size: int
) -> None:
    for at, cut, patch in changes:
        start = at % (len(data) + 1)
        data = data[:start] + patch + data[start + cut :]

    assert outcome([data]) == outcome(pieces(data, size))


@pytest.mark.property
@given(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--X", b"X", b" ", b"\r\n--X", b": ", b"a"])))
def test_any_run_of_delimiters_is_read_alike_in_any_chunks(tokens: list[bytes]) -> None:
    for start in (b"--X\r\n", b"--X", b""):
        data = start + b"".join(tokens)

        assert outcome([data]) == outcome(pieces(data, 1)) == outcome([start, *tokens])


@pytest.mark.parametrize("filename", [b"..", b".", b"C:/fakepath/.."])
@pytest.mark.parametrize("size", [1, 20_000])  # the common parts are read by one regex
def test_filename_of_folder_is_empty(filename: bytes, size: int) -> None:
    head = b'Content-Disposition: form-data; name="f"; filename="' + filename + b'"'
    parser = FormParser("X", DEFAULT_LIMITS)
    first = parser.feed(b"--X\r\n" + head + b"\r\n\r\n" + b"x" * size + b"\r\n--X--")[0]

    assert isinstance(first, PartHead)
    assert first.disposition.filename == ""
    assert first.disposition.raw_filename == filename.decode()
