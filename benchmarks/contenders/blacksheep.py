"""BlackSheep, with an application of one route for each app."""

# BlackSheep passes arguments by their names.
# ruff: noqa: ARG001

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from blacksheep import Application, Cookie, Request, Response, Router, StreamedContent
from blacksheep.common.files.asyncfs import FilesHandler
from blacksheep.cookies import CookieSameSiteMode
from blacksheep.server.compression import GzipMiddleware
from blacksheep.server.files import get_response_for_file
from blacksheep.server.responses import json, text
from blacksheep.server.sse import ServerSentEvent, ServerSentEventsResponse, TextServerSentEvent

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
    waiting_event_data,
)

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def adapt(name: str, handler: Any) -> Application:
    app = Application(router=Router())
    if name == "static":
        app.serve_files(handler)
        return app
    app.router.add_get(f"/{name}", handler)
    app.router.add_post(f"/{name}", handler)
    if name == "gzip_10k":
        app.middlewares.append(GzipMiddleware(comp_level=6))  # type: ignore[arg-type]
    return app


async def start(app: Application) -> None:
    await app.start()  # type: ignore[no-untyped-call]


async def plaintext(request: Request) -> Response:
    return text(GREETING)


async def json_small(request: Request) -> Response:
    return json(RECORD)


async def json_10k(request: Request) -> Response:
    return json(CATALOGUE)


async def json_100k(request: Request) -> Response:
    return json(CATALOGUE_100K)


async def echo(request: Request) -> Response:
    return json(
        {
            "method": request.method,
            "path": request.path,
            "query_params": {key: values[0] for key, values in request.query.items()},
        }
    )


def first(request: Request, name: str) -> str:
    return (request.get_first_header(name.encode()) or b"").decode("latin-1")


async def all_headers(request: Request) -> Response:
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(first(request, name))
    for name in COOKIES:
        size += len(cookies[name])
    return text(str(size))


async def one_header(request: Request) -> Response:
    return text(first(request, ONE_HEADER))


async def json_body(request: Request) -> Response:
    order = await request.json()
    return text(str(len(order["lines"])))


async def urlencoded(request: Request) -> Response:
    form: Any = await request.form()
    return text(f"{len(form)} {sum([len(value) for value in form.values()])}")


async def multipart(request: Request) -> Response:
    form: Any = await request.form()
    size = file_size = 0
    for value in form.values():
        if isinstance(value, str):
            size += len(value)
        else:
            file_size = len(value[0].file.read())
    return text(f"{size} {file_size}")


async def upload(request: Request) -> Response:
    form: Any = await request.form()
    with form["file"][0].file as file:
        return text(str(file.seek(0, 2)))


async def parts(request: Request) -> Response:
    size = 0
    async for part in request.multipart_stream():
        async for data in part.stream():
            size += len(data)
    return text(str(size))


async def stream(request: Request) -> Response:
    return Response(200, None, StreamedContent(b"application/octet-stream", chunks))


def file_handler(path: Path) -> Handler:
    files = FilesHandler()

    async def handler(request: Request) -> Response:
        return get_response_for_file(files, request, str(path), 0)

    return handler


file_100k = file_handler(SMALL_FILE)
file_50m = file_handler(LARGE_FILE)


async def set_cookie(request: Request) -> Response:
    response = text(GREETING)
    cookie = Cookie(
        "sid",
        "0f1e2d3c4b5a",
        path="/",
        http_only=True,
        secure=True,
        max_age=1800,
        same_site=CookieSameSiteMode.LAX,
    )
    response.set_cookie(cookie)
    return response


async def event_stream(steps: AsyncIterator[tuple[str, str]]) -> AsyncIterator[ServerSentEvent]:
    async for number, data in steps:
        yield TextServerSentEvent(data, event="step", id=number)


async def events(request: Request) -> Response:
    return ServerSentEventsResponse(lambda: event_stream(event_data()))


async def events_wait(request: Request) -> Response:
    return ServerSentEventsResponse(lambda: event_stream(waiting_event_data()))


static = STATIC_FOLDER


async def gzip_10k(request: Request) -> Response:
    return text(ARTICLE)
