"""The reverse proxy: forwarded and dropped headers, and streams in both directions."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from asgikit import ClientDisconnect
from asgikit.testing import Exchange, exchange
from examples import reverse_proxy
from tests.servers.harness import SETUPS, Server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Stream(httpx.AsyncByteStream):
    """The body of an upstream's response, which records that it was closed."""

    def __init__(self, chunks: AsyncGenerator[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks

    async def aclose(self) -> None:
        self.closed += 1
        await self.chunks.aclose()


class Upstream(httpx.AsyncBaseTransport):
    """An upstream with a given response, which records its requests."""

    def __init__(
        self,
        status: int = 200,
        fields: list[tuple[str, str]] | None = None,
        body: Callable[[httpx.Request], AsyncGenerator[bytes]] | None = None,
        error: type[httpx.TransportError] | None = None,
    ) -> None:
        self.status = status
        self.fields = fields or []
        self.body = body or reply
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        if self.error is not None:
            raise self.error("no")
        self.stream = Stream(self.body(request))
        return httpx.Response(self.status, headers=self.fields, stream=self.stream)


async def reply(_request: httpx.Request) -> AsyncGenerator[bytes]:
    yield b"one "
    yield b"two"


async def echo(request: httpx.Request) -> AsyncGenerator[bytes]:
    assert isinstance(request.stream, httpx.AsyncByteStream)
    async for chunk in request.stream:
        yield chunk.upper()


async def ask(upstream: Upstream, *arguments: Any, **more: Any) -> Exchange:
    state = {"transport": upstream, "upstream": httpx.URL("http://behind:8001")}
    return await exchange(reverse_proxy.app, *arguments, scope={"state": state}, **more)


async def test_request_and_response_are_forwarded() -> None:
    upstream = Upstream(203, [("X-Own", "a"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    answer = await ask(
        upstream, "GET", "/a%2Fb//c?d=%20&e", headers=[("x-twice", "1"), ("x-twice", "2")]
    )

    assert (answer.status_code, answer.body) == (203, b"one two")
    assert answer.headers.getall("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["via"] == "1.1 asgikit"
    request = upstream.request
    assert (request.method, str(request.url)) == ("GET", "http://behind:8001/a%2Fb//c?d=%20&e")
    assert request.headers.get_list("x-twice") == ["1", "2"]
    assert request.headers["host"] == "behind:8001"
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["via"] == "1.1 asgikit"
    assert "transfer-encoding" not in request.headers
    assert upstream.stream.closed >= 1


@pytest.mark.parametrize("target", ["//other.example/", "/@other.example/", "/?@other.example"])
async def test_target_cannot_choose_another_upstream(target: str) -> None:
    upstream = Upstream()
    await ask(upstream, "GET", target)

    assert (upstream.request.url.host, upstream.request.url.port) == ("behind", 8001)
    assert upstream.request.url.raw_path == target.encode()


@pytest.mark.parametrize(
    "field",
    [
        ("connection", "x-named, keep-alive"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "Basic YTpi"),
        ("x-forwarded-for", "192.0.2.1"),  # any client can send it
        ("expect", "100-continue"),
    ],
)
async def test_connection_header_is_not_forwarded(field: tuple[str, str]) -> None:
    fields = [field, ("Connection", "X-Named")]
    upstream = Upstream(fields=[*fields, ("date", "now"), ("server", "x")])
    answer = await ask(upstream, "GET", "/", headers=fields)

    assert upstream.request.headers.get(field[0]) in {None, "127.0.0.1"}
    assert "connection" not in upstream.request.headers
    if field[0] not in {"x-forwarded-for", "expect"}:
        assert field[0] not in answer.headers
    assert "date" not in answer.headers
    assert "server" not in answer.headers


async def test_bodies_are_streamed_in_both_directions() -> None:
    came = [anyio.Event() for _ in range(3)]

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d a" % number
            # The next chunk is sent after the upstream has received this one.
            await came[number].wait()

    async def told(request: httpx.Request) -> AsyncGenerator[bytes]:
        number = 0
        async for chunk in echo(request):
            yield chunk
            came[number].set()
            number += 1

    with anyio.fail_after(10):
        answer = await ask(Upstream(body=told), "POST", "/", body=chunks())

    assert [message["body"] for message in answer.messages[1:4]] == [b"0 A", b"1 A", b"2 A"]


@pytest.mark.parametrize(
    ("headers", "body", "length", "coding"),
    [
        ({}, b"abc", "3", None),
        ({}, [b"a", b"bc"], None, "chunked"),
        # Transfer-Encoding overrides Content-Length, which must not be forwarded.
        ({"content-length": "1", "transfer-encoding": "chunked"}, [b"abc"], None, "chunked"),
    ],
)
async def test_body_keeps_its_framing(
    headers: dict[str, str], body: Any, length: str | None, coding: str | None
) -> None:
    upstream = Upstream(body=echo)
    answer = await ask(upstream, "POST", "/", headers=headers, body=body)

    assert answer.body == b"ABC"
    assert upstream.request.headers.get("content-length") == length
    assert upstream.request.headers.get("transfer-encoding") == coding


async def test_coded_body_is_forwarded_as_it_arrived() -> None:
    received = []

    async def record(request: httpx.Request) -> AsyncGenerator[bytes]:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        received.append(b"".join([chunk async for chunk in request.stream]))
        yield b""

    upstream = Upstream(body=record)
    coded = gzip.compress(b"tea")
    await ask(upstream, "POST", "/", headers={"content-encoding": "gzip"}, body=coded)

    assert received == [coded]
    assert upstream.request.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_response_without_body_releases_its_connection(method: str) -> None:
    upstream = Upstream(
        200 if method == "HEAD" else 304, [("content-length", "7"), ("etag", '"a"')]
    )
    answer = await ask(upstream, method)

    assert answer.body == b""
    assert answer.headers["etag"] == '"a"'
    assert upstream.stream.closed >= 1


async def test_disconnect_closes_the_upstream_response() -> None:
    async def endless(_request: httpx.Request) -> AsyncGenerator[bytes]:
        while True:
            yield b"more"
            await anyio.lowlevel.checkpoint()

    upstream = Upstream(body=endless)
    with anyio.fail_after(10):
        await ask(upstream, "GET", "/", disconnect_after=5)

    assert upstream.stream.closed >= 1


async def test_disconnect_cancels_the_upstream_request() -> None:
    class Reading(Upstream):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            with pytest.raises(ClientDisconnect):
                await request.aread()
            raise ClientDisconnect

    assert (await ask(Reading(), "POST", "/", body=[b"a"] * 5, disconnect_after=0)).messages == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(httpx.ConnectError, 502), (httpx.ReadTimeout, 504), (httpx.RemoteProtocolError, 502)],
)
async def test_upstream_failure_is_answered_with_its_status(
    error: type[httpx.TransportError], status: int
) -> None:
    answer = await ask(Upstream(error=error))

    assert answer.status_code == status
    assert answer.json()["status"] == status


@pytest.mark.parametrize("status", [199, 600, 999])
async def test_proxy_maps_a_status_out_of_range_to_502(status: int) -> None:
    upstream = Upstream(status)
    answer = await ask(upstream)

    assert (answer.status_code, answer.json()["status"]) == (502, 502)
    assert upstream.stream.closed == 1


def test_demo_is_served_through_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")
    for name in ("demo", "proxy"):
        (tmp_path / name).mkdir()
    data = bytes(range(256)) * 20_000
    with Server(setup, "examples.demo:app", tmp_path / "demo") as demo:
        monkeypatch.setenv("UPSTREAM", f"http://127.0.0.1:{demo.port}")
        with Server(setup, "examples.reverse_proxy:app", tmp_path / "proxy") as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            line = httpx.get(f"{url}/lines.txt", headers={"range": "bytes=0-31"})
            sent = httpx.post(f"{url}/upload", files={"file": ("a.bin", data)}).json()
            download = httpx.get(f"{url}/download")
            with httpx.stream("GET", f"{url}/stream") as stream:
                pieces = list(stream.iter_raw())
            assert proxy.stop()
            assert proxy.problems == []
        assert demo.stop()
        assert demo.problems == []

    assert (line.status_code, line.text[:7]) == (206, "0000001")
    assert sent["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert download.text.count("\n") == 200_001
    assert len(pieces) == 6
    assert len(line.headers.get_list("date")) == len(line.headers.get_list("server")) == 1
