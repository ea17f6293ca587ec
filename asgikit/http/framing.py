"""How a response's fields describe its content (:rfc:`9110`, sections 6.4, 8.3 and 8.6)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from asgikit.exceptions import ContentLengthMismatch
from asgikit.http.grammar import check_field, parse_digits

__all__ = [
    "check_length",
    "check_status",
    "format_length",
    "format_type",
    "has_content",
    "promised_length",
]


def check_status(status_code: int) -> None:
    """Refuse what is no status code (section 15).

    Raises:
        ValueError: it has not three digits.
    """
    if not 100 <= status_code <= 999:
        raise ValueError(f"a status code has three digits, unlike {status_code!r}")


def has_content(status_code: int) -> bool:
    """Tell whether content may follow (section 6.4.1).

    >>> has_content(200), has_content(204)
    (True, False)
    """
    return status_code not in (204, 205, 304) and status_code >= 200


# The app's own, and few: checking one takes 0.6 us.
@lru_cache(maxsize=256)
def format_type(media_type: str, charset: str) -> tuple[bytes, bytes]:
    """Write Content-Type; text says its charset (section 8.3.2).

    Raises:
        ValueError: it could not be sent.

    >>> format_type("text/html", "utf-8")
    (b'content-type', b'text/html; charset=utf-8')
    """
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type = f"{media_type}; charset={charset}"
    return check_field("content-type", media_type)


@lru_cache(maxsize=1024)
def format_length(size: int) -> tuple[bytes, bytes]:
    """Write Content-Length for ``size`` bytes.

    >>> format_length(12)
    (b'content-length', b'12')
    """
    return b"content-length", b"%d" % size


def promised_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Give the bytes that Content-Length promises, if it promises any.

    Raises:
        ContentLengthMismatch: it cannot be kept, since it is no number, or there are two.
    """
    lengths = [value.decode("latin-1") for name, value in headers if name == b"content-length"]
    if not lengths:
        return None
    length = parse_digits(lengths[0])
    if length is None or len(lengths) > 1:
        raise ContentLengthMismatch(f"Content-Length is one number, not {', '.join(lengths)!r}")
    return length


def check_length(headers: Iterable[tuple[bytes, bytes]], size: int) -> None:
    """Hold a body of ``size`` bytes against the Content-Length it has.

    Raises:
        ContentLengthMismatch: it promises another length.
    """
    promised = promised_length(headers)
    if promised is not None and promised != size:
        raise ContentLengthMismatch(
            f"Content-Length promises {promised} bytes, and the body has {size}: leave it out, it "
            "is made from the body"
        )
