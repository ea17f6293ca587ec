"""URLs (:rfc:`3986`): split, checked, compared and changed.

A :class:`URL` is made of parts that were each checked: no text of a path, query or fragment can
become another part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from asgikit.datastructures.query import format_urlencoded, parse_urlencoded
from asgikit.http.grammar import parse_digits, strip_ows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self, Unpack

__all__ = [
    "DEFAULT_PORTS",
    "URL",
    "fill_url",
    "format_host",
    "is_scheme",
    "parse_host",
    "quote_path",
    "quote_query",
    "quote_raw_path",
    "quote_relative_path",
]

# URI           = [ scheme ":" ] [ "//" authority ] path [ "?" query ] [ "#" fragment ]
#
# This splits the text and checks nothing (appendix B), so it matches any text.
_URI = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+):)?+"
    r"(?://(?P<netloc>[^/?#]*+))?+"
    r"(?P<path>[^?#]*+)"
    r"(?:\?(?P<query>[^#]*+))?+"
    r"(?:\#(?P<fragment>.*+))?+",
    re.DOTALL,
)

# scheme        = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+")
is_scheme: Callable[[str], re.Match[str] | None] = _scheme.fullmatch

# authority     = [ userinfo "@" ] host [ ":" port ]
# userinfo      = *( unreserved / pct-encoded / sub-delims / ":" )
_is_userinfo = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]++|%[0-9A-Fa-f]{2})*+").fullmatch

# host          = IP-literal / IPv4address / reg-name
# reg-name      = *( unreserved / pct-encoded / sub-delims )
#
# DNS names have no sub-delims and no escapes, and "_" by custom only. A zone id is valid on one
# machine only, so a URL must not have one (RFC 9844, section 6).
_HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]++)\]|(?P<name>[A-Za-z0-9._~-]++))(?::(?P<port>[0-9]*+))?+"
)

# Characters of a host and a port. A domain name has at most 253, an IPv6 address 45.
_MAX_HOST = 255

# path          = *( pchar / "/" )
# pchar         = unreserved / pct-encoded / sub-delims / ":" / "@"
_PATH_SAFE = "/:@!$&'()*+,;=~"
_NOT_RAW_PATH = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]|%(?![0-9A-Fa-f]{2})")

# Characters that would end a query or break a line: the query percent-encode set of the URL
# Standard (section 1.3). Other visible ASCII stays as the client wrote it.
_NOT_QUERY = re.compile(rb"[^\x21\x24-\x3b\x3d\x3f-\x7e]")

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _Parts(TypedDict, total=False):
    scheme: str
    netloc: str
    hostname: str
    port: int | None
    path: str
    query: str
    fragment: str


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class URL:
    """An absolute URL or a relative reference, in visible ASCII. It is immutable.

    It is equal to a URL or a string with the same text.

    Args:
        url: The text. The scheme and the host are lower-cased, and characters that a path, query
            or fragment cannot have are percent-encoded. Escapes are kept.

    Attributes:
        scheme: In lower case; empty if absent.
        netloc: ``[userinfo@]host[:port]``; empty if absent.
        hostname: In lower case, an IPv6 address without brackets; ``None`` if absent.
        port: The number; ``None`` if ``netloc`` has none.
        path: Percent-encoded.
        query: Percent-encoded, without the ``?``.
        fragment: Percent-encoded, without the ``#``.

    Raises:
        TypeError: ``url`` is not a ``str``.
        ValueError: The scheme, host or port is malformed, or an ``http`` URL has no host.

    >>> url = URL("https://Example.com:8443/a b?q=1")
    >>> url.hostname, url.port, url.path, str(url)
    ('example.com', 8443, '/a%20b', 'https://example.com:8443/a%20b?q=1')
    >>> str(url.replace(scheme="http", port=None, query=""))
    'http://example.com/a%20b'
    """

    scheme: str
    netloc: str
    hostname: str | None
    port: int | None
    path: str
    query: str
    fragment: str

    def __init__(self, url: str) -> None:
        # The regex matches any text from its start to its end.
        self._check(**next(_URI.finditer(_check_text(url, "text"))).groupdict(""))

    def _check(self, scheme: str, netloc: str, path: str, query: str, fragment: str) -> None:
        """Check and escape each part, and set all attributes."""
        if scheme and is_scheme(scheme) is None:
            raise ValueError(f"not a URL's scheme: {scheme!r}")
        scheme = scheme.lower()
        userinfo, at, host = netloc.rpartition("@")
        if _is_userinfo(userinfo) is None:
            raise ValueError("not a URL's userinfo: percent-encode it")
        hostname, port = None, None
        if host or at:
            hostname, port = _check_host(host)
            netloc = userinfo + at + format_host(hostname, port)
            if path and not path.startswith("/"):
                raise ValueError(f"a URL's path after a host starts with a slash, not {path!r}")
        elif scheme in DEFAULT_PORTS:
            # An http URL with an empty host is invalid (RFC 9110, section 4.2.1), and browsers
            # read the start of its path as a host.
            raise ValueError(f"no host, which every {scheme} URL has")
        path = quote(path, safe=_PATH_SAFE + "%")
        fill_url(
            self,
            scheme,
            netloc,
            (hostname, port),
            path if netloc else quote_relative_path(path, scheme),
            quote_query(query.encode()),
            quote_query(fragment.encode()),
        )

    def replace(self, **parts: Unpack[_Parts]) -> Self:
        """Return a URL with other parts, which are checked as in the constructor.

        ``hostname`` and ``port`` replace those parts of ``netloc``. ``port=None`` removes the
        port, and an empty string removes any other part.

        Raises:
            TypeError: A URL has no such part, or its type is wrong.
            ValueError: A part is malformed, or the parts together are not a URL.

        >>> str(URL("http://a.example/x?y").replace(path="/b?c", query=""))
        'http://a.example/b%3Fc'
        """
        unknown = parts.keys() - _Parts.__annotations__.keys()
        if unknown:
            raise TypeError(f"a URL has no {', '.join(sorted(unknown))}")
        given: dict[str, Any] = dict(parts)
        netloc = given.pop("netloc", self.netloc)
        if "hostname" in given or "port" in given:
            netloc = _replace_host(netloc, given)
        names = ("scheme", "path", "query", "fragment")
        texts = {name: _check_text(given.get(name, getattr(self, name)), name) for name in names}
        url = type(self).__new__(type(self))
        url._check(netloc=_check_text(netloc, "netloc"), **texts)
        return url

    def include_query_params(self, /, **params: object) -> Self:
        """Return a URL whose query has ``params``, in place of fields of the same names.

        They are written behind the other fields, which are kept as they are. Values are converted
        by ``str()``.

        >>> str(URL("/teas?q=a+b&page=1").include_query_params(page=2))
        '/teas?q=a+b&page=2'
        """
        return self._with_fields([*_other_fields(self.query, params), _format_params(params)])

    def replace_query_params(self, /, **params: object) -> Self:
        """Return a URL whose query has ``params`` only. Values are converted by ``str()``.

        >>> str(URL("/teas?page=1").replace_query_params(q="a b"))
        '/teas?q=a+b'
        """
        return self._with_fields([_format_params(params)])

    def remove_query_params(self, names: str | Iterable[str]) -> Self:
        """Return a URL whose query has no fields of this name or these names.

        >>> str(URL("/teas?page=1&q=a+b").remove_query_params("page"))
        '/teas?q=a+b'
        """
        removed = {names} if isinstance(names, str) else {*names}
        return self._with_fields(_other_fields(self.query, removed))

    def _with_fields(self, fields: Iterable[str]) -> Self:
        return self.replace(query="&".join(filter(None, fields)))

    def __str__(self) -> str:
        scheme = f"{self.scheme}:" if self.scheme else ""
        netloc = f"//{self.netloc}" if self.netloc else ""
        query = f"?{self.query}" if self.query else ""
        fragment = f"#{self.fragment}" if self.fragment else ""
        return f"{scheme}{netloc}{self.path}{query}{fragment}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, URL | str):
            return str(self) == str(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        # The userinfo may have a password, which must not be logged.
        text = str(self)
        userinfo, at, _ = self.netloc.rpartition("@")
        return f"URL({text.replace(userinfo + at, '[...]@', 1) if at else text!r})"


def _other_fields(query: str, names: Iterable[object]) -> list[str]:
    """Return the fields of a query whose names are not in ``names``, as they are written."""
    return [
        field
        for field in query.split("&")
        if field and parse_urlencoded(field.encode(), max_fields=None)[0][0] not in names
    ]


def _format_params(params: dict[str, object]) -> str:
    return format_urlencoded([(name, str(value)) for name, value in params.items()])


def fill_url(
    url: URL,
    scheme: str,
    netloc: str,
    address: tuple[str | None, int | None],
    path: str,
    query: str,
    fragment: str = "",
) -> None:
    """Set the attributes of a new URL to parts that were checked and escaped."""
    values = (scheme, netloc, *address, path, query, fragment)
    for name, value in zip(URL.__slots__, values, strict=True):
        object.__setattr__(url, name, value)


def parse_host(value: bytes) -> tuple[str, int | None] | None:
    """Parse a Host header (:rfc:`9110`, section 7.2).

    Returns:
        The host in lower case, without the brackets of an IPv6 address, and the port or ``None``;
        ``None`` if the header is malformed.

    >>> parse_host(b"[::1]:8000"), parse_host(b"Example.com"), parse_host(b"a/b")
    (('::1', 8000), ('example.com', None), None)
    """
    return _parse_host(strip_ows(value.decode("latin-1")))


def _parse_host(text: str) -> tuple[str, int | None] | None:
    match = _HOST.fullmatch(text) if len(text) <= _MAX_HOST else None
    if match is None:
        return None
    name, ipv6, digits = match.group("name", "ipv6", "port")
    # A ":" without a port is valid and means no port (RFC 3986, section 3.2.3).
    port = parse_digits(digits, most=5) if digits else None
    if digits and (port is None or port > 65535):
        return None
    if ipv6 is not None:
        try:
            IPv6Address(ipv6)
        except AddressValueError:
            return None
    return (ipv6 or name).lower(), port


def format_host(hostname: str, port: int | None) -> str:
    """Return ``hostname[:port]``, with brackets around an IPv6 address."""
    host = f"[{hostname}]" if ":" in hostname else hostname
    return host if port is None else f"{host}:{port}"


def quote_path(path: str) -> str:
    """Percent-encode a decoded path. If it does not start with a slash, one is added.

    >>> quote_path("/100%/ż"), quote_path("@evil.example"), quote_path("")
    ('/100%25/%C5%BC', '/@evil.example', '')
    """
    # A path must not raise: a lone surrogate, which UTF-8 cannot encode, is decoded as U+FFFD.
    quoted = quote(path, safe=_PATH_SAFE, errors="surrogatepass")
    # A path after a host is empty or starts with a slash (section 3.3). Without one,
    # "@evil.example" would become the host.
    return quoted if not quoted or quoted.startswith("/") else "/" + quoted


def quote_raw_path(path: bytes) -> str:
    r"""Percent-encode the bytes of a path that a URL cannot have, and keep its escapes.

    >>> quote_raw_path(b"/a%2Fb/100%/caf\xe9")
    '/a%2Fb/100%25/caf%E9'
    """
    return _NOT_RAW_PATH.sub(_escape, path).decode("ascii")


def quote_relative_path(path: str, scheme: str) -> str:
    """Escape the characters that would start an authority or a scheme (section 4.2)."""
    if path.startswith("//"):
        return "/%2F" + path[2:]
    if scheme:
        return path
    segment, slash, rest = path.partition("/")
    return segment.replace(":", "%3A") + slash + rest


def quote_query(query: bytes) -> str:
    """Percent-encode the bytes that a query or a fragment cannot have, and keep its escapes."""
    return _NOT_QUERY.sub(_escape, query).decode("ascii")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match.group()[0]


def _check_host(text: str) -> tuple[str, int | None]:
    address = _parse_host(text)
    if address is None:
        raise ValueError(f"not a URL's host: {text!r}; IDNA-encode one outside ASCII")
    return address


def _replace_host(netloc: str, given: dict[str, Any]) -> str:
    userinfo, at, host = netloc.rpartition("@")
    hostname, port = _parse_host(host) or ("", None)
    hostname = _check_text(given.get("hostname", hostname), "hostname")
    port = given.get("port", port)
    if port is not None and (type(port) is not int or not 0 <= port <= 65535):
        raise ValueError(f"not a URL's port: {port!r}")
    # It is checked alone, since in a netloc "a@b" would be a user and a host.
    _check_host(format_host(hostname, None))
    return userinfo + at + format_host(hostname, port)


def _check_text(value: Any, part: str) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"a URL's {part} is str, not {type(value).__name__}: {value!r}")
