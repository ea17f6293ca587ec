"""Apps mounted in frameworks, and responses exchanged between asgikit and Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from asgikit import JSONResponse, PlainTextResponse, Request, Response, request_response, to_asgi
from tests.hosts.apps import ADAPTED_APPS, ECHO
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
    """The name of each way to mount an app in a framework."""
    if request.param == "beside_django" and anyio_backend == "trio":
        pytest.skip("Django runs on asyncio only")
    name: str = request.param
    return name


@pytest.mark.parametrize("name", ADAPTED_APPS)
async def test_mounted_app_responds(client_of: Client, framework: str, name: str) -> None:
    async with client_of(FRAMEWORKS[framework](ADAPTED_APPS[name])) as client:
        response = await client.get(TARGET)

        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {
            "method": "GET",
            "path": PATHS[framework],
            "query_params": {"x": "1", "y": "a b&c"},
        }
        assert (await client.get("/own")).text == OWN


def describe_url(request: Request) -> JSONResponse:
    return JSONResponse([str(request.url), request.route_path])


@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.parametrize("is_removed", [False, True])
async def test_url_and_route_path_are_right_in_every_mount(
    client_of: Client, framework: str, root_path: str, *, is_removed: bool
) -> None:
    outer = FRAMEWORKS[framework](request_response(describe_url))

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["root_path"] = root_path
            if not is_removed and framework != "beside_django":  # it compares the whole path
                scope["path"] = root_path + scope["path"]
                scope["raw_path"] = root_path.encode() + scope["raw_path"]
        await outer(scope, receive, send)

    async with client_of(server) as client:
        url, route_path = (await client.get(TARGET)).json()

    assert url == f"http://host.test{root_path}{TARGET}"
    is_mount = framework.endswith("_mount")
    assert route_path == ("/café/a b" if is_mount else "/mounted/café/a b")


async def test_mounted_app_reads_body(client_of: Client, framework: str) -> None:
    async def chunks() -> Any:
        for start in range(0, len(BODY), 10_000):
            yield BODY[start : start + 10_000]

    async with client_of(FRAMEWORKS[framework](ECHO)) as client:
        assert (await client.post("/mounted/echo", content=BODY)).content == BODY
        assert (await client.post("/mounted/echo", content=chunks())).content == BODY


@pytest.mark.parametrize("name", ADAPTED_APPS)
async def test_httpx_transport_calls_app(client_of: Client, name: str) -> None:
    async with client_of(ADAPTED_APPS[name]) as client:
        response = await client.get("/caf%C3%A9?x=1")
        head = await client.head("/caf%C3%A9?x=1")

    assert response.json() == {"method": "GET", "path": "/café", "query_params": {"x": "1"}}
    assert (head.status_code, head.content) == (200, b"")


def starlette(endpoint: Callable[[StarletteRequest], Any]) -> Any:
    """Return a Starlette app with one route."""
    require("starlette")
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])])


def starlette_text(text: str) -> StarletteText:
    """Return a response of Starlette."""
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
async def test_starlette_endpoint_returns_asgikit_response(
    client_of: Client, response: Response, text: str
) -> None:
    async def endpoint(request: StarletteRequest) -> Any:
        return response

    async with client_of(starlette(endpoint)) as client:
        received = await client.get("/")
        again = await client.get("/")
        head = await client.head("/")

    assert (received.status_code, received.text) == (response.status_code, text)
    assert (again.text, again.headers) == (received.text, received.headers)
    assert (head.text, head.headers) == ("", received.headers)


async def test_handler_returns_starlette_response(client_of: Client) -> None:
    async def handler(request: Request) -> Any:
        return starlette_text("from Starlette")

    def factory(scope: Scope) -> Any:
        return starlette_text("from Starlette")

    for app in (request_response(handler), to_asgi(factory)):
        async with client_of(app) as client:
            assert (await client.get("/")).text == "from Starlette"


async def _starlette_endpoint(request: StarletteRequest) -> StarletteText:
    body = await request.body()
    return starlette_text(f"{len(body)} {request.headers['x-seen']} {body == BODY}")


async def test_body_read_by_middlewares_is_replayed_to_starlette(
    client_of: Client,
) -> None:
    seen: list[int] = []
    starlette_app = starlette(_starlette_endpoint)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        seen.append(len(await request.body()))
        field = (b"x-seen", repr(seen).encode())
        scope = {**scope, "headers": [*scope["headers"], field]}
        await starlette_app(scope, request.replay(), send)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        # The second request of one scope and receive shares the body that the first one has read.
        seen.append(len(await Request(scope, receive, send).body()))
        await inner(scope, receive, send)

    async with client_of(to_asgi(outer)) as client:
        response = await client.post("/", content=BODY)

    assert response.text == f"{len(BODY)} [{len(BODY)}, {len(BODY)}] True"


async def test_body_unread_by_middleware_is_replayed_to_starlette(client_of: Client) -> None:
    starlette_app = starlette(_starlette_endpoint)

    @to_asgi
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        await starlette_app(scope, Request(scope, receive, send).replay(), send)

    async with client_of(middleware) as client:
        response = await client.post("/", content=BODY, headers={"x-seen": "no"})

    assert response.text == f"{len(BODY)} no True"
