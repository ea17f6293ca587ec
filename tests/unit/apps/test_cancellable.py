"""``@request_response(cancel_on_disconnect=True)``: a whole handler is cancelled."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import (
    HTTPError,
    JSONResponse,
    PlainTextResponse,
    Request,
    StreamingResponse,
    request_response,
    to_asgi,
)
from asgikit.exceptions import ClientDisconnect
from asgikit.testing import exchange
from tests.support.clients import BodyClient as Client
from tests.support.waiting import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def test_handler_is_cancelled_quietly_when_client_disconnects(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "asgikit")
    client = Client({"type": "http.request"})
    steps: list[str] = []
    sent: list[Message] = []

    def on_error(request: Request, error: Exception) -> PlainTextResponse:
        steps.append("on_error")
        return PlainTextResponse("too late")

    @request_response(cancel_on_disconnect=True, on_error=on_error)
    async def app(request: Request) -> PlainTextResponse:
        client.send({"type": "http.disconnect"})
        try:
            await anyio.sleep_forever()
        finally:
            steps.append("cancelled")
        return PlainTextResponse("too late")

    async def send(message: Message) -> None:
        sent.append(message)

    with anyio.fail_after(BOUND):
        await app(dict(SCOPE), client.receive, send)
    assert steps == ["cancelled"]
    assert sent == []
    assert client.in_flight == 0
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "the client disconnected")
    ]


async def test_handler_that_returns_in_time_is_answered_as_usual() -> None:
    @request_response(cancel_on_disconnect=True)
    async def app(request: Request) -> JSONResponse:
        """Return the body."""
        return JSONResponse([request.method, (await request.body()).decode()])

    response = await exchange(app, "POST", body=b"abc")
    assert response.json() == ["POST", "abc"]
    assert (app.__name__, app.__doc__) == ("app", "Return the body.")


async def test_error_of_the_handler_is_answered_as_usual() -> None:
    @request_response(cancel_on_disconnect=True)
    async def app(request: Request) -> JSONResponse:
        raise HTTPError(404)

    assert (await exchange(app)).status_code == 404


async def test_app_returned_by_the_handler_gets_the_whole_body() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await PlainTextResponse(await request.body())(scope, receive, send)

    @request_response(cancel_on_disconnect=True)
    async def app(request: Request) -> Any:
        await checkpoint()
        return inner

    assert (await exchange(app, "POST", body=b"abc")).body == b"abc"


@pytest.mark.parametrize("is_within", [False, True])
async def test_stream_sent_in_or_after_a_block_is_closed(*, is_within: bool) -> None:
    client = Client({"type": "http.request"})
    ends: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            client.send({"type": "http.disconnect"})
            await anyio.sleep_forever()
        finally:
            ends.append("closed")

    async def send(message: Message) -> None:
        pass

    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = StreamingResponse(chunks())
        async with Request(scope, receive).cancel_on_disconnect():
            await anyio.sleep(0.001)
            if is_within:
                await response(scope, receive, send)
        await response(scope, receive, send)
        ends.append("after")

    with anyio.fail_after(BOUND):
        await app(dict(SCOPE), client.receive, send)
    assert ends == (["closed"] if is_within else ["closed", "after"])
    assert client.in_flight == 0


def show(request: Request) -> JSONResponse:
    return JSONResponse(None)


def test_def_handler_is_refused_with_the_fix() -> None:
    with pytest.raises(TypeError, match=r"show.*anyio\.from_thread\.run\(request\.is_disconnected"):
        request_response(show, cancel_on_disconnect=True)


async def test_client_disconnect_is_raised_to_code_inside_the_app() -> None:
    client = Client({"type": "http.request"}, {"type": "http.disconnect"})
    errors: list[Exception] = []

    @request_response
    async def app(request: Request) -> PlainTextResponse:
        try:
            async with request.cancel_on_disconnect():
                await anyio.sleep_forever()
        except ClientDisconnect as error:
            errors.append(error)
        return PlainTextResponse("too late")

    async def send(message: Message) -> None:
        pass

    with anyio.fail_after(BOUND):
        await app(dict(SCOPE), client.receive, send)
    assert [str(error) for error in errors] == ["the client disconnected"]
