"""Cookies (RFC 6265bis): ``Cookie`` in, ``Set-Cookie`` out."""

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

# A user agent keeps at least 50 for a domain (section 6.1), and browsers not more than 180.
MAX_COOKIES = 500
# User agents ignore a cookie whose name and value are longer (section 5.6).
MAX_SET_COOKIE_SIZE = 4096

# cookie-octet  = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
#               ; US-ASCII characters excluding CTLs, whitespace, DQUOTE, comma, semicolon,
#               ; and backslash
_is_cookie_octets = re.compile(r"[!#-+\x2d-:<-\[\]-~]*+").fullmatch

# What stands between DQUOTEs may have escapes, as Python's standard library writes them: a byte in
# octal, or a character as it is.
_is_quoted = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL).fullmatch
_ESCAPE = re.compile(rb"\\(?:[0-3][0-7][0-7]|.)", re.DOTALL)

# A user agent ignores a cookie with one of these (section 5.6); HTAB is let pass.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# These three are dangerous in any field value (RFC 9110, section 5.5).
_is_dangerous = re.compile(r"[\0\r\n]").search

# path-value    = *av-octet, from its "/" on: one without is ignored (section 5.6.4).
# av-octet      = %x20-3A / %x3C-7E                     ; any CHAR except CTLs or ";"
#
# Nor is a longer one kept, and a blank never equals the "%20" of a request's path.
_is_path = re.compile(r"/[!-:<-~]{0,1023}+").fullmatch
# domain-value  = <subdomain>, as a host name is written; some have an underscore.
_is_domain = re.compile(r"[0-9A-Za-z._-]{1,255}+").fullmatch


def parse_cookies(fields: Iterable[bytes]) -> dict[str, str]:
    r"""Read the cookies of a request (section 4.2.1).

    Only ``;`` separates cookies, and only SP and HTAB around a name or a value are trimmed, so that
    no cookie can pose as another one. Text is UTF-8, else ISO-8859-1. A value in DQUOTEs loses
    them, and its ``\ooo`` and ``\x`` are undone, unless a control character would appear.

    Args:
        fields: the ``Cookie`` fields' values; HTTP/2 clients send several (:rfc:`9113`, section
            8.2.3).

    Returns:
        Values by name: the first of two cookies of the same name. One without a name is left out,
        and one that holds NUL, CR or LF.

    Raises:
        HTTPError: 431, there are more than 500.

    >>> parse_cookies([b'theme=dark; name="J\\303\\274rgen"', b"theme=light"])
    {'theme': 'dark', 'name': 'Jürgen'}
    """
    text = b"; ".join(fields).decode("latin-1")
    pairs = text.split(";")
    if len(pairs) > MAX_COOKIES:
        pairs = [pair for pair in pairs if "=" in pair]
        if len(pairs) > MAX_COOKIES:
            raise HTTPError(431, f"More than {MAX_COOKIES} cookies.")
    # Each `in` takes 20 ns for text, and 140 ns for bytes.
    plain = (
        text.isascii()
        and '"' not in text
        and "\0" not in text
        and "\r" not in text
        and "\n" not in text
    )
    if not plain:
        pairs = [_decode(pair.encode("latin-1")) for pair in pairs if not _is_dangerous(pair)]
    cookies: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip(OWS)
        # A pair without "=" is a value without a name (section 5.6): as a key it could pose as
        # a cookie that only the server may set.
        if name and equals and name not in cookies:
            cookies[name] = value.strip(OWS)
    return cookies if plain else {name: _unquote(value) for name, value in cookies.items()}


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


# Few values have escapes, and these two take 75 KiB.
@cache
def _octets_by_escape() -> dict[bytes, bytes]:
    return {
        escape: bytes((octet,))
        for octet in range(256)
        for escape in (b"\\%03o" % octet, bytes((0x5C, octet)))
    }


@cache
def _escapes() -> list[str]:
    """Give what is written for each octet: itself where it may stand in a cookie."""
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
    r"""Write a ``Set-Cookie`` field value (section 4.1).

    A value with anything but cookie-octets is written in DQUOTEs, with the others' UTF-8 bytes as
    ``\ooo``: :func:`parse_cookies` gives it back as it was.

    Args:
        key: the cookie's name, a token.
        value: its value.
        max_age: in seconds; zero or less deletes the cookie.
        expires: an aware datetime, or an HTTP date.
        path: where the cookie is sent: there and below; :obj:`None` for the folder of the request.
        domain: the host it is sent to, with all below it; :obj:`None` for this host alone.
        secure: send it over a secure connection only.
        httponly: hide it from scripts.
        samesite: ``"lax"``, ``"strict"`` or ``"none"``, in any case; :obj:`None` leaves it to the
            user agent.
        partitioned: keep it apart for each top-level site.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an argument that cannot be written, would be ignored by user agents, or would
            make them ignore the cookie; or more than 4096 bytes in all.

    >>> format_set_cookie("theme", "dark", max_age=3600)
    b'theme=dark; Path=/; Max-Age=3600; SameSite=Lax'
    """
    attributes = _format_attributes(
        key, max_age, path, domain, secure, httponly, samesite, partitioned
    )
    if not isinstance(value, str):
        raise TypeError(f"a cookie's value is str, not {type(value).__name__}")
    # Most values are letters and digits, which is told without a regex in a third of the time.
    if not (value.isalnum() and value.isascii()) and _is_cookie_octets(value) is None:
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
        # A user agent ignores it, and keeps the cookie for the session (section 5.1.1).
        raise ValueError(f"expires has a year from 1601 on, not {date.year}")
    return format_http_date(date)


# These arguments are the application's, and few: checked and written once, 0.2 us from then on.
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
    # What a name promises by its prefix, in any case, a user agent holds the cookie to (section
    # 4.1.3). "__Http-" is younger than that text; browsers that know it refuse the cookie.
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
            "all but visible ASCII, and ';', is percent-encoded"
        )
    return f"; Path={path}"


def _format_domain(domain: str) -> str:
    # A leading dot is ignored (section 5.6.3).
    host = domain.removeprefix(".")
    if _is_domain(host) is None:
        raise ValueError(
            f"not a cookie's domain: {domain!r}; it is a host name alone, an international one in "
            "its ASCII form (xn--...)"
        )
    return f"; Domain={host}"


def _format_same_site(samesite: str, *, secure: bool) -> str:
    value = samesite.capitalize()
    # A letter of another script may have an "S" for its capital.
    if not samesite.isascii() or value not in {"Lax", "Strict", "None"}:
        raise ValueError(f"samesite is 'lax', 'strict', 'none' or None, not {samesite!r}")
    if value == "None" and not secure:
        raise ValueError("samesite='none' needs secure=True")
    return f"; SameSite={value}"
