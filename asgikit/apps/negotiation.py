"""Proactive negotiation of the media type of a response (:rfc:`9110`, section 12.1)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar, overload

from asgikit.exceptions import HTTPError
from asgikit.requests.request import Request
from asgikit.responses.response import Response

__all__ = ["negotiate"]

RequestT = TypeVar("RequestT", bound=Request[Any])
ResponseT = TypeVar("ResponseT", bound=Response)


@overload
def negotiate(
    request: RequestT, handlers: Mapping[str, Callable[[RequestT], Awaitable[ResponseT]]]
) -> Coroutine[Any, Any, ResponseT]: ...
@overload
def negotiate(
    request: RequestT, handlers: Mapping[str, Callable[[RequestT], ResponseT]]
) -> ResponseT: ...
def negotiate(request: Any, handlers: Mapping[str, Callable[[Any], Any]]) -> Any:
    """Call the handler of the media type that the client prefers, by its Accept header.

    The response gets ``Vary: Accept``, and so does the 406.

    Args:
        request: The request.
        handlers: Handlers by media type. If the client has no preference, the first one is called.
            All of them are async, or none is.

    Returns:
        The response of the handler; an awaitable of it if the handler is async.

    Raises:
        HTTPError: 406, if the client accepts none of the media types. The problem document lists
            them as ``available``.
        ValueError: ``handlers`` is empty, or a key is not a media type.

    >>> from asgikit import HTMLResponse, JSONResponse
    >>> request = Request({"type": "http", "headers": [(b"accept", b"text/html")]})
    >>> response = negotiate(request, {
    ...     "application/json": lambda request: JSONResponse({"name": "Ada"}),
    ...     "text/html": lambda request: HTMLResponse("<p>Ada"),
    ... })
    >>> response.body, response.headers["vary"]
    (b'<p>Ada', 'Accept')
    """
    if not handlers:
        raise ValueError("negotiate() needs a handler for at least one media type")
    media_type = request.accept.best_match(handlers)
    if media_type is None:
        raise HTTPError(
            406,
            f"Available as {', '.join(handlers)}.",
            {"vary": "Accept"},
            extensions={"available": [*handlers]},
        )
    response = handlers[media_type](request)
    if inspect.isawaitable(response):
        return _add_vary_async(response)
    response.add_vary("Accept")
    return response


async def _add_vary_async(awaitable: Awaitable[ResponseT]) -> ResponseT:
    response = await awaitable
    response.add_vary("Accept")
    return response
