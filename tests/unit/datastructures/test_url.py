"""URLs: no text of a Host header, path or query becomes another part."""

from __future__ import annotations

import copy
import dataclasses
import ipaddress
import pickle
import re
import string
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asgikit.datastructures.query import parse_urlencoded
from asgikit.datastructures.request_url import base_url, request_host, request_url
from asgikit.datastructures.url import URL, parse_host, quote_path

SERVER = ("192.0.2.1", 8000)

# RFC 3986, appendix B, as it stands there.
APPENDIX_B = re.compile(r"^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?", re.DOTALL)


def split(url: URL) -> tuple[str, str, str, str, str]:
    """Split the text of a URL by appendix B: scheme, authority, path, query, fragment."""
    match = APPENDIX_B.fullmatch(str(url))
    assert match is not None
    scheme, netloc, path, query, fragment = match.group(2, 4, 5, 7, 9)
    return scheme or "", netloc or "", path, query or "", fragment or ""


def parts(url: URL) -> tuple[str, str, str, str, str]:
    return url.scheme, url.netloc, url.path, url.query, url.fragment


def scope(hosts: list[bytes], path: str = "/", query: bytes = b"", **more: Any) -> dict[str, Any]:
    headers = [(b"accept", b"*/*"), *((b"host", host) for host in hosts)]
    return {
        "type": "http",
        "scheme": "http",
        "server": SERVER,
        "path": path,
        "query_string": query,
        "headers": headers,
        **more,
    }


def reference_host(value: bytes) -> tuple[str, int | None] | None:
    """Parse a Host header character by character: a host name or an address, then a port."""
    text = value.decode("latin-1").strip(" \t").lower()
    head, bracket, tail = text.rpartition("]")
    name, _, digits = tail.partition(":")
    if bracket:
        if not head.startswith("[") or name or set(head[1:]) - set("0123456789abcdef:."):
            return None
        try:
            ipaddress.IPv6Address(head[1:])
        except ValueError:
            return None
        name = head[1:]
    elif not name or set(name) - set(string.ascii_lowercase + string.digits + "-._~"):
        return None
    if set(digits) - set(string.digits) or len(digits) > 5 or len(text) > 255:
        return None
    port = int(digits) if digits else None
    return None if port is not None and port > 65535 else (name, port)


HOSTS = st.one_of(
    st.binary(max_size=30),
    st.text("aB1-._~:[]@/?#\\%, \t\x00\xe9", max_size=12).map(lambda text: text.encode("latin-1")),
    st.tuples(
        st.text("aZ0-._~", min_size=1, max_size=12) | st.ip_addresses(v=4).map(str)
        | st.ip_addresses(v=6).map("[{}]".format),
        st.just("") | st.integers(0, 70000).map(":{}".format),
    ).map(lambda pair: "".join(pair).encode()),
)  # fmt: skip
QUERIES = st.binary(max_size=20) | st.text("a=&%3#?/\\ \"<>'\n\t\xe9", max_size=12).map(str.encode)
TEXT = st.text() | st.text("/ab.%2F:@?#\\*&;= \t\r\n\x00\xe9\u20ac", max_size=12)
PATHS = TEXT.filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)).map(
    lambda text: "/" + text
)
NOWHERE = st.sampled_from(
    [None, ("/run/app.sock", None), ["unix:/x", "0"], "x", (None, 1), (b"a", 1)]
)
SERVERS = NOWHERE | st.sampled_from(
    [SERVER, ["192.0.2.1", "8000"], ("::1", 80), ("localhost", None)]
)


@pytest.mark.property
@pytest.mark.promise
@given(path=PATHS, hosts=st.lists(HOSTS, max_size=2), query=QUERIES, with_raw=st.booleans())
def test_request_url_is_that_of_the_scope(
    path: str, hosts: list[bytes], query: bytes, with_raw: bool
) -> None:
    raw = {"raw_path": path.encode()} if with_raw else {}
    request = scope(hosts, path, query, **raw)
    url = request_url(request)
    expected = reference_host(hosts[0]) if len(hosts) == 1 else None

    assert unquote(url.path) == path
    assert (url.hostname, url.port) == (expected or SERVER)
    assert unquote_to_bytes(url.query) == unquote_to_bytes(query)
    assert split(url) == parts(url) == parts(URL(str(url)))
    assert str(url).isascii()
    assert str(url).isprintable()
    assert " " not in str(url)
    assert (request_host(request["headers"]) is None) is (expected is None)


@pytest.mark.property
@given(
    path=TEXT | st.text(st.characters(exclude_categories=())),  # lone surrogates as well
    raw_path=st.none() | st.binary(max_size=12) | TEXT,
    query=QUERIES,
    hosts=st.lists(HOSTS, max_size=2),
    server=SERVERS,
    scheme=st.none() | st.sampled_from(["https", "WS", "", "a b", "javascript:", 1]),
)
def test_path_never_changes_the_authority(
    path: str, raw_path: Any, query: bytes, hosts: list[bytes], server: Any, scheme: Any
) -> None:
    more = {"raw_path": raw_path, "server": server, "scheme": scheme, "root_path": path}
    request = scope(hosts, path, query, **more)

    for url in (request_url(request), base_url(request)):
        expected = reference_host(hosts[0]) if len(hosts) == 1 else None
        assert (
            url.hostname in {"192.0.2.1", "::1", "localhost", None}
            if not expected
            else ((url.hostname, url.port) == expected)
        )
        assert split(url) == parts(url) == parts(URL(str(url)))
        assert urlsplit(str(url)).hostname == url.hostname
        assert (url.scheme == "") is (url.hostname is None)


@pytest.mark.property
@given(value=HOSTS)
def test_host_header_equals_the_reference_parser(value: bytes) -> None:
    assert parse_host(value) == reference_host(value)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"example.com", ("example.com", None)),
        (b"EXAMPLE.com:8080", ("example.com", 8080)),
        (b" example.com\t", ("example.com", None)),  # white space is not of the value
        (b"example.com:", ("example.com", None)),  # RFC 3986, section 3.2.3
        (b"example.com:00080", ("example.com", 80)),
        (b"example.com.", ("example.com.", None)),
        (b"my_host.local", ("my_host.local", None)),
        (b"xn--bcher-kva.example", ("xn--bcher-kva.example", None)),
        (b"127.0.0.1:1", ("127.0.0.1", 1)),
        (b"[::1]", ("::1", None)),
        (b"[2001:DB8::1]:65535", ("2001:db8::1", 65535)),
        (b"[::ffff:192.0.2.1]", ("::ffff:192.0.2.1", None)),
        (b"a" * 255, ("a" * 255, None)),
        (b"a" * 256, None),
        (b"", None),
        (b":80", None),
        (b"example.com:65536", None),
        (b"example.com:000080", None),
        (b"example.com:http", None),
        (b"example.com:+80", None),
        (b"example.com:8_0", None),
        (b"example.com:\xb2", None),
        (b"example.com:80:80", None),
        (b"::1", None),
        (b"[::1", None),
        (b"[::1]x", None),
        (b"[fe80::1%25eth0]", None),
        (b"[fe80::1%eth0]", None),
        (b"[v1.a]", None),
        (b"[127.0.0.1]", None),
        (b"[:::]", None),
        (b"[]", None),
        (b"a.com, b.com", None),
        (b"a,b.com", None),
        (b"a%20b.com", None),
        (b"a@b.com", None),
        (b"a.com/b", None),
        (b"a.com?b", None),
        (b"a.com#b", None),
        (b"a.com\\b", None),
        (b"//a.com", None),
        (b"http://a.com", None),
        (b'"a.com"', None),
        (b"a\x00.com", None),
        (b"a.com\n", None),
        (b"\xe9.com", None),
    ],
)
def test_host_header_is_parsed_to_host_and_port(
    value: bytes, address: tuple[str, int | None] | None
) -> None:
    assert parse_host(value) == address


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([], None),
        ([(b"host", b"Example.com:80")], "example.com:80"),
        ([(b"Host", b"[::1]:1")], "[::1]:1"),
        ([[b"host", b"a"]], "a"),
        ([(b"host", b"a"), (b"host", b"a")], None),  # RFC 9112, section 3.2
        ([(b"host", b"a"), (b"HOST", b"b")], None),
        ([(b"host", b"a b")], None),
    ],
)
def test_request_host_is_none_if_absent_or_malformed(headers: Any, host: str) -> None:
    assert request_host(headers) == host


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "http://192.0.2.1:8000/"),
        ({"server": ["192.0.2.1", "8000"]}, "http://192.0.2.1:8000/"),
        ({"headers": None}, "http://192.0.2.1:8000/"),
        ({"server": ("localhost", None)}, "http://localhost/"),
        ({"server": ("LOCALHOST", 80)}, "http://localhost/"),
        ({"server": ("localhost", 80), "scheme": "https"}, "https://localhost:80/"),
        ({"server": ("localhost", 443), "scheme": "wss"}, "wss://localhost/"),
        ({"server": ("::1", 8000)}, "http://[::1]:8000/"),
        ({"server": ("fe80::1%eth0", 8000)}, "/"),
        ({"server": ("/run/app.sock", None)}, "/"),
        ({"server": None, "path": "//evil.example/x"}, "/%2Fevil.example/x"),
        ({"server": None, "path": "x:y", "scheme": "https"}, "/x:y"),
        ({"server": None, "root_path": "//evil.example"}, "/%2Fevil.example/"),
        ({"scheme": None, "type": "websocket"}, "ws://192.0.2.1:8000/"),
        ({"scheme": "HTTPS"}, "https://192.0.2.1:8000/"),
        ({"scheme": "java script"}, "http://192.0.2.1:8000/"),
        ({"path": ""}, "http://192.0.2.1:8000"),
        ({"path": "*"}, "http://192.0.2.1:8000"),  # OPTIONS *: RFC 9112, section 3.3
        ({"path": "http://evil.example/x"}, "http://192.0.2.1:8000/http://evil.example/x"),
        ({"path": "@evil.example"}, "http://192.0.2.1:8000/@evil.example"),
        ({"path": "//evil.example"}, "http://192.0.2.1:8000//evil.example"),
        ({"path": "/\\evil.example"}, "http://192.0.2.1:8000/%5Cevil.example"),
        ({"path": "/../a;b:c@d"}, "http://192.0.2.1:8000/../a;b:c@d"),
        ({"path": "/100% a?b#c[\r\n"}, "http://192.0.2.1:8000/100%25%20a%3Fb%23c%5B%0D%0A"),
        ({"path": "/\udcff"}, "http://192.0.2.1:8000/%ED%B3%BF"),  # no UTF-8
        ({"path": "/a/b", "raw_path": b"/a%2fb"}, "http://192.0.2.1:8000/a%2fb"),
        ({"path": "/a b", "raw_path": b"/a b"}, "http://192.0.2.1:8000/a%20b"),  # no URL's
        ({"path": "/a", "raw_path": b"/a?b"}, "http://192.0.2.1:8000/a"),
        ({"path": "/b", "raw_path": b"/a/b"}, "http://192.0.2.1:8000/a/b"),  # path was changed
        ({"path": "/b c", "raw_path": b"/a/b%20c"}, "http://192.0.2.1:8000/a/b%20c"),
        ({"path": "/%zz", "raw_path": b"/%zz"}, "http://192.0.2.1:8000/%25zz"),
        ({"path": "/\ufffd", "raw_path": b"/%FF"}, "http://192.0.2.1:8000/%FF"),
        ({"path": "/a", "raw_path": "/a"}, "http://192.0.2.1:8000/a"),
        ({"query_string": b"a=1&b=[%20]'"}, "http://192.0.2.1:8000/?a=1&b=[%20]'"),
        ({"query_string": b'#a\n"<>\xe9 '}, "http://192.0.2.1:8000/?%23a%0A%22%3C%3E%E9%20"),
        ({"query_string": None}, "http://192.0.2.1:8000/"),
    ],
)
def test_request_url_is_made_of_checked_parts(more: dict[str, Any], url: str) -> None:
    assert str(request_url(scope([], **{"path": "/"} | more))) == url


def test_empty_scope_has_a_url() -> None:
    assert str(request_url({})) == ""
    assert str(base_url({})) == "/"


@pytest.mark.parametrize(
    ("root_path", "url"),
    [
        (None, "http://a.example/"),
        ("", "http://a.example/"),
        ("/", "http://a.example/"),
        ("/v1", "http://a.example/v1/"),
        ("/v1/", "http://a.example/v1/"),
        ("v 1", "http://a.example/v%201/"),
        ("@evil.example", "http://a.example/@evil.example/"),
    ],
)
def test_base_url_is_the_root_path(root_path: str | None, url: str) -> None:
    request = scope([b"a.example"], "/v1/x", b"y=1", root_path=root_path)

    assert str(base_url(request)) == url


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("", ""),
        ("/", "/"),
        ("/a/b-._~!$&'()*+,;=:@", "/a/b-._~!$&'()*+,;=:@"),
        ("/\u017c %\\", "/%C5%BC%20%25%5C"),
        ("a", "/a"),
        ("?", "/%3F"),
        ("/\ud800", "/%ED%A0%80"),
    ],
)
def test_path_is_quoted(path: str, quoted: str) -> None:
    assert quote_path(path) == quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "https://User:pw@Example.COM:8443/a/b?q=1#top",
            ("https", "User:pw@example.com:8443", "/a/b", "q=1", "top"),
        ),
        ("HTTP://a", ("http", "a", "", "", "")),
        ("http://[::1]:80/", ("http", "[::1]:80", "/", "", "")),
        ("http://a:/", ("http", "a", "/", "", "")),
        ("/a?b", ("", "", "/a", "b", "")),
        ("", ("", "", "", "", "")),
        ("a/b", ("", "", "a/b", "", "")),
        ("?a?b#c", ("", "", "", "a?b", "c")),
        ("#?", ("", "", "", "", "?")),
        ("//a.example/b", ("", "a.example", "/b", "", "")),
        ("mailto:a@b.example", ("mailto", "", "a@b.example", "", "")),
        ("file:///etc/x", ("file", "", "/etc/x", "", "")),
        ("file:////etc/x", ("file", "", "/%2Fetc/x", "", "")),  # no authority starts there
        ("1a:b/c:d", ("", "", "1a%3Ab/c:d", "", "")),  # "1a" is no scheme
        ("//a/\u017c\u00f3\u0142w %20%zz", ("", "a", "/%C5%BC%C3%B3%C5%82w%20%20%zz", "", "")),
        ("/a\\b\t\r\n[", ("", "", "/a%5Cb%09%0D%0A%5B", "", "")),
        ('/?\u20ac "#\n#', ("", "", "/", "%E2%82%AC%20%22", "%0A%23")),
    ],
)  # fmt: skip
def test_url_text_is_split_and_escaped(text: str, expected: tuple[str, ...]) -> None:
    url = URL(text)

    assert parts(url) == expected
    assert URL(str(url)) == url
    assert parts(URL(str(url))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http:",
        "http:/path",  # browsers take "path" for the host
        "https:///path",
        "ws://:80/",
        "http://a b/",
        "http://a:b/",
        "http://a:65536/",
        "http://\u017c\u00f3\u0142w.example/",  # its IDNA form is for the app to choose
        "http://a\\@b/",
        "http://a@b@c/",
        "http://us er@a/",
        "http://@/",
        "//[::1/",
        "/\ud800",
        "/?\ud800",
    ],
)
def test_malformed_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|surrogates not allowed"):
        URL(text)


@pytest.mark.parametrize("value", [None, 1, b"http://a/"])
def test_url_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="str, not"):
        URL(value)
    with pytest.raises(TypeError, match="str, not"):
        URL("/").replace(path=value)
    with pytest.raises(TypeError, match="str, not"):
        URL("/").replace(netloc=value)
    with pytest.raises(TypeError, match="str, not"):
        URL("//a").replace(hostname=value)


@pytest.mark.property
@given(
    text=st.text()
    | st.text("aH/:@?#[]%. \\\n\xe9", max_size=16)
    | st.tuples(st.sampled_from(["http://a", "//a", "a:", "http:", ""]), st.text()).map("".join)
)
def test_url_reads_back_as_it_was_written(text: str) -> None:
    try:
        url = URL(text)
    except ValueError:
        assume(False)

    assert split(url) == parts(url) == parts(URL(str(url)))
    assert str(url).isascii()
    assert str(url).isprintable()


@pytest.mark.property
@given(
    text=st.sampled_from(["http://u:p@a.example:1/b?c#d", "/b?c", "mailto:a", "//a", ""]),
    given=st.dictionaries(
        st.sampled_from(["scheme", "netloc", "hostname", "path", "query", "fragment"]),
        st.text(max_size=6) | st.sampled_from(["http", "a.example", "a:b", "//x", "@x", "x"]),
    ),
)
def test_replaced_parts_stay_apart(text: str, given: dict[str, Any]) -> None:
    try:
        url = URL(text).replace(**given)
    except ValueError:
        assume(False)

    assert split(url) == parts(url)
    for name in ("path", "query", "fragment"):
        if "%" not in given.get(name, ""):
            assert unquote(getattr(url, name)) == given.get(name, getattr(URL(text), name))


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("http://a/b?c#d", {}, "http://a/b?c#d"),
        ("http://a/b?c#d", {"scheme": "HTTPS"}, "https://a/b?c#d"),
        ("http://a/b?c#d", {"path": "/e f?g"}, "http://a/e%20f%3Fg?c#d"),
        ("http://a/b?c#d", {"path": "", "query": "", "fragment": ""}, "http://a"),
        ("http://a/b?c#d", {"query": "e=#", "fragment": "f g"}, "http://a/b?e=%23#f%20g"),
        ("http://u:p@a:1/", {"hostname": "B.example"}, "http://u:p@b.example:1/"),
        ("http://u:p@a:1/", {"port": 2}, "http://u:p@a:2/"),
        ("http://u:p@a:1/", {"port": None}, "http://u:p@a/"),
        ("http://u:p@a:1/", {"netloc": "b"}, "http://b/"),
        ("http://a:1/", {"netloc": "b:2", "port": 3}, "http://b:3/"),
        ("http://a:1/", {"hostname": "::1"}, "http://[::1]:1/"),
        ("http://[::1]/", {"port": 8000}, "http://[::1]:8000/"),
        ("/a", {"scheme": "https", "hostname": "b"}, "https://b/a"),
        ("/a", {"netloc": "b"}, "//b/a"),
        ("https://a/b", {"scheme": "", "netloc": ""}, "/b"),
        ("https://a/b", {"scheme": "", "netloc": "", "path": "//c"}, "/%2Fc"),
        ("/a", {"path": "http:b/c:d"}, "http%3Ab/c:d"),
        ("mailto:a", {"path": "b:c"}, "mailto:b:c"),
    ],
)
def test_url_replace_changes_parts(text: str, changes: dict[str, Any], expected: str) -> None:
    url = URL(text)

    assert str(url.replace(**changes)) == expected
    assert str(url) == text


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("https://a/teas?page=3", {"page": 4}, "https://a/teas?page=4"),
        ("https://a/teas?page=3", {"q": "a b"}, "https://a/teas?page=3&q=a+b"),
        ("https://a/teas?page=3&q=x", {"page": 4}, "https://a/teas?q=x&page=4"),
        ("https://a/teas?p=1&p=2&q=x#top", {"p": 3}, "https://a/teas?q=x&p=3#top"),
        ("/?%70=1&q=%ff", {"p": 2}, "/?q=%ff&p=2"),  # names are decoded, other fields are kept
        ("/?a&&b=", {"c": "&=é"}, "/?a&b=&c=%26%3D%C3%A9"),
        ("/?a+b=1", {"a b": ""}, "/?a+b="),
        ("/?a=1", {}, "/?a=1"),
        ("", {"a": None}, "?a=None"),
        ("/", {"self": 1}, "/?self=1"),
    ],
)
def test_include_query_params_replaces_fields_of_same_name(
    text: str, params: dict[str, Any], expected: str
) -> None:
    assert str(URL(text).include_query_params(**params)) == expected


def test_replace_query_params_removes_all_other_fields() -> None:
    url = URL("https://u:p@a:1/teas?page=3&q=x#top")

    assert str(url.replace_query_params(page=4)) == "https://u:p@a:1/teas?page=4#top"
    assert str(url.replace_query_params()) == "https://u:p@a:1/teas#top"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("page", "/teas?q=a+b&q=%2f"),
        ("q", "/teas?page=3"),
        (["page", "q"], "/teas"),
        (("nothing",), "/teas?page=3&q=a+b&q=%2f"),
        (iter(["q"]), "/teas?page=3"),
        ([], "/teas?page=3&q=a+b&q=%2f"),
    ],
)
def test_remove_query_params_keeps_other_fields_as_they_are(names: Any, expected: str) -> None:
    assert str(URL("/teas?page=3&q=a+b&q=%2f").remove_query_params(names)) == expected


@pytest.mark.property
@given(
    query=QUERIES.map(lambda data: data.decode("latin-1")),
    params=st.dictionaries(st.text("aé&= ", min_size=1, max_size=3), st.text("aé&=# ", max_size=3)),
)
def test_included_query_params_are_read_back(query: str, params: dict[str, str]) -> None:
    url = URL("/").replace(query=query)
    changed = url.include_query_params(**params)

    fields = parse_urlencoded(changed.query.encode(), max_fields=None)
    others = parse_urlencoded(url.query.encode(), max_fields=None)
    assert fields == [field for field in others if field[0] not in params] + [*params.items()]
    without = changed.remove_query_params(params)
    assert str(without) == str(url.remove_query_params(params))


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("http://a/", {"scheme": "1"}),
        ("http://a/", {"scheme": "javascript:"}),
        ("http://a/", {"netloc": ""}),  # an http URL has a host
        ("http://a/", {"netloc": "b/c"}),
        ("http://a/", {"hostname": "b/c"}),
        ("http://a/", {"hostname": "b@c"}),
        ("http://a/", {"hostname": "b:1"}),
        ("http://a/", {"hostname": ""}),
        ("http://a/", {"port": -1}),
        ("http://a/", {"port": 65536}),
        ("http://a/", {"port": True}),
        ("http://a/", {"port": "80"}),
        ("http://a", {"path": "b"}),  # would be one with the host
        ("http://a", {"path": "@b"}),
        ("/a", {"port": 80}),
        ("/a", {"query": "\ud800"}),
    ],
)
def test_url_replace_refuses_malformed_parts(text: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"URL|port|surrogates not allowed"):
        URL(text).replace(**changes)


def test_url_replace_of_unknown_part_is_type_error() -> None:
    with pytest.raises(TypeError, match="no host, user"):
        URL("/").replace(user="a", host="b")  # type: ignore[call-arg]  # tested


def test_urls_compare_and_hash_as_their_text() -> None:
    url = URL("http://a/b")

    assert url == URL("HTTP://A/b") == "http://a/b"
    assert url != URL("http://a/c")
    assert url != 1
    assert {url: 1}[URL("http://a/b")] == {"http://a/b": 1}[url] == 1  # type: ignore[index]  # equal


def test_url_never_changes() -> None:
    url = URL("http://a/b")

    with pytest.raises(dataclasses.FrozenInstanceError):
        url.path = "/c"  # type: ignore[misc]  # tested
    with pytest.raises(dataclasses.FrozenInstanceError):
        del url.path
    assert copy.copy(url) == copy.deepcopy(url) == pickle.loads(pickle.dumps(url)) == url
    assert not hasattr(url, "__dict__")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a/b?token=c", "URL('http://a/b?token=c')"),
        ("http://user:hunter2@a/user:hunter2@", "URL('http://[...]@a/user:hunter2@')"),
        ("//hunter2@a", "URL('//[...]@a')"),
        ("//@a", "URL('//[...]@a')"),
    ],
)
def test_url_repr_hides_the_password(text: str, shown: str) -> None:
    assert repr(URL(text)) == shown


def test_url_error_hides_the_password() -> None:
    url = URL("http://user:hunter2@a")

    with pytest.raises(ValueError, match="URL") as refused:
        url.replace(path="@b")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ValueError, match="URL") as refused:
        URL("http://us er:hunter2@a b")
    assert "hunter2" not in str(refused.value)
