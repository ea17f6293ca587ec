"""Grammar shared by HTTP headers (:rfc:`9110`, section 5): tokens, quoted strings, lists.

The other modules of this package build their patterns from :data:`TOKEN` and
:data:`QUOTED_STRING`. Each repeat is possessive (``*+``) and stands next to no other unbounded
repeat that matches the same characters, so that matching takes linear time.

Functions take text that ASGI bytes were decoded to as ISO-8859-1, and trim nothing but SP and HTAB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asgikit.limits import MAX_HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "OWS",
    "QUOTED_STRING",
    "TOKEN",
    "check_field",
    "find_header",
    "format_quoted_string",
    "header_pairs",
    "is_token",
    "join_lines",
    "parse_digits",
    "parse_parameters",
    "split_list",
    "strip_ows",
    "unquote_pairs",
]

# OWS            = *( SP / HTAB )
OWS = " \t"

# token          = 1*tchar
# tchar          = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`"
#                / "|" / "~" / DIGIT / ALPHA
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - a pattern

# quoted-string  = DQUOTE *( qdtext / quoted-pair ) DQUOTE
# qdtext         = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text
# quoted-pair    = "\" ( HTAB / SP / VCHAR / obs-text )
#
# obs-text is any character from %x80 on, so that text decoded as UTF-8 matches as well. The class
# is written as a complement, because a range up to %x10FFFF compiles slowly.
_QDTEXT = r'[^"\\\x00-\x08\x0a-\x1f\x7f]*+'
_QUOTED = rf"{_QDTEXT}(?:\\[^\x00-\x08\x0a-\x1f\x7f]{_QDTEXT})*+"
QUOTED_STRING = rf'"({_QUOTED})"'


# parameters     = *( OWS ";" OWS [ parameter ] )
# parameter      = parameter-name "=" parameter-value
# parameter-value = ( token / quoted-string )
def _parameter(bare: str) -> re.Pattern[str]:
    value = rf'(?:"(?P<quoted>{_QUOTED})"|(?P<bare>{bare}))'
    return re.compile(rf"[ \t]*+;[ \t]*+(?:(?P<name>{TOKEN})={value})?+")


_PARAMETER = _parameter(TOKEN)

# Clients send values without DQUOTEs that are no tokens (boundary=----=_Part:1) or are empty
# (charset=). Visible ASCII is accepted except for DQUOTE, ",", ";" and "\".
_LOOSE_PARAMETER = _parameter(r"[!#-+\x2d-:<-\[\]-~]*+")

# #element       => [ element ] *( OWS "," OWS [ element ] )
#
# A comma inside a quoted string does not end the element. A quoted string without its closing
# DQUOTE extends as far as it matches, and the parser of the element refuses it. Backtracking to the
# opening DQUOTE would take quadratic time.
_ELEMENT = re.compile(rf'(?:[^",]++|"{_QUOTED}"?+)++')

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

_is_token = re.compile(TOKEN).fullmatch
_is_token_bytes = re.compile(TOKEN.encode()).fullmatch

# field-value    = *field-content
# field-content  = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
#
# CR, LF and NUL could end the line and start another header (section 5.5). Other control characters
# have no use in a header.
_is_field_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+").fullmatch


def is_token(text: str) -> bool:
    """Return whether ``text`` is a token (section 5.6.2).

    >>> is_token("text"), is_token("a b"), is_token("")
    (True, False, False)
    """
    return _is_token(text) is not None


def strip_ows(text: str) -> str:
    r"""Remove optional white space from both ends: SP and HTAB alone (section 5.6.3).

    >>> strip_ows(" a\xa0 ")
    'a\xa0'
    """
    return text.strip(OWS)


def parse_digits(text: str, *, most: int = 19) -> int | None:
    """Parse ``1*DIGIT``: ASCII digits without a sign or an underscore.

    Args:
        text: The digits. Leading zeros are accepted.
        most: The number of digits accepted. 19 digits hold any size in bytes.

    Returns:
        The number; ``None`` if ``text`` is empty, has another character or more digits.

    >>> parse_digits("010"), parse_digits("+1"), parse_digits("1_0"), parse_digits("")
    (10, None, None, None)
    """
    if 0 < len(text) <= most and text.isascii() and text.isdigit():
        return int(text)
    return None


def format_quoted_string(text: str) -> str:
    r"""Format ``text`` as a quoted string (section 5.6.4).

    Raises:
        ValueError: ``text`` has a control character other than HTAB.

    >>> print(format_quoted_string('say "hi"'))
    "say \"hi\""
    """
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if re.fullmatch(QUOTED_STRING, quoted) is None:
        raise ValueError(f"no quoted string can hold {text!r}")
    return quoted


def unquote_pairs(text: str) -> str:
    r"""Replace each quoted pair by its second character (section 5.6.4).

    Args:
        text: The characters between the DQUOTEs of a quoted string.

    >>> unquote_pairs(r'say \"hi\"')
    'say "hi"'
    """
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text


def parse_parameters(
    text: str, start: int = 0, *, loose: bool = False
) -> list[tuple[str, str]] | None:
    """Parse ``; name=value`` up to the end of ``text`` (section 5.6.6).

    Args:
        text: The value of a header, or an element of a list.
        start: The position of the first ``;``, or of the white space before it.
        loose: Whether a value without DQUOTEs may be empty or any visible ASCII characters except
            for a comma, a semicolon and a backslash. Some clients send such values.

    Returns:
        Lower-case names with their values in order, repeated names kept; ``None`` if ``text`` is
        malformed.

    >>> parse_parameters('text/html; charset="utf-8"; q=1', 9)
    [('charset', 'utf-8'), ('q', '1')]
    """
    parameter = _LOOSE_PARAMETER if loose else _PARAMETER
    parameters: list[tuple[str, str]] = []
    stop = len(text.rstrip(OWS))
    while start < stop:
        match = parameter.match(text, start)
        if match is None:
            return None
        # Each match consumes at least one ";", so the loop ends.
        start = match.end()
        name, bare, quoted = match.group("name", "bare", "quoted")
        if name is not None:
            parameters.append((name.lower(), bare if quoted is None else unquote_pairs(quoted)))
    return parameters


def join_lines(values: Sequence[bytes], separator: bytes = b", ") -> str | None:
    """Join the lines of one header, which are one list (section 5.3).

    Args:
        values: The values of the lines in bytes.
        separator: Bytes between the values. For a header that is no list, choose bytes that its
            grammar refuses.

    Returns:
        The value, decoded as ISO-8859-1; ``None`` if ``values`` is empty.

    >>> join_lines([b"gzip", b"br;q=0.5"]), join_lines([])
    ('gzip, br;q=0.5', None)
    """
    return separator.join(values).decode("latin-1") if values else None


def find_header(
    headers: Iterable[tuple[bytes, bytes]], name: bytes, max_size: int = MAX_HEADER_SIZE
) -> str | None:
    """Return the value of a header, its lines joined as one list (section 5.3).

    Args:
        headers: The headers of an ASGI message.
        name: The name in lower case.
        max_size: The limit in bytes. The work of a parser grows with the value, and not every
            server limits it.

    Returns:
        The value; ``None`` if the header is absent or longer than ``max_size``.

    >>> find_header([(b"accept", b"text/html"), (b"accept", b"*/*;q=0.1")], b"accept")
    'text/html, */*;q=0.1'
    >>> find_header([(b"accept", b"text/html")], b"accept", max_size=5)
    """
    value = join_lines([value for each, value in headers if each == name])
    return None if value is None or len(value) > max_size else value


def header_pairs(
    headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]],
) -> Iterable[tuple[str | bytes, str | bytes]]:
    """Return the names and values of headers, repeated names kept.

    Args:
        headers: Pairs, or a mapping. If the mapping has ``multi_items()``, as that of httpx, it is
            used, because ``items()`` joins repeated headers there.

    >>> list(header_pairs({"Allow": "GET"}))
    [('Allow', 'GET')]
    """
    source: Any = headers
    pairs: Iterable[tuple[str | bytes, str | bytes]] = source
    if hasattr(source, "multi_items"):
        pairs = source.multi_items()
    elif hasattr(source, "items"):
        pairs = source.items()
    return pairs


def split_list(text: str) -> list[str]:
    """Split a comma-separated list into its elements, without empty ones (section 5.6.1).

    >>> split_list('a, , "b,c"')
    ['a', '"b,c"']
    """
    elements = (strip_ows(match.group()) for match in _ELEMENT.finditer(text))
    return [element for element in elements if element]


def check_field(name: str | bytes, value: str | bytes) -> tuple[bytes, bytes]:
    """Check a header and encode it for ASGI (section 5.5).

    Each header that asgikit sends passes through this function.

    Returns:
        The name in lower case and the value without surrounding white space, in ISO-8859-1.

    Raises:
        TypeError: The name or the value is neither ``str`` nor ``bytes``.
        ValueError: The name is no token, the value has a control character other than HTAB, or
            either has a character outside of ISO-8859-1.

    >>> check_field("X-Answer", "42")
    (b'x-answer', b'42')
    """
    raw_name = _encode(name, "name")
    raw_value = _encode(value, "value")
    if _is_token_bytes(raw_name) is None:
        raise ValueError(f"not a header field name: {name!r}")
    if _is_field_value(raw_value) is None:
        raise ValueError(f"a control character in the value of {name!r}: {value!r}")
    return raw_name.lower(), raw_value.strip(b" \t")


def _encode(text: object, part: str) -> bytes:
    if isinstance(text, str):
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"a header field {part} is ISO-8859-1, which cannot hold {text!r}"
            ) from error
    if isinstance(text, bytes):
        return text
    raise TypeError(f"a header field {part} is str or bytes, not {type(text).__name__}: {text!r}")
