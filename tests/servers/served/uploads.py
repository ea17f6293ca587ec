"""Handlers that read forms and return their fields, with hashes of the files."""

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
    """Read the form with ``form()``."""
    items: list[Any] = []
    async with request.form() as fields:
        for name, value in fields.items():
            if isinstance(value, str):
                items.append([name, value])
                continue
            digest = hashlib.sha256()
            async for chunk in value:
                digest.update(chunk)
            items.append([name, value.filename, value.size, digest.hexdigest()])
    return JSONResponse(items)


@request_response(limits=LARGE)
async def parts(request: Request) -> Response:
    """Read the form with ``parts()``, as it arrives."""
    items: list[Any] = []
    async for part in request.parts():
        if part.filename is None:
            items.append([part.name, await part.text()])
            continue
        digest = hashlib.sha256()
        size = 0
        async for chunk in part:
            digest.update(chunk)
            size += len(chunk)
        items.append([part.name, part.filename, size, digest.hexdigest()])
    return JSONResponse(items)


@request_response
async def state(_: Request) -> Response:
    """Return the number of open files and the content of the temporary folder."""
    open_files = 0
    for name in os.listdir("/dev/fd"):
        # The descriptor of /dev/fd itself is closed by now.
        with suppress(OSError):
            open_files += stat.S_ISREG(os.fstat(int(name)).st_mode)
    return JSONResponse({"open": open_files, "temporary": os.listdir(tempfile.gettempdir())})


APPS = {"form": form, "parts": parts, "state": state}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by the first segment of the path."""
    name = "form" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
