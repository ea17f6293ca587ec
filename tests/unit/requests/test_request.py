"""Request: its properties, the readers of the body, and errors that are HTTP errors."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, suppress
from functools import partial
from types import MappingProxyType
from typing import Any
from unittest import mock
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse

from asgikit.datastructures.state import State
from asgikit.exceptions import (
    BadRequest,
    BodyConsumed,
    ClientDisconnect,
    ContentTooLarge,
    HTTPError,
    InvalidHeader,
    InvalidJSON,
    RequestTimeout,
    UnsupportedMediaType,
)
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.requests.request import SHORT, Request
from asgikit.testing import exchange
from asgikit.types import Message, Receive, Scope, Send
from tests.support.clients import BodyClient
from tests.support.waiting import BOUND

pytestmark = pytest.mark.anyio

LEFT: Message = {"type": "http.disconnect"}


def scope(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """Return a scope with all entries that ASGI requires."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": list(headers),
        **more,
    }


# As with a server, each message takes a turn of the event loop.
Client = partial(BodyClient, checkpoints=1)


def whole(*chunks: bytes) -> list[Message]:
    return [
        {"type": "http.request", "body": chunk, "more_body": at < len(chunks)}
        for at, chunk in enumerate(chunks, 1)
    ]


def request_of(
    *chunks: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), limits: Limits = DEFAULT_LIMITS
) -> Request:
    return Request(scope(*headers), Client(*whole(*chunks)).receive, limits=limits)


# The mapping.


def test_request_is_a_read_only_mapping_of_the_scope() -> None:
    given_ = scope(path="/a")
    request = Request(given_)

    assert isinstance(request, Mapping)
    assert not isinstance(request, MutableMapping)
    assert dict(request) == given_
    assert request.scope is given_
    assert len(request) == len(given_)
    assert request["path"] == "/a"
    assert request.get("extensions", 1) == 1
    assert "path" in request
    assert "extensions" not in request
    with pytest.raises(KeyError):
        request["extensions"]
    with pytest.raises(TypeError):
        request["path"] = "/b"  # type: ignore[index] # that is the point


def test_request_is_equal_to_itself_alone() -> None:
    given_ = scope()
    one, other = Request(given_), Request(given_)

    assert one == one
    assert one != other
    assert one != given_
    assert one == mock.ANY
    assert len({one, other, one}) == 2
    assert hash(one) == hash(one)


def test_request_of_an_empty_scope_has_defaults() -> None:
    request = Request({"type": "http", "headers": []})

    assert (request.path, request.root_path, request.scheme) == ("", "", "http")
    assert request.http_version == "1.1"
    assert str(request.base_url) == "/"


def test_request_takes_its_arguments_by_name_and_keeps_them() -> None:
    async def receive() -> Message:
        raise NotImplementedError

    async def send(message: Message) -> None:
        raise NotImplementedError

    given_ = scope()
    limits = Limits(max_body_size=1)
    request = Request(scope=given_, receive=receive, send=send, limits=limits)

    assert request.scope is given_
    assert request.receive is receive
    assert request.send is send
    assert request.limits is limits
    assert Request(given_).limits is DEFAULT_LIMITS
    assert Request(given_).receive is None
    assert Request(given_).send is None
    with pytest.raises(TypeError):
        Request(given_, receive, send, limits)  # type: ignore[call-arg] # that is the point
    with pytest.raises(AttributeError):
        request.user = 1  # type: ignore[attr-defined] # so is this: state is for that
    assert weakref.ref(request)() is request


def test_request_shows_its_method_and_path() -> None:
    assert repr(Request(scope(path="/a\nb"))) == "<Request GET '/a\\nb'>"


class AppState(State):
    pool: int


def test_request_subclass_declares_its_state() -> None:
    request: Request[AppState] = Request(scope(state={"pool": 1}))

    assert Request[AppState] is not Request
    assert request.state.pool == 1


# The request line.


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"method": "PATCH"}, "method", "PATCH"),
        ({"path": "/a b"}, "path", "/a b"),
        ({"path": "*"}, "path", "*"),
        ({"path": "http://a/b"}, "path", "http://a/b"),
        ({"path": "/a b"}, "raw_path", b"/a%20b"),
        ({"path": "/\u017c", "raw_path": None}, "raw_path", b"/%C5%BC"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb"}, "raw_path", b"/a%2Fb"),
        ({"path": "/", "raw_path": b""}, "raw_path", b""),
        ({"root_path": "/v1"}, "root_path", "/v1"),
        ({"root_path": None}, "root_path", ""),
        ({"scheme": "https"}, "scheme", "https"),
        ({"scheme": None}, "scheme", "http"),
        ({"http_version": "2"}, "http_version", "2"),
        ({"client": ["::1", "80"]}, "client", ("::1", 80)),
        ({"client": None}, "client", None),
        ({"server": ("/run/a.sock", None)}, "server", ("/run/a.sock", None)),
        ({"server": "here"}, "server", None),
        ({"path_params": {"id": 1}}, "path_params", {"id": 1}),
        ({"path_params": None}, "path_params", {}),
        ({}, "path_params", {}),
        ({"extensions": {"http.response.pathsend": {}}}, "extensions",
         {"http.response.pathsend": {}}),
        ({"extensions": None}, "extensions", {}),
        ({}, "extensions", {}),
        ({"query_string": b"a=1&b=%C3%BC+&a="}, "query_params",
         [("a", "1"), ("b", "\xfc "), ("a", "")]),
        ({"query_string": None}, "query_params", []),
        ({}, "cookies", {}),
    ],
)  # fmt: skip
def test_request_properties_are_those_of_the_scope(
    more: dict[str, Any], name: str, value: object
) -> None:
    got = getattr(Request(scope(**more)), name)

    assert (list(got.items()) if name == "query_params" else got) == value


def test_client_has_host_and_port() -> None:
    client = Request(scope(client=("192.0.2.1", 80))).client

    assert client is not None
    assert (client.host, client.port) == ("192.0.2.1", 80)


def test_request_properties_are_parsed_once() -> None:
    request = Request(scope((b"cookie", b"a=1"), query_string=b"a=1"))

    assert request.url is request.url
    assert request.headers is request.headers
    assert request.query_params is request.query_params
    assert request.cookies is request.cookies


@pytest.mark.parametrize(
    ("hosts", "host", "url"),
    [
        ([b"Example.com:8000"], "example.com:8000", "https://example.com:8000/v1/a?q=1"),
        ([], None, "https://192.0.2.1:8000/v1/a?q=1"),
        ([b""], None, "https://192.0.2.1:8000/v1/a?q=1"),
        ([b"a", b"a"], None, "https://192.0.2.1:8000/v1/a?q=1"),
        ([b"a/b"], None, "https://192.0.2.1:8000/v1/a?q=1"),
        ([b"\xff"], None, "https://192.0.2.1:8000/v1/a?q=1"),
    ],
)
def test_url_has_a_valid_host(hosts: list[bytes], host: str | None, url: str) -> None:
    headers = [(b"host", value) for value in hosts]
    request = Request(
        scope(
            *headers,
            scheme="https",
            server=("192.0.2.1", 8000),
            root_path="/v1",
            path="/v1/a",
            query_string=b"q=1",
        )
    )

    assert request.host == host
    assert str(request.url) == url
    assert str(request.base_url) == url.replace("a?q=1", "")


def test_query_of_too_many_fields_is_400() -> None:
    request = Request(scope(query_string=b"&".join([b"a"] * 1001)))
    with pytest.raises(BadRequest, match="max_query_fields"):
        request.query_params  # noqa: B018 - it raises

    request = Request(scope(query_string=b"a&b"), limits=Limits(max_query_fields=1))
    with pytest.raises(BadRequest, match="max_query_fields"):
        request.query_params  # noqa: B018 - it raises


# The header fields.


def test_headers_are_those_of_scope() -> None:
    request = Request(scope((b"via", b"1"), (b"x-a", b"\xff"), (b"via", b"2")))

    assert request.headers["X-A"] == "\xff"
    assert request.headers.getall("Via") == ["1", "2"]
    assert request.headers.raw == request.scope["headers"]


def test_headers_may_be_lists_as_from_json() -> None:
    request = Request({**scope(), "headers": [[b"host", b"a"], [b"cookie", b"a=1"]]})

    assert (request.host, request.cookies, request.headers["host"]) == ("a", {"a": "1"}, "a")


@pytest.mark.parametrize("make", [tuple, iter])
def test_headers_may_be_any_iterable(make: Callable[[Any], Any]) -> None:
    # As the ASGI specification has them: iterables, to be read once perhaps.
    fields = [(b"host", b"a"), (b"cookie", b"a=1"), (b"content-type", b"text/html")]
    request = Request({**scope(), "headers": make(fields)})

    assert request.content_type == "text/html"
    assert request.cookies == {"a": "1"}
    assert request.content_length is None


def test_cookies_come_from_all_their_fields() -> None:
    request = Request(scope((b"cookie", b"a=1; b=2"), (b"cookie", b"a=3; c=4; nameless")))

    assert request.cookies == {"a": "1", "b": "2", "c": "4"}


def test_too_many_cookies_are_431() -> None:
    request = Request(scope((b"cookie", b"; ".join(b"c%d=" % at for at in range(501)))))

    with pytest.raises(HTTPError) as info:
        request.cookies  # noqa: B018 - it raises
    assert info.value.status_code == 431


def test_content_type_is_read() -> None:
    request = Request(scope((b"content-type", b'Text/HTML; charset="UTF-8"')))

    assert request.content_type == 'Text/HTML; charset="UTF-8"'
    assert request.media_type is not None
    assert request.media_type.essence == "text/html"
    assert request.media_type.parameters == {"charset": "UTF-8"}


@pytest.mark.parametrize("headers", [[], [(b"content-type", b"")], [(b"content-type", b"text")]])
def test_malformed_content_type_is_none(headers: list[tuple[bytes, bytes]]) -> None:
    assert Request(scope(*headers)).media_type is None


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ([], None),
        ([b"0"], 0),
        ([b"10"], 10),
        ([b" 10\t"], 10),
        ([b"010"], 10),
        ([b"9" * 19], 10**19 - 1),
    ],
)
def test_content_length_is_read(values: list[bytes], length: int | None) -> None:
    request = Request(scope(*[(b"content-length", value) for value in values]))

    assert request.content_length == length


BAD_LENGTHS = [
    [b""],
    [b"+1"],
    [b"-1"],
    [b"1_0"],
    [b"1.0"],
    [b"0x1"],
    [b"\xb2"],  # a digit in ISO-8859-1, says Python
    [b"1,1"],
    [b"1 1"],
    [b"9" * 20],
    [b"9" * 5000],
    [b"1", b"1"],
    [b"1", b"2"],
    [b"", b"1"],
]


@pytest.mark.parametrize("values", BAD_LENGTHS)
async def test_malformed_content_length_is_400(values: list[bytes]) -> None:
    client = Client(*whole(b"x"))
    headers = [(b"content-length", value) for value in values]
    request = Request(scope(*headers), client.receive)

    with pytest.raises(InvalidHeader, match="Content-Length"):
        request.content_length  # noqa: B018 - it raises
    for use in (request.body, request.text, request.json):
        with pytest.raises(InvalidHeader, match="Content-Length"):
            await use()
    assert client.calls == 0


@pytest.mark.parametrize("values", [[b"5"], [b"x"], [b"1", b"2"], [b"99999999999"]])
async def test_transfer_encoding_overrides_content_length(values: list[bytes]) -> None:
    headers = [(b"content-length", value) for value in values]
    headers.append((b"transfer-encoding", b"chunked"))
    request = Request(scope(*headers), Client(*whole(b"abc")).receive)

    assert request.content_length is None
    assert await request.body() == b"abc"


@pytest.mark.parametrize(
    ("method", "field", "etag", "status"),
    [
        ("GET", (b"if-none-match", b'"1"'), "1", 304),
        ("PUT", (b"if-none-match", b'"1"'), "1", 412),
        ("PUT", (b"if-match", b'"1"'), "2", 412),
        ("PUT", (b"if-match", b'"1"'), None, 412),  # there is nothing yet
        ("PUT", (b"if-none-match", b"*"), None, None),
        ("GET", (b"accept", b"*/*"), "1", None),
    ],
)
def test_preconditions_are_those_of_headers(
    method: str, field: tuple[bytes, bytes], etag: str | None, status: int | None
) -> None:
    assert Request(scope(field, method=method)).check_preconditions(etag=etag) == status


def test_without_headers_there_is_no_precondition() -> None:
    assert Request({"type": "http", "path": "/"}).check_preconditions(etag="1") is None


# Any scope at all.

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70_000)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.lists(st.integers(0, 70_000) | st.text(max_size=5), max_size=3)
)
ADDRESSES = (
    ANYTHING
    | st.tuples(st.text(max_size=9), st.integers(-1, 70_000) | st.text(max_size=5) | st.none())
    | st.tuples(st.sampled_from(["::1", "127.0.0.1", "/run/a.sock", ""]), st.just("80")).map(list)
)
NAMES = (
    st.sampled_from([b"host", b"Host", b"cookie", b"content-length", b"content-type",
                     b"transfer-encoding", b"x-forwarded-for"])
    | st.binary(max_size=5)
)  # fmt: skip
VALUES = (
    st.binary(max_size=12)
    | st.sampled_from([b"", b"example.com", b"a@b", b"a/b", b"[::1]:80", b"[", b"1", b"text/html;a",
                       b'a="\\', b"a=1; a=2;b", b"=", b"\x00\r\n"])
)  # fmt: skip
FIELDS = st.lists(st.tuples(NAMES, VALUES) | st.tuples(NAMES, VALUES).map(list), max_size=6)
PATHS = (
    st.text(max_size=8)
    | st.text(st.characters(), max_size=8)
    | st.text(max_size=8).map(lambda text: "/" + text)
    | st.sampled_from(["", "*", "/", "//", "//evil", "http://evil/", "@evil", "/%2F", "/.."])
    | st.just("\ud800")
)  # fmt: skip
SCOPES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.just("http"),
        "method": st.sampled_from(["GET", "OPTIONS", "\xff"]),
        "path": PATHS,
        "headers": FIELDS,
    },
    optional={
        "http_version": st.sampled_from(["1.0", "2", ""]),
        "scheme": st.sampled_from(["http", "https", "", "javascript", "a b"]),
        "query_string": st.binary(max_size=12) | st.none(),
        "raw_path": st.binary(max_size=12) | st.none(),
        "root_path": PATHS | st.none(),
        "client": ADDRESSES,
        "server": ADDRESSES,
        "extensions": ANYTHING | st.dictionaries(st.text(max_size=3), st.just({})),
        "state": st.none() | st.dictionaries(st.text(max_size=3), ANYTHING),
        "path_params": st.none() | st.dictionaries(st.text(max_size=3), ANYTHING),
    },
)

NEVER = ["url", "base_url", "route_path", "host", "client", "server", "path", "raw_path",
         "root_path", "headers", "method", "scheme", "http_version", "content_type", "media_type",
         "extensions", "state", "path_params"]  # fmt: skip
PROPERTIES = [
    name
    for base in Request.__mro__
    for name, value in vars(base).items()
    if isinstance(value, property)
]


def test_property_lists_name_existing_properties() -> None:
    assert set(NEVER) <= set(PROPERTIES)
    assert "cookies" in PROPERTIES


@pytest.mark.property
@given(given_=SCOPES)
def test_request_properties_raise_http_errors_only(given_: dict[str, Any]) -> None:
    request = Request(given_)

    for name in NEVER:
        value = getattr(request, name)
        str(value), repr(value)
    for name in PROPERTIES:
        with suppress(HTTPError):
            value = getattr(request, name)
            str(value), repr(value)
    assert repr(request)
    assert list(request.headers.items()) == [
        (name.lower().decode("latin-1"), value.decode("latin-1"))
        for name, value in given_["headers"]
    ]


@pytest.mark.property
@pytest.mark.promise
@given(path=st.text(max_size=12), hosts=st.lists(VALUES, max_size=2), query=st.binary(max_size=12))
def test_url_is_that_of_scope(path: str, hosts: list[bytes], query: bytes) -> None:
    headers = [(b"host", host) for host in hosts]
    request = Request(
        scope(*headers, path="/" + path, query_string=query, server=("192.0.2.1", 8000))
    )
    hostname = request.url.hostname

    assert unquote(request.url.path) == request.path
    assert request.url.netloc == (request.host or "192.0.2.1:8000")
    assert hostname is not None
    assert (request.host or "192.0.2.1").removeprefix("[").startswith(hostname)


# The state.


def test_state_is_that_of_scope() -> None:
    entries: dict[str, Any] = {"pool": 1}
    request = Request(scope(state=entries))
    request.state.user = "ada"
    request.state["n"] = 2

    assert entries == {"pool": 1, "user": "ada", "n": 2}
    assert (request.state.pool, request.state["user"], request.state.n) == (1, "ada", 2)
    del request.state.n
    del request.state["user"]
    assert entries == {"pool": 1}
    assert request.state == entries


def test_state_is_made_on_demand_and_shared() -> None:
    for given_ in (scope(), scope(state=None)):
        Request(given_).state.user = "ada"

        assert given_["state"] == {"user": "ada"}
        assert Request(given_).state.user == "ada"


def test_state_is_mapping() -> None:
    state = State({"a": 1, "b": 2})

    assert isinstance(state, MutableMapping)
    assert dict(state) == {"a": 1, "b": 2}
    assert len(state) == 2
    assert "a" in state
    assert state.get("c") is None
    assert state.pop("b") == 2
    assert repr(state) == "State(['a'])"  # names alone: the values may be anybody's secrets


def test_absent_state_entry_raises_key_or_attribute_error() -> None:
    state = State({})

    with pytest.raises(AttributeError, match="the state has no 'user'"):
        state.user  # noqa: B018 - it raises
    with pytest.raises(AttributeError, match="the state has no 'user'"):
        del state.user
    with pytest.raises(KeyError):
        state["user"]
    with pytest.raises(KeyError):
        del state["user"]
    assert not hasattr(state, "__deepcopy__")


def test_state_without_arguments_is_empty() -> None:
    first, second = State(), State()
    first.user = "ada"

    assert (dict(first), dict(second)) == ({"user": "ada"}, {})


def test_state_is_copied_and_pickled() -> None:
    state = State({"a": [1]})

    for copied in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert type(copied) is State
        assert copied == {"a": [1]}
    assert copy.deepcopy(state)["a"] is not state["a"]


# The body.

USES: list[Callable[[Request], Awaitable[Any]]] = [Request.body, Request.text, Request.json]


async def stream_of(request: Request) -> list[bytes]:
    return [chunk async for chunk in request.stream()]


@pytest.mark.parametrize(
    "use",
    [
        *USES,
        stream_of,
        Request.is_disconnected,
        Request.wait_disconnected,
        lambda request: request.replay(),
    ],
)
async def test_body_without_receive_names_the_fix(use: Callable[[Request], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"Request\(scope, receive\) has a body"):
        await use(Request(scope()))


async def test_body_is_read_as_bytes_text_and_json() -> None:
    request = request_of(b'{"a":', b' "\xc3\xbc"}')

    assert await request.body() == b'{"a": "\xc3\xbc"}'
    assert await request.text() == '{"a": "\xfc"}'
    assert await request.json() == {"a": "\xfc"}
    assert await request.json() is await request.json()
    assert await stream_of(request) == [b'{"a": "\xc3\xbc"}']


async def test_text_that_is_no_utf8_is_400() -> None:
    with pytest.raises(BadRequest, match="not UTF-8, at byte 2"):
        await request_of(
            b"ab\xff", headers=((b"content-type", b"text/plain; charset=latin1"),)
        ).text()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[" * 5000])
async def test_malformed_json_is_400_each_time(body: bytes) -> None:
    request = request_of(body)

    for _ in range(2):
        with pytest.raises(InvalidJSON):
            await request.json()
    assert await request.body() == body


async def test_json_that_is_null_is_read_once() -> None:
    request = request_of(b"null")

    assert await request.json() is None
    assert await request.json() is None


async def test_json_loads_is_used() -> None:
    request = request_of(b"[1.5]")

    assert await request.json(loads=lambda data: json.loads(data, parse_float=str)) == ["1.5"]
    assert await request.json(loads=len) == 5
    assert await request.json() == [1.5]


class StrictError(Exception):
    """The error of a decoder that is no ValueError."""


def strict_loads(data: bytes) -> Any:
    """Raise ``StrictError`` for malformed JSON and for values that are no objects."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise StrictError("malformed") from error
    if not isinstance(value, dict):
        raise StrictError("not my schema")
    return value


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"\xff", b'{"a": 1} x', b"[" * 201])
@pytest.mark.parametrize("loads", [strict_loads, json.loads, msgspec.json.decode])
async def test_json_loads_of_malformed_json_is_400(body: bytes, loads: Any) -> None:
    with pytest.raises(InvalidJSON) as info:
        await request_of(body).json(loads=loads)
    assert info.value.__cause__ is not None


@pytest.mark.parametrize("body", [b"[]", b"\xef\xbb\xbf1", b" null "])
async def test_json_loads_error_of_well_formed_json_propagates(body: bytes) -> None:
    with pytest.raises(StrictError):
        await request_of(body).json(loads=strict_loads)


async def test_json_loads_result_of_malformed_json_is_returned() -> None:
    # A decoder may accept more than JSON.
    assert await request_of(b"[NaN, 1]").json(loads=len) == 8


async def test_json_loads_base_exception_propagates() -> None:
    def loads(_: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await request_of(b"{").json(loads=loads)


# Forms. Their content is tested with their readers.

URLENCODED = (b"content-type", b"application/x-www-form-urlencoded")
MULTIPART = (b"content-type", b"multipart/form-data; boundary=B")
PARTS = (
    b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\ncontent-disposition: form-data; name="f"; filename="f.txt"\r\n\r\nabc\r\n--B--\r\n'
)


@pytest.mark.parametrize(("field", "body"), [(URLENCODED, b"a=1&f=2"), (MULTIPART, PARTS)])
async def test_form_is_read_once_and_closed_with_request(
    field: tuple[bytes, bytes], body: bytes
) -> None:
    request = request_of(body, headers=(field,))

    async with request.form() as form:
        assert form["a"] == "1"
        assert await request.form() is form
    await request.close()


async def test_request_parts_are_read_as_they_arrive() -> None:
    request = request_of(*[bytes([byte]) for byte in PARTS], headers=(MULTIPART,))

    got = [(part.name, await part.read()) async for part in request.parts()]
    assert got == [("a", b"1"), ("f", b"abc")]


@pytest.mark.parametrize(("field", "body"), [(URLENCODED, b"a=1&f=2"), (MULTIPART, PARTS)])
async def test_form_has_limits_of_its_own(field: tuple[bytes, bytes], body: bytes) -> None:
    with pytest.raises(ContentTooLarge, match="max_fields"):
        await request_of(body, headers=(field,)).form(limits=Limits(max_fields=0))
    with pytest.raises(ContentTooLarge, match="max_fields"):
        await request_of(body, headers=(field,), limits=Limits(max_fields=0)).form()


# Its limits.


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("length", [b"4", b" 4", b"004", b"1000000"])
async def test_content_length_over_the_limit_is_413_before_receive(
    use: Callable[[Request], Awaitable[Any]], length: bytes
) -> None:
    client = Client(*whole(b"1234"))
    request = Request(
        scope((b"content-length", length)), client.receive, limits=Limits(max_body_size=3)
    )

    for _ in range(2):
        with pytest.raises(ContentTooLarge) as info:
            await use(request)
        assert (info.value.limit, info.value.maximum) == ("max_body_size", 3)
        assert "max_body_size" in str(info.value)
    assert client.calls == 0


URLENCODED = (b"content-type", b"application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("use", "name"),
    [(Request.body, "max_body_size"), (Request.json, "max_body_size"),
     (lambda request: request.form(), "max_text_size")],
)  # fmt: skip
async def test_body_in_one_message_has_its_limit(
    use: Callable[[Request], Awaitable[Any]], name: str
) -> None:
    limits = Limits(max_body_size=SHORT, max_text_size=SHORT, max_field_size=None)

    def sent(size: int) -> Request:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"1" * size}

        return Request(scope(URLENCODED), receive, limits=limits)

    # A number of so many digits is not read, but it is not too large.
    with suppress(InvalidJSON):
        await use(sent(SHORT))
    over = sent(SHORT + 1)
    for _ in range(2):
        with pytest.raises(ContentTooLarge, match=name):
            await use(over)


class Shouted(Request[Any]):
    """A request that changes the body in its own ``body()``."""

    async def body(self) -> bytes:
        return (await super().body()).upper()


@pytest.mark.parametrize("chunks", [[b'"tea"'], [b'"t', b'ea"']])
async def test_body_method_of_a_subclass_is_used_by_all_readers(chunks: list[bytes]) -> None:
    uses: dict[str, Callable[[Request], Awaitable[Any]]] = {
        "text": Request.text,
        "json": Request.json,
        "loads": lambda request: request.json(loads=json.loads),
    }
    read = {name: await use(Shouted(scope(), Client(*whole(*chunks)).receive))
            for name, use in uses.items()}  # fmt: skip

    assert read == {"text": '"TEA"', "json": "TEA", "loads": "TEA"}


@pytest.mark.parametrize(("limit", "is_over"), [(None, False), (7, False), (6, True)])
async def test_body_method_of_a_subclass_is_used_by_form(limit: int | None, is_over: bool) -> None:
    receive = Client(*whole(b"tea=red")).receive
    request = Shouted(scope(URLENCODED), receive, limits=Limits(max_text_size=limit))

    if is_over:
        with pytest.raises(ContentTooLarge, match="max_text_size"):
            await request.form()
    else:
        assert dict(await request.form()) == {"TEA": "RED"}


async def test_absent_body_is_empty() -> None:
    client = Client({"type": "http.request", "body": None})

    assert await Request(scope(), client.receive).body() == b""


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"2")]])  # and it may be a lie
@pytest.mark.parametrize("use", USES)
async def test_body_over_limit_is_413_as_it_arrives(
    use: Callable[[Request], Awaitable[Any]], headers: list[tuple[bytes, bytes]]
) -> None:
    client = Client(*whole(*[b"12"] * 50))
    request = Request(scope(*headers), client.receive, limits=Limits(max_body_size=3))

    for _ in range(2):
        with pytest.raises(ContentTooLarge) as info:
            await use(request)
        assert (info.value.limit, info.value.maximum) == ("max_body_size", 3)
    assert client.calls == 2  # the limit and one message


@pytest.mark.parametrize("length", [b"3", b"03", b" 3 "])
async def test_body_of_just_limit_is_read(length: bytes) -> None:
    request = request_of(
        b"123", headers=((b"content-length", length),), limits=Limits(max_body_size=3)
    )

    assert await request.body() == b"123"


async def test_body_without_a_limit_is_read() -> None:
    request = request_of(
        b"1234", headers=((b"content-length", b"4"),), limits=Limits(max_body_size=None)
    )

    assert await request.body() == b"1234"


async def test_stream_has_no_limit() -> None:
    request = request_of(
        b"12", b"34", headers=((b"content-length", b"4"),), limits=Limits(max_body_size=3)
    )

    assert await stream_of(request) == [b"12", b"34"]


async def test_body_that_does_not_arrive_is_408() -> None:
    async def read_json(request: Request) -> None:
        await request.json(loads=json.loads)

    for use in (*USES, stream_of, read_json):
        request = Request(scope(), Client().receive, limits=Limits(body_timeout=0.01))
        with pytest.raises(RequestTimeout, match=r"0\.01 seconds"):
            await use(request)


# json(strict=True).


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b'application/json;q="a,b"',
        b"APPLICATION/Json",
        b" application/json\t",
        b"application/ld+json",
        b"application/problem+JSON",
        b"model/gltf+json",  # RFC 6839 registers the suffix for each type
    ],
)
async def test_strict_json_accepts_media_types_of_json(content_type: bytes) -> None:
    request = request_of(b"[1]", headers=((b"content-type", content_type),))

    assert await request.json(strict=True) == [1]
    assert await request.json(loads=len, strict=True) == 3


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        b"",
        b"text/plain",  # a page may send these three without a preflight
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=X",
        b"text/plain; application/json",
        b"text/plain; type=application/json",
        b"text/plain, application/json",
        b"application/json, text/plain",
        b"application/json/text",
        b"application/jsonp",
        b"application/json-seq",  # several texts
        b"application/x-ndjson",
        b"text/json",  # not registered
        b"json",
        b"+json",
        b"application/+jsonx",
        b"application/json;=",
    ],
)
async def test_strict_json_refuses_others_before_reading(content_type: bytes | None) -> None:
    headers = [] if content_type is None else [(b"content-type", content_type)]
    client = Client(*whole(b"[1]"))
    request = Request(scope(*headers), client.receive)

    for use in (request.json(strict=True), request.json(loads=len, strict=True)):
        with pytest.raises(
            UnsupportedMediaType, match="JSON is sent as application/json"
        ) as raised:
            await use
        assert raised.value.headers == {"accept": "application/json"}
    assert client.calls == 0
    assert await request.json() == [1]
    with pytest.raises(UnsupportedMediaType):
        await request.json(strict=True)


async def test_strict_json_with_too_long_content_type_is_431() -> None:
    request = request_of(b"[1]", headers=((b"content-type", b"application/json;a=" + b"b" * 9000),))

    with pytest.raises(HTTPError) as raised:
        await request.json(strict=True)
    assert raised.value.status_code == 431


# Requests over one scope.


async def test_requests_over_one_scope_and_receive_see_one_body() -> None:
    given_, client = scope(), Client(*whole(b"[1,", b"2]"))
    one, other = Request(given_, client.receive), Request(given_, client.receive)

    assert await one.body() == b"[1,2]"
    assert await other.json() == [1, 2]
    assert await Request(given_, client.receive).text() == "[1,2]"
    assert client.calls == 2


async def test_requests_over_one_scope_and_receive_read_at_same_time() -> None:
    given_, client = scope(), Client(*whole(b"ab", b"cd", b"ef"))
    got: list[bytes] = []

    async def one() -> None:
        got.append(await Request(given_, client.receive).body())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)
    assert got == [b"abcdef"] * 3


async def test_each_request_has_limits_of_its_own() -> None:
    given_, client = scope((b"content-length", b"4")), Client(*whole(b"12", b"34"))
    strict = Request(given_, client.receive, limits=Limits(max_body_size=3))

    with pytest.raises(ContentTooLarge):
        await strict.body()
    assert await Request(given_, client.receive).body() == b"1234"
    with pytest.raises(ContentTooLarge):
        await strict.body()


async def test_body_streamed_by_one_request_is_consumed_for_others() -> None:
    given_, client = scope(), Client(*whole(b"ab", b"cd"))
    one, other = Request(given_, client.receive), Request(given_, client.receive)
    await stream_of(one)

    for request in (one, other):
        for use in (*USES, stream_of):
            with pytest.raises(BodyConsumed, match=r"call body\(\) first"):
                await use(request)
        with pytest.raises(BodyConsumed, match=r"call body\(\) first"):
            await request.replay()()


async def test_request_with_another_receive_has_its_own_body() -> None:
    given_, client = scope(), Client(*whole(b"ab", b"cd"))

    async def receive() -> Message:
        message = await client.receive()
        return {**message, "body": message["body"].upper()}

    outer, inner = Request(given_, client.receive), Request(given_, receive)
    assert await inner.body() == b"ABCD"
    assert await Request(given_, receive).body() == b"ABCD"
    await outer.close()


# The client disconnects.


async def test_disconnect_is_raised_by_every_reader() -> None:
    given_ = scope()
    client = Client({"type": "http.request", "body": b"ab", "more_body": True}, LEFT)
    request = Request(given_, client.receive)

    for _ in range(2):
        for use in USES:
            with pytest.raises(ClientDisconnect):
                await use(request)
    assert await request.is_disconnected()
    with anyio.fail_after(BOUND):
        await Request(given_, client.receive).wait_disconnected()
    with pytest.raises(OSError, match="disconnected"):
        await stream_of(request)


async def test_disconnect_polls_lose_no_byte() -> None:
    client = Client(*whole(b"ab", b"cd", b"ef"))
    request = Request(scope(), client.receive)

    assert not await request.is_disconnected()
    async with aclosing(request.stream()) as stream:
        assert await anext(stream) == b"ab"
        for _ in range(5):
            assert not await request.is_disconnected()
        assert [chunk async for chunk in stream] == [b"cd", b"ef"]
    client.messages.append(LEFT)
    # The poll that is in flight waits for ever: this client does not call back.
    await request.close()
    with anyio.fail_after(BOUND):
        await request.wait_disconnected()
    assert await request.is_disconnected()


async def test_stream_left_early_is_closed() -> None:
    request = request_of(b"ab", b"cd")
    async with aclosing(request.stream()) as stream:
        async for _ in stream:
            break
    del request, stream
    gc.collect()  # and trio would warn here
    await anyio.lowlevel.checkpoint()


async def test_interrupted_stream_is_closed_with_the_request() -> None:
    request = request_of(b"ab", b"cd")
    async for _ in request.stream():
        break
    await request.close()
    del request
    gc.collect()  # and trio would warn here
    await anyio.lowlevel.checkpoint()


async def test_closed_request_keeps_its_body() -> None:
    given_, client = scope(), Client(*whole(b"[1]"))
    request = Request(given_, client.receive)
    await request.body()
    await request.close()
    await request.close()

    with anyio.fail_after(BOUND):
        assert await request.body() == b"[1]"
        assert await request.json() == [1]
    assert given_ == scope()
    await Request(scope()).close()


# The next app.


async def starlette_app(scope: Scope, receive: Receive, send: Send) -> None:
    request = StarletteRequest(scope, receive)
    await StarletteResponse(await request.body())(scope, receive, send)


@pytest.mark.parametrize("read", [True, False])
async def test_starlette_app_behind_reads_the_body(read: bool) -> None:
    seen: list[bytes] = []

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if read:
            seen.append(await request.body())
        await starlette_app(scope, request.replay(), send)
        await request.close()

    answer = await exchange(middleware, "POST", body=[b"ab", b"cd", b"ef"])
    assert answer.body == b"abcdef"
    assert seen == [b"abcdef"] * read


async def test_two_middlewares_see_one_body() -> None:
    seen: list[object] = []

    def middleware(app: Any) -> Any:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(await Request(scope, receive).body())
            await app(scope, receive, send)

        return wrapped

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await Request(scope, receive).json())
        await StarletteResponse(b"ok")(scope, receive, send)

    await exchange(middleware(middleware(app)), "POST", body=[b"[1,", b"2]"])
    assert seen == [b"[1,2]", b"[1,2]", [1, 2]]


def test_scope_may_be_a_read_only_mapping() -> None:
    given_: Any = MappingProxyType(scope(path="/a", state={}))

    assert Request(given_).path == "/a"
    assert Request(given_).state == {}


# --- Last-Event-ID, and early hints --------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ([], None),
        ([b"7"], "7"),
        ([b""], ""),
        (["é\U0001f375".encode()], "é\U0001f375"),  # in UTF-8, unlike other fields
        ([b"\xff"], None),
        ([b"7", b"8"], None),  # ambiguous
    ],
)
def test_last_event_id_is_text_or_none(values: list[bytes], last: str | None) -> None:
    headers = [(b"last-event-id", value) for value in values]

    assert Request(scope(headers=headers)).last_event_id == last


HINTS: dict[str, Any] = {"extensions": {"http.response.early_hint": {}}}
LINK = "</a.css>; rel=preload; as=style"


async def test_early_hints_are_sent_if_the_server_supports_them() -> None:
    outcomes: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        outcomes.append(await request.send_early_hints(LINK, b"</b.js>; rel=preload"))
        outcomes.append(await request.send_early_hints())
        await StarletteResponse(b"ok")(scope, receive, send)

    answer = await exchange(app, scope=HINTS)
    assert answer.messages[0] == {
        "type": "http.response.early_hint",
        "links": [LINK.encode(), b"</b.js>; rel=preload"],
    }
    assert (answer.status_code, answer.body) == (200, b"ok")

    silent = await exchange(app)
    assert silent.messages[0]["type"] == "http.response.start"
    assert outcomes == [True, False, False, False]


async def test_early_hints_without_send_name_the_fix() -> None:
    assert not await Request(scope()).send_early_hints(LINK)
    with pytest.raises(RuntimeError, match="scope, receive, send"):
        await Request(scope(**HINTS)).send_early_hints(LINK)


@pytest.mark.parametrize("link", ["</a>\r\nx-a: 1", b"</a>\0"])
async def test_malformed_early_hint_is_refused_on_every_server(link: str | bytes) -> None:
    with pytest.raises(ValueError, match="control character"):
        await Request(scope()).send_early_hints(link)


async def test_early_hints_after_a_disconnect_are_not_sent() -> None:
    async def send(message: Message) -> None:
        raise OSError("the client left")

    assert not await Request(scope(**HINTS), None, send).send_early_hints(LINK)
