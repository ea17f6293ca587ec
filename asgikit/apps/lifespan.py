"""The lifespan of an app (ASGI lifespan specification)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from asgikit._logging import logger
from asgikit.types import Message, Receive, Scope, Send

__all__ = ["Lifespan", "complete_lifespan", "run_lifespan"]


Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[Mapping[str, Any] | None]]


async def run_lifespan(lifespan: Lifespan, scope: Scope, receive: Receive, send: Send) -> None:
    """Enter the context manager ``lifespan()`` at start-up, and leave it at shutdown.

    The mapping that it yields is merged into ``scope["state"]``. If the server offers no state and
    the mapping is not empty, the start-up fails.
    """
    phase = "startup"
    await receive()
    try:
        async with lifespan() as state:
            if state:
                _merge_state(scope, state)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except Exception:  # noqa: BLE001 - the server logs it, and stops
        message = traceback.format_exc()
        await send({"type": f"lifespan.{phase}.failed", "message": message})
    else:
        await send({"type": "lifespan.shutdown.complete"})


def _merge_state(scope: Scope, state: Mapping[str, Any]) -> None:
    offered = scope.get("state")
    if offered is None:
        raise RuntimeError(
            'this server offers no lifespan state (scope["state"]) to hold the mapping that '
            f"lifespan() yields ({', '.join(map(repr, state))}): yield nothing, and keep the "
            "objects in a module"
        )
    offered.update(state)


async def complete_lifespan(app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the lifespan of an ASGI 3 app, and complete the phases that the app does not handle.

    Many apps handle HTTP only, and servers differ in the way they treat the error of such an app.

    Raises:
        Exception: The app failed after it had sent a message.
    """
    received: set[str] = set()
    sent: set[str] = set()

    async def tracked_receive() -> Message:
        message = await receive()
        received.add(message["type"])
        return message

    async def tracked_send(message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            raise RuntimeError(f"{message['type']!r} is no message of a lifespan scope")
        sent.add(message["type"])
        await send(message)

    try:
        await app(scope, tracked_receive, tracked_send)
    except Exception as error:
        if sent:
            raise
        logger.debug("%r handles no lifespan: %r", app, error)
    for phase in ("startup", "shutdown"):
        if f"lifespan.{phase}" not in received:
            await receive()
        if f"lifespan.{phase}.failed" in sent:
            return
        if f"lifespan.{phase}.complete" not in sent:
            await send({"type": f"lifespan.{phase}.complete"})
