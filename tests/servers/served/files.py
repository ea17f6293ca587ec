"""Files of the folder ``files``, and what may happen to them while they are sent."""

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
brief = StaticFiles(FILES, cache_control="max-age=1")

_open = os.open


def _open_or_refuse(path: Any, *arguments: Any, **named: Any) -> int:
    # Whoever runs this may be root, to whom nothing is forbidden.
    if str(path).endswith("forbidden"):
        raise PermissionError(13, "Permission denied", path)
    return _open(path, *arguments, **named)


os.open = _open_or_refuse


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more" * 10_000)


def _shrink(path: Path) -> None:
    os.truncate(path, 1000)


HAPPENINGS: dict[str, Callable[[Path], None]] = {
    "grow": _grow,
    "shrink": _shrink,
    "delete": Path.unlink,
}


async def _send(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file; the query says what happens to it, and when."""
    request = Request(scope, receive, send)
    path = FILES / request.path.removeprefix("/send/")
    query = request.query_params
    happening = HAPPENINGS.get(query.get("happens", ""))
    if "plain" in query:
        # Even where the server would send it.
        scope = {**scope, "extensions": {}}
    background = None
    if "marks" in query:
        marks = marks_of(request)
        background = lambda: marks.add("background")  # noqa: E731 - one line says it all

    async def interfere(message: Message) -> None:
        nonlocal happening
        if happening is not None and message["type"] == "http.response.body":
            happening(path)
            happening = None
        await send(message)

    response = FileResponse(path, background=background)
    if "before" in query and happening is not None:
        happening(path)
        happening = None
    await response(scope, receive, interfere)


@to_asgi
async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send one file, or serve the folder, by the first segment of the path."""
    if scope["type"] == "http" and scope["path"].startswith("/send/"):
        await _send(scope, receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/static/brief/"):
        await brief({**scope, "root_path": "/static/brief"}, receive, send)
    else:
        await static({**scope, "root_path": "/static"}, receive, send)
