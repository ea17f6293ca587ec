"""Short fields, of a word or several (:rfc:`9110`): Allow, Content-Language, Retry-After."""

from __future__ import annotations

import math
import re
from datetime import datetime

from asgikit.http.dates import format_http_date, parse_http_date
from asgikit.http.grammar import is_token, parse_digits, split_list, strip_ows

__all__ = [
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
