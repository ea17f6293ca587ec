"""One body for all requests with the same scope and ``receive``."""

from __future__ import annotations

from typing import Any

from asgikit.body.receiver import Body
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.first_step import DONE, deliver
from asgikit.types import Message, Receive, Scope

__all__ = ["KEY", "forget_bodies", "receive_whole", "shared_body", "wait_left"]


#: Where a scope holds the list of its bodies, and copies of the scope with it. In the place of one
#: that came whole in one message, as most do, there are its ``receive`` and its bytes: to make a
#: body takes a sixth of reading it.
KEY = "asgikit.bodies"


def shared_body(scope: Scope, receive: Receive) -> Body:
    """Give the body behind ``receive``: one for all that ask with the same scope and ``receive``.

    A different ``receive``, as of a middleware that wraps it, has a body of its own.
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
    """Give the bodies of a scope: the list that it keeps."""
    bodies: list[Any] = scope.setdefault(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        bodies[0] = Body(*bodies[0])
    return bodies


def receive_whole(scope: Scope, receive: Receive) -> bytes | None:
    """Receive a body that nobody has asked for yet, if all of it is there; on asyncio alone.

    Where it gives ``None``, what there is of it is kept for the body to go on from there.
    """
    # trio's timer has to begin before what it bounds.
    if not is_asyncio():
        return None
    results: list[Message] = []
    try:
        steps = deliver(receive(), results)
        step = next(steps, DONE)
    except Exception as error:
        shared_body(scope, receive).fail(error)
        raise
    if step is DONE:
        message = results[0]
        # What `receive` calls may have asked for a body itself.
        if message["type"] == "http.request" and not message.get("more_body") and KEY not in scope:
            data: bytes = message.get("body") or b""
            scope[KEY] = [(receive, data)]
            return data
    shared_body(scope, receive).go_on(steps, step, results)
    return None


def forget_bodies(scope: Scope) -> list[Body]:
    """Let go of the bodies of a scope, whose request is over; give those that are to be closed."""
    bodies: list[Any] = scope.pop(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        # As it is for most, this saves 2 % of a small body.
        del bodies[0]
    return [body for body in bodies if body.is_open] if bodies else bodies


async def wait_left(scope: Scope | None, receive: Receive) -> None:
    """Wait until the client has left; a body that nobody asks for is thrown away."""
    body = Body(receive) if scope is None else shared_body(scope, receive)
    await body.wait_disconnected(abandon=True)
