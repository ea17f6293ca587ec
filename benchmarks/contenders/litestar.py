"""Litestar, with an application of one route for each app."""

# No `from __future__ import annotations`, because Litestar evaluates the annotations of handlers.

from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, MediaType, Request, Response, route
from litestar.config.compression import CompressionConfig
from litestar.datastructures import UploadFile
from litestar.response import File, ServerSentEvent, ServerSentEventMessage, Stream

from benchmarks.payloads import (
    ARTICLE,
    CATALOGUE,
    COOKIES,
    GREETING,
    HEADERS,
    LARGE_FILE,
    ONE_HEADER,
    RECORD,
    SMALL_FILE,
    chunks,
    event_data,
)

AnyRequest = Request[Any, Any, Any]
BINARY = "application/octet-stream"
MEDIA_TYPES = {
    "b_json_small": MediaType.JSON,
    "c_json_10k": MediaType.JSON,
    "d_echo": MediaType.JSON,
    "j_stream": BINARY,
    "k_file_100k": BINARY,
    "k_file_50m": BINARY,
    "n_events": "text/event-stream",
}


def adapt(name: str, handler: Any) -> Litestar:
    decorate = route(
        f"/{name}",
        http_method=["GET", "POST"],
        status_code=200,
        media_type=MEDIA_TYPES.get(name, MediaType.TEXT),
        request_max_body_size=None,
    )
    gzip = CompressionConfig(backend="gzip", gzip_compress_level=6)
    return Litestar(
        [decorate(handler)],
        openapi_config=None,
        logging_config=None,
        compression_config=gzip if name == "o_gzip" else None,
    )


async def a_plaintext() -> str:
    return GREETING


async def b_json_small() -> dict[str, Any]:
    return RECORD


async def c_json_10k() -> dict[str, Any]:
    return CATALOGUE


async def d_echo(request: AnyRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.url.path,
        "query_params": dict(request.query_params),
    }


async def e_headers(request: AnyRequest) -> str:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return str(size)


async def e1_one_header(request: AnyRequest) -> str:
    return request.headers[ONE_HEADER]


async def f_json_body(request: AnyRequest) -> str:
    order = await request.json()
    return str(len(order["lines"]))


async def g_form(request: AnyRequest) -> str:
    form = await request.form()
    return f"{len(form)} {sum([len(value) for value in form.values()])}"


async def h_multipart(request: AnyRequest) -> str:
    size = file_size = 0
    for value in (await request.form()).values():
        if isinstance(value, UploadFile):
            file_size = len(await value.read())
            await value.close()
        else:
            size += len(value)
    return f"{size} {file_size}"


async def i_upload(request: AnyRequest) -> str:
    upload = (await request.form())["file"]
    size = upload.file.seek(0, 2)
    await upload.close()
    return str(size)


async def j_stream() -> Stream:
    return Stream(chunks())


async def k_file_100k() -> File:
    return File(SMALL_FILE)


async def k_file_50m() -> File:
    return File(LARGE_FILE)


async def l_set_cookie() -> Response[str]:
    response = Response(GREETING, media_type=MediaType.TEXT)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def events() -> AsyncIterator[ServerSentEventMessage]:
    async for number, data in event_data():
        yield ServerSentEventMessage(data, event="step", id=number)


async def n_events() -> ServerSentEvent:
    return ServerSentEvent(events())


async def o_gzip() -> str:
    return ARTICLE
