"""Raw ASGI messages, written by hand: the base of all ratios."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import zlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from python_multipart.multipart import MultipartParser, parse_options_header

from benchmarks.payloads import (
    ARTICLE,
    CATALOGUE,
    CATALOGUE_100K,
    COOKIES,
    GREETING,
    HEADERS,
    LARGE_FILE,
    ONE_HEADER,
    RECORD,
    SMALL_FILE,
    STATIC_FOLDER,
    chunks,
    event_data,
    idle_event_data,
    sync_chunks,
    waiting_event_data,
)

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")
BINARY = (b"content-type", b"application/octet-stream")
CSS = (b"content-type", b"text/css; charset=utf-8")
FOLDER = str(STATIC_FOLDER)
NAMES = [name.encode() for name in HEADERS]
READ_SIZE = 256 * 1024

read_disposition = re.compile(rb'form-data; name="([^"\\]*)"(?:; filename="([^"\\]*)")?').fullmatch


async def respond(send: Any, body: bytes, media_type: tuple[bytes, bytes], *more: Any) -> None:
    length = (b"content-length", b"%d" % len(body))
    headers = [media_type, length, *more]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    if not message.get("more_body", False):
        return body
    chunks = [body]
    while message.get("more_body", False):
        message = await receive()
        chunks.append(message["body"])
    return b"".join(chunks)


async def plaintext(_scope: Any, _receive: Any, send: Any) -> None:
    body = GREETING.encode()
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT, length]})
    await send({"type": "http.response.body", "body": body})


async def json_small(_scope: Any, _receive: Any, send: Any) -> None:
    body = orjson.dumps(RECORD)
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [JSON, length]})
    await send({"type": "http.response.body", "body": body})


async def json_10k(_scope: Any, _receive: Any, send: Any) -> None:
    await respond(send, orjson.dumps(CATALOGUE), JSON)


async def json_100k(_scope: Any, _receive: Any, send: Any) -> None:
    await respond(send, orjson.dumps(CATALOGUE_100K), JSON)


async def echo(scope: Any, _receive: Any, send: Any) -> None:
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    response = {"method": scope["method"], "path": scope["path"], "query_params": dict(query)}
    await respond(send, orjson.dumps(response), JSON)


async def all_headers(scope: Any, _receive: Any, send: Any) -> None:
    headers = dict(scope["headers"])
    size = 0
    for name in NAMES:
        size += len(headers[name].decode("latin-1"))
    cookies = {}
    for pair in headers[b"cookie"].decode("latin-1").split("; "):
        key, _, value = pair.partition("=")
        cookies[key] = value
    for key in COOKIES:
        size += len(cookies[key])
    await respond(send, str(size).encode(), TEXT)


async def one_header(scope: Any, _receive: Any, send: Any) -> None:
    wanted = ONE_HEADER.encode()
    found = ""
    for name, value in scope["headers"]:
        if name == wanted:
            found = value.decode("latin-1")
            break
    await respond(send, found.encode(), TEXT)


async def json_body(_scope: Any, receive: Any, send: Any) -> None:
    order = orjson.loads(await read_body(receive))
    await respond(send, str(len(order["lines"])).encode(), TEXT)


async def urlencoded(_scope: Any, receive: Any, send: Any) -> None:
    body = await read_body(receive)
    form = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    size = sum([len(value) for value in form.values()])
    await respond(send, f"{len(form)} {size}".encode(), TEXT)


class Counter:
    """A file that counts its bytes."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


class Form:
    """Parse a multipart body: join texts, and write files to those that ``open_file`` returns."""

    def __init__(self, open_file: Any) -> None:
        self.open_file = open_file
        self.texts: dict[str, str] = {}
        self.files: dict[str, Any] = {}
        self.key = self.value = self.disposition = b""
        self.name = ""
        self.text: list[bytes] | None = None
        self.write: Any = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.key += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        if self.key.lower() == b"content-disposition":
            self.disposition = self.value
        self.key = self.value = b""

    def on_headers_finished(self) -> None:
        match = read_disposition(self.disposition)
        if match:
            name, filename = match.groups()
        else:
            options = parse_options_header(self.disposition)[1]
            name, filename = options[b"name"], options.get(b"filename")
        self.name = name.decode()
        if filename is None:
            self.text = []
            self.write = self.text.append
        else:
            self.text = None
            file = self.files[self.name] = self.open_file()
            self.write = file.write

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.write(data if start == 0 and end == len(data) else data[start:end])

    def on_part_end(self) -> None:
        if self.text is not None:
            self.texts[self.name] = b"".join(self.text).decode()

    async def read(self, scope: Any, receive: Any) -> None:
        boundary = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                boundary = parse_options_header(value)[1][b"boundary"]
        names = (
            "on_header_field",
            "on_header_value",
            "on_header_end",
            "on_headers_finished",
            "on_part_data",
            "on_part_end",
        )
        callbacks: Any = {name: getattr(self, name) for name in names}
        parser = MultipartParser(boundary, callbacks)
        more = True
        while more:
            message = await receive()
            parser.write(message["body"])
            more = message.get("more_body", False)
        parser.finalize()


async def multipart(scope: Any, receive: Any, send: Any) -> None:
    form = Form(BytesIO)
    await form.read(scope, receive)
    file = form.files["file"]
    file.seek(0)
    size = sum([len(value) for value in form.texts.values()])
    await respond(send, f"{size} {len(file.read())}".encode(), TEXT)


async def upload(scope: Any, receive: Any, send: Any) -> None:
    form = Form(lambda: tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed below
    await form.read(scope, receive)
    with form.files["file"] as file:
        await respond(send, str(file.tell()).encode(), TEXT)


async def parts(scope: Any, receive: Any, send: Any) -> None:
    form = Form(Counter)
    await form.read(scope, receive)
    await respond(send, str(form.files["file"].size).encode(), TEXT)


async def stream(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [BINARY]})
    async for chunk in chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def sync_stream(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [BINARY]})
    for chunk in sync_chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def def_handler(_scope: Any, _receive: Any, send: Any) -> None:
    body = await asyncio.get_running_loop().run_in_executor(None, GREETING.encode)
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT, length]})
    await send({"type": "http.response.body", "body": body})


async def send_file(path: Path, scope: Any, send: Any) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        remaining = status.st_size
        headers = [
            BINARY,
            (b"content-length", b"%d" % remaining),
            (b"last-modified", formatdate(status.st_mtime, usegmt=True).encode()),
            (b"etag", b'"%x-%x"' % (status.st_mtime_ns, remaining)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if "http.response.pathsend" in scope.get("extensions", ()):
            await send({"type": "http.response.pathsend", "path": str(path)})
            return
        while remaining > 0:
            body = os.read(descriptor, min(READ_SIZE, remaining))
            remaining -= len(body)
            await send({"type": "http.response.body", "body": body, "more_body": remaining > 0})
    finally:
        os.close(descriptor)


async def file_100k(scope: Any, _receive: Any, send: Any) -> None:
    await send_file(SMALL_FILE, scope, send)


async def file_50m(scope: Any, _receive: Any, send: Any) -> None:
    await send_file(LARGE_FILE, scope, send)


async def set_cookie(_scope: Any, _receive: Any, send: Any) -> None:
    body = GREETING.encode()
    cookie = f"sid={'0f1e2d3c4b5a'}; Max-Age={1800}; Path=/; Secure; HttpOnly; SameSite=lax"
    length = (b"content-length", b"%d" % len(body))
    headers = [TEXT, length, (b"set-cookie", cookie.encode("latin-1"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_events(send: Any, steps: AsyncIterator[tuple[str, str]]) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for number, data in steps:
        body = f"id: {number}\nevent: step\ndata: {data}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def events(_scope: Any, _receive: Any, send: Any) -> None:
    await send_events(send, event_data())


async def events_wait(_scope: Any, _receive: Any, send: Any) -> None:
    await send_events(send, waiting_event_data())


async def idle_events(_scope: Any, _receive: Any, send: Any) -> None:
    await send_events(send, idle_event_data())


async def static(scope: Any, _receive: Any, send: Any) -> None:
    descriptor = os.open(FOLDER + scope["path"], os.O_RDONLY)
    status = os.fstat(descriptor)
    body = os.read(descriptor, status.st_size)
    os.close(descriptor)
    code, more = 200, (b"etag", b'"%x-%x"' % (status.st_mtime_ns, status.st_size))
    for name, value in scope["headers"]:
        if name == b"if-none-match" and value == more[1]:
            await send({"type": "http.response.start", "status": 304, "headers": [more]})
            await send({"type": "http.response.body", "body": b""})
            return
        if name == b"range":
            first, _, last = value.removeprefix(b"bytes=").partition(b"-")
            code, total = 206, len(body)
            more = (b"content-range", b"bytes %s-%s/%d" % (first, last, total))
            body = body[int(first) : int(last) + 1]
    headers = [CSS, (b"content-length", b"%d" % len(body)), more]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def gzip_10k(scope: Any, _receive: Any, send: Any) -> None:
    accepted = b""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted = value
    body, more = ARTICLE.encode(), [(b"vary", b"accept-encoding")]
    if b"gzip" in accepted:
        encoder = zlib.compressobj(6, zlib.DEFLATED, 31)
        body = encoder.compress(body) + encoder.flush()
        more.append((b"content-encoding", b"gzip"))
    await respond(send, body, TEXT, *more)
