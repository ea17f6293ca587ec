"""The ASGI 3 apps that ``to_asgi`` and ``request_response`` return."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import logging
import pickle
import threading
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse as StarletteResponse
from starlette.routing import Route

from asgikit import (
    DEFAULT_LIMITS,
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
from asgikit._signatures import accepts
from asgikit.apps.adapters import HandlerApp, ScopeApp
from asgikit.body.sharing import KEY
from asgikit.testing import exchange, lifespan
from tests.support.apps import (
    App3,
    Boom,
    Factory,
    Instance,
    Own,
    StaticApp3,
    answer_scope,
    any_arguments,
    asgi3_with_parameter,
    async_handler,
    describe,
    fail_with,
    return_asgi3_function,
    return_bound_response,
    return_closure,
    return_closure_async,
    return_partial,
    return_response,
    return_response_async,
    return_scopeless_closure,
    return_starlette_app,
    return_starlette_response,
    starlette,
    sync_handler,
    wrap_handler,
)
from tests.support.form_bodies import CONTENT_TYPE, file
from tests.support.form_bodies import body as form_body
from tests.support.streams import run_cancelled_at
from tests.support.waiting import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


# --- structures -----------------------------------------------------------------------------------


STRUCTURES: dict[str, Callable[..., Any]] = {
    "function that returns a response": return_response,
    "lambda": lambda scope: describe(scope),  # noqa: PLW0108 - tests a lambda
    "closure": return_closure,
    "closure that leaves the scope out": return_scopeless_closure,
    "partial": return_partial,
    "partial of a response": return_bound_response,
    "class": Instance,
    "instance that returns an instance": Factory(),
    "method": Factory().method,
    "static method": Factory.static,
    "partial factory": functools.partial(Factory.method, Factory()),
    "async factory of a response": return_response_async,
    "async factory of a closure": return_closure_async,
    "async method": Factory().slow,
    "function that returns a Starlette app": return_starlette_app,
    "function that returns a Starlette response": return_starlette_response,
    "function that returns an ASGI 3 function": return_asgi3_function,
    "function that returns a wrapped app": lambda scope: to_asgi(return_closure),
    "function that returns a response of its own": lambda scope: Own(describe(scope).body),
    "decorated function": any_arguments(return_closure),
    "ASGI 3 function": answer_scope,
    "ASGI 3 instance": App3(),
    "ASGI 3 method": App3().method,
    "ASGI 3 static method": StaticApp3(),
    "ASGI 3 partial": functools.partial(asgi3_with_parameter, "more"),
    "decorated ASGI 3 function": any_arguments(answer_scope),
    "ASGI 3 function around a handler": wrap_handler(lambda request: describe(request.scope)),
    "Starlette app": starlette,
    "wrapped app": to_asgi(return_closure),
    "wrapped handler": request_response(lambda request: describe(request.scope)),
}


@pytest.mark.parametrize("app", STRUCTURES.values(), ids=STRUCTURES)
async def test_app_of_each_structure_is_served(app: Callable[..., Any]) -> None:
    for wrapped in (to_asgi(app), to_asgi()(app), to_asgi(lifespan=None)(app)):
        answer = await exchange(wrapped, target="/a")
        assert (answer.status_code, answer.text) == (200, "GET /a")

    async with lifespan(to_asgi(app)):
        pass


@pytest.mark.parametrize("app", [return_response, return_closure, Instance, answer_scope])
async def test_instance_with_its_scope_answers_head_without_body(app: Callable[..., Any]) -> None:
    answer = await exchange(to_asgi(app), "HEAD", "/a")

    assert (answer.body, answer.headers["content-length"]) == (b"", "7")


async def test_response_is_an_app_for_to_asgi() -> None:
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
        type,  # a class without a readable signature
        Instance({}),  # an ASGI 2 instance
        object(),
        "text",
        1,
    ],
)
def test_to_asgi_refuses_other_signatures_at_decoration(app: Any) -> None:
    with pytest.raises(TypeError, match="to_asgi takes"):
        to_asgi(app)


# --- handlers -------------------------------------------------------------------------------------


class Handlers:
    async def __call__(self, request: Request[Any]) -> PlainTextResponse:
        return await async_handler(request)

    async def method(self, request: Request[Any], more: int = 0) -> PlainTextResponse:
        return await async_handler(request)

    def sync(self, request: Request[Any]) -> PlainTextResponse:
        return sync_handler(request)


class SyncHandler:
    def __call__(self, request: Request[Any]) -> PlainTextResponse:
        return sync_handler(request)


HANDLERS: dict[str, Callable[..., Any]] = {
    "async function": async_handler,
    "function": sync_handler,
    "lambda that returns an awaitable": lambda request: async_handler(request),  # noqa: PLW0108 - as above
    "async instance": Handlers(),
    "instance": SyncHandler(),
    "async method": Handlers().method,
    "method": Handlers().sync,
    "async partial": functools.partial(Handlers.method, Handlers()),
    "partial": functools.partial(Handlers.sync, Handlers()),
    "decorated": any_arguments(async_handler),
    "one that returns a Starlette response": lambda request: return_starlette_response(
        request.scope
    ),
    "one that returns a Starlette app": lambda request: starlette,
    "one that returns an ASGI 3 function": lambda request: answer_scope,
    "one that returns a wrapped app": lambda request: to_asgi(return_closure),
    "one that returns a response of its own": lambda request: Own(describe(request.scope).body),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
async def test_handler_of_each_kind_is_served(handler: Callable[..., Any]) -> None:
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
def test_request_response_refuses_other_signatures_at_decoration(handler: Any) -> None:
    with pytest.raises(TypeError, match=r"request_response takes .*to_asgi"):
        request_response(handler)


async def test_sync_handler_runs_in_thread_and_factory_on_event_loop() -> None:
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


async def show() -> Response:
    return Response()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (lambda: None, "returned None, perhaps without a return statement"),
        (lambda: {"a": 1}, "returned a dict: return a response, such as JSONResponse"),
        (lambda: "text", "returned a str: return a response"),
        (lambda: b"bytes", "returned a bytes: return a response"),
        (lambda: 1, "returned a int: return a response"),
        (lambda: ["a"], "returned a list: return a response"),
        (lambda: PlainTextResponse, "returned the class PlainTextResponse: return an instance"),
        (lambda: dict, "returned the class dict: return an instance"),
        (lambda: show(), "returned a coroutine: await it"),  # noqa: PLW0108 - once for each test
    ],
)
async def test_value_that_is_no_response_raises_an_error_that_names_the_fix(
    value: Callable[[], Any], problem: str
) -> None:
    async def handler(request: Request[Any]) -> Any:
        return value()

    async def factory(scope: Scope) -> Any:
        return value()

    async def on_error(request: Request[Any], error: Exception) -> Any:
        return value()

    for app, name in (
        (request_response(handler), r"\.handler "),
        (to_asgi(factory), r"\.factory "),
        (request_response(fail_with(HTTPError(404)), on_error=on_error), "^on_error "),
    ):
        with pytest.raises(TypeError, match=f"{name}{problem}"):
            await exchange(app)


async def test_class_with_awaitable_instances_is_an_asgi_3_app() -> None:
    class Endpoint(HTTPEndpoint):
        async def get(self, request: Any) -> StarletteResponse:
            return StarletteResponse("tea")

    for app in (request_response(lambda request: Endpoint), to_asgi(lambda scope: Endpoint)):
        assert (await exchange(app)).text == "tea"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse("tea"),
        Response(status_code=204),
        JSONResponse({"a": 1}, 201, {"etag": '"1"'}),
        PlainTextResponse("tea", headers={"etag": '"1"'}, conditional=True),
    ],
)
async def test_whole_response_is_the_same_with_and_without_background(
    response: Response, method: str
) -> None:
    calls: list[str] = []
    with_background = copy.copy(response)
    with_background.background = lambda: calls.append("background")
    headers = {"if-none-match": '"1"'}

    fast = await exchange(request_response(lambda _: response), method, headers=headers)
    general = await exchange(request_response(lambda _: with_background), method, headers=headers)

    assert fast.messages == general.messages
    assert calls == ["background"]


FUNCTIONS: list[Callable[..., Any]] = [
    lambda: None,
    lambda a: None,
    lambda a, b=1: None,
    lambda a, b, c: None,
    lambda a, /, b: None,
    lambda *args: None,
    lambda a, *args: None,
    lambda a, b, *args, c=1: None,
    lambda a, *, b: None,
    lambda a, *, b=1, c: None,
    lambda a, *, b=1, c=2: None,
    lambda **kwargs: None,
]


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_of_a_function_is_read_as_inspect_does(
    function: Callable[..., Any], count: int
) -> None:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        is_accepted = False
    else:
        is_accepted = True

    assert accepts(function, count) is is_accepted


# --- the returned object --------------------------------------------------------------------------


WRAPPED: dict[str, Any] = {
    "to_asgi": to_asgi(return_closure),
    "to_asgi, ASGI 3": to_asgi(answer_scope),
    "to_asgi, decorator": to_asgi(on_error=None)(return_closure),
    "request_response": request_response(async_handler),
    "request_response, sync": request_response(sync_handler),
    "request_response, decorator": request_response(limits=Limits(max_body_size=1))(async_handler),
}


@pytest.mark.parametrize("app", WRAPPED.values(), ids=WRAPPED)
async def test_app_has_the_signature_that_hosts_require(app: Any) -> None:
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
    with pytest.raises(TypeError):  # as uvicorn does to find factories
        app()
    with pytest.raises(TypeError):
        app({"type": "http"})


@pytest.mark.parametrize("app", WRAPPED.values(), ids=WRAPPED)
async def test_app_can_be_pickled(app: Any) -> None:
    loaded = pickle.loads(pickle.dumps(app))

    assert type(loaded) is type(app)
    assert (await exchange(loaded, target="/a")).text == "GET /a"


def test_repr_of_app_contains_the_function() -> None:
    assert repr(to_asgi(return_closure)) == f"to_asgi({return_closure!r})"
    assert repr(request_response(async_handler)) == f"request_response({async_handler!r})"
    assert isinstance(to_asgi(return_closure), ScopeApp)
    assert isinstance(request_response(async_handler), HandlerApp)


class Documented:
    """An app class."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


@pytest.mark.parametrize("wrap", [request_response, to_asgi])
def test_app_has_the_identity_of_its_function(wrap: Callable[..., Any]) -> None:
    def show_user(first: Any) -> Response:
        """Show a user."""
        return Response()

    for app in (wrap(show_user), wrap(lifespan=None)(show_user)):
        assert app.__name__ == "show_user"
        assert app.__qualname__ == show_user.__qualname__
        assert app.__doc__ == "Show a user."
        assert app.__module__ == __name__
        assert not hasattr(app, "__wrapped__")


def test_app_of_an_instance_has_the_identity_of_its_class() -> None:
    app = to_asgi(Documented())

    assert app.__name__ == app.__qualname__ == "Documented"
    assert app.__doc__ == "An app class."
    assert app.__module__ == __name__
    assert to_asgi(functools.partial(answer_scope)).__name__ == "partial"


def test_starlette_finds_an_app_by_its_name() -> None:
    @request_response
    async def show_user(request: Request[Any]) -> Response:
        return Response()

    routes = Starlette(routes=[Route("/users/{id}", show_user)])

    assert routes.url_path_for("show_user", id="1") == "/users/1"


async def test_decorated_app_can_be_pickled_by_cloudpickle() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")

    @request_response
    async def show(request: Request[Any]) -> Response:
        """Show the path."""
        return PlainTextResponse(request.path)

    @to_asgi
    def scope_app(scope: Scope) -> Response:
        return PlainTextResponse(scope["path"])

    for app in (show, scope_app):
        loaded = pickle.loads(cloudpickle.dumps(app))
        assert (await exchange(loaded, target="/a")).text == "/a"
        assert (loaded.__name__, loaded.__doc__) == (app.__name__, app.__doc__)


# --- other apps ---------------------------------------------------------------------------------


class SlotApp:
    """An app whose ``__call__`` is a slot, like that of sentry_sdk's ``SentryAsgiMiddleware``."""

    __slots__ = ("__call__",)

    def __init__(self) -> None:
        self.__call__ = self._run

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


def pass_on(function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


class DecoratedCallApp:
    @any_arguments
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


class AnyArgumentsApp:
    @pass_on
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_scope(scope, receive, send)


class UnreadableSignature(App3):
    __signature__ = "none"  # inspect.signature() raises TypeError


@pytest.mark.parametrize(
    "app",
    [SlotApp(), DecoratedCallApp(), AnyArgumentsApp(), UnreadableSignature()],
    ids=lambda app: type(app).__name__,
)
async def test_asgi_3_instance_with_unusual_call_is_served(app: Any) -> None:
    assert (await exchange(to_asgi(app), target="/a")).text == "GET /a"
    returning = request_response(lambda request: app)
    assert (await exchange(returning, target="/a")).text == "GET /a"


async def test_sentry_middleware_is_an_asgi_3_app() -> None:
    sentry = pytest.importorskip("sentry_sdk.integrations.asgi")

    app = to_asgi(sentry.SentryAsgiMiddleware(answer_scope))

    assert (await exchange(app, target="/a")).text == "GET /a"


async def test_inner_apps_get_coroutine_functions() -> None:
    seen: list[bool] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(inspect.iscoroutinefunction(function) for function in (receive, send))
        await answer_scope(scope, receive, send)

    async def handler(request: Request[Any]) -> Any:
        await request.body()
        return inner

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        return functools.partial(inner, scope)

    def on_error(request: Request[Any], error: Exception) -> Any:
        return inner

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    for app in (
        to_asgi(inner),
        to_asgi(instance_of),
        to_asgi(lambda scope: inner),
        request_response(handler),
        to_asgi(fail_with(HTTPError(404)), on_error=on_error),
    ):
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    assert seen == [True] * 10


# --- other scopes ---------------------------------------------------------------------------------


async def test_websocket_is_denied_by_handlers_and_asgi_2_apps() -> None:
    denial = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    # A response denies with its own status.
    for app, status_code in (
        (to_asgi(return_response), 404),
        (request_response(async_handler), 404),
        (to_asgi(Response(status_code=403)), 403),
    ):
        closed = await exchange(app, scope={"type": "websocket"})
        assert closed.messages == [{"type": "websocket.close"}]
        denied = await exchange(app, scope=denial)
        assert (denied.status_code, denied.body) == (status_code, b"")


async def test_websocket_is_passed_to_asgi_3_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close"})

    answer = await exchange(to_asgi(app), target="/a", scope={"type": "websocket"})

    assert answer.messages[1]["text"] == "/a"


@pytest.mark.parametrize("words", [[], ["accept"]])
async def test_http_error_in_websocket_propagates(words: list[str]) -> None:
    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for word in words:
            await send({"type": f"websocket.{word}"})
        raise HTTPError(403)

    with anyio.fail_after(BOUND), pytest.raises(HTTPError):
        await exchange(app, scope={"type": "websocket"})


async def test_scope_of_unknown_type_raises_and_names_it() -> None:
    def never(scope: Any) -> Response:
        pytest.fail("it is not called")

    for app in (to_asgi(never), to_asgi(answer_scope), request_response(never)):
        with pytest.raises(RuntimeError, match="not 'tcp'"):
            await exchange(app, scope={"type": "tcp"})


# --- limits and request classes -------------------------------------------------------------------


async def test_limits_argument_bounds_the_body() -> None:
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
async def test_handler_gets_an_instance_of_request_class(
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


# --- the end of a request -------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
async def test_request_of_subclass_is_closed_on_every_exit(fails: bool) -> None:
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
            return StarletteResponse("a")  # type: ignore[return-value]  # a foreign app
    return Response("a")


ENDS = ["response", "stream", "foreign", "poll", "HTTP error", "error", "disconnect", "cancelled"]


def build_reading_apps(end: str) -> list[Any]:
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
    # The thread of a cancelled sync handler is waited for.
    [(end, number) for end in ENDS for number in range(4) if (end, number) != ("cancelled", 1)],
)
async def test_body_is_removed_from_scope_on_every_exit(end: str, number: int) -> None:
    scopes: list[Scope] = []
    app = build_reading_apps(end)[number]

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


async def test_body_is_kept_until_the_outermost_app_returns() -> None:
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


async def test_two_requests_of_one_scope_share_the_body() -> None:
    @request_response
    async def app(request: Request[Any]) -> JSONResponse:
        return JSONResponse([await request.json(), request.state.seen])

    @to_asgi
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["seen"] = await Request(scope, receive).json()
        await app(scope, receive, send)

    assert (await exchange(middleware, "POST", body=b"[1]")).json() == [[1], [1]]


async def test_form_files_are_closed_for_requests_made_by_the_app() -> None:
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


async def test_body_is_readable_in_the_background_task() -> None:
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
async def test_cancellation_at_any_await_leaves_nothing_open(
    number: int, end: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_reading_apps(end)[number]

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
