"""Apps for hostile requests, and ``/ping``, which measures delays of the event loop."""

from __future__ import annotations

from typing import Any

from asgikit import (
    Compress,
    HTTPError,
    JSONResponse,
    PlainTextResponse,
    Request,
    StaticFiles,
    request_response,
    to_asgi,
)

folder = StaticFiles(".", html=True)


@request_response
async def ping(request: Request) -> PlainTextResponse:
    return PlainTextResponse("pong")


@request_response
async def echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


@request_response
async def fail(request: Request) -> PlainTextResponse:
    raise HTTPError(404)


@Compress
@request_response
async def compressed(request: Request) -> PlainTextResponse:
    return PlainTextResponse("text " * 1000)


ROUTES: dict[str, Any] = {
    "/ping": ping, "/echo": echo, "/fail": fail, "/compressed": compressed,
}  # fmt: skip


@to_asgi
async def app(scope: Any, receive: Any, send: Any) -> None:
    await ROUTES.get(scope["path"], folder)(scope, receive, send)
