"""The request and the responses of asgi-tools, without its router."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from asgi_tools import (
    Request,
    ResponseFile,
    ResponseJSON,
    ResponseSSE,
    ResponseStream,
    ResponseText,
    StaticFilesMiddleware,
)

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
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    if name == "static":
        return StaticFilesMiddleware(serve, url_prefix="/", folders=[handler])
    return serve


async def plaintext(_request: Any) -> Any:
    return ResponseText(GREETING)


async def json_small(_request: Any) -> Any:
    return ResponseJSON(RECORD)


async def json_10k(_request: Any) -> Any:
    return ResponseJSON(CATALOGUE)


async def json_100k(_request: Any) -> Any:
    return ResponseJSON(CATALOGUE_100K)


async def echo(request: Any) -> Any:
    return ResponseJSON(
        {
            "method": request.method,
            "path": request.url.path,
            "query_params": dict(request.query),
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
    return ResponseText(str(size))


async def one_header(request: Any) -> Any:
    return ResponseText(request.headers[ONE_HEADER])


async def json_body(request: Any) -> Any:
    order = await request.json()
    return ResponseText(str(len(order["lines"])))


async def urlencoded(request: Any) -> Any:
    form = await request.form()
    return ResponseText(f"{len(form)} {sum([len(value) for value in form.values()])}")


async def multipart(request: Any) -> Any:
    size = file_size = 0
    for value in (await request.form()).values():
        if isinstance(value, str):
            size += len(value)
        else:
            file_size = len(value.read())
            value.close()
    return ResponseText(f"{size} {file_size}")


async def stream(_request: Any) -> Any:
    return ResponseStream(chunks(), content_type="application/octet-stream")


async def file_100k(_request: Any) -> Any:
    return ResponseFile(SMALL_FILE)


async def file_50m(_request: Any) -> Any:
    return ResponseFile(LARGE_FILE)


static = STATIC_FOLDER


async def set_cookie(_request: Any) -> Any:
    response = ResponseText(GREETING)
    response.cookies["sid"] = "0f1e2d3c4b5a"
    for name, value in COOKIE_ATTRIBUTES.items():
        response.cookies["sid"][name] = value
    return response


COOKIE_ATTRIBUTES = {
    "path": "/",
    "max-age": 1800,
    "secure": True,
    "httponly": True,
    "samesite": "lax",
}


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[dict[str, str]]:
    async for number, data in steps:
        yield {"id": number, "event": "step", "data": data}


async def events(_request: Any) -> Any:
    return ResponseSSE(event_stream(event_data()))


async def events_wait(_request: Any) -> Any:
    return ResponseSSE(event_stream(waiting_event_data()))
