"""Cache-Control (:rfc:`9111`, section 5.2): parse and format its directives."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict

from asgikit.http.grammar import (
    QUOTED_STRING,
    TOKEN,
    format_quoted_string,
    is_token,
    parse_digits,
    split_list,
    unquote_pairs,
)

if TYPE_CHECKING:
    from typing import Unpack

__all__ = [
    "CacheControl",
    "CacheDirectives",
    "make_cache_control",
    "parse_cache_control",
]

# cache-directive = token [ "=" ( token / quoted-string ) ]
_parse_directive = re.compile(rf"({TOKEN})(?:=(?:({TOKEN})|{QUOTED_STRING}))?+").fullmatch

# Seconds: larger numbers are read as this one (section 1.2.2).
_MAX_SECONDS = 2**31

_SECONDS = (
    "max_age",
    "s_maxage",
    "min_fresh",
    "stale_while_revalidate",
    "stale_if_error",
)
_FLAGS = (
    "no_store",
    "no_transform",
    "only_if_cached",
    "must_revalidate",
    "proxy_revalidate",
    "must_understand",
    "public",
    "immutable",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheControl:
    """The directives of Cache-Control.

    ``str()`` formats them; :func:`parse_cache_control` parses the result.

    Attributes:
        max_age: Of a response, the seconds that it is fresh. Of a request, the age in seconds that
            the client accepts.
        s_maxage: The same as ``max_age`` of a response, for shared caches.
        max_stale: Seconds after which the client does not accept a stale response; ``True`` for no
            limit.
        min_fresh: Seconds for which the response must stay fresh.
        stale_while_revalidate: Seconds for which a stale response may be used while it is
            revalidated (:rfc:`5861`).
        stale_if_error: Seconds for which a stale response may be used after an error (:rfc:`5861`).
        no_cache: Whether the response must be revalidated before each use; or the names of the
            headers for which this holds.
        private: Whether shared caches must not store the response; or the names of the headers that
            they must not store.
        no_store: Whether no cache may store the message.
        no_transform: Whether intermediaries must not transform the content.
        only_if_cached: Whether the client wants a stored response or else a 504.
        must_revalidate: Whether a stale response must not be used without revalidation.
        proxy_revalidate: The same as ``must_revalidate``, for shared caches.
        must_understand: Whether only caches that understand the status code may store the response.
        public: Whether a cache may store the response even if it could not otherwise.
        immutable: Whether a fresh response need not be revalidated on reload (:rfc:`8246`).
        extensions: Other directives by lower-case name.

    Raises:
        ValueError: The directives cannot be sent, or the response is both public and private.

    >>> str(CacheControl(max_age=3600, public=True, immutable=True))
    'max-age=3600, public, immutable'
    """

    max_age: int | None = None
    s_maxage: int | None = None
    max_stale: int | bool = False
    min_fresh: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_cache: bool | tuple[str, ...] = False
    private: bool | tuple[str, ...] = False
    no_store: bool = False
    no_transform: bool = False
    only_if_cached: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    public: bool = False
    immutable: bool = False
    extensions: tuple[tuple[str, str | None], ...] = ()

    def __post_init__(self) -> None:
        for name in _SECONDS:
            seconds = getattr(self, name)
            if seconds is not None and (type(seconds) is not int or seconds < 0):
                raise ValueError(f"{name} is a whole number of seconds, not {seconds!r}")
        if self.max_stale < 0:
            raise ValueError(f"max_stale is seconds, or True, not {self.max_stale!r}")
        if self.public and self.private is True:
            raise ValueError("a response is public or private, not both")
        listed: list[str] = []
        for names in (self.no_cache, self.private):
            if not isinstance(names, bool):
                listed += names
        if not all(map(is_token, (*listed, *(name for name, _ in self.extensions)))):
            raise ValueError("directives and the names of fields are tokens")
        for _, value in self.extensions:
            format_quoted_string(value or "")

    def __str__(self) -> str:
        written = [
            _format(attribute.name.replace("_", "-"), getattr(self, attribute.name))
            for attribute in fields(self)[:-1]
        ]
        written += [
            _format(name, True if value is None else value) for name, value in self.extensions
        ]
        return ", ".join(directive for directive in written if directive)


class CacheDirectives(TypedDict, total=False):
    """The keyword arguments of :func:`make_cache_control`."""

    max_age: int | None
    s_maxage: int | None
    stale_while_revalidate: int | None
    stale_if_error: int | None
    no_cache: bool | tuple[str, ...]
    private: bool | tuple[str, ...]
    no_store: bool
    no_transform: bool
    must_revalidate: bool
    proxy_revalidate: bool
    must_understand: bool
    public: bool
    immutable: bool
    extensions: tuple[tuple[str, str | None], ...]


def parse_cache_control(text: str) -> CacheControl:
    """Parse Cache-Control of a request or a response (section 5.2).

    If a directive is repeated, its first value counts. If max-age or s-maxage has no valid number,
    it is 0, so that the response is stale (section 4.2.1). Other malformed directives are ignored.

    Args:
        text: The value, repeated lines joined by ``", "``.

    >>> parse_cache_control('private="set-cookie", max-age=60').private
    ('set-cookie',)
    """
    known: dict[str, Any] = {}
    extensions: dict[str, str | None] = {}
    for element in split_list(text):
        match = _parse_directive(element)
        if match is None:
            continue
        name = match[1].lower()
        value = match[2] if match[3] is None else unquote_pairs(match[3])
        attribute = name.replace("-", "_")
        if attribute in known or name in extensions:
            continue
        if attribute == "extensions" or "_" in name or attribute not in _ATTRIBUTES:
            extensions[name] = value
        else:
            parsed = _parse_value(attribute, value)
            if parsed is not None:
                known[attribute] = parsed
    if known.get("public") and known.get("private") is True:
        # Of conflicting directives, the most restrictive one is obeyed (section 4.2.1).
        del known["public"]
    return CacheControl(**known, extensions=tuple(extensions.items()))


def _parse_value(attribute: str, value: str | None) -> int | bool | tuple[str, ...] | None:
    if attribute in _FLAGS:
        return True
    if attribute in ("no_cache", "private"):
        names = tuple(name.lower() for name in split_list(value or "") if is_token(name))
        # An empty list would restrict nothing, so the directive applies to the whole response.
        return names or True
    if attribute == "max_stale" and value is None:
        return True
    seconds = parse_digits(value or "", most=10)
    if seconds is not None:
        return min(seconds, _MAX_SECONDS)
    if value and value.isascii() and not value.strip("0123456789"):
        return _MAX_SECONDS
    return 0 if attribute in ("max_age", "s_maxage") else None


def make_cache_control(
    value: CacheControl | None = None, **directives: Unpack[CacheDirectives]
) -> str:
    """Format the Cache-Control of a response.

    Args:
        value: The directives; or use keyword arguments.
        directives: The attributes of :class:`CacheControl` that a response may have.

    Raises:
        TypeError: There are both a value and keyword arguments.
        ValueError: The directives cannot be sent, or there is none.

    >>> make_cache_control(max_age=60, private=True)
    'max-age=60, private'
    """
    if value is not None and directives:
        raise TypeError("pass a CacheControl or its attributes, not both")
    text = str(value or CacheControl(**directives))
    if not text:
        raise ValueError("Cache-Control has one directive or more")
    return text


def _format(name: str, value: int | str | tuple[str, ...] | None) -> str:
    if value is None or value is False:
        return ""
    if value is True or value == ():
        return name
    if isinstance(value, int):
        return f"{name}={value}"
    # A list of header names is always quoted (sections 5.2.2.4 and 5.2.2.7).
    text = value if isinstance(value, str) else ", ".join(value)
    return f"{name}={format_quoted_string(text)}"


_ATTRIBUTES = frozenset(attribute.name for attribute in fields(CacheControl))
