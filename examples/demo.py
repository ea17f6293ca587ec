"""A live demo of the features on one page: open http://127.0.0.1:8000/ after

uvicorn examples.demo:app --port 8000

It stores no data of visitors: uploads are hashed as they arrive. The served files are created at
start-up in a temporary folder, which is deleted at shutdown.
"""

from __future__ import annotations

import functools
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from asgikit import (
    ASGIApp,
    BadRequest,
    EventSourceResponse,
    FileResponse,
    HTTPError,
    JSONResponse,
    Limits,
    Part,
    PlainTextResponse,
    RedirectResponse,
    Request,
    Response,
    ServerSentEvent,
    Shutdown,
    StreamingResponse,
    request_response,
)

from .demo_media import Media
from .demo_page import create_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

MiB = 1024 * 1024
LIMITS = Limits(max_body_size=MiB, max_form_size=100 * MiB, max_files=10, max_text_size=64 * 1024)
# The whole form is held in memory, so it must not contain files.
FORM_LIMITS = Limits(max_form_size=64 * 1024, max_text_size=64 * 1024, max_fields=100, max_files=0)

EVENTS = {str(number): number for number in range(1, 31)}  # id to number
EVENTS_PER_STREAM = 5
PAUSE = 0.25  # seconds between two events
ROWS = 200_000  # rows of the CSV download

POEM = """\
The tag you hold is still the tag I gave:
no word has changed, so not a word I send.
"""


# It ends the event streams when the server stops; their clients reconnect to another process.
shutdown = Shutdown()


@functools.cache
def media() -> Media:
    """Create the files: at start-up, or on first use if the host has no lifespan."""
    return Media()


@asynccontextmanager
async def lifespan() -> AsyncGenerator[None]:
    files = await anyio.to_thread.run_sync(media)
    try:
        async with shutdown:
            yield
    finally:
        media.cache_clear()
        files.close()


async def index(_request: Request) -> ASGIApp:
    return PAGE


async def echo(request: Request) -> ASGIApp:
    query = request.query_params
    document = {
        "method": request.method,
        "path": request.path,
        "query_params": {name: query.getall(name) for name in query},
        "client": request.client,
        "cookies": request.cookies,
        "language": request.accept_language.best_match(["en", "de", "fr", "es", "ja"]),
        "user_agent": request.headers.get("user-agent"),
    }
    return JSONResponse(document, headers={"cache-control": "no-store"})


async def count(request: Request) -> ASGIApp:
    document = await request.json()  # malformed JSON is answered with 400
    members = len(document) if isinstance(document, dict | list) else None
    return JSONResponse({"type": type(document).__name__, "members": members, "json": document})


async def upload(request: Request) -> ASGIApp:
    files = [await fingerprint(part) async for part in request.parts() if part.filename]
    if not files:
        raise BadRequest("Select a file first.")
    return JSONResponse({"files": files})


async def fingerprint(part: Part) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = 0
    async for chunk in part:  # each chunk as it arrives
        digest.update(chunk)
        size += len(chunk)
    return {
        "name": part.filename,
        "media_type": part.content_type,
        "size": size,
        "sha256": digest.hexdigest(),
    }


async def form(request: Request) -> ASGIApp:
    fields = list((await request.form(limits=FORM_LIMITS)).items())
    return JSONResponse({"count": len(fields), "fields": fields})


async def tune(_request: Request) -> ASGIApp:
    return FileResponse(media().tune)


async def lines(_request: Request) -> ASGIApp:
    return FileResponse(media().lines)


async def events(request: Request) -> ASGIApp:
    last = EVENTS.get(request.last_event_id or "", 0)
    if last == len(EVENTS):
        return Response(status_code=204)  # the browser stops reconnecting
    return EventSourceResponse(events_after(last), retry=300, shutdown=shutdown)


async def events_after(last: int) -> AsyncIterator[ServerSentEvent]:
    for number in list(EVENTS.values())[last : last + EVENTS_PER_STREAM]:
        yield ServerSentEvent({"number": number, "of": len(EVENTS)}, id=str(number))
        await anyio.sleep(PAUSE)


async def stream(_request: Request) -> ASGIApp:
    return StreamingResponse(countdown(), media_type="text/plain")


async def countdown() -> AsyncIterator[str]:
    for number in range(5, 0, -1):
        yield f"{number}\n"
        await anyio.sleep(0.2)  # cancelled as soon as the client disconnects
    yield "lift-off\n"


async def download(_request: Request) -> ASGIApp:
    disposition = {"content-disposition": 'attachment; filename="squares.csv"'}
    return StreamingResponse(squares(), headers=disposition, media_type="text/csv")


async def squares() -> AsyncIterator[str]:
    yield "number,square\n"
    for start in range(0, ROWS, 1000):
        yield "".join(f"{number},{number * number}\n" for number in range(start, start + 1000))


async def poem(_request: Request) -> ASGIApp:
    return PlainTextResponse(POEM, headers={"cache-control": "no-cache"}, conditional=True)


async def set_cookie(request: Request) -> ASGIApp:
    name = request.query_params.get("name", "visitor")
    if len(name) > 100:
        raise BadRequest("A name has at most 100 characters.")
    before = request.cookies.get("name", "(none)")
    response = PlainTextResponse(f"Old cookie: {before}\nNew cookie: {name}\n")
    response.set_cookie("name", name, max_age=3600, httponly=True)
    return response


async def clear_cookie(_request: Request) -> ASGIApp:
    response = PlainTextResponse("The cookie is deleted.\n")
    response.delete_cookie("name", httponly=True)
    return response


async def redirect(_request: Request) -> ASGIApp:
    return RedirectResponse("/echo?from=old", status_code=308)


async def teapot(_request: Request) -> ASGIApp:
    raise HTTPError(418, "It is short and stout.", extensions={"handle": True})


PAGE = create_page(globals())  # one response object serves all requests

READ = ("GET", "HEAD")
ROUTES: dict[str, tuple[tuple[str, ...], Callable[[Request], Awaitable[ASGIApp]]]] = {
    "/": (READ, index),
    "/echo": ((*READ, "POST", "PUT", "PATCH", "DELETE"), echo),
    "/json": (("POST",), count),
    "/upload": (("POST",), upload),
    "/form": (("POST",), form),
    "/tune.wav": (READ, tune),
    "/lines.txt": (READ, lines),
    "/events": (READ, events),
    "/stream": (READ, stream),
    "/download": (READ, download),
    "/poem": (READ, poem),
    "/cookie": (READ, set_cookie),
    "/cookie/clear": (("POST",), clear_cookie),
    "/old": (READ, redirect),
    "/teapot": (READ, teapot),
}


@request_response(limits=LIMITS, lifespan=lifespan)
async def app(request: Request) -> ASGIApp:
    methods, handler = ROUTES.get(request.path, ((), None))
    if handler is None:
        raise HTTPError(404, f"No page has the path {request.path}.")
    if request.method not in methods:
        raise HTTPError(405, headers={"allow": ", ".join(methods)})
    return await handler(request)
