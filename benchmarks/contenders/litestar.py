"""Litestar: an application of one route for each scenario."""

# No `from __future__ import annotations`: Litestar reads the annotations of handlers.

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
    FIELDS,
    GREETING,
    LARGE_FILE,
    ONE_FIELD,
    RECORD,
    SMALL_FILE,
    pieces,
    steps,
)

AnyRequest = Request[Any, Any, Any]


def app(handler: Any, media_type: str, **more: Any) -> Litestar:
    decorate = route(
        f"/{handler.__name__}",
        http_method=["GET", "POST"],
        status_code=200,
        media_type=media_type,
        request_max_body_size=None,
    )
    return Litestar([decorate(handler)], openapi_config=None, logging_config=None, **more)


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
    for name in FIELDS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return str(size)


async def e1_one_header(request: AnyRequest) -> str:
    return request.headers[ONE_FIELD]


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
    return Stream(pieces())


async def k_file_100k() -> File:
    return File(SMALL_FILE)


async def k_file_50m() -> File:
    return File(LARGE_FILE)


async def l_set_cookie() -> Response[str]:
    response = Response(GREETING, media_type=MediaType.TEXT)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def events() -> AsyncIterator[ServerSentEventMessage]:
    async for number, data in steps():
        yield ServerSentEventMessage(data, event="step", id=number)


async def n_events() -> ServerSentEvent:
    return ServerSentEvent(events())


async def o_gzip() -> str:
    return ARTICLE


BINARY = "application/octet-stream"
GZIP = CompressionConfig(backend="gzip", gzip_compress_level=6)
APPS = {
    "a_plaintext": app(a_plaintext, MediaType.TEXT),
    "b_json_small": app(b_json_small, MediaType.JSON),
    "c_json_10k": app(c_json_10k, MediaType.JSON),
    "d_echo": app(d_echo, MediaType.JSON),
    "e_headers": app(e_headers, MediaType.TEXT),
    "e1_one_header": app(e1_one_header, MediaType.TEXT),
    "f_json_body": app(f_json_body, MediaType.TEXT),
    "g_form": app(g_form, MediaType.TEXT),
    "h_multipart": app(h_multipart, MediaType.TEXT),
    "i_upload": app(i_upload, MediaType.TEXT),
    "j_stream": app(j_stream, BINARY),
    "k_file_100k": app(k_file_100k, BINARY),
    "k_file_50m": app(k_file_50m, BINARY),
    "l_set_cookie": app(l_set_cookie, MediaType.TEXT),
    "n_events": app(n_events, "text/event-stream"),
    "o_gzip": app(o_gzip, MediaType.TEXT, compression_config=GZIP),
}
