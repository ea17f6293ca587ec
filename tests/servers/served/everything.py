"""All the apps of this folder behind one server: the first segment of the path names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit import PlainTextResponse, to_asgi

from . import bodies, leaving
from .structures import STRUCTURES

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send

APPS: dict[str, ASGIApp] = {
    **STRUCTURES,
    "response": to_asgi(PlainTextResponse("as ever")),
    "echo": bodies.echo,
    "limited": bodies.limited,
    "unread": bodies.unread,
    "polled": bodies.polled,
    "aborted": bodies.aborted,
    "replayed": bodies.replayed,
    "whole": leaving.whole,
    "endless": leaving.endless,
    "idle": leaving.idle,
    "endless_sync": leaving.endless_sync,
    "noticed": leaving.noticed,
    "noticed_early": leaving.noticed_early,
    "waited": leaving.waited,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the call on as it is; any of the apps can answer for the lifespan."""
    name = "function" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
