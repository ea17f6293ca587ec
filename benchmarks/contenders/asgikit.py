"""asgikit with `request_response`, as in its README."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asgikit import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Request,
    ServerSentEvent,
    StaticFiles,
    StreamingResponse,
    request_response,
)
from asgikit.apps.compression import Compress
from asgikit.responses.events import EventSourceResponse
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


@request_response
async def plaintext(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(GREETING)


@request_response
async def json_small(_request: Request) -> JSONResponse:
    return JSONResponse(RECORD)


@request_response
async def json_10k(_request: Request) -> JSONResponse:
    return JSONResponse(CATALOGUE)


@request_response
async def json_100k(_request: Request) -> JSONResponse:
    return JSONResponse(CATALOGUE_100K)


@request_response
async def echo(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


@request_response
async def all_headers(request: Request) -> PlainTextResponse:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return PlainTextResponse(str(size))


@request_response
async def one_header(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.headers[ONE_HEADER])


@request_response
async def json_body(request: Request) -> PlainTextResponse:
    order = await request.json()
    return PlainTextResponse(str(len(order["lines"])))


@request_response
async def urlencoded(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        size = sum([len(value) for value in form.values()])  # type: ignore[arg-type, misc]
        return PlainTextResponse(f"{len(form)} {size}")


@request_response
async def multipart(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        size = file_size = 0
        for value in form.values():
            if isinstance(value, str):
                size += len(value)
            else:
                file_size = len(await value.read())
        return PlainTextResponse(f"{size} {file_size}")


@request_response
async def upload(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        return PlainTextResponse(str(form["file"].size))  # type: ignore[union-attr]


@request_response
async def parts(request: Request) -> PlainTextResponse:
    size = 0
    async for part in request.parts():
        async for data in part:
            size += len(data)
    return PlainTextResponse(str(size))


@request_response
async def stream(_request: Request) -> StreamingResponse:
    return StreamingResponse(chunks(), media_type="application/octet-stream")


@request_response
async def file_100k(_request: Request) -> FileResponse:
    return FileResponse(SMALL_FILE)


@request_response
async def file_50m(_request: Request) -> FileResponse:
    return FileResponse(LARGE_FILE)


@request_response
async def set_cookie(_request: Request) -> PlainTextResponse:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[ServerSentEvent]:
    async for number, data in steps:
        yield ServerSentEvent(data, event="step", id=number)


@request_response
async def events(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(event_stream(event_data()))


@request_response
async def events_wait(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(event_stream(waiting_event_data()))


@request_response
async def idle_events(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(event_stream(idle_event_data()))


@request_response
async def sync_stream(_request: Request) -> StreamingResponse:
    return StreamingResponse(sync_chunks(), media_type="application/octet-stream")


@request_response
def def_handler(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(GREETING)


static = StaticFiles(STATIC_FOLDER)


@request_response
async def article(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(ARTICLE)


gzip_10k = Compress(article, codings=["gzip"], levels={"gzip": 6})
