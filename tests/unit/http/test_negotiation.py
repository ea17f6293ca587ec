"""Content negotiation: Accept, Accept-Encoding, Accept-Language, and the rank of offers."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.negotiation import (
    Accept,
    AcceptEncoding,
    AcceptLanguage,
    MediaRange,
    Preference,
    parse_accept,
    parse_accept_encoding,
    parse_accept_language,
    prefer_codings,
)
from tests.support.growth import grows_linearly

CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
RFC_9110 = (
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, "
    "*/*;q=0.5"
)
RFC_7231 = "text/*;q=0.3, text/html;q=0.7, text/html;level=1, text/html;level=2;q=0.4, */*;q=0.5"


# --- Accept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "offer", "quality"),
    [
        # RFC 9110, section 12.5.1, and the same table as it was in RFC 7231, section 5.3.2.
        (RFC_9110, "text/plain;format=flowed", 1),
        (RFC_9110, "text/plain", 0.7),
        (RFC_9110, "text/html", 0.3),
        (RFC_9110, "image/jpeg", 0.5),
        (RFC_9110, "text/plain;format=fixed", 0.4),
        (RFC_7231, "text/html;level=1", 1),
        (RFC_7231, "text/html", 0.7),
        (RFC_7231, "text/plain", 0.3),
        (RFC_7231, "image/jpeg", 0.5),
        (RFC_7231, "text/html;level=2", 0.4),
        (RFC_7231, "text/html;level=3", 0.7),
        ("audio/*; q=0.2, audio/basic", "audio/basic", 1),
        ("audio/*; q=0.2, audio/basic", "audio/mp3", 0.2),
        ("text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", "text/x-dvi", 0.8),
        (CHROME, "text/html", 1),
        (CHROME, "application/json", 0.8),
        (CHROME, "application/signed-exchange;v=b3", 0.7),
        (CHROME, "application/signed-exchange", 0.8),
        (JAVA, "application/json", 0.2),
        (JAVA, "text/html", 1),
        (None, "text/html", 1),
        ("", "text/html", 1),  # without elements, each type is acceptable
        (" , ,", "text/html", 1),
        ("*/*", "text/html", 1),
        ("*", "text/html", 1),
        ("TEXT/HTML;Q=0.5", "text/html", 0.5),
        ("text/html", "TEXT/HTML", 1),
        ("text/html", "text/plain", 0),
        ("text/html;q=0, */*", "text/html", 0),
        ("text/html;q=0, */*", "text/plain", 1),
        ("text/*;q=0, text/html", "text/html", 1),
        (
            "text/html;q=0;level=1",
            "text/html;level=1",
            0,
        ),  # the weight may come first
        ("text/html;level=1;q=0.5;extra=2", "text/html;level=1;extra=2", 0.5),
        ("text/html;level=1;q=0.5;extra=2", "text/html;level=1", 0),
        ("text/html;level=1, text/html;q=0.5", "text/html;level=1;charset=utf-8", 1),
        ('text/html;level="1"', "text/html;level=1", 1),
        ("text/html;charset=UTF-8", "text/html;charset=utf-8", 1),
        # The offer has no charset, which a range with one does not exclude.
        ("application/json; charset=utf-8", "application/json", 1),
        ("text/html;charset=utf-8", "text/html", 1),
        ("text/html;charset=iso-8859-1;q=0.5", "text/html", 0.5),
        ("text/html;charset=iso-8859-1", "text/html;charset=utf-8", 0),
        ("text/html;charset=utf-8;level=1", "text/html", 0),
        ("text/html;charset=utf-8;level=1", "text/html;level=1", 1),
        ("text/*;charset=utf-8", "text/html", 1),
        # Nor does it make the range more specific than one without.
        ("text/html;charset=utf-8;q=0.2, text/html;q=0.8", "text/html", 0.8),
        ("text/html;charset=utf-8;q=0.2, text/html;q=0.8", "text/html;charset=utf-8", 0.2),
        ("text/html;charset=utf-8;q=0.2, text/html;level=1;q=0.8", "text/html;level=1", 0.8),
        ("text/html;level=a", "text/html;level=A", 0),  # a parameter may be case-sensitive
        ('text/html;title="a,b;q=0", text/plain;q=0.2', "text/plain", 0.2),
        ("text/html;q=0.2, text/html;q=0.8", "text/html", 0.8),  # the higher of two weights
        ("text/html;q=0.12345678901234567", "text/html", 0.123),
        ("text/html;q=1.000", "text/html", 1),
        ("text/html;q=.5", "text/html", 0.5),
        ("text/html;q=0.", "text/html", 0),
    ],
)
def test_accept_quality_is_that_of_most_specific_range(
    field: str | None, offer: str, quality: float
) -> None:
    accept = parse_accept(field)

    assert accept.quality(offer) == quality
    assert (offer in accept) is (quality > 0)


@pytest.mark.parametrize(
    "member",
    [
        "text",
        "/",
        "text/",
        "/html",
        "*/html",
        "text/html/xml",
        "text /html",
        "**",
        "*x",
        "text/html;q=2",
        "text/html;q=1.1",
        "text/html;q=-1",
        "text/html;q=+1",
        "text/html;q=a",
        "text/html;q=",
        "text/html;q=1e0",
        "text/html;q=0.5;q=1",
        "text/html;q=\xb2",
        "text/html;q=\u0661",
        "text/html;q=0.123456789012345678",
        'text/html;level="1',
        "text/html;level",
        "text/html;a=1;a=2",
        "text/html q=1",
        "text/html;;;=",
        "\x00",
        "\xff/\xff",
        '"text/html"',
    ],
)
def test_accept_ignores_malformed_elements_alone(member: str) -> None:
    assert parse_accept(f"a/b;q=0.5, {member}").ranges[0] == ("a", "b", (), 0.5)
    # After an unterminated string, the elements cannot be separated.
    if member.count('"') % 2 == 0:
        assert parse_accept(f"{member},a/b;q=0.5") == parse_accept("a/b;q=0.5")


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        ("text/html, application/json", ["application/json", "text/html"], "application/json"),
        ("text/html, application/json", ["text/html", "application/json"], "text/html"),
        ("text/html, application/json;q=0.9", ["application/json", "text/html"], "text/html"),
        (None, ["application/json", "text/html"], "application/json"),
        ("image/png", ["application/json", "text/html"], None),
        ("image/png", [], None),
        ("*/*;q=0", ["text/html"], None),
        (CHROME, ["application/json", "text/html"], "text/html"),
        ("text/*, text/html;q=0.1", ["text/html", "text/plain"], "text/plain"),
        # axios names JSON, and accepts HTML by */* only.
        (
            "application/json, text/plain, */*",
            ["text/html", "application/json"],
            "application/json",
        ),
        ("*/*, text/html", ["application/json", "text/html"], "text/html"),
        ("text/*, application/json", ["text/html", "application/json"], "application/json"),
        ("text/*, */*", ["a/b", "text/html"], "text/html"),
        ("text/html, text/html;level=1", ["text/html", "text/html;level=1"], "text/html;level=1"),
        ("*/*, text/html;q=0.9", ["text/html", "application/json"], "application/json"),
        ("*/*", ["application/json", "text/html"], "application/json"),
    ],
)
def test_accept_best_match_prefers_client_then_offer_order(
    field: str | None, offers: list[str], best: str | None
) -> None:
    assert parse_accept(field).best_match(offers) == best
    assert parse_accept(field).best_match(offers, "x/y") == (best or "x/y")


def test_accept_rank_orders_acceptable_offers() -> None:
    offers = ["a/a", "b/b", "c/c", "d/d"]

    assert parse_accept("b/b;q=0.5, c/c, d/d").rank(offers) == ["c/c", "d/d", "b/b"]


def test_accept_iterates_by_descending_quality() -> None:
    accept = parse_accept("text/*;q=0.5, text/html;level=1, image/png;q=0, a/b;q=0.5")

    assert list(accept) == [("text/html;level=1", 1), ("text/*", 0.5), ("a/b", 0.5)]
    assert list(parse_accept(None)) == []


@pytest.mark.parametrize("offer", ["text", "text/*", "*/*", "", "text/html;"[:0] + "a b/c"])
def test_accept_offer_that_is_no_media_type_raises(offer: str) -> None:
    with pytest.raises(ValueError, match="an offer is a media type"):
        parse_accept("*/*").quality(offer)


# --- Accept-Encoding ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "qualities"),
    [
        # RFC 9110, section 12.5.3.
        ("compress, gzip", {"compress": 1, "gzip": 1, "br": 0, "identity": 0.001}),
        ("", {"gzip": 0, "identity": 0.001}),
        ("*", {"gzip": 1, "identity": 1}),
        ("compress;q=0.5, gzip;q=1.0", {"compress": 0.5, "gzip": 1}),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", {"gzip": 1, "identity": 0.5, "br": 0}),
        (None, {"gzip": 1, "br": 1, "identity": 1}),
        ("gzip, deflate, br, zstd", {"zstd": 1, "identity": 0.001}),
        ("identity;q=0", {"identity": 0, "gzip": 0}),
        ("*;q=0", {"identity": 0, "gzip": 0}),
        ("*;q=0, identity;q=0.1", {"identity": 0.1, "gzip": 0}),
        ("gzip;q=0", {"gzip": 0, "identity": 0.001}),
        ("GZIP", {"gzip": 1, "GZip": 1, "x-gzip": 1}),  # section 8.4.1
        ("x-gzip, x-compress;q=0.1", {"gzip": 1, "compress": 0.1}),
        ("gzip;q=0.1, x-gzip;q=0.9", {"gzip": 0.9}),
        ("@@@", {"gzip": 0, "identity": 0.001}),  # malformed
        ("br;q=nan, gzip", {"br": 0, "gzip": 1}),
    ],
)
def test_accept_encoding_quality_by_name_or_star(
    field: str | None, qualities: dict[str, float]
) -> None:
    accepted = parse_accept_encoding(field)

    assert {offer: accepted.quality(offer) for offer in qualities} == qualities


@pytest.mark.parametrize(
    ("field", "best"),
    [
        (None, "br"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip;q=0.001", "gzip"),  # requested; identity is only not excluded
        ("gzip;q=0.5, identity", "identity"),
        ("deflate", "identity"),
        ("identity;q=0", None),
        ("gzip, *;q=0", "gzip"),
        ("*;q=0.1", "br"),
    ],
)
def test_identity_is_acceptable_unless_excluded(field: str | None, best: str | None) -> None:
    assert parse_accept_encoding(field).best_match(["br", "gzip", "identity"]) == best


@pytest.mark.parametrize(
    ("field", "preferred"),
    [
        (None, []),
        ("gzip, br, zstd", ["br", "zstd", "gzip"]),
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.95", ["gzip", "zstd", "br"]),
        ("gzip ; q=0.5 , br", ["br", "gzip"]),
        ("*;q=0", []),
        ("*, identity;q=0", ["br", "zstd", "gzip"]),
        ("gzip;q=0.001", ["gzip"]),
        ("gzip;q=0.0001, br;q=1.5, zstd;q=-1", []),
        ("gzip;level=9", ["gzip"]),
        (';q=1, ",gzip', []),
        ("gzip" + ";" * 1000, ["gzip"]),
        ("gzip;q=0.5, identity;q=0.7", []),
        ("gzip, *", ["gzip", "br", "zstd"]),  # a named coding comes before one that * matches
        ("gzip;q=0.5, *;q=0.7", ["br", "zstd"]),  # * matches identity, too
    ],
)
def test_preferred_codings_are_not_worse_than_identity(
    field: str | None, preferred: list[str]
) -> None:
    assert parse_accept_encoding(field).preferred(("br", "zstd", "gzip")) == preferred
    assert prefer_codings(field, ("br", "zstd", "gzip")) == preferred


@pytest.mark.property
@given(
    members=st.lists(
        st.one_of(
            st.sampled_from(["gzip", "br", "zstd", "identity", "*", "x-gzip", "GZIP", "", "br a"]),
            st.text(alphabet='a;q=01.,"\t x-', max_size=8),
        ),
        max_size=6,
    ),
    separator=st.sampled_from([",", ", ", " ,\t"]),
    offers=st.permutations(["br", "gzip", "zstd", "deflate"]),
)
def test_prefer_codings_equals_preferred(
    members: list[str], separator: str, offers: list[str]
) -> None:
    field = separator.join(members)
    assert prefer_codings(field, offers) == parse_accept_encoding(field).preferred(offers)


# --- Accept-Language ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "offer", "quality"),
    [
        # RFC 9110, section 12.5.4.
        ("da, en-gb;q=0.8, en;q=0.7", "da", 1),
        ("da, en-gb;q=0.8, en;q=0.7", "en-GB", 0.8),
        ("da, en-gb;q=0.8, en;q=0.7", "en-US", 0.7),
        ("da, en-gb;q=0.8, en;q=0.7", "en", 0.7),
        ("da, en-gb;q=0.8, en;q=0.7", "fr", 0),
        # RFC 4647, section 3.3.1.
        ("de-de", "de-DE-1996", 1),
        ("de-de", "de-Deva", 0),
        ("de-de", "de-Latn-DE", 0),
        ("de-CH;q=0.5, *;q=0.1", "fr", 0.1),
        # RFC 4647, section 3.4: a range is truncated until it matches.
        ("zh-Hant-CN-x-private1-private2", "zh-Hant-CN-x-private1", 1),
        ("zh-Hant-CN-x-private1-private2", "zh-Hant-CN", 1),
        ("zh-Hant-CN-x-private1-private2", "zh-Hant", 1),
        ("zh-Hant-CN-x-private1-private2", "zh", 1),
        ("zh-Hant-CN-x-private1-private2", "zh-Hans", 0),
        ("de-CH, de;q=0", "de", 0),  # excluded by name
        ("de-CH;q=0", "de", 0),
        ("de-CH;q=0, *", "de", 1),  # only one dialect is excluded
        ("de-CH, *;q=0.1", "de", 1),
        ("en;q=0.1, en-US;q=0.9", "en-US-x-a", 0.9),  # the longest range counts
        ("en;q=0.9, en-US;q=0.1", "en-US", 0.1),
        ("en;q=0.1, EN;q=0.9", "en", 0.9),
        ("e", "en", 0),
        ("en", "eng", 0),
        ("*;q=0", "en", 0),
        (None, "en", 1),
        ("", "en", 1),
        ("en_US, 12, toolonglanguage, ;q=1, en-, -en", "fr", 1),  # malformed ranges are ignored
        ("\xe9n, fr;q=0.5", "fr", 0.5),
    ],
)
def test_accept_language_quality_by_filtering_and_lookup(
    field: str | None, offer: str, quality: float
) -> None:
    assert parse_accept_language(field).quality(offer) == quality


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        ("de-CH, en;q=0.5", ["en", "de"], "de"),
        ("de, en", ["en", "de"], "en"),
        ("de, en;q=0.9", ["en-GB", "de-AT"], "de-AT"),
        ("fr", ["en", "de"], None),
        ("fr, *;q=0.1", ["en", "de"], "en"),
        (None, ["en", "de"], "en"),
        ("en-US,en;q=0.9,de;q=0.8", ["de", "en"], "en"),
        ("fr, *", ["en", "fr"], "fr"),  # "*" matches only the other languages
        ("de", ["de-CH", "de"], "de"),  # an equal tag is more specific
        ("en, de-CH", ["de", "en"], "en"),
        ("zh-Hant-TW", ["zh", "zh-Hant"], "zh-Hant"),  # lookup removes one subtag at a time
        ("de, de-CH", ["de-AT", "de-CH-1996"], "de-CH-1996"),
        ("de-AT, en;q=0.5", ["de_AT", "en"], "de_AT"),  # as gettext names its folders
    ],
)
def test_accept_language_best_match(field: str | None, offers: list[str], best: str | None) -> None:
    assert parse_accept_language(field).best_match(offers) == best


@pytest.mark.parametrize(
    "parse",
    [parse_accept, parse_accept_encoding, parse_accept_language],
    ids=lambda parse: parse.__name__,
)
def test_rank_of_a_string_raises(parse: Any) -> None:
    for choose in (parse(None).best_match, parse("a, b").rank):
        with pytest.raises(TypeError, match="several offers"):
            choose("gzip")


# --- properties -----------------------------------------------------------------------------------

PARSERS = [parse_accept, parse_accept_encoding, parse_accept_language]
fragments = st.sampled_from([*'abq01.;=,*/-" \t\\\xe9', "text/html", ";q=", "gzip", "en-US", "*/*"])
fields = st.lists(fragments, max_size=30).map("".join) | st.text(max_size=40)


@pytest.mark.property
@given(fields)
def test_preferences_of_any_text_are_stable(field: str) -> None:
    for parse in PARSERS:
        preferences = parse(field)
        assert parse(str(preferences)) == preferences
        assert all(0 < quality <= 1 for _, quality in preferences)
    assert 0 <= parse_accept(field).quality("text/html") <= 1
    assert parse_accept_encoding(field).preferred(["gzip"]) in ([], ["gzip"])
    assert parse_accept_language(field).rank(["en", "de"]) in (
        [], ["en"], ["de"], ["en", "de"], ["de", "en"],
    )  # fmt: skip


tokens = st.text("abcxyz09!#+-.", min_size=1, max_size=5)
weights = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
parameters = st.dictionaries(
    tokens.filter(lambda name: name not in ("q", "charset")), st.text('ab",;\\ \xe9', max_size=5)
).map(lambda mapping: tuple(mapping.items()))
media_ranges = st.builds(
    MediaRange, tokens, tokens | st.just("*"), parameters, weights
) | st.builds(MediaRange, st.just("*"), st.just("*"), parameters, weights)
languages = st.lists(st.text("abc", min_size=1, max_size=8), min_size=1).map("-".join)


@pytest.mark.property
@given(
    st.lists(media_ranges).map(lambda ranges: Accept(tuple(ranges))),
    st.lists(st.builds(Preference, tokens, weights)).map(lambda some: AcceptEncoding(tuple(some))),
    st.lists(st.builds(Preference, languages | st.just("*"), weights)).map(
        lambda some: AcceptLanguage(tuple(some))
    ),
)
def test_preferences_are_parsed_as_formatted(
    accept: Accept, encoding: AcceptEncoding, language: AcceptLanguage
) -> None:
    assert parse_accept(str(accept)) == accept
    assert parse_accept_encoding(str(encoding)) == encoding
    assert parse_accept_language(str(language)) == language
    assert [str(one) for one in accept.ranges] == [
        str(one) for one in parse_accept(str(accept)).ranges
    ]


@given(
    st.lists(
        st.builds(MediaRange, st.sampled_from("ab*"), st.sampled_from("xy*"), st.just(()), weights)
    )
)
def test_accept_quality_ignores_order_of_elements(ranges: list[MediaRange]) -> None:
    shuffled = random.Random(len(ranges)).sample(ranges, len(ranges))
    field, other = (", ".join(map(str, some)) for some in (ranges, shuffled))

    assert parse_accept(field).quality("a/x") == parse_accept(other).quality("a/x")


@pytest.mark.parametrize(
    "text",
    [
        "a/b,",
        ",",
        ";",
        "a/b;q=1,",
        '"',
        'a/b;c="',
        "a/b;a=1",
        "gzip,",
        "en-",
        "a-",
        " ",
        "\\",
        "*",
        'a/b;c="\\",',
    ],
)
@pytest.mark.parametrize("parse", PARSERS)
def test_negotiation_takes_linear_time(parse: object, text: str) -> None:
    def whole(field: str) -> None:
        preferences = parse(field)  # type: ignore[operator]  # one of PARSERS
        preferences.best_match(["text/html"])

    assert grows_linearly(whole, text)
