"""A reverse proxy that streams bodies in both directions, at the pace of the slower side.

uvicorn --port 8001 examples.hello:app
UPSTREAM=http://127.0.0.1:8001 uvicorn examples.reverse_proxy:app
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from asgikit import ClientDisconnect, HTTPError, Request, StreamingResponse, request_response
from asgikit.http.fields import end_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

TIMEOUT = httpx.Timeout(60, connect=5).as_dict()  # seconds

# Headers of a request that this proxy writes itself.
OWN = {b"expect", b"forwarded", b"host", b"x-forwarded-for", b"x-forwarded-host"}
# Headers of a response that the server in front of this app adds.
SERVERS = {b"date", b"server"}

VIA = (b"via", b"1.1 asgikit")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[dict[str, object]]:
    # A transport without a client, which would add headers, cookies and redirects.
    async with httpx.AsyncHTTPTransport() as transport:
        yield {"transport": transport, "upstream": httpx.URL(os.environ["UPSTREAM"])}


async def read_body(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body as it arrives; ``stream()`` would decode a Content-Encoding."""
    receive = request.replay()
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        has_more = message.get("more_body", False)
        if chunk := message.get("body"):
            yield chunk


def forward(request: Request) -> httpx.Request:
    """Return the request to the upstream, with the path and the query of the client."""
    url: httpx.URL = request.state.upstream
    query = request.scope["query_string"]
    target = request.raw_path + (b"?" + query if query else b"")
    chunked = "transfer-encoding" in request.headers
    headers = [pair for pair in end_to_end(request.headers.raw) if pair[0] not in OWN]
    host = request.client.host if request.client else "unknown"
    own = [(b"host", url.netloc), (b"x-forwarded-for", host.encode()), VIA]
    has_body = chunked or "content-length" in request.headers
    return httpx.Request(
        request.method,
        url.copy_with(raw_path=target),
        headers=own + headers,
        content=read_body(request) if has_body else None,
        extensions={"timeout": TIMEOUT},
    )


class Relay:
    """Iterate over the body of the upstream; ``aclose`` returns the connection to the pool."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks: Any = response.aiter_raw()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await anext(self._chunks)
        return chunk

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._response.aclose()


@request_response(lifespan=lifespan)
async def app(request: Request) -> StreamingResponse:
    transport: httpx.AsyncBaseTransport = request.state.transport
    try:
        response = await transport.handle_async_request(forward(request))
    except httpx.TimeoutException as error:
        raise HTTPError(504) from error
    except httpx.TransportError as error:
        raise HTTPError(502) from error
    if (
        not 200 <= response.status_code <= 599
    ):  # some services send 999, which is not an HTTP status
        await response.aclose()
        raise HTTPError(502)
    headers = [pair for pair in end_to_end(response.headers.raw) if pair[0] not in SERVERS]
    return StreamingResponse(Relay(response), response.status_code, [*headers, VIA])
