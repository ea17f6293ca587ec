"""Responses with files of the folder ``files``, which may change while they are sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asgikit import Request, to_asgi
from asgikit.apps.staticfiles import StaticFiles
from asgikit.responses.files import FileResponse

from .marks import marks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgikit.types import Message, Receive, Scope, Send

FILES = Path("files")
FILES.mkdir(exist_ok=True)
static = StaticFiles(FILES, html=True, cache_control="max-age=60")
short_lived = StaticFiles(FILES, cache_control="max-age=1")

_open = os.open


def _open_or_refuse(path: Any, *arguments: Any, **named: Any) -> int:
    # Root may open each file, so the error is raised here.
    if str(path).endswith("forbidden"):
        raise PermissionError(13, "Permission denied", path)
    return _open(path, *arguments, **named)


os.open = _open_or_refuse


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more" * 10_000)


def _shrink(path: Path) -> None:
    os.truncate(path, 1000)


CHANGES: dict[str, Callable[[Path], None]] = {
    "grow": _grow,
    "shrink": _shrink,
    "delete": Path.unlink,
}


async def _send(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file; the query selects a change of it, before or while it is sent."""
    request = Request(scope, receive, send)
    path = FILES / request.path.removeprefix("/send/")
    query = request.query_params
    change = CHANGES.get(query.get("change", ""))
    if "plain" in query:
        # Without the pathsend extension, so that asgikit reads the file.
        scope = {**scope, "extensions": {}}
    background = None
    if "marks" in query:
        marks = marks_of(request)
        background = lambda: marks.add("background")  # noqa: E731 - a short callback

    async def send_and_change(message: Message) -> None:
        nonlocal change
        if change is not None and message["type"] == "http.response.body":
            change(path)
            change = None
        await send(message)

    response = FileResponse(path, background=background)
    if "before" in query and change is not None:
        change(path)
        change = None
    await response(scope, receive, send_and_change)


@to_asgi
async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send one file or serve the folder, depending on the first segment of the path."""
    if scope["type"] == "http" and scope["path"].startswith("/send/"):
        await _send(scope, receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/static/short-lived/"):
        await short_lived({**scope, "root_path": "/static/short-lived"}, receive, send)
    else:
        await static({**scope, "root_path": "/static"}, receive, send)
