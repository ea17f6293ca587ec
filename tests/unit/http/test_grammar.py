"""The shared grammar: tokens, quoted strings, lists, parameters, and the encoding of headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.grammar import (
    check_field,
    find_header,
    format_quoted_string,
    is_token,
    parse_digits,
    parse_parameters,
    split_list,
    strip_ows,
    unquote_pairs,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

tokens = st.text(TOKEN_CHARACTERS, min_size=1)
quotable = st.text(
    st.one_of(st.just("\t"), st.characters(min_codepoint=0x20, exclude_characters="\x7f"))
)


def test_is_token_accepts_exactly_tchar() -> None:
    every = [chr(n) for n in range(0x180)]

    assert {character for character in every if is_token(character)} == set(TOKEN_CHARACTERS)
    assert is_token(TOKEN_CHARACTERS)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "a=", "é", "a\0"])
def test_is_token_of_other_text_is_false(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("", ""),
        (" \t a b \t ", "a b"),
        ("\xa0a\x85", "\xa0a\x85"),  # Python strips these by default
        ("\na\x1c", "\na\x1c"),
    ],
)
def test_strip_ows_removes_only_sp_and_htab(text: str, stripped: str) -> None:
    assert strip_ows(text) == stripped


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 19, 10**19 - 1),
        ("9" * 20, None),  # over 19 digits
        ("", None),
        ("+1", None),
        ("-1", None),
        ("1_0", None),
        (" 1", None),
        ("1.0", None),
        ("٣", None),  # a digit outside of ASCII
        ("²", None),
    ],
)
def test_parse_digits_accepts_only_ascii_digits(text: str, number: int | None) -> None:
    assert parse_digits(text) == number


def test_parse_digits_limit_can_be_set() -> None:
    assert parse_digits("123", most=3) == 123
    assert parse_digits("123", most=2) is None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('"\\', r'"\"\\"'),
        ("\té", '"\té"'),
    ],
)
def test_format_quoted_string(text: str, quoted: str) -> None:
    assert format_quoted_string(text) == quoted
    assert unquote_pairs(quoted[1:-1]) == text


@pytest.mark.parametrize("character", ["\0", "\r", "\n", "\x1f", "\x7f"])
def test_format_quoted_string_of_control_character_raises(character: str) -> None:
    with pytest.raises(ValueError, match="no quoted string"):
        format_quoted_string(f"a{character}b")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        (" \t", []),
        (";a=b", [("a", "b")]),
        (" ; A=B ;a=c", [("a", "B"), ("a", "c")]),
        (";;\t; a=b; ", [("a", "b")]),
        (r'; a="b \"c\" \\;d"', [("a", r'b "c" \;d')]),
        (';a=""', [("a", "")]),
        (";a*=utf-8''b", [("a*", "utf-8''b")]),
        (';a="é"', [("a", "é")]),
        ("a=b", None),
        (";a", None),
        (";a=", None),
        (";=b", None),
        (";a =b", None),
        (";a= b", None),
        (";a=b c", None),
        (";a=b/c", None),
        (';a="b', None),
        (';a="b"c', None),
        (';a="b\\"', None),
        (';a="\0"', None),
        (';a="\\\n"', None),
        (";a=b\n", None),
        (";a=é", None),
        (";\xa0a=b", None),
    ],
)
def test_parse_parameters(text: str, pairs: list[tuple[str, str]] | None) -> None:
    assert parse_parameters(text) == pairs
    assert parse_parameters("text/html" + text, 9) == pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (";a=", [("a", "")]),
        (";a=;b=c", [("a", ""), ("b", "c")]),
        (";a==/:?@()[]{}<>; b=c", [("a", "=/:?@()[]{}<>"), ("b", "c")]),
        (';a="=";b=c', [("a", "="), ("b", "c")]),
        (";a=b,c", None),
        (";a=b\\", None),
        (';a=b"', None),
        (';a="b', None),
        (";a=b c", None),
        (";a=\x7f", None),
        (";a=é", None),
        (";a", None),
        (";=b", None),
    ],
)
def test_parse_parameters_loose_accepts_unquoted_values(
    text: str, pairs: list[tuple[str, str]] | None
) -> None:
    assert parse_parameters(text, loose=True) == pairs


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" , ,\t,", []),
        ("a", ["a"]),
        ("a,b , c d", ["a", "b", "c d"]),
        ('"a,b", c', ['"a,b"', "c"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        ('x="a,b";y, c', ['x="a,b";y', "c"]),
        # An unterminated quoted string extends to the end.
        ('a, "b, c', ["a", '"b, c']),
        ('"b\0, c', ['"b\0', "c"]),
        (r'"b\", c', [r'"b\", c']),
    ],
)
def test_split_list_ignores_commas_in_quoted_strings(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


@pytest.mark.property
@given(st.lists(st.tuples(tokens, tokens | quotable.map(format_quoted_string))))
def test_parse_parameters_reverses_formatting(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"; {name}={value}" for name, value in pairs)
    expected = [
        (name.lower(), unquote_pairs(value[1:-1]) if value.startswith('"') else value)
        for name, value in pairs
    ]

    assert parse_parameters(text) == expected
    assert parse_parameters(text, loose=True) == expected


@pytest.mark.property
@given(st.text() | st.text(';=" \\\tab\0é,/', max_size=30))
def test_parse_parameters_loose_accepts_strict_values(text: str) -> None:
    pairs = parse_parameters(text)

    assert pairs is None or parse_parameters(text, loose=True) == pairs


@pytest.mark.property
@given(quotable)
def test_unquote_pairs_reverses_format_quoted_string(text: str) -> None:
    assert unquote_pairs(format_quoted_string(text)[1:-1]) == text


@pytest.mark.property
@given(st.lists(tokens | quotable.map(format_quoted_string)))
def test_split_list_reverses_join(elements: list[str]) -> None:
    assert split_list(", ".join(elements)) == elements


@pytest.mark.property
@given(st.text() | st.text('", \\a\0', max_size=30))
def test_split_list_loses_no_text(text: str) -> None:
    assert [part for part in "".join(split_list(text)) if part not in ", \t"] == [
        part for part in text if part not in ", \t"
    ]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("X-A", "b", (b"x-a", b"b")),
        (b"X-A", b"b", (b"x-a", b"b")),
        ("a", "", (b"a", b"")),
        ("a", " \tb c\t ", (b"a", b"b c")),
        ("a", "é\x80", (b"a", b"\xe9\x80")),
        ("a", b"\xc3\xa9", (b"a", b"\xc3\xa9")),
    ],
)
def test_check_field_encodes_name_and_value(
    name: str | bytes, value: str | bytes, field: tuple[bytes, bytes]
) -> None:
    assert check_field(name, value) == field


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "é", ":status", b"a\r\nb"])
def test_check_field_name_that_is_no_token_raises(name: str | bytes) -> None:
    with pytest.raises(ValueError, match="not a header field name"):
        check_field(name, "b")


@pytest.mark.parametrize("control", [*range(9), *range(10, 32), 127])
def test_check_field_value_with_control_character_raises(control: int) -> None:
    with pytest.raises(ValueError, match="control character in the value of 'a'"):
        check_field("a", f"b{chr(control)}c")
    with pytest.raises(ValueError, match="control character"):
        check_field("a", bytes([control]))  # not at the ends either


@pytest.mark.parametrize(("name", "value"), [("ż", "b"), ("a", "ż"), ("a", "\ud800")])
def test_check_field_outside_of_iso_8859_1_raises(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="ISO-8859-1"):
        check_field(name, value)


@pytest.mark.parametrize(("name", "value"), [(1, "b"), ("a", 1), ("a", None), ("a", ["b"])])
def test_check_field_of_wrong_type_raises(name: str, value: str) -> None:
    with pytest.raises(TypeError, match="str or bytes, not "):
        check_field(name, value)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], None),
        ([(b"accept", b"a/b")], "a/b"),
        ([(b"accept", b"a/b"), (b"host", b"x"), (b"accept", b"c/d")], "a/b, c/d"),
        ([(b"accept", b"\xe9")], "\xe9"),  # bytes that are not ASCII are ISO-8859-1
        ([(b"accept", b"a" * 8192)], "a" * 8192),
        ([(b"accept", b"a" * 8193)], None),
        ([(b"accept", b"a" * 4096), (b"accept", b"a" * 4096)], None),  # with its separator
    ],
)
def test_find_header_ignores_values_over_8_kib(
    headers: list[tuple[bytes, bytes]], value: str | None
) -> None:
    assert find_header(headers, b"accept") == value
