"""Accept-Query: parse_accept_query and format_accept_query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.accept_query import format_accept_query, parse_accept_query
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "media_types"),
    [
        # RFC 10008, section 3.
        ('"application/jsonpath", application/sql;charset="UTF-8"',
         ["application/jsonpath", "application/sql; charset=UTF-8"]),
        ("application/x-www-form-urlencoded", ["application/x-www-form-urlencoded"]),
        ("*/*, text/*", ["*/*", "text/*"]),
        (" a/b ,\tc/d ", ["a/b", "c/d"]),
        ("a/b ; x=1 ;y=z", None),  # a number is no token of structured headers
        ("a/b;x=one ;y=*", ["a/b; x=one; y=*"]),
        (r'a/b;x="\"\\"', [r'a/b; x="\"\\"']),
        ("a/b;x=one;x=two", ["a/b; x=two"]),  # the last of two equal keys counts (RFC 9651)
        ("A/B", ["a/b"]),
        ("", None),
        (",", None),
        ("a/b,", None),  # no trailing comma
        ("a/b,,c/d", None),
        ("a/b c/d", None),
        ("a", None),
        ("a/b/c", None),
        ("a/b;X=one", None),  # keys are in lower case
        ("a/b;x", None),  # a boolean
        ("a/b;x=one;x*=two", None),  # two values of one parameter
        ('"a/b;x=one"', None),  # parameters belong after the string
        ('" a/b"', None),
        ('"a/b;"', None),
        # CPython 3.11 raises SystemError if a possessive repeat contains groups.
        ('b;x=b;x*="X"', None),
        (' "a/b";x=*b;y*="a/b"', ['a/b; x=*b; y*="a/b"']),
        ('"a/b', None),
        ('"\xe9/b"', None),
        (r'"a/\b"', None),
    ],
)  # fmt: skip
def test_parse_accept_query(text: str, media_types: list[str] | None) -> None:
    assert [str(media_type) for media_type in parse_accept_query(text)] == (media_types or [])


@pytest.mark.parametrize(
    ("media_types", "text"),
    [
        (["application/sql; charset=UTF-8"], "application/sql;charset=UTF-8"),
        (["a/b", "*/*"], "a/b, */*"),
        (['a/b; x="1 2"'], 'a/b;x="1 2"'),
        (["a/b; x=1"], 'a/b;x="1"'),  # would be read as a number
        (["3d/obj"], '"3d/obj"'),  # a token begins with a letter
        ([r'a/b; x="\"\\"'], r'a/b;x="\"\\"'),
    ],
)
def test_format_accept_query(media_types: list[str], text: str) -> None:
    assert format_accept_query(*media_types) == text
    assert [str(media_type) for media_type in parse_accept_query(text)] == media_types


@pytest.mark.parametrize(
    "media_types", [[], ["text"], ["a/b; !=1"], ['a/b; x="\xe9"'], ["a/b", "c/d\r\n"], ["a/b, c/d"]]
)
def test_format_accept_query_of_invalid_media_types_raises(media_types: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_accept_query(*media_types)


fragments = st.sampled_from([*'ab*/;=,"\\ 1X', "a/b", ";x=", '"a/b"', ";x*="])


@pytest.mark.property
@given(st.lists(fragments, max_size=15).map("".join) | st.text(max_size=30))
def test_parse_accept_query_of_any_text_is_stable(text: str) -> None:
    media_types = parse_accept_query(text)
    if media_types:
        assert parse_accept_query(format_accept_query(*map(str, media_types))) == media_types


@pytest.mark.parametrize("text", ["a", " ", ",", "a/b,", ";x=a", '"', "\\", '\\"', "*"])
def test_parse_accept_query_takes_linear_time(text: str) -> None:
    for head in ("", "a/b", '"'):
        assert grows_linearly(parse_accept_query, text, head)
