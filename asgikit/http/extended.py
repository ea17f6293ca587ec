"""Extended parameter values in UTF-8 (:rfc:`8187`): ``name*=UTF-8''...``."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

__all__ = ["format_ext_value", "parse_ext_value"]

# ext-value   = charset  "'" [ language ] "'" value-chars                    (section 3.2.1)
# value-chars = *( pct-encoded / attr-char )
# attr-char   = ALPHA / DIGIT / "!" / "#" / "$" / "&" / "+" / "-" / "."
#             / "^" / "_" / "`" / "|" / "~"
#
# The RFC requires UTF-8 alone, and a client must not choose a codec of the server.
_parse = re.compile(
    r"(?i:utf-8)'[0-9A-Za-z-]*+'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*+)"
).fullmatch
_ATTR_CHAR_MARKS = "!#$&+^`|"

_has_control = re.compile(r"[\x00-\x1f\x7f]").search


def parse_ext_value(value: str) -> str | None:
    """Parse an extended value (section 3.2).

    Returns:
        The text; ``None`` if the value is malformed, is not UTF-8 or has a control character.

    >>> parse_ext_value("UTF-8'en'%C2%A3%20rates")
    '£ rates'
    """
    match = _parse(value)
    if match is None:
        return None
    try:
        decoded = unquote_to_bytes(match[1]).decode("utf-8")
    except UnicodeDecodeError:
        return None
    # A quoted string cannot hold control characters, so percent-encoded ones are refused as well.
    return None if _has_control(decoded) else decoded


def format_ext_value(text: str) -> str:
    """Format an extended value (section 3.2), which is sent without DQUOTEs.

    Raises:
        ValueError: ``text`` has a surrogate, which UTF-8 cannot encode.

    >>> print(format_ext_value("£ rates"))
    UTF-8''%C2%A3%20rates
    """
    try:
        return f"UTF-8''{quote(text, safe=_ATTR_CHAR_MARKS)}"
    except UnicodeEncodeError as error:
        raise ValueError(f"no UTF-8 for the surrogates in {text!r}") from error
