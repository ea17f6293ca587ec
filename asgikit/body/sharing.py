"""One body for all requests with the same scope and ``receive``."""

from __future__ import annotations

from typing import Any

from asgikit.body.body import Body
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import deliver
from asgikit.runtime.tasks import take_first_step
from asgikit.types import Message, Receive, Scope

__all__ = ["KEY", "receive_whole", "release_bodies", "shared_body", "wait_disconnected"]


#: Where a scope holds the list of its bodies, and copies of the scope with it. In the place of one
#: that came whole in one message, as most do, there are its ``receive`` and its bytes: to make a
#: body takes a sixth of reading it.
KEY = "asgikit.bodies"


def shared_body(scope: Scope, receive: Receive) -> Body:
    """Return the body of ``receive``, the same for each call with the same scope and ``receive``.

    A different ``receive``, as that of a middleware, has its own body.
    """
    bodies = all_bodies(scope)
    for other in bodies:
        # A bound method is a new object each time it is looked up, but an equal one.
        if other.receive == receive:
            return other
    body = Body(receive)
    bodies.append(body)
    return body


def all_bodies(scope: Scope) -> list[Body]:
    """Return the list of bodies that a scope keeps."""
    bodies: list[Any] = scope.setdefault(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        bodies[0] = Body(*bodies[0])
    return bodies


def receive_whole(scope: Scope, receive: Receive) -> bytes | None:
    """Return an unread body that arrives in one message without a wait; on asyncio only.

    Otherwise return ``None``; the shared body has the message, or waits for it.
    """
    # perf: f_json_body -20 %
    if not is_asyncio():
        return None
    results: list[Message] = []
    try:
        steps = deliver(receive(), results)
        first = take_first_step(steps)
    except Exception as error:
        shared_body(scope, receive).receiver.fail(error, is_reported=True)
        raise
    if first is None:
        message = results[0]
        # What `receive` calls may have asked for a body itself.
        if message["type"] == "http.request" and not message.get("more_body") and KEY not in scope:
            data: bytes = message.get("body") or b""
            scope[KEY] = [(receive, data)]
            return data
        shared_body(scope, receive).receiver.accept(message)
    else:
        shared_body(scope, receive).receiver.adopt(first, steps, results)
    return None


def release_bodies(scope: Scope) -> list[Body]:
    """Remove the bodies of a finished request, and return those that have to be closed."""
    bodies: list[Any] = scope.pop(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        # As it is for most, this saves 2 % of a small body.
        del bodies[0]
    return [body for body in bodies if body.is_open] if bodies else bodies


async def wait_disconnected(scope: Scope | None, receive: Receive) -> None:
    """Wait until the client disconnected; an unread body over 1 MiB is discarded."""
    body = Body(receive) if scope is None else shared_body(scope, receive)
    await body.wait_disconnected(abandon=True)
