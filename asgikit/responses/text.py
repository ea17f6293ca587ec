"""Plain text and HTML responses."""

from __future__ import annotations

from typing import ClassVar

from asgikit.responses.response import Response

__all__ = ["HTMLResponse", "PlainTextResponse"]


class PlainTextResponse(Response):
    """A response with text as ``text/plain``."""

    media_type: ClassVar[str | None] = "text/plain"
    __slots__ = ()


class HTMLResponse(Response):
    """A response with text as ``text/html``."""

    media_type: ClassVar[str | None] = "text/html"
    __slots__ = ()
