"""Plain text and HTML responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    pass

from asgikit.responses.response import Response

__all__ = ["HTMLResponse", "PlainTextResponse"]


class PlainTextResponse(Response):
    """Text, as ``text/plain``."""

    media_type: ClassVar[str | None] = "text/plain"
    __slots__ = ()


class HTMLResponse(Response):
    """Text, as ``text/html``."""

    media_type: ClassVar[str | None] = "text/html"
    __slots__ = ()
