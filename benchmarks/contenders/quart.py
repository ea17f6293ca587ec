"""Quart, with an application of one route for each app."""

from __future__ import annotations

from typing import Any

from quart import Quart, Response, request, send_file

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
    sync_chunks,
)


def adapt(name: str, handler: Any) -> Quart:
    if name == "static":
        return Quart(__name__, static_folder=handler, static_url_path="/")
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = None
    app.route(f"/{name}", methods=["GET", "POST"])(handler)
    return app


def text(content: str) -> Response:
    return Response(content, mimetype="text/plain")


async def plaintext() -> Response:
    return text(GREETING)


async def json_small() -> dict[str, Any]:
    return RECORD


async def json_10k() -> dict[str, Any]:
    return CATALOGUE


async def json_100k() -> dict[str, Any]:
    return CATALOGUE_100K


async def echo() -> dict[str, Any]:
    return {"method": request.method, "path": request.path, "query_params": dict(request.args)}


async def all_headers() -> Response:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in HEADERS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return text(str(size))


async def one_header() -> Response:
    return text(request.headers[ONE_HEADER])


async def json_body() -> Response:
    order = await request.get_json()
    return text(str(len(order["lines"])))


async def urlencoded() -> Response:
    form = await request.form
    return text(f"{len(form)} {sum([len(value) for value in form.values()])}")


async def multipart() -> Response:
    form = await request.form
    file = (await request.files)["file"]
    return text(f"{sum([len(value) for value in form.values()])} {len(file.read())}")


async def upload() -> Response:
    file = (await request.files)["file"]
    size = file.stream.seek(0, 2)
    file.close()
    return text(str(size))


async def stream() -> Response:
    return Response(chunks(), mimetype="application/octet-stream")


async def sync_stream() -> Response:
    return Response(sync_chunks(), mimetype="application/octet-stream")


def def_handler() -> Response:
    return text(GREETING)


static = str(STATIC_FOLDER)


async def file_100k() -> Response:
    return await send_file(SMALL_FILE)


async def file_50m() -> Response:
    return await send_file(LARGE_FILE)


async def set_cookie() -> Response:
    response = text(GREETING)
    response.set_cookie(
        "sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True, samesite="lax"
    )
    return response
