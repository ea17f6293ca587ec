"""The request and the responses of Starlette, without its router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import request_response
from starlette.staticfiles import StaticFiles

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
    sync_chunks,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def adapt(name: str, handler: Any) -> ASGIApp:
    if name == "static":
        return StaticFiles(directory=handler)
    if name == "def_handler":
        return request_response(handler)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return GZipMiddleware(serve, compresslevel=6) if name == "gzip_10k" else serve


async def plaintext(_request: Request) -> Response:
    return PlainTextResponse(GREETING)


async def json_small(_request: Request) -> Response:
    return JSONResponse(RECORD)


async def json_10k(_request: Request) -> Response:
    return JSONResponse(CATALOGUE)


async def json_100k(_request: Request) -> Response:
    return JSONResponse(CATALOGUE_100K)


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query_params": dict(request.query_params),
        }
    )


async def all_headers(request: Request) -> Response:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return PlainTextResponse(str(size))


async def one_header(request: Request) -> Response:
    return PlainTextResponse(request.headers[ONE_HEADER])


async def json_body(request: Request) -> Response:
    order = await request.json()
    return PlainTextResponse(str(len(order["lines"])))


async def urlencoded(request: Request) -> Response:
    async with request.form() as form:
        size = sum([len(value) for value in form.values()])  # type: ignore[arg-type, misc]
        return PlainTextResponse(f"{len(form)} {size}")


async def multipart(request: Request) -> Response:
    async with request.form() as form:
        size = file_size = 0
        for value in form.values():
            if isinstance(value, UploadFile):
                file_size = len(await value.read())
            else:
                size += len(value)
        return PlainTextResponse(f"{size} {file_size}")


async def upload(request: Request) -> Response:
    async with request.form() as form:
        return PlainTextResponse(str(form["file"].size))  # type: ignore[union-attr]


async def stream(_request: Request) -> Response:
    return StreamingResponse(chunks(), media_type="application/octet-stream")


async def sync_stream(_request: Request) -> Response:
    return StreamingResponse(sync_chunks(), media_type="application/octet-stream")


def def_handler(_request: Request) -> Response:
    return PlainTextResponse(GREETING)


static = STATIC_FOLDER


async def file_100k(_request: Request) -> Response:
    return FileResponse(SMALL_FILE)


async def file_50m(_request: Request) -> Response:
    return FileResponse(LARGE_FILE)


async def set_cookie(_request: Request) -> Response:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def gzip_10k(_request: Request) -> Response:
    return PlainTextResponse(ARTICLE)
