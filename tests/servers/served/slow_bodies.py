"""Readers of whole bodies with a short total timeout; a mark records the error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit import Limits, PlainTextResponse, Request, RequestTimeout, request_response

from .marks import marks_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READERS: dict[str, Callable[[Request], Awaitable[object]]] = {
    "/body": Request.body,
    "/json": Request.json,
    "/form": Request.form,
}


@request_response(limits=Limits(total_timeout=0.2))
async def app(request: Request) -> PlainTextResponse:
    """Read the body in the way that the path names."""
    try:
        await READERS[request.path](request)
    except RequestTimeout as error:
        marks_of(request).add(error)
        raise
    return PlainTextResponse("read")
