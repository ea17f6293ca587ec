"""The errors that asgikit raises.

::

    Exception
    ├── HTTPError                    a response: status, problem details, headers
    │   ├── BadRequest               400
    │   │   ├── InvalidForm          400  a malformed form
    │   │   ├── InvalidHeader        400  a malformed header
    │   │   └── InvalidJSON          400  a malformed JSON body
    │   ├── RequestTimeout           408  the body did not arrive in time
    │   ├── PreconditionFailed       412
    │   ├── ContentTooLarge          413  over a limit, which it names
    │   ├── UnsupportedMediaType     415
    │   └── RangeNotSatisfiable      416
    ├── OSError
    │   └── ClientDisconnect         the client disconnected
    └── RuntimeError                 an error of the application; the message names the fix
        ├── BodyConsumed
        ├── ContentLengthMismatch
        └── ResponseStarted

Invalid arguments raise :class:`ValueError` or :class:`TypeError` where they are passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BadRequest",
    "BodyConsumed",
    "ClientDisconnect",
    "ContentLengthMismatch",
    "ContentTooLarge",
    "HTTPError",
    "InvalidForm",
    "InvalidHeader",
    "InvalidJSON",
    "PreconditionFailed",
    "RangeNotSatisfiable",
    "RequestTimeout",
    "ResponseStarted",
    "UnsupportedMediaType",
]


# The members of a problem document that are not extensions (RFC 9457, section 3.1).
_MEMBERS = frozenset({"type", "title", "status", "detail", "instance"})


class HTTPError(Exception):
    """An error response as an exception. The client receives it as problem details.

    Args:
        status_code: From 400 to 599.
        detail: The cause of this error, for the client to read.
        headers: Headers of the response, as a mapping or as pairs.
        title: The problem in general (:rfc:`9457`). If absent, the phrase of the status.
        type: A URI that names the kind of problem.
        instance: A URI that names this occurrence.
        extensions: Further members of the problem document.

    Raises:
        TypeError: The status is not an ``int``, a text is not a ``str``, or JSON cannot hold an
            extension.
        ValueError: The status is out of range, a text has a lone surrogate, a header cannot be
            sent, or an extension has the name of a member above.

    Attributes:
        response_started: Whether the response had started before the error was raised.

    >>> HTTPError(404, "No such user.").title
    'Not Found'
    """

    response_started: bool = False

    def __init__(
        self,
        status_code: int,
        detail: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        *,
        title: str | None = None,
        type: str = "about:blank",  # noqa: A002 - the member's name in RFC 9457
        instance: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        _check_status(status_code)
        _check_text("detail", detail)
        _check_text("title", title)
        _check_text("type", type)
        _check_text("instance", instance)
        if headers is not None:
            headers = _check_headers(headers)
        if extensions is not None:
            _check_extensions(extensions)
        super().__init__(status_code, detail)
        self.status_code: int = status_code
        self.detail: str | None = detail
        self.headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = headers
        self.title: str = title if title is not None else _phrase(status_code)
        self.type: str = type
        self.instance: str | None = instance
        self.extensions: Mapping[str, Any] | None = extensions

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled as `cls(*args)`, but subclasses take other arguments.
        return _restore, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        status = f"{self.status_code} {self.title}"
        return f"{status}: {self.detail}" if self.detail else status


def _check_status(status_code: object) -> None:
    if not isinstance(status_code, int):
        raise TypeError(f"status_code must be an int, not {status_code!r}")
    if not 400 <= status_code <= 599:
        raise ValueError(f"status_code must be from 400 to 599, not {status_code!r}")


def _check_text(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        fix = "; pass further members as extensions={...}" if isinstance(value, dict) else ""
        raise TypeError(f"{name} must be a str, not {value!r}{fix}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a lone surrogate, which cannot be sent: {value!r}") from None


def _check_headers(headers: Any) -> Any:
    from asgikit.http.grammar import check_field, header_pairs

    if iter(headers) is headers:
        # An iterator can be read once only.
        headers = list(headers)
    for name, value in header_pairs(headers):
        check_field(name, value)
    return headers


def _check_extensions(extensions: Mapping[str, Any]) -> None:
    from asgikit._json import format_json

    for name in extensions:
        if name in _MEMBERS:
            raise ValueError(f"{name!r} is a member of every problem, and no extension")
    format_json(extensions)


def _restore(cls: type[HTTPError], args: tuple[Any, ...], state: dict[str, Any]) -> HTTPError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


# The phrases of RFC 9110, which CPython has since 3.13.
_PHRASES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def _phrase(status_code: int) -> str:
    from http import HTTPStatus

    try:
        return _PHRASES.get(status_code) or HTTPStatus(status_code).phrase
    except ValueError:
        return "Error"


class BadRequest(HTTPError):
    """400: the request is malformed.

    >>> BadRequest("A page number starts at 1.").status_code
    400
    """

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(400, detail)


class InvalidForm(BadRequest):
    """400: the form is malformed."""


class InvalidHeader(BadRequest):
    """400: a header is malformed."""


class InvalidJSON(BadRequest):
    """400: the body is not JSON, or exceeds a limit of JSON."""


class RequestTimeout(HTTPError):
    """408: the body did not arrive in time."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(408, detail)


class PreconditionFailed(HTTPError):
    """412: a precondition of the request is false."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(412, detail)


class ContentTooLarge(HTTPError):
    """413: the content is over a limit.

    Attributes:
        limit: The name of the limit, a field of :class:`asgikit.Limits`.
        maximum: The value of the limit.

    >>> str(ContentTooLarge("max_body_size", 1024))
    '413 Content Too Large: Over max_body_size, which is 1024.'
    """

    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(413, f"Over {limit}, which is {maximum}.")
        self.limit: str = limit
        self.maximum: int = maximum


class UnsupportedMediaType(HTTPError):
    """415: the media type or coding of the content is not supported.

    Args:
        detail: The reason, for the client to read.
        accepted: The media types for the Accept header (:rfc:`9110`, section 12.5.1).

    >>> UnsupportedMediaType("Send JSON.", accepted=["application/json"]).headers
    {'accept': 'application/json'}
    """

    def __init__(self, detail: str | None = None, *, accepted: Iterable[str] = ()) -> None:
        accept = ", ".join(accepted)
        super().__init__(415, detail, {"accept": accept} if accept else None)


class RangeNotSatisfiable(HTTPError):
    """416: no requested range overlaps the representation.

    Attributes:
        size: The size of the representation in bytes.

    >>> RangeNotSatisfiable(1000).headers
    {'content-range': 'bytes */1000'}
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            416,
            f"There are {size} bytes.",
            {"content-range": f"bytes */{size}"},
        )
        self.size: int = size


class ClientDisconnect(OSError):
    """The client disconnected before its request was read.

    ``to_asgi`` and ``request_response`` end quietly if it escapes, since no response can be sent.
    """


class BodyConsumed(RuntimeError):
    """The body was streamed, and cannot be read again."""


class ContentLengthMismatch(RuntimeError):
    """A response is longer or shorter than its Content-Length."""


class ResponseStarted(RuntimeError):
    """A step that must precede the response was called after its start."""
