"""Cookies (RFC 6265bis): parse Cookie, format Set-Cookie."""

from __future__ import annotations

import operator
import re
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from asgikit.exceptions import HTTPError
from asgikit.http.grammar import OWS, is_token

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SameSite", "format_set_cookie", "parse_cookies"]

SameSite: TypeAlias = Literal["lax", "strict", "none"]

# A user agent keeps at least 50 cookies for a domain (section 6.1). Browsers keep up to 180.
MAX_COOKIES = 500
# Bytes. User agents ignore a cookie with a longer name and value (section 5.6).
MAX_SET_COOKIE_SIZE = 4096

# cookie-octet  = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
#               ; US-ASCII characters excluding CTLs, whitespace, DQUOTE, comma, semicolon,
#               ; and backslash
_is_cookie_octets = re.compile(r"[!#-+\x2d-:<-\[\]-~]*+").fullmatch

# A quoted value may have the escapes that Python's http.cookies writes: a byte in octal, or a
# character after a backslash.
_is_quoted = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL).fullmatch
_ESCAPE = re.compile(rb"\\(?:[0-3][0-7][0-7]|.)", re.DOTALL)

# User agents ignore a cookie with one of these characters (section 5.6). HTAB is allowed.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# These characters are dangerous in the value of any header (RFC 9110, section 5.5).
_is_dangerous = re.compile(r"[\0\r\n]").search

# path-value    = *av-octet
# av-octet      = %x20-3A / %x3C-7E                     ; any CHAR except CTLs or ";"
#
# User agents ignore a path that does not begin with "/" (section 5.6.4) or has over 1024
# characters. A space is excluded, because it never equals the "%20" in the path of a request.
_is_path = re.compile(r"/[!-:<-~]{0,1023}+").fullmatch
# domain-value  = <subdomain>                           ; a host name; underscores are in use
_is_domain = re.compile(r"[0-9A-Za-z._-]{1,255}+").fullmatch


def parse_cookies(fields: Iterable[bytes]) -> dict[str, str]:
    r"""Parse the cookies of a request (section 4.2.1).

    Only ``;`` separates cookies, and only SP and HTAB around a name or a value are trimmed. Other
    rules would let one cookie pass for another. Text is UTF-8; if it is invalid, ISO-8859-1. The
    DQUOTEs of a quoted value are removed and its escapes ``\ooo`` and ``\x`` replaced, unless the
    result would have a control character.

    Args:
        fields: The values of the Cookie headers. HTTP/2 clients send several (:rfc:`9113`, section
            8.2.3).

    Returns:
        Values by name. The first of two cookies with the same name is kept. Cookies without a name,
        and those with NUL, CR or LF, are left out.

    Raises:
        HTTPError: 431, if there are more than 500 cookies.

    >>> parse_cookies([b'theme=dark; name="J\\303\\274rgen"', b"theme=light"])
    {'theme': 'dark', 'name': 'Jürgen'}
    """
    text = b"; ".join(fields).decode("latin-1")
    pairs = text.split(";")
    if len(pairs) > MAX_COOKIES:
        pairs = [pair for pair in pairs if "=" in pair]
        if len(pairs) > MAX_COOKIES:
            raise HTTPError(431, f"More than {MAX_COOKIES} cookies.")
    is_plain = (
        text.isascii()
        and '"' not in text
        and "\0" not in text
        and "\r" not in text
        and "\n" not in text
    )
    if not is_plain:
        pairs = [_decode(pair.encode("latin-1")) for pair in pairs if not _is_dangerous(pair)]
    cookies: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip(OWS)
        # A pair without "=" is a value without a name (section 5.6). Taken as a name, it could pass
        # for a cookie that only the server may set.
        if name and equals and name not in cookies:
            cookies[name] = value.strip(OWS)
    return cookies if is_plain else {name: _unquote(value) for name, value in cookies.items()}


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unquote(value: str) -> str:
    match = _is_quoted(value)
    if match is None:
        return value
    text = match[1]
    if "\\" in text:
        octets = _octets_by_escape()
        text = _decode(_ESCAPE.sub(lambda match: octets[match[0]], text.encode()))
        if _CONTROL.search(text) is not None:
            return value
    return text


# Created on first use, because few values have escapes.
@cache
def _octets_by_escape() -> dict[bytes, bytes]:
    return {
        escape: bytes((octet,))
        for octet in range(256)
        for escape in (b"\\%03o" % octet, bytes((0x5C, octet)))
    }


@cache
def _escapes() -> list[str]:
    """Return the text for each octet: the character if a cookie may hold it, else an escape."""
    return [
        chr(octet) if _is_cookie_octets(chr(octet)) is not None else f"\\{octet:03o}"
        for octet in range(256)
    ]


def format_set_cookie(
    key: str,
    value: str = "",
    max_age: int | None = None,
    expires: datetime | str | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,  # noqa: FBT001 - frameworks agree on this order
    httponly: bool = False,  # noqa: FBT001 - as above
    samesite: SameSite | None = "lax",
    partitioned: bool = False,  # noqa: FBT001 - as above
) -> bytes:
    r"""Format the value of Set-Cookie (section 4.1).

    If the value has characters that are no cookie-octets, it is quoted and their UTF-8 bytes are
    written as ``\ooo``. :func:`parse_cookies` returns the original value.

    Args:
        key: The name, a token.
        value: The value.
        max_age: Seconds; zero or less deletes the cookie.
        expires: An aware datetime, or an HTTP date.
        path: The path that the cookie is sent to, with the paths below it; ``None`` for the folder
            of the request.
        domain: The host that the cookie is sent to, with its subdomains; ``None`` for the host of
            the request alone.
        secure: Whether it is sent over secure connections alone.
        httponly: Whether it is hidden from scripts.
        samesite: ``"lax"``, ``"strict"`` or ``"none"``, in any case; ``None`` leaves the attribute
            out.
        partitioned: Whether the user agent keeps one cookie for each top-level site.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument cannot be sent, or user agents would ignore it or the cookie; or the
            result is longer than 4096 bytes.

    >>> format_set_cookie("theme", "dark", max_age=3600)
    b'theme=dark; Path=/; Max-Age=3600; SameSite=Lax'
    """
    attributes = _format_attributes(
        key, max_age, path, domain, secure, httponly, samesite, partitioned
    )
    if not isinstance(value, str):
        raise TypeError(f"a cookie's value is str, not {type(value).__name__}")
    if _is_cookie_octets(value) is None:
        value = _quote(value)
    if expires is not None:
        attributes = f"{attributes}; Expires={_format_expires(expires)}"
    field = f"{key}={value}{attributes}".encode("ascii")
    if len(field) > MAX_SET_COOKIE_SIZE:
        raise ValueError(
            f"a cookie holds {MAX_SET_COOKIE_SIZE} bytes with its attributes, and {key!r} would "
            f"take {len(field)}: keep the data on the server, and its key in the cookie"
        )
    return field


def _quote(value: str) -> str:
    control = _CONTROL.search(value)
    if control is not None:
        raise ValueError(f"a cookie's value cannot hold the control character {control[0]!r}")
    try:
        octets = value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a cookie's value is UTF-8, which cannot hold {value!r}") from error
    escapes = _escapes()
    return '"' + "".join([escapes[octet] for octet in octets]) + '"'


def _format_expires(expires: object) -> str:
    from asgikit.http.dates import format_http_date, parse_http_date

    if not isinstance(expires, datetime | str):
        raise TypeError(f"expires is a datetime or an HTTP date, not {type(expires).__name__}")
    date = expires if isinstance(expires, datetime) else parse_http_date(expires)
    if date is None:
        raise ValueError(
            f"not an HTTP date: {expires!r}; write it as 'Sun, 06 Nov 1994 08:49:37 GMT', or give "
            "a datetime"
        )
    if date.year < 1601:
        # User agents ignore an earlier date, and keep the cookie for the session (section 5.1.1).
        raise ValueError(f"expires has a year from 1601 on, not {date.year}")
    return format_http_date(date)


# The arguments come from the app, so that there are few combinations of them.
@lru_cache(maxsize=256, typed=True)
def _format_attributes(
    key: str,
    max_age: int | None,
    path: str | None,
    domain: str | None,
    secure: bool,  # noqa: FBT001 - as above
    httponly: bool,  # noqa: FBT001 - as above
    samesite: SameSite | None,
    partitioned: bool,  # noqa: FBT001 - as above
) -> str:
    for text in (key, path, domain, samesite):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"a cookie's name, path, domain and samesite are str, not {text!r}")
    if not is_token(key):
        raise ValueError(
            f"not a cookie's name: {key!r}; it is made of letters, digits and !#$%&'*+-.^_`|~"
        )
    attributes = "".join(
        (
            _format_path(path) if path else "",
            _format_domain(domain) if domain else "",
            "" if max_age is None else f"; Max-Age={operator.index(max_age)}",
            "; Secure" if secure else "",
            "; HttpOnly" if httponly else "",
            "" if samesite is None else _format_same_site(samesite, secure=secure),
            "; Partitioned" if partitioned else "",
        )
    )
    if partitioned and not secure:
        raise ValueError("partitioned=True needs secure=True")
    # User agents refuse a cookie that lacks the attributes of its prefix, whose case does not
    # matter (section 4.1.3). The prefix "__Http-" is newer than that text.
    prefix = key.lower()
    if prefix.startswith(("__secure-", "__host-", "__http-")) and not secure:
        raise ValueError(f"a cookie named {key!r} needs secure=True")
    if prefix.startswith("__host-") and (path != "/" or domain):
        raise ValueError(f"a cookie named {key!r} needs path='/' and no domain")
    if prefix.startswith(("__http-", "__host-http-")) and not httponly:
        raise ValueError(f"a cookie named {key!r} needs httponly=True")
    return attributes


def _format_path(path: str) -> str:
    if _is_path(path) is None:
        raise ValueError(
            f"not a cookie's path: {path!r}; it starts with '/', has at most 1024 characters, and "
            "percent-encodes ';' and each character that is not visible ASCII"
        )
    return f"; Path={path}"


def _format_domain(domain: str) -> str:
    # A leading dot is ignored (section 5.6.3).
    host = domain.removeprefix(".")
    if _is_domain(host) is None:
        raise ValueError(
            f"not a cookie's domain: {domain!r}; it is a host name without scheme and port, an "
            "international one in its ASCII form (xn--...)"
        )
    return f"; Domain={host}"


def _format_same_site(samesite: str, *, secure: bool) -> str:
    value = samesite.capitalize()
    # The capital of a letter from another script may be an ASCII "S".
    if not samesite.isascii() or value not in {"Lax", "Strict", "None"}:
        raise ValueError(f"samesite is 'lax', 'strict', 'none' or None, not {samesite!r}")
    if value == "None" and not secure:
        raise ValueError("samesite='none' needs secure=True")
    return f"; SameSite={value}"
