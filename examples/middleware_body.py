"""A middleware that reads the whole body before the inner app reads it.

uvicorn examples.middleware_body:app
curl -d hello http://127.0.0.1:8000/
"""

from __future__ import annotations

import hashlib

from asgikit import (
    ASGIApp,
    Message,
    MutableHeaders,
    PlainTextResponse,
    Receive,
    Request,
    Scope,
    Send,
    request_response,
    to_asgi,
)


class DigestMiddleware:
    """Add the SHA-256 of the request body to the response of an ASGI app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        request = Request(scope, receive)
        digest = hashlib.sha256(await request.body()).hexdigest()

        async def send_digest(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(message["headers"])
                headers.add("x-body-sha256", digest)
                message["headers"] = headers.raw
            await send(message)

        # `receive` does not return the body again; `replay()` does, and then the next messages.
        await self.app(scope, request.replay(), send_digest)


@request_response
async def reverse(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.text())[::-1])


app = to_asgi(DigestMiddleware(reverse))
