"""An app under ``SameOrigin`` that marks the status of the response to each POST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgikit import HTMLResponse, Request, Response, SameOrigin, request_response

from .marks import Marks

if TYPE_CHECKING:
    from asgikit.types import Message, Receive, Scope, Send


@SameOrigin
@request_response
async def inner(request: Request[Any]) -> Response:
    await request.body()
    return HTMLResponse("<!DOCTYPE html><title>page</title>")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    async def marking_send(message: Message) -> None:
        if message["type"] == "http.response.start" and scope["method"] == "POST":
            Marks("statuses").add(f"{scope['path'][1:]} {message['status']}")
        await send(message)

    await inner(scope, receive, marking_send)
