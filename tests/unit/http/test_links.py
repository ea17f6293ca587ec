"""Web links: parse_links, format_link, and extended values."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.extended import format_ext_value, parse_ext_value
from asgikit.http.links import Link, format_link, parse_links
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "links"),
    [
        # RFC 8288, section 3.5, and RFC 8187.
        (
            '<http://example.com/TheBook/chapter2>; rel="previous"; title="previous chapter"',
            [
                (
                    "http://example.com/TheBook/chapter2",
                    (("rel", "previous"), ("title", "previous chapter")),
                )
            ],
        ),
        ('</>; rel="http://example.net/foo"', [("/", (("rel", "http://example.net/foo"),))]),
        (
            '</terms>; rel="copyright"; anchor="#foo"',
            [("/terms", (("rel", "copyright"), ("anchor", "#foo")))],
        ),
        (
            (
                "</TheBook/chapter2>; rel=\"previous\"; title*=UTF-8'de'letztes%20Kapitel, "
                "</TheBook/chapter4>; rel=\"next\"; title*=UTF-8'de'n%c3%a4chstes%20Kapitel"
            ),
            [
                (
                    "/TheBook/chapter2",
                    (("rel", "previous"), ("title*", "UTF-8'de'letztes%20Kapitel")),
                ),
                (
                    "/TheBook/chapter4",
                    (("rel", "next"), ("title*", "UTF-8'de'n%c3%a4chstes%20Kapitel")),
                ),
            ],
        ),
        ("", []),
        (" , ,", []),
        ("<>", [("", ())]),
        ("<a>,<b> , <c>;", [("a", ()), ("b", ()), ("c", ())]),
        ("<a,b;c>", [("a,b;c", ())]),  # a URI may have all of these characters
        ("<a>;;; b ; c = d", [("a", (("b", None), ("c", "d")))]),
        ("<a>;rel=next;REL=prev", [("a", (("rel", "next"),))]),  # section 3.3
        ("<a>;hreflang=de;hreflang=en", [("a", (("hreflang", "de"), ("hreflang", "en")))]),
        ("<a>;rel=http://b/c", [("a", (("rel", "http://b/c"),))]),  # without DQUOTEs
        ('<a>;x="b\\"c,<d>;"', [("a", (("x", 'b"c,<d>;'),))]),
        ("<a>;x=", [("a", (("x", ""),))]),
        # Links before a malformed one are kept.
        ("a", []),
        ("<a", []),
        ("<a b>", []),
        ("<a> b", []),
        ('<a>, <b>; x="', [("a", ())]),
        ('<a>;x="b"c', []),
        ("<a>, b, <c>", [("a", ())]),
        ("<a>;x=b c", []),
        ("<a\r\n>", []),
        ("<\xe9>", []),
        ("<<a>>", []),
    ],
)
def test_parse_links_stops_at_malformed_link(text: str, links: list[object]) -> None:
    assert [(link.target, link.parameters) for link in parse_links(text)] == links


def test_link_rel_anchor_and_get() -> None:
    [link] = parse_links(
        '<a>; rel="Next  http://b/C"; title=plain; title*=utf-8\'de\'n%C3%A4chstes; anchor="#c"; '
        "media"
    )

    assert link.rel == {"next", "http://b/c"}
    assert link.anchor == "#c"
    assert link.get("title") == "n\xe4chstes"
    assert (link.get("media"), link.get("absent")) == (None, None)
    assert Link("a", (("title*", "x"), ("title", "b"))).get("title") == "b"
    assert Link("a").rel == set()
    assert Link("a").anchor is None


@pytest.mark.parametrize(
    ("link", "text"),
    [
        (format_link("/2", "next"), '</2>; rel="next"'),
        (format_link("/2", ["next", "last"]), '</2>; rel="next last"'),
        (
            format_link("/a.css", "preload", as_="style", crossorigin=None),
            '</a.css>; rel="preload"; as="style"; crossorigin',
        ),
        (format_link("/", "x", title='a "b"'), '</>; rel="x"; title="a \\"b\\""'),
        (format_link("/", "x", title="\xe9"), "</>; rel=\"x\"; title*=UTF-8''%C3%A9"),
        (format_link("", "x", title=""), '<>; rel="x"; title=""'),
        (str(Link("a", (("x*", "no ext-value"),))), '<a>; x*="no ext-value"'),
    ],
)
def test_format_link(link: str, text: str) -> None:
    assert link == text


@pytest.mark.parametrize(
    ("target", "rel", "parameters"),
    [
        ("/a b", "next", {}),
        ("/a>", "next", {}),
        ("/\xe9", "next", {}),
        ("/\r\n", "next", {}),
        ("/", "", {}),
        ("/", [], {}),
        ("/", [" "], {}),
        ("/", "a\r\n", {}),
        ("/", "x", {"a b": "c"}),
        ("/", "x", {"a": "\0"}),
        ("/", "x", {"title": "\ud800"}),
    ],
)
def test_format_link_of_invalid_values_raises(
    target: str, rel: str | Iterable[str], parameters: dict[str, str]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_link(target, rel, **parameters)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 8187, section 3.2.3.
        ("UTF-8'en'%C2%A3%20rates", "\xa3 rates"),
        ("UTF-8''%c2%a3%20and%20%e2%82%ac%20rates", "\xa3 and \u20ac rates"),
        ("utf-8''", ""),
        ("iso-8859-1'en'%A3%20rates", None),
        ("UTF-8''%A3", None),
        ("UTF-8''%", None),
        ("UTF-8''a b", None),
        ("UTF-8''%0D%0A", None),
        ("UTF-8'a", None),
        ("", None),
    ],
)
def test_parse_ext_value(value: str, text: str | None) -> None:
    assert parse_ext_value(value) == text


visible = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
tokens = st.text("abc019!#-.^", min_size=1, max_size=5).map(lambda name: f"x{name}")
targets = st.text("abc/?#,;:%20", max_size=8)
links = st.builds(
    Link,
    targets,
    st.dictionaries(tokens, st.none() | visible, max_size=3).map(lambda some: tuple(some.items())),
)


@pytest.mark.property
@given(st.lists(links, max_size=3))
def test_parse_links_reverses_str(written: list[Link]) -> None:
    assert parse_links(", ".join(map(str, written))) == written


@given(targets, st.text("abc:/", min_size=1), visible)
def test_link_title_in_any_script_round_trip(target: str, rel: str, title: str) -> None:
    [link] = parse_links(format_link(target, rel, title=title))

    assert (link.target, link.get("title")) == (target, title)
    assert link.rel == {rel.lower()}


@given(visible)
def test_parse_ext_value_reverses_format_ext_value(text: str) -> None:
    assert parse_ext_value(format_ext_value(text)) == text


fragments = st.sampled_from(
    [*'<>;,=" \\a*\xe9\t', "rel", "<a>", ";rel=", '="', "title*=UTF-8''%C3"]
)


@pytest.mark.property
@given(st.lists(fragments, max_size=30).map("".join) | st.text(max_size=40))
def test_parse_links_of_any_text_never_raises(text: str) -> None:
    for link in parse_links(text):
        assert link.rel == {word.lower() for word in (link.get("rel") or "").split(" ") if word}
        if all(name != "title" and name != "title*" for name, _ in link.parameters):
            assert link.get("title") is None
    value = parse_ext_value(text)
    assert value is None or parse_ext_value(format_ext_value(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "<a>,",
        "<",
        "<a",
        ",",
        ";",
        ";a",
        ";a=b",
        ';a="b"',
        '"',
        "\\",
        " ",
        "<a>;b=c,",
        "=",
        '"\\',
        ";\t",
    ],
)
@pytest.mark.parametrize("head", ["", "<a>", '<a>;b="'])
def test_parse_links_takes_linear_time(head: str, text: str) -> None:
    assert grows_linearly(parse_links, text, head)
