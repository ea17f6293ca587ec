"""Code in which a type checker must report an error in each marked line, and in no other."""

from __future__ import annotations

from asgikit import (
    EventSourceResponse,
    Limits,
    PlainTextResponse,
    Receive,
    Request,
    Scope,
    Send,
    request_response,
    to_asgi,
)


async def calls(scope: Scope, receive: Receive, send: Send) -> None:
    response = PlainTextResponse("a")
    await response(receive)  # refused
    await response(scope, receive, send, 1)  # refused


request_response(3)  # refused
request_response(limits=3)  # refused
request_response(cancel_on_disconnect="yes")  # refused
to_asgi(lifespan=3)  # refused


def not_a_handler(_request: Request) -> int:
    return 3


request_response(not_a_handler)  # refused

PlainTextResponse({"a": 1})  # refused
PlainTextResponse("a", status_code="200")  # refused


EventSourceResponse(3)  # refused
PlainTextResponse("a").set_cookie("a", samesite="laxx")  # refused
Limits(max_body_size="1")  # refused
