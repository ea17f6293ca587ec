"""asgikit, through `request_response`, as its README shows it."""

from __future__ import annotations

from asgikit import JSONResponse, PlainTextResponse, Request, request_response
from benchmarks.scenarios import COOKIES, FIELDS, GREETING, ONE_FIELD, RECORD


@request_response
async def a_plaintext(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(GREETING)


@request_response
async def b_json_small(_request: Request) -> JSONResponse:
    return JSONResponse(RECORD)


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
async def l_set_cookie(_request: Request) -> PlainTextResponse:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    return response


APPS = {
    "a_plaintext": a_plaintext,
    "b_json_small": b_json_small,
    "d_echo": d_echo,
    "e_headers": e_headers,
    "e1_one_header": e1_one_header,
    "f_json_body": f_json_body,
    "l_set_cookie": l_set_cookie,
}
