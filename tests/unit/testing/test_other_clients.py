"""Test clients of other projects work on asgikit apps: httpx, and that of Starlette."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.testclient import TestClient

from asgikit import JSONResponse, Request, StreamingResponse, request_response
from asgikit.testing import lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator


@asynccontextmanager
async def life() -> AsyncGenerator[dict[str, Any]]:
    yield {"greeting": "hello"}


async def chunks() -> AsyncIterator[bytes]:
    yield b"green "
    yield b"tea"


@request_response(lifespan=life)
async def app(request: Request) -> JSONResponse | StreamingResponse:
    if request.path == "/stream":
        return StreamingResponse(chunks())
    async with request.form() as form:
        fields = {name: str(value) for name, value in form.items()}
    return JSONResponse({"greeting": request.state["greeting"], **fields})


# httpx does not close the iterator of a body that the app leaves unread, which Trio reports.
@pytest.mark.filterwarnings("ignore:Exception ignored .*<async_generator object ByteStream")
@pytest.mark.anyio
async def test_httpx_client_with_lifespan_reaches_the_app() -> None:
    async with lifespan(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            # httpx has no state of a lifespan.
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            posted = await client.post("/", data={"name": "Ada"})
            streamed = await client.get("/stream")

    assert posted.json() == {"greeting": "hello", "name": "Ada"}
    assert streamed.content == b"green tea"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_starlette_test_client_reaches_the_app(backend: Any) -> None:
    with TestClient(app, backend=backend) as client:
        posted = client.post("/", data={"name": "Ada"})
        streamed = client.get("/stream")

    assert posted.json() == {"greeting": "hello", "name": "Ada"}
    assert streamed.content == b"green tea"
