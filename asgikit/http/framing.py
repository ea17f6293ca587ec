"""Status, Content-Type and Content-Length of a response (:rfc:`9110`, sections 6.4, 8.3, 8.6)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from asgikit.exceptions import ContentLengthMismatch
from asgikit.http.grammar import check_field, parse_digits

__all__ = [
    "READ_METHODS",
    "check_length",
    "check_status",
    "format_length",
    "format_type",
    "has_content",
    "promised_length",
]


#: The methods whose 200 is a representation, so that preconditions and ranges apply to it (sections
#: 13 and 14; :rfc:`10008` for QUERY).
READ_METHODS = ("GET", "HEAD", "QUERY")


def check_status(status_code: object) -> None:
    """Check the status of a final response (section 15). A 1xx status is no final one.

    Raises:
        TypeError: It is no ``int``.
        ValueError: It is not from 200 to 599.
    """
    if not isinstance(status_code, int):
        raise TypeError(f"a status code must be an int, not {status_code!r}")
    if not 200 <= status_code <= 599:
        raise ValueError(f"a status code must be from 200 to 599, not {status_code!r}")


def has_content(status_code: int) -> bool:
    """Return whether a response with this status may have content (section 6.4.1).

    >>> has_content(200), has_content(204)
    (True, False)
    """
    return status_code not in (204, 205, 304) and status_code >= 200


# The arguments come from the app, so that there are few of them.
@lru_cache(maxsize=256)
def format_type(media_type: str, charset: str) -> tuple[bytes, bytes]:
    """Format Content-Type, with the charset if the type is text (section 8.3.2).

    Raises:
        ValueError: The media type has a character that cannot be sent.

    >>> format_type("text/html", "utf-8")
    (b'content-type', b'text/html; charset=utf-8')
    """
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type = f"{media_type}; charset={charset}"
    return check_field("content-type", media_type)


@lru_cache(maxsize=1024)
def format_length(size: int) -> tuple[bytes, bytes]:
    """Format Content-Length for ``size`` bytes.

    >>> format_length(12)
    (b'content-length', b'12')
    """
    return b"content-length", b"%d" % size


def promised_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the Content-Length of a response in bytes; ``None`` if it has none.

    Raises:
        ContentLengthMismatch: The value is no number, or the header is repeated.

    >>> promised_length([(b"content-length", b"12")])
    12
    """
    lengths = [value.decode("latin-1") for name, value in headers if name == b"content-length"]
    if not lengths:
        return None
    length = parse_digits(lengths[0])
    if length is None or len(lengths) > 1:
        raise ContentLengthMismatch(f"Content-Length is one number, not {', '.join(lengths)!r}")
    return length


def check_length(headers: Iterable[tuple[bytes, bytes]], size: int) -> None:
    """Compare Content-Length, if there is one, with the size of the body.

    Args:
        headers: Lower-case names and values of the response.
        size: The size of the body in bytes.

    Raises:
        ContentLengthMismatch: They differ.

    >>> check_length([(b"content-length", b"12")], 12)
    """
    promised = promised_length(headers)
    if promised is not None and promised != size:
        raise ContentLengthMismatch(
            f"Content-Length promises {promised} bytes, and the body has {size}: leave it out, it "
            "is made from the body"
        )
