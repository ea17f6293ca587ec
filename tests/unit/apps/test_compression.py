"""Compressed responses: the choice of the coding, the headers, and the order of the messages."""

from __future__ import annotations

import gzip
import inspect
import pickle
import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_type_hints

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    Compress,
    ContentLengthMismatch,
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
    request_response,
    to_asgi,
)
from asgikit.apps import compression
from asgikit.http import content_coding
from asgikit.http.content_coding import CODINGS, Decoder
from asgikit.testing import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from asgikit.testing import Exchange
    from asgikit.types import ASGIApp, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

TEXT = b"A cup of tea, and another cup of tea. " * 100
NOISE = random.Random(1).randbytes(3000)


def decode(coding: str | None, body: bytes) -> bytes:
    if coding is None:
        return body
    decoder = Decoder(coding)
    decoded = b"".join(decoder.feed(body))
    decoder.finish()
    return decoded


def plain(response: Exchange) -> bytes:
    """Return the body of a response as the app sent it."""
    return decode(response.headers.get("content-encoding"), response.body)


class App:
    """An app that sends the same messages for each request."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        for message in self.messages:
            await send(dict(message))


def start(*fields: tuple[str, str], status: int = 200, **kwargs: Any) -> Message:
    headers = [(name.encode(), value.encode()) for name, value in fields]
    return {"type": "http.response.start", "status": status, "headers": headers, **kwargs}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


HTML = ("content-type", "text/html; charset=utf-8")
LENGTH = ("content-length", str(len(TEXT)))


async def ask(
    *messages: Message, accept: str | None = "gzip", method: str = "GET", **kwargs: Any
) -> Exchange:
    headers = {} if accept is None else {"accept-encoding": accept}
    app = Compress(App(*messages), **kwargs)
    return await exchange(app, method, headers={**headers})


# --- the choice of the coding -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),  # browsers
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate", None),  # clients disagree on its format
        ("br;q=0.9, gzip", "gzip"),
        ("zstd;q=0.5, br;q=0.7, gzip;q=0.6", "br"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("*;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("compress", None),
        ("gzip;q=2", None),  # malformed, hence ignored
        (";;,,gzip", "gzip"),
    ],
)
async def test_coding_is_the_one_that_the_client_prefers(
    accept: str | None, coding: str | None
) -> None:
    response = await ask(start(HTML), body(TEXT), accept=accept)

    assert response.headers.get("content-encoding") == coding
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers.get("content-length") == (str(len(response.body)) if coding else None)
    assert plain(response) == TEXT


async def test_accept_encoding_lines_are_joined() -> None:
    headers = [("accept-encoding", "br;q=0.5"), ("accept-encoding", "gzip")]
    response = await exchange(Compress(App(start(HTML), body(TEXT))), headers=headers)

    assert response.headers["content-encoding"] == "gzip"


async def test_codings_and_levels_arguments_are_used() -> None:
    accept = "gzip, br, zstd, deflate"
    response = await ask(start(HTML), body(TEXT), accept=accept, codings=["deflate", "gzip"])
    assert response.headers["content-encoding"] == "deflate"
    assert plain(response) == TEXT

    fast = await ask(start(HTML), body(TEXT * 9), levels={"gzip": 1})
    best = await ask(start(HTML), body(TEXT * 9), levels={"gzip": 9})
    assert len(best.body) < len(fast.body)
    assert plain(best) == plain(fast) == TEXT * 9


async def test_gzip_is_used_without_optional_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: CODINGS[name] for name in ("gzip", "deflate")}
    monkeypatch.setattr(compression, "CODINGS", few)
    monkeypatch.setattr(content_coding, "CODINGS", few)
    response = await ask(start(HTML), body(TEXT), accept="zstd, br, gzip")

    assert response.headers["content-encoding"] == "gzip"
    with pytest.raises(ValueError, match="not a supported content coding"):
        Compress(App(), codings=["br"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"codings": ["tea"]},
        {"levels": {"tea": 1}},
        {"levels": {"gzip": 99}},
        {"minimum_size": -1},
    ],
)
def test_invalid_argument_raises_value_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tea|levels|minimum_size"):
        Compress(App(), **arguments)


# --- responses that are compressed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "is_compressed"),
    [
        ("text/html", True),
        ("TEXT/HTML ; charset=utf-8", True),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/wasm", True),
        ("application/x-tea", True),
        ("image/svg+xml", True),
        ("image/x-icon", True),
        ("font/ttf", True),
        ("image/png", False),
        ("image/webp", False),
        ("video/mp4", False),
        ("audio/ogg", False),
        ("font/woff2", False),
        ("application/zip", False),
        ("application/gzip", False),
        ("application/pdf", False),
        ("application/octet-stream", False),  # of unknown content
        ("application/epub+zip", False),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("multipart/byteranges; boundary=b", False),
        ("multipart/x-mixed-replace", False),
        ("application/grpc", False),  # compresses its own messages
        ("application/grpc+proto", False),
        ("application/grpc-web-text+proto", False),
        ("text/event-stream", False),  # each idle client would hold an encoder
    ],
)
async def test_media_type_decides_on_compression(content_type: str, is_compressed: bool) -> None:
    response = await ask(start(("content-type", content_type)), body(TEXT))

    assert ("content-encoding" in response.headers) is is_compressed
    assert ("vary" in response.headers) is is_compressed
    assert plain(response) == TEXT


@pytest.mark.parametrize(
    ("fields", "varies"),
    [
        ([HTML, ("content-encoding", "br")], False),
        ([HTML, ("content-encoding", "identity")], False),
        ([HTML, ("cache-control", "max-age=60, No-Transform")], False),
        ([HTML, ("cache-control", "public"), ("cache-control", "no-transform")], False),
        ([HTML, ("content-digest", "sha-256=:AA==:")], False),
        ([HTML, ("repr-digest", "sha-256=:AA==:")], False),
        ([HTML, ("content-range", "bytes 0-3799/9999")], True),
    ],
)
async def test_response_bound_to_its_bytes_is_sent_unchanged(
    fields: list[tuple[str, str]], varies: bool
) -> None:
    for accept in ("gzip", None):
        response = await ask(start(*fields), body(TEXT), accept=accept)
        assert response.headers.get("content-encoding") == dict(fields).get("content-encoding")
        assert response.body == TEXT
        assert ("vary" in response.headers) is varies


@pytest.mark.parametrize("fields", [[], [("content-length", str(len(TEXT)))]])
async def test_response_without_content_type_is_compressed(fields: list[tuple[str, str]]) -> None:
    response = await ask(start(*fields), body(TEXT))

    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["vary"] == "Accept-Encoding"
    assert plain(response) == TEXT


@pytest.mark.parametrize("status", [204, 205, 307])
async def test_response_without_content_has_no_vary(status: int) -> None:
    fields = [] if status == 204 else [("content-length", "0")]
    response = await ask(start(*fields, status=status), body())

    assert "vary" not in response.headers


async def test_header_names_in_upper_case_are_recognised() -> None:
    # The ASGI specification demands lower case, but not every app obeys.
    seen: list[Message] = []

    async def send(message: Message) -> None:
        seen.append(message)

    app = Compress(App(start(("Content-Type", "text/html"), ("Content-Encoding", "x")), body(TEXT)))
    await app({"type": "http", "method": "GET", "headers": []}, None, send)

    assert seen[1]["body"] == TEXT


@pytest.mark.parametrize(
    ("size", "fields", "is_compressed"),
    [
        (499, [], False),
        (500, [], True),
        (499, [("content-length", "499")], False),
        (500, [("content-length", "500")], True),
        (0, [], False),
    ],
)
async def test_body_below_500_bytes_is_sent_unchanged(
    size: int, fields: list[tuple[str, str]], is_compressed: bool
) -> None:
    response = await ask(start(HTML, *fields), body(b"a" * size))

    assert ("content-encoding" in response.headers) is is_compressed
    assert response.headers["vary"] == "Accept-Encoding"
    assert plain(response) == b"a" * size


async def test_minimum_size_argument_is_used() -> None:
    response = await ask(start(HTML), body(b"a" * 50), minimum_size=50)

    assert response.headers["content-encoding"] == "gzip"


async def test_body_that_would_get_larger_is_sent_unchanged() -> None:
    response = await ask(
        start(HTML, ("content-length", "3000"), ("etag", '"1"'), ("accept-ranges", "bytes")),
        body(NOISE),
    )

    assert response.body == NOISE
    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == "3000"
    assert response.headers["etag"] == '"1"'
    assert response.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("status", [200, 201, 404, 500])
async def test_response_of_any_status_with_content_is_compressed(status: int) -> None:
    response = await ask(start(HTML, status=status), body(TEXT))

    assert (response.status_code, plain(response)) == (status, TEXT)
    assert response.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("status", [204, 205, 206, 304])
async def test_partial_or_empty_response_is_sent_unchanged(status: int) -> None:
    content = TEXT if status == 206 else b""
    response = await ask(start(HTML, ("etag", '"1"'), status=status), body(content))

    assert "content-encoding" not in response.headers
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers["etag"] == '"1"'
    assert response.body == content


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        ([], ["Accept-Encoding"]),
        (["cookie"], ["cookie, Accept-Encoding"]),
        (["cookie", "origin"], ["cookie, origin, Accept-Encoding"]),
        (["Cookie, Accept-Encoding"], ["Cookie, Accept-Encoding"]),
        (["cookie", "accept-encoding"], ["cookie", "accept-encoding"]),
        (["*"], ["*"]),
        ([""], ["Accept-Encoding"]),
    ],
)
async def test_vary_is_merged_for_every_client(vary: list[str], merged: list[str]) -> None:
    message = start(HTML, *(("vary", value) for value in vary))
    for accept in ("gzip", "identity", None):
        response = await ask(message, body(TEXT), accept=accept)
        assert response.headers.getall("vary") == merged


@pytest.mark.parametrize(
    ("etag", "weak"),
    [('"1"', 'W/"1"'), ('W/"1"', 'W/"1"'), ("1", "1")],  # malformed
)
async def test_entity_tag_of_compressed_response_is_weak(etag: str, weak: str) -> None:
    message = start(HTML, ("etag", etag), ("accept-ranges", "bytes"), LENGTH)

    assert (await ask(message, body(TEXT))).headers["etag"] == weak
    assert "accept-ranges" not in (await ask(message, body(TEXT))).headers
    assert (await ask(message, body(TEXT), accept=None)).headers["etag"] == etag


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ('W/"1"', 'W/"1"'),
        ('"0", W/"1"', 'W/"1"'),
        ('"1"', '"1"'),  # of an uncompressed response
        ('"1", W/"1"', '"1"'),
        ("*", '"1"'),
        (None, '"1"'),
    ],
)
async def test_304_has_the_entity_tag_of_the_cached_response(
    asked: str | None, answered: str
) -> None:
    app = Compress(App(start(("etag", '"1"'), status=304), body()))
    headers = {"if-none-match": asked} if asked else {}
    response = await exchange(app, headers=headers)

    assert response.headers["etag"] == answered
    assert response.headers["vary"] == "Accept-Encoding"


async def test_304_without_entity_tag_is_sent_unchanged() -> None:
    app = Compress(App(start(status=304), body()))
    response = await exchange(app, headers={"if-none-match": 'W/"1"'})

    assert response.status_code == 304


async def test_weak_entity_tag_revalidates_and_allows_no_range(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(TEXT)

    @Compress
    @request_response
    async def app(request: Any) -> Response:
        return FileResponse(path, content_disposition_type="inline")

    headers = {"accept-encoding": "gzip"}
    first = await exchange(app, headers=headers)
    assert first.headers["etag"].startswith('W/"')
    assert plain(first) == TEXT

    again = await exchange(app, headers={**headers, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]

    # A range of the uncompressed file must not be joined to the compressed one.
    part = {**headers, "range": "bytes=0-3", "if-range": first.headers["etag"]}
    assert (await exchange(app, headers=part)).status_code == 200
    del part["if-range"]
    assert (await exchange(app, headers=part)).body == TEXT[:4]


@pytest.mark.parametrize(
    "content_headers",
    [[], [LENGTH], [("content-length", "600")]],
)
@pytest.mark.parametrize("data", [TEXT, NOISE, b"short"])
async def test_head_announces_nothing_that_differs_from_get(
    content_headers: list[tuple[str, str]], data: bytes
) -> None:
    headers = [HTML, ("etag", '"1"'), ("accept-ranges", "bytes"), ("x-a", "b")]
    if content_headers:
        content_headers = [("content-length", str(len(data)))]
    head = await ask(start(*headers, *content_headers), body(), method="HEAD")
    get = await ask(start(*headers, *content_headers), body(data))

    assert head.body == b""
    assert head.headers["vary"] == "Accept-Encoding"
    assert head.headers["x-a"] == "b"
    for name, value in head.headers.items():
        assert get.headers[name] == value
    if "content-encoding" in get.headers:
        assert "content-encoding" not in head.headers


async def test_head_of_short_content_has_every_header_of_get() -> None:
    message = start(HTML, ("etag", '"1"'), ("content-length", "10"))
    head = await ask(message, body(), method="HEAD")
    get = await ask(message, body(b"0123456789"))

    assert list(head.headers.items()) == list(get.headers.items())


# --- messages -----------------------------------------------------------------------------------


def kinds(response: Exchange) -> list[str]:
    return [message["type"].removeprefix("http.response.") for message in response.messages]


async def test_stream_chunk_is_decodable_in_each_coding() -> None:
    chunks = [b"one", b"", TEXT, b"three"]
    for coding in CODINGS:
        response = await ask(
            start(HTML, ("content-length", str(sum(map(len, chunks))))),
            *(body(chunk, more=True) for chunk in chunks),
            body(),
            accept=coding,
            codings=[coding],
        )
        decoder = Decoder(coding)
        decoded = [
            b"".join(decoder.feed(message.get("body", b""))) for message in response.messages[1:]
        ]

        assert decoded == [*chunks, b""]
        decoder.finish()
        assert "content-length" not in response.headers


async def test_last_message_of_stream_with_content_is_compressed() -> None:
    response = await ask(start(HTML), body(TEXT, more=True), body(TEXT))

    assert plain(response) == TEXT * 2
    assert kinds(response) == ["start", "body", "body"]


async def test_optional_message_keys_may_be_absent() -> None:
    message: Message = {"type": "http.response.body"}
    assert (await ask(start(HTML), message)).body == b""
    assert plain(await ask(start(HTML), body(TEXT, more=True), message)) == TEXT
    assert plain(await ask({"type": "http.response.start", "status": 200}, body(TEXT))) == TEXT


@pytest.mark.property
@given(
    chunks=st.lists(st.binary(max_size=1000), min_size=1, max_size=6),
    coding=st.sampled_from(["br", "gzip", "zstd", "identity"]),
    size=st.booleans(),
)
def test_any_response_decodes_to_the_original(chunks: list[bytes], coding: str, size: bool) -> None:
    fields = [HTML, *([("content-length", str(sum(map(len, chunks))))] if size else [])]
    messages = [body(chunk, more=True) for chunk in chunks]
    messages[-1]["more_body"] = False
    response = anyio.run(lambda: ask(start(*fields), *messages, accept=coding))

    assert plain(response) == b"".join(chunks)


async def test_event_stream_is_sent_unchanged() -> None:
    message = start(("content-type", "text/event-stream; charset=utf-8"))
    event = b"data: %b\n\n" % TEXT
    response = await ask(message, body(event, more=True), body())

    assert "content-encoding" not in response.headers
    assert "vary" not in response.headers
    assert [message.get("body") for message in response.messages] == [None, event, b""]


async def test_chunk_of_a_stream_is_decodable_before_the_next_one() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(("content-type", "application/x-ndjson")))
        for number in range(3):
            await send(body(b"%d\n" % number, more=True))
            assert b"".join(decoder.feed(sent[-1]["body"])) == b"%d\n" % number
        await send(body())

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    decoder = Decoder("gzip")
    headers = [(b"accept-encoding", b"gzip")]
    await Compress(app)({"type": "http", "method": "GET", "headers": headers}, receive, send)

    assert (b"content-encoding", b"gzip") in sent[0]["headers"]
    assert b"".join(decoder.feed(sent[-1]["body"])) == b""
    decoder.finish()


async def test_large_body_is_compressed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    gzip_coding = CODINGS["gzip"]

    def make_encoder(level: int) -> content_coding.Encoder:
        encoder = gzip_coding.make_encoder(level)

        def encode(data: bytes) -> bytes:
            threads.add(threading.get_ident())
            assert len(data) <= 256 * 1024
            return encoder.encode(data)

        return content_coding.Encoder(encode, encoder.flush, encoder.finish)

    monkeypatch.setitem(CODINGS, "gzip", gzip_coding._replace(make_encoder=make_encoder))
    here = {threading.get_ident()}
    large = TEXT * 300

    assert plain(await ask(start(HTML), body(large))) == large
    assert threads.isdisjoint(here)
    assert plain(await ask(start(HTML), body(large, more=True), body())) == large
    threads.clear()
    assert plain(await ask(start(HTML), body(TEXT))) == TEXT
    assert threads == here
    # A slow level is always used in a thread.
    threads.clear()
    assert plain(await ask(start(HTML), body(TEXT), levels={"gzip": 9})) == TEXT
    assert threads.isdisjoint(here)


async def test_large_chunk_is_sent_in_several_messages() -> None:
    large = random.Random(2).randbytes(700_000)
    response = await ask(start(HTML), body(large, more=True), body())

    assert kinds(response) == ["start", "body", "body", "body", "body"]
    assert plain(response) == large
    # Steps without output send no message.
    assert plain(await ask(start(HTML), body(bytes(700_000), more=True), body())) == bytes(700_000)


# --- other messages and scopes ------------------------------------------------------------------


async def test_hints_and_trailers_are_sent_unchanged() -> None:
    @Compress
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send(start(HTML, trailers=True))
        await send(body(TEXT, more=scope["path"] == "/stream"))
        if scope["path"] == "/stream":
            await send({"type": "http.response.early_hint", "links": []})
            await send(body(TEXT))
        await send({"type": "http.response.trailers", "headers": [(b"a", b"b")]})

    names = ["http.response.early_hint", "http.response.trailers"]
    for target, count in (("/", 1), ("/stream", 2)):
        response = await exchange(
            app,
            target=target,
            headers={"accept-encoding": "br"},
            scope={"extensions": {name: {} for name in names}},
        )
        assert kinds(response)[:2] == ["early_hint", "start"]
        assert kinds(response)[-1] == "trailers"
        assert plain(response) == TEXT * count
        assert response.trailers["a"] == "b"
        # In HTTP/1.1 trailers need chunks, and a length excludes chunks.
        assert "content-length" not in response.headers


async def test_message_between_start_and_body_keeps_its_place() -> None:
    @Compress
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(HTML, LENGTH))
        await send({"type": "http.response.push", "path": "/a", "headers": []})
        await send(body(TEXT))

    response = await exchange(
        app,
        headers={"accept-encoding": "br"},
        scope={"extensions": {"http.response.push": {}}},
    )

    assert kinds(response) == ["start", "push", "body"]
    assert response.body == TEXT


@pytest.mark.parametrize(
    ("accept", "kept"),
    [
        ("gzip", {"http.response.trailers"}),
        (None, {"http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"}),
    ],
)
async def test_sendfile_extensions_are_hidden_if_coding_is_accepted(
    accept: str | None, kept: set[str]
) -> None:
    names = ["http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"]
    inner = App(start(HTML), body(TEXT))
    scope: Scope = {"extensions": {name: {} for name in names}}
    headers = {"accept-encoding": accept} if accept else {}
    await exchange(Compress(inner), headers=headers, scope=scope)

    assert set(inner.scope["extensions"]) == kept
    assert set(scope["extensions"]) == set(names)


async def test_file_is_compressed_despite_pathsend(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT * 500)
    response = await exchange(
        Compress(to_asgi(lambda scope: FileResponse(path))),
        headers={"accept-encoding": "zstd"},
        scope={"extensions": {"http.response.pathsend": {}}},
    )

    assert response.headers["content-encoding"] == "zstd"
    assert plain(response) == TEXT * 500


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_are_passed_on(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    given = [{"type": kind}, object(), object()]
    await Compress(app)(*given)

    assert all(one is other for one, other in zip(seen, given, strict=True))


async def test_request_header_over_8_kib_is_ignored() -> None:
    long = "gzip, " + "x" * 8192
    assert "content-encoding" not in (await ask(start(HTML), body(TEXT), accept=long)).headers

    app = Compress(App(start(("etag", '"1"'), status=304), body()))
    response = await exchange(app, headers={"if-none-match": 'W/"1", "' + "x" * 8192 + '"'})
    assert response.headers["etag"] == '"1"'


async def test_inner_send_is_a_coroutine_function() -> None:
    sends: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)
        await send(start())
        await send(body())

    await exchange(Compress(app))

    assert inspect.iscoroutinefunction(sends[0])


# --- errors -------------------------------------------------------------------------------------


async def test_error_before_the_body_sends_nothing() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(HTML))
        raise ZeroDivisionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"accept-encoding", b"gzip")]
    with pytest.raises(ZeroDivisionError):
        await Compress(app)({"type": "http", "method": "GET", "headers": headers}, None, send)
    assert sent == []


async def test_start_without_body_is_sent() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"accept-encoding", b"gzip")]
    app = Compress(App(start(HTML)))
    await app({"type": "http", "method": "GET", "headers": headers}, None, send)

    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([body(TEXT[:-1])], "1 bytes too short"),
        ([body(TEXT + b"x")], "1 bytes too long"),
        ([body(TEXT[:-2], more=True), body()], "2 bytes too short"),
        ([body(TEXT, more=True), body(b"xy", more=True)], "2 bytes too long"),
    ],
)
async def test_body_of_another_length_raises_mismatch(
    messages: Iterable[Message], why: str
) -> None:
    with pytest.raises(ContentLengthMismatch, match=why):
        await ask(start(HTML, LENGTH), *messages)


async def test_malformed_content_length_is_replaced() -> None:
    response = await ask(start(HTML, ("content-length", "x")), body(TEXT))

    assert response.headers["content-length"] == str(len(response.body))


async def test_stream_is_closed_when_the_client_disconnects() -> None:
    closed = anyio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield TEXT
                await checkpoint()
        finally:
            closed.set()

    app = Compress(to_asgi(lambda scope: StreamingResponse(chunks(), media_type="text/plain")))
    with anyio.fail_after(10), suppress(OSError):
        await exchange(app, headers={"accept-encoding": "gzip"}, disconnect_after=3)

    assert closed.is_set()


# --- responses of asgikit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse(TEXT),
        HTMLResponse(TEXT),
        JSONResponse({"text": TEXT.decode()}),
        StreamingResponse([TEXT, TEXT], media_type="text/css"),
        PlainTextResponse(TEXT, conditional=True),
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_response_classes_are_compressed(response: Any, method: str) -> None:
    app = to_asgi(lambda scope: response)
    bare = await exchange(app, method)
    compressed = await exchange(
        Compress(app), method, headers={"accept-encoding": "zstd, br, gzip"}
    )

    if method == "HEAD":
        assert "content-encoding" not in compressed.headers
    else:
        assert compressed.headers["content-encoding"] == "zstd"
        assert plain(compressed) == bare.body


# --- the signature and pickling -----------------------------------------------------------------


@Compress
@to_asgi
def module_app(scope: Scope) -> Response:
    return PlainTextResponse(TEXT)


def test_compress_has_the_signature_of_an_app() -> None:
    app: ASGIApp = module_app
    call = type(app).__call__

    assert not inspect.isroutine(app)
    assert inspect.iscoroutinefunction(call)
    assert list(inspect.signature(app).parameters) == ["scope", "receive", "send"]
    assert get_type_hints(call) == {
        "scope": Any,
        "receive": Any,
        "send": Any,
        "return": type(None),
    }
    assert not hasattr(app, "__wrapped__")
    with pytest.raises(TypeError):
        app()  # type: ignore[call-arg] # as uvicorn does to find factories
    assert repr(app).startswith("Compress(to_asgi(")


async def test_compress_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(Compress(App(start(HTML), body(TEXT)), levels={"gzip": 1})))
    response = await exchange(copy, headers={"accept-encoding": "gzip"})

    assert gzip.decompress(response.body) == TEXT
