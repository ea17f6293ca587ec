"""URLs (:rfc:`3986`), and the one a request was made to (:rfc:`9110`, section 7.1).

A request's URL is made of parts that were each checked: whatever Host, path or query a client
sends, none of them can become another part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, unquote

from asgikit.datastructures.address import parse_address
from asgikit.http.grammar import parse_digits, strip_ows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self, Unpack

__all__ = ["URL", "base_url", "quote_path", "request_host", "request_url"]

# URI           = [ scheme ":" ] [ "//" authority ] path [ "?" query ] [ "#" fragment ]
#
# This splits and checks nothing (appendix B), so it takes any text.
_URI = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+):)?+"
    r"(?://(?P<netloc>[^/?#]*+))?+"
    r"(?P<path>[^?#]*+)"
    r"(?:\?(?P<query>[^#]*+))?+"
    r"(?:\#(?P<fragment>.*+))?+",
    re.DOTALL,
)

# scheme        = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+").fullmatch

# authority     = [ userinfo "@" ] host [ ":" port ]
# userinfo      = *( unreserved / pct-encoded / sub-delims / ":" )
_is_userinfo = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]++|%[0-9A-Fa-f]{2})*+").fullmatch

# host          = IP-literal / IPv4address / reg-name
# reg-name      = *( unreserved / pct-encoded / sub-delims )
#
# A name that DNS knows has no sub-delims and no escapes, and "_" only by custom. A zone id
# means something to one machine alone, so it has no place in a URL (RFC 9844, section 6).
_HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]++)\]|(?P<name>[A-Za-z0-9._~-]++))(?::(?P<port>[0-9]*+))?+"
)

# A domain name has at most 253 characters, an IPv6 address 45; with a port, this is enough.
_MAX_HOST = 255

# path          = *( pchar / "/" )
# pchar         = unreserved / pct-encoded / sub-delims / ":" / "@"
_PATH_SAFE = "/:@!$&'()*+,;=~"
_is_raw_path = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]++|%[0-9A-Fa-f]{2})*+").fullmatch

# What a query must not hold lest it end early or break a line: the query percent-encode set of
# the URL Standard (section 1.3). The rest of visible ASCII stays as the client wrote it.
_NOT_QUERY = re.compile(rb"[^\x21\x24-\x3b\x3d\x3f-\x7e]")

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


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
    """An absolute URL or a relative reference, in visible ASCII; it never changes.

    It equals another one, or a string, with the same text.

    Args:
        url: the text. Scheme and host become lower-case, and what a path, query or fragment
            cannot hold is percent-encoded; escapes are left as they are.

    Attributes:
        scheme: in lower case; empty where there is none.
        netloc: ``[userinfo@]host[:port]``; empty where there is none.
        hostname: in lower case, an IPv6 address without its brackets; or :obj:`None`.
        port: the number, where ``netloc`` says one.
        path: percent-encoded.
        query: percent-encoded, without the ``?``.
        fragment: percent-encoded, without the ``#``.

    Raises:
        TypeError: it is no text.
        ValueError: scheme, host or port are malformed, or an ``http`` URL has no host.

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
        # The first match takes the text whole, as there is none it does not fit.
        self._fill(**next(_URI.finditer(_text(url, "text"))).groupdict(""))

    def _fill(self, scheme: str, netloc: str, path: str, query: str, fragment: str) -> None:
        """Check each part as the app gave it, and set all."""
        if scheme and _is_scheme(scheme) is None:
            raise ValueError(f"not a URL's scheme: {scheme!r}")
        scheme = scheme.lower()
        userinfo, at, host = netloc.rpartition("@")
        if _is_userinfo(userinfo) is None:
            raise ValueError("not a URL's userinfo: percent-encode it")
        hostname, port = None, None
        if host or at:
            hostname, port = _read_host(host)
            netloc = userinfo + at + _format_host(hostname, port)
            if path and not path.startswith("/"):
                raise ValueError(f"a URL's path after a host starts with a slash, not {path!r}")
        elif scheme in _DEFAULT_PORTS:
            # An http URL with an empty host is invalid (RFC 9110, section 4.2.1), and browsers
            # take the start of its path for one.
            raise ValueError(f"no host, which every {scheme} URL has")
        path = quote(path, safe=_PATH_SAFE + "%")
        _set(
            self,
            scheme,
            netloc,
            (hostname, port),
            path if netloc else _relative(path, scheme),
            _quote_query(query.encode()),
            _quote_query(fragment.encode()),
        )

    def replace(self, **parts: Unpack[_Parts]) -> Self:
        """Give a URL with other ``parts``, each checked as the whole of a URL is.

        ``hostname`` and ``port`` stand for those parts of ``netloc``; ``port=None`` drops the
        port, an empty string any other part.

        Raises:
            TypeError: no such part, or one of a wrong type.
            ValueError: a part is malformed, or the parts do not make a URL together.

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
        texts = {name: _text(given.get(name, getattr(self, name)), name) for name in names}
        url = type(self).__new__(type(self))
        url._fill(netloc=_text(netloc, "netloc"), **texts)
        return url

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
        # What stands before the "@" may be a password, which a log must not get.
        text = str(self)
        userinfo, at, _ = self.netloc.rpartition("@")
        return f"URL({text.replace(userinfo + at, '[...]@', 1) if at else text!r})"


def request_url(scope: Mapping[str, Any]) -> URL:
    """Give the URL a request was made to; it never raises, whatever the client sent.

    The authority is the Host field, or ``scope["server"]`` where that is absent, doubled or
    malformed. Where the server has no address either (a unix socket), the URL is relative and
    has no scheme, as browsers would take the path after an empty host for one.

    >>> str(request_url({"path": "/a b", "headers": [(b"host", b"example.com")]}))
    'http://example.com/a%20b'
    """
    return _build(scope, _request_path(scope), _quote_query(scope.get("query_string") or b""))


def base_url(scope: Mapping[str, Any]) -> URL:
    """Give the URL of the app's root: scheme, authority and ``root_path``, then a slash.

    >>> str(base_url({"root_path": "/v1", "headers": [(b"host", b"example.com")]}))
    'http://example.com/v1/'
    """
    path = quote_path(scope.get("root_path") or "")
    return _build(scope, path if path.endswith("/") else path + "/", "")


def request_host(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Give the Host field in lower case; :obj:`None` where it is absent, doubled or malformed.

    >>> request_host([(b"host", b"Example.com:80")])
    'example.com:80'
    """
    address = _host_field(headers)
    return None if address is None else _format_host(*address)


def parse_host(value: bytes) -> tuple[str, int | None] | None:
    """Read a Host field (:rfc:`9110`, section 7.2).

    Returns:
        The host in lower case, without the brackets of an IPv6 address, and the port where one
        is given; or :obj:`None` where the field is malformed.

    >>> parse_host(b"[::1]:8000"), parse_host(b"Example.com"), parse_host(b"a/b")
    (('::1', 8000), ('example.com', None), None)
    """
    return _parse_host(strip_ows(value.decode("latin-1")))


def _parse_host(text: str) -> tuple[str, int | None] | None:
    match = _HOST.fullmatch(text) if len(text) <= _MAX_HOST else None
    if match is None:
        return None
    name, ipv6, digits = match.group("name", "ipv6", "port")
    # A ":" that no port follows is allowed, and means nothing (section 3.2.3).
    port = parse_digits(digits, most=5) if digits else None
    if digits and (port is None or port > 65535):
        return None
    if ipv6 is not None:
        try:
            IPv6Address(ipv6)
        except AddressValueError:
            return None
    return (ipv6 or name).lower(), port


def _format_host(hostname: str, port: int | None) -> str:
    host = f"[{hostname}]" if ":" in hostname else hostname
    return host if port is None else f"{host}:{port}"


def _host_field(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int | None] | None:
    values = [value for name, value in headers if name.lower() == b"host"]
    # More than one is to be refused (RFC 9112, section 3.2), were it only up to us.
    return parse_host(values[0]) if len(values) == 1 else None


def _build(scope: Mapping[str, Any], path: str, query: str) -> URL:
    scheme = scope.get("scheme")
    if not isinstance(scheme, str) or _is_scheme(scheme) is None:
        scheme = "ws" if scope.get("type") == "websocket" else "http"
    scheme = scheme.lower()
    address = _host_field(scope.get("headers") or ()) or _server(scope, scheme)
    url = URL.__new__(URL)
    if address is None:
        _set(url, "", "", (None, None), _relative(path, ""), query)
    else:
        _set(url, scheme, _format_host(*address), address, path, query)
    return url


def _set(
    url: URL,
    scheme: str,
    netloc: str,
    address: tuple[str | None, int | None],
    path: str,
    query: str,
    fragment: str = "",
) -> None:
    values = (scheme, netloc, *address, path, query, fragment)
    for name, value in zip(URL.__slots__, values, strict=True):
        object.__setattr__(url, name, value)


def _server(scope: Mapping[str, Any], scheme: str) -> tuple[str, int | None] | None:
    address = parse_address(scope.get("server"))
    if address is None:
        return None
    host, port = address
    # The path of a unix socket is none of a host's names, and is refused with all other nonsense.
    read = _parse_host(f"[{host}]" if ":" in host else host)
    return None if read is None else (read[0], None if port == _DEFAULT_PORTS.get(scheme) else port)


def _request_path(scope: Mapping[str, Any]) -> str:
    path = scope.get("path", "")
    raw_path = scope.get("raw_path")
    # What the client wrote says more than what it decodes to ("/a%2Fb"); but some hosts change
    # one and not the other, and some servers hand on what no URL can hold.
    if isinstance(raw_path, bytes) and _is_raw_path(raw_path) is not None:
        text = raw_path.decode("ascii")
        if (unquote(text) if "%" in text else text) == path:
            return text
    # The asterisk of OPTIONS stands for no path at all (RFC 9112, section 3.3).
    return "" if path == "*" else quote_path(path)


def quote_path(path: str) -> str:
    """Percent-encode a decoded path; one that does not start with a slash gets it.

    >>> quote_path("/100%/ż"), quote_path("@evil.example"), quote_path("")
    ('/100%25/%C5%BC', '/@evil.example', '')
    """
    # "surrogatepass", as no path may raise: a lone surrogate is no UTF-8, and reads as U+FFFD.
    quoted = quote(path, safe=_PATH_SAFE, errors="surrogatepass")
    # After a host comes a slash or nothing (section 3.3): "@evil.example" must not move it.
    return quoted if not quoted or quoted.startswith("/") else "/" + quoted


def _relative(path: str, scheme: str) -> str:
    """Escape what would start another part where no authority is (section 4.2)."""
    if path.startswith("//"):
        return "/%2F" + path[2:]
    if scheme:
        return path
    segment, slash, rest = path.partition("/")
    return segment.replace(":", "%3A") + slash + rest


def _quote_query(query: bytes) -> str:
    return _NOT_QUERY.sub(lambda match: b"%%%02X" % match.group()[0], query).decode("ascii")


def _read_host(text: str) -> tuple[str, int | None]:
    address = _parse_host(text)
    if address is None:
        raise ValueError(f"not a URL's host: {text!r}; IDNA-encode one outside ASCII")
    return address


def _replace_host(netloc: str, given: dict[str, Any]) -> str:
    userinfo, at, host = netloc.rpartition("@")
    hostname, port = _parse_host(host) or ("", None)
    hostname = _text(given.get("hostname", hostname), "hostname")
    port = given.get("port", port)
    if port is not None and (type(port) is not int or not 0 <= port <= 65535):
        raise ValueError(f"not a URL's port: {port!r}")
    # Read alone: in its place, "a@b" would be a user's.
    _read_host(_format_host(hostname, None))
    return userinfo + at + _format_host(hostname, port)


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"a URL's {what} is str, not {type(value).__name__}: {value!r}")
