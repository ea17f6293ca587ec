"""Content-Disposition: format it for downloads, parse it in forms as browsers send it."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http import disposition
from asgikit.http.disposition import format_content_disposition, parse_form_disposition


@pytest.mark.parametrize(
    ("filename", "parameters"),
    [
        ("report.pdf", 'filename="report.pdf"'),
        ("my report.pdf", 'filename="my report.pdf"'),
        ("a,b;c=d.txt", 'filename="a,b;c=d.txt"'),
        ("", 'filename=""'),
        ("żółw.txt", "filename=\"___w.txt\"; filename*=UTF-8''%C5%BC%C3%B3%C5%82w.txt"),
        ("\xe9", "filename=\"_\"; filename*=UTF-8''%C3%A9"),  # browsers differ on ISO-8859-1
        ('a"b', "filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("a\\b", "filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
        ("a/b", "filename=\"a_b\"; filename*=UTF-8''a%2Fb"),
        ("a%41", "filename=\"a_41\"; filename*=UTF-8''a%2541"),  # some browsers decode it
        ("a\r\nb", "filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ("a\tb\0", "filename=\"a_b_\"; filename*=UTF-8''a%09b%00"),
        ("a\u2028b", "filename=\"a_b\"; filename*=UTF-8''a%E2%80%A8b"),
        ("é'*()", "filename=\"_'*()\"; filename*=UTF-8''%C3%A9%27%2A%28%29"),
        ("é!#$&+-.^_`|~", "filename=\"_!#$&+-.^_`|~\"; filename*=UTF-8''%C3%A9!#$&+-.^_`|~"),
        ("𝄞", "filename=\"_\"; filename*=UTF-8''%F0%9D%84%9E"),
    ],
)
def test_format_content_disposition(filename: str, parameters: str) -> None:
    assert format_content_disposition("attachment", filename) == f"attachment; {parameters}"


def test_format_content_disposition_without_filename() -> None:
    assert format_content_disposition("inline") == "inline"
    assert format_content_disposition("inline", None) == "inline"


@pytest.mark.parametrize("disposition_type", ["", "a b", "attachment\r\nX: y", "a;b", "é"])
def test_format_content_disposition_of_invalid_type_raises(disposition_type: str) -> None:
    with pytest.raises(ValueError, match="token"):
        format_content_disposition(disposition_type, "a.txt")


def test_format_content_disposition_of_surrogate_raises() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        format_content_disposition("attachment", "a\udc80.txt")


# A strict parser of the formatted value (RFC 6266, section 4.1).
QUOTED = r'"(?P<quoted>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*)"'
EXTENDED = r"UTF-8''(?P<extended>(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2})*)"
WRITTEN = re.compile(rf"(?P<type>[a-z]+); filename={QUOTED}(?:; filename\*={EXTENDED})?")


@pytest.mark.property
@pytest.mark.promise
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab.%\"\\/'; \t\r\n\0é"))
def test_formatted_filename_is_read_by_a_strict_parser(filename: str) -> None:
    value = format_content_disposition("attachment", filename)
    match = WRITTEN.fullmatch(value)

    assert match is not None
    fallback = re.sub(r"\\(.)", r"\1", match["quoted"])
    assert not set(fallback) & set('%/\\"')
    assert len(fallback) == len(filename)
    extended = match["extended"]
    assert (fallback if extended is None else unquote(extended, errors="strict")) == filename


@pytest.mark.parametrize(
    ("value", "name", "filename"),
    [
        # As sent by browsers and other clients.
        (b'form-data; name="a"', "a", None),
        (b'form-data; name="a"; filename="x.txt"', "a", "x.txt"),
        (b'form-data; name="a"; filename=""', "a", ""),  # a file field left empty
        (b'form-data; name=""', "", None),
        (b'form-data; filename="x.txt"; name="a"', "a", "x.txt"),
        (b'form-data;name="a";filename="x.txt"', "a", "x.txt"),
        (b' form-data ;\t name="a" \t; filename="x.txt" ', "a", "x.txt"),
        (b'Form-Data; NAME="a"; FileName="x.txt"', "a", "x.txt"),
        (b'form-data; name="a=b;c"', "a=b;c", None),
        (b'form-data; name="a\tb"', "a\tb", None),  # browsers escape CR and LF alone
        (b'form-data; name="a";; ;', "a", None),
        (b'form-data; name="a"; x=y', "a", None),
        (b"form-data; name=a; filename=x.txt", "a", "x.txt"),  # .NET
        (b"form-data; name=a; filename=x.txt; filename*=utf-8''y.txt", "a", "x.txt"),
        # Unquoted values that are no tokens are kept as sent, up to the next semicolon.
        (b"form-data; name=files[0]; filename=a b.txt", "files[0]", "a b.txt"),
        (b"form-data; name=a b", "a b", None),
        (b"form-data; name=a/b \t; x=y", "a/b", None),
        (b"form-data; name=a=b,c", "a=b,c", None),
        (b"form-data; name=(a)@[b]:{c}<d>?; filename=x;", "(a)@[b]:{c}<d>?", "x"),
        (b"form-data; name=a filename=b", "a filename=b", None),
        ("form-data; name=é; filename=日 本.txt".encode(), "é", "日 本.txt"),
        # Invalid UTF-8 becomes U+FFFD.
        ('form-data; name="naïve"; filename="日本.txt"'.encode(), "naïve", "日本.txt"),
        ('form-data; name="naïve"; filename="日本.txt"', "naïve", "日本.txt"),
        (b'form-data; name="a"; filename="a\xffb.txt"', "a", "a\ufffdb.txt"),
        (b'form-data; name="a"; filename="..\xc0\xafetc"', "a", "..\ufffd\ufffdetc"),
        # A DQUOTE comes as %22 from browsers, as a quoted pair from others.
        (b'form-data; name="a%22b"; filename="c%22d.txt"', 'a"b', 'c"d.txt'),
        (b'form-data; name="a%2522b%25"', "a%2522b%25", None),  # percent itself is not escaped
        (b'form-data; name="a"; filename="a%0D%0AX:y"', "a", "a%0D%0AX:y"),
        (rb'form-data; name="a\"b"; filename="c\"d.txt"', 'a"b', 'c"d.txt'),
        (
            rb'form-data; name="a\"; name=\"b"',
            'a"; name="b',
            None,
        ),  # escaped DQUOTEs
        (rb'form-data; name="a\\\"b"', 'a\\"b', None),
        (rb'form-data; name="a\\"', "a\\", None),
        # Browsers do not escape a backslash.
        (rb'form-data; name="a\"; filename="x.txt"', "a\\", "x.txt"),
        (rb'form-data; name="a\"', "a\\", None),
        (rb'form-data; name="a\b"', r"a\b", None),
        (rb'form-data; name="a\"; x="; filename="y"', 'a"; x=', "y"),
        # Encoded words of RFC 2047 are not decoded.
        (b'form-data; name="f"; filename="=?utf-8?B?eA==?="', "f", "=?utf-8?B?eA==?="),
        # filename* counts only without filename; name* is ignored.
        (b"form-data; name=\"a\"; filename*=UTF-8''%C5%BC.txt", "a", "ż.txt"),
        (b"form-data; name=\"a\"; filename*=utf-8'en'x%22.txt", "a", 'x".txt'),
        (b"form-data; name=\"a\"; filename*=utf-8''a%2522", "a", "a%22"),  # decoded once
        (b'form-data; name="a"; filename="ok"; filename*=utf-8\'\'..%2Fx%00', "a", "ok"),
        (b'form-data; name="a"; filename="ok"; filename*=nosuch', "a", "ok"),
        (b"form-data; name=\"a\"; name*=utf-8''b", "a", None),
    ],
)
def test_parse_form_disposition(value: bytes | str, name: str, filename: str | None) -> None:
    assert parse_form_disposition(value) == (name, filename, filename)


@pytest.mark.parametrize(
    ("value", "raw", "last"),
    [
        (rb'filename="C:\fakepath\x.txt"', r"C:\fakepath\x.txt", "x.txt"),
        (rb'filename="C:\\x.txt"', r"C:\x.txt", "x.txt"),
        (b'filename="../../etc/passwd"', "../../etc/passwd", "passwd"),
        (b"filename=../../etc/pass wd", "../../etc/pass wd", "pass wd"),  # without quotation marks
        (b'filename="/etc/passwd"', "/etc/passwd", "passwd"),
        (rb'filename="a/b\../c.txt"', r"a/b\../c.txt", "c.txt"),
        (b'filename="a/"', "a/", ""),
        (rb'filename="a\"', "a\\", ""),
        (b"filename*=utf-8''..%2F..%2Fx.txt", "../../x.txt", "x.txt"),
        (b'filename="..%2Fx"', "..%2Fx", "..%2Fx"),
        (b'filename=".."', "..", ""),  # a folder has no file name
        (b'filename="x.txt "', "x.txt ", "x.txt "),
    ],
)
def test_parse_form_disposition_drops_folders(value: bytes, raw: str, last: str) -> None:
    assert parse_form_disposition(b'form-data; name="a"; ' + value) == ("a", last, raw)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"form-data",
        b'form-data; filename="x"',  # no name
        b"form-data; name*=utf-8''b",
        b'attachment; name="a"',
        b'; name="a"',
        b'form-data name="a"',
        b'form-data, name="a"',
        b'form-data; name="a',
        b'form-data; name="a"x; filename="f"',
        b'form-data; name="a" filename="f"',
        b'form-data; name = "a"',
        b'form-data; name=a"b',  # parsers differ on the end of a value with a DQUOTE
        b'form-data; name=a"; filename="b',
        b"form-data; name= a",
        b"form-data; name=; filename=x",
        b"form-data; name=a\0b",
        b"form-data; name=",
        b"form-data; name",
        b'form-data; ="a"',
        b'form-data; name="a"; name="b"',
        b'form-data; name="a"; NAME="a"',
        b'form-data; name="f"; filename="a.txt"; filename="b.php"',
        b"form-data; name=\"f\"; filename*=utf-8''a; filename*=utf-8''b",
        b'form-data; name="f"; filename*0="evil"; filename*1=".php"',
        b'form-data; name="f"; filename*0*=x',
        b'form-data; name*0="f"; name="f"',
        b"form-data; name=\"f\"; filename*=nosuch''x",
        b"form-data; name=\"f\"; filename*=iso-8859-1''x",
        b'form-data; name="f"; filename*=utf-8\'x',
        b'form-data; name="f"; filename*=x',
        b"form-data; name=\"f\"; filename*=utf-8''%ff",
        b"form-data; name=\"f\"; filename*=utf-8''%4",
        b"form-data; name=\"f\"; filename*=utf-8''a%00",
        b"form-data; name=\"f\"; filename*=utf-8''a%0D%0A",
        b'form-data; name="a\0b"',
        b'form-data; name="a\nb"',
        b'form-data;\r\n name="a"',
        b'form-data; name="a"\r\n\tfilename="x"',
        b'form-data; name="a"\x0b',
        rb'form-data; name="a\"; x="; y="\"; z="c"',  # malformed with and without escapes
        'form-data;\xa0name="a"',
    ],
)
def test_parse_form_disposition_of_malformed_value_is_none(value: bytes | str) -> None:
    assert parse_form_disposition(value) is None


def browser_escape(text: str) -> str:
    """Escape a name as the form encoding of the HTML standard does."""
    return text.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('\t;="'))


@given(names.filter(lambda name: "\\" not in name and "%22" not in name), names)
def test_parse_form_disposition_reverses_browser_escapes(name: str, filename: str) -> None:
    filename = filename.replace("\\", "/").replace("%22", "")
    value = f'form-data; name="{browser_escape(name)}"; filename="{browser_escape(filename)}"'

    last = filename.split("/")[-1]
    assert parse_form_disposition(value.encode()) == (name, last, filename)


@given(names)
def test_parse_form_disposition_reverses_quoted_pairs(name: str) -> None:
    name = name.replace("%22", "")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    parsed = parse_form_disposition(f'form-data; name="{quoted}"; filename="x"'.encode())

    assert parsed == (name, "x", "x")


FRAGMENTS = [
    b"form-data",
    b'; name="',
    b'"; filename="',
    b'"',
    b"\\",
    b'\\"',
    b";",
    b"=",
    b"%22",
    b"a",
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3)).map(b"".join))
def test_parse_form_disposition_of_any_bytes_is_safe(value: bytes) -> None:
    for text in (value, b'form-data; name="' + value):
        parsed = parse_form_disposition(text)
        if parsed is not None:
            texts = parsed.name + (parsed.raw_filename or "")
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", texts)
            assert (parsed.filename is None) is (parsed.raw_filename is None)
            assert not set(parsed.filename or "") & set("/\\")


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3)).map(b"".join))
def test_parse_form_disposition_fast_path_equals_general_parser(value: bytes) -> None:
    # The private functions are read because the fast path must not be visible from outside.
    for prefix in ("", 'form-data; name="', 'form-data; name="a"; filename="'):
        text = prefix + value.decode("utf-8", "replace")

        assert disposition._parse_common(text) in (None, disposition._parse_any(text.strip(" \t")))


@given(st.lists(st.sampled_from([*FRAGMENTS[1:], b'; x="'])).map(b"".join))
def test_parse_form_disposition_refuses_a_second_name(tail: bytes) -> None:
    parsed = parse_form_disposition(b'form-data; name="a"; name="b"' + tail)

    assert parsed is None


@pytest.mark.parametrize(
    ("raw", "filename"),
    [
        ("..", ""),
        (".", ""),
        ("a/..", ""),
        ("C:\\\\..", ""),
        ("...", "..."),  # an ordinary name
        ("..a", "..a"),
        (".profile", ".profile"),
    ],
)
def test_parse_form_disposition_of_folder_has_empty_filename(raw: str, filename: str) -> None:
    parsed = parse_form_disposition(f'form-data; name="a"; filename="{raw}"')

    assert parsed is not None
    assert parsed.filename == filename
    assert parsed.raw_filename == raw.replace("\\\\", "\\")
