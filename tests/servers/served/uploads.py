"""Handlers that read forms, and tell what they have seen in them."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asgikit import JSONResponse, Limits, Request, Response, request_response

if TYPE_CHECKING:
    from asgikit.types import Receive, Scope, Send

LARGE = Limits(max_form_size=None)


@request_response(limits=LARGE)
async def form(request: Request) -> Response:
    """Read it whole."""
    seen: list[Any] = []
    async with request.form() as fields:
        for name, value in fields.items():
            if isinstance(value, str):
                seen.append([name, value])
                continue
            digest = hashlib.sha256()
            async for chunk in value:
                digest.update(chunk)
            seen.append([name, value.filename, value.size, digest.hexdigest()])
    return JSONResponse(seen)


@request_response(limits=LARGE)
async def parts(request: Request) -> Response:
    """Read it as it arrives."""
    seen: list[Any] = []
    async for part in request.parts():
        if part.filename is None:
            seen.append([part.name, await part.text()])
            continue
        digest = hashlib.sha256()
        size = 0
        async for chunk in part:
            digest.update(chunk)
            size += len(chunk)
        seen.append([part.name, part.filename, size, digest.hexdigest()])
    return JSONResponse(seen)


@request_response
async def state(_: Request) -> Response:
    """Tell how many files are open in this process, and what lies in its temporary folder."""
    open_files = 0
    for name in os.listdir("/dev/fd"):
        # The descriptor of that folder itself is gone by now.
        with suppress(OSError):
            open_files += stat.S_ISREG(os.fstat(int(name)).st_mode)
    return JSONResponse({"open": open_files, "temporary": os.listdir(tempfile.gettempdir())})


APPS = {"form": form, "parts": parts, "state": state}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the call on to the handler that the first segment of the path names."""
    name = "form" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
