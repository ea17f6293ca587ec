"""A live demo of the features on one page: open http://127.0.0.1:8000/ after

uvicorn examples.demo:app --port 8000

It stores no data of visitors: uploads are hashed as they arrive. The served files are created at
start-up in a temporary folder, which is deleted at shutdown.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from asgikit import (
    ASGIApp,
    BadRequest,
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    HTTPError,
    JSONResponse,
    Limits,
    Part,
    PlainTextResponse,
    RedirectResponse,
    Request,
    Response,
    ServerSentEvent,
    StreamingResponse,
    request_response,
)

from .demo_media import Media

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


def content_security_policy(page: str) -> str:
    """Return a policy that allows the script and the style of ``page``, and its own server."""

    def digest(element: str) -> str:
        found = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        content = found[1] if found else ""
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest('script')}';"
        f" style-src 'sha256-{digest('style')}'; connect-src 'self'; media-src 'self';"
        " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


PAGE = Path(__file__).with_name("demo.html").read_text(encoding="utf-8")
# These two are constant, so one response object serves all requests.
INDEX = HTMLResponse(
    PAGE,
    headers={
        "cache-control": "no-cache",
        "content-security-policy": content_security_policy(PAGE),
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    },
    conditional=True,
)
POEM_RESPONSE = PlainTextResponse(POEM, headers={"cache-control": "no-cache"}, conditional=True)


@functools.cache
def media() -> Media:
    """Create the files: at start-up, or on first use if the host has no lifespan."""
    return Media()


@asynccontextmanager
async def lifespan() -> AsyncGenerator[None]:
    files = await anyio.to_thread.run_sync(media)
    try:
        yield
    finally:
        media.cache_clear()
        files.close()


async def index(_request: Request) -> ASGIApp:
    return INDEX


async def echo(request: Request) -> ASGIApp:
    """Return the parsed request as JSON."""
    query, headers = request.query_params, request.headers
    media_type = request.media_type
    document = {
        "method": request.method,
        "url": str(request.url),
        "path": request.path,
        "query_params": {name: query.getall(name) for name in query},
        "http_version": request.http_version,
        "client": request.client,
        "cookies": request.cookies,
        "media_type": media_type.essence if media_type else None,
        "content_length": request.content_length,
        "prefers": request.accept_language.best_match(["en", "de", "fr", "es", "cs", "ja"]),
        "headers": {name: headers.getall(name) for name in headers},
    }
    return JSONResponse(document, headers={"cache-control": "no-store"})


async def count(request: Request) -> ASGIApp:
    """Parse JSON and return it; a malformed body gets a 400 from ``request.json()``."""
    document = await request.json()
    members = len(document) if isinstance(document, dict | list) else None
    return JSONResponse({"type": type(document).__name__, "members": members, "json": document})


async def upload(request: Request) -> ASGIApp:
    """Hash the uploaded files without storing them."""
    files = [await fingerprint(part) async for part in request.parts() if part.filename]
    if not files:
        raise BadRequest("Select a file first.")
    return JSONResponse({"files": files})


async def fingerprint(part: Part) -> dict[str, Any]:
    """Hash a file while it arrives."""
    digest = hashlib.sha256()
    size = 0
    async for chunk in part:
        digest.update(chunk)
        size += len(chunk)
    return {
        "name": part.filename,
        "media_type": part.content_type,
        "size": size,
        "sha256": digest.hexdigest(),
    }


async def form(request: Request) -> ASGIApp:
    """Return the fields of a form in order, with repeated names."""
    fields = list((await request.form(limits=FORM_LIMITS)).items())
    return JSONResponse({"count": len(fields), "fields": fields})


async def tune(_request: Request) -> ASGIApp:
    return FileResponse(media().tune)


async def lines(_request: Request) -> ASGIApp:
    return FileResponse(media().lines)


async def events(request: Request) -> ASGIApp:
    """Send the events after Last-Event-ID; after the last one, a 204 ends the reconnections."""
    last = EVENTS.get(request.last_event_id or "", 0)
    if last == len(EVENTS):
        return Response(status_code=204)
    return EventSourceResponse(events_after(last), retry=300)


async def events_after(last: int) -> AsyncIterator[ServerSentEvent]:
    """Yield the events after number ``last``; the stream ends early to show a reconnection."""
    for number in list(EVENTS.values())[last : last + EVENTS_PER_STREAM]:
        yield ServerSentEvent({"number": number, "of": len(EVENTS)}, id=str(number))
        await anyio.sleep(PAUSE)


async def stream(_request: Request) -> ASGIApp:
    return StreamingResponse(countdown(), media_type="text/plain")


async def countdown() -> AsyncIterator[str]:
    """Yield text with pauses; the generator is closed as soon as the client disconnects."""
    for number in range(5, 0, -1):
        yield f"{number}\n"
        await anyio.sleep(0.2)
    yield "lift-off\n"


async def download(_request: Request) -> ASGIApp:
    disposition = {"content-disposition": 'attachment; filename="squares.csv"'}
    return StreamingResponse(squares(), headers=disposition, media_type="text/csv")


async def squares() -> AsyncIterator[str]:
    """Yield a CSV table in blocks of 1000 rows."""
    yield "number,square\n"
    for start in range(0, ROWS, 1000):
        yield "".join(f"{number},{number * number}\n" for number in range(start, start + 1000))


async def poem(_request: Request) -> ASGIApp:
    return POEM_RESPONSE


async def set_cookie(request: Request) -> ASGIApp:
    name = request.query_params.get("name", "visitor")
    if len(name) > 100:
        raise BadRequest("A name has at most 100 characters.")
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
    """Raise an error with extension members; the client gets a problem document."""
    raise HTTPError(418, "It is short and stout.", extensions={"handle": True})


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
