"""Short fields, of a word or several (:rfc:`9110`): Allow, Content-Language, Retry-After."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from asgikit.http.dates import format_http_date, parse_http_date
from asgikit.http.grammar import (
    check_field,
    header_pairs,
    is_token,
    parse_digits,
    split_list,
    strip_ows,
)

__all__ = [
    "connection_options",
    "end_to_end",
    "format_allow",
    "format_content_language",
    "format_retry_after",
    "parse_allow",
    "parse_content_language",
    "parse_retry_after",
]

# Language-Tag   = langtag / privateuse / grandfathered             (RFC 5646, section 2.1)
#
# All of them have this shape, which is that of a range.
_is_language_tag = re.compile(r"[A-Za-z]{1,8}+(?:-[A-Za-z0-9]{1,8}+)*+").fullmatch

# Headers of one connection. Those of the first lines are removed before a message is forwarded
# (section 7.6.1). Trailer is of no use without the trailers themselves, and credentials for a proxy
# are for the next proxy alone (section 11.7).
_CONNECTION_HEADERS = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding"),
        b"upgrade",
        b"trailer",
        *(b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization"),
    }
)

# More seconds than these, 68 years, nobody waits.
_LONGEST = 2**31


def format_retry_after(when: datetime | float) -> str:
    """Write Retry-After (section 10.2.3).

    Args:
        when: seconds from now, rounded up; or an aware datetime.

    Raises:
        ValueError: seconds that are negative or no number, or a datetime without a time zone.

    >>> format_retry_after(120), format_retry_after(0.5)
    ('120', '1')
    """
    # Retry-After = HTTP-date / delay-seconds
    if isinstance(when, datetime):
        return format_http_date(when)
    if not 0 <= when <= _LONGEST:
        raise ValueError(f"Retry-After is 0 to 2**31 seconds from now, not {when!r}")
    return str(math.ceil(when))


def parse_retry_after(text: str, *, now: datetime | float | None = None) -> datetime | int | None:
    """Read Retry-After (section 10.2.3).

    Returns:
        Seconds, or a date, or :obj:`None` where it is neither. ``now`` is as of
        :func:`~asgikit.http.dates.parse_http_date`.

    >>> parse_retry_after("120"), parse_retry_after("soon")
    (120, None)
    """
    text = strip_ows(text)
    seconds = parse_digits(text)
    return parse_http_date(text, now=now) if seconds is None else min(seconds, _LONGEST)


def format_allow(*methods: str) -> str:
    """Write Allow (section 10.2.1), which every 405 has.

    Raises:
        ValueError: a method is no token.

    >>> format_allow("GET", "HEAD")
    'GET, HEAD'
    """
    # Allow = #method; an empty one allows nothing at all.
    for method in methods:
        if not is_token(method):
            raise ValueError(f"a method is a token, not {method!r}")
    return ", ".join(methods)


def parse_allow(text: str) -> list[str]:
    """Read Allow (section 10.2.1); methods are case-sensitive.

    >>> parse_allow("GET, HEAD, ,PUT")
    ['GET', 'HEAD', 'PUT']
    """
    return [method for method in split_list(text) if is_token(method)]


def parse_content_language(field: str) -> list[str]:
    """Read Content-Language (section 8.5); what is no language tag is left out.

    >>> parse_content_language("mi, en")
    ['mi', 'en']
    """
    return [tag for tag in split_list(field) if _is_language_tag(tag)]


def format_content_language(*tags: str) -> str:
    """Write Content-Language (section 8.5): the languages of those whom the content is for.

    Raises:
        ValueError: there is no tag, or one that is none.

    >>> format_content_language("mi", "en")
    'mi, en'
    """
    for tag in tags:
        if _is_language_tag(tag) is None:
            raise ValueError(f"not a language tag: {tag!r}")
    if not tags:
        raise ValueError("Content-Language names one language or more")
    return ", ".join(tags)


def connection_options(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the options of Connection (section 7.6.1), among them the names of other headers.

    Args:
        headers: Lower-case names and values.

    >>> sorted(connection_options([(b"connection", b"close, X-Session")]))
    [b'close', b'x-session']
    """
    # Connection = #connection-option; connection-option = token, case-insensitive
    return frozenset(
        option
        for name, value in headers
        if name == b"connection"
        for element in value.lower().split(b",")
        if (option := element.strip(b" \t"))
    )


def end_to_end(
    headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]],
) -> list[tuple[bytes, bytes]]:
    """Select the headers of a message that a proxy may forward (section 7.6.1).

    Connection and each header that it nominates, Keep-Alive, Proxy-Connection, TE, Trailer,
    Transfer-Encoding, Upgrade and the headers that authenticate to a proxy are left out.
    Content-Length is kept, because it describes the content. If Transfer-Encoding is there, it
    overrides Content-Length (:rfc:`9112`, section 6.3), and that is left out as well.

    Args:
        headers: Pairs in ``bytes`` or ``str``, or a mapping; see
            :func:`~asgikit.http.grammar.header_pairs`.

    Returns:
        Lower-case names and values in order, as the ``headers`` of a response take them.

    Raises:
        TypeError: A name or a value is neither ``str`` nor ``bytes``.
        ValueError: A name or a value cannot be sent.

    >>> end_to_end([(b"Connection", b"X-Session"), (b"X-Session", b"1"), (b"ETag", b'"1"')])
    [(b'etag', b'"1"')]
    """
    pairs = [check_field(name, value) for name, value in header_pairs(headers)]
    dropped = _CONNECTION_HEADERS | connection_options(pairs)
    if any(name == b"transfer-encoding" for name, _ in pairs):
        dropped |= {b"content-length"}
    return [pair for pair in pairs if pair[0] not in dropped]
