"""Headers of a request as typed values, and the client behind trusted proxies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit import Address, CacheControl, HTTPError, Limits, Request
from asgikit.http.conditional import EntityTags, ETag
from asgikit.http.ranges import RangeSpec, RangesSpecifier

DATETIME = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TRUSTED = ["10.0.0.0/8"]


def make_request(
    *headers: tuple[str, str], client: Any = ("10.0.0.1", 5000), **scope: Any
) -> Request:
    raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw_headers, "client": client, **scope})


def test_accept_headers_select_the_preferred_offer() -> None:
    request = make_request(
        ("accept", "text/html;q=0.5"),
        ("accept", "application/json"),  # lines of one header form one list
        ("accept-encoding", "gzip"),
        ("accept-language", "de-CH, en;q=0.5"),
    )

    assert request.accept.best_match(["text/html", "application/json"]) == "application/json"
    assert request.accept_encoding.preferred(["br", "gzip"]) == ["gzip"]
    assert request.accept_language.best_match(["en", "de"]) == "de"


def test_absent_headers_accept_any_offer_or_are_none() -> None:
    for request in (make_request(), Request({"type": "http"})):
        assert request.accept.best_match(["a/b"]) == "a/b"
        assert request.accept_language.best_match(["en"]) == "en"
        assert request.accept_encoding.best_match(["gzip"]) == "gzip"
        assert request.accept_encoding.preferred(["gzip"]) == []
        assert request.cache_control == CacheControl()
        assert request.authorization is None
        for name in NAMES[5:]:
            assert getattr(request, name.replace("-", "_")) is None


def test_header_property_is_parsed_once() -> None:
    request = make_request(("accept", "text/html"), ("authorization", "Bearer abc"))

    assert request.accept is request.accept
    assert request.authorization is request.authorization
    assert request.authorization is not None
    assert request.authorization.token == "abc"


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Basic ?")],
        [("authorization", "Bearer a"), ("authorization", "Bearer a")],
        [("authorization", "X a=b"), ("authorization", "c=d")],  # not a list header
        [("authorization", "")],
    ],
)
def test_authorization_malformed_or_repeated_is_none(headers: list[tuple[str, str]]) -> None:
    assert make_request(*headers).authorization is None


def test_request_repr_does_not_show_credentials() -> None:
    request = make_request(("authorization", "Bearer s3cret"))
    representations = f"{request!r} {request.headers!r} {request.authorization!r}"

    assert "s3cret" not in representations


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("range", "bytes=0-499", RangesSpecifier("bytes", [RangeSpec(0, 499)])),
        ("range", "bytes", None),
        ("if-range", '"1"', ETag("1")),
        ("if-range", 'W/"1"', ETag("1", weak=True)),
        ("if-range", f" {DATE}", DATETIME),
        ("if-range", "x", None),
        ("if-match", '"1", W/"2"', EntityTags((ETag("1"), ETag("2", weak=True)))),
        ("if-match", "*", EntityTags((), any=True)),
        ("if-match", "x", EntityTags(())),  # malformed: no entity tag matches
        ("if-none-match", '"1"', EntityTags((ETag("1"),))),
        ("if-modified-since", DATE, DATETIME),
        ("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", DATETIME),
        ("if-modified-since", "yesterday", None),
        ("if-unmodified-since", DATE, DATETIME),
        ("if-unmodified-since", f"{DATE}, {DATE}", None),
        ("cache-control", "no-cache, max-age=0", CacheControl(no_cache=True, max_age=0)),
    ],
)
def test_range_precondition_and_cache_headers_are_parsed(
    name: str, value: str, expected: object
) -> None:
    assert getattr(make_request((name, value)), name.replace("-", "_")) == expected


def test_repeated_header_is_malformed_unless_it_is_a_list() -> None:
    assert make_request(("range", "bytes=0-0"), ("range", "bytes=1-1")).range is None
    assert (
        make_request(("if-modified-since", DATE), ("if-modified-since", DATE)).if_modified_since
        is None
    )
    assert make_request(("if-range", '"1"'), ("if-range", '"2"')).if_range is None
    assert make_request(("if-match", '"1"'), ("if-match", '"2"')).if_match == EntityTags(
        (ETag("1"), ETag("2"))
    )


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], ("10.0.0.1", 5000)),
        ([("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        ([("forwarded", 'for="192.0.2.1:80"')], ("192.0.2.1", 80)),
        ([("forwarded", "for=_hidden")], ("10.0.0.1", 5000)),
        ([("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", None)),
        # The client wrote one of the two, and the proxy does not say which.
        ([("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], ("10.0.0.1", 5000)),
        ([("forwarded", "for=6.6.6.6"), ("x-forwarded-proto", "https")], ("10.0.0.1", 5000)),
    ],
)
def test_client_address_is_read_from_headers_of_trusted_proxies(
    headers: list[tuple[str, str]], address: tuple[str, int | None]
) -> None:
    assert make_request(*headers).client_address(trusted=TRUSTED) == Address(*address)
    assert make_request(*headers, client=("192.0.2.9", 1)).client_address(
        trusted=TRUSTED
    ) == Address("192.0.2.9", 1)


def test_proxy_header_argument_selects_the_header_to_trust() -> None:
    request = make_request(
        ("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "192.0.2.1")
    )

    assert request.client_address(trusted=TRUSTED, header="x-forwarded") == ("192.0.2.1", None)
    assert request.client_address(trusted=TRUSTED, header="forwarded") == ("6.6.6.6", None)
    assert request.client_scheme(trusted=TRUSTED) == "http"
    assert request.client_scheme(trusted=TRUSTED, header="forwarded") == "https"


def test_client_address_over_unix_socket_requires_trusted_unix() -> None:
    request = make_request(("x-forwarded-for", "192.0.2.1"), client=None)

    assert request.client_address(trusted=TRUSTED) is None
    assert request.client_address(trusted=["unix"]) == ("192.0.2.1", None)
    assert make_request(client=None).client_address(trusted=["unix"]) is None


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
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
def test_client_scheme_and_host_come_from_trusted_proxies_only(
    headers: list[tuple[str, str]], scheme: str, host: str
) -> None:
    request = make_request(("host", "own.example"), *headers)
    untrusted = make_request(("host", "own.example"), *headers, client=("192.0.2.9", 1))

    assert request.client_scheme(trusted=TRUSTED) == scheme
    assert request.client_host(trusted=TRUSTED) == host
    assert untrusted.client_scheme(trusted=TRUSTED) == "http"
    assert untrusted.client_host(trusted=TRUSTED) == "own.example"


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", ["proxy"]])
def test_invalid_trusted_networks_raise_without_proxy_headers(trusted: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="network"):
        make_request().client_address(trusted=trusted)


def test_trusted_networks_are_accepted_as_an_iterator() -> None:
    request = make_request(("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1"))

    assert request.client_address(trusted=iter(TRUSTED)) == ("192.0.2.1", None)


NAMES = [
    "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "range",
    "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
]  # fmt: skip
PROXY_NAMES = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"]


@pytest.mark.property
@given(
    st.lists(st.tuples(st.sampled_from([*NAMES, *PROXY_NAMES]).map(str.encode), st.binary())),
    st.sampled_from([None, ("10.0.0.1", 1), ("x", None), "nonsense"]),
)
def test_header_properties_never_raise_on_arbitrary_bytes(
    headers: list[tuple[bytes, bytes]], client: Any
) -> None:
    request = Request({"type": "http", "headers": headers, "client": client})

    for name in NAMES:
        getattr(request, name.replace("-", "_"))
    request.client_address(trusted=TRUSTED)
    assert request.client_scheme(trusted=TRUSTED) in ("http", "https", "ws", "wss")
    request.client_host(trusted=TRUSTED)


# The typed accessors, with the header that each one parses.
PROPERTIES = [
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


@pytest.mark.parametrize(("name", "header"), PROPERTIES)
def test_property_of_header_over_the_limit_raises_431(name: str, header: str) -> None:
    with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes") as caught:
        getattr(make_request((header, "a" * 8193)), name)

    assert caught.value.status_code == 431
    getattr(make_request((header, "a" * 8192)), name)  # at the limit, and possibly malformed


@pytest.mark.parametrize(("name", "header"), PROPERTIES[:5])
def test_header_size_limit_counts_all_lines_of_a_header(name: str, header: str) -> None:
    with pytest.raises(HTTPError, match="is over 8192 bytes"):
        getattr(make_request(*[(header, "a" * 1024)] * 8), name)


@pytest.mark.parametrize(("name", "header"), PROPERTIES)
def test_header_size_limit_is_taken_from_request_limits(name: str, header: str) -> None:
    scope = make_request((header, "a" * 10_000)).scope

    getattr(Request(scope, limits=Limits(max_header_size=None)), name)
    getattr(Request(scope, limits=Limits(max_header_size=10_000)), name)
    with pytest.raises(HTTPError, match="is over 9999 bytes"):
        getattr(Request(scope, limits=Limits(max_header_size=9999)), name)


@pytest.mark.parametrize(
    "header", ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]
)
def test_check_preconditions_with_header_over_the_limit_raises_431(header: str) -> None:
    # If a long If-Match were ignored, the request could overwrite a newer version.
    with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes"):
        make_request((header, '"a",' * 3000), method="PUT").check_preconditions(etag="b")


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-forwarded-host"])
def test_client_methods_with_proxy_header_over_the_limit_raise_431(header: str) -> None:
    request = make_request((header, "for=192.0.2.1," * 1000))

    for method in (request.client_address, request.client_scheme, request.client_host):
        with pytest.raises(HTTPError, match=f"{header} is over 8192 bytes"):
            method(trusted=TRUSTED)


@pytest.mark.anyio
async def test_form_and_parts_with_long_content_type_raise_431() -> None:
    content_type = (b"content-type", b"multipart/form-data; " + b"a=b; " * 2000 + b"boundary=X")
    request = Request(
        {"type": "http", "method": "POST", "headers": [content_type]}, receive_never_called
    )

    with pytest.raises(HTTPError, match="content-type is over 8192 bytes"):
        await request.form()
    with pytest.raises(HTTPError, match="content-type is over 8192 bytes"):
        request.parts()


async def receive_never_called() -> Any:
    raise AssertionError("the body was received")
