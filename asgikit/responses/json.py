"""JSON responses (:rfc:`8259`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from asgikit._json import format_json
from asgikit.responses.charsets import check_utf8
from asgikit.responses.head import HeadersArgument
from asgikit.responses.response import Response

__all__ = ["JSONResponse"]


class JSONResponse(Response):
    """A value as JSON (:rfc:`8259`). Each value that ``Request.json()`` returns can be written.

    Args:
        content: the value: orjson's types, any mapping, integers of up to 4300 digits, scalar keys.
            NaN and infinities are written as null.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`.
        media_type: as of :class:`Response`. JSON is UTF-8, so no other charset is allowed.
        background: as of :class:`Response`.
        default: turns a value that JSON cannot hold into one that it can.
        dumps: writes all of ``content`` instead of asgikit's own writer.
        conditional: as of :class:`Response`.

    Raises:
        TypeError: JSON cannot hold a value; and as :class:`Response`.
        ValueError: the content is nested too deep (254 levels are always written) or contains
            itself; and as :class:`Response`.

    >>> JSONResponse({"id": 1, "tags": ("a", "b")}).body
    b'{"id":1,"tags":["a","b"]}'
    """

    media_type: ClassVar[str | None] = "application/json"
    __slots__ = ("_default", "_dumps")

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
        dumps: Callable[[Any], bytes] | None = None,
        conditional: bool = False,
    ) -> None:
        self._default = default
        self._dumps = dumps
        # perf: json_small -4 % against a call of `render`.
        kind = type(self)
        if dumps is None and (kind is JSONResponse or kind.render is JSONResponse.render):
            try:
                self._body = orjson.dumps(content)
            except TypeError:
                self._body = format_json(content, default)
        else:
            self._body = self._check_rendered(self.render(content))
        if not self._init_head(status_code, headers, media_type, background):
            check_utf8(self._list())
        if conditional:
            self._make_conditional()

    def render(self, content: Any) -> bytes:
        """Write ``content`` by ``dumps``, or as JSON."""
        if self._dumps is not None:
            return self._dumps(content)
        return format_json(content, self._default)
