"""Media types: parse_media_type, MediaType, and guess_media_type for files."""

from __future__ import annotations

import copy
import mimetypes
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.media_types import MediaType, guess_media_type, parse_media_type

TOKEN_CHARACTERS = "!#$%&'+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

tokens = st.text(TOKEN_CHARACTERS, min_size=1)
values = st.text(
    st.one_of(st.just("\t"), st.characters(min_codepoint=0x20, exclude_characters="\x7f"))
)
media_types = st.builds(MediaType, tokens, tokens, st.dictionaries(tokens, values))


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("text/html", "text/html", {}),
        ("Text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        (" text/html ;charset=utf-8 ", "text/html", {"charset": "utf-8"}),
        ('text/html;charset="utf-8"', "text/html", {"charset": "utf-8"}),
        (r'a/b; x="\"\\,;"', "a/b", {"x": '"\\,;'}),
        ("application/vnd.api+json", "application/vnd.api+json", {}),
        ("multipart/form-data; boundary=X;", "multipart/form-data", {"boundary": "X"}),
        ("a/b ; ;; x=1", "a/b", {"x": "1"}),  # empty parameters are skipped
        # Values that should be quoted, as clients send them.
        ("a/b; boundary=a=b/c:(d)?", "a/b", {"boundary": "a=b/c:(d)?"}),
        ("text/plain; charset=; x=1", "text/plain", {"charset": "", "x": "1"}),
        ("a/b; x=1; X=1", "a/b", {"x": "1"}),  # repeated with the same value
        ('a/b; x="é"', "a/b", {"x": "é"}),
        ("*/*", "*/*", {}),
    ],
)
def test_parse_media_type(text: str, essence: str, parameters: dict[str, str]) -> None:
    media_type = parse_media_type(text)

    assert media_type is not None
    assert media_type.essence == essence
    assert media_type.parameters == parameters


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text/",
        "/html",
        "text / html",
        "text/html text/plain",
        "text/html, text/plain",  # two lines of the header
        "text/html; charset=utf-8, text/plain",
        "text/html; charset",
        "text/html; =utf-8",
        "text/html; charset = utf-8",
        "text/html; charset=utf-8 x",
        'text/html; charset="utf-8',
        'text/html; charset="utf-8"x',
        "text/html; charset=utf-8\\",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=aa; boundary=bb",
        "multipart/form-data; boundary=aa; boundary*=utf-8''bb",
        "multipart/form-data; boundary=\xfc",
        "multipart/form-data; boundary=\0",
        'multipart/form-data; boundary="\0"',
        "text/html\n",
        "text/html;\n",
        "té/html",
    ],
)
def test_parse_media_type_of_malformed_text_is_none(text: str) -> None:
    assert parse_media_type(text) is None


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "a/b"),
        ({"X": "Y"}, "a/b; x=Y"),
        ({"x": "a b", "y": ""}, 'a/b; x="a b"; y=""'),
        ({"x": 'a"\\'}, r'a/b; x="a\"\\"'),
    ],
)
def test_media_type_is_formatted(parameters: dict[str, str], text: str) -> None:
    assert str(MediaType("A", "B", parameters)) == text


@pytest.mark.parametrize(
    ("type_", "subtype", "parameters", "message"),
    [
        ("", "b", {}, "tokens"),
        ("a", "b c", {}, "tokens"),
        ("a", "b", {"": "x"}, "tokens"),
        ("a", "b", {"x;": "x"}, "tokens"),
        ("a", "b", {"x": "\r\n"}, "quoted string"),
        ("a", "b", {"x": "1", "X": "1"}, "two values"),
        ("a", "b", {"x": "1", "x*": "1"}, "two values"),
    ],
)
def test_invalid_media_type_raises(
    type_: str, subtype: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MediaType(type_, subtype, parameters)


@pytest.mark.parametrize(
    ("text", "charset"),
    [("a/b", None), ("a/b; charset=", None), ("a/b; charset=UTF-8", "utf-8")],
)
def test_media_type_charset_is_lower_case_or_none(text: str, charset: str | None) -> None:
    media_type = parse_media_type(text)

    assert media_type is not None
    assert media_type.charset == charset


def test_media_type_is_immutable_and_hashable() -> None:
    parameters = {"x": "1"}
    media_type = MediaType("a", "b", parameters)
    parameters["x"] = "2"

    assert media_type == MediaType("A", "B", {"X": "1"})
    assert hash(media_type) == hash(MediaType("A", "B", {"X": "1"}))
    assert media_type != MediaType("a", "b")
    with pytest.raises(AttributeError):
        media_type.type = "c"  # type: ignore[misc]  # the wrong use under test
    with pytest.raises(TypeError):
        media_type.parameters["x"] = "2"  # type: ignore[index]  # the wrong use under test


def test_media_type_can_be_copied_and_pickled() -> None:
    media_type = MediaType("a", "b", {"x": "1"})

    assert copy.deepcopy(media_type) == media_type
    assert pickle.loads(pickle.dumps(media_type)) == media_type


@pytest.mark.property
@given(media_types)
def test_parse_media_type_reverses_str(media_type: MediaType) -> None:
    assert parse_media_type(str(media_type)) == media_type


@pytest.mark.property
@given(st.text() | st.text('ab/;="\\ \t,*é\0', max_size=30))
def test_media_type_of_any_text_round_trip(text: str) -> None:
    media_type = parse_media_type(text)

    assert media_type is None or parse_media_type(str(media_type)) == media_type


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [
        ("index.html", "text/html"),
        ("app.JS", "text/javascript"),  # the registries of some machines say text/plain
        ("a.b/style.min.css", "text/css"),
        ("archive.tar.gz", "application/gzip"),
        ("font.woff2", "font/woff2"),
        ("README", None),
        (".html", None),  # a hidden file without an extension
        ("static/.html", None),
        ("a.html/b", None),
        ("a.html.", None),
        ("a.unknown", None),
        ("", None),
        # Files that a phone or a desktop opens only if the type is right.
        ("ticket.pkpass", "application/vnd.apple.pkpass"),
        ("tickets.pkpasses", "application/vnd.apple.pkpasses"),
        ("chair.usdz", "model/vnd.usdz+zip"),
        ("vpn.mobileconfig", "application/x-apple-aspen-config"),
        ("setup.msix", "application/msix"),
        ("setup.msixbundle", "application/msixbundle"),
        ("setup.appinstaller", "application/appinstaller"),
        ("clip.3gp", "video/3gpp"),  # audio/3gpp in the standard library; a player takes both
        ("clip.3g2", "video/3gpp2"),
        ("walk.gpx", "application/gpx+xml"),
        ("walk.kml", "application/vnd.google-earth.kml+xml"),
        ("subtitles.ttml", "application/ttml+xml"),
        ("subtitles.srt", "text/plain"),
        ("cube.obj", "model/obj"),
        ("book.m4b", "audio/mp4"),
        ("graph.ttl", "text/turtle"),
        ("data.parquet", "application/vnd.apache.parquet"),
        # A whole name. Its case counts, since the client asks for exactly this one.
        ("apple-app-site-association", "application/json"),
        (".well-known/apple-app-site-association", "application/json"),
        ("Apple-App-Site-Association", None),
        ("x-apple-app-site-association", None),
        ("apple-app-site-association/b", None),
    ],
)
def test_guess_media_type_by_extension_or_whole_name(filename: str, media_type: str | None) -> None:
    assert guess_media_type(filename) == media_type


def test_guess_media_type_knows_extensions_of_mimetypes() -> None:
    # Its built-in table alone, without the registry of this machine.
    extensions = mimetypes.MimeTypes(filenames=()).types_map[True]

    assert [name for name in extensions if guess_media_type(f"a{name}") is None] == []


def test_guess_media_type_has_no_parameters() -> None:
    extensions = mimetypes.MimeTypes(filenames=()).types_map[True]
    media_types = {guess_media_type(f"a{name}") or "" for name in extensions}

    assert [text for text in media_types if str(parse_media_type(text)) != text] == []
