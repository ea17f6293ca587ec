"""Redirects (:rfc:`9110`, section 15.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from asgikit.responses.head import HeadersArgument
from asgikit.responses.response import Response

__all__ = ["RedirectResponse"]

# What may stand in a URI reference besides letters, digits and "-._~" (RFC 3986, section 2); "%" is
# the start of an escape that is there already.
_URI_RESERVED = ":/?#[]@!$&'()*+,;=%"


class RedirectResponse(Response):
    """A redirect (:rfc:`9110`, section 15.4); no body.

    Args:
        url: where to, absolute or relative. What may not stand in a URI is percent-encoded as
            UTF-8; what is encoded already stays as it is.
        status_code: 307 keeps the method; 303 asks for a GET; 308 and 301 are permanent.
        headers: as of :class:`Response`.
        background: as of :class:`Response`.

    Raises:
        TypeError: the URL is bytes, a number or ``None``; it is text, or an object that ``str``
            makes one of.
        ValueError: the status code is no redirect's, or the URL has a lone surrogate.

    >>> RedirectResponse("/search?q=café au lait", 303).headers["location"]
    '/search?q=caf%C3%A9%20au%20lait'
    """

    __slots__ = ()

    def __init__(
        self,
        url: object,
        status_code: int = 307,
        headers: HeadersArgument | None = None,
        background: Callable[[], Any] | None = None,
    ) -> None:
        if not 300 <= status_code <= 399 or status_code == 304:
            raise ValueError(f"a redirect has a status of 300 to 399, not {status_code!r}")
        if url is None or isinstance(url, bytes | bytearray | memoryview | int | float):
            raise TypeError(f"a redirect leads to a URL as text, not to {url!r}")
        super().__init__(None, status_code, headers, background=background)
        self.headers["location"] = quote(str(url), safe=_URI_RESERVED)
