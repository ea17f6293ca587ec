"""Responses with a whole body: their headers, their length, and repeated sending."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import logging
import pickle
import re
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes

import anyio
import httpx
import msgspec
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict
from starlette.background import BackgroundTask, BackgroundTasks

from asgikit import (
    ContentLengthMismatch,
    EventSourceResponse,
    HTMLResponse,
    HTTPError,
    JSONResponse,
    MutableHeaders,
    NDJSONResponse,
    PlainTextResponse,
    ProblemResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
)
from asgikit.testing import exchange, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

Make = Any  # a response class, or a function with the keywords of one


class Chunks:
    """An async iterable that can be iterated more than once."""

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield b"a"
        yield b"bc"


# Each way to make a response, and the body it has then.
MAKERS: dict[str, tuple[Make, bytes]] = {
    "Response": (functools.partial(Response, b"abc"), b"abc"),
    "PlainTextResponse": (functools.partial(PlainTextResponse, "ä"), b"\xc3\xa4"),
    "HTMLResponse": (functools.partial(HTMLResponse, "<p>"), b"<p>"),
    "JSONResponse": (functools.partial(JSONResponse, [1]), b"[1]"),
    "RedirectResponse": (functools.partial(RedirectResponse, "/a"), b""),
    "ProblemResponse": (
        lambda status_code=400, **options: ProblemResponse(status_code, **options),
        b'{"type":"about:blank","status":400}',
    ),
    "StreamingResponse": (lambda **options: StreamingResponse(Chunks(), **options), b"abc"),
}
every_class = pytest.mark.parametrize(("make", "body"), MAKERS.values(), ids=MAKERS)


async def converse(app: Callable[..., Any], **options: Any) -> tuple[list[Message], Any]:
    """Return the messages that ``app`` tried to send, and the error that it raised."""
    tried: list[Message] = []

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        async def record(message: Message) -> None:
            tried.append(message)
            await send(message)

        await app(scope, receive, record)

    try:
        await exchange(recorded, **options)
    except Exception as error:  # noqa: BLE001 - given back, to be looked at
        return tried, error
    return tried, None


def state_of(response: Response) -> Any:
    """Return all attributes of a response."""
    state: Any = object.__getstate__(response)
    state = {**(state[0] or {}), **state[1]}
    state["_raw"] = copy.copy(state.get("_raw"))
    state["_headers"] = None if state["_headers"] is None else list(state["_headers"].raw)
    return state


# --- body and headers -----------------------------------------------------------------


TEXT_PLAIN = (b"content-type", b"text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("response", "body", "raw"),
    [
        (Response(), b"", [(b"content-length", b"0")]),
        (Response("ä"), b"\xc3\xa4", [(b"content-length", b"2")]),
        (Response(bytearray(b"a")), b"a", [(b"content-length", b"1")]),
        (Response(memoryview(b"abcd")[1:3]), b"bc", [(b"content-length", b"2")]),
        (PlainTextResponse("a"), b"a", [TEXT_PLAIN, (b"content-length", b"1")]),
        (
            HTMLResponse(b"<p>"),
            b"<p>",
            [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"3")],
        ),
        # JSON is UTF-8, and its media type has no charset (RFC 8259, section 11).
        (
            JSONResponse("ä"),
            b'"\xc3\xa4"',
            [(b"content-type", b"application/json"), (b"content-length", b"4")],
        ),
        # Only text has a charset, and only one.
        (
            Response(b"a", media_type="image/png"),
            b"a",
            [(b"content-type", b"image/png"), (b"content-length", b"1")],
        ),
        (
            Response("a", media_type="text/csv; Charset=latin-1"),
            b"a",
            [(b"content-type", b"text/csv; Charset=latin-1"), (b"content-length", b"1")],
        ),
        # Content-Type among the headers wins over both others.
        (
            PlainTextResponse("a", headers={"Content-Type": "text/x"}, media_type="text/y"),
            b"a",
            [(b"content-type", b"text/x"), (b"content-length", b"1")],
        ),
        # Pairs may repeat a name, and be bytes.
        (
            Response(headers=[("Link", "<a>"), (b"link", b"<b>")]),
            b"",
            [(b"link", b"<a>"), (b"link", b"<b>"), (b"content-length", b"0")],
        ),
        (
            Response(headers=CIMultiDict([("a", "1"), ("A", "2")])),
            b"",
            [(b"a", b"1"), (b"a", b"2"), (b"content-length", b"0")],
        ),
        (
            Response(headers=MutableHeaders([("a", "1"), ("a", "2")])),
            b"",
            [(b"a", b"1"), (b"a", b"2"), (b"content-length", b"0")],
        ),
        # A length of four digits.
        (Response(b"x" * 1024), b"x" * 1024, [(b"content-length", b"1024")]),
    ],
)
async def test_response_has_body_and_headers(
    response: Response, body: bytes, raw: list[tuple[bytes, bytes]]
) -> None:
    answer = await exchange(response)

    assert (response.body, answer.body) == (body, body)
    assert answer.headers.raw == raw
    assert response.raw_headers == raw
    assert response.headers.raw == raw


async def test_arguments_have_the_positions_of_starlette() -> None:
    done: list[str] = []

    response = Response("a", 201, {"x-a": "1"}, "text/plain", lambda: done.append("background"))
    answer = await exchange(response)

    assert (answer.status_code, answer.headers["x-a"], done) == (201, "1", ["background"])
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert repr(response) == "<Response 201>"


async def test_subclass_sets_charset_and_media_type() -> None:
    class Latin(PlainTextResponse):
        charset = "latin-1"

    class Plain(PlainTextResponse):
        media_type = None

    class Upper(Response):
        media_type = "text/x-upper"

        def render(self, content: str) -> bytes:
            return content.upper().encode()

    latin, plain, upper = Latin("ä"), Plain("ä"), Upper("a")

    assert (latin.body, latin.headers["content-type"]) == (b"\xe4", "text/plain; charset=latin-1")
    assert "content-type" not in (await exchange(plain)).headers
    assert (upper.body, upper.headers["content-type"]) == (b"A", "text/x-upper; charset=utf-8")
    assert (await exchange(upper)).body == b"A"


def test_subclass_with_invalid_media_type_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        type("Split", (Response,), {"media_type": "a/b\r\nx: y"})


@pytest.mark.parametrize("content", [{"a": 1}, ["a"], 1, 1.5, object(), Response()])
@pytest.mark.parametrize("make", [Response, PlainTextResponse, HTMLResponse])
def test_content_of_a_wrong_type_names_the_fix(make: Make, content: object) -> None:
    with pytest.raises(TypeError, match=rf"{make.__name__} holds str or bytes, not .*JSONResponse"):
        make(content)


def test_text_with_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        Response("\ud800")


class Hex(bytes):
    """A subclass of bytes, as `HexBytes` and `numpy.bytes_` are."""

    def __bytes__(self) -> bytes:
        return b"other"

    def __len__(self) -> int:
        return 99


class Rendered(Response):
    def render(self, content: Any) -> bytes:
        return Hex(content)


@pytest.mark.parametrize(
    "response",
    [
        Response(Hex(b"tea")),
        Rendered(b"tea"),
        JSONResponse(None, dumps=lambda content: Hex(b"tea")),
    ],
    ids=["content", "render", "dumps"],
)
async def test_body_of_a_bytes_subclass_is_sent_as_bytes(response: Response) -> None:
    response = copy.copy(response)  # the parameters are shared by both event loops
    assert type(response.body) is bytes
    assert (await exchange(response)).body == b"tea"
    response.body = Hex(b"pot")
    assert type(response.body) is bytes
    assert (await exchange(response)).body == b"pot"


CHARSETS = [
    ("text/plain; charset=iso-8859-1", b"\xe9"),
    ("text/plain;charset=LATIN1", b"\xe9"),
    ('text/plain; charset="utf-16-be"', b"\x00\xe9"),
    ("text/plain; charset=utf-8", b"\xc3\xa9"),
    ("text/plain; charset=UTF-8", b"\xc3\xa9"),
    ("application/xml; charset=iso-8859-1", b"\xe9"),
    ("text/plain", b"\xc3\xa9"),
    ("text/plain; charset=", b"\xc3\xa9"),
]


@pytest.mark.parametrize(("media_type", "body"), CHARSETS)
async def test_text_is_encoded_by_the_announced_charset(media_type: str, body: bytes) -> None:
    for response in (
        PlainTextResponse("\xe9", media_type=media_type),
        Response("\xe9", headers={"Content-Type": media_type}),
    ):
        answer = await exchange(response)
        assert answer.body == body
        assert answer.headers.getall("content-length") == [str(len(body))]
        assert answer.headers["content-type"].lower().startswith(media_type.lower())
    answer = await exchange(StreamingResponse(["\xe9", b"\xff"], media_type=media_type))
    assert answer.body == body + b"\xff"
    # Bytes are the application's own.
    assert Response(b"\xff", media_type=media_type).body == b"\xff"


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(JSONResponse, {}),
        functools.partial(NDJSONResponse, [{}]),
        functools.partial(EventSourceResponse, ["a"]),
    ],
)
def test_format_in_utf8_refuses_another_charset(make: Make) -> None:
    with pytest.raises(ValueError, match="content is UTF-8"):
        make(headers={"content-type": "text/plain; charset=iso-8859-1"})


@pytest.mark.parametrize("charset", ["us-ascii", "iso-8859-2", "no-such-charset", "rot13"])
def test_text_that_the_charset_cannot_hold_is_refused(charset: str) -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        Response("\u20ac", media_type=f"text/plain; charset={charset}")


def test_json_of_another_charset_is_refused() -> None:
    with pytest.raises(ValueError, match="announces 'latin-1'"):
        JSONResponse({}, media_type="application/json; charset=latin-1")
    with pytest.raises(ValueError, match="announces 'utf-16'"):
        JSONResponse({}, headers={"content-type": "application/json; charset=utf-16"})
    for charset in ("utf-8", "UTF-8", "utf8"):
        response = JSONResponse({}, media_type=f"application/json; charset={charset}")
        assert response.body == b"{}"


PERCENTS = [
    ("/100%", "/100%25"),
    ("/a%20b", "/a%20b"),
    ("/%zz%41", "/%25zz%41"),
    ("/%", "/%25"),
    ("/%4", "/%254"),
    ("/%%41", "/%25%41"),
    ("/?q=5%&r=%c3%a9", "/?q=5%25&r=%c3%a9"),
    ("/%\u0661\u0661", "/%25%D9%A1%D9%A1"),  # digits of another script
]


@pytest.mark.parametrize(("url", "location"), PERCENTS)
def test_percent_that_starts_no_encoding_is_encoded(url: str, location: str) -> None:
    assert RedirectResponse(url).headers["location"] == location


NO_STATUSES = [
    (-1, ValueError),
    (0, ValueError),
    (20, ValueError),
    (100, ValueError),  # 1xx: not final, the server's own
    (101, ValueError),
    (199, ValueError),
    (600, ValueError),
    (999, ValueError),
    (10**9, ValueError),
    (True, ValueError),
    (200.0, TypeError),
    (404.5, TypeError),
    ("200", TypeError),
    (None, TypeError),
]


@pytest.mark.parametrize(("status_code", "error"), NO_STATUSES, ids=repr)
@pytest.mark.parametrize("name", MAKERS)
def test_status_code_is_refused_where_it_is_set(
    name: str, status_code: Any, error: type[Exception]
) -> None:
    make, _ = MAKERS[name]
    with pytest.raises(error, match=r"status"):
        make(status_code=status_code)

    response = make()
    before = response.status_code
    with pytest.raises(error, match="status code"):
        response.status_code = status_code
    assert response.status_code == before


@pytest.mark.parametrize("status_code", [200, 299, 308, 599, HTTPStatus.CREATED])
@pytest.mark.parametrize("name", [name for name in MAKERS if name != "RedirectResponse"])
async def test_status_code_is_an_int_from_200_to_599(name: str, status_code: int) -> None:
    response = MAKERS[name][0](status_code=status_code)

    assert response.status_code == status_code
    assert (await exchange(response)).status_code == status_code


async def test_content_length_follows_the_body() -> None:
    response = JSONResponse({"a": 1}, headers={"x-a": "1"})
    response.body = b"abc"
    assert (await exchange(response)).body == b"abc"

    response.body = "ä"
    del response.headers["content-length"]
    response.body = response.body + b"!"
    answer = await exchange(response)

    assert answer.body == b"\xc3\xa4!"
    assert answer.headers.getall("content-length") == ["3"]


# --- headers cannot split a message -------------------------------------------------------------


def set_by_background(make: Make, name: Any, value: Any) -> Response:
    response: Response = make(background=lambda: response.headers.add(name, value))
    anyio.run(exchange, response)
    return response


def put_in_by_background(make: Make, name: Any, value: Any) -> Response:
    response: Response = make(background=lambda: response.raw_headers.append((name, value)))
    anyio.run(exchange, response)
    return response


def then(change: Callable[[Response, Any, Any], object]) -> Callable[[Make, Any, Any], Response]:
    def way(make: Make, name: Any, value: Any) -> Response:
        response: Response = make()
        change(response, name, value)
        return response

    return way


def as_raw(response: Response, name: Any, value: Any) -> None:
    response.raw_headers = [*response.raw_headers, (name, value)]


def as_item(response: Response, name: Any, value: Any) -> None:
    response.headers[name] = value


WAYS: dict[str, Callable[[Make, Any, Any], Response]] = {
    "a mapping": lambda make, name, value: make(headers={name: value}),
    "pairs": lambda make, name, value: make(headers=[(name, value)]),
    "an iterator": lambda make, name, value: make(headers=iter([(name, value)])),
    "item": then(as_item),
    "add": then(lambda response, name, value: response.headers.add(name, value)),
    "append": then(lambda response, name, value: response.headers.append(name, value)),
    "update": then(lambda response, name, value: response.headers.update({name: value})),
    "extend": then(lambda response, name, value: response.headers.extend([(name, value)])),
    "setdefault": then(lambda response, name, value: response.headers.setdefault(name, value)),
    "merge": then(lambda response, name, value: response.headers.merge({name: value})),
    "vary": then(lambda response, name, value: response.add_vary(name, value)),
    "raw headers assigned": then(as_raw),
    "raw headers appended": then(lambda response, *pair: response.raw_headers.append(pair)),
    "raw headers inserted": then(lambda response, *pair: response.raw_headers.insert(0, pair)),
    "a cookie's name": then(lambda response, name, value: response.set_cookie(name, value)),
    "a cookie's path": then(lambda response, name, value: response.set_cookie("a", path=value)),
    "a cookie's domain": then(lambda response, name, value: response.set_cookie("a", domain=value)),
    "a cookie's expiry": then(lambda response, _, value: response.set_cookie("a", expires=value)),
    "a cookie's same-site": then(
        lambda response, name, value: response.set_cookie("a", samesite=value)
    ),
    "a cookie deleted": then(
        lambda response, name, value: response.delete_cookie(name, domain=value)
    ),
    "background": set_by_background,
    "background, in place": put_in_by_background,
}
HAS_MEDIA_TYPE = sorted(MAKERS.keys() - {"RedirectResponse", "ProblemResponse"})

NAMES = st.sampled_from(
    ["x-a", "X-A", "content-type", "Content-Length", "set-cookie", "vary", "location", "x a", "x:",
     ":status", "", "x\r\ny", "x\0", "x\xe9", "transfer-encoding"]
) | st.text(max_size=8)  # fmt: skip
VALUES = st.sampled_from(
    ["1", "a\r\nb: c", "a\n", "\r", "a\0b", " a ", "\t", "\x0b", "\x7f", "\x85", "\xa0", "é", "€",
     "\ud800", "a\r\n b", "", "text/html", "/", "/;a", "a.b", ".a", "a; Secure", "Lax", "3", "03"]
) | st.text(st.characters(max_codepoint=255), max_size=12) | st.text(max_size=12)  # fmt: skip
# Neither text nor bytes, or bytes that look like text.
OTHERS = st.sampled_from([None, 1, b"x-a", b"a\r\nb: c", b"\0", "x-a", ("a",), bytearray(b"a")])


def assert_fields_are_sound(message: Message) -> None:
    """Check the headers by the rules of RFC 9110, section 5."""
    for name, value in message["headers"]:
        assert re.fullmatch(rb"[!#$%&'*+.^_`|~0-9a-z-]+", name)
        assert re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]*", value)
        assert value == value.strip(b" \t")


def assert_keeps_within_its_promise(messages: list[Message]) -> None:
    """Check a response that was broken off: no byte too many, and never as if it were whole."""
    for start in messages[:1]:
        assert_fields_are_sound(start)
        (promised,) = (value for name, value in start["headers"] if name == b"content-length")
        assert sum(len(message["body"]) for message in messages[1:]) <= int(promised)
        assert all(message["more_body"] for message in messages[1:])


@pytest.mark.property
@pytest.mark.promise
@given(
    maker=st.sampled_from(sorted(MAKERS)),
    way=st.sampled_from(sorted(WAYS)),
    name=NAMES | OTHERS,
    value=VALUES | OTHERS,
    as_bytes=st.booleans(),
)
def test_each_sent_header_is_valid_or_nothing_is_sent(
    maker: str, way: str, name: Any, value: Any, as_bytes: bool
) -> None:
    if as_bytes and isinstance(name, str) and isinstance(value, str):
        name, value = name.encode("utf-8", "replace"), value.encode("utf-8", "replace")
    logging.disable()  # background tasks that fail are logged
    try:
        response = WAYS[way](MAKERS[maker][0], name, value)
    except (ValueError, TypeError):
        return
    except KeyError:  # setdefault looks its key up, and only text is found
        assert isinstance(name, bytes)
        return
    finally:
        logging.disable(logging.NOTSET)
    # In the second turn background must have changed nothing for the worse.
    response.background = None

    tried, error = anyio.run(converse, response)

    if error is None:
        assert_fields_are_sound(tried[0])
    elif isinstance(error, ContentLengthMismatch):
        # A stream is measured while it is sent: the chunks before the mismatch fit Content-Length.
        assert_keeps_within_its_promise(tried)
    else:
        assert isinstance(error, ValueError | TypeError)
        assert tried == []


@pytest.mark.property
@given(maker=st.sampled_from(HAS_MEDIA_TYPE), value=VALUES | OTHERS)
def test_media_type_with_line_break_is_refused(maker: str, value: Any) -> None:
    try:
        response = MAKERS[maker][0](media_type=value)
    except (ValueError, TypeError, AttributeError):
        return

    tried, error = anyio.run(converse, response)

    assert error is None
    assert_fields_are_sound(tried[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.append((b"x-a", b"a\r\nb: c")),
        lambda raw: raw.insert(0, (b"x a", b"1")),
        lambda raw: raw.append(b"x-a"),
        lambda raw: raw.append((b"x-a", 1)),
        lambda raw: raw.append(None),
    ],
)
@every_class
async def test_header_appended_to_raw_headers_is_checked_when_sent(
    make: Make, body: bytes, change: Callable[[list[Any]], None]
) -> None:
    response = make()
    change(response.raw_headers)

    tried, error = await converse(response)

    assert isinstance(error, ValueError | TypeError)
    assert tried == []


async def test_raw_headers_can_be_assigned() -> None:
    response = Response("a", headers={"x-a": "1"})
    response.raw_headers = [(b"X-B", b"2")]

    assert (await exchange(response)).headers.raw == [(b"x-b", b"2")]
    with pytest.raises(ValueError, match="control character"):
        response.raw_headers = [(b"x-b", b"\n")]
    assert response.raw_headers == [(b"x-b", b"2")]


async def test_add_vary_adds_each_name_once() -> None:
    response = Response(headers={"vary": "Accept"})
    response.add_vary("accept", "Cookie")

    assert (await exchange(response)).headers.getall("vary") == ["Accept, Cookie"]


# --- D2: cookies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "a=; Path=/; SameSite=Lax"),
        ({"value": "b c"}, 'a="b\\040c"; Path=/; SameSite=Lax'),
        ({"max_age": 0}, "a=; Path=/; Max-Age=0; SameSite=Lax"),
        (
            {"expires": datetime(2030, 1, 2, tzinfo=UTC)},
            "a=; Path=/; SameSite=Lax; Expires=Wed, 02 Jan 2030 00:00:00 GMT",
        ),
        (
            {"path": None, "samesite": None, "domain": "e.com", "httponly": True},
            "a=; Domain=e.com; HttpOnly",
        ),
        (
            {"secure": True, "samesite": "none", "partitioned": True},
            "a=; Path=/; Secure; SameSite=None; Partitioned",
        ),
    ],
)
def test_set_cookie_adds_a_header(options: dict[str, Any], field: str) -> None:
    response = Response()
    response.set_cookie("a", **options)

    assert response.headers["set-cookie"] == field


@pytest.mark.parametrize("seconds", [0, 60, -60])
def test_cookie_expires_may_be_seconds_from_now(seconds: int) -> None:
    response = Response()
    before = datetime.now(UTC).timestamp()
    response.set_cookie("a", expires=seconds)
    after = datetime.now(UTC).timestamp()

    text = response.headers["set-cookie"].rpartition("Expires=")[2]
    date = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert before + seconds - 1 <= date.timestamp() <= after + seconds


@pytest.mark.parametrize(
    "options",
    [
        {"key": "__Host-a"},  # the prefix asks for Secure
        {"key": "a", "samesite": "none"},
        {"key": "a", "expires": 10**20},  # no date is that far
        {"key": "a", "expires": float("inf")},
        {"key": "a", "expires": "tomorrow"},
        {"key": "a", "value": "x" * 4096},
        {"key": "a", "value": "a\0b"},
    ],
)
def test_invalid_cookie_is_refused(options: dict[str, Any]) -> None:
    response = Response()

    with pytest.raises(ValueError, match=r"."):
        response.set_cookie(**options)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "/a", "domain": "e.com", "secure": True, "httponly": True, "samesite": "strict"},
        {"secure": True, "samesite": "none", "partitioned": True},
    ],
)
def test_delete_cookie_sends_the_same_attributes(options: dict[str, Any]) -> None:
    made, deleted = Response(), Response()
    made.set_cookie("a", **options)
    deleted.delete_cookie("a", **options)

    attributes = set(deleted.headers["set-cookie"].split("; "))
    assert attributes - set(made.headers["set-cookie"].split("; ")) == {
        "Max-Age=0",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    }


ATTRIBUTES = re.compile(
    r"Path=/[!-:<-~]*|Domain=[\w.-]+|Max-Age=-?\d+|Expires=[\w ,:]+|Secure|HttpOnly"
    r"|SameSite=(?:Lax|Strict|None)|Partitioned",
    re.ASCII,
)


@pytest.mark.property
@pytest.mark.promise
@given(
    key=st.text(max_size=6) | st.sampled_from(["a", "__Host-a", "__Secure-a", "a;b"]),
    value=st.text(max_size=8) | VALUES,
    options=st.fixed_dictionaries(
        {},
        optional={
            "path": st.none() | st.sampled_from(["/", "/a", "a", "/;b"]) | st.text(max_size=6),
            "domain": st.none() | st.sampled_from(["e.com", ".e.com", "e;f"]) | st.text(max_size=6),
            "max_age": st.none() | st.integers(),
            "expires": st.none() | st.integers() | st.datetimes() | st.text(max_size=8),
            "secure": st.booleans(),
            "httponly": st.booleans(),
            "samesite": st.sampled_from(["lax", "Strict", "none", None, "lax; Domain=e.com"]),
            "partitioned": st.booleans(),
        },
    ),
)
def test_cookie_with_any_attributes_reads_back(
    key: str, value: str, options: dict[str, Any]
) -> None:
    response = Response()
    try:
        response.set_cookie(key, value, **options)
    except ValueError:
        assert "set-cookie" not in response.headers
        return
    pair, *attributes = response.headers["set-cookie"].split("; ")

    assert all(ATTRIBUTES.fullmatch(attribute) for attribute in attributes)
    names = [attribute.partition("=")[0].lower().replace("-", "") for attribute in attributes]
    given_options = {"path": "/", "samesite": "lax", **options}
    asked = {name for name, given in given_options.items() if given not in (None, False, "")}
    asked |= {name for name in ("max_age", "expires") if options.get(name) is not None}
    assert sorted(names) == sorted(name.replace("_", "") for name in asked)
    request = Request({"type": "http", "headers": [(b"cookie", pair.encode())]})
    assert request.cookies == {key: value}


# --- D3: redirects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/next?x=1#f", "/next?x=1#f"),
        ("", ""),  # here
        ("http://[::1]:80/~u/@x!$&'()*+,;=:", "http://[::1]:80/~u/@x!$&'()*+,;=:"),
        ("/a%20b", "/a%20b"),  # encoded already
        ("/\\evil.com", "/%5Cevil.com"),  # browsers read a backslash as a slash
        ("/\t/evil.com", "/%09/evil.com"),  # and drop a tab
        ("/a\r\nSet-Cookie: x=1", "/a%0D%0ASet-Cookie:%20x=1"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        (Request({"type": "http", "path": "/é", "headers": [(b"host", b"e.com")]}).url,
         "http://e.com/%C3%A9"),
    ],
)  # fmt: skip
async def test_redirect_url_is_percent_encoded(url: object, location: str) -> None:
    answer = await exchange(RedirectResponse(url, headers={"location": "/other", "x-a": "1"}))

    assert (answer.status_code, answer.body) == (307, b"")
    assert answer.headers.getall("location") == [location]
    assert (answer.headers["x-a"], answer.headers["content-length"]) == ("1", "0")


@pytest.mark.property
@pytest.mark.promise
@given(url=st.text() | st.text(st.sampled_from("/\\\t\r\n\0 :@?#%é€.a1[]")))
def test_location_is_visible_ascii_and_decodes_to_the_url(url: str) -> None:
    try:
        target = url.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="surrogates"):
            RedirectResponse(url)
        return
    tried, error = anyio.run(converse, RedirectResponse(url))
    location = dict(tried[0]["headers"])[b"location"]

    assert error is None
    assert re.fullmatch(rb"[!-~]*", location)
    assert b"\\" not in location
    # Nothing but escapes was added.
    assert unquote_to_bytes(location) == unquote_to_bytes(target)


@pytest.mark.parametrize("url", [None, b"/", bytearray(b"/"), 1, True, 1.5])
def test_redirect_url_of_wrong_type_is_refused(url: object) -> None:
    with pytest.raises(TypeError, match="must be a str"):
        RedirectResponse(url)


@pytest.mark.parametrize("status_code", [200, 299, 304, 400])
def test_redirect_status_out_of_range_is_refused(status_code: int) -> None:
    with pytest.raises(ValueError, match="300 to 399"):
        RedirectResponse("/", status_code)


# --- Content-Length, and responses without content -----------------------


@pytest.mark.parametrize(
    ("headers", "lengths"),
    [
        ({"content-length": "3"}, ["3"]),
        ({"content-length": "03"}, ["03"]),  # 1*DIGIT
        ({"content-length": "2"}, None),
        ({"content-length": "4"}, None),
        ({"content-length": "abc"}, None),
        ({"content-length": "+3"}, None),
        ({"content-length": "3, 3"}, None),
        ({"content-length": ""}, None),
        ({"content-length": "9" * 5000}, None),
        ([("content-length", "3"), ("Content-Length", "3")], None),  # equal or not
    ],
)
async def test_content_length_must_equal_the_body(headers: Any, lengths: list[str] | None) -> None:
    response = Response("abc", headers=headers)

    tried, error = await converse(response)

    if lengths is None:
        assert isinstance(error, ContentLengthMismatch)
        assert tried == []
    else:
        assert (await exchange(response)).headers.getall("content-length") == lengths


async def test_content_length_set_later_must_equal_the_body() -> None:
    response = Response("abc")
    response.headers["content-length"] = "4"
    tried, error = await converse(response)
    assert isinstance(error, ContentLengthMismatch)
    assert tried == []

    response.body = b"abcd"  # as promised
    assert (await exchange(response)).body == b"abcd"

    del response.headers["content-length"]
    answer = await exchange(response)
    assert (answer.body, "content-length" in answer.headers) == (b"abcd", False)

    response.raw_headers.append((b"Content-Length", b"5"))
    tried, error = await converse(response)
    assert isinstance(error, ContentLengthMismatch)
    assert tried == []


@pytest.mark.parametrize("length", ["12345", "03"])
async def test_head_may_have_the_length_of_another_body(length: str) -> None:
    answer = await exchange(Response(headers={"content-length": length}), "HEAD")

    assert (answer.body, answer.headers["content-length"]) == (b"", length)


@every_class
async def test_malformed_content_length_is_refused_for_head(make: Make, body: bytes) -> None:
    for lengths in (["abc"], ["3", "3"], [""], ["-1"]):
        response = make(headers=[("content-length", length) for length in lengths])

        tried, error = await converse(response, method="HEAD")

        assert isinstance(error, ContentLengthMismatch)
        assert tried == []


STATUSES = [200, 201, 204, 205, 206, 301, 304, 399, 404, 500, 599]


def awaited_without_scope(response: Response) -> Callable[..., Any]:
    return lambda scope: response


@pytest.mark.parametrize("touched", [False, True])
@every_class
async def test_status_or_method_without_content_sends_no_body(
    make: Make, body: bytes, touched: bool
) -> None:
    for status_code, how in product(STATUSES, ["GET", "HEAD", "no scope"]):
        response = make()
        response.status_code = status_code
        if touched:
            response.headers["x-a"] = "1"

        if how == "no scope":
            # It is not told of a HEAD, and answers as to a GET.
            answer = await exchange(awaited_without_scope(response), "GET")
        else:
            answer = await exchange(response, how)

        forbidden = status_code in {204, 205, 304}
        assert answer.status_code == status_code
        assert answer.body == (b"" if how == "HEAD" or forbidden else body)
        lengths = answer.headers.getall("content-length", [])
        if status_code == 205:
            assert lengths == ["0"]
        elif forbidden or isinstance(response, StreamingResponse):
            assert lengths == []
        else:
            assert lengths == [str(len(body))]
        assert ("x-a" in answer.headers) is touched


# --- the two calling conventions ----------------------------------------------------------------


@every_class
async def test_response_is_callable_with_and_without_scope(make: Make, body: bytes) -> None:
    for response in (make(), make(headers={"x-a": "1"})):
        with_scope = await exchange(response)
        without = await exchange(awaited_without_scope(response))
        bound = await exchange(lambda scope, it=response: functools.partial(it, scope))
        head = await exchange(lambda scope, it=response: functools.partial(it, scope), "HEAD")

        assert with_scope.body == without.body == bound.body == body
        assert with_scope.headers == without.headers == bound.headers == head.headers
        assert head.body == b""


@pytest.mark.parametrize("count", [0, 1, 4])
@every_class
async def test_call_with_wrong_number_of_arguments_raises(
    make: Make, body: bytes, count: int
) -> None:
    response: Any = make()

    # By the names of the parameters, or by their number.
    with pytest.raises(TypeError, match=r"receive_or_send|from 3 to 4 positional"):
        await response(*[None] * count)


@every_class
async def test_response_answers_lifespan_and_websocket_scopes(make: Make, body: bytes) -> None:
    ran: list[str] = []
    response = make(background=lambda: ran.append("background"))

    async with lifespan(response):
        pass
    assert ran == []
    closed = await exchange(response, scope={"type": "websocket"})
    denied = await exchange(
        response, scope={"type": "websocket", "extensions": {"websocket.http.response": {}}}
    )
    with pytest.raises(RuntimeError, match="'tcp'"):
        await exchange(response, scope={"type": "tcp"})

    assert [message["type"] for message in closed.messages] == ["websocket.close"]
    # The response object is the app; without a scope it answers as to a GET.
    assert (denied.status_code, denied.body) == (response.status_code, body)
    assert denied.headers.raw == response.raw_headers
    assert ran == ["background"] * 2


# --- one object, many responses -----------------------------------------------------------------


async def vandalise(response: Response, method: str = "GET") -> None:
    """Send ``response`` through middleware that changes every message in place."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def change(message: Message) -> None:
            await send(dict(message))
            if "headers" in message:
                message["headers"].append((b"x-secret", b"1"))
                message["headers"].reverse()
            message["body"] = b"another client's"
            message["status"] = 500

        await response(scope, receive, change)

    await exchange(middleware, method)


@pytest.mark.parametrize("status_code", [200, 205, 304])
@every_class
async def test_sending_does_not_change_a_response(
    make: Make, body: bytes, status_code: int
) -> None:
    responses = [make(), make(headers={"x-a": "1"}), make(), make(), make()]
    for response in responses:
        response.status_code = status_code
    responses[2].headers["x-a"] = "1"
    responses[3].raw_headers.append((b"X-A", b"1"))  # not in lower case
    responses[4].set_cookie("a", "1")

    for response in responses:
        before = state_of(response)
        first = await exchange(response)
        for method in ("GET", "HEAD"):
            await vandalise(response, method)
            assert state_of(response) == before
        again = await exchange(response)
        assert again.messages == first.messages


@pytest.mark.parametrize("name", ["JSONResponse", "StreamingResponse"])
async def test_one_response_answers_many_requests_at_once(name: str) -> None:
    make, body = MAKERS[name]
    response = make(headers={"x-a": "1"})
    response.set_cookie("a", "1")
    answers: list[Any] = []

    async def ask(method: str) -> None:
        answers.append((method, await exchange(response, method)))

    async with anyio.create_task_group() as group:
        for number in range(1000):
            group.start_soon(ask, "GET" if number % 2 else "HEAD")

    assert len(answers) == 1000
    for method, answer in answers:
        assert answer.body == (body if method == "GET" else b"")
        assert answer.headers.raw == response.raw_headers


class Sealed(JSONResponse):
    __slots__ = ("extra",)

    def __init__(self, content: Any, **options: Any) -> None:
        super().__init__(content, **options)
        self.extra = "kept"


class Open(PlainTextResponse):
    limit: ClassVar[int] = 1

    def __init__(self, content: str, **options: Any) -> None:
        super().__init__(content, **options)
        self.extra = "kept"
        self.__private = "kept"

    @property
    def private(self) -> str:
        return self.__private


@pytest.mark.parametrize(
    "make", [*(maker for maker, _ in MAKERS.values()), lambda: Sealed([1]), lambda: Open("a")]
)
@pytest.mark.parametrize("touched", ["not", "headers", "cookie"])
async def test_copied_response_has_its_own_headers_and_cookies(make: Make, touched: str) -> None:
    shared = make()
    if touched == "headers":
        shared.headers["x-a"] = "1"
    elif touched == "cookie":
        shared.set_cookie("theme", "dark")
    before = await exchange(shared)

    one, other = copy.copy(shared), copy.copy(shared)
    assert type(one) is type(shared)
    assert (await exchange(one)).messages == before.messages
    one.set_cookie("session", "secret")
    one.headers["x-b"] = "1"
    one.status_code = 404
    other.raw_headers.append((b"x-c", b"1"))

    after = await exchange(one)
    assert after.headers.getall("set-cookie")[-1].startswith("session=secret")
    assert (after.headers["x-b"], after.status_code) == ("1", 404)
    assert (await exchange(other)).headers["x-c"] == "1"
    assert (await exchange(shared)).messages == before.messages


async def test_copied_response_keeps_attributes_of_a_subclass() -> None:
    sealed, opened = Sealed([1]), Open("a")
    copies = copy.copy(sealed), copy.copy(opened), copy.deepcopy(opened)
    for response in copies:
        response.body = b"other"

    assert [response.extra for response in copies] == ["kept"] * 3
    assert (copies[1].private, copies[2].private) == ("kept", "kept")
    assert [(await exchange(response)).body for response in copies] == [b"other"] * 3
    assert (sealed.body, opened.body) == (b"[1]", b"a")


async def test_response_can_be_pickled() -> None:
    response = PlainTextResponse("a", 201, {"x-a": "1"})
    response.headers["x-b"] = "2"

    loaded = pickle.loads(pickle.dumps(response))
    loaded.headers["x-c"] = "3"

    assert (await exchange(loaded)).headers["x-c"] == "3"
    assert "x-c" not in response.headers


SHARED = PlainTextResponse("Hello!")


async def test_cookie_on_a_copied_response_stays_on_the_copy() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = copy.copy(SHARED)
        user = scope["path"].removeprefix("/")
        if user:
            response.set_cookie("user", user)
        await checkpoint()
        await response(scope, receive, send)

    seen: dict[str, list[str]] = {}

    async def ask(user: str) -> None:
        answer = await exchange(app, target="/" + user)
        seen[user] = [field.partition(";")[0] for field in answer.headers.getall("set-cookie", [])]

    async with anyio.create_task_group() as group:
        for user in ("", *(f"user{number}" for number in range(50))):
            group.start_soon(ask, user)

    assert seen.pop("") == []
    assert seen == {user: [f"user={user}"] for user in seen}
    assert "set-cookie" not in SHARED.headers


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "body"),
    [
        (None, {}, b"null"),
        ({"b": 1, "a": [True, None, 1.5]}, {}, b'{"b":1,"a":[true,null,1.5]}'),
        ("é\u2028</script>", {}, '"é\u2028</script>"'.encode()),
        ({1: 2, None: 3, 1.5: 4, False: 5}, {}, b'{"1":2,"null":3,"1.5":4,"false":5}'),
        ([float("nan"), float("inf"), -float("inf")], {}, b"[null,null,null]"),
        (MultiDict([("a", 1), ("a", 2), ("b", 3)]), {}, b'{"a":1,"b":3}'),  # the first value
        (MappingProxyType({"a": OrderedDict(b=1)}), {}, b'{"a":{"b":1}}'),
        (10**4299, {}, b"1" + b"0" * 4299),
        ({"a": {1}}, {"default": list}, b'{"a":[1]}'),
        ({"a": 1j}, {"default": str}, b'{"a":"1j"}'),
        ({"a": 1}, {"dumps": msgspec.json.encode}, b'{"a":1}'),
        ({1}, {"dumps": msgspec.json.Encoder().encode}, b"[1]"),  # msgspec writes sets
        ({"a": 1}, {"dumps": lambda content: repr(content).encode()}, b"{'a': 1}"),
        # With `dumps`, `default` is not used.
        (1, {"dumps": lambda content: b"2", "default": str}, b"2"),
    ],
)
async def test_json_response_writes_json(
    content: Any, options: dict[str, Any], body: bytes
) -> None:
    answer = await exchange(JSONResponse(content, **options))

    assert answer.body == body
    assert answer.headers.raw == [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]


class Indented(JSONResponse):
    media_type = "application/vnd.a+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, indent=1).encode()


async def test_json_subclass_overrides_render() -> None:
    response = Indented([1], 201, {"x-a": "1"})
    response.body = b"[2]"

    answer = await exchange(response)

    assert Indented([1]).body == b"[\n 1\n]"
    assert (answer.body, answer.headers["content-type"]) == (b"[2]", "application/vnd.a+json")


class Wrapped(JSONResponse):
    def render(self, content: Any) -> bytes:
        return super().render({"data": content})


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({}, b'{"data":[1]}'),
        ({"default": list}, b'{"data":[1]}'),
        ({"dumps": msgspec.msgpack.encode}, msgspec.msgpack.encode({"data": [1]})),
    ],
)
async def test_json_subclass_calls_inherited_render(options: dict[str, Any], body: bytes) -> None:
    content = {1} if "default" in options else [1]

    assert (await exchange(Wrapped(content, **options))).body == body


@pytest.mark.parametrize("content", [{1, 2}, object(), {b"a": 1}, [1j]])
def test_json_of_an_unsupported_value_is_refused(content: object) -> None:
    with pytest.raises(TypeError):
        JSONResponse(content)


class Texts(Response):
    def render(self, content: Any) -> Any:
        return json.dumps(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda: JSONResponse({"a": "é"}, dumps=json.dumps),  # type: ignore[arg-type]  # the mistake
        lambda: JSONResponse({"a": "é"}, headers={"x-a": "1"}, dumps=json.dumps),  # type: ignore[arg-type]  # as above
        lambda: Texts({"a": "é"}),
    ],
)
def test_render_that_returns_text_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="bytes"):
        make()


# --- problems -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "document"),
    [
        (ProblemResponse(404), {"type": "about:blank", "status": 404}),
        (
            ProblemResponse(
                403,
                title="No credit",
                detail="It costs 50.",
                type="https://e.com/credit",
                instance="/account/1",
                extensions={"balance": 30, "empty": None},
            ),
            {
                "type": "https://e.com/credit",
                "title": "No credit",
                "status": 403,
                "detail": "It costs 50.",
                "instance": "/account/1",
                "balance": 30,
                "empty": None,
            },
        ),
        (
            ProblemResponse.from_error(HTTPError(429, "Slow down.", extensions={"limit": 5})),
            {
                "type": "about:blank",
                "title": "Too Many Requests",
                "status": 429,
                "detail": "Slow down.",
                "limit": 5,
            },
        ),
    ],
)
async def test_problem_response_is_a_json_document(
    problem: ProblemResponse, document: dict[str, Any]
) -> None:
    answer = await exchange(problem)

    assert answer.status_code == document["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == document


async def test_problem_response_has_the_headers_of_its_error() -> None:
    class Own(ProblemResponse):
        pass

    response = Own.from_error(HTTPError(401, headers=[("www-authenticate", "Basic")]))

    assert isinstance(response, Own)
    assert (await exchange(response)).headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize("name", ["type", "title", "status", "detail", "instance"])
def test_problem_extension_with_a_members_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"must not contain '{name}': use the argument {name}="):
        ProblemResponse(400, extensions={name: "x"})


# --- background ---------------------------------------------------------------------------------


class Call:
    """A background task that notes the thread of each call."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def note(self) -> None:
        self.threads.append(threading.get_ident())

    async def note_later(self) -> None:
        await checkpoint()
        self.note()


class AsyncInstance:
    def __init__(self, call: Call) -> None:
        self.call = call

    async def __call__(self) -> None:
        await self.call.note_later()


def give_later(call: Call) -> Callable[[], Awaitable[None]]:
    def background() -> Awaitable[None]:
        return call.note_later()

    return background


# The kind of background task, and whether it runs on the event loop.
BACKGROUNDS: dict[str, tuple[Callable[[Call], Callable[[], Any]], bool]] = {
    "async method": (lambda call: call.note_later, True),
    "async instance": (AsyncInstance, True),
    "async partial": (lambda call: functools.partial(Call.note_later, call), True),
    "Starlette's task": (lambda call: BackgroundTask(call.note_later), True),
    "Starlette's tasks": (lambda call: BackgroundTasks([BackgroundTask(call.note_later)]), True),
    "sync": (lambda call: call.note, False),
    "sync partial": (lambda call: functools.partial(Call.note, call), False),
    "sync, giving an awaitable": (give_later, True),
}


@pytest.mark.parametrize(("make", "on_loop"), BACKGROUNDS.values(), ids=BACKGROUNDS)
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_background_runs_once_on_loop_or_in_thread(
    make: Callable[[Call], Callable[[], Any]], on_loop: bool, leaves: bool, method: str
) -> None:
    call = Call()
    response = Response("a", background=make(call))

    # From 2.4 on, send raises an OSError after a disconnect.
    await exchange(
        response,
        method,
        scope={"asgi": {"version": "3.0", "spec_version": "2.4"}},
        disconnect_after=0 if leaves else None,
    )

    assert len(call.threads) == 1
    assert (call.threads[0] == threading.get_ident()) is on_loop


@every_class
async def test_background_runs_after_each_send(make: Make, body: bytes) -> None:
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start" or not message.get("more_body"):
                events.append(message["type"])
            await send(message)

        await response(scope, receive, note)

    async def background() -> None:
        events.append("background")

    response = make(background=background)
    for _ in range(2):
        await exchange(app)

    assert events == ["http.response.start", "http.response.body", "background"] * 2


@every_class
async def test_error_of_background_is_logged_and_not_raised(
    make: Make, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise HTTPError(404, "not for the client")

    with caplog.at_level(logging.DEBUG, "asgikit"):
        answer = await exchange(make(background=fail))

    assert answer.body == body
    (record,) = (record for record in caplog.records if record.levelno > logging.DEBUG)
    assert (record.name, record.levelname) == ("asgikit", "ERROR")
    assert record.exc_info is not None


@every_class
async def test_disconnect_is_logged_at_debug_at_most(
    make: Make, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "asgikit"):
        for leaves_after in (None, 0, 1):
            await exchange(
                make(),
                scope={"asgi": {"version": "3.0", "spec_version": "2.4"}},
                disconnect_after=leaves_after,
            )

    assert {record.levelname for record in caplog.records} == {"DEBUG"}


@every_class
async def test_background_does_not_run_in_a_cancelled_scope(make: Make, body: bytes) -> None:
    call = Call()
    response = make(background=call.note)

    async def receive() -> Message:
        await anyio.sleep_forever()
        return {}

    with anyio.CancelScope() as outside:

        async def send(message: Message) -> None:
            outside.cancel()
            await checkpoint()

        await response({"type": "http", "method": "GET"}, receive, send)

    assert outside.cancelled_caught
    assert call.threads == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio has cancel scopes only
async def test_background_does_not_run_in_a_cancelled_asyncio_task() -> None:
    call = Call()
    waiting = asyncio.Event()

    async def send(message: Message) -> None:
        waiting.set()
        await asyncio.sleep(3600)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    task = asyncio.ensure_future(Response(background=call.note)(receive, send))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert call.threads == []


@every_class
async def test_error_of_send_is_raised_unless_it_is_a_disconnect(make: Make, body: bytes) -> None:
    call = Call()
    response: Callable[..., Awaitable[None]] = make(background=call.note)

    async def receive() -> Message:
        await anyio.sleep_forever()
        return {}

    def failing(error: Exception) -> Send:
        async def send(message: Message) -> None:
            raise error

        return send

    for error in (ConnectionResetError(), BrokenPipeError(), OSError()):
        await response(receive, failing(error))
    with pytest.raises(RuntimeError, match="the server's"):
        await response(receive, failing(RuntimeError("the server's own")))

    # The background task runs last in each case.
    assert len(call.threads) == 4


@every_class
async def test_background_runs_after_a_failed_send(make: Make, body: bytes) -> None:
    call = Call()
    response = make(background=call.note)
    response.raw_headers.append((b"x-a", b"\n"))

    tried, error = await converse(response)

    assert isinstance(error, ValueError)
    assert (tried, len(call.threads)) == ([], 1)


def test_json_subclass_extends_the_rendered_bytes() -> None:
    class Enveloped(JSONResponse):
        def render(self, content: Any) -> bytes:
            return super().render({"data": content})

    assert Enveloped([1]).body == b'{"data":[1]}'
    assert Enveloped([1], dumps=lambda value: repr(value).encode()).body == b"{'data': [1]}"


@pytest.mark.anyio
async def test_response_ends_quietly_after_a_disconnect() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise OSError("the client left")

    await Response("x")(receive, send)


@pytest.mark.anyio
async def test_http_error_raised_by_send_is_marked_as_late() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise HTTPError(403)

    with pytest.raises(HTTPError) as raised:
        await Response("x")(receive, send)

    assert raised.value.response_started


def test_httpx_headers_keep_repeated_headers() -> None:
    upstream = httpx.Headers([("set-cookie", "a=1"), ("x-a", "1"), ("set-cookie", "b=2")])

    assert Response(headers=upstream).headers.getall("set-cookie") == ["a=1", "b=2"]
