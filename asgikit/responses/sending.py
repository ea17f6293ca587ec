"""Sending of messages, and background tasks after a response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgikit._logging import logger
from asgikit.runtime.threads import call
from asgikit.types import Message, Send

__all__ = ["run_background", "send_all"]


async def send_all(send: Send, *messages: Message) -> bool:
    """Send ``messages``; tell whether the client is still there."""
    try:
        for message in messages:
            await send(message)
    except OSError as error:
        logger.debug("the client left: %r", error)
        return False
    return True


async def run_background(background: Callable[[], Any]) -> None:
    """Call what is to be done after a response; its failure is ours to log, nobody's to handle."""
    try:
        await call(background)
    except Exception:
        logger.exception("the background task %r failed", background)
