"""Accept-Query (:rfc:`10008`, section 3): the media types that QUERY requests may have."""

from __future__ import annotations

import re

from asgikit.http.grammar import strip_ows, unquote_pairs
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
_STRING = r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)"'
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_VALUE = rf"(?:({_TOKEN})|{_STRING})"
_MEMBER = re.compile(rf"{_VALUE}((?: *+; *+{_KEY}={_VALUE})*+)[ \t]*+(,[ \t]*+|\Z)")
_PARAMETER = re.compile(rf" *+; *+({_KEY})={_VALUE}")

_is_token = re.compile(_TOKEN).fullmatch
_is_string = re.compile(r"[\x20-\x7e]*+").fullmatch
_is_key = re.compile(_KEY).fullmatch


def format_accept_query(*media_types: str) -> str:
    """Format Accept-Query.

    Args:
        media_types: Media types with their parameters; ``*`` matches each type or subtype.

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
    if media_type is None or not all(map(_is_key, media_type.parameters)):
        raise ValueError(f"not a media type for Accept-Query: {text!r}")
    pairs = [f";{name}={_format_value(value)}" for name, value in media_type.parameters.items()]
    return _format_value(media_type.essence) + "".join(pairs)


def _format_value(text: str) -> str:
    if _is_token(text):
        return text
    if not _is_string(text):
        raise ValueError(f"a structured string is ASCII, unlike {text!r}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


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
    media_types: list[MediaType] = []
    position, is_more = 0, bool(text)
    while is_more:
        member = _MEMBER.match(text, position)
        if member is None:
            return []
        # Each match consumes at least one character of a member, so the loop ends.
        position = member.end()
        is_more = member[6] != ""
        parameters = {
            key: unquote_pairs(string) if token is None else token
            for key, token, string in (match.groups() for match in _PARAMETER.finditer(member[3]))
        }
        essence = parse_media_type(unquote_pairs(member[2]) if member[1] is None else member[1])
        if essence is None or essence.parameters:
            return []
        # "x" and "x*" are two values of one parameter.
        if any(f"{name}*" in parameters for name in parameters):
            return []
        media_types.append(MediaType(essence.type, essence.subtype, parameters))
    return media_types
