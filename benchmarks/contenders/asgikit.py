"""asgikit, through `request_response`, as its README shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asgikit import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Request,
    ServerSentEvent,
    StreamingResponse,
    request_response,
)
from asgikit.apps.compression import Compress
from asgikit.responses.events import EventSourceResponse
from benchmarks.payloads import (
    ARTICLE,
    CATALOGUE,
    COOKIES,
    FIELDS,
    GREETING,
    LARGE_FILE,
    ONE_FIELD,
    RECORD,
    SMALL_FILE,
    pieces,
    steps,
)


@request_response
async def a_plaintext(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(GREETING)


@request_response
async def b_json_small(_request: Request) -> JSONResponse:
    return JSONResponse(RECORD)


@request_response
async def c_json_10k(_request: Request) -> JSONResponse:
    return JSONResponse(CATALOGUE)


@request_response
async def d_echo(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


@request_response
async def e_headers(request: Request) -> PlainTextResponse:
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in FIELDS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    return PlainTextResponse(str(size))


@request_response
async def e1_one_header(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.headers[ONE_FIELD])


@request_response
async def f_json_body(request: Request) -> PlainTextResponse:
    order = await request.json()
    return PlainTextResponse(str(len(order["lines"])))


@request_response
async def g_form(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        size = sum([len(value) for value in form.values()])  # type: ignore[arg-type, misc]
        return PlainTextResponse(f"{len(form)} {size}")


@request_response
async def h_multipart(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        size = file_size = 0
        for value in form.values():
            if isinstance(value, str):
                size += len(value)
            else:
                file_size = len(await value.read())
        return PlainTextResponse(f"{size} {file_size}")


@request_response
async def i_upload(request: Request) -> PlainTextResponse:
    async with request.form() as form:
        return PlainTextResponse(str(form["file"].size))  # type: ignore[union-attr]


@request_response
async def i2_parts(request: Request) -> PlainTextResponse:
    size = 0
    async for part in request.parts():
        async for data in part:
            size += len(data)
    return PlainTextResponse(str(size))


@request_response
async def j_stream(_request: Request) -> StreamingResponse:
    return StreamingResponse(pieces(), media_type="application/octet-stream")


@request_response
async def k_file_100k(_request: Request) -> FileResponse:
    return FileResponse(SMALL_FILE)


@request_response
async def k_file_50m(_request: Request) -> FileResponse:
    return FileResponse(LARGE_FILE)


@request_response
async def l_set_cookie(_request: Request) -> PlainTextResponse:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


async def events() -> AsyncIterator[ServerSentEvent]:
    async for number, data in steps():
        yield ServerSentEvent(data, event="step", id=number)


@request_response
async def n_events(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(events())


@request_response
async def article(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(ARTICLE)


APPS = {
    "a_plaintext": a_plaintext,
    "b_json_small": b_json_small,
    "c_json_10k": c_json_10k,
    "d_echo": d_echo,
    "e_headers": e_headers,
    "e1_one_header": e1_one_header,
    "f_json_body": f_json_body,
    "g_form": g_form,
    "h_multipart": h_multipart,
    "i_upload": i_upload,
    "i2_parts": i2_parts,
    "j_stream": j_stream,
    "k_file_100k": k_file_100k,
    "k_file_50m": k_file_50m,
    "l_set_cookie": l_set_cookie,
    "n_events": n_events,
    "o_gzip": Compress(article, codings=["gzip"], levels={"gzip": 6}),
}
