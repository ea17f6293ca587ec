"""Transfers that are open when the server stops: events, uploads and downloads."""

from __future__ import annotations

import os
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from asgikit import (
    ASGIApp,
    EventSourceResponse,
    FileResponse,
    PlainTextResponse,
    Request,
    ServerSentEvent,
    Shutdown,
    request_response,
)

from .marks import Marks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

marks = Marks("marks")
shutdown = Shutdown(retry=(1000, 2000), last_event=ServerSentEvent("bye", event="end"))


@asynccontextmanager
async def lifespan() -> AsyncGenerator[None]:
    marks.add(f"up {os.getpid()}")
    with tempfile.TemporaryDirectory():
        async with shutdown:
            yield
    marks.add(f"down {os.getpid()}")


async def idle() -> AsyncIterator[str]:
    """Yield one event, then wait forever."""
    try:
        yield str(os.getpid())
        await anyio.sleep_forever()
    finally:
        marks.add("closed")


@request_response(lifespan=lifespan)
async def app(request: Request) -> ASGIApp:
    match request.route_path:
        case "/events":
            return EventSourceResponse(idle(), shutdown=shutdown)
        case "/download":
            return FileResponse("download")
        case "/upload":
            marks.add("uploading")
            async with request.form() as form:
                return PlainTextResponse(str([type(value).__name__ for value in form.values()]))
        case "/ready":
            return shutdown.ready
        case _:
            shutdown.set()
            return PlainTextResponse("stopping")
