"""The shape that hosts require of the apps that ``to_asgi`` and ``request_response`` return."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from asgiref.compatibility import guarantee_single_callable, is_double_callable

from asgikit import request_response, to_asgi
from asgikit.testing import exchange
from tests.hosts.apps import describe, describe_in_thread, lifespan
from tests.servers.served.minimal import app as describe_scope

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send


async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond as an ASGI 3 app."""
    await describe_scope(scope)(scope, receive, send)


SHAPES: dict[str, ASGIApp] = {
    "function": to_asgi(describe_scope),
    "asgi3": to_asgi(asgi3),
    "function with lifespan": to_asgi(describe_scope, lifespan=lifespan),
    "decorator with arguments": to_asgi()(describe_scope),
    "coroutine handler": request_response(describe),
    "thread handler": request_response(describe_in_thread),
    "handler with lifespan": request_response(describe, lifespan=lifespan),
    "handler's decorator with arguments": request_response()(describe),
}

each_shape = pytest.mark.parametrize("app", SHAPES.values(), ids=SHAPES)


@each_shape
def test_adapted_app_is_instance_and_not_function(app: ASGIApp) -> None:
    # Ray Serve and Route of Starlette expect a function to return a response.
    assert not inspect.isroutine(app)
    assert not inspect.isclass(app)


@each_shape
def test_adapted_app_call_has_three_annotated_parameters(app: ASGIApp) -> None:
    # Litestar and Vercel inspect the signature; hypercorn and asgiref require a coroutine function.
    call = inspect.signature(type(app).__call__)
    self, *parameters = call.parameters.values()

    assert inspect.iscoroutinefunction(type(app).__call__)
    assert self.name == "self"
    assert [parameter.name for parameter in parameters] == ["scope", "receive", "send"]
    for parameter in parameters:
        assert parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        assert parameter.default is parameter.empty
    assert get_type_hints(type(app).__call__) == {
        "scope": Any,
        "receive": Any,
        "send": Any,
        "return": type(None),
    }
    assert list(inspect.signature(app).parameters) == ["scope", "receive", "send"]


@each_shape
def test_adapted_app_has_no_wrapped_attribute(app: ASGIApp) -> None:
    # inspect.signature and inspect.unwrap would follow it to the wrapped function.
    assert not hasattr(app, "__wrapped__")


@each_shape
def test_asgiref_detects_adapted_app_as_asgi3(app: ASGIApp) -> None:
    assert not is_double_callable(app)  # type: ignore[no-untyped-call] # asgiref has none here
    assert guarantee_single_callable(app) is app  # type: ignore[no-untyped-call]


@each_shape
def test_adapted_app_called_without_arguments_raises_type_error(app: Any) -> None:
    # uvicorn calls the app without arguments to detect an app factory.
    with pytest.raises(TypeError):
        app()


@pytest.mark.anyio
@each_shape
async def test_adapted_app_is_picklable(app: ASGIApp) -> None:
    copy = pickle.loads(pickle.dumps(app))

    assert (await exchange(copy, target="/a")).json()["path"] == "/a"


@pytest.mark.anyio
async def test_adapted_local_function_is_picklable_by_cloudpickle() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")

    @request_response(lifespan=lifespan)
    def handler(request: Any) -> Any:
        return describe_in_thread(request)

    copy = pickle.loads(cloudpickle.dumps(handler))

    assert (await exchange(copy, target="/a")).json()["path"] == "/a"
