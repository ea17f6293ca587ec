"""Typical mistakes of beginners: each error message names the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import asgikit
from asgikit import (
    FormData,
    HTTPError,
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    request_response,
    to_asgi,
)
from asgikit.testing import exchange

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def takes_request(request: Request[Any]) -> Response:
    return Response()


def takes_any_request(request: asgikit.Request) -> Response:
    return Response()


def takes_quoted_request(request: "Request[Any]") -> Response:  # noqa: UP037 - a forward reference
    return Response()


class Views:
    def show(self, request: Request[Any]) -> Response:
        return Response()


@pytest.mark.parametrize(
    "function", [takes_request, takes_any_request, takes_quoted_request, Views().show]
)
def test_to_asgi_of_a_handler_names_request_response(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="takes a request: use @request_response"):
        to_asgi(function)


@pytest.mark.parametrize(
    ("returned", "fix"),
    [
        ({"a": 1}, r"handler returned a dict: return a response, such as JSONResponse\(\.\.\.\)"),
        (None, "handler returned None, perhaps without a return statement: return a response"),
        (PlainTextResponse, "handler returned the class PlainTextResponse: return an instance"),
    ],
)
async def test_value_that_is_no_response_names_the_fix(returned: Any, fix: str) -> None:
    async def handler(request: Request[Any]) -> Any:
        return returned

    with pytest.raises(TypeError, match=fix):
        await exchange(request_response(handler))


def build_request() -> Any:
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    return Request({**scope, "query_string": b"a=1&a=2"}, receive)


async def receive() -> Any:
    return {"type": "http.request", "body": b"a=1"}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize(
    ("mistake", "error_class", "fix"),
    [
        (
            lambda request: JSONResponse(request.json()),
            TypeError,
            r"JSON cannot hold a coroutine: await it, as in JSONResponse\(await request.json\(\)\)",
        ),
        (
            lambda request: JSONResponse({"body": [request.json()]}),
            TypeError,
            "JSON cannot hold a coroutine: await it",
        ),
        (
            lambda request: request.form().get("a"),
            AttributeError,
            r"was not awaited: write form = await request.form\(\)",
        ),
        (
            lambda request: request.form()["a"],
            TypeError,
            r"was not awaited: write form = await request.form\(\)",
        ),
        (lambda request: HTTPError("404"), TypeError, "status_code must be an int, not '404'"),  # type: ignore[arg-type]
        (lambda request: HTTPError(404, {"a": 1}), TypeError, r"members as extensions=\{"),  # type: ignore[arg-type]
        (lambda request: request.args, AttributeError, "'args': use request.query_params"),
        (lambda request: request.files, AttributeError, r"use await request.form\(\)"),
        (lambda request: request.session, AttributeError, r'use request.scope\["session"\]'),
        (
            lambda request: request.query_params.getlist("a"),
            AttributeError,
            r"'QueryParams' object has no attribute 'getlist': use getall\(\)",
        ),
        (lambda request: request.query_params.multi_items(), AttributeError, r"use items\(\)"),
        (lambda request: FormData([]).getlist("a"), AttributeError, r"use getall\(\)"),  # type: ignore[attr-defined]
        (lambda request: FormData([]).tea, AttributeError, "has no attribute 'tea'$"),  # type: ignore[attr-defined]
        (lambda request: request.tea, AttributeError, "^'Request' object has no attribute 'tea'$"),
    ],
)
def test_mistake_raises_an_error_that_names_the_fix(
    mistake: Callable[[Any], Any], error_class: type[Exception], fix: str
) -> None:
    with pytest.raises(error_class, match=fix):
        mistake(build_request())
