"""Handlers behind Starlette's BaseHTTPMiddleware, whose ``receive()`` runs a task group."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from asgikit import (
    ClientDisconnect,
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    request_response,
)
from asgikit.testing import exchange
from tests.support.clients import BodyClient
from tests.support.waiting import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from asgikit.types import Message, Scope

pytestmark = pytest.mark.anyio


async def read(request: Request) -> bytes:
    return await request.body()


async def stream(request: Request) -> bytes:
    return b"".join([chunk async for chunk in request.stream()])


async def poll_and_read(request: Request) -> bytes:
    for _ in range(3):
        await request.is_disconnected()
    return await request.body()


async def watch_and_read(request: Request) -> bytes:
    async with request.cancel_on_disconnect():
        await anyio.sleep(0.001)
        return await request.body()


async def read_and_watch(request: Request) -> bytes:
    body = await request.body()
    async with request.cancel_on_disconnect():
        await anyio.sleep(0.001)
    return body


class Pass(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


class ReadBody(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        await request.body()
        return await call_next(request)


@pytest.mark.parametrize("is_caught", [False, True])
async def test_disconnect_needs_a_response_of_the_handler(*, is_caught: bool) -> None:
    client = BodyClient({"type": "http.request"})

    @request_response
    async def handler(request: Request) -> Response:
        try:
            async with request.cancel_on_disconnect():
                client.send({"type": "http.disconnect"})
                await anyio.sleep_forever()
        except ClientDisconnect:
            if not is_caught:
                raise
        return Response(status_code=499)

    async def send(message: Message) -> None:
        pass

    app = Pass(handler)
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    expected = nullcontext() if is_caught else pytest.raises(RuntimeError, match="No response")
    with anyio.fail_after(BOUND), expected:
        await app(scope, client.receive, send)


@pytest.mark.parametrize("middleware", [[Pass], [ReadBody], [Pass, ReadBody], [ReadBody, Pass]])
@pytest.mark.parametrize("use", [read, stream, poll_and_read, watch_and_read, read_and_watch])
@pytest.mark.parametrize("chunks", [[b""], [b"abc"], [b"a", b"b", b"c"]])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_handler_reads_the_body_and_responds(
    chunks: list[bytes],
    use: Callable[[Request], Awaitable[bytes]],
    middleware: list[Any],
    is_streamed: bool,
) -> None:
    @request_response
    async def handler(request: Request) -> Any:
        body = await use(request)

        async def content() -> AsyncIterator[bytes]:
            yield body

        return StreamingResponse(content()) if is_streamed else PlainTextResponse(body)

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    app = Starlette(
        routes=[Route("/", handler, methods=["POST"])],
        middleware=[Middleware(each) for each in middleware],
    )
    with anyio.fail_after(BOUND):
        response = await exchange(app, "POST", body=body())
        assert (response.status_code, response.body) == (200, b"".join(chunks))
        response = await exchange(app, "POST", body=b"".join(chunks))
        assert (response.status_code, response.body) == (200, b"".join(chunks))
