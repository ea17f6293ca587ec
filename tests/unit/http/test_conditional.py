"""Entity tags and preconditions: parsing, comparison, and the order that gives 412, 304 or None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.conditional import (
    EntityTags,
    ETag,
    evaluate_preconditions,
    format_etag,
    if_range_matches,
    not_modified_headers,
    parse_etag,
    parse_etag_list,
)
from asgikit.http.dates import format_http_date

MODIFIED = datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC)
BEFORE = format_http_date(MODIFIED - timedelta(seconds=1))
THEN = format_http_date(MODIFIED)
AFTER = format_http_date(MODIFIED + timedelta(seconds=1))
STRONG = ETag("1")
WEAK = ETag("1", weak=True)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        ('"1"', ETag("1")),
        ('W/"1"', ETag("1", weak=True)),
        ('""', ETag("")),
        (' "1"\t', ETag("1")),
        ('"a,b"', ETag("a,b")),
        ('"\\"', ETag("\\")),  # a backslash is a plain character
        ('"\xe9"', ETag("\xe9")),
        ('"*"', ETag("*")),
        ("*", None),
        ("1", None),
        ('w/"1"', None),  # "W" is case-sensitive
        ('W/ "1"', None),
        ("W/1", None),
        ('"1', None),
        ('1"', None),
        ('"a b"', None),
        ('"a"b"', None),
        ('"a\x7f"', None),
        ('"1", "2"', None),
        ("", None),
        ('"1"\n', None),
        ('"\u0100"', None),
    ],
)
def test_parse_etag(text: str, etag: ETag | None) -> None:
    assert parse_etag(text) == etag


@pytest.mark.parametrize("value", ['"', " ", "a b", "\t", "\r\n", "\0", "\x7f", "\u0100"])
def test_format_etag_of_invalid_text_raises(value: str) -> None:
    with pytest.raises(ValueError, match="entity tag"):
        format_etag(value)


def test_format_etag_adds_quotes() -> None:
    assert format_etag("1") == str(STRONG) == '"1"'
    assert format_etag("1", weak=True) == str(WEAK) == 'W/"1"'


@given(st.text(st.characters(codec="latin-1")), st.booleans())
def test_parse_etag_reverses_format_etag(value: str, weak: bool) -> None:
    try:
        text = format_etag(value, weak=weak)
    except ValueError:
        assert any(character in '" \x7f' or character < "!" for character in value)
    else:
        assert parse_etag(text) == (value, weak)
        assert parse_etag_list(f"{text}, {text}").tags == ((value, weak), (value, weak))


@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),
    [
        # The table of section 8.8.3.2.
        (ETag("1", weak=True), ETag("1", weak=True), False, True),
        (ETag("1", weak=True), ETag("2", weak=True), False, False),
        (ETag("1", weak=True), ETag("1"), False, True),
        (ETag("1"), ETag("1", weak=True), False, True),
        (ETag("1"), ETag("1"), True, True),
        (ETag("1"), ETag("2"), False, False),
    ],
)
def test_etags_compare_strongly_and_weakly(
    one: ETag, other: ETag, strongly: bool, weakly: bool
) -> None:
    assert one.matches_strongly(other) is strongly
    assert one.matches_weakly(other) is weakly
    assert EntityTags((ETag("0"), one)).matches_strongly(other) is strongly
    assert EntityTags((ETag("0"), one)).matches_weakly(other) is weakly


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"1"', EntityTags((ETag("1"),))),
        ('"1", W/"2"', EntityTags((ETag("1"), ETag("2", weak=True)))),
        (',"1" ,\t, "2",', EntityTags((ETag("1"), ETag("2")))),
        ('"a,b","c"', EntityTags((ETag("a,b"), ETag("c")))),
        (" * ", EntityTags((), any=True)),
        ('"*"', EntityTags((ETag("*"),))),
        # Malformed values match nothing.
        ("", EntityTags(())),
        (",", EntityTags(())),
        ("1", EntityTags(())),
        ('"1", 2', EntityTags(())),
        ('*, "1"', EntityTags(())),
        ('"1" "2"', EntityTags(())),
        ('"1', EntityTags(())),
        ('"x,"1",y"', EntityTags(())),  # no tag is taken from the middle
    ],
)
def test_parse_etag_list_malformed_anywhere_matches_nothing(text: str, tags: EntityTags) -> None:
    assert parse_etag_list(text) == tags


def test_etag_list_star_matches_any_tag() -> None:
    star = parse_etag_list("*")

    assert star.matches_strongly(WEAK)
    assert star.matches_weakly(WEAK)
    assert star.matches_strongly(None)
    assert not parse_etag_list('"1"').matches_weakly(None)


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("GET", {}, None),
        # If-Match (section 13.1.1), by strong comparison
        ("GET", {"if_match": '"1"'}, None),
        ("PUT", {"if_match": '"0", "1"'}, None),
        ("PUT", {"if_match": "*"}, None),
        ("PUT", {"if_match": '"other"'}, 412),
        ("PUT", {"if_match": 'W/"1"'}, 412),
        ("PUT", {"if_match": '"1", garbage'}, 412),  # malformed, so it fails
        ("GET", {"if_match": '"other"'}, 412),
        # If-Unmodified-Since (section 13.1.4)
        ("PUT", {"if_unmodified_since": THEN}, None),
        ("PUT", {"if_unmodified_since": AFTER}, None),
        ("PUT", {"if_unmodified_since": BEFORE}, 412),
        ("PUT", {"if_unmodified_since": f" {BEFORE}"}, 412),
        ("PUT", {"if_unmodified_since": "yesterday"}, None),
        ("PUT", {"if_unmodified_since": f"{BEFORE}, {BEFORE}"}, None),  # not a list
        ("PUT", {"if_match": '"1"', "if_unmodified_since": BEFORE}, None),  # ignored
        # If-None-Match (section 13.1.2), by weak comparison
        ("GET", {"if_none_match": '"1"'}, 304),
        ("HEAD", {"if_none_match": '"1"'}, 304),
        ("GET", {"if_none_match": 'W/"1"'}, 304),
        ("GET", {"if_none_match": '"0", W/"1"'}, 304),
        ("GET", {"if_none_match": "*"}, 304),
        ("GET", {"if_none_match": '"other"'}, None),
        ("GET", {"if_none_match": "1"}, None),  # unquoted, so no 304
        ("GET", {"if_none_match": '"1", garbage'}, None),
        ("PUT", {"if_none_match": '"1"'}, 412),
        ("PUT", {"if_none_match": "*"}, 412),
        ("PUT", {"if_none_match": '"other"'}, None),
        ("PUT", {"if_none_match": "garbage"}, 412),  # malformed, so the write is refused
        # If-Modified-Since (section 13.1.3)
        ("GET", {"if_modified_since": THEN}, 304),
        ("HEAD", {"if_modified_since": AFTER}, 304),
        ("GET", {"if_modified_since": BEFORE}, None),
        ("GET", {"if_modified_since": "yesterday"}, None),
        ("POST", {"if_modified_since": THEN}, None),  # neither GET nor HEAD
        # QUERY reads, as GET does (RFC 10008, section 2).
        ("QUERY", {"if_none_match": '"1"'}, 304),
        ("QUERY", {"if_modified_since": THEN}, 304),
        ("QUERY", {"if_match": '"2"'}, 412),
        ("QUERY", {"if_none_match": "garbage"}, None),
        ("GET", {"if_none_match": '"zz"', "if_modified_since": THEN}, None),  # ignored
        ("GET", {"if_none_match": "zz", "if_modified_since": THEN}, None),
        # The order of section 13.2.2
        ("GET", {"if_match": '"other"', "if_none_match": '"1"'}, 412),
        ("GET", {"if_match": '"1"', "if_none_match": '"1"'}, 304),
        ("GET", {"if_unmodified_since": BEFORE, "if_modified_since": THEN}, 412),
        ("GET", {"if_unmodified_since": THEN, "if_modified_since": THEN}, 304),
        # These methods do not select a representation (section 13.2.1).
        ("OPTIONS", {"if_match": '"other"'}, None),
        ("TRACE", {"if_none_match": "*"}, None),
        ("CONNECT", {"if_unmodified_since": BEFORE}, None),
    ],
)
def test_evaluate_preconditions(method: str, fields: dict[str, str], status: int | None) -> None:
    arguments: dict[str, Any] = fields

    assert (
        evaluate_preconditions(method=method, etag=STRONG, last_modified=MODIFIED, **arguments)
        == status
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"if_match": '"1"'}, 412),
        ({"if_match": "*"}, None),  # a representation without an entity tag
        ({"if_none_match": '"1"'}, None),
        ({"if_none_match": "*"}, 304),
        ({"if_modified_since": AFTER}, None),
        ({"if_unmodified_since": BEFORE}, None),
    ],
)
def test_preconditions_without_validators_are_false_or_ignored(
    fields: dict[str, str], status: int | None
) -> None:
    arguments: dict[str, Any] = fields

    assert evaluate_preconditions(method="GET", **arguments) == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"if_match": '"1"'}, 412),
        ({"if_match": "*"}, 412),
        ({"if_none_match": "*"}, None),  # create without overwriting
        ({"if_none_match": '"1"'}, None),
        ({"if_unmodified_since": BEFORE}, None),
    ],
)
def test_without_representation_only_if_match_fails(
    fields: dict[str, str], status: int | None
) -> None:
    arguments: dict[str, Any] = fields

    assert evaluate_preconditions(method="PUT", exists=False, **arguments) == status


def test_if_match_never_matches_a_weak_etag() -> None:
    assert evaluate_preconditions(method="PUT", if_match='"1"', etag=WEAK) == 412
    assert evaluate_preconditions(method="PUT", if_match='W/"1"', etag=WEAK) == 412
    assert evaluate_preconditions(method="GET", if_none_match='"1"', etag=WEAK) == 304


@pytest.mark.parametrize(
    "last_modified",
    [
        MODIFIED.replace(microsecond=999_999),
        MODIFIED.astimezone(timezone(timedelta(hours=-7))),
        MODIFIED.timestamp() + 0.5,
        int(MODIFIED.timestamp()),
    ],
)
def test_date_conditions_ignore_fractions_of_a_second(last_modified: datetime | float) -> None:
    same = {"if_modified_since": THEN, "last_modified": last_modified}
    later = {"if_unmodified_since": BEFORE, "last_modified": last_modified}
    arguments: list[dict[str, Any]] = [same, later]

    assert [evaluate_preconditions(method="GET", **them) for them in arguments] == [304, 412]
    assert if_range_matches(THEN, last_modified=last_modified)


def test_naive_last_modified_raises() -> None:
    naive = MODIFIED.replace(tzinfo=None)

    with pytest.raises(ValueError, match="time zone"):
        evaluate_preconditions(method="GET", if_modified_since=THEN, last_modified=naive)
    with pytest.raises(ValueError, match="time zone"):
        if_range_matches(THEN, last_modified=naive)


def test_rfc_850_date_is_ignored_without_now() -> None:
    old = "Thursday, 29-Feb-24 12:30:15 GMT"
    arguments: dict[str, Any] = {"if_modified_since": old, "last_modified": MODIFIED}

    assert evaluate_preconditions(method="GET", now=MODIFIED, **arguments) == 304
    assert evaluate_preconditions(method="GET", **arguments) is None
    assert if_range_matches(old, last_modified=MODIFIED, now=MODIFIED)


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ('"1"', True),
        ('"2"', False),
        ('W/"1"', False),  # weak tags do not identify the bytes
        ('"1", "2"', False),  # a list is not allowed
        ("*", False),
        ("garbage", False),
        ("", False),
        (THEN, True),
        (f" {THEN} ", True),
        (BEFORE, False),
        (AFTER, False),  # the date must be equal
        (f'"1", {THEN}', False),
    ],
)
def test_if_range_needs_a_strong_match(value: str, matches: bool) -> None:
    assert if_range_matches(value, etag=STRONG, last_modified=MODIFIED) is matches


def test_if_range_without_validators_does_not_match() -> None:
    assert not if_range_matches('"1"', last_modified=MODIFIED)
    assert not if_range_matches('"1"', etag=WEAK)
    assert not if_range_matches(THEN, etag=STRONG)


def test_not_modified_headers_drop_content_headers() -> None:
    raw = [
        (b"content-type", b"text/plain"),
        (b"content-length", b"10"),
        (b"etag", b'"1"'),
        (b"last-modified", THEN.encode()),
        (b"vary", b"accept-encoding"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-encoding", b"gzip"),
        (b"cache-control", b"no-cache"),
        (b"access-control-allow-origin", b"*"),  # without it, the page could not read the response
        (b"content-security-policy", b"default-src 'self'"),
    ]

    assert not_modified_headers(raw) == [raw[2], *raw[4:7], *raw[8:]]


def test_not_modified_headers_keep_date_without_etag() -> None:
    raw = [(b"last-modified", THEN.encode()), (b"content-length", b"10")]

    assert not_modified_headers(raw) == raw[:1]


@given(st.text(alphabet='W/"*,abc \t\xe9\x00', max_size=30))
def test_etag_list_of_any_text_matches_only_its_tags(text: str) -> None:
    is_listed = f'"{STRONG.value}"' in text or parse_etag_list(text).any

    assert parse_etag_list(text).matches_weakly(STRONG) <= is_listed
    assert evaluate_preconditions(method="GET", if_match=text, if_none_match=text, etag=STRONG) in (
        {304} if parse_etag_list(text).any else {412}
    )
