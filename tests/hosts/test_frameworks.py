from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from asgikit import JSONResponse, PlainTextResponse, Request, Response, request_response, to_asgi
from tests.hosts.apps import DESCRIBING, ECHO
from tests.hosts.frameworks import FRAMEWORKS, OWN, PATHS
from tests.servers.harness import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request as StarletteRequest
    from starlette.responses import PlainTextResponse as StarletteText

    from asgikit.types import Receive, Scope, Send

    Client = Callable[[Any], AbstractAsyncContextManager[httpx.AsyncClient]]

pytestmark = pytest.mark.anyio

TARGET = "/mounted/caf%C3%A9/a%20b?x=1&y=a+b%26c&x=2"
BODY = bytes(range(256)) * 1000


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest, anyio_backend: str) -> str:
    """Each way to hang an app into a framework, by its name."""
    if request.param == "beside_django" and anyio_backend == "trio":
        pytest.skip("Django runs on asyncio only")
    name: str = request.param
    return name


@pytest.mark.parametrize("name", DESCRIBING)
async def test_a_mounted_app_answers(client_of: Client, framework: str, name: str) -> None:
    async with client_of(FRAMEWORKS[framework](DESCRIBING[name])) as client:
        answer = await client.get(TARGET)

        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {
            "method": "GET",
            "path": PATHS[framework],
            "query_params": {"x": "1", "y": "a b&c"},
        }
        assert (await client.get("/own")).text == OWN


async def test_a_mounted_app_reads_a_body(client_of: Client, framework: str) -> None:
    async def pieces() -> Any:
        for start in range(0, len(BODY), 10_000):
            yield BODY[start : start + 10_000]

    async with client_of(FRAMEWORKS[framework](ECHO)) as client:
        assert (await client.post("/mounted/echo", content=BODY)).content == BODY
        assert (await client.post("/mounted/echo", content=pieces())).content == BODY


@pytest.mark.parametrize("name", DESCRIBING)
async def test_httpx_takes_an_app_as_its_transport(client_of: Client, name: str) -> None:
    async with client_of(DESCRIBING[name]) as client:
        answer = await client.get("/caf%C3%A9?x=1")
        head = await client.head("/caf%C3%A9?x=1")

    assert answer.json() == {"method": "GET", "path": "/café", "query_params": {"x": "1"}}
    assert (head.status_code, head.content) == (200, b"")


def starlette(endpoint: Callable[[StarletteRequest], Any]) -> Any:
    """A Starlette app with one page."""
    require("starlette")
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])])


def starlette_text(text: str) -> StarletteText:
    """A response of Starlette's own."""
    require("starlette")
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (JSONResponse({"a": 1}), '{"a":1}'),
        (PlainTextResponse("café"), "café"),
        (Response(status_code=204), ""),
    ],
)
async def test_a_starlette_handler_returns_our_response(
    client_of: Client, response: Response, text: str
) -> None:
    async def endpoint(request: StarletteRequest) -> Any:
        return response

    async with client_of(starlette(endpoint)) as client:
        answer = await client.get("/")
        again = await client.get("/")
        head = await client.head("/")

    assert (answer.status_code, answer.text) == (response.status_code, text)
    assert (again.text, again.headers) == (answer.text, answer.headers)
    assert (head.text, head.headers) == ("", answer.headers)


async def test_our_handler_returns_a_starlette_response(client_of: Client) -> None:
    async def handler(request: Request) -> Any:
        return starlette_text("theirs")

    def factory(scope: Scope) -> Any:
        return starlette_text("theirs")

    for app in (request_response(handler), to_asgi(factory)):
        async with client_of(app) as client:
            assert (await client.get("/")).text == "theirs"


async def _starlette_endpoint(request: StarletteRequest) -> StarletteText:
    body = await request.body()
    return starlette_text(f"{len(body)} {request.headers['x-seen']} {body == BODY}")


async def test_a_body_read_by_middlewares_reaches_the_starlette_app_behind_them(
    client_of: Client,
) -> None:
    seen: list[int] = []
    behind = starlette(_starlette_endpoint)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        seen.append(len(await request.body()))
        field = (b"x-seen", repr(seen).encode())
        scope = {**scope, "headers": [*scope["headers"], field]}
        await behind(scope, request.replay(), send)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        # It reads the body and hands on what it was called with: the next reader sees the same.
        seen.append(len(await Request(scope, receive, send).body()))
        await inner(scope, receive, send)

    async with client_of(to_asgi(outer)) as client:
        answer = await client.post("/", content=BODY)

    assert answer.text == f"{len(BODY)} [{len(BODY)}, {len(BODY)}] True"


async def test_a_body_that_nobody_read_is_replayed_as_it_arrives(client_of: Client) -> None:
    behind = starlette(_starlette_endpoint)

    @to_asgi
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        await behind(scope, Request(scope, receive, send).replay(), send)

    async with client_of(middleware) as client:
        answer = await client.post("/", content=BODY, headers={"x-seen": "no"})

    assert answer.text == f"{len(BODY)} no True"
