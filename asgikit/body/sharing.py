"""One body for all requests with the same scope and ``receive()``."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from asgikit.body.body import Body
from asgikit.body.calls import call_receive
from asgikit.body.receiver import Receiver
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.tasks import start_eagerly
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
    first = _FirstCall()
    try:
        task = start_eagerly(call_receive(receive, first))
    except Exception as error:
        shared_body(scope, receive).receiver.process_error(error, is_reported=True)
        raise
    if task is not None:
        first.receiver = shared_body(scope, receive).receiver
        first.receiver.adopt(task)
        return None
    message = first.message
    # A middleware's receive() may have read the body itself.
    if message["type"] == "http.request" and not message.get("more_body") and KEY not in scope:
        data: bytes = message.get("body") or b""
        scope[KEY] = [(receive, data)]
        return data
    shared_body(scope, receive).receiver.process(message)
    return None


class _FirstCall:
    """The outcome of a call that is made before there is a ``Body``.

    Attributes:
        message: the message, if the call returned at once.
        receiver: processes the outcome of a call that waits.
    """

    message: Message
    receiver: Receiver | None = None

    def end(self, message: Message) -> None:
        """Keep the message, or pass it on."""
        if self.receiver is None:
            self.message = message
        else:
            self.receiver.end(message)

    def end_with_error(self, error: Exception) -> None:
        """Raise the error, or pass it on."""
        if self.receiver is None:
            raise error
        self.receiver.end_with_error(error)

    def lose_message(self) -> None:
        """Pass the cancellation on."""
        if self.receiver is not None:
            self.receiver.lose_message()


def release_bodies(scope: Scope) -> list[Body]:
    """Remove the bodies of a finished request, and return those that have to be closed."""
    bodies: list[Any] = scope.pop(KEY, [])
    if bodies and type(bodies[0]) is tuple:
        del bodies[0]
    return [body for body in bodies if body.is_open] if bodies else bodies


def wait_disconnected(scope: Scope | None, receive: Receive) -> Coroutine[Any, Any, None]:
    """Wait until the client disconnected; an unread body over 1 MiB is discarded."""
    body = Body(receive) if scope is None else shared_body(scope, receive)
    return body.wait_disconnected(abandon=True)
