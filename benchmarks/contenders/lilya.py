"""The request and the responses of Lilya, without its router."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from lilya.datastructures import DataUpload
from lilya.middleware.compression import GZipMiddleware
from lilya.requests import Request
from lilya.responses import (
    EventStreamResponse,
    FileResponse,
    JSONResponse,
    PlainText,
    StreamingResponse,
)
from lilya.staticfiles import StaticFiles

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

# By default, Lilya logs each step of its form parser.
logging.disable(logging.DEBUG)


def adapt(name: str, handler: Any) -> Any:
    if name == "static":
        return StaticFiles(directory=handler)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return GZipMiddleware(serve, compresslevel=6) if name == "gzip_10k" else serve


async def plaintext(_request: Any) -> Any:
    return PlainText(GREETING)


async def json_small(_request: Any) -> Any:
    return JSONResponse(RECORD)


async def json_10k(_request: Any) -> Any:
    return JSONResponse(CATALOGUE)


async def json_100k(_request: Any) -> Any:
    return JSONResponse(CATALOGUE_100K)


async def echo(request: Any) -> Any:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query_params": dict(request.query_params),
        }
    )


async def all_headers(request: Any) -> Any:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return PlainText(str(size))


async def one_header(request: Any) -> Any:
    return PlainText(request.headers[ONE_HEADER])


async def json_body(request: Any) -> Any:
    order = await request.json()
    return PlainText(str(len(order["lines"])))


async def urlencoded(request: Any) -> Any:
    async with request.form() as form:
        size = sum([len(value) for value in form.values()])
        return PlainText(f"{len(form)} {size}")


async def multipart(request: Any) -> Any:
    async with request.form() as form:
        size = file_size = 0
        for value in form.values():
            if isinstance(value, DataUpload):
                file_size = len(await value.read())
            else:
                size += len(value)
        return PlainText(f"{size} {file_size}")


async def upload(request: Any) -> Any:
    async with request.form() as form:
        return PlainText(str(form["file"].size))


async def stream(_request: Any) -> Any:
    return StreamingResponse(chunks(), media_type="application/octet-stream")


async def sync_stream(_request: Any) -> Any:
    return StreamingResponse(sync_chunks(), media_type="application/octet-stream")


static = STATIC_FOLDER


async def file_100k(_request: Any) -> Any:
    return FileResponse(SMALL_FILE)


async def file_50m(_request: Any) -> Any:
    return FileResponse(LARGE_FILE)


async def set_cookie(_request: Any) -> Any:
    response = PlainText(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[dict[str, str]]:
    async for number, data in steps:
        yield {"id": number, "event": "step", "data": data}


async def events(_request: Any) -> Any:
    return EventStreamResponse(event_stream(event_data()))


async def events_wait(_request: Any) -> Any:
    return EventStreamResponse(event_stream(waiting_event_data()))


async def gzip_10k(_request: Any) -> Any:
    return PlainText(ARTICLE)
