"""The words of HTTP fields: tokens, quoted strings, lists, parameters, and the way out."""

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


def test_a_token_is_made_of_these_characters_alone() -> None:
    every = [chr(n) for n in range(0x180)]

    assert {character for character in every if is_token(character)} == set(TOKEN_CHARACTERS)
    assert is_token(TOKEN_CHARACTERS)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "a=", "é", "a\0"])
def test_what_is_no_token_is_told(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("", ""),
        (" \t a b \t ", "a b"),
        ("\xa0a\x85", "\xa0a\x85"),  # white space to Python alone
        ("\na\x1c", "\na\x1c"),
    ],
)
def test_only_sp_and_htab_are_stripped(text: str, stripped: str) -> None:
    assert strip_ows(text) == stripped


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 19, 10**19 - 1),
        ("9" * 20, None),  # more than any size needs
        ("", None),
        ("+1", None),
        ("-1", None),
        ("1_0", None),
        (" 1", None),
        ("1.0", None),
        ("٣", None),  # a digit, but not of ASCII
        ("²", None),
    ],
)
def test_a_number_is_ascii_digits(text: str, number: int | None) -> None:
    assert parse_digits(text) == number


def test_the_digits_to_read_can_be_chosen() -> None:
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
def test_text_is_quoted(text: str, quoted: str) -> None:
    assert format_quoted_string(text) == quoted
    assert unquote_pairs(quoted[1:-1]) == text


@pytest.mark.parametrize("character", ["\0", "\r", "\n", "\x1f", "\x7f"])
def test_no_quoted_string_holds_a_control_character(character: str) -> None:
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
def test_parameters_are_read(text: str, pairs: list[tuple[str, str]] | None) -> None:
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
def test_loose_parameters_need_no_dquotes(text: str, pairs: list[tuple[str, str]] | None) -> None:
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
        # A quoted string that does not close takes what follows with it.
        ('a, "b, c', ["a", '"b, c']),
        ('"b\0, c', ['"b\0', "c"]),
        (r'"b\", c', [r'"b\", c']),
    ],
)
def test_a_list_is_split_at_commas_outside_quoted_strings(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


@pytest.mark.property
@given(st.lists(st.tuples(tokens, tokens | quotable.map(format_quoted_string))))
def test_parameters_come_back_as_they_were_written(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"; {name}={value}" for name, value in pairs)
    expected = [
        (name.lower(), unquote_pairs(value[1:-1]) if value.startswith('"') else value)
        for name, value in pairs
    ]

    assert parse_parameters(text) == expected
    assert parse_parameters(text, loose=True) == expected


@pytest.mark.property
@given(st.text() | st.text(';=" \\\tab\0é,/', max_size=30))
def test_whatever_is_read_strictly_is_read_loosely_too(text: str) -> None:
    pairs = parse_parameters(text)

    assert pairs is None or parse_parameters(text, loose=True) == pairs


@pytest.mark.property
@given(quotable)
def test_a_quoted_string_comes_back(text: str) -> None:
    assert unquote_pairs(format_quoted_string(text)[1:-1]) == text


@pytest.mark.property
@given(st.lists(tokens | quotable.map(format_quoted_string)))
def test_a_list_comes_back(elements: list[str]) -> None:
    assert split_list(", ".join(elements)) == elements


@pytest.mark.property
@given(st.text() | st.text('", \\a\0', max_size=30))
def test_splitting_a_list_loses_nothing(text: str) -> None:
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
def test_a_field_is_encoded(
    name: str | bytes, value: str | bytes, field: tuple[bytes, bytes]
) -> None:
    assert check_field(name, value) == field


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "é", ":status", b"a\r\nb"])
def test_a_name_that_is_no_token_is_refused(name: str | bytes) -> None:
    with pytest.raises(ValueError, match="not a header field name"):
        check_field(name, "b")


@pytest.mark.parametrize("control", [*range(9), *range(10, 32), 127])
def test_a_value_with_a_control_character_is_refused(control: int) -> None:
    with pytest.raises(ValueError, match="control character in the value of 'a'"):
        check_field("a", f"b{chr(control)}c")
    with pytest.raises(ValueError, match="control character"):
        check_field("a", bytes([control]))  # nor at an end


@pytest.mark.parametrize(("name", "value"), [("ż", "b"), ("a", "ż"), ("a", "\ud800")])
def test_what_iso_8859_1_cannot_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="ISO-8859-1"):
        check_field(name, value)


@pytest.mark.parametrize(("name", "value"), [(1, "b"), ("a", 1), ("a", None), ("a", ["b"])])
def test_a_field_of_another_type_is_a_type_error(name: str, value: str) -> None:
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
def test_header_is_found_unless_it_is_over_8_kib(
    headers: list[tuple[bytes, bytes]], value: str | None
) -> None:
    assert find_header(headers, b"accept") == value
