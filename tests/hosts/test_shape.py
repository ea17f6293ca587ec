"""What hosts demand of the object that ``to_asgi`` and ``request_response`` return."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from asgiref.compatibility import guarantee_single_callable, is_double_callable

from asgikit import request_response, to_asgi
from asgikit.testing import exchange
from tests.hosts.apps import describe, describe_in_thread, lifespan, seed

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send


async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI 3 app."""
    await seed(scope)(scope, receive, send)


SHAPES: dict[str, ASGIApp] = {
    "function": to_asgi(seed),
    "asgi3": to_asgi(asgi3),
    "function with lifespan": to_asgi(seed, lifespan=lifespan),
    "decorator with arguments": to_asgi()(seed),
    "coroutine handler": request_response(describe),
    "thread handler": request_response(describe_in_thread),
    "handler with lifespan": request_response(describe, lifespan=lifespan),
    "handler's decorator with arguments": request_response()(describe),
}

each_shape = pytest.mark.parametrize("app", SHAPES.values(), ids=SHAPES)


@each_shape
def test_it_is_an_instance_and_no_function(app: ASGIApp) -> None:
    # Ray Serve and Starlette's Route take a function for something that returns a response.
    assert not inspect.isroutine(app)
    assert not inspect.isclass(app)


@each_shape
def test_its_call_is_a_coroutine_function_of_three_annotated_parameters(app: ASGIApp) -> None:
    # Litestar and Vercel read the signature; hypercorn and asgiref ask for a coroutine function.
    call = inspect.signature(type(app).__call__)
    itself, *parameters = call.parameters.values()

    assert inspect.iscoroutinefunction(type(app).__call__)
    assert itself.name == "self"
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
def test_nothing_leads_past_it(app: ASGIApp) -> None:
    # inspect.signature and inspect.unwrap would follow it to what it wraps.
    assert not hasattr(app, "__wrapped__")


@each_shape
def test_asgiref_takes_it_for_asgi_3(app: ASGIApp) -> None:
    assert not is_double_callable(app)  # type: ignore[no-untyped-call] # asgiref has none here
    assert guarantee_single_callable(app) is app  # type: ignore[no-untyped-call]


@each_shape
def test_a_call_without_arguments_is_a_type_error(app: Any) -> None:
    # uvicorn tells a factory of apps by it.
    with pytest.raises(TypeError):
        app()


@pytest.mark.anyio
@each_shape
async def test_it_is_pickled(app: ASGIApp) -> None:
    copy = pickle.loads(pickle.dumps(app))

    assert (await exchange(copy, target="/a")).json()["path"] == "/a"


@pytest.mark.anyio
async def test_cloudpickle_takes_it_with_what_is_defined_on_the_spot() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")

    @request_response(lifespan=lifespan)
    def handler(request: Any) -> Any:
        return describe_in_thread(request)

    copy = pickle.loads(cloudpickle.dumps(handler))

    assert (await exchange(copy, target="/a")).json()["path"] == "/a"
