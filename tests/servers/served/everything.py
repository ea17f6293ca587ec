"""The apps of several modules in one; the first segment of the path selects one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit import PlainTextResponse, to_asgi

from . import bodies, cancel_on_disconnect, disconnects
from .structures import STRUCTURES

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send

APPS: dict[str, ASGIApp] = {
    **STRUCTURES,
    "response": to_asgi(PlainTextResponse("shared")),
    "echo": bodies.echo,
    "limited": bodies.limited,
    "unread": bodies.unread,
    "polled": bodies.polled,
    "aborted": bodies.aborted,
    "replayed": bodies.replayed,
    **{f"cancel-{name}": app for name, app in cancel_on_disconnect.APPS.items()},
    "finite": disconnects.finite,
    "endless": disconnects.endless,
    "idle": disconnects.idle,
    "endless_sync": disconnects.endless_sync,
    "polled_after_body": disconnects.polled_after_body,
    "polled_within_body": disconnects.polled_within_body,
    "waited_after_body": disconnects.waited_after_body,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by the first segment of the path; one of the apps handles the lifespan."""
    name = "function" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
