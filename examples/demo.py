"""A tour in one app: open http://127.0.0.1:8000/ after

uvicorn examples.demo:app --port 8000
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asgikit import (
    ASGIApp,
    HTMLResponse,
    HTTPError,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Request,
    StreamingResponse,
    request_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# Nothing in it changes, so one response object answers every request.
INDEX = HTMLResponse(
    Path(__file__).with_name("demo.html").read_text(encoding="utf-8"),
    headers={
        "content-security-policy": (
            "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline';"
            " style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        ),
        "x-content-type-options": "nosniff",
    },
)


async def index(_request: Request) -> ASGIApp:
    return INDEX


async def echo(request: Request) -> ASGIApp:
    """What the client sent, as asgikit reads it."""
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "path": request.path,
            "query_params": {
                name: request.query_params.getall(name) for name in request.query_params
            },
            "cookies": request.cookies,
            "user_agent": request.headers.get("user-agent"),
            "media_type": request.media_type.essence if request.media_type else None,
            "content_length": request.content_length,
        }
    )


async def count(request: Request) -> ASGIApp:
    """JSON in, JSON out: a malformed body has been answered with 400 before this goes on."""
    document = await request.json()
    members = len(document) if isinstance(document, dict | list) else None
    return JSONResponse({"type": type(document).__name__, "members": members, "json": document})


async def stream(_request: Request) -> ASGIApp:
    return StreamingResponse(countdown(), media_type="text/plain")


async def countdown() -> AsyncIterator[str]:
    """Text that arrives while it is written; it is closed at once when the client leaves."""
    for number in range(5, 0, -1):
        yield f"{number}\n"
        await anyio.sleep(0.2)
    yield "lift-off\n"


async def set_cookie(request: Request) -> ASGIApp:
    name = request.query_params.get("name", "visitor")
    before = request.cookies.get("name", "nobody")
    response = PlainTextResponse(f"You are {name}, and were {before} before.\n")
    response.set_cookie("name", name, max_age=3600, httponly=True)
    return response


async def clear_cookie(_request: Request) -> ASGIApp:
    response = PlainTextResponse("Forgotten.\n")
    response.delete_cookie("name", httponly=True)
    return response


async def redirect(_request: Request) -> ASGIApp:
    return RedirectResponse("/echo?from=old", status_code=308)


async def teapot(_request: Request) -> ASGIApp:
    """An error is data: the client gets it as a problem document."""
    raise HTTPError(418, "It is short and stout.", extensions={"handle": True})


READ = ("GET", "HEAD")
ROUTES: dict[str, tuple[tuple[str, ...], Callable[[Request], Awaitable[ASGIApp]]]] = {
    "/": (READ, index),
    "/echo": ((*READ, "POST", "PUT", "PATCH", "DELETE"), echo),
    "/json": (("POST",), count),
    "/stream": (READ, stream),
    "/cookie": (READ, set_cookie),
    "/cookie/clear": (("POST",), clear_cookie),
    "/old": (READ, redirect),
    "/teapot": (READ, teapot),
}


@request_response
async def app(request: Request) -> ASGIApp:
    methods, handler = ROUTES.get(request.path, ((), None))
    if handler is None:
        raise HTTPError(404, f"There is nothing at {request.path}.")
    if request.method not in methods:
        raise HTTPError(405, headers={"allow": ", ".join(methods)})
    return await handler(request)
