"""Plain text and HTML responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from asgikit.responses.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from asgikit.responses.head import HeadersArgument
    from asgikit.responses.response import Content

__all__ = ["HTMLResponse", "PlainTextResponse"]


class _TextResponse(Response):
    # The content of Response is Any, so that the `render` of a subclass may take its own type.
    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content = None,
            status_code: int = 200,
            headers: HeadersArgument | None = None,
            media_type: str | None = None,
            background: Callable[[], Any] | None = None,
            *,
            conditional: bool = False,
        ) -> None: ...

    __slots__ = ()


class PlainTextResponse(_TextResponse):
    """A response with text as ``text/plain``."""

    media_type: ClassVar[str | None] = "text/plain"
    __slots__ = ()


class HTMLResponse(_TextResponse):
    """A response with text as ``text/html``."""

    media_type: ClassVar[str | None] = "text/html"
    __slots__ = ()
