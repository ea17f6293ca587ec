"""The plainest app there is: a function from a scope to a response."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from asgikit import JSONResponse, Request, to_asgi

from .marks import Marks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import Scope


def app(scope: Scope) -> JSONResponse:
    """Say what was asked."""
    request = Request(scope=scope)
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


everywhere = to_asgi(app)


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, Any]]:
    """Leave a mark at the start and one at the stop; hand a value to every request between."""
    marks = Marks("lifespan")
    marks.add("started")
    yield {"greeting": "hello"}
    marks.add("stopped")


@to_asgi(lifespan=lifespan)
def with_lifespan(scope: Scope) -> JSONResponse:
    """Say what the lifespan handed over."""
    return JSONResponse({"greeting": Request(scope).state.greeting})
