"""Cookies: parse_cookies and format_set_cookie, with independent references of both."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.exceptions import HTTPError
from asgikit.http import cookies
from asgikit.http.cookies import format_set_cookie, parse_cookies

EXPIRES = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)

# Fragments of cookies, so that a random list of them resembles a Cookie header.
fragments = st.sampled_from(
    [
        *(bytes([octet]) for octet in b'ab=; \t"\\12\xc3\xe9\x85\0\r\n\x01\x7f'),
        *(b"; ", b'a="', b'";', b"\xc3\xa9"),
        *(rb"\012", rb"\011", rb"\101", rb"\303\251", rb"\351", rb"\400"),
    ]
)
fields = st.lists(st.lists(fragments).map(b"".join) | st.binary(), max_size=3)


def reference_parse(fields: list[bytes]) -> dict[str, str]:
    """Parse cookies by an independent, slow implementation of the rules."""
    cookies: dict[str, str] = {}
    for pair in (pair for field in fields for pair in field.split(b";")):
        if b"=" not in pair or set(pair) & set(b"\0\r\n"):
            continue
        name, value = re.split("=", reference_text(pair), maxsplit=1)
        name = re.sub(r"\A[ \t]+|[ \t]+\Z", "", name)
        value = re.sub(r"\A[ \t]+|[ \t]+\Z", "", value)
        if name and name not in cookies:
            cookies[name] = reference_value(value)
    return cookies


def reference_value(value: str) -> str:
    if not (len(value) >= 2 and value.startswith('"') and value.endswith('"')):
        return value
    octets, inside = bytearray(), value[1:-1]
    while inside:
        if re.match(r"\\[0-3][0-7][0-7]", inside):
            octets.append(int(inside[1:4], 8))
            inside = inside[4:]
        elif inside in {"\\", '"'} or inside[0] == '"':
            return value
        else:
            inside = inside.removeprefix("\\")
            octets += inside[0].encode()
            inside = inside[1:]
    text = reference_text(octets)
    controls = {*map(chr, range(32)), "\x7f"} - {"\t"}
    return value if "\\" in value and controls & set(text) else text


def reference_text(octets: bytes | bytearray) -> str:
    try:
        return str(octets, "utf-8")
    except UnicodeDecodeError:
        return str(octets, "latin-1")


def read_as_user_agent(field: bytes) -> tuple[str, str, dict[str, str]]:
    """Parse Set-Cookie by RFC 6265bis, section 5.6; attributes have lower-case names."""
    text = field.decode("latin-1")
    assert not set(text) & {*map(chr, range(32)), "\x7f"}
    first, *others = text.split(";")
    name, equals, value = first.partition("=")
    assert equals
    attributes: dict[str, str] = {}
    for other in others:
        attribute, _, content = other.partition("=")
        attribute = attribute.strip(" \t").lower()
        assert attribute not in attributes
        attributes[attribute] = content.strip(" \t")
    assert len(name.strip(" \t")) + len(value.strip(" \t")) <= 4096
    return name.strip(" \t"), value.strip(" \t"), attributes


@pytest.mark.parametrize(
    ("field", "pairs"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        (b"  a=1 ;\tb = 2 ;", {"a": "1", "b": "2"}),
        (b";;; ; ", {}),
        (b"a=; b=", {"a": "", "b": ""}),
        (b"a=b=c==", {"a": "b=c=="}),
        (b"a=1; a=2; A=3", {"a": "1", "A": "3"}),  # clients send the more specific path first
        (b"a=1, b=2 c=[]", {"a": "1, b=2 c=[]"}),  # only a semicolon separates cookies
        (b"a=%20+b", {"a": "%20+b"}),  # nothing is percent-decoded
        # A value without a name must not become a name.
        (b"__Host-a; b=1", {"b": "1"}),
        (b"=__Host-a=1; b=1", {"b": "1"}),
        # White space other than SP and HTAB is part of the name.
        (b"\x85__Host-a=1", {"\x85__Host-a": "1"}),
        (b"__Host-a\x1c=1", {"__Host-a\x1c": "1"}),
        (b"\xe2\x80\x80__Host-a=1", {"\u2000__Host-a": "1"}),
        # Each cookie is decoded as UTF-8, or else as ISO-8859-1.
        (b"a=\xc5\xbc; b=\xe9", {"a": "ż", "b": "é"}),
        (b"a=x\0y; b=2", {"b": "2"}),
        (b"a=x\ry; b\n=2; c=3", {"c": "3"}),
        (b"a=\0; a=2", {"a": "2"}),  # a cookie that is left out does not count as the first
    ],
)
def test_parse_cookies(field: bytes, pairs: dict[str, str]) -> None:
    assert parse_cookies([field]) == pairs


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b'""', ""),
        (b'"a b"', "a b"),
        (rb'"\"\\\a"', '"\\a'),
        (rb'"\303\251"', "é"),
        (rb'"\351"', "é"),  # the standard library writes code points, not UTF-8
        (b'"\xc3\xa9\\054"', "é,"),
        (rb'"\011"', "\t"),
        (rb'"\400\08"', "40008"),  # octal has three digits, up to 377
        (b'"\x01"', "\x01"),
        # Unquoting would produce a control character.
        (rb'"x\012\015y"', r'"x\012\015y"'),
        (rb'"\000"', r'"\000"'),
        (rb'"\177"', r'"\177"'),
        (b'"\\\x01"', '"\\\x01"'),
        # Not a quoted value.
        (b'"', '"'),
        (b'"x', '"x'),
        (b'x"', 'x"'),
        (rb'"x\"', r'"x\"'),
        (b'"a","b"', '"a","b"'),
        (rb"x\054", r"x\054"),
        (b'x"y"', 'x"y"'),
    ],
)
def test_parse_cookies_unquotes_values(written: bytes, value: str) -> None:
    assert parse_cookies([b"a=" + written + b"; b=2"]) == {"a": value, "b": "2"}


def test_parse_cookies_splits_inside_quotes() -> None:
    field = b'a="start; session=secret; b=end"'

    assert parse_cookies([field]) == {"a": '"start', "session": "secret", "b": 'end"'}


def test_parse_cookies_joins_several_headers() -> None:
    assert parse_cookies([]) == {}
    assert parse_cookies(iter([b"a=1", b"a=2; b=3", b""])) == {"a": "1", "b": "3"}


@pytest.mark.parametrize("separator", [b";", b"; ", b";;;", b"; nameless; \xff;"])
def test_parse_cookies_accepts_500_and_raises_431_on_501(separator: bytes) -> None:
    many = [b"%d=%d" % (n, n) for n in range(501)]

    assert parse_cookies([separator.join(many[:500])]) == {str(n): str(n) for n in range(500)}
    with pytest.raises(HTTPError, match="More than 500 cookies") as error:
        parse_cookies([separator.join(many)])
    assert error.value.status_code == 431


@pytest.mark.property
@pytest.mark.promise
@given(fields)
def test_parse_cookies_equals_reference_parser(fields: list[bytes]) -> None:
    assert parse_cookies(fields) == reference_parse(fields)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, b"a=1; Path=/; SameSite=Lax"),
        ({"value": ""}, b"a=; Path=/; SameSite=Lax"),
        ({"path": None, "samesite": None}, b"a=1"),
        ({"path": "", "domain": "", "samesite": None}, b"a=1"),
        ({"max_age": 0, "samesite": None}, b"a=1; Path=/; Max-Age=0"),
        ({"max_age": -1, "samesite": None}, b"a=1; Path=/; Max-Age=-1"),
        ({"domain": ".example.com", "samesite": None}, b"a=1; Path=/; Domain=example.com"),
        ({"samesite": "STRICT"}, b"a=1; Path=/; SameSite=Strict"),
        ({"samesite": "None", "secure": True}, b"a=1; Path=/; Secure; SameSite=None"),
        ({"httponly": True, "samesite": None}, b"a=1; Path=/; HttpOnly"),
        (
            {"partitioned": True, "secure": True, "samesite": None},
            b"a=1; Path=/; Secure; Partitioned",
        ),
        (
            {"expires": EXPIRES, "path": None, "samesite": None},
            b"a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        (
            {"expires": "Sun Nov  6 08:49:37 1994", "path": None, "samesite": None},
            b"a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        ({"value": "a b", "path": None, "samesite": None}, rb'a="a\040b"'),
        ({"value": '"\\,;', "path": None, "samesite": None}, rb'a="\042\134\054\073"'),
        ({"value": "é", "path": None, "samesite": None}, rb'a="\303\251"'),
        ({"value": "\t", "path": None, "samesite": None}, rb'a="\011"'),
        ({"value": "%20", "path": None, "samesite": None}, b"a=%20"),
        ({"key": "__Secure-a", "secure": True, "samesite": None}, b"__Secure-a=1; Path=/; Secure"),
        ({"key": "__Host-a", "secure": True, "samesite": None}, b"__Host-a=1; Path=/; Secure"),
    ],
)
def test_format_set_cookie(arguments: dict[str, Any], field: bytes) -> None:
    assert format_set_cookie(**({"key": "a", "value": "1"} | arguments)) == field


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": ""}, "not a cookie's name"),
        ({"key": "a=b"}, "not a cookie's name"),
        ({"key": "a,b"}, "not a cookie's name"),
        ({"key": "a\tb"}, "not a cookie's name"),
        ({"key": "é"}, "not a cookie's name"),
        ({"value": "a\x01b"}, "control character"),
        ({"value": "\r\nSet-Cookie: b=2"}, "control character"),
        ({"value": "\x7f"}, "control character"),
        ({"value": "\ud800"}, "UTF-8"),
        ({"path": "a"}, "starts with '/'"),  # user agents would use the folder of the request
        ({"path": "/; Domain=example.org"}, "starts with '/'"),
        ({"path": "/a b"}, "starts with '/'"),
        ({"path": "/é"}, "starts with '/'"),
        ({"path": "/\n"}, "starts with '/'"),
        ({"path": "/" + 1024 * "a"}, "at most 1024"),
        ({"domain": "example.org; Secure"}, "host name"),
        ({"domain": "example.org\r\nX: y"}, "host name"),
        ({"domain": "example.org:8000"}, "host name"),
        ({"domain": "exämple.org"}, "xn--"),
        ({"domain": "."}, "host name"),
        ({"expires": "x; Domain=example.org"}, "not an HTTP date"),
        ({"expires": "Sunday, 06-Nov-94 08:49:37 GMT"}, "not an HTTP date"),
        ({"expires": EXPIRES.replace(tzinfo=None)}, "naive"),
        # User agents would ignore it (RFC 6265bis, section 5.1.1).
        ({"expires": EXPIRES.replace(year=1600)}, "from 1601 on"),
        ({"expires": "Mon, 01 Jan 0001 00:00:00 GMT"}, "from 1601 on"),
        ({"samesite": "lax; Domain=example.org"}, "samesite"),
        ({"samesite": ""}, "samesite"),
        ({"samesite": "\u017ftrict"}, "samesite"),  # its capital letter is S
        ({"samesite": "none"}, "secure=True"),
        ({"partitioned": True}, "secure=True"),
        ({"key": "__Secure-a"}, "secure=True"),
        (
            {"key": "__sEcUrE-a"},
            "secure=True",
        ),  # a prefix in any case
        ({"key": "__Host-a"}, "secure=True"),
        ({"key": "__Host-a", "secure": True, "path": None}, "path='/'"),
        ({"key": "__Host-a", "secure": True, "path": "/a"}, "path='/'"),
        ({"key": "__HOST-a", "secure": True, "domain": "example.org"}, "no domain"),
        ({"key": "__Http-a", "httponly": True}, "secure=True"),
        ({"key": "__Http-a", "secure": True}, "httponly=True"),
        ({"key": "__Host-Http-a", "secure": True}, "httponly=True"),
    ],
)
def test_format_set_cookie_that_clients_ignore_raises(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        format_set_cookie(**({"key": "a", "value": "1"} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": 1}, "value is str, not int"),
        ({"value": b"1"}, "value is str, not bytes"),
        ({"key": 1}, "name, path, domain and samesite are str"),
        ({"max_age": 1.5}, "float"),
        ({"max_age": "60"}, "str"),
        ({"expires": 60}, "expires is a datetime or an HTTP date, not int"),
    ],
)
def test_format_set_cookie_of_wrong_type_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        format_set_cookie(**({"key": "a", "value": "1"} | arguments))


def test_format_set_cookie_cache_distinguishes_types() -> None:
    format_set_cookie("a", "1", max_age=60)

    with pytest.raises(TypeError, match="float"):
        format_set_cookie("a", "1", max_age=60.0)  # type: ignore[arg-type]  # the wrong use under test


def test_format_set_cookie_accepts_4096_bytes() -> None:
    room = 4096 - len(format_set_cookie("a"))

    assert len(format_set_cookie("a", room * "x")) == 4096
    with pytest.raises(ValueError, match="4096 bytes"):
        format_set_cookie("a", (room + 1) * "x")


def test_format_set_cookie_does_not_cache_values() -> None:
    format_set_cookie("a", "1", expires=EXPIRES)
    before = cookies._format_attributes.cache_info().currsize

    for second in range(10):
        format_set_cookie("a", str(second), expires=EXPIRES.replace(second=second))

    assert cookies._format_attributes.cache_info().currsize == before


@pytest.mark.property
@given(st.text() | st.text('abc ,;=\\"\t\x01é01234567'))
def test_parse_cookies_reverses_format_set_cookie(value: str) -> None:
    try:
        field = format_set_cookie("a", value)
    except ValueError:
        return

    name, written, attributes = read_as_user_agent(field)

    assert attributes == {"path": "/", "samesite": "Lax"}
    assert parse_cookies([f"b=1; {name}={written}; c=2".encode()]) == {
        "b": "1",
        "a": value,
        "c": "2",
    }


names = st.sampled_from(["a", "__Secure-a", "__Host-a", "__host-http-a"])
hostile = st.text("a/.;=,\r\n\0 \té", max_size=6) | st.text(max_size=3)


@pytest.mark.property
@given(
    key=names | hostile,
    value=hostile,
    max_age=st.none() | st.integers(),
    expires=st.none() | st.datetimes(timezones=st.just(UTC)) | hostile,
    path=st.none() | st.just("/") | hostile.map(lambda text: "/" + text) | hostile,
    domain=st.none() | st.just(".example.com") | hostile,
    secure=st.booleans(),
    httponly=st.booleans(),
    samesite=st.none() | st.sampled_from(["lax", "Strict", "NONE"]) | hostile,
    partitioned=st.booleans(),
)
def test_set_cookie_is_parsed_by_user_agents_as_requested(**arguments: Any) -> None:
    try:
        field = format_set_cookie(**arguments)
    except ValueError:
        return

    name, written, attributes = read_as_user_agent(field)

    assert name == arguments["key"]
    assert parse_cookies([f"{name}={written}".encode()]) == {name: arguments["value"]}
    expected: dict[str, str] = {}
    if arguments["path"]:
        expected["path"] = arguments["path"]
    if arguments["domain"]:
        expected["domain"] = arguments["domain"].removeprefix(".")
    if arguments["max_age"] is not None:
        expected["max-age"] = str(arguments["max_age"])
    if arguments["expires"] is not None:
        expected["expires"] = attributes["expires"]
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", attributes["expires"])
    if arguments["samesite"] is not None:
        expected["samesite"] = arguments["samesite"].capitalize()
    flags = ("secure", "httponly", "partitioned")
    assert attributes == expected | {flag: "" for flag in flags if arguments[flag]}
