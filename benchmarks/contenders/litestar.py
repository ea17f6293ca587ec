"""Litestar, with an application of one route for each app."""

# No `from __future__ import annotations`, because Litestar evaluates the annotations of handlers.

from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, MediaType, Request, Response, route
from litestar.config.compression import CompressionConfig
from litestar.datastructures import UploadFile
from litestar.response import File, ServerSentEvent, ServerSentEventMessage, Stream
from litestar.static_files import create_static_files_router

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
    sync_chunks,
    waiting_event_data,
)

AnyRequest = Request[Any, Any, Any]
BINARY = "application/octet-stream"
MEDIA_TYPES = {
    "json_small": MediaType.JSON,
    "json_10k": MediaType.JSON,
    "json_100k": MediaType.JSON,
    "echo": MediaType.JSON,
    "stream": BINARY,
    "sync_stream": BINARY,
    "file_100k": BINARY,
    "file_50m": BINARY,
    "events": "text/event-stream",
    "events_wait": "text/event-stream",
}


def adapt(name: str, handler: Any) -> Litestar:
    if name == "static":
        router = create_static_files_router(path="/", directories=[handler])
        return Litestar([router], openapi_config=None, logging_config=None)
    decorate = route(
        f"/{name}",
        http_method=["GET", "POST"],
        status_code=200,
        media_type=MEDIA_TYPES.get(name, MediaType.TEXT),
        request_max_body_size=None,
        sync_to_thread=True if name == "def_handler" else None,
    )
    gzip = CompressionConfig(backend="gzip", gzip_compress_level=6)
    return Litestar(
        [decorate(handler)],
        openapi_config=None,
        logging_config=None,
        compression_config=gzip if name == "gzip_10k" else None,
    )


async def plaintext() -> str:
    return GREETING


async def json_small() -> dict[str, Any]:
    return RECORD


async def json_10k() -> dict[str, Any]:
    return CATALOGUE


async def json_100k() -> dict[str, Any]:
    return CATALOGUE_100K


async def echo(request: AnyRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.url.path,
        "query_params": dict(request.query_params),
    }


async def all_headers(request: AnyRequest) -> str:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return str(size)


async def one_header(request: AnyRequest) -> str:
    return request.headers[ONE_HEADER]


async def json_body(request: AnyRequest) -> str:
    order = await request.json()
    return str(len(order["lines"]))


async def urlencoded(request: AnyRequest) -> str:
    form = await request.form()
    return f"{len(form)} {sum([len(value) for value in form.values()])}"


async def multipart(request: AnyRequest) -> str:
    size = file_size = 0
    for value in (await request.form()).values():
        if isinstance(value, UploadFile):
            file_size = len(await value.read())
            await value.close()
        else:
            size += len(value)
    return f"{size} {file_size}"


async def upload(request: AnyRequest) -> str:
    upload = (await request.form())["file"]
    size = upload.file.seek(0, 2)
    await upload.close()
    return str(size)


async def stream() -> Stream:
    return Stream(chunks())


async def sync_stream() -> Stream:
    return Stream(sync_chunks())


def def_handler() -> str:
    return GREETING


static = STATIC_FOLDER


async def file_100k() -> File:
    return File(SMALL_FILE)


async def file_50m() -> File:
    return File(LARGE_FILE)


async def set_cookie() -> Response[str]:
    response = Response(GREETING, media_type=MediaType.TEXT)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def event_stream(
    steps: AsyncIterator[tuple[str, str]],
) -> AsyncIterator[ServerSentEventMessage]:
    async for number, data in steps:
        yield ServerSentEventMessage(data, event="step", id=number)


async def events() -> ServerSentEvent:
    return ServerSentEvent(event_stream(event_data()))


async def events_wait() -> ServerSentEvent:
    return ServerSentEvent(event_stream(waiting_event_data()))


async def gzip_10k() -> str:
    return ARTICLE
