"""How long to keep what, and who may: Cache-Control (:rfc:`9111`, section 5.2)."""

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

# A number beyond this one is read as this one (section 1.2.2).
_FOREVER = 2**31

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
    """A Cache-Control field; ``str()`` writes it, and :func:`parse_cache_control` reads that.

    Attributes:
        max_age: seconds that a response is fresh, or may be old to be of use.
        s_maxage: the same for caches that are shared.
        max_stale: seconds past that a client will still take it; :obj:`True` for any.
        min_fresh: seconds that a client wants it to stay fresh.
        stale_while_revalidate: seconds past that to use it while asking for another
            (:rfc:`5861`).
        stale_if_error: seconds past that to use it where none can be had (:rfc:`5861`).
        no_cache: ask the origin before each use; or only before these fields are used.
        private: keep it out of shared caches; or only these fields.
        no_store: keep it nowhere.
        no_transform: pass the content on as it is.
        only_if_cached: give what is stored, or a 504.
        must_revalidate: never use it once it is stale.
        proxy_revalidate: the same for caches that are shared.
        must_understand: keep it only by the rules of its status.
        public: keep it, whatever else would forbid it.
        immutable: do not ask for it again while it is fresh (:rfc:`8246`).
        extensions: other directives, by lower-case name.

    Raises:
        ValueError: it could not be sent, or is to be both public and private.

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
    """The attributes of :class:`CacheControl`, as arguments."""

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
    """Read Cache-Control, of a request or of a response (section 5.2).

    Of two values of one directive the first counts. Seconds that are no number are 0 where that
    makes a response stale (section 4.2.1); what else is malformed counts for nothing.

    Args:
        text: the field, repeated ones joined by ``", "``.

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
            read = _read(attribute, value)
            if read is not None:
                known[attribute] = read
    if known.get("public") and known.get("private") is True:
        # Of directives that conflict, the one that restricts more is obeyed (section 4.2.1).
        del known["public"]
    return CacheControl(**known, extensions=tuple(extensions.items()))


def _read(attribute: str, value: str | None) -> int | bool | tuple[str, ...] | None:
    if attribute in _FLAGS:
        return True
    if attribute in ("no_cache", "private"):
        names = tuple(name.lower() for name in split_list(value or "") if is_token(name))
        # An empty list restricts nothing, and so it is taken for the whole.
        return names or True
    if attribute == "max_stale" and value is None:
        return True
    seconds = parse_digits(value or "", most=10)
    if seconds is not None:
        return min(seconds, _FOREVER)
    if value and value.isascii() and not value.strip("0123456789"):
        return _FOREVER
    return 0 if attribute in ("max_age", "s_maxage") else None


def make_cache_control(
    value: CacheControl | None = None, **directives: Unpack[CacheDirectives]
) -> str:
    """Write the Cache-Control of a response, from a value or from its attributes.

    Raises:
        TypeError: both are given.
        ValueError: it could not be sent, or says nothing.

    >>> make_cache_control(max_age=60, private=True)
    'max-age=60, private'
    """
    if value is not None and directives:
        raise TypeError("give a CacheControl, or its attributes")
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
    # A list of fields is always quoted (sections 5.2.2.4 and 5.2.2.7).
    text = value if isinstance(value, str) else ", ".join(value)
    return f"{name}={format_quoted_string(text)}"


_ATTRIBUTES = frozenset(attribute.name for attribute in fields(CacheControl))
