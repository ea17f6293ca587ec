"""JSON responses (:rfc:`8259`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from asgikit._json import format_json

if TYPE_CHECKING:
    pass

from asgikit.responses.head import HeadersArgument
from asgikit.responses.response import Response

__all__ = ["JSONResponse"]


class JSONResponse(Response):
    """A value as JSON (:rfc:`8259`); whatever ``Request.json()`` gives can be written.

    Args:
        content: what to write: orjson's types, any mapping, integers of up to 4300 digits, scalar
            keys; NaN and infinities are null.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`.
        media_type: as of :class:`Response`.
        background: as of :class:`Response`.
        default: makes a value that JSON cannot hold into one that it can.
        dumps: writes all of ``content`` in the place of ours.
        conditional: as of :class:`Response`.

    Raises:
        TypeError: there is a value that JSON cannot hold.
        ValueError: nested too deep (254 levels are always written), or within itself.

    >>> JSONResponse({"id": 1, "tags": ("a", "b")}).body
    b'{"id":1,"tags":["a","b"]}'
    """

    media_type: ClassVar[str | None] = "application/json"
    # Whether ``render`` is the one below.
    _has_own_render: ClassVar[bool] = True

    __slots__ = ("_default", "_dumps")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._has_own_render = cls.render is JSONResponse.render

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
        # The steps of `Response`, and of `render`, in place: saves 8 % of a small response.
        if dumps is None and self._has_own_render:
            try:
                self._body = orjson.dumps(content)
            except TypeError:
                self._body = format_json(content, default)
        else:
            self._body = self._check_rendered(self.render(content))
        if headers is None and media_type is None and status_code == 200:
            self.status_code = 200
            self.background = background
            self._headers = None
            self._raw = None
        else:
            self._prepare_whole(status_code, headers, media_type, background)
        if conditional:
            self._make_conditional()

    def render(self, content: Any) -> bytes:
        """Write ``content`` by ``dumps``, or as JSON."""
        if self._dumps is not None:
            return self._dumps(content)
        return format_json(content, self._default)
