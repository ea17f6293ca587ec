"""The smallest app: a function that gets the scope and returns a response."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from asgikit import JSONResponse, Request, to_asgi

from .marks import Marks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import Scope


def app(scope: Scope) -> JSONResponse:
    """Return the method, the path and the query parameters as JSON."""
    request = Request(scope=scope)
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


adapted = to_asgi(app)


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, Any]]:
    """Add a mark at the start and at the end; share a value with requests by ``scope["state"]``."""
    marks = Marks("lifespan")
    marks.add("started")
    yield {"greeting": "hello"}
    marks.add("stopped")


@to_asgi(lifespan=lifespan)
def with_lifespan(scope: Scope) -> JSONResponse:
    """Return the value that the lifespan shares."""
    return JSONResponse({"greeting": Request(scope).state.greeting})
