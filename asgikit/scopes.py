"""Lifespan and websocket scopes, for apps that serve HTTP only, and the extensions of a scope.

A websocket is denied with an HTTP response if the server offers the extension
``websocket.http.response``, otherwise by ``websocket.close``, for which the server sends a 403.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgikit.types import Message, Receive, Scope, Send

__all__ = ["answer_other", "deny_websocket_with", "extensions"]


#: Bytes of a denial that are sent as one message.
JOINED = 64 * 1024
#: Seconds to wait for uvicorn to close a denied connection. A client that uses TLS may delay it.
CLOSE_TIMEOUT = 30.0

_DENIAL = "websocket.http.response"


def extensions(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extensions that the server offers in ``scope``; empty if there are none."""
    offered = scope.get("extensions")
    return offered if isinstance(offered, Mapping) else {}


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Complete the start-up and the shutdown of an app that has nothing to do for either."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def deny_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Deny a websocket handshake with a 404 if the server can send it, otherwise by its own 403."""
    await receive()
    if _DENIAL not in extensions(scope):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-length", b"0")]
    await send({"type": f"{_DENIAL}.start", "status": 404, "headers": headers})
    await send({"type": f"{_DENIAL}.body", "body": b""})
    if _is_uvicorn_sansio(receive):
        await _DisconnectCounter(receive).wait_closed()


async def deny_websocket_with(
    respond: Callable[[None, Receive, Send], Awaitable[None]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Deny a websocket handshake with a response if the server can send one.

    Otherwise the server sends its own 403, and the response sees a client that disconnected.
    The ``websocket.connect`` message is not awaited, because the caller may have received it.

    Args:
        respond: Sends the response with the messages of HTTP when it is called as
            ``respond(None, receive, send)``.
        scope: The websocket scope.
        receive: The ``receive`` of that scope.
        send: The ``send`` of that scope.
    """
    can_respond = _DENIAL in extensions(scope)
    counter = _DisconnectCounter(receive)
    start: Message | None = None
    body = b""
    is_complete = False

    async def deny(message: Message) -> None:
        nonlocal start, body, is_complete
        if not can_respond:
            await send({"type": "websocket.close"})
            raise OSError("this server cannot send a response to a websocket handshake")
        if message["type"] == "http.response.start":
            start = {**message, "type": f"{_DENIAL}.start"}
            return
        # hypercorn takes a body in one message only. uvicorn's `websockets` implementation sends
        # the bytes that it has when the event loop runs on after the start.
        body += message.get("body", b"")
        more_body = message.get("more_body", False)
        if more_body and len(body) < JOINED:
            return
        if start is not None:
            await send(start)
            start = None
        await send({"type": f"{_DENIAL}.body", "body": body, "more_body": more_body})
        body = b""
        is_complete = not more_body

    await respond(None, counter.receive_disconnect, deny)
    if is_complete and _is_uvicorn_sansio(receive):
        await counter.wait_closed()


def _is_uvicorn_sansio(receive: Receive) -> bool:
    """Return whether ``receive`` is that of uvicorn's ``websockets-sansio`` implementation.

    It regards a denial as an unfinished handshake until the connection is closed, and logs an error
    if the app returns before. :meth:`_DisconnectCounter.wait_closed` waits for that.
    """
    classes = type(getattr(receive, "__self__", None)).__mro__
    return any(cls.__module__.endswith(".websockets_sansio_impl") for cls in classes)


class _DisconnectCounter:
    """The disconnect messages of a websocket that is denied."""

    __slots__ = ("_count", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._count = 0

    async def receive_disconnect(self) -> Message:
        """Wait for the client to disconnect, and return that as a message of HTTP."""
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
        self._count += 1
        return {"type": "http.disconnect"}

    async def wait_closed(self) -> None:
        """Wait until uvicorn has closed the connection, at most ``CLOSE_TIMEOUT`` seconds.

        ``websockets-sansio`` sends one disconnect message after the last byte of a denial, and
        another one when the connection is closed.
        """
        import anyio  # only uvicorn needs it here

        with anyio.move_on_after(CLOSE_TIMEOUT):
            while self._count < 2:
                await self.receive_disconnect()


async def answer_other(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a scope other than ``http``, for an app that serves HTTP only.

    Raises:
        RuntimeError: The type of the scope is not one of the ASGI specification.
    """
    kind = scope["type"]
    if kind == "lifespan":
        await answer_lifespan(receive, send)
    elif kind == "websocket":
        await deny_websocket(scope, receive, send)
    else:
        raise RuntimeError(f"asgikit serves http, websocket and lifespan scopes, not {kind!r}")
