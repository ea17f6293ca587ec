"""One body for all requests with the same scope and ``receive()``."""

from __future__ import annotations

from typing import Any

from asgikit.body.body import Body
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import deliver
from asgikit.runtime.tasks import take_first_step
from asgikit.types import Message, Receive, Scope

__all__ = ["KEY", "receive_whole", "release_bodies", "shared_body", "wait_disconnected"]


#: The key of the list of bodies in a scope and its copies. A pair of ``receive()`` and bytes in the
#: list stands for a body that arrived whole in one message: most requests need no ``Body`` then.
KEY = "asgikit.bodies"


def shared_body(scope: Scope, receive: Receive) -> Body:
    """Return the body of ``receive``, the same for each call with the same scope and ``receive``.

    A different ``receive``, as that of a middleware, has its own body.
    """
    bodies: list[Any] = scope.setdefault(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        bodies[0] = Body(*bodies[0])
    body: Body
    for body in bodies:
        # A bound method is a new object each time it is looked up, but an equal one.
        if body.receive == receive:
            return body
    body = Body(receive)
    bodies.append(body)
    return body


def receive_whole(scope: Scope, receive: Receive) -> bytes | None:
    """Return an unread body that arrives in one message without a wait; on asyncio only.

    Otherwise return ``None``; the shared body has the message, or waits for it.
    """
    if not is_asyncio():
        return None
    results: list[Message] = []
    try:
        steps = deliver(receive(), results)
        first = take_first_step(steps)
    except Exception as error:
        shared_body(scope, receive).receiver.process_error(error, is_reported=True)
        raise
    if first is not None:
        shared_body(scope, receive).receiver.adopt(first, steps, results)
        return None
    message = results[0]
    # A middleware's receive() may have read the body itself.
    if message["type"] == "http.request" and not message.get("more_body") and KEY not in scope:
        data: bytes = message.get("body") or b""
        scope[KEY] = [(receive, data)]
        return data
    shared_body(scope, receive).receiver.process(message)
    return None


def release_bodies(scope: Scope) -> list[Body]:
    """Remove the bodies of a finished request, and return those that have to be closed."""
    bodies: list[Any] = scope.pop(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        del bodies[0]
    return [body for body in bodies if body.is_open] if bodies else bodies


async def wait_disconnected(scope: Scope | None, receive: Receive) -> None:
    """Wait until the client disconnected; an unread body over 1 MiB is discarded."""
    body = Body(receive) if scope is None else shared_body(scope, receive)
    await body.wait_disconnected(abandon=True)
