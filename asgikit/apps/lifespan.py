"""The lifespan of an app (ASGI lifespan specification)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from asgikit._logging import logger
from asgikit.types import Message, Receive, Scope, Send

__all__ = ["Lifespan", "offer_lifespan", "run_lifespan"]


Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[Mapping[str, Any] | None]]


async def run_lifespan(lifespan: Lifespan, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a lifespan context manager: enter it at startup, leave it at shutdown."""
    phase = "startup"
    await receive()
    try:
        async with lifespan() as state:
            if state:
                scope.setdefault("state", {}).update(state)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except Exception:  # noqa: BLE001 - the server logs it, and stops
        message = traceback.format_exc()
        await send({"type": f"lifespan.{phase}.failed", "message": message})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def offer_lifespan(app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Let an ASGI 3 app handle its lifespan, and handle what it leaves undone.

    Many an app knows HTTP alone; servers differ in what they make of its error.
    """
    heard: set[str] = set()
    said: set[str] = set()

    async def listen() -> Message:
        message = await receive()
        heard.add(message["type"])
        return message

    async def speak(message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            raise RuntimeError(f"{message['type']!r} is no answer to a lifespan scope")
        said.add(message["type"])
        await send(message)

    try:
        await app(scope, listen, speak)
    except Exception as error:
        if said:
            raise
        logger.debug("%r handles no lifespan: %r", app, error)
    for phase in ("startup", "shutdown"):
        if f"lifespan.{phase}" not in heard:
            await receive()
        if f"lifespan.{phase}.failed" in said:
            return
        if f"lifespan.{phase}.complete" not in said:
            await send({"type": f"lifespan.{phase}.complete"})
