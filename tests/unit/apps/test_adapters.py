"""The two wrappers: every structure of an app is served, by every scope's own rules."""

from __future__ import annotations

import functools
import gc
import inspect
import logging
import pickle
import threading
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse as StarletteResponse
from starlette.routing import Route

from asgikit import (
    DEFAULT_LIMITS,
    ClientDisconnect,
    FormData,
    HTTPError,
    JSONResponse,
    Limits,
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    UploadFile,
    request_response,
    to_asgi,
)
from asgikit.apps.adapters import HandlerApp, ScopeApp
from asgikit.body.sharing import KEY
from asgikit.testing import exchange, lifespan
from tests.support.form_bodies import CONTENT_TYPE, file
from tests.support.form_bodies import body as form_body
from tests.support.streams import run_cancelled_at
from tests.support.waiting import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """An error of the app's own."""


async def boom() -> None:
    raise Boom


def tell(scope: Scope) -> PlainTextResponse:
    return PlainTextResponse(f"{scope['method']} {scope['path']}")


# --- every structure ----------------------------------------------------------------------------


def gives_response(scope: Scope) -> PlainTextResponse:
    return tell(scope)


def gives_closure(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        await tell(scope)(scope, receive, send)

    return instance


def gives_bare_closure(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        # Without its scope a response answers as to a GET: here it is one.
        await tell(scope)(receive, send)

    return instance


async def answer_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await tell(scope)(scope, receive, send)


def gives_partial(scope: Scope) -> Callable[..., Awaitable[None]]:
    return functools.partial(answer_scope, scope)


def gives_bound_response(scope: Scope) -> Callable[..., Awaitable[None]]:
    return functools.partial(tell(scope), scope)


class Instance:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await tell(self.scope)(self.scope, receive, send)


class Factory:
    def __call__(self, scope: Scope) -> Instance:
        return Instance(scope)

    def method(self, scope: Scope) -> Instance:
        return Instance(scope)

    @staticmethod
    def static(scope: Scope) -> Instance:
        return Instance(scope)

    async def slow(self, scope: Scope) -> Instance:
        await checkpoint()
        return Instance(scope)


async def gives_response_later(scope: Scope) -> PlainTextResponse:
    await checkpoint()
    return tell(scope)


async def gives_closure_later(scope: Scope) -> Callable[..., Awaitable[None]]:
    await checkpoint()
    return gives_closure(scope)


def starlette_tells(request: Any) -> StarletteResponse:
    return StarletteResponse(f"{request.method} {request.url.path}")


starlette = Starlette(routes=[Route("/a", starlette_tells)])


def gives_starlette_app(scope: Scope) -> Starlette:
    return starlette


def gives_starlette_response(scope: Scope) -> StarletteResponse:
    return StarletteResponse(f"{scope['method']} {scope['path']}")


def gives_asgi3_function(scope: Scope) -> Callable[..., Awaitable[None]]:
    return answer_scope


class App3:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)

    async def method(self, scope: Scope, receive: Receive, send: Send, extra: int = 0) -> None:
        await answer_scope(scope, receive, send)


class StaticApp3:
    @staticmethod
    async def __call__(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


async def with_more(name: str, scope: Scope, receive: Receive, send: Send) -> None:
    assert name == "more"
    await answer_scope(scope, receive, send)


def any_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def of_a_handler(handler: Callable[[Request[Any]], Response]) -> Callable[..., Any]:
    # As frameworks do it: what is wrapped has other parameters.
    @functools.wraps(handler)
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(Request(scope, receive, send))(scope, receive, send)

    return app


class Own(Response):
    """A response that is sent in a way of its own."""

    __slots__ = ()

    async def __call__(self, *args: Any) -> None:
        await PlainTextResponse(self.body)(*args)


STRUCTURES: dict[str, Callable[..., Any]] = {
    "function that gives a response": gives_response,
    "lambda": lambda scope: tell(scope),  # noqa: PLW0108 - a lambda is what is tested
    "closure": gives_closure,
    "closure that leaves the scope out": gives_bare_closure,
    "partial": gives_partial,
    "partial of a response": gives_bound_response,
    "class": Instance,
    "instance that gives an instance": Factory(),
    "method": Factory().method,
    "static method": Factory.static,
    "partial factory": functools.partial(Factory.method, Factory()),
    "async factory of a response": gives_response_later,
    "async factory of a closure": gives_closure_later,
    "async method": Factory().slow,
    "function that gives a Starlette app": gives_starlette_app,
    "function that gives a Starlette response": gives_starlette_response,
    "function that gives an ASGI 3 function": gives_asgi3_function,
    "function that gives a wrapped app": lambda scope: to_asgi(gives_closure),
    "function that gives a response of its own": lambda scope: Own(tell(scope).body),
    "decorated function": any_arguments(gives_closure),
    "ASGI 3 function": answer_scope,
    "ASGI 3 instance": App3(),
    "ASGI 3 method": App3().method,
    "ASGI 3 static method": StaticApp3(),
    "ASGI 3 partial": functools.partial(with_more, "more"),
    "decorated ASGI 3 function": any_arguments(answer_scope),
    "ASGI 3 function around a handler": of_a_handler(lambda request: tell(request.scope)),
    "Starlette app": starlette,
    "wrapped app": to_asgi(gives_closure),
    "wrapped handler": request_response(lambda request: tell(request.scope)),
}


@pytest.mark.parametrize("app", STRUCTURES.values(), ids=STRUCTURES)
async def test_every_structure_is_served(app: Callable[..., Any]) -> None:
    for wrapped in (to_asgi(app), to_asgi()(app), to_asgi(lifespan=None)(app)):
        answer = await exchange(wrapped, target="/a")
        assert (answer.status_code, answer.text) == (200, "GET /a")

    async with lifespan(to_asgi(app)):
        pass


@pytest.mark.parametrize("app", [gives_response, gives_closure, Instance, answer_scope])
async def test_an_instance_that_has_its_scope_honours_head(app: Callable[..., Any]) -> None:
    answer = await exchange(to_asgi(app), "HEAD", "/a")

    assert (answer.body, answer.headers["content-length"]) == (b"", "7")


async def test_a_response_is_an_app() -> None:
    response = Response("a")
    wrapped = to_asgi(response)

    assert (await exchange(wrapped)).body == b"a"
    async with lifespan(wrapped):
        pass
    assert (await exchange(wrapped, scope={"type": "websocket"})).status_code == 403


@pytest.mark.parametrize(
    "app",
    [
        lambda: None,
        lambda receive, send: None,
        lambda scope, receive, send, more: None,
        lambda scope, receive=None, send=None: None,  # both
        lambda *args: None,
        lambda scope, *, more: None,
        type,  # tells nothing
        Instance({}),  # the instance in the place of its class
        object(),
        "text",
        1,
    ],
)
def test_what_is_no_app_or_not_clearly_is_refused_when_it_is_wrapped(app: Any) -> None:
    with pytest.raises(TypeError, match="to_asgi takes"):
        to_asgi(app)


# --- handlers -----------------------------------------------------------------------------------


async def handle(request: Request[Any]) -> PlainTextResponse:
    await checkpoint()
    return tell(request.scope)


def handle_in_thread(request: Request[Any]) -> PlainTextResponse:
    return tell(request.scope)


class Handlers:
    async def __call__(self, request: Request[Any]) -> PlainTextResponse:
        return await handle(request)

    async def method(self, request: Request[Any], more: int = 0) -> PlainTextResponse:
        return await handle(request)

    def sync(self, request: Request[Any]) -> PlainTextResponse:
        return handle_in_thread(request)


class SyncHandler:
    def __call__(self, request: Request[Any]) -> PlainTextResponse:
        return handle_in_thread(request)


HANDLERS: dict[str, Callable[..., Any]] = {
    "async function": handle,
    "function": handle_in_thread,
    "lambda that gives an awaitable": lambda request: handle(request),  # noqa: PLW0108 - as above
    "async instance": Handlers(),
    "instance": SyncHandler(),
    "async method": Handlers().method,
    "method": Handlers().sync,
    "async partial": functools.partial(Handlers.method, Handlers()),
    "partial": functools.partial(Handlers.sync, Handlers()),
    "decorated": any_arguments(handle),
    "one that gives a Starlette response": lambda request: gives_starlette_response(request.scope),
    "one that gives a Starlette app": lambda request: starlette,
    "one that gives an ASGI 3 function": lambda request: answer_scope,
    "one that gives a wrapped app": lambda request: to_asgi(gives_closure),
    "one that gives a response of its own": lambda request: Own(tell(request.scope).body),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
async def test_every_handler_is_served(handler: Callable[..., Any]) -> None:
    for wrapped in (
        request_response(handler),
        request_response()(handler),
        request_response(limits=Limits())(handler),
    ):
        answer = await exchange(wrapped, target="/a")
        assert (answer.status_code, answer.text) == (200, "GET /a")


@pytest.mark.parametrize(
    "handler", [lambda: None, lambda a, b: None, answer_scope, "text", None.__class__, Response()]
)
def test_what_is_no_handler_is_refused_when_it_is_wrapped(handler: Any) -> None:
    with pytest.raises(TypeError, match=r"request_response takes .*to_asgi"):
        request_response(handler)


async def test_a_sync_handler_runs_in_a_thread_and_a_factory_on_the_loop() -> None:
    threads: dict[str, int] = {}

    @request_response
    def handler(request: Request[Any]) -> Response:
        threads["handler"] = threading.get_ident()
        return Response()

    @to_asgi
    def factory(scope: Scope) -> Response:
        threads["factory"] = threading.get_ident()
        return Response()

    await exchange(handler)
    await exchange(factory)

    assert threads["handler"] != threading.get_ident() == threads["factory"]


@pytest.mark.parametrize("answer", [None, {"a": 1}, "text", b"bytes", 1, ["a"]])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda answer: request_response(lambda request: answer),
        lambda answer: to_asgi(lambda scope: answer),
        lambda answer: to_asgi(fail_with(HTTPError(404)), on_error=lambda request, error: answer),
    ],
)
async def test_an_answer_that_is_none_names_the_fix(wrap: Callable[..., Any], answer: Any) -> None:
    with pytest.raises(TypeError, match=r"such as JSONResponse\(\.\.\.\), not "):
        await exchange(wrap(answer))


def fail_with(error: BaseException) -> Callable[..., Any]:
    """Give a factory, which is a handler too, that raises ``error``."""

    def fail(scope: Any) -> Response:
        raise error

    return fail


# --- what servers and hosts ask -----------------------------------------------------------------


WRAPPED: dict[str, Any] = {
    "to_asgi": to_asgi(gives_closure),
    "to_asgi, ASGI 3": to_asgi(answer_scope),
    "to_asgi, decorator": to_asgi(on_error=None)(gives_closure),
    "request_response": request_response(handle),
    "request_response, sync": request_response(handle_in_thread),
    "request_response, decorator": request_response(limits=Limits(max_body_size=1))(handle),
}


@pytest.mark.parametrize("app", WRAPPED.values(), ids=WRAPPED)
async def test_it_is_an_instance_of_the_shape_that_hosts_ask_for(app: Any) -> None:
    assert not inspect.isroutine(app)
    assert not inspect.isclass(app)
    assert not hasattr(app, "__wrapped__")
    call = type(app).__call__
    assert inspect.iscoroutinefunction(call)
    parameters = list(inspect.signature(call).parameters.values())
    assert [parameter.name for parameter in parameters] == ["self", "scope", "receive", "send"]
    for parameter in parameters[1:]:
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is parameter.empty
        assert parameter.annotation is not parameter.empty
    with pytest.raises(TypeError):  # uvicorn asks so whether it is a factory
        app()
    with pytest.raises(TypeError):
        app({"type": "http"})


@pytest.mark.parametrize("app", WRAPPED.values(), ids=WRAPPED)
async def test_it_pickles(app: Any) -> None:
    loaded = pickle.loads(pickle.dumps(app))

    assert type(loaded) is type(app)
    assert (await exchange(loaded, target="/a")).text == "GET /a"


def test_it_says_what_it_wraps() -> None:
    assert repr(to_asgi(gives_closure)) == f"to_asgi({gives_closure!r})"
    assert repr(request_response(handle)) == f"request_response({handle!r})"
    assert isinstance(to_asgi(gives_closure), ScopeApp)
    assert isinstance(request_response(handle), HandlerApp)


# --- lifespan -----------------------------------------------------------------------------------


def both(**options: Any) -> list[Any]:
    """Wrap an app in each way, with ``options``."""
    return [
        to_asgi(gives_response, **options),
        to_asgi(answer_scope, **options),
        request_response(handle, **options),
    ]


async def live(app: Any, scope: Scope | None = None) -> list[Message]:
    """Give what ``app`` answers to a server that starts it and stops it."""
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


async def test_a_lifespan_surrounds_the_run_and_fills_the_state() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        events.append("up")
        await checkpoint()
        yield {"pool": "open"}
        events.append("down")

    for app in both(lifespan=run):
        async with lifespan(app, state={"own": 1}) as state:
            assert state == {"own": 1, "pool": "open"}
            assert events == ["up"]
            answer = await exchange(app, target="/a", scope={"state": dict(state)})
            assert answer.text == "GET /a"
        assert events == ["up", "down"]
        events.clear()


async def test_the_state_reaches_a_handler() -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        yield {"pool": "open"}

    @request_response(lifespan=run)
    async def app(request: Request[Any]) -> JSONResponse:
        return JSONResponse(request.state.pool)

    async with lifespan(app) as state:
        assert (await exchange(app, scope={"state": state})).json() == "open"


async def test_a_scope_without_a_state_gets_one_where_there_is_something_to_keep() -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[Any]:
        yield given_state

    for given_state in (None, {}, {"a": 1}):
        for app in both(lifespan=run):
            scope: Scope = {}
            assert await live(app, scope) == [UP, DOWN]
            assert scope.get("state", {}) == (given_state or {})
            scope = {"state": {"own": 1}}
            assert await live(app, scope) == [UP, DOWN]
            assert scope["state"] == {"own": 1, **(given_state or {})}


async def test_a_lifespan_that_fails_says_so_to_the_server() -> None:
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

    for app in both(lifespan=fail_early) + both(lifespan=give_no_mapping):
        (failure,) = await live(app)
        assert failure["type"] == "lifespan.startup.failed"
        assert "Error" in failure["message"] or "Boom" in failure["message"]
        with pytest.raises(RuntimeError, match=r"lifespan\.startup\.failed"):
            async with lifespan(app):
                pytest.fail("it is not up")
    for app in both(lifespan=fail_late):
        up, failure = await live(app)
        assert (up, failure["type"]) == (UP, "lifespan.shutdown.failed")
        assert "Boom" in failure["message"]
    for app in both(lifespan=dict):  # no context manager
        (failure,) = await live(app)
        assert failure["type"] == "lifespan.startup.failed"


async def test_a_lifespan_is_left_when_the_server_is_cancelled() -> None:
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

    for app in both(lifespan=run):
        with anyio.CancelScope() as outside:
            await app({"type": "lifespan"}, receive, send)
        assert outside.cancelled_caught
        assert events == ["down"]
        events.clear()


async def test_an_app_without_a_lifespan_comes_up_and_goes_down() -> None:
    def never(scope: Any) -> Response:
        pytest.fail(f"a factory sees no {scope['type']}")

    for app in (to_asgi(never), request_response(never), *both()):
        assert await live(app) == [UP, DOWN]


async def say(send: Send, *words: str) -> None:
    for word in words:
        await send({"type": f"lifespan.{word}"})


async def knows_all(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    scope.setdefault("state", {})["own"] = 1
    await say(send, "startup.complete")
    assert (await receive())["type"] == "lifespan.shutdown"
    await say(send, "shutdown.complete")


async def knows_the_start(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await say(send, "startup.complete")


async def asserts(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def looks_up_the_path(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["path"])(scope, receive, send)


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        pytest.fail("there is none")


async def hears_and_raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise Boom


async def hears_and_returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def answers_as_to_http(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    pytest.fail("send takes no answer of another protocol")


async def says_failed(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await say(send, "startup.failed")


async def says_failed_in_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await knows_the_start(scope, receive, send)
    await receive()
    await say(send, "shutdown.failed")


@pytest.mark.parametrize(
    ("app", "sent"),
    [
        (knows_all, [UP, DOWN]),
        (knows_the_start, [UP, DOWN]),
        (asserts, [UP, DOWN]),
        (looks_up_the_path, [UP, DOWN]),
        (returns, [UP, DOWN]),
        (hears_and_raises, [UP, DOWN]),  # as if it did not know: so says the specification
        (hears_and_returns, [UP, DOWN]),
        (answers_as_to_http, [UP, DOWN]),
        (says_failed, [{"type": "lifespan.startup.failed"}]),
        (says_failed_in_the_end, [UP, {"type": "lifespan.shutdown.failed"}]),
    ],
)
async def test_an_asgi_3_app_has_its_own_lifespan_and_what_it_leaves_undone_is_done(
    app: Any, sent: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "asgikit"):
        assert await live(to_asgi(app)) == sent

    assert {record.levelname for record in caplog.records} <= {"DEBUG"}


async def test_a_lifespan_given_takes_the_place_of_the_apps_own() -> None:
    @asynccontextmanager
    async def run() -> AsyncGenerator[dict[str, Any]]:
        yield {"given": 1}

    scope: Scope = {}
    await live(to_asgi(knows_all, lifespan=run), scope)
    assert scope["state"] == {"given": 1}
    scope = {}
    await live(to_asgi(knows_all), scope)
    assert scope["state"] == {"own": 1}


async def test_an_app_whose_lifespan_failed_after_a_word_raises() -> None:
    async def fails_between(scope: Scope, receive: Receive, send: Send) -> None:
        await knows_the_start(scope, receive, send)
        raise Boom

    @asynccontextmanager
    async def fail(app: Starlette) -> AsyncGenerator[None]:
        await boom()
        yield

    with pytest.raises(Boom):
        await live(to_asgi(fails_between))
    with pytest.raises(Boom):  # after it has said so, as Starlette does
        await live(to_asgi(Starlette(lifespan=fail)))


# --- websockets, and what nobody knows ----------------------------------------------------------


async def test_a_websocket_is_refused_where_the_app_has_none() -> None:
    denial = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    # A response says itself how it refuses.
    for app, status_code in (
        (to_asgi(gives_response), 404),
        (request_response(handle), 404),
        (to_asgi(Response(status_code=403)), 403),
    ):
        closed = await exchange(app, scope={"type": "websocket"})
        assert closed.messages == [{"type": "websocket.close"}]
        denied = await exchange(app, scope=denial)
        assert (denied.status_code, denied.body) == (status_code, b"")


async def test_an_asgi_3_app_gets_its_websockets() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close"})

    answer = await exchange(to_asgi(app), target="/a", scope={"type": "websocket"})

    assert answer.messages[1]["text"] == "/a"


@pytest.mark.parametrize("words", [[], ["accept"]])
async def test_an_http_error_of_a_websocket_is_passed_on(words: list[str]) -> None:
    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for word in words:
            await send({"type": f"websocket.{word}"})
        raise HTTPError(403)

    with anyio.fail_after(BOUND), pytest.raises(HTTPError):
        await exchange(app, scope={"type": "websocket"})


async def test_a_scope_of_another_type_is_an_error_that_names_it() -> None:
    def never(scope: Any) -> Response:
        pytest.fail("it is not called")

    for app in (to_asgi(never), to_asgi(answer_scope), request_response(never)):
        with pytest.raises(RuntimeError, match="not 'tcp'"):
            await exchange(app, scope={"type": "tcp"})


# --- errors that are answers --------------------------------------------------------------------


def raising(error: BaseException) -> dict[str, Any]:
    """Give apps of each structure that raise ``error`` before a response starts."""

    async def raise_async(*args: Any) -> Response:
        await checkpoint()
        raise error

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        await raise_async()

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        async def instance(receive: Receive, send: Send) -> None:
            await raise_async()

        return instance

    async def late_factory(scope: Scope) -> Response:
        return await raise_async()

    async def handler(request: Request[Any]) -> Response:
        return await raise_async()

    return {
        "to_asgi, function": (to_asgi, fail_with(error)),
        "to_asgi, async factory": (to_asgi, late_factory),
        "to_asgi, instance": (to_asgi, instance_of),
        "to_asgi, ASGI 3": (to_asgi, app3),
        "to_asgi, given app": (to_asgi, lambda scope: app3),
        "request_response": (request_response, handler),
        "request_response, sync": (request_response, fail_with(error)),
        "request_response, given app": (request_response, lambda request: app3),
    }


EARLY = sorted(raising(Boom()))


@pytest.mark.parametrize("name", EARLY)
async def test_an_http_error_is_answered(name: str, caplog: pytest.LogCaptureFixture) -> None:
    error = HTTPError(429, "Slow down.", {"retry-after": "5"}, extensions={"limit": 5})
    wrap, app = raising(error)[name]

    with caplog.at_level(logging.DEBUG, "asgikit"):
        for _ in range(2):
            answer = await exchange(wrap(app))
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "5"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json() == {
                "type": "about:blank",
                "title": "Too Many Requests",
                "status": 429,
                "detail": "Slow down.",
                "limit": 5,
            }
        assert (await exchange(wrap(app), "HEAD")).body == b""

    assert caplog.records == []


@pytest.mark.parametrize("name", EARLY)
async def test_on_error_gives_the_answer(name: str) -> None:
    error = HTTPError(404, "Not here.")
    wrap, app = raising(error)[name]

    def give(request: Request[Any], given_error: HTTPError) -> Any:
        assert isinstance(request, Request)
        assert given_error is error
        return PlainTextResponse(f"{request.method}: {given_error.detail}", 418)

    async def give_later(request: Request[Any], given_error: HTTPError) -> Any:
        await checkpoint()
        return give(request, given_error)

    def give_foreign(request: Request[Any], given_error: HTTPError) -> Any:
        return StarletteResponse(give(request, given_error).body, 418)

    for on_error in (give, give_later, give_foreign):
        answer = await exchange(wrap(on_error=on_error)(app))
        assert (answer.status_code, answer.text) == (418, "GET: Not here.")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_request_of_a_subclass_that_has_a_body_is_closed_on_every_exit(fails: bool) -> None:
    closed: list[str] = []

    class Own(Request[Any]):
        async def close(self) -> None:
            await super().close()
            closed.append(self.path)

    @request_response(request_class=Own)
    async def app(request: Own) -> Any:
        await request.body()
        if fails:
            raise Boom
        assert closed == []
        return PlainTextResponse("tea")

    with pytest.raises(Boom) if fails else nullcontext():
        await exchange(app, "POST", "/own", body=b"tea")
    assert closed == ["/own"]


@pytest.mark.parametrize("name", EARLY)
async def test_on_error_may_raise_what_it_leaves_to_the_problem_document(name: str) -> None:
    wrap, app = raising(HTTPError(404))[name]

    async def raise_again(request: Request[Any], error: HTTPError) -> Any:
        raise error

    def raise_another(request: Request[Any], error: HTTPError) -> Any:
        raise HTTPError(410)

    for on_error, status_code in ((raise_again, 404), (raise_another, 410)):
        answer = await exchange(wrap(on_error=on_error)(app))
        assert answer.status_code == status_code
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", EARLY)
async def test_an_error_of_on_error_is_passed_on(name: str) -> None:
    wrap, app = raising(HTTPError(404))[name]

    def fail(request: Request[Any], error: HTTPError) -> Any:
        raise Boom

    with pytest.raises(Boom):
        await exchange(wrap(app, on_error=fail))


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_a_client_that_leaves_before_on_error_is_done_ends_it_quietly(
    wrap: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def read(request: Request[Any], error: HTTPError) -> Response:
        return Response(await request.body())

    with caplog.at_level(logging.DEBUG, "asgikit"):
        app = wrap(fail_with(HTTPError(404)), on_error=read)
        answer = await exchange(app, "POST", body=b"abc", disconnect_after=0)

    assert answer.messages == []
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


class Late(Response):
    """A response that fails after its start, and is sent in a way of its own."""

    __slots__ = ()

    error: BaseException

    async def __call__(self, *args: Any) -> None:
        await args[-1]({"type": "http.response.start", "status": 200, "headers": []})
        raise self.error


def raising_late(error: BaseException) -> dict[str, Any]:
    """Give wrapped apps of each structure that raise ``error`` after a response has started."""

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        return functools.partial(app3, scope)

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        raise error

    late = type("Late", (Late,), {"error": error})
    return {
        "to_asgi, instance": to_asgi(instance_of),
        "to_asgi, ASGI 3": to_asgi(app3),
        "to_asgi, given app": to_asgi(lambda scope: app3),
        "to_asgi, stream": to_asgi(lambda scope: StreamingResponse(chunks())),
        "to_asgi, own response": to_asgi(lambda scope: late()),
        "to_asgi, own response, ASGI 3": to_asgi(late()),
        "request_response, given app": request_response(lambda request: app3),
        "request_response, stream": request_response(lambda request: StreamingResponse(chunks())),
        "request_response, own response": request_response(lambda request: late()),
    }


@pytest.mark.parametrize("name", sorted(raising_late(Boom())))
async def test_an_http_error_after_the_start_is_passed_on(name: str) -> None:
    error = HTTPError(404)

    with pytest.raises(HTTPError) as caught:
        await exchange(raising_late(error)[name])

    assert caught.value is error
    assert error.response_started

    # The same one, raised early the next time, is answered.
    for wrap, app in raising(error).values():
        assert (await exchange(wrap(app))).status_code == 404
        error.response_started = True


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_an_http_error_of_send_is_not_answered_by_a_second_start(
    wrap: Callable[..., Any],
) -> None:
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            raise HTTPError(507)

    with pytest.raises(HTTPError) as caught:
        await wrap(lambda scope: PlainTextResponse("a"))(
            {"type": "http", "method": "GET"}, unused, send
        )

    assert sent == ["http.response.start", "http.response.body"]
    assert caught.value.response_started


@pytest.mark.parametrize("failing", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_an_os_error_of_send_ends_it_quietly_and_background_runs_once(
    wrap: Callable[..., Any], failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Tasks(list[str]):
        """Tasks as a list, empty at first: not true, but to be called."""

        def __call__(self) -> None:
            self.append("ran")

    async def send(message: Message) -> None:
        if message["type"] == failing:
            raise BrokenPipeError

    for background in (None, Tasks()):
        app = wrap(lambda scope, it=background: PlainTextResponse("a", background=it))
        with caplog.at_level(logging.DEBUG, "asgikit"):
            await app({"type": "http", "method": "GET"}, unused, send)
        assert background in (None, ["ran"])

    assert [record.levelname for record in caplog.records] == ["DEBUG"] * 2


@pytest.mark.parametrize("kind", ["http.response.early_hint", "http.response.debug"])
async def test_an_http_error_after_a_message_that_starts_nothing_is_answered(kind: str) -> None:
    content: Message = {"links": [b"</a.css>; rel=preload"]} if "hint" in kind else {"info": {}}

    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": kind, **content})
        raise HTTPError(404)

    assert (await exchange(app, scope={"extensions": {kind: {}}})).status_code == 404


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("error", [Boom("its own"), OSError("disk")])
async def test_any_other_error_is_passed_on(name: str, error: Exception) -> None:
    wrap, app = raising(error)[name]

    with pytest.raises(type(error)) as caught:
        await wrap(app)({"type": "http", "method": "GET"}, unused, unused)

    assert caught.value is error


async def unused(*args: Any) -> Any:
    pytest.fail("nothing is received or sent")


@pytest.mark.parametrize("name", EARLY)
async def test_a_client_disconnect_ends_quietly(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrap, app = raising(ClientDisconnect("it left"))[name]

    with caplog.at_level(logging.DEBUG, "asgikit"):
        await wrap(app)({"type": "http", "method": "GET"}, unused, unused)

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


async def test_an_error_that_cannot_be_sent_is_an_error() -> None:
    app = to_asgi(fail_with(HTTPError(404, headers={"x-a": "\r\n"})))

    with pytest.raises(ValueError, match="control character"):
        await exchange(app)


# --- limits and request classes -----------------------------------------------------------------


async def test_limits_are_those_of_the_handler() -> None:
    @request_response(limits=Limits(max_body_size=3))
    async def app(request: Request[Any]) -> Response:
        return Response(await request.body())

    assert (await exchange(app, "POST", body=b"abc")).body == b"abc"
    for body in (b"abcd", [b"ab", b"cd"]):
        answer = await exchange(app, "POST", body=body)
        assert answer.status_code == 413
        assert "max_body_size" in answer.json()["detail"]


class Plain(Request[Any]):
    def hello(self) -> str:
        return f"Hello from {self.path}!"


class Slotted(Plain):
    __slots__ = ("extra",)


class Initialised(Plain):
    def __init__(self, scope: Scope, receive: Receive, send: Send, **options: Any) -> None:
        super().__init__(scope, receive, send, **options)
        self.extra = "set"


@pytest.mark.parametrize("request_class", [Plain, Slotted, Initialised])
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, Limits(max_body_size=3)])
async def test_a_handler_gets_a_request_of_its_class(
    request_class: type[Plain], limits: Limits
) -> None:
    seen: list[Plain] = []

    async def handler(request: Plain) -> PlainTextResponse:
        seen.append(request)
        assert isinstance(request, Initialised) is hasattr(request, "extra")
        assert request.send is not None
        return PlainTextResponse(request.hello() + (await request.text()))

    app = request_response(request_class=request_class, limits=limits)(handler)
    answer = await exchange(app, "POST", "/a", body=b"abc")

    assert answer.text == "Hello from /a!abc"
    assert type(seen[0]) is request_class
    assert (await exchange(app, "POST", "/a", body=b"abcd")).status_code == (
        200 if limits is DEFAULT_LIMITS else 413
    )


# --- the end ------------------------------------------------------------------------------------


async def read_and(request: Request[Any], end: str) -> Response:
    await request.is_disconnected()  # leaves a call of receive() in flight on asyncio
    if end != "poll":
        await request.body()
    match end:
        case "HTTP error":
            raise HTTPError(404)
        case "error":
            raise Boom
        case "cancelled":
            await anyio.sleep_forever()
        case "stream":
            return StreamingResponse([b"a"])
        case "foreign":
            return StarletteResponse("a")  # type: ignore[return-value]  # any app will do
    return Response("a")


ENDS = ["response", "stream", "foreign", "poll", "HTTP error", "error", "disconnect", "cancelled"]


def both_reading(end: str) -> list[Any]:
    async def handler(request: Request[Any]) -> Response:
        return await read_and(request, end)

    def sync_handler(request: Request[Any]) -> Response:
        return anyio.from_thread.run(handler, request)

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        async def instance(receive: Receive, send: Send) -> None:
            response = await handler(Request(scope, receive, send))
            await response(scope, receive, send)

        return instance

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        await instance_of(scope)(receive, send)

    return [
        request_response(handler),
        request_response(sync_handler),
        to_asgi(instance_of),
        to_asgi(app3),
    ]


@pytest.mark.parametrize(
    ("end", "number"),
    # A thread that waits for ever is waited for.
    [(end, number) for end in ENDS for number in range(4) if (end, number) != ("cancelled", 1)],
)
async def test_the_bodies_are_forgotten_on_every_exit(end: str, number: int) -> None:
    scopes: list[Scope] = []
    app = both_reading(end)[number]

    async def spy(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    async def late() -> AsyncGenerator[bytes]:
        yield b"a"
        if end in ("disconnect", "poll"):
            await anyio.sleep_forever()

    with anyio.fail_after(BOUND):
        with anyio.move_on_after(0.05 if end == "cancelled" else BOUND), suppress(Boom):
            await exchange(
                spy,
                "POST",
                body=late(),
                disconnect_after=0 if end == "disconnect" else None,
            )

    assert KEY not in scopes[0]


async def test_a_body_lasts_as_long_as_the_outermost_app() -> None:
    inner = request_response(lambda request: Response("inner"))
    bodies: list[bytes] = []

    @to_asgi
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any] = Request(scope, receive, send)
        bodies.append(await request.body())
        await inner(scope, receive, send)
        bodies.append(await Request(scope, receive, send).body())

    assert (await exchange(outer, "POST", body=b"abc")).body == b"inner"
    assert bodies == [b"abc", b"abc"]


async def test_two_requests_over_one_scope_see_one_body() -> None:
    @request_response
    async def app(request: Request[Any]) -> JSONResponse:
        return JSONResponse([await request.json(), request.state.seen])

    @to_asgi
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["seen"] = await Request(scope, receive).json()
        await app(scope, receive, send)

    assert (await exchange(middleware, "POST", body=b"[1]")).json() == [[1], [1]]


async def test_the_files_of_a_form_are_closed_whoever_made_the_request() -> None:
    forms: list[FormData] = []

    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        forms.append(await Request[Any](scope, receive, send).form())
        await Response()(scope, receive, send)

    content_type = {"content-type": CONTENT_TYPE}
    await exchange(app, "POST", headers=content_type, body=form_body(file("f", "tea.txt", b"tea")))

    upload = forms[0]["f"]
    assert isinstance(upload, UploadFile)
    with pytest.raises(ValueError, match="closed"):
        await upload.read()


async def test_the_body_is_there_until_background_is_done() -> None:
    bodies: list[bytes] = []

    @request_response
    async def app(request: Request[Any]) -> Response:
        await request.body()

        async def background() -> None:
            bodies.append(await Request(request.scope, request.receive).body())

        return Response(background=background)

    await exchange(app, "POST", body=b"abc")

    assert bodies == [b"abc"]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("end", ["response", "stream", "foreign", "HTTP error"])
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)
async def test_cancelled_at_any_wait_it_leaves_nothing_open(
    number: int, end: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = both_reading(end)[number]

    async def serve(scope: Scope) -> None:
        messages = [{"type": "http.request", "body": b"a", "more_body": more} for more in (1, 1, 0)]

        async def receive() -> Message:
            await checkpoint()
            if not messages:
                await anyio.sleep_forever()
            return messages.pop(0)

        async def send(message: Message) -> None:
            await checkpoint()

        await app(scope, receive, send)

    outcomes: set[bool] = set()
    for at in range(1, 41):
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        with anyio.fail_after(BOUND):
            outcomes.add(await run_cancelled_at(at, serve(scope), how))
        assert KEY not in scope
    gc.collect()

    assert True in outcomes
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
