"""Accept-Query (:rfc:`10008`, section 3): the media types that QUERY requests may have."""

from __future__ import annotations

import re

from asgikit.http.grammar import format_quoted_string, parse_parameters, strip_ows, unquote_pairs
from asgikit.http.media_types import MediaType, parse_media_type

__all__ = ["format_accept_query", "parse_accept_query"]

# Accept-Query = sf-list                                            (RFC 9651, section 3.1)
#
# Each member is a media range as a token or a string, with the parameters of the media type:
#
# sf-token     = ( ALPHA / "*" ) *( tchar / ":" / "/" )
# sf-string    = DQUOTE *( unescaped / "\" ( DQUOTE / "\" ) ) DQUOTE
# parameter    = *SP ";" *SP key "=" ( sf-token / sf-string )
# key          = ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" )
_TOKEN = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+"  # noqa: S105 - a pattern
_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+"'
# No group is inside a possessive repeat, for which CPython 3.11 raises SystemError on some texts.
_VALUE = rf"(?:{_TOKEN}|{_STRING})"
_PARAMETERS = rf"(?: *+; *+[a-z*][a-z0-9_.*-]*+={_VALUE})*+"
_MEMBER = _VALUE + _PARAMETERS

_is_token = re.compile(_TOKEN).fullmatch
_is_member = re.compile(_MEMBER).fullmatch
_is_list = re.compile(rf"{_MEMBER}(?:[ \t]*+,[ \t]*+{_MEMBER})*+").fullmatch
_find_members = re.compile(rf"({_VALUE})({_PARAMETERS})").findall


def format_accept_query(*media_types: str) -> str:
    """Format Accept-Query. In a media type, ``*`` matches each type or subtype.

    Raises:
        ValueError: There is no media type, one is malformed, or it cannot be sent in this header.

    >>> format_accept_query("application/sql; charset=UTF-8", "application/jsonpath")
    'application/sql;charset=UTF-8, application/jsonpath'
    """
    if not media_types:
        raise ValueError("Accept-Query has at least one media type")
    return ", ".join(map(_format_member, media_types))


def _format_member(text: str) -> str:
    media_type = parse_media_type(text)
    if media_type is not None:
        pairs = [f";{name}={_quote(value)}" for name, value in media_type.parameters.items()]
        member = _quote(media_type.essence) + "".join(pairs)
        if _is_member(member):
            return member
    raise ValueError(f"not a media type for Accept-Query: {text!r}")


def _quote(text: str) -> str:
    return text if _is_token(text) else format_quoted_string(text)


def parse_accept_query(text: str) -> list[MediaType]:
    """Parse Accept-Query.

    Args:
        text: The value, repeated lines joined by ``", "``.

    Returns:
        The media ranges in order. If the value is malformed, the list is empty, because a malformed
        structured header is ignored as a whole (:rfc:`9651`, section 4.2).

    >>> [str(media_type) for media_type in parse_accept_query('"a/b";x="1 2", text/*')]
    ['a/b; x="1 2"', 'text/*']
    """
    text = strip_ows(text)
    try:
        return [_parse_member(*member) for member in _find_members(text)] if _is_list(text) else []
    except ValueError:
        return []


def _parse_member(essence: str, parameters: str) -> MediaType:
    if essence.startswith('"'):
        essence = unquote_pairs(essence[1:-1])
    type_, _, subtype = essence.partition("/")
    # The last of two equal keys counts (RFC 9651, section 3.1.2).
    return MediaType(type_, subtype, dict(parse_parameters(parameters, loose=True) or ()))
