"""The media type of a form, its boundary, and the charset of its text fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asgikit.exceptions import InvalidForm, UnsupportedMediaType
from asgikit.http.grammar import OWS
from asgikit.http.media_types import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MULTIPART", "URLENCODED", "decode_text", "is_urlencoded", "parse_boundary"]

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# boundary      = 0*69<bchars> bcharsnospace                       (RFC 2046, section 5.1.1)
# bcharsnospace = DIGIT / ALPHA / "'" / "(" / ")" / "+" / "_" / ","
#               / "-" / "." / "/" / ":" / "=" / "?"
# bchars        = bcharsnospace / " "
#
# Clients send other characters and longer boundaries: up to 256 characters of visible ASCII are
# accepted.
_is_boundary = re.compile(r"[\x20-\x7e]{0,255}(?<=[^ ])").fullmatch
# perf: multipart -3 % - the Content-Type of nearly every client.
_parse_common = re.compile(
    r"multipart/form-data; ?boundary=([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256})"
).fullmatch

# The charsets that a text part may name. A fixed table, since not every codec of Python decodes
# text, and some take quadratic time. The names and aliases are those of the IANA registry, and
# names that browsers and mail clients use. Each charset is decoded by its own definition: unlike
# browsers, ISO-8859-1 and US-ASCII are not read as windows-1252.
_NAMES = {
    "utf-8": "utf-8 utf8 csutf8",
    "ascii": "us-ascii ascii us ansi_x3.4-1968 ansi_x3.4-1986 iso_646.irv:1991 iso646-us iso-ir-6 "
    "ibm367 cp367 csascii",
    "iso-8859-1": "iso-8859-1 iso_8859-1 iso_8859-1:1987 iso-ir-100 latin1 l1 ibm819 cp819 "
    "csisolatin1",
    **{f"cp125{digit}": f"windows-125{digit}" for digit in range(9)},
    "cp1252": "windows-1252 cswindows1252 cp1252 x-cp1252",
}
_CODECS = {name: codec for codec, names in _NAMES.items() for name in names.split(" ")}


def is_urlencoded(content_type: str | None) -> bool:
    """Return whether a Content-Type is that of an urlencoded form. Parameters are ignored."""
    return content_type is not None and (
        content_type == URLENCODED or _essence(content_type) == URLENCODED
    )


def parse_boundary(content_type: str | None, *, accepted: Iterable[str] = (MULTIPART,)) -> str:
    """Return the boundary in the Content-Type of a multipart form.

    Args:
        content_type: The value of the header.
        accepted: The media types that the error names if it is of another type.

    Raises:
        InvalidForm: There is no boundary, more than one, or a malformed one.
        UnsupportedMediaType: The media type is not multipart.

    >>> parse_boundary('multipart/form-data; boundary="a b"')
    'a b'
    """
    content_type = content_type or ""
    common = _parse_common(content_type)
    if common is not None:
        return common[1]
    if _essence(content_type) != MULTIPART:
        names = " or ".join(accepted)
        raise UnsupportedMediaType(f"A form is sent as {names}.", accepted=accepted)
    media_type = parse_media_type(content_type)
    boundary = "" if media_type is None else media_type.parameters.get("boundary", "")
    if _is_boundary(boundary) is None:
        raise InvalidForm("The Content-Type of a multipart form has one boundary.")
    return boundary


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip(OWS).lower()


def decode_text(name: str, content_type: str | None, data: bytes | bytearray | memoryview) -> str:
    r"""Decode the value of a text field: as UTF-8, unless its part names another charset.

    The field ``_charset_`` (:rfc:`7578`, section 4.6) has no special meaning.

    Raises:
        InvalidForm: It does not decode, or its charset is none of UTF-8, US-ASCII, ISO-8859-1 (by
            any of their IANA names) and windows-1250 to 1258.

    >>> decode_text("a", "text/plain; charset=windows-1251", b"\xc4\xe0")
    'Да'
    """
    # Some clients declare UTF-8 for each field. To parse that takes 15 us.
    is_plain = content_type is None or content_type == "text/plain; charset=utf-8"
    codec = "utf-8" if is_plain else _find_codec(content_type or "")
    try:
        return str(data, codec)
    except UnicodeDecodeError as error:
        raise InvalidForm(f"The field {name!r} is not {codec}, at byte {error.start}.") from None


def _find_codec(content_type: str) -> str:
    if "charset" not in content_type.lower():
        return "utf-8"
    media_type = parse_media_type(content_type)
    codec = None if media_type is None else _CODECS.get(media_type.charset or "utf-8")
    if codec is None:
        raise InvalidForm("The charset of a part is not supported.")
    return codec
