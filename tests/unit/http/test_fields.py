"""Short headers: Retry-After, Allow, Content-Language; and the headers that a proxy forwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.fields import (
    connection_options,
    end_to_end,
    format_allow,
    format_content_language,
    format_retry_after,
    parse_allow,
    parse_content_language,
    parse_retry_after,
)
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("when", "text"),
    [
        # RFC 9110, section 10.2.3.
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), "Fri, 31 Dec 1999 23:59:59 GMT"),
        (120, "120"),
        (0, "0"),
        (0.1, "1"),  # rounded up
        (59.0, "59"),
    ],
)
def test_retry_after_round_trip(when: datetime | float, text: str) -> None:
    assert format_retry_after(when) == text
    assert parse_retry_after(f" {text}\t") in (when, 1)


@pytest.mark.parametrize(
    "when", [-1, float("nan"), float("inf"), 2**31 + 1, datetime(1999, 12, 31)]
)
def test_format_retry_after_of_invalid_time_raises(when: datetime | float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_retry_after(when)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("99999999999", 2**31),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("soon", None),
        ("1, 2", None),
    ],
)
def test_parse_retry_after_of_malformed_text_is_none(text: str, when: int | None) -> None:
    assert parse_retry_after(text) == when


def test_parse_retry_after_needs_now_for_rfc_850_dates() -> None:
    text = "Friday, 31-Dec-99 23:59:59 GMT"

    assert parse_retry_after(text) is None
    assert parse_retry_after(text, now=9e8) == datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_allow_round_trip() -> None:
    assert format_allow("GET", "HEAD", "PUT") == "GET, HEAD, PUT"  # RFC 9110, section 10.2.1
    assert format_allow() == ""
    assert parse_allow("GET,HEAD , ,a b,\xe9,get") == ["GET", "HEAD", "get"]
    with pytest.raises(ValueError, match="a method is a token"):
        format_allow("GET", "A B")


def test_content_language_round_trip() -> None:
    assert format_content_language("mi", "en-NZ") == "mi, en-NZ"
    assert parse_content_language("mi, en-NZ") == ["mi", "en-NZ"]
    assert parse_content_language("mi,, e n, *, \xe9") == ["mi"]


@pytest.mark.parametrize("tags", [(), ("",), ("en", "*"), ("en_US",), ("en\r\nx: y",), ("en, de",)])
def test_format_content_language_of_malformed_tags_raises(tags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="language"):
        format_content_language(*tags)


fragments = st.sampled_from([*'aZ09-, ":\t\xe9', "GET", "en-US", "Sun, 06 Nov 1994 08:49:37 GMT"])


@pytest.mark.property
@given(st.lists(fragments, max_size=10).map("".join) | st.text(max_size=40))
def test_short_headers_of_any_text_are_stable(text: str) -> None:
    methods, languages, when = (
        parse_allow(text),
        parse_content_language(text),
        parse_retry_after(text),
    )

    assert parse_allow(format_allow(*methods)) == methods
    assert not languages or parse_content_language(format_content_language(*languages)) == languages
    assert when is None or parse_retry_after(format_retry_after(when)) == when


@pytest.mark.parametrize("text", ["a", ",", "a,", "a-", "1", " ", '"', "\\"])
@pytest.mark.parametrize("parse", [parse_allow, parse_content_language, parse_retry_after])
def test_parsers_of_short_headers_take_linear_time(
    parse: Callable[[str], object], text: str
) -> None:
    assert grows_linearly(parse, text)


@pytest.mark.parametrize(
    ("headers", "forwarded"),
    [
        ([], []),
        ({"ETag": '"1"', "Keep-Alive": "timeout=5"}, [(b"etag", b'"1"')]),
        ([(b"A", b"1"), (b"a", b"2")], [(b"a", b"1"), (b"a", b"2")]),
        ([("X-A", "1"), (b"x-b", " 2 ")], [(b"x-a", b"1"), (b"x-b", b"2")]),
        # All lines of Connection count, in any case.
        ({"Connection": "close, A,\tB ,,", "a": "1", "B": "2", "C": "3"}, [(b"c", b"3")]),
        ([("connection", "x-a"), ("x-a", "1"), ("Connection", "X-B"), ("x-b", "2")], []),
        # Content-Length describes the content; Transfer-Encoding overrides it.
        ({"content-length": "3"}, [(b"content-length", b"3")]),
        ({"content-length": "3", "Transfer-Encoding": "chunked"}, []),
        # Names that only resemble those of a connection.
        ({"te-x": "1", "trailers": "2"}, [(b"te-x", b"1"), (b"trailers", b"2")]),
    ],
)
def test_end_to_end_keeps_headers_that_may_be_forwarded(
    headers: Any, forwarded: list[tuple[bytes, bytes]]
) -> None:
    assert end_to_end(headers) == forwarded


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ],
)
def test_end_to_end_drops_headers_of_a_connection(name: str) -> None:
    assert end_to_end([(name, "x"), ("vary", "accept")]) == [(b"vary", b"accept")]


def test_end_to_end_keeps_repeats_of_a_mapping_with_multi_items() -> None:
    headers = httpx.Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

    assert end_to_end(headers) == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_end_to_end_raises_on_headers_that_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="control character"):
        end_to_end([(b"x", b"a\nb")])
    with pytest.raises(TypeError, match="str or bytes"):
        end_to_end([(b"x", 1)])  # type: ignore[list-item]  # the wrong use under test


def test_connection_options_are_lower_case() -> None:
    assert connection_options([(b"connection", b"Close,X"), (b"x", b"y")]) == {b"close", b"x"}


@pytest.mark.property
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["connection", "a", "b", "te", "content-length"]),
            st.sampled_from(["a", "b, close", "3", ""]),
        )
    )
)
def test_end_to_end_is_an_ordered_selection_and_idempotent(headers: list[tuple[str, str]]) -> None:
    forwarded = end_to_end(headers)
    rest = iter((name.encode(), value.encode()) for name, value in headers)

    assert all(pair in rest for pair in forwarded)
    assert end_to_end(forwarded) == forwarded
