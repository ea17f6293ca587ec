"""The ``charset`` parameter of a response's Content-Type (:rfc:`9110`, section 8.3.2)."""

from __future__ import annotations

from functools import lru_cache

from asgikit.types import RawHeaders

__all__ = ["check_utf8", "encode_text", "find_charset"]


def find_charset(headers: RawHeaders) -> str | None:
    """Return the charset that Content-Type announces, in lower case."""
    for name, value in headers:
        if name == b"content-type":
            return _parse_charset(value)
    return None


@lru_cache(maxsize=256)
def _parse_charset(value: bytes) -> str | None:
    from asgikit.http.media_types import parse_media_type

    media_type = parse_media_type(value.decode("latin-1"))
    return None if media_type is None else media_type.charset


def encode_text(text: str, charset: str) -> bytes:
    """Encode text by the charset that its Content-Type announces.

    Raises:
        ValueError: the charset is unknown, or cannot represent the text.

    >>> len(encode_text("\u00e9", "iso-8859-1"))
    1
    """
    try:
        return text.encode(charset)
    except (LookupError, UnicodeEncodeError) as error:
        raise ValueError(
            f"the text cannot be encoded in {charset!r}, which its Content-Type announces: {error}"
        ) from None


def check_utf8(headers: RawHeaders) -> None:
    """Raise :exc:`ValueError` if Content-Type announces another charset than UTF-8.

    >>> check_utf8([(b"content-type", b"application/json")])
    """
    charset = find_charset(headers)
    if charset not in (None, "utf-8", "utf8"):
        raise ValueError(f"the content is UTF-8, but its Content-Type announces {charset!r}")
