"""Lifespan and websocket scopes, for apps that serve HTTP alone, and the extensions of a scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgikit.types import Message, Receive, Scope, Send

__all__ = ["answer_other", "deny_websocket_with", "extensions"]


# Bytes of a body that denies a websocket: so many are sent as one message.
JOINED = 64 * 1024


def extensions(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the extensions the server offers: those of ``scope``, empty where it names none."""
    offered = scope.get("extensions")
    return offered if isinstance(offered, Mapping) else {}


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Come up and go down on the server's word, with nothing to do for either."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def deny_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a websocket handshake: with a 404 where the server can send one, else its own 403."""
    await receive()
    if "websocket.http.response" not in extensions(scope):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-length", b"0")]
    await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


async def deny_websocket_with(
    respond: Callable[[None, Receive, Send], Awaitable[None]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Refuse a websocket handshake with a response, where the server can send one.

    Where it cannot, it sends its own 403, and for the response the client has left at its start.
    No message is waited for before that: whoever called may have received the connect already, and
    there is no other.

    Args:
        respond: ``respond(None, receive, send)`` sends the response by the messages of HTTP.
        scope: of the websocket.
        receive: of the websocket.
        send: of the websocket.
    """
    can_respond = "websocket.http.response" in extensions(scope)
    body = b""

    async def receive_disconnect() -> Message:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return {"type": "http.disconnect"}

    async def deny(message: Message) -> None:
        nonlocal body
        if not can_respond:
            await send({"type": "websocket.close"})
            raise OSError("this server sends no response to a websocket handshake")
        if message["type"] == "http.response.body":
            # One server takes a body in one message alone, so that a short one is joined.
            body += message.get("body", b"")
            if message.get("more_body", False) and len(body) < JOINED:
                return
            message, body = {**message, "body": body}, b""
        await send({**message, "type": f"websocket.{message['type']}"})

    await respond(None, receive_disconnect, deny)


async def answer_other(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a scope that is no HTTP request, for an app that serves HTTP alone.

    Raises:
        RuntimeError: its type is none of the specification's.
    """
    kind = scope["type"]
    if kind == "lifespan":
        await answer_lifespan(receive, send)
    elif kind == "websocket":
        await deny_websocket(scope, receive, send)
    else:
        raise RuntimeError(f"asgikit serves http, websocket and lifespan scopes, not {kind!r}")
