"""Query strings and urlencoded bodies, compared to the algorithm of the URL Standard."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict, MultiDictProxy

from asgikit.datastructures.query import (
    QueryParams,
    format_urlencoded,
    parse_query,
    parse_urlencoded,
)
from asgikit.exceptions import BadRequest, ContentTooLarge

HEX = b"0123456789abcdefABCDEF"


def reference(data: bytes) -> list[tuple[str, str]]:
    """Follow the parser of the URL Standard, section 5.1, step by step."""
    fields = []
    for sequence in data.split(b"&"):
        if sequence:
            name, _, value = sequence.partition(b"=")
            fields.append((reference_decode(name), reference_decode(value)))
    return fields


def reference_decode(part: bytes) -> str:
    out = bytearray()
    at = 0
    while at < len(part):
        digits = part[at + 1 : at + 3]
        if part[at] == ord("%") and len(digits) == 2 and all(digit in HEX for digit in digits):
            out.append(int(digits, 16))
            at += 3
        else:
            out.append(ord(" ") if part[at] == ord("+") else part[at])
            at += 1
    return out.decode("utf-8", "replace")


PIECES = st.sampled_from(
    [b"&", b"=", b"+", b"%", b"a", b"4", b"1", b"%41", b"%c3", b"%A9", b"%26", b"%3D", b"%2B",
     b"\xc3", b"\xa9", b"\xff", b"%FF", b"%zz", b"%F0%9F%98%80", b"\xf0\x9f\x98\x80", b"x" * 40]
)  # fmt: skip
DATA = st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=40)


@pytest.mark.property
@pytest.mark.promise
@given(data=DATA)
def test_urlencoded_equals_the_algorithm_of_the_standard(data: bytes) -> None:
    assert parse_urlencoded(data, max_fields=None) == reference(data)
    assert parse_urlencoded(data, max_fields=1000) == reference(data)
    assert list(parse_query(data, 1000).items()) == reference(data)


@pytest.mark.property
@given(
    start=st.integers(0, 4),
    unit=st.lists(PIECES.filter(lambda piece: b"&" not in piece), min_size=1, max_size=4),
)
def test_escapes_of_a_long_value_are_not_split(start: int, unit: list[bytes]) -> None:
    one = b"".join(unit)
    data = b"a=" + b"x" * start + one * (9000 // len(one))

    assert parse_urlencoded(data, max_fields=1) == reference(data)


@pytest.mark.property
@given(fields=st.lists(st.tuples(st.text(), st.text()), max_size=6))
def test_formatted_fields_are_parsed_back(fields: list[tuple[str, str]]) -> None:
    text = format_urlencoded(fields)

    assert parse_urlencoded(text.encode("ascii"), max_fields=None) == fields


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=1;b=2", [("a", "1;b=2")]),  # ";" has not separated since 2014
        (b"&&a=1&&b=2&", [("a", "1"), ("b", "2")]),
        (b"a&b=", [("a", ""), ("b", "")]),
        (b"=", [("", "")]),
        (b"=v&=w", [("", "v"), ("", "w")]),
        (b"a=b=c==", [("a", "b=c==")]),
        (b"a+b=c+d%2B", [("a b", "c d+")]),
        (b"a%26b=c%3Dd%2541", [("a&b", "c=d%41")]),  # split first; decode once
        (b"a=%zz&b=%&c=%4&d=%u0041", [("a", "%zz"), ("b", "%"), ("c", "%4"), ("d", "%u0041")]),
        (b"a=%%41%4%31", [("a", "%A%41")]),
        (b"n=caf\xc3\xa9&m=caf%c3%A9", [("n", "caf\xe9"), ("m", "caf\xe9")]),
        (b"n=caf\xc3%A9&m=caf%C3\xa9", [("n", "caf\xe9"), ("m", "caf\xe9")]),  # half raw
        (b"n=\xe9&m=%E9", [("n", "\ufffd"), ("m", "\ufffd")]),  # ISO-8859-1 without a declaration
        (b"p=%ED%A0%80", [("p", "\ufffd" * 3)]),  # a surrogate is no UTF-8
        (b"%EF%BB%BFa=1", [("\ufeffa", "1")]),
        (b"a=%00%0d%0a", [("a", "\x00\r\n")]),
        (b"a=%\xb2\xb3", [("a", "%\ufffd\ufffd")]),  # digits only to str.isdigit()
    ],
)
def test_urlencoded_text_is_read(data: bytes, fields: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(data, max_fields=1000) == fields
    assert reference(data) == fields


@pytest.mark.parametrize(
    ("data", "max_fields", "is_fine"),
    [
        (b"a&b&c", 3, True),
        (b"a&b&c", 2, False),
        (b"&&a&&&&b&&c&&", 3, True),  # empty sequences are not counted
        (b"&&a&&&&b&&c&&", 2, False),
        (b"&" * 5000, 1, True),
        (b"&" * 5000, 0, True),
        (b"", 0, True),
        (b"a", 0, False),
        (b"a&" * 5000, None, True),
    ],
)
def test_urlencoded_fields_over_the_limit_are_refused(
    data: bytes, max_fields: int | None, is_fine: bool
) -> None:
    if is_fine:
        assert parse_urlencoded(data, max_fields=max_fields) == reference(data)
        assert list(parse_query(data, max_fields).items()) == reference(data)
        return

    with pytest.raises(ContentTooLarge) as refused:
        parse_urlencoded(data, max_fields=max_fields)
    assert (refused.value.limit, refused.value.maximum) == ("max_fields", max_fields)

    with pytest.raises(BadRequest, match=f"max_query_fields, which is {max_fields}") as bad:
        parse_query(data, max_fields)
    assert bad.value.status_code == 400


@pytest.mark.parametrize(
    ("data", "is_fine"),
    [
        (b"a=12345678", True),
        (b"a=123456789", False),
        (b"12345678=1", True),
        (b"123456789=1", False),
        (b"a=1&b=2&c=3&d=4", True),  # not together
        (b"a=%31%32%33%34%35%36%37%38", True),  # once decoded
        (b"a=%31%32%33%34%35%36%37%38%39", False),
        (b"a=%E2%82%AC%E2%82%ACxx", True),  # bytes, not characters
        (b"a=%E2%82%AC%E2%82%ACxxx", False),
        (b"%31%32%33%34%35%36%37%38=%31%32%33%34%35%36%37%38", True),
        (b"&" * 100, True),
    ],
)
def test_urlencoded_names_and_values_over_the_size_are_refused(data: bytes, is_fine: bool) -> None:
    if is_fine:
        assert parse_urlencoded(data, max_fields=10, max_size=8) == reference(data)
        return

    with pytest.raises(ContentTooLarge) as refused:
        parse_urlencoded(data, max_fields=10, max_size=8)
    assert (refused.value.limit, refused.value.maximum) == ("max_field_size", 8)


@pytest.mark.parametrize(
    "data",
    [
        b"&" * 400_000,
        b"a=" + b"%" * 100_000,
        b"a=" + b"%4" * 50_000,
        b"a=" + b"%41x" * 25_000,
        b"a=" + b"%C3%A9x" * 14_000,
        b"a=" + b"%FF" * 33_000,
        b"a=" + b"+" * 100_000,
        b"a=" + b"\xff" * 100_000,
    ],
    ids=lambda data: repr(data[:10]),
)
def test_memory_stays_below_eight_times_input(data: bytes) -> None:
    tracemalloc.start()
    try:
        parse_urlencoded(data, max_fields=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * len(data)


def test_query_params_are_a_read_only_multidict() -> None:
    query = parse_query(b"tag=a&page=2&tag=b", 1000)

    assert isinstance(query, MultiDictProxy)
    assert query["tag"] == "a"
    assert query.getall("tag") == ["a", "b"]
    assert not hasattr(query, "add")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], ""),
        ([("", "")], "="),
        ([("a b", "c+d")], "a+b=c%2Bd"),
        ([("a", "*-._~"), ("b", "&=%")], "a=*-._%7E&b=%26%3D%25"),
        ([("q", "caf\xe9\r\n")], "q=caf%C3%A9%0D%0A"),
    ],
)
def test_fields_are_written_as_browsers_do(fields: list[tuple[str, str]], text: str) -> None:
    assert format_urlencoded(fields) == text


def test_lone_surrogate_cannot_be_formatted() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        format_urlencoded([("a", "\ud800")])


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("a=1&b=caf%C3%A9&a=2", [("a", "1"), ("b", "café"), ("a", "2")]),
        (b"a=1", [("a", "1")]),
        ("a=é", [("a", "é")]),
        ({"a": 1, "b": "x"}, [("a", "1"), ("b", "x")]),
        ([("a", 1.5), ("a", None)], [("a", "1.5"), ("a", "None")]),
        (iter([("a", "1")]), [("a", "1")]),
        (QueryParams("a=1&a=2"), [("a", "1"), ("a", "2")]),
        (MultiDict([("a", "1"), ("a", "2")]), [("a", "1"), ("a", "2")]),
        ("", []),
        ((), []),
    ],
)
def test_query_params_are_made_of_text_mapping_or_pairs(
    source: Any, items: list[tuple[str, str]]
) -> None:
    params = QueryParams(source)

    assert list(params.items()) == items
    assert list(QueryParams(str(params)).items()) == items


def test_query_params_without_arguments_are_empty() -> None:
    assert str(QueryParams()) == ""
    assert repr(QueryParams("a=1")) == "<QueryParams('a': '1')>"
    assert QueryParams("a=1") == {"a": "1"}


@pytest.mark.property
@given(data=DATA)
def test_query_params_text_is_parsed_to_same_fields(data: bytes) -> None:
    params = parse_query(data, None)

    assert type(params) is QueryParams
    assert QueryParams(str(params)) == params == QueryParams(data)
