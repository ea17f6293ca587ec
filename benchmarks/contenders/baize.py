"""The request and the responses of baize, without its router."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from baize.asgi import (
    FileResponse,
    Files,
    JSONResponse,
    PlainTextResponse,
    Request,
    SendEventResponse,
    StreamResponse,
)
from baize.datastructures import UploadFile
from baize.typing import ServerSentEvent

from benchmarks.payloads import (
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
    waiting_event_data,
)


def adapt(name: str, handler: Any) -> Any:
    if name == "static":
        return Files(handler)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return serve


async def plaintext(_request: Request) -> Any:
    return PlainTextResponse(GREETING)


async def json_small(_request: Request) -> Any:
    return JSONResponse(RECORD)


async def json_10k(_request: Request) -> Any:
    return JSONResponse(CATALOGUE)


async def json_100k(_request: Request) -> Any:
    return JSONResponse(CATALOGUE_100K)


async def echo(request: Request) -> Any:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query_params": dict(request.query_params),
        }
    )


async def all_headers(request: Request) -> Any:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return PlainTextResponse(str(size))


async def one_header(request: Request) -> Any:
    return PlainTextResponse(request.headers[ONE_HEADER])


async def json_body(request: Request) -> Any:
    order = await request.json
    return PlainTextResponse(str(len(order["lines"])))


async def urlencoded(request: Request) -> Any:
    form = await request.form
    size = sum([len(value) for value in form.values()])  # type: ignore[arg-type, misc]
    return PlainTextResponse(f"{len(form)} {size}")


async def multipart(request: Request) -> Any:
    size = file_size = 0
    for value in (await request.form).values():
        if isinstance(value, UploadFile):
            file_size = len(await value.aread())
        else:
            size += len(value)
    await request.close()
    return PlainTextResponse(f"{size} {file_size}")


async def upload(request: Request) -> Any:
    upload = (await request.form)["file"]
    size = upload.file.seek(0, 2)  # type: ignore[union-attr]
    await request.close()
    return PlainTextResponse(str(size))


async def stream(_request: Request) -> Any:
    return StreamResponse(chunks())


async def file_100k(_request: Request) -> Any:
    return FileResponse(str(SMALL_FILE))


async def file_50m(_request: Request) -> Any:
    return FileResponse(str(LARGE_FILE))


async def set_cookie(_request: Request) -> Any:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[ServerSentEvent]:
    async for number, data in steps:
        yield {"id": number, "event": "step", "data": data}


async def events(_request: Request) -> Any:
    return SendEventResponse(event_stream(event_data()))


async def events_wait(_request: Request) -> Any:
    return SendEventResponse(event_stream(waiting_event_data()))


static = str(STATIC_FOLDER)
