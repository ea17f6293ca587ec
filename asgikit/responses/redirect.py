"""Redirects (:rfc:`9110`, section 15.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from asgikit.http.framing import check_status
from asgikit.responses.head import HeadersArgument
from asgikit.responses.response import Response

__all__ = ["RedirectResponse"]

# Characters that a URI reference may contain besides letters, digits and "-._~" (RFC 3986, section
# 2). "%" starts a percent-encoding.
_URI_RESERVED = ":/?#[]@!$&'()*+,;=%"

# A "%" that starts none (section 2.1).
_lone_percent = re.compile("%(?![0-9A-Fa-f]{2})")


class RedirectResponse(Response):
    """A redirect (:rfc:`9110`, section 15.4), without a body.

    Args:
        url: the target, absolute or relative. Characters that a URI may not contain, and a ``%``
            that starts no percent-encoding, are percent-encoded as UTF-8. Percent-encoded
            characters stay as they are.
        status_code: 307 and 308 keep the method, 303 makes it GET; 301 and 308 are permanent.
        headers: as of :class:`Response`.
        background: as of :class:`Response`.

    Raises:
        TypeError: the URL is bytes, a number or ``None``. It must be a ``str``, or an object that
            ``str()`` turns into a URL.
        ValueError: the status is not one of a redirect, or the URL contains a lone surrogate.

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
        check_status(status_code)
        if not 300 <= status_code <= 399 or status_code == 304:
            raise ValueError(f"a redirect must have a status from 300 to 399, not {status_code!r}")
        if url is None or isinstance(url, bytes | bytearray | memoryview | int | float):
            raise TypeError(f"the URL of a redirect must be a str, not {url!r}")
        super().__init__(None, status_code, headers, background=background)
        self.headers["location"] = quote(_lone_percent.sub("%25", str(url)), safe=_URI_RESERVED)
