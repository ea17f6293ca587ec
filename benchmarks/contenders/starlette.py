"""Starlette's request and responses, without its router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from benchmarks.scenarios import COOKIES, FIELDS, GREETING, ONE_FIELD, RECORD

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def a_plaintext(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(GREETING)(scope, receive, send)


async def b_json_small(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(RECORD)(scope, receive, send)


async def d_echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    response = JSONResponse(
        {
            "method": request.method,
            "path": request.scope["path"],
            "query_params": dict(request.query_params),
        }
    )
    await response(scope, receive, send)


async def e_headers(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    headers = request.headers
    cookies = request.cookies
    size = 0
    for name in FIELDS:
        size += len(headers[name])
    for name in COOKIES:
        size += len(cookies[name])
    await PlainTextResponse(str(size))(scope, receive, send)


async def e1_one_header(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    await PlainTextResponse(request.headers[ONE_FIELD])(scope, receive, send)


async def f_json_body(scope: Scope, receive: Receive, send: Send) -> None:
    order = await Request(scope, receive).json()
    await PlainTextResponse(str(len(order["lines"])))(scope, receive, send)


async def l_set_cookie(scope: Scope, receive: Receive, send: Send) -> None:
    response = PlainTextResponse(GREETING)
    response.set_cookie("sid", "0f1e2d3c4b5a", max_age=1800, secure=True, httponly=True)
    await response(scope, receive, send)


APPS = {
    "a_plaintext": a_plaintext,
    "b_json_small": b_json_small,
    "d_echo": d_echo,
    "e_headers": e_headers,
    "e1_one_header": e1_one_header,
    "f_json_body": f_json_body,
    "l_set_cookie": l_set_cookie,
}
