"""Short headers (:rfc:`9110`): Allow, Content-Language, Retry-After; and headers to forward."""

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
# Each language tag has the shape of a language range.
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

# Seconds, 68 years: larger numbers are read as this one.
_MAX_DELAY = 2**31


def format_retry_after(when: datetime | float) -> str:
    """Format Retry-After (section 10.2.3).

    Args:
        when: Seconds from now, rounded up; or an aware datetime.

    Raises:
        ValueError: The seconds are negative, NaN or over 2**31, or the datetime has no time zone.

    >>> format_retry_after(120), format_retry_after(0.5)
    ('120', '1')
    """
    # Retry-After = HTTP-date / delay-seconds
    if isinstance(when, datetime):
        return format_http_date(when)
    if not 0 <= when <= _MAX_DELAY:
        raise ValueError(f"Retry-After is 0 to 2**31 seconds from now, not {when!r}")
    return str(math.ceil(when))


def parse_retry_after(text: str, *, now: datetime | float | None = None) -> datetime | int | None:
    """Parse Retry-After (section 10.2.3).

    Args:
        text: The value of the header.
        now: The time of receipt, for dates of an obsolete format; see
            :func:`~asgikit.http.dates.parse_http_date`.

    Returns:
        Seconds, at most 2**31; or a date; ``None`` if the value is neither.

    >>> parse_retry_after("120"), parse_retry_after("soon")
    (120, None)
    """
    text = strip_ows(text)
    seconds = parse_digits(text)
    return parse_http_date(text, now=now) if seconds is None else min(seconds, _MAX_DELAY)


def format_allow(*methods: str) -> str:
    """Format Allow (section 10.2.1), which each 405 must have.

    Raises:
        ValueError: A method is no token.

    >>> format_allow("GET", "HEAD")
    'GET, HEAD'
    """
    # Allow = #method. An empty list means that no method is allowed.
    for method in methods:
        if not is_token(method):
            raise ValueError(f"a method is a token, not {method!r}")
    return ", ".join(methods)


def parse_allow(text: str) -> list[str]:
    """Parse Allow (section 10.2.1) into its methods, which are case-sensitive.

    Elements that are no tokens are left out.

    >>> parse_allow("GET, HEAD, ,PUT")
    ['GET', 'HEAD', 'PUT']
    """
    return [method for method in split_list(text) if is_token(method)]


def parse_content_language(field: str) -> list[str]:
    """Parse Content-Language (section 8.5) into its language tags.

    Malformed tags are left out.

    >>> parse_content_language("mi, en")
    ['mi', 'en']
    """
    return [tag for tag in split_list(field) if _is_language_tag(tag)]


def format_content_language(*tags: str) -> str:
    """Format Content-Language (section 8.5): the languages of the intended audience.

    Raises:
        ValueError: There is no tag, or a tag is malformed.

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
