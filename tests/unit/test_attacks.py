"""The CPU time of hostile requests, against a benign request of the same size in the same run.

Each attack stays within the default limits. The bound on the ratio is 5; a constant of a few
milliseconds is added, since a refusal takes almost no time.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from asgikit import Compress, HTTPError, JSONResponse, PlainTextResponse, Request, StaticFiles
from asgikit.apps.adapters import request_response

if TYPE_CHECKING:
    from pathlib import Path

RATIO = 5.0
SLACK = 0.02  # seconds
MiB = 1024 * 1024


@request_response
async def echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


@request_response
async def read_text(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@request_response
async def fail(request: Request) -> PlainTextResponse:
    raise HTTPError(404)


@request_response
async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("text " * 1000)


compressed = Compress(plain)


class Sent(NamedTuple):
    """One request."""

    app: Any
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    path: str = "/"


async def call(sent: Sent) -> int:
    """Run one request and return its status."""
    chunks = [sent.body[start : start + 65536] for start in range(0, len(sent.body), 65536)]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not chunks:
            return {"type": "http.request", "body": b"", "more_body": False}
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if sent.body else "GET",
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "query_string": b"",
        "headers": [*sent.headers],
    }
    await sent.app(scope, receive, send)
    status: int = messages[0]["status"]
    return status


def measure(sent: Sent) -> tuple[int, float]:
    """Return the status and the CPU seconds of a request, the least of three."""
    times: list[float] = []
    for _ in range(3):
        started = time.process_time()
        status = asyncio.run(call(sent))
        times.append(time.process_time() - started)
    return status, min(times)


def pad(item: bytes, size: int = MiB) -> bytes:
    """Return a JSON array of ``item``, repeated up to ``size`` bytes."""
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


#: A document as applications send them.
DOCUMENT = (
    json.dumps(
        [{"id": number, "name": f"user {number}", "tags": ["a", "b"]} for number in range(20_000)]
    ).encode()[:-1]
    + b"]"
)

#: Documents of 1 MiB without depth or long integers: small integers, and small containers.
BENIGN = [DOCUMENT, pad(b"123"), pad(b"[]"), pad(b'{"a":1}')]

#: A deflate block that is empty: with a table of codes of its own, it costs time and gives nothing.
EMPTY_BLOCKS = zlib.compressobj(wbits=-15).flush(zlib.Z_FULL_FLUSH) * 100_000


def forms_of_json() -> list[tuple[str, bytes, int]]:
    long = b"1" * 25
    return [
        ("nested to the limit", pad(nested(199)), 200),
        ("nested beyond the limit", pad(nested(300)), 400),
        ("nested objects", pad(b'{"a":' * 199 + b"1" + b"}" * 199), 200),
        ("one long integer", DOCUMENT[:-1] + b"," + long + b"]", 200),
        ("a long integer in 400 items", pad(b",".join([b"1"] * 400 + [long])), 200),
        ("long integers", pad(long), 200),
        ("long integers in objects", pad(b'{"":' + long + b"}"), 200),
        ("long strings of digits", pad(b'"' + long + b'"'), 200),
        ("escapes and an integer", pad(rb'"\ud83d\ude00"')[:-1] + b"," + long + b"]", 200),
        ("floats and a long integer", pad(b"1.5")[:-1] + b"," + long + b"]", 200),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"),
    [pytest.param(body, status, id=name) for name, body, status in forms_of_json()],
)
def test_json_echo_costs_at_most_5_times_benign_document(body: bytes, status: int) -> None:
    base = max(measure(Sent(echo, benign))[1] for benign in BENIGN)
    got, seconds = measure(Sent(echo, body))

    assert got == status
    assert seconds <= RATIO * base + SLACK


def test_json_bomb_costs_at_most_5_times_benign_one() -> None:
    # 9 MiB of nested arrays, from a few kilobytes.
    hostile = gzip.compress(pad(nested(300), 9 * MiB))
    benign = gzip.compress(pad(b"123", 9 * MiB))
    coded = ((b"content-encoding", b"gzip"),)
    _, base = measure(Sent(echo, benign, coded))
    status, seconds = measure(Sent(echo, hostile, coded))

    assert status in (400, 413)  # nested too deep, or over `max_ratio`
    assert seconds <= RATIO * base + SLACK


@pytest.mark.parametrize(
    ("field", "body", "status"),
    [
        (b"deflate, gzip", gzip.compress(zlib.compress(b"")[:2] + EMPTY_BLOCKS), 415),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"a" * MiB)), 415),
        (b"deflate", b"\x78\x9c" + EMPTY_BLOCKS, 400),
    ],
    ids=["deflate in gzip", "gzip in gzip", "empty blocks"],
)
def test_coded_body_without_content_costs_at_most_5_times_benign_one(
    field: bytes, body: bytes, status: int
) -> None:
    benign = gzip.compress(os.urandom(len(body)))
    _, base = measure(Sent(read_text, benign, ((b"content-encoding", b"gzip"),)))
    got, seconds = measure(Sent(read_text, body, ((b"content-encoding", field),)))

    assert got == status
    assert seconds <= RATIO * base + max(SLACK, 0.3 * len(body) / 1e6)


HEADERS: list[tuple[Any, bytes, bytes]] = [
    (fail, b"accept", b"a/b;q=0.5,"),
    (fail, b"accept", b'text/html;a="\\",'),
    (compressed, b"accept-encoding", b"gzip;q=0.1,"),
    (compressed, b"accept-encoding", b"a,"),
]


@pytest.mark.parametrize(("app", "name", "unit"), HEADERS)
@pytest.mark.parametrize("size", [8000, 60_000, 1_000_000, 20_000_000])
def test_long_header_costs_at_most_5_times_one_of_8_kib(
    app: Any, name: bytes, unit: bytes, size: int
) -> None:
    _, base = measure(Sent(app, headers=((name, unit * (8000 // len(unit))),)))
    _, seconds = measure(Sent(app, headers=((name, unit * (size // len(unit))),)))

    assert seconds <= RATIO * base + SLACK


@pytest.mark.parametrize("name", [b"accept-encoding", b"range", b"if-none-match", b"if-range"])
def test_long_header_of_static_file_is_ignored(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")
    app = StaticFiles(tmp_path)
    status, base = measure(Sent(app, path="/a.txt"))
    got, seconds = measure(Sent(app, path="/a.txt", headers=((name, b'bytes=0-1,"a",' * 100_000),)))

    assert got == status == 200
    assert seconds <= RATIO * base + SLACK


@pytest.mark.parametrize("options", [{}, {"html": True}, {"fallback": "index.html"}])
@pytest.mark.parametrize("length", [2047, 32_000])
def test_path_of_many_names_costs_at_most_5_times_short_one(
    tmp_path: Path, options: dict[str, Any], length: int
) -> None:
    (tmp_path / "index.html").write_bytes(b"page")
    app = StaticFiles(tmp_path, **options)
    _, base = measure(Sent(app, path="/missing/file"))
    _, seconds = measure(Sent(app, path="/a" * length))

    assert seconds <= RATIO * base + SLACK


def test_measured_attack_is_found() -> None:
    @request_response
    async def slow(request: Request) -> PlainTextResponse:
        ended = time.process_time() + 3 * SLACK
        while time.process_time() < ended:
            pass
        return PlainTextResponse("")

    assert measure(Sent(slow))[1] > RATIO * 0.001 + SLACK
