"""The lifespan of an app, by ``lifespan=`` and by an ASGI 3 app."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette

from asgikit import (
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    request_response,
    to_asgi,
)
from asgikit.testing import exchange, lifespan
from tests.support.apps import (
    Boom,
    answer_scope,
    async_handler,
    boom,
    return_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


def wrap_each_way(**options: Any) -> list[Any]:
    """Return an app of each kind, made with ``options``."""
    return [
        to_asgi(return_response, **options),
        to_asgi(answer_scope, **options),
        request_response(async_handler, **options),
    ]


async def run_lifespan_scope(app: Any, scope: Scope | None = None) -> list[Message]:
    """Run the lifespan of ``app``, and return the messages that it sent."""
    scope = {} if scope is None else scope
    scope.update(type="lifespan", asgi={"version": "3.0"})
    received = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Message] = []

    async def receive() -> Message:
        await checkpoint()
        return {"type": next(received)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


UP: Message = {"type": "lifespan.startup.complete"}
DOWN: Message = {"type": "lifespan.shutdown.complete"}


async def test_lifespan_is_entered_at_startup_and_fills_the_state() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        events.append("up")
        await checkpoint()
        yield {"pool": "open"}
        events.append("down")

    for app in wrap_each_way(lifespan=run):
        async with lifespan(app, state={"own": 1}) as state:
            assert state == {"own": 1, "pool": "open"}
            assert events == ["up"]
            answer = await exchange(app, target="/a", scope={"state": dict(state)})
            assert answer.text == "GET /a"
        assert events == ["up", "down"]
        events.clear()


async def test_lifespan_state_is_request_state() -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        yield {"pool": "open"}

    @request_response(lifespan=run)
    async def app(request: Request[Any]) -> JSONResponse:
        return JSONResponse(request.state.pool)

    async with lifespan(app) as state:
        assert (await exchange(app, scope={"state": state})).json() == "open"


@pytest.mark.parametrize("offered", [{}, {"state": None}])
async def test_lifespan_state_that_the_server_cannot_hold_fails_the_startup(
    offered: dict[str, Any],
) -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[Any]:
        try:
            yield yielded
        finally:
            closed.append(yielded)

    for yielded in (None, {}, {"pool": 1}):
        for app in wrap_each_way(lifespan=run):
            closed: list[Any] = []
            scope: Scope = {**offered}
            sent = await run_lifespan_scope(app, scope)
            assert closed == [yielded]
            if yielded:
                assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
                assert "offers no lifespan state" in sent[0]["message"]
                assert "'pool'" in sent[0]["message"]
            else:
                assert sent == [UP, DOWN]
            scope = {"state": {"own": 1}}
            assert await run_lifespan_scope(app, scope) == [UP, DOWN]
            assert scope["state"] == {"own": 1, **(yielded or {})}


async def test_lifespan_error_is_reported_to_the_server() -> None:
    @asynccontextmanager
    async def fail_early() -> AsyncGenerator[None]:
        await boom()
        yield

    @asynccontextmanager
    async def fail_late() -> AsyncGenerator[None]:
        yield
        raise Boom

    @asynccontextmanager
    async def give_no_mapping() -> AsyncGenerator[Any]:
        yield 1

    for app in wrap_each_way(lifespan=fail_early) + wrap_each_way(lifespan=give_no_mapping):
        (failure,) = await run_lifespan_scope(app)
        assert failure["type"] == "lifespan.startup.failed"
        assert "Error" in failure["message"] or "Boom" in failure["message"]
        with pytest.raises(RuntimeError, match=r"lifespan\.startup\.failed"):
            async with lifespan(app):
                pytest.fail("it is not up")
    for app in wrap_each_way(lifespan=fail_late):
        up, failure = await run_lifespan_scope(app)
        assert (up, failure["type"]) == (UP, "lifespan.shutdown.failed")
        assert "Boom" in failure["message"]
    for app in wrap_each_way(lifespan=dict):  # no context manager
        (failure,) = await run_lifespan_scope(app)
        assert failure["type"] == "lifespan.startup.failed"


async def test_lifespan_is_left_when_the_server_is_cancelled() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def run() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            events.append("down")

    async def send(message: Message) -> None:
        outside.cancel()

    async def receive() -> Message:
        await checkpoint()
        return {"type": "lifespan.startup"}

    for app in wrap_each_way(lifespan=run):
        with anyio.CancelScope() as outside:
            await app({"type": "lifespan"}, receive, send)
        assert outside.cancelled_caught
        assert events == ["down"]
        events.clear()


async def test_app_without_lifespan_completes_both_phases() -> None:
    def never(scope: Any) -> Response:
        pytest.fail(f"a factory sees no {scope['type']}")

    for app in (to_asgi(never), request_response(never), *wrap_each_way()):
        assert await run_lifespan_scope(app) == [UP, DOWN]


async def send_lifespan(send: Send, *words: str) -> None:
    for word in words:
        await send({"type": f"lifespan.{word}"})


async def handles_both_phases(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    scope.setdefault("state", {})["own"] = 1
    await send_lifespan(send, "startup.complete")
    assert (await receive())["type"] == "lifespan.shutdown"
    await send_lifespan(send, "shutdown.complete")


async def handles_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send_lifespan(send, "startup.complete")


async def asserts_http(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def reads_the_path(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["path"])(scope, receive, send)


async def ignores_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        pytest.fail("there is none")


async def receives_and_raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise Boom


async def receives_and_returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def sends_http_message(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    pytest.fail("send takes no answer of another protocol")


async def fails_at_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send_lifespan(send, "startup.failed")


async def fails_at_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await handles_startup(scope, receive, send)
    await receive()
    await send_lifespan(send, "shutdown.failed")


@pytest.mark.parametrize(
    ("app", "sent"),
    [
        (handles_both_phases, [UP, DOWN]),
        (handles_startup, [UP, DOWN]),
        (asserts_http, [UP, DOWN]),
        (reads_the_path, [UP, DOWN]),
        (ignores_lifespan, [UP, DOWN]),
        (receives_and_raises, [UP, DOWN]),  # unsupported, by the specification
        (receives_and_returns, [UP, DOWN]),
        (sends_http_message, [UP, DOWN]),
        (fails_at_startup, [{"type": "lifespan.startup.failed"}]),
        (fails_at_shutdown, [UP, {"type": "lifespan.shutdown.failed"}]),
    ],
)
async def test_lifespan_of_asgi_3_app_is_completed(
    app: Any, sent: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "asgikit"):
        assert await run_lifespan_scope(to_asgi(app)) == sent

    assert {record.levelname for record in caplog.records} <= {"DEBUG"}


async def test_lifespan_argument_replaces_the_lifespan_of_the_app() -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        yield {"given": 1}

    scope: Scope = {"state": {}}
    await run_lifespan_scope(to_asgi(handles_both_phases, lifespan=run), scope)
    assert scope["state"] == {"given": 1}
    scope = {"state": {}}
    await run_lifespan_scope(to_asgi(handles_both_phases), scope)
    assert scope["state"] == {"own": 1}


async def test_lifespan_error_after_a_message_propagates() -> None:
    async def fails_between(scope: Scope, receive: Receive, send: Send) -> None:
        await handles_startup(scope, receive, send)
        raise Boom

    @asynccontextmanager
    async def fail(app: Starlette) -> AsyncGenerator[None]:
        await boom()
        yield

    with pytest.raises(Boom):
        await run_lifespan_scope(to_asgi(fails_between))
    with pytest.raises(Boom):  # after its startup.failed message
        await run_lifespan_scope(to_asgi(Starlette(lifespan=fail)))
