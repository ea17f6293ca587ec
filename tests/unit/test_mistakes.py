"""Typical mistakes of beginners: each error message names the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import asgikit
from asgikit import PlainTextResponse, Request, Response, request_response, to_asgi
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
