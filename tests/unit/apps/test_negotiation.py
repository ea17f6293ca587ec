"""Negotiation of the media type of a response."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asgikit import (
    HTMLResponse,
    HTTPError,
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
    negotiate,
    request_response,
)
from asgikit.testing import exchange

pytestmark = pytest.mark.anyio


def as_json(request: Request) -> Response:
    return JSONResponse({"path": request.path})


def as_html(request: Request) -> Response:
    return HTMLResponse("<p>", headers={"vary": "cookie"})


async def as_csv(request: Request) -> Response:
    return StreamingResponse(["a,b"], media_type="text/csv")


@request_response
def app(request: Request) -> Response:
    return negotiate(request, {"application/json": as_json, "text/html": as_html})


@request_response
async def async_app(request: Request) -> Response:
    return await negotiate(request, {"text/csv": as_csv})


@pytest.mark.parametrize(
    ("accept", "media_type", "vary"),
    [
        (None, "application/json", "Accept"),
        ("*/*", "application/json", "Accept"),
        ("text/html, */*;q=0.8", "text/html; charset=utf-8", "cookie, Accept"),
        ("text/*", "text/html; charset=utf-8", "cookie, Accept"),
        ("application/json;q=0.1", "application/json", "Accept"),
        # Clients send a charset, and the offer names none.
        ("application/json; charset=utf-8", "application/json", "Accept"),
        ("application/json; charset=utf-8, */*;q=0.1", "application/json", "Accept"),
        (
            "text/html;charset=UTF-8, application/json;q=0.9",
            "text/html; charset=utf-8",
            "cookie, Accept",
        ),
    ],
)
async def test_handler_of_the_preferred_media_type_is_called(
    accept: str | None, media_type: str, vary: str
) -> None:
    headers = [] if accept is None else [("accept", accept)]
    answer = await exchange(app, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers.getall("vary") == [vary]


async def test_async_handler_is_awaited_by_the_caller() -> None:
    answer = await exchange(async_app)

    assert (answer.body, answer.headers["vary"]) == (b"a,b", "Accept")


async def test_no_acceptable_media_type_is_a_406_with_a_list() -> None:
    answer = await exchange(app, headers=[("accept", "image/png")])

    assert answer.status_code == 406
    assert answer.headers.getall("vary") == ["Accept"]
    assert json.loads(answer.body)["available"] == ["application/json", "text/html"]


@pytest.mark.parametrize("handlers", [{}, {"text/*": as_html}, {"html": as_html}])
def test_invalid_handlers_raise_value_error(handlers: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        negotiate(Request({"type": "http"}), handlers)


def test_error_of_a_handler_propagates() -> None:
    def fail(request: Request) -> Response:
        raise HTTPError(404)

    with pytest.raises(HTTPError, match="404"):
        negotiate(Request({"type": "http"}), {"text/html": fail})
