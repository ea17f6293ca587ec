"""Request bodies with Content-Encoding: each reader gets decoded bytes, limits count these."""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgikit import (
    BadRequest,
    BodyConsumed,
    ClientDisconnect,
    ContentTooLarge,
    Limits,
    PlainTextResponse,
    Request,
    RequestTimeout,
    StreamingResponse,
    UnsupportedMediaType,
    request_response,
)
from asgikit.http.content_coding import make_encoder
from asgikit.testing import exchange
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from asgikit.types import Message, Scope

pytestmark = pytest.mark.anyio

ALL = ["br", "deflate", "gzip", "zstd"]
each_coding = pytest.mark.parametrize("coding", ALL)

TEXT = json.dumps([{"id": number, "name": "tea"} for number in range(200)]).encode()
FORM = b"a=1&b=2"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nfile\r\n--b--\r\n'
)
TYPES = {FORM: b"application/x-www-form-urlencoded", MULTIPART: b"multipart/form-data; boundary=b"}
MiB = 1024 * 1024


def encode(data: bytes, *codings: str) -> bytes:
    for coding in codings:
        encoder = make_encoder(coding)
        data = encoder.encode(data) + encoder.finish()
    return data


def make_bomb(coding: str, mebibytes: int, before: bytes = b"") -> bytes:
    encoder = make_encoder(coding)
    pieces = [encoder.encode(before), *(encoder.encode(bytes(MiB)) for _ in range(mebibytes))]
    return b"".join(pieces) + encoder.finish()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)] or [b""]


class Peer:
    """A client that sends chunks one after the other, and then disconnects."""

    def __init__(self, chunks: Iterable[bytes], *, ends: bool = True, waits: bool = False) -> None:
        chunks = list(chunks)
        self.messages: deque[Message] = deque(
            {
                "type": "http.request",
                "body": chunk,
                "more_body": not ends or place < len(chunks) - 1,
            }
            for place, chunk in enumerate(chunks)
        )
        self.waits = waits
        self.is_idle = False

    async def __call__(self) -> Message:
        await checkpoint()
        while self.waits and not self.messages:
            self.is_idle = True
            await checkpoint()  # a call in flight goes on after its reader was cancelled
        if self.messages:
            return self.messages.popleft()
        return {"type": "http.disconnect"}


def build_scope(*codings: str, content_type: bytes = b"application/json", length: int = 0) -> Scope:
    headers = [(b"host", b"localhost"), (b"content-type", content_type)]
    headers += [(b"content-encoding", coding.encode()) for coding in codings]
    if length:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http", "method": "POST", "path": "/", "headers": headers}


def build_request(
    chunks: bytes | Iterable[bytes], *codings: str, limits: Limits | None = None, **kwargs: Any
) -> Request:
    if isinstance(chunks, bytes):
        kwargs.setdefault("length", len(chunks))
        chunks = [chunks]
    return Request(build_scope(*codings, **kwargs), Peer(chunks), limits=limits or Limits())


async def read_stream(request: Request) -> bytes:
    return b"".join([chunk async for chunk in request.stream()])


async def read_form(request: Request) -> bytes:
    async with request.form() as form:
        return repr([*form.items()]).encode()


async def read_parts(request: Request) -> bytes:
    return b"&".join(
        [part.name.encode() + b"=" + await part.read() async for part in request.parts()]
    )


READERS: dict[str, tuple[Callable[[Request], Awaitable[Any]], bytes]] = {
    "body": (Request.body, TEXT),
    "stream": (read_stream, TEXT),
    "text": (Request.text, TEXT),
    "json": (Request.json, TEXT),
    "form": (read_form, FORM),
    "multipart form": (read_form, MULTIPART),
    "parts": (read_parts, MULTIPART),
}
each_reader = pytest.mark.parametrize(
    ("read", "content"), [pytest.param(*row, id=name) for name, row in READERS.items()]
)


@each_coding
@each_reader
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_readers_return_the_decoded_body(
    read: Callable[[Request], Awaitable[Any]], content: bytes, coding: str, size: int
) -> None:
    content_type = TYPES.get(content, b"application/json")
    plain = await read(build_request(content, content_type=content_type))
    request = build_request(cut(encode(content, coding), size), coding, content_type=content_type)
    read_now = await read(request)

    assert (read_now == plain) or "UploadFile" in repr(plain)
    assert request.headers["content-encoding"] == coding
    await request.close()


@pytest.mark.parametrize(
    ("field", "applied"),
    [
        (["br"], ["br"]),
        (["gzip", "identity"], ["gzip"]),  # lines of one list
        (["X-GZIP"], ["gzip"]),
        (["identity"], []),
        ([""], []),
    ],
)
async def test_body_with_one_coding_is_decoded(field: list[str], applied: list[str]) -> None:
    request = build_request(encode(TEXT, *applied), *field)

    assert await request.body() == TEXT


@given(data=st.binary(max_size=3000), size=st.integers(1, 500), coding=st.sampled_from(ALL))
def test_decoded_body_does_not_depend_on_chunking(data: bytes, size: int, coding: str) -> None:
    async def read() -> None:
        request = build_request(cut(encode(data, coding), size), coding)
        again = Request(request.scope, request.receive)
        assert await request.body() == data
        assert await read_stream(again) == data

    anyio.run(read)


async def test_content_length_is_that_of_the_coded_body() -> None:
    coded = encode(TEXT, "gzip")
    request = build_request(coded, "gzip")

    assert request.content_length == len(coded)
    assert len(await request.body()) == len(TEXT)


async def test_requests_share_the_decoded_body() -> None:
    request = build_request(encode(TEXT, "gzip"), "gzip")
    other = Request(request.scope, request.receive)

    assert await request.json() == await other.json() == json.loads(TEXT)
    assert await read_stream(other) == TEXT
    assert await read_stream(Request(request.scope, request.receive)) == TEXT


@pytest.mark.parametrize("is_read_whole", [True, False])
@pytest.mark.parametrize("read", [Request.body, read_stream])
async def test_body_buffered_as_coded_is_decoded_on_read(
    read: Callable[[Request], Awaitable[bytes]], *, is_read_whole: bool
) -> None:
    coded = encode(TEXT, "gzip")
    request = build_request(cut(coded, 9), "gzip")
    fields = request.scope["headers"]
    # As by a middleware that takes the field out for a while.
    request.scope["headers"] = []
    early = Limits(max_body_size=len(coded) if is_read_whole else 20)
    first = Request(request.scope, request.receive, limits=early)
    if is_read_whole:
        assert await first.body() == coded
    else:
        with pytest.raises(ContentTooLarge):
            await first.body()
    request.scope["headers"] = fields

    assert await read(request) == TEXT


async def test_coded_body_after_stream_raises_body_consumed() -> None:
    request = build_request(encode(TEXT, "gzip"), "gzip")
    assert await read_stream(request) == TEXT

    for read in (request.body, request.json, Request(request.scope, request.receive).body):
        with pytest.raises(BodyConsumed):
            await read()
    with pytest.raises(BodyConsumed):
        await request.replay()()


async def test_empty_coded_body_is_empty() -> None:
    assert await build_request(b"", "gzip").body() == b""
    assert await read_stream(build_request([b"", b""], "br")) == b""


async def test_unknown_coding_gets_415_with_accept_encoding() -> None:
    @request_response
    async def app(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    answer = await exchange(
        app, "POST", headers={"content-encoding": "compress"}, body=b"\x1f\x9d\x90"
    )

    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "zstd, br, gzip, deflate"


@each_reader
async def test_each_reader_refuses_unknown_coding(
    read: Callable[[Request], Awaitable[Any]], content: bytes
) -> None:
    content_type = TYPES.get(content, b"application/json")
    request = build_request(content, "x-tea", content_type=content_type)

    with pytest.raises(UnsupportedMediaType):
        await read(request)
    # A stream has begun.
    with pytest.raises((UnsupportedMediaType, BodyConsumed)):
        await read(request)
    # Waiting for the disconnect decodes nothing.
    with anyio.fail_after(5):
        await request.wait_disconnected()


@each_coding
@each_reader
async def test_truncated_coded_body_gets_400_from_each_read(
    read: Callable[[Request], Awaitable[Any]], content: bytes, coding: str
) -> None:
    content_type = TYPES.get(content, b"application/json")
    coded = encode(content, coding)
    for stop in [*range(1, min(30, len(coded))), len(coded) - 1]:
        request = build_request(coded[:stop], coding, content_type=content_type)
        with pytest.raises(BadRequest):
            await read(request)
        with pytest.raises((BadRequest, BodyConsumed)):
            await read(request)
        with pytest.raises((BadRequest, BodyConsumed)):
            await Request(request.scope, request.receive).body()


async def test_damaged_coded_body_is_not_read_further() -> None:
    request = build_request([b"\x1f\x8bdamage", encode(TEXT, "gzip")], "gzip")

    for _ in range(3):
        with pytest.raises(BadRequest, match="is not valid gzip"):
            await request.body()


async def test_disconnect_differs_from_truncated_coded_body() -> None:
    coded = encode(TEXT, "gzip")
    request = Request(build_scope("gzip"), Peer([coded[:-1]], ends=False))

    for _ in range(2):
        with pytest.raises(ClientDisconnect):
            await request.body()


# Limits.


@each_coding
async def test_limits_count_decoded_bytes(coding: str) -> None:
    coded = encode(TEXT, coding)
    small = Limits(max_body_size=len(TEXT) - 1)
    assert len(coded) < len(TEXT)

    request = build_request(coded, coding, limits=small)
    with pytest.raises(ContentTooLarge, match="max_body_size"):
        await request.body()
    other = Request(request.scope, request.receive, limits=Limits(max_body_size=len(TEXT)))
    assert await other.body() == TEXT
    with pytest.raises(ContentTooLarge, match="max_body_size"):
        await request.body()


async def test_coded_form_has_the_limits_of_a_form() -> None:
    long = encode(b"a=" + b"x" * 1000, "gzip")
    for limits, name in [
        (Limits(max_text_size=1000), "max_text_size"),
        (Limits(max_field_size=999), "max_field_size"),
    ]:
        request = build_request(long, "gzip", content_type=TYPES[FORM], limits=limits)
        with pytest.raises(ContentTooLarge, match=name):
            await request.form()
    request = build_request(
        encode(MULTIPART, "gzip"),
        "gzip",
        content_type=TYPES[MULTIPART],
        limits=Limits(max_form_size=len(MULTIPART) - 1),
    )
    with pytest.raises(ContentTooLarge, match="max_form_size"):
        await request.form()


async def test_content_length_over_limit_gets_413_before_receive() -> None:
    peer = Peer([])
    scope = build_scope("gzip", length=11 * MiB)

    with pytest.raises(ContentTooLarge, match="max_body_size"):
        await Request(scope, peer).body()


@each_coding
@pytest.mark.parametrize("size", [0, 1, 20, 70_000])
async def test_coded_body_may_be_longer_than_limit_of_decoded_bytes(coding: str, size: int) -> None:
    noise = random.Random(size).randbytes(size)
    coded = encode(noise, coding)
    assert len(coded) > size
    limits = Limits(max_body_size=size)

    assert await build_request(coded, coding, limits=limits).body() == noise
    assert await build_request(cut(coded, 999), coding, limits=limits).body() == noise


BEFORE = {
    FORM: b"a=",
    MULTIPART: b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n',
}


@each_coding
@each_reader
async def test_compression_bomb_gets_413_in_little_memory(
    read: Callable[[Request], Awaitable[Any]], content: bytes, coding: str
) -> None:
    content_type = TYPES.get(content, b"application/json")
    bomb = make_bomb(coding, 64, BEFORE.get(content, b""))
    limits = Limits(max_body_size=None, max_form_size=None, max_text_size=None, max_field_size=None)
    request = build_request(cut(bomb, 65536), coding, content_type=content_type, limits=limits)
    tracemalloc.start()
    try:
        with pytest.raises(ContentTooLarge) as caught:
            await read(request)
        assert tracemalloc.get_traced_memory()[1] < 30 * MiB
    finally:
        tracemalloc.stop()
    assert (caught.value.limit, caught.value.maximum) == ("max_ratio", 100)


@each_reader
@pytest.mark.parametrize("codings", [["deflate, gzip"], ["br", "zstd"]])
async def test_body_with_two_codings_is_415_before_it_is_decoded(
    read: Callable[[Request], Awaitable[Any]], content: bytes, codings: list[str]
) -> None:
    content_type = TYPES.get(content, b"application/json")
    request = build_request([b"never decoded"], *codings, content_type=content_type)

    with pytest.raises(UnsupportedMediaType, match="more than one coding"):
        await read(request)


async def test_max_ratio_is_a_setting() -> None:
    bomb = make_bomb("gzip", 4)
    for ratio in (None, 2000):
        request = build_request(bomb, "gzip", limits=Limits(max_ratio=ratio))
        assert await request.body() == bytes(4 * MiB)
    with pytest.raises(ContentTooLarge, match="Over max_ratio, which is 5"):
        await build_request(bomb, "gzip", limits=Limits(max_ratio=5)).body()


async def test_coded_body_without_limits_is_decoded() -> None:
    request = build_request(encode(TEXT, "br"), "br", limits=Limits(max_body_size=None))

    assert await request.json() == json.loads(TEXT)


async def test_decoded_chunks_are_small_for_any_message() -> None:
    request = build_request(make_bomb("zstd", 8), "zstd", limits=Limits(max_ratio=None))
    sizes = [len(chunk) async for chunk in request.stream()]

    assert sum(sizes) == 8 * MiB
    assert min(sizes) > 0
    assert max(sizes) <= 128 * 1024


async def test_decoding_yields_to_the_event_loop() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    request = build_request(make_bomb("gzip", 200), "gzip", limits=Limits(max_ratio=None))
    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await checkpoint()
        async for _ in request.stream():
            pass
        group.cancel_scope.cancel()

    # The messages alone are one.
    assert turns > 5


async def test_coded_body_timeout_gets_408() -> None:
    coded = encode(TEXT, "gzip")
    limits = Limits(body_timeout=0.01)
    request = Request(build_scope("gzip"), Peer([coded[:9]], ends=False, waits=True), limits=limits)

    with pytest.raises(RequestTimeout):
        await request.body()


async def test_cancelled_reader_of_coded_body_loses_no_byte() -> None:
    coded = encode(TEXT, "gzip")
    peer = Peer(cut(coded, 100), waits=True)
    last = peer.messages.pop()
    request = Request(build_scope("gzip"), peer)

    with anyio.move_on_after(0.05):
        await request.body()
    peer.messages.append(last)

    assert await request.body() == TEXT


async def test_stream_starts_with_bytes_of_cancelled_reader() -> None:
    coded = encode(TEXT, "gzip")
    peer = Peer(cut(coded, 100), waits=True)
    last = peer.messages.pop()
    request = Request(build_scope("gzip"), peer)
    with anyio.move_on_after(0.05):
        await request.body()
    peer.messages.append(last)

    assert await read_stream(request) == TEXT
    with pytest.raises(BodyConsumed):
        await request.replay()()


@each_coding
async def test_body_that_waits_for_its_end_holds_one_mebibyte_decoded(coding: str) -> None:
    coded = make_bomb(coding, 9, b"start")
    peer = Peer([coded[:-1], coded[-1:]], waits=True)
    last = peer.messages.pop()
    request = Request(build_scope(coding), peer, limits=Limits(max_ratio=None))
    tracemalloc.start()
    try:
        async with anyio.create_task_group() as group:

            async def read() -> None:
                with anyio.CancelScope() as scope:
                    scopes.append(scope)
                    await request.body()

            scopes: list[anyio.CancelScope] = []
            group.start_soon(read)
            await until(lambda: peer.is_idle)
            held, _ = tracemalloc.get_traced_memory()
            scopes[0].cancel()
    finally:
        tracemalloc.stop()
    peer.messages.append(last)

    assert held < 1.6 * MiB
    assert await request.body() == b"start" + bytes(9 * MiB)
    assert await request.body() == b"start" + bytes(9 * MiB)
    await request.close()


@pytest.mark.parametrize("size", [MiB - 1, MiB, MiB + 1, 2 * MiB])
async def test_body_of_two_readers_is_the_same_at_every_size(size: int) -> None:
    data = random.Random(size).randbytes(size)
    request = build_request(cut(encode(data, "gzip"), 100_000), "gzip")
    bodies: list[bytes] = []

    async def read() -> None:
        bodies.append(await request.body())

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(read)

    assert bodies == [data, data]


async def test_close_ends_the_call_of_a_cancelled_reader() -> None:
    peer = Peer([encode(TEXT, "gzip")], ends=False, waits=True)
    request = Request(build_scope("gzip"), peer)
    with anyio.move_on_after(0.05):
        await request.body()

    await request.close()

    peer.waits = False
    with pytest.raises((ClientDisconnect, BodyConsumed)):
        await request.body()


# The coded bytes: replay, reading ahead, discarding.


async def read_all(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


@pytest.mark.parametrize("size", [10, 100_000])
async def test_replay_delivers_the_coded_body(size: int) -> None:
    coded = encode(TEXT, "gzip")
    request = build_request(cut(coded, size), "gzip")
    assert await read_all(request.replay()) == coded

    request = build_request(cut(coded, size), "gzip")
    assert await request.body() == TEXT
    assert await read_all(request.replay()) == coded
    # It decodes that by itself.
    assert await Request(request.scope, request.replay()).body() == TEXT


async def test_read_after_replay_of_coded_body_raises_body_consumed() -> None:
    coded = encode(TEXT, "gzip")
    request = build_request(cut(coded, 10), "gzip", limits=Limits(max_body_size=10))
    with pytest.raises(ContentTooLarge):
        await request.body()

    assert await read_all(request.replay()) == coded
    other = Request(request.scope, request.receive)
    with pytest.raises(BodyConsumed):
        await other.body()
    with pytest.raises(BodyConsumed):
        await read_stream(other)


async def test_wait_disconnected_reads_coded_bytes_ahead() -> None:
    coded = encode(TEXT, "gzip")
    request = build_request(cut(coded, 50), "gzip")

    with anyio.fail_after(5):
        while not await request.is_disconnected():
            await checkpoint()
        assert await request.body() == TEXT
        await request.wait_disconnected()


async def test_coded_body_is_readable_while_response_streams() -> None:
    @request_response
    async def app(request: Request) -> StreamingResponse:
        async def echo() -> AsyncIterator[bytes]:
            async for chunk in request.stream():
                yield chunk

        return StreamingResponse(echo())

    answer = await exchange(
        app,
        "POST",
        headers={"content-encoding": "br"},
        body=cut(encode(TEXT, "br"), 30),
    )

    assert answer.body == TEXT


async def test_wait_disconnected_may_discard_coded_body() -> None:
    # As a response under way does.
    request = build_request([bytes(MiB), bytes(MiB)], "gzip")
    await request._shared_body().wait_disconnected(abandon=True)

    with pytest.raises(BodyConsumed, match="discarded"):
        await request.body()


async def test_unfinished_stream_of_coded_body_is_closed_with_request() -> None:
    request = build_request(cut(encode(TEXT * 9, "zstd"), 50), "zstd")
    chunks = request.stream()
    read = await anext(chunks)
    await request.close()

    # The iterator does not report the end of a body that was not read to its end.
    assert read + b"".join([chunk async for chunk in chunks]) == TEXT * 9


async def test_coded_body_is_freed_by_reference_counting() -> None:
    request = build_request(encode(TEXT, "gzip"), "gzip")
    await request.body()
    await request.close()
    gc.collect()
    gc.disable()
    try:
        del request
        again = build_request(encode(TEXT, "gzip"), "gzip")
        await again.body()
        await again.close()
        del again
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(noise=st.binary(max_size=200), coding=st.sampled_from([*ALL, "gzip, br", "x"]))
def test_any_coded_bytes_raise_http_errors_only(noise: bytes, coding: str) -> None:
    async def read() -> None:
        with suppress(BadRequest, ContentTooLarge, UnsupportedMediaType):
            await build_request(noise, coding).body()

    anyio.run(read)
