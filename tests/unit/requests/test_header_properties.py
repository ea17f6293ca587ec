"""The header fields of a request as values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit import Address, CacheControl, HTTPError, Limits, Request
from asgikit.http.conditional import EntityTags, ETag
from asgikit.http.ranges import RangeSpec, RangesSpecifier

THEN = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TRUSTED = ["10.0.0.0/8"]


def ask(*fields: tuple[str, str], client: Any = ("10.0.0.1", 5000), **scope: Any) -> Request:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return Request({"type": "http", "headers": headers, "client": client, **scope})


def test_preferences_are_read() -> None:
    request = ask(
        ("accept", "text/html;q=0.5"),
        ("accept", "application/json"),  # lines of one field are one list
        ("accept-encoding", "gzip"),
        ("accept-language", "de-CH, en;q=0.5"),
    )

    assert request.accept.best_match(["text/html", "application/json"]) == "application/json"
    assert request.accept_encoding.preferred(["br", "gzip"]) == ["gzip"]
    assert request.accept_language.best_match(["en", "de"]) == "de"


def test_what_is_absent_refuses_nothing() -> None:
    for request in (ask(), Request({"type": "http"})):
        assert request.accept.best_match(["a/b"]) == "a/b"
        assert request.accept_language.best_match(["en"]) == "en"
        assert request.accept_encoding.best_match(["gzip"]) == "gzip"
        assert request.accept_encoding.preferred(["gzip"]) == []
        assert request.cache_control == CacheControl()
        assert request.authorization is None
        for name in NAMES[5:]:
            assert getattr(request, name.replace("-", "_")) is None


def test_a_field_is_read_once() -> None:
    request = ask(("accept", "text/html"), ("authorization", "Bearer abc"))

    assert request.accept is request.accept
    assert request.authorization is request.authorization
    assert request.authorization is not None
    assert request.authorization.token == "abc"


@pytest.mark.parametrize(
    "fields",
    [
        [("authorization", "Basic ?")],
        [("authorization", "Bearer a"), ("authorization", "Bearer a")],
        [("authorization", "X a=b"), ("authorization", "c=d")],  # no list
        [("authorization", "")],
    ],
)
def test_malformed_credentials_are_none(fields: list[tuple[str, str]]) -> None:
    assert ask(*fields).authorization is None


def test_the_request_shows_no_credentials() -> None:
    request = ask(("authorization", "Bearer s3cret"))
    shown = f"{request!r} {request.headers!r} {request.authorization!r}"

    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("range", "bytes=0-499", RangesSpecifier("bytes", [RangeSpec(0, 499)])),
        ("range", "bytes", None),
        ("if-range", '"1"', ETag("1")),
        ("if-range", 'W/"1"', ETag("1", weak=True)),
        ("if-range", f" {DATE}", THEN),
        ("if-range", "x", None),
        ("if-match", '"1", W/"2"', EntityTags((ETag("1"), ETag("2", weak=True)))),
        ("if-match", "*", EntityTags((), any=True)),
        ("if-match", "x", EntityTags(())),  # matches nothing
        ("if-none-match", '"1"', EntityTags((ETag("1"),))),
        ("if-modified-since", DATE, THEN),
        ("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", THEN),
        ("if-modified-since", "yesterday", None),
        ("if-unmodified-since", DATE, THEN),
        ("if-unmodified-since", f"{DATE}, {DATE}", None),
        ("cache-control", "no-cache, max-age=0", CacheControl(no_cache=True, max_age=0)),
    ],
)
def test_conditions_are_values(name: str, value: str, expected: object) -> None:
    assert getattr(ask((name, value)), name.replace("-", "_")) == expected


def test_two_lines_of_what_is_no_list_are_malformed() -> None:
    assert ask(("range", "bytes=0-0"), ("range", "bytes=1-1")).range is None
    assert ask(("if-modified-since", DATE), ("if-modified-since", DATE)).if_modified_since is None
    assert ask(("if-range", '"1"'), ("if-range", '"2"')).if_range is None
    assert ask(("if-match", '"1"'), ("if-match", '"2"')).if_match == EntityTags(
        (ETag("1"), ETag("2"))
    )


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ([], ("10.0.0.1", 5000)),
        ([("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        ([("forwarded", 'for="192.0.2.1:80"')], ("192.0.2.1", 80)),
        ([("forwarded", "for=_hidden")], ("10.0.0.1", 5000)),
        ([("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        # One of them is a client's, and nobody knows which.
        ([("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], ("10.0.0.1", 5000)),
        ([("forwarded", "for=6.6.6.6"), ("x-forwarded-proto", "https")], ("10.0.0.1", 5000)),
    ],
)
def test_the_client_is_found_behind_trusted_proxies(
    fields: list[tuple[str, str]], address: tuple[str, int | None]
) -> None:
    assert ask(*fields).client_address(trusted=TRUSTED) == Address(*address)
    assert ask(*fields, client=("192.0.2.9", 1)).client_address(trusted=TRUSTED) == Address(
        "192.0.2.9", 1
    )


def test_who_knows_the_proxy_says_which_field_it_writes() -> None:
    request = ask(("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "192.0.2.1"))

    assert request.client_address(trusted=TRUSTED, header="x-forwarded") == ("192.0.2.1", None)
    assert request.client_address(trusted=TRUSTED, header="forwarded") == ("6.6.6.6", None)
    assert request.client_scheme(trusted=TRUSTED) == "http"
    assert request.client_scheme(trusted=TRUSTED, header="forwarded") == "https"


def test_a_unix_socket_has_no_address() -> None:
    request = ask(("x-forwarded-for", "192.0.2.1"), client=None)

    assert request.client_address(trusted=TRUSTED) is None
    assert request.client_address(trusted=["unix"]) == ("192.0.2.1", None)
    assert ask(client=None).client_address(trusted=["unix"]) is None


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        ([], "http", "own.example"),
        (
            [("forwarded", "for=192.0.2.1;proto=https;host=A.example:8443")],
            "https",
            "a.example:8443",
        ),
        ([("x-forwarded-proto", "https"), ("x-forwarded-host", "a.example")], "https", "a.example"),
        ([("x-forwarded-host", "a.example/evil")], "http", "own.example"),
        ([("x-forwarded-host", "\xe9")], "http", "own.example"),
        ([("x-forwarded-proto", "javascript")], "http", "own.example"),
        (
            [("forwarded", "proto=https;host=a.example"), ("x-forwarded-for", "192.0.2.1")],
            "http",
            "own.example",
        ),
    ],
)
def test_scheme_and_host_are_those_the_client_used(
    fields: list[tuple[str, str]], scheme: str, host: str
) -> None:
    request = ask(("host", "own.example"), *fields)
    stranger = ask(("host", "own.example"), *fields, client=("192.0.2.9", 1))

    assert request.client_scheme(trusted=TRUSTED) == scheme
    assert request.client_host(trusted=TRUSTED) == host
    assert stranger.client_scheme(trusted=TRUSTED) == "http"
    assert stranger.client_host(trusted=TRUSTED) == "own.example"


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", ["proxy"]])
def test_what_is_no_network_is_told_by_any_request(trusted: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="network"):
        ask().client_address(trusted=trusted)


def test_networks_may_come_from_a_generator() -> None:
    request = ask(("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1"))

    assert request.client_address(trusted=iter(TRUSTED)) == ("192.0.2.1", None)


NAMES = [
    "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "range",
    "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
]  # fmt: skip
PROXIES = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"]


@pytest.mark.property
@given(
    st.lists(st.tuples(st.sampled_from([*NAMES, *PROXIES]).map(str.encode), st.binary())),
    st.sampled_from([None, ("10.0.0.1", 1), ("x", None), "nonsense"]),
)
def test_no_field_raises(headers: list[tuple[bytes, bytes]], client: Any) -> None:
    request = Request({"type": "http", "headers": headers, "client": client})

    for name in NAMES:
        getattr(request, name.replace("-", "_"))
    request.client_address(trusted=TRUSTED)
    assert request.client_scheme(trusted=TRUSTED) in ("http", "https", "ws", "wss")
    request.client_host(trusted=TRUSTED)


# The typed accessors, with the header that each one parses.
SIZED = [
    ("accept", "accept"),
    ("accept_encoding", "accept-encoding"),
    ("accept_language", "accept-language"),
    ("authorization", "authorization"),
    ("cache_control", "cache-control"),
    ("range", "range"),
    ("if_range", "if-range"),
    ("if_match", "if-match"),
    ("if_none_match", "if-none-match"),
    ("if_modified_since", "if-modified-since"),
    ("if_unmodified_since", "if-unmodified-since"),
    ("media_type", "content-type"),
]


@pytest.mark.parametrize(("name", "header"), SIZED)
def test_header_over_the_limit_is_431_from_its_property(name: str, header: str) -> None:
    with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes") as caught:
        getattr(ask((header, "a" * 8193)), name)

    assert caught.value.status_code == 431
    getattr(ask((header, "a" * 8192)), name)  # within the limit, whatever it means


@pytest.mark.parametrize(("name", "header"), SIZED[:5])
def test_header_size_is_that_of_all_its_lines(name: str, header: str) -> None:
    with pytest.raises(HTTPError, match="is over 8192 bytes"):
        getattr(ask(*[(header, "a" * 1024)] * 8), name)


@pytest.mark.parametrize(("name", "header"), SIZED)
def test_header_limit_is_the_requests_own(name: str, header: str) -> None:
    scope = ask((header, "a" * 10_000)).scope

    getattr(Request(scope, limits=Limits(max_header_size=None)), name)
    getattr(Request(scope, limits=Limits(max_header_size=10_000)), name)
    with pytest.raises(HTTPError, match="is over 9999 bytes"):
        getattr(Request(scope, limits=Limits(max_header_size=9999)), name)


@pytest.mark.parametrize(
    "header", ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]
)
def test_preconditions_over_the_limit_are_431(header: str) -> None:
    # To ignore a long If-Match would overwrite a resource that the client did not mean.
    with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes"):
        ask((header, '"a",' * 3000), method="PUT").check_preconditions(etag="b")


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-forwarded-host"])
def test_proxy_headers_over_the_limit_are_431(header: str) -> None:
    request = ask((header, "for=192.0.2.1," * 1000))

    for method in (request.client_address, request.client_scheme, request.client_host):
        with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes"):
            method(trusted=TRUSTED)


@pytest.mark.anyio
async def test_content_type_of_a_form_over_the_limit_is_431() -> None:
    content_type = (b"content-type", b"multipart/form-data; " + b"a=b; " * 2000 + b"boundary=X")
    request = Request({"type": "http", "method": "POST", "headers": [content_type]}, never_called)

    with pytest.raises(HTTPError, match="content-type is over 8192 bytes"):
        await request.form()
    with pytest.raises(HTTPError, match="content-type is over 8192 bytes"):
        request.parts()


async def never_called() -> Any:
    raise AssertionError("the body was received")
