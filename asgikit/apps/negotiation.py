"""One resource in several media types (:rfc:`9110`, section 12.1): the client's Accept decides."""

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
    """Call the handler of the media type that the client would rather have.

    The response gets ``Vary: Accept``, and so does the 406.

    Args:
        request: whose Accept decides.
        handlers: each by its media type, the first one for clients that have no preference. They
            are all async, or none is.

    Returns:
        What the handler gives: a response; or, of an async one, what to await for it.

    Raises:
        HTTPError: 406, none of them is acceptable; the problem names them all as ``available``.
        ValueError: there are none, or what one is for is no media type.

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
        raise ValueError("there is nothing to choose from")
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
        return _vary_later(response)
    response.add_vary("Accept")
    return response


async def _vary_later(awaitable: Awaitable[ResponseT]) -> ResponseT:
    response = await awaitable
    response.add_vary("Accept")
    return response
