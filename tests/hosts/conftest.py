"""The HTTP client of the tests of hosts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


@pytest.fixture
def client_of() -> Callable[[Any], AbstractAsyncContextManager[httpx.AsyncClient]]:
    """Return a function that opens an httpx client of an app, without a socket."""

    @asynccontextmanager
    async def open_client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://host.test") as client:
            yield client

    return open_client
