"""Cache-Control: parse_cache_control, CacheControl, make_cache_control."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.caching import (
    CacheControl,
    make_cache_control,
    parse_cache_control,
)
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # RFC 9111, section 5.2; RFC 5861; RFC 8246.
        ("max-age=5", CacheControl(max_age=5)),
        ("max-stale=10", CacheControl(max_stale=10)),
        ("max-stale", CacheControl(max_stale=True)),
        ("min-fresh=20", CacheControl(min_fresh=20)),
        ("no-store, no-transform", CacheControl(no_store=True, no_transform=True)),
        ("only-if-cached", CacheControl(only_if_cached=True)),
        ("must-understand, no-store", CacheControl(must_understand=True, no_store=True)),
        ('no-cache="set-cookie, x-a"', CacheControl(no_cache=("set-cookie", "x-a"))),
        ("private", CacheControl(private=True)),
        (
            "s-maxage=10, proxy-revalidate, must-revalidate, public",
            CacheControl(s_maxage=10, proxy_revalidate=True, must_revalidate=True, public=True),
        ),
        (
            'private, community="UCI"',
            CacheControl(private=True, extensions=(("community", "UCI"),)),
        ),
        (
            "max-age=600, stale-while-revalidate=30, stale-if-error=1200",
            CacheControl(max_age=600, stale_while_revalidate=30, stale_if_error=1200),
        ),
        ("max-age=31536000, immutable", CacheControl(max_age=31536000, immutable=True)),
        ("", CacheControl()),
        (" , ,", CacheControl()),
        ("MAX-AGE=5, No-Store", CacheControl(max_age=5, no_store=True)),
        ('max-age="5"', CacheControl(max_age=5)),
        ("max-age=05", CacheControl(max_age=5)),
        ("max-age=1, max-age=2", CacheControl(max_age=1)),  # section 4.2.1
        ("max-age=99999999999", CacheControl(max_age=2**31)),  # section 1.2.2
        ("max-age=" + "9" * 5000, CacheControl(max_age=2**31)),
        # Malformed freshness is 0, which means stale.
        ("max-age=x", CacheControl(max_age=0)),
        ("max-age", CacheControl(max_age=0)),
        ("s-maxage=-1", CacheControl(s_maxage=0)),
        ("max-age=\xb2", CacheControl()),  # no token, so the directive is ignored
        ('max-age="\xb2"', CacheControl(max_age=0)),
        ('max-age=""', CacheControl(max_age=0)),
        ("min-fresh=x, stale-if-error=, max-stale=x", CacheControl()),
        ("no-store=1", CacheControl(no_store=True)),
        ('private=""', CacheControl(private=True)),
        ('private="a b"', CacheControl(private=True)),
        ("no-cache=X-A", CacheControl(no_cache=("x-a",))),
        ("private, public", CacheControl(private=True)),  # the more restrictive directive counts
        ('public, private="a"', CacheControl(public=True, private=("a",))),
        ("max_age=5", CacheControl(extensions=(("max_age", "5"),))),  # not max-age
        ("extensions=5", CacheControl(extensions=(("extensions", "5"),))),
        ("a=1, A=2, b", CacheControl(extensions=(("a", "1"), ("b", None)))),
        ('max-age=5 6, "max-age", =5, no store, max-age=7', CacheControl(max_age=7)),
        ("no-store\n", CacheControl()),
    ],
)
def test_parse_cache_control(text: str, value: CacheControl) -> None:
    assert parse_cache_control(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CacheControl(max_age=3600, public=True), "max-age=3600, public"),
        (CacheControl(max_age=0, must_revalidate=True), "max-age=0, must-revalidate"),
        (CacheControl(private=("set-cookie", "x-a")), 'private="set-cookie, x-a"'),
        (CacheControl(no_cache=True), "no-cache"),
        (CacheControl(no_cache=()), "no-cache"),
        (CacheControl(max_stale=True), "max-stale"),
        (CacheControl(max_stale=1), "max-stale=1"),
        (CacheControl(extensions=(("community", "UCI"), ("a", None))), 'community="UCI", a'),
        (CacheControl(), ""),
    ],
)
def test_cache_control_is_formatted(value: CacheControl, text: str) -> None:
    assert str(value) == text


@pytest.mark.parametrize(
    "directives",
    [
        {"max_age": -1},
        {"max_age": 1.5},
        {"s_maxage": True},
        {"stale_if_error": "5"},
        {"max_stale": -1},
        {"public": True, "private": True},
        {"private": ("a b",)},
        {"no_cache": ("a", "b\r\n")},
        {"extensions": (("a b", None),)},
        {"extensions": (("a", "\r\n"),)},
    ],
)
def test_invalid_cache_control_raises(directives: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        CacheControl(**directives)


def test_make_cache_control_takes_a_value_or_directives() -> None:
    assert make_cache_control(no_store=True) == "no-store"
    assert make_cache_control(CacheControl(max_age=5)) == "max-age=5"
    with pytest.raises(TypeError, match="or its attributes, not both"):
        make_cache_control(CacheControl(max_age=5), no_store=True)
    with pytest.raises(ValueError, match="one directive or more"):
        make_cache_control(no_store=False)
    with pytest.raises(TypeError, match="maxage"):
        make_cache_control(maxage=5)  # type: ignore[call-arg]  # the wrong use under test


# --- properties -----------------------------------------------------------------------------------

tokens = st.text("abc019-", min_size=1, max_size=6).map(lambda text: f"x{text}")
seconds = st.none() | st.integers(0, 2**31)
names = st.booleans() | st.lists(tokens, min_size=1, max_size=3).map(tuple)
visible = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
values = st.builds(
    CacheControl,
    max_age=seconds,
    s_maxage=seconds,
    max_stale=st.booleans() | st.integers(2, 2**31),
    min_fresh=seconds,
    stale_while_revalidate=seconds,
    stale_if_error=seconds,
    no_cache=names,
    private=names,
    no_store=st.booleans(),
    only_if_cached=st.booleans(),
    immutable=st.booleans(),
    extensions=st.dictionaries(tokens, st.none() | visible, max_size=3).map(
        lambda mapping: tuple(mapping.items())
    ),
)


@pytest.mark.property
@given(values)
def test_parse_cache_control_reverses_str(value: CacheControl) -> None:
    assert parse_cache_control(str(value)) == value


fragments = st.sampled_from(
    [*'=," \\;a1-_\xe9', "max-age", "private", "public", "no-cache", "max-stale", "extensions"]
)


@pytest.mark.property
@given(st.lists(fragments, max_size=20).map("".join) | st.text(max_size=40))
def test_parse_cache_control_of_any_text_is_stable(text: str) -> None:
    value = parse_cache_control(text)

    assert parse_cache_control(str(value)) == value


@pytest.mark.parametrize(
    "text", ["a,", "a", ",", '"', "\\", "=", 'a="b",', "max-age=1,", "1", '"\\', " "]
)
@pytest.mark.parametrize("head", ["", "max-age=", 'private="'])
def test_parse_cache_control_takes_linear_time(head: str, text: str) -> None:
    assert grows_linearly(lambda field: str(parse_cache_control(field)), text, head)
