"""Compressed answers: by what clients take, of what gets smaller, in the order of ASGI."""

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


def plain(answer: Exchange) -> bytes:
    """Give the body of an answer as the app gave it."""
    return decode(answer.headers.get("content-encoding"), answer.body)


class App:
    """Answers with the same messages each time."""

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


# Which coding.


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),  # what browsers send
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate", None),  # many take it for something else
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
        ("gzip;q=2", None),  # malformed counts for nothing
        (";;,,gzip", "gzip"),
    ],
)
async def test_the_coding_is_the_one_that_the_client_would_rather_have(
    accept: str | None, coding: str | None
) -> None:
    answer = await ask(start(HTML), body(TEXT), accept=accept)

    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers.get("content-length") == (str(len(answer.body)) if coding else None)
    assert plain(answer) == TEXT


async def test_lines_of_the_field_are_one_list() -> None:
    headers = [("accept-encoding", "br;q=0.5"), ("accept-encoding", "gzip")]
    answer = await exchange(Compress(App(start(HTML), body(TEXT))), headers=headers)

    assert answer.headers["content-encoding"] == "gzip"


async def test_codings_and_levels_can_be_chosen() -> None:
    accept = "gzip, br, zstd, deflate"
    answer = await ask(start(HTML), body(TEXT), accept=accept, codings=["deflate", "gzip"])
    assert answer.headers["content-encoding"] == "deflate"
    assert plain(answer) == TEXT

    fast = await ask(start(HTML), body(TEXT * 9), levels={"gzip": 1})
    best = await ask(start(HTML), body(TEXT * 9), levels={"gzip": 9})
    assert len(best.body) < len(fast.body)
    assert plain(best) == plain(fast) == TEXT * 9


async def test_without_the_packages_there_is_gzip(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: CODINGS[name] for name in ("gzip", "deflate")}
    monkeypatch.setattr(compression, "CODINGS", few)
    monkeypatch.setattr(content_coding, "CODINGS", few)
    answer = await ask(start(HTML), body(TEXT), accept="zstd, br, gzip")

    assert answer.headers["content-encoding"] == "gzip"
    with pytest.raises(ValueError, match="no content coding"):
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
def test_what_cannot_be_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tea|levels|minimum_size"):
        Compress(App(), **arguments)


# What is compressed.


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
        ("application/octet-stream", False),  # nobody knows
        ("application/epub+zip", False),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("multipart/byteranges; boundary=b", False),
        ("multipart/x-mixed-replace", False),
        ("application/grpc", False),  # each of its messages is coded already
        ("application/grpc+proto", False),
        ("application/grpc-web-text+proto", False),
        ("text/event-stream", False),  # an encoder for each idle client would be held
    ],
)
async def test_what_does_not_get_smaller_is_left_as_it_is(
    content_type: str, is_compressed: bool
) -> None:
    answer = await ask(start(("content-type", content_type)), body(TEXT))

    assert ("content-encoding" in answer.headers) is is_compressed
    # Where no client gets another one, nothing varies.
    assert ("vary" in answer.headers) is is_compressed
    assert plain(answer) == TEXT


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
async def test_what_must_stay_is_left_as_it_is(fields: list[tuple[str, str]], varies: bool) -> None:
    for accept in ("gzip", None):
        answer = await ask(start(*fields), body(TEXT), accept=accept)
        assert answer.headers.get("content-encoding") == dict(fields).get("content-encoding")
        assert answer.body == TEXT
        assert ("vary" in answer.headers) is varies


@pytest.mark.parametrize("fields", [[], [("content-length", str(len(TEXT)))]])
async def test_what_does_not_tell_its_type_is_compressed(fields: list[tuple[str, str]]) -> None:
    answer = await ask(start(*fields), body(TEXT))

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert plain(answer) == TEXT


@pytest.mark.parametrize("status", [204, 205, 307])
async def test_what_has_no_content_does_not_vary(status: int) -> None:
    fields = [] if status == 204 else [("content-length", "0")]
    answer = await ask(start(*fields, status=status), body())

    assert "vary" not in answer.headers


async def test_names_in_upper_case_are_read_too() -> None:
    # The specification wants them in lower case; not every app obeys.
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
async def test_what_is_short_is_left_as_it_is(
    size: int, fields: list[tuple[str, str]], is_compressed: bool
) -> None:
    answer = await ask(start(HTML, *fields), body(b"a" * size))

    assert ("content-encoding" in answer.headers) is is_compressed
    assert answer.headers["vary"] == "Accept-Encoding"
    assert plain(answer) == b"a" * size


async def test_the_least_size_can_be_chosen() -> None:
    answer = await ask(start(HTML), body(b"a" * 50), minimum_size=50)

    assert answer.headers["content-encoding"] == "gzip"


async def test_what_would_get_larger_is_left_as_it_is() -> None:
    answer = await ask(
        start(HTML, ("content-length", "3000"), ("etag", '"1"'), ("accept-ranges", "bytes")),
        body(NOISE),
    )

    assert answer.body == NOISE
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == "3000"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("status", [200, 201, 404, 500])
async def test_any_answer_with_content_is_compressed(status: int) -> None:
    answer = await ask(start(HTML, status=status), body(TEXT))

    assert (answer.status_code, plain(answer)) == (status, TEXT)
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("status", [204, 205, 206, 304])
async def test_an_answer_without_all_of_the_content_is_left_as_it_is(status: int) -> None:
    content = TEXT if status == 206 else b""
    answer = await ask(start(HTML, ("etag", '"1"'), status=status), body(content))

    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["etag"] == '"1"'
    assert answer.body == content


# The fields.


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
        answer = await ask(message, body(TEXT), accept=accept)
        assert answer.headers.getall("vary") == merged


@pytest.mark.parametrize(
    ("etag", "weak"),
    [('"1"', 'W/"1"'), ('W/"1"', 'W/"1"'), ("1", "1")],  # the last one is malformed
)
async def test_an_entity_tag_becomes_weak(etag: str, weak: str) -> None:
    message = start(HTML, ("etag", etag), ("accept-ranges", "bytes"), LENGTH)

    assert (await ask(message, body(TEXT))).headers["etag"] == weak
    assert "accept-ranges" not in (await ask(message, body(TEXT))).headers
    assert (await ask(message, body(TEXT), accept=None)).headers["etag"] == etag


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ('W/"1"', 'W/"1"'),
        ('"0", W/"1"', 'W/"1"'),
        ('"1"', '"1"'),  # of an answer that was not compressed
        ('"1", W/"1"', '"1"'),
        ("*", '"1"'),
        (None, '"1"'),
    ],
)
async def test_a_304_has_the_tag_that_the_client_has(asked: str | None, answered: str) -> None:
    app = Compress(App(start(("etag", '"1"'), status=304), body()))
    headers = {"if-none-match": asked} if asked else {}
    answer = await exchange(app, headers=headers)

    assert answer.headers["etag"] == answered
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_304_without_a_tag_passes() -> None:
    app = Compress(App(start(status=304), body()))
    answer = await exchange(app, headers={"if-none-match": 'W/"1"'})

    assert answer.status_code == 304


async def test_the_weak_tag_matches_when_it_comes_back(tmp_path: Path) -> None:
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

    # No range of the one is put to what is there of the other.
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


# In which messages.


def kinds(answer: Exchange) -> list[str]:
    return [message["type"].removeprefix("http.response.") for message in answer.messages]


async def test_each_message_of_a_stream_can_be_decoded_when_it_is_sent() -> None:
    chunks = [b"one", b"", TEXT, b"three"]
    for coding in CODINGS:
        answer = await ask(
            start(HTML, ("content-length", str(sum(map(len, chunks))))),
            *(body(chunk, more=True) for chunk in chunks),
            body(),
            accept=coding,
            codings=[coding],
        )
        decoder = Decoder(coding)
        decoded = [
            b"".join(decoder.feed(message.get("body", b""))) for message in answer.messages[1:]
        ]

        assert decoded == [*chunks, b""]
        decoder.finish()
        assert "content-length" not in answer.headers


async def test_the_end_may_bring_content_too() -> None:
    answer = await ask(start(HTML), body(TEXT, more=True), body(TEXT))

    assert plain(answer) == TEXT * 2
    assert kinds(answer) == ["start", "body", "body"]


async def test_keys_can_be_left_out() -> None:
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
def test_any_answer_is_decoded_to_what_it_was(chunks: list[bytes], coding: str, size: bool) -> None:
    fields = [HTML, *([("content-length", str(sum(map(len, chunks))))] if size else [])]
    messages = [body(chunk, more=True) for chunk in chunks]
    messages[-1]["more_body"] = False
    answer = anyio.run(lambda: ask(start(*fields), *messages, accept=coding))

    assert plain(answer) == b"".join(chunks)


async def test_event_stream_is_sent_unchanged() -> None:
    message = start(("content-type", "text/event-stream; charset=utf-8"))
    event = b"data: %b\n\n" % TEXT
    answer = await ask(message, body(event, more=True), body())

    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers
    assert [message.get("body") for message in answer.messages] == [None, event, b""]


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


async def test_what_is_large_is_compressed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
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
    # A level that takes long is never here.
    threads.clear()
    assert plain(await ask(start(HTML), body(TEXT), levels={"gzip": 9})) == TEXT
    assert threads.isdisjoint(here)


async def test_what_is_large_is_sent_in_parts() -> None:
    large = random.Random(2).randbytes(700_000)
    answer = await ask(start(HTML), body(large, more=True), body())

    assert kinds(answer) == ["start", "body", "body", "body", "body"]
    assert plain(answer) == large
    # Zeros come to next to nothing, which need not be sent.
    assert plain(await ask(start(HTML), body(bytes(700_000), more=True), body())) == bytes(700_000)


# What goes past.


async def test_hints_and_trailers_pass() -> None:
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
        answer = await exchange(
            app,
            target=target,
            headers={"accept-encoding": "br"},
            scope={"extensions": {name: {} for name in names}},
        )
        assert kinds(answer)[:2] == ["early_hint", "start"]
        assert kinds(answer)[-1] == "trailers"
        assert plain(answer) == TEXT * count
        assert answer.trailers["a"] == "b"
        # With a length, HTTP/1.1 has no chunks, and no place for trailers.
        assert "content-length" not in answer.headers


async def test_a_message_between_start_and_body_keeps_its_place() -> None:
    @Compress
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(HTML, LENGTH))
        await send({"type": "http.response.push", "path": "/a", "headers": []})
        await send(body(TEXT))

    answer = await exchange(
        app,
        headers={"accept-encoding": "br"},
        scope={"extensions": {"http.response.push": {}}},
    )

    assert kinds(answer) == ["start", "push", "body"]
    assert answer.body == TEXT


@pytest.mark.parametrize(
    ("accept", "kept"),
    [
        ("gzip", {"http.response.trailers"}),
        (None, {"http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"}),
    ],
)
async def test_no_file_gets_past_where_the_client_takes_a_coding(
    accept: str | None, kept: set[str]
) -> None:
    names = ["http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"]
    inner = App(start(HTML), body(TEXT))
    scope: Scope = {"extensions": {name: {} for name in names}}
    headers = {"accept-encoding": accept} if accept else {}
    await exchange(Compress(inner), headers=headers, scope=scope)

    assert set(inner.scope["extensions"]) == kept
    assert set(scope["extensions"]) == set(names)


async def test_a_file_is_compressed_though_the_server_could_send_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT * 500)
    answer = await exchange(
        Compress(to_asgi(lambda scope: FileResponse(path))),
        headers={"accept-encoding": "zstd"},
        scope={"extensions": {"http.response.pathsend": {}}},
    )

    assert answer.headers["content-encoding"] == "zstd"
    assert plain(answer) == TEXT * 500


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    given = [{"type": kind}, object(), object()]
    await Compress(app)(*given)

    assert all(one is other for one, other in zip(seen, given, strict=True))


async def test_headers_over_the_limit_are_ignored() -> None:
    long = "gzip, " + "x" * 8192
    assert "content-encoding" not in (await ask(start(HTML), body(TEXT), accept=long)).headers

    app = Compress(App(start(("etag", '"1"'), status=304), body()))
    answer = await exchange(app, headers={"if-none-match": 'W/"1", "' + "x" * 8192 + '"'})
    assert answer.headers["etag"] == '"1"'


async def test_the_inner_send_is_a_coroutine_function() -> None:
    sends: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)
        await send(start())
        await send(body())

    await exchange(Compress(app))

    assert inspect.iscoroutinefunction(sends[0])


# What goes wrong.


async def test_an_error_before_the_body_is_the_servers_to_answer() -> None:
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


async def test_an_answer_that_is_broken_off_is_passed_on_as_it_is() -> None:
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
async def test_a_length_that_was_promised_is_held(messages: Iterable[Message], why: str) -> None:
    with pytest.raises(ContentLengthMismatch, match=why):
        await ask(start(HTML, LENGTH), *messages)


async def test_a_length_that_is_none_is_dropped() -> None:
    answer = await ask(start(HTML, ("content-length", "x")), body(TEXT))

    assert answer.headers["content-length"] == str(len(answer.body))


async def test_a_client_that_leaves_ends_it() -> None:
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


# With our own.


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
async def test_our_own_answers_are_compressed(response: Any, method: str) -> None:
    app = to_asgi(lambda scope: response)
    bare = await exchange(app, method)
    answer = await exchange(Compress(app), method, headers={"accept-encoding": "zstd, br, gzip"})

    if method == "HEAD":
        assert "content-encoding" not in answer.headers
    else:
        assert answer.headers["content-encoding"] == "zstd"
        assert plain(answer) == bare.body


# Its shape, which servers and hosts look at.


@Compress
@to_asgi
def module_app(scope: Scope) -> Response:
    return PlainTextResponse(TEXT)


def test_it_has_the_shape_of_an_app() -> None:
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
        app()  # type: ignore[call-arg] # what servers try
    assert repr(app).startswith("Compress(to_asgi(")


async def test_it_is_pickled() -> None:
    copy = pickle.loads(pickle.dumps(Compress(App(start(HTML), body(TEXT)), levels={"gzip": 1})))
    answer = await exchange(copy, headers={"accept-encoding": "gzip"})

    assert gzip.decompress(answer.body) == TEXT
