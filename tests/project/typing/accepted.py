"""Code that a type checker must accept: responses and wrapped apps used as ASGI apps, and more."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from asgiref.typing import ASGI3Application
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp as StarletteApp

from asgikit import (
    ASGIApp,
    Compress,
    EventSourceResponse,
    FileResponse,
    HTTPError,
    JSONResponse,
    Limits,
    NDJSONResponse,
    PlainTextResponse,
    ProblemResponse,
    Receive,
    RedirectResponse,
    Request,
    Response,
    Scope,
    Send,
    ServerSentEvent,
    Shutdown,
    StaticFiles,
    StreamingResponse,
    UploadFile,
    negotiate,
    request_response,
    to_asgi,
)


class MyRequest(Request):
    """A request class of an application."""


@asynccontextmanager
async def lifespan() -> AsyncGenerator[dict[str, Any]]:
    yield {"pool": object()}


def on_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPError):
        return ProblemResponse.from_error(error)
    raise error


# Handlers: async and sync, bare and with arguments.


@request_response
async def async_handler(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


@request_response
def sync_handler(request: Request) -> Response:
    return PlainTextResponse(request.path)


@request_response(limits=Limits(max_body_size=1), lifespan=lifespan, on_error=on_error)
async def handler_with_arguments(request: Request) -> ASGIApp:
    return RedirectResponse(str(request.url))


@request_response(request_class=MyRequest)
async def handler_with_a_class(request: MyRequest) -> Response:
    return Response(await request.body())


@request_response(cancel_on_disconnect=True)
async def cancelled_handler(request: Request) -> JSONResponse:
    # The block cannot suppress an exception: no return statement is missing behind it.
    async with request.cancel_on_disconnect():
        return JSONResponse(await request.json(strict=True))


@request_response(request_class=MyRequest, limits=Limits(total_timeout=None))
async def cancelled_block(request: MyRequest) -> Response:
    async with request.cancel_on_disconnect() as nothing:
        size: int = await request.json(loads=len, strict=True)
    return JSONResponse([size, nothing])


# ASGI 2 structures and ASGI 3 apps.


@to_asgi
def from_function(scope: Scope) -> JSONResponse:
    return JSONResponse({"path": Request(scope).path})


@to_asgi(lifespan=lifespan)
def with_lifespan(scope: Scope) -> JSONResponse:
    return JSONResponse({"path": Request(scope).path})


@to_asgi
async def from_coroutine(_scope: Scope) -> Response:
    return Response()


@to_asgi
async def from_asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    await Response()(scope, receive, send)


class Class:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await Response()(self.scope, receive, send)


def closure(scope: Scope) -> Callable[[Receive, Send], Any]:
    async def instance(receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    return instance


def partial(scope: Scope) -> Callable[[Receive, Send], Any]:
    return functools.partial(from_asgi3, scope)


@to_asgi
class Decorated(Class):
    """mypy does not infer the result of a class decorator, and must not report an error."""


streamed = StreamingResponse(iter([b"a", b"b"]))

for_starlette: list[StarletteApp] = [
    Response(),
    PlainTextResponse("a"),
    JSONResponse({}),
    streamed,
    async_handler,
    sync_handler,
    handler_with_arguments,
    handler_with_a_class,
    from_function,
    with_lifespan,
    from_coroutine,
    from_asgi3,
    to_asgi(Class),
    to_asgi(closure),
    to_asgi(partial),
    request_response(lambda request: Response(request.path)),
]

for_asgiref: list[ASGI3Application] = [
    Response(),
    JSONResponse({}),
    streamed,
    async_handler,
    handler_with_arguments,
    from_function,
    to_asgi(Class),
    to_asgi(closure),
]

wrapped = to_asgi(GZipMiddleware(async_handler))


async def both_conventions(scope: Scope, receive: Receive, send: Send) -> None:
    response = Response()
    await response(receive, send)
    await response(scope, receive, send)
    await async_handler(scope, receive, send)


async def json_with_loads(request: Request) -> int:
    def loads(data: bytes) -> int:
        return len(data)

    number: int = await request.json(loads=loads)
    return number


# Examples of the documentation.


async def events() -> AsyncGenerator[ServerSentEvent]:
    yield ServerSentEvent({"number": 1}, event="tick", id="1", retry=3000)


shutdown = Shutdown(retry=(0, 1), last_event=ServerSentEvent("bye"))


@request_response(lifespan=shutdown)
async def with_shutdown(request: Request) -> ASGIApp:
    return shutdown.ready


streams: list[ASGIApp] = [
    EventSourceResponse(events(), ping=None, retry=3000, shutdown=asyncio.Event()),
    EventSourceResponse(events(), shutdown=shutdown),
    EventSourceResponse(["a", {"data": "b"}, 3]),
    NDJSONResponse({"number": number} for number in range(3)),
    StreamingResponse(io.BytesIO(b"abc"), content_length=3, trailers={"x-sum": "3"}),
    FileResponse("file", filename="file", content_disposition_type="inline"),
    StaticFiles("folder", html=True, immutable=r"\.[0-9a-f]{8}\."),
    Compress(async_handler, minimum_size=1000, levels={"gzip": 9}),
]


async def headers_are_values(request: Request) -> dict[str, str | int | None]:
    credentials = request.authorization
    client = request.client_address(trusted=["10.0.0.0/8"], header="forwarded")
    language: str = request.accept_language.best_match(["en", "de"], "en")
    status: int | None = request.check_preconditions(etag="v1")
    return {
        "name": credentials.username if credentials else None,
        "client": client.host if client else None,
        "language": language,
        "status": status,
        "first": request.query_params.get("a"),
        "all": ",".join(request.query_params.getall("a", [])),
        "max_age": request.cache_control.max_age,
    }


async def forms_have_text_and_files(request: Request) -> list[str | int]:
    found: list[str | int] = []
    async with request.form(limits=Limits(max_files=1)) as form:
        for name, value in form.items():
            found.append(name)
            found.append(value.size if isinstance(value, UploadFile) else value)
    async for part in request.parts():
        found.append(part.name)
        found.extend([len(chunk) async for chunk in part])
    return found


@request_response
def negotiated(request: Request) -> Response:
    return negotiate(
        request, {"application/json": lambda _: JSONResponse({}), "text/plain": sync_text}
    )


def sync_text(_request: Request) -> Response:
    return PlainTextResponse("a")


async def async_json(_request: Request) -> Response:
    return JSONResponse({})


@request_response
async def negotiated_later(request: Request) -> Response:
    return await negotiate(request, {"application/json": async_json})


def headers_are_set(response: Response) -> None:
    response.cache_control(max_age=60, public=True)
    response.add_link("/a", "preload", as_="style")
    response.add_vary("Accept")
    response.set_etag("v1", weak=True)
    response.background = functools.partial(print, "done")
