"""Media types of forms, boundaries, and charsets of text fields."""

from __future__ import annotations

import pytest

from asgikit import InvalidForm
from asgikit import UnsupportedMediaType as WrongType
from asgikit.forms.content_type import decode_text, is_urlencoded, parse_boundary


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=X", "X"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk", None),
        ('multipart/form-data; boundary="a b"', "a b"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a:b"', "a:b"),
        ("multipart/form-data ; boundary=X;", "X"),
        ("multipart/form-data; boundary=" + "x" * 256, "x" * 256),
        ("multipart/form-data; boundary=X; boundary=X", "X"),  # both say the same
    ],
)
def test_boundary_is_read(content_type: str, boundary: str | None) -> None:
    assert parse_boundary(content_type) == (boundary or content_type.partition("=")[2])


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 257,
        'multipart/form-data; boundary="a "',  # white space at its end is padding
        'multipart/form-data; boundary="é"',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a; boundary*=utf-8''b",
        "multipart/form-data; boundary=a,b",
    ],
)
def test_malformed_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidForm, match="one boundary"):
        parse_boundary(content_type)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/mixed; boundary=X"])
def test_boundary_of_another_media_type_is_415_with_accept(content_type: str | None) -> None:
    with pytest.raises(WrongType, match="sent as multipart/form-data") as error:
        parse_boundary(content_type)
    assert error.value.headers == {"accept": "multipart/form-data"}

    with pytest.raises(WrongType) as error:
        parse_boundary(content_type, accepted=["a/b", "c/d"])
    assert error.value.headers == {"accept": "a/b, c/d"}


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-7", True),
        ("application/x-www-form-urlencoded ;;=", True),
        ("application/x-www-form-urlencoded2", False),
        ("multipart/form-data; boundary=X", False),
        ("", False),
        (None, False),
    ],
)
def test_urlencoded_media_type_ignores_parameters(content_type: str | None, answer: bool) -> None:
    assert is_urlencoded(content_type) is answer


@pytest.mark.parametrize(
    ("content_type", "data", "value"),
    [
        (None, "é".encode(), "é"),
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=utf-8", "é".encode(), "é"),
        ("text/plain; charset=", "é".encode(), "é"),
        ("text/plain; Charset=UTF-8", "é".encode(), "é"),
        ('text/plain; charset="utf8"', "é".encode(), "é"),
        ("text/plain; charset=us-ascii", b"e", "e"),
        ("text/plain; charset=iso-8859-1", b"\xe9\x80", "é\x80"),
        ("text/plain;charset=Windows-1252", b"\x80", "€"),
        ("text/plain; charset=ISO-8859-1", bytes(range(256)), bytes(range(256)).decode("latin-1")),
        ("text/plain; charset=cp1252", b"\x80", "€"),
        ("text/plain; charset=x-cp1252", b"\x80", "€"),
        ("text/plain; charset=csWindows1252", b"\x80", "€"),
        ("text/plain; charset=latin1", b"\xe9\x80", "é\x80"),  # not a euro sign, as in browsers
        ("text/plain; charset=ISO_8859-1:1987", b"\x80", "\x80"),
        ("text/plain; charset=L1", b"\x80", "\x80"),
        ("text/plain; charset=IBM819", b"\x80", "\x80"),
        ("text/plain; charset=ascii", b"e", "e"),
        ("text/plain; charset=ANSI_X3.4-1968", b"e", "e"),  # the locale "C"
        ("text/plain; charset=us", b"e", "e"),
        ("text/plain; charset=csUTF8", "é".encode(), "é"),
        ("text/plain; charset=windows-1250", b"\xe8", "č"),
        ("text/plain; charset=windows-1258", b"\xfe", "₫"),
        (None, b"\xef\xbb\xbfv", "\ufeffv"),  # a mark that was sent is text like any other
        (None, b"\0", "\0"),
    ],
)
def test_text_is_decoded_by_charset_of_its_part(
    content_type: str | None, data: bytes, value: str
) -> None:
    assert decode_text("a", content_type, data) == value
    assert decode_text("a", content_type, bytearray(data)) == value
    assert decode_text("a", content_type, memoryview(data)) == value


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        (None, b"a\xff"),
        (None, b"\xed\xa0\x80"),  # a surrogate
        (None, b"\xc0\xaf"),  # a slash, overlong
        ("text/plain; charset=us-ascii", b"\xe9"),
        ("text/plain; charset=windows-1252", b"\x81"),
        # Codecs of Python that are no charsets of the web.
        ("text/plain; charset=utf-7", b"+AD4-"),
        ("text/plain; charset=idna", b"xn--a"),
        ("text/plain; charset=unicode_escape", b"\\x41"),
        ("text/plain; charset=ANSI_X3.4-1968", b"\xe9"),
        ("text/plain; charset=cp1252", b"\x81"),
        ("text/plain; charset=u8", b"v"),
        ("text/plain; charset=latin_1", b"v"),
        ("text/plain; charset=646", b"v"),
        ("text/plain; charset=utf-8; charset=utf-7", b"v"),
        ("text/plain; charset=utf-8\\", b"v"),
        ("charset", b"v"),
    ],
)
def test_text_that_does_not_decode_is_refused(content_type: str | None, data: bytes) -> None:
    with pytest.raises(InvalidForm):
        decode_text("a", content_type, data)
