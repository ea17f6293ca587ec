"""Falcon, with an application of one route for each app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from falcon import MEDIA_MULTIPART, MEDIA_TEXT, MEDIA_URLENCODED
from falcon.asgi import App, Request, Response, SSEvent
from falcon.media import MultipartFormHandler, URLEncodedFormHandler

from benchmarks.payloads import (
    CATALOGUE,
    CATALOGUE_100K,
    COOKIES,
    GREETING,
    HEADERS,
    LARGE_FILE,
    LARGE_SIZE,
    ONE_HEADER,
    RECORD,
    SMALL_FILE,
    STATIC_FOLDER,
    chunks,
    event_data,
    waiting_event_data,
)

Handler: TypeAlias = Callable[[Request, Response], Awaitable[None]]


class Resource:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def on_get(self, request: Request, response: Response) -> None:
        await self.handler(request, response)

    on_post = on_get


def adapt(name: str, handler: Any) -> App[Request, Response]:
    app = App(media_type=MEDIA_TEXT)
    if name == "static":
        app.add_static_route("/", handler)
        return app
    if isinstance(handler, Path):
        app.add_static_route(f"/{name}", handler.parent, fallback_filename=handler.name)
        return app
    # Keep empty fields, as the other contenders do.
    app.req_options.media_handlers[MEDIA_URLENCODED] = URLEncodedFormHandler(keep_blank=True)
    multipart = MultipartFormHandler()
    multipart.parse_options.max_body_part_buffer_size = LARGE_SIZE
    app.req_options.media_handlers[MEDIA_MULTIPART] = multipart
    app.add_route(f"/{name}", Resource(handler))
    return app


file_100k = SMALL_FILE
file_50m = LARGE_FILE
static = STATIC_FOLDER


async def plaintext(_request: Request, response: Response) -> None:
    response.text = GREETING


async def json_small(_request: Request, response: Response) -> None:
    response.content_type = "application/json"
    response.media = RECORD


async def json_10k(_request: Request, response: Response) -> None:
    response.content_type = "application/json"
    response.media = CATALOGUE


async def json_100k(_request: Request, response: Response) -> None:
    response.content_type = "application/json"
    response.media = CATALOGUE_100K


async def echo(request: Request, response: Response) -> None:
    response.content_type = "application/json"
    response.media = {
        "method": request.method,
        "path": request.path,
        "query_params": dict(request.params),
    }


async def all_headers(request: Request, response: Response) -> None:
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(request.get_header(name, required=True))
    for name in COOKIES:
        size += len(cookies[name])
    response.text = str(size)


async def one_header(request: Request, response: Response) -> None:
    response.text = request.get_header(ONE_HEADER)


async def json_body(request: Request, response: Response) -> None:
    order = await request.get_media()
    response.text = str(len(order["lines"]))


async def urlencoded(request: Request, response: Response) -> None:
    form = await request.get_media()
    response.text = f"{len(form)} {sum([len(value) for value in form.values()])}"


async def multipart(request: Request, response: Response) -> None:
    size = file_size = 0
    async for part in await request.get_media():
        if part.filename:
            file_size = len(await part.get_data())
        else:
            size += len(await part.get_text())
    response.text = f"{size} {file_size}"


async def parts(request: Request, response: Response) -> None:
    size = 0
    async for part in await request.get_media():
        async for data in part.stream:
            size += len(data)
    response.text = str(size)


async def stream(_request: Request, response: Response) -> None:
    response.content_type = "application/octet-stream"
    response.stream = chunks()


async def set_cookie(_request: Request, response: Response) -> None:
    response.text = GREETING
    response.set_cookie(
        "sid", "0f1e2d3c4b5a", max_age=1800, path="/", secure=True, http_only=True, same_site="lax"
    )


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[SSEvent | None]:
    async for number, data in steps:
        yield SSEvent(text=data, event="step", event_id=number)


async def events(_request: Request, response: Response) -> None:
    response.sse = event_stream(event_data())


async def events_wait(_request: Request, response: Response) -> None:
    response.sse = event_stream(waiting_event_data())
