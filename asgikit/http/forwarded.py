"""Who a request comes from behind proxies: Forwarded (:rfc:`7239`) and X-Forwarded-*.

Each proxy adds the address it was asked from at the end. So what stands last was written by the
proxy that asked us, and what stands before that by whoever asked that one: each entry is worth as
much as the one who wrote it. All is read from the right, as long as those are trusted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from asgikit.http.grammar import (
    format_quoted_string,
    is_token,
    parse_digits,
    parse_parameters,
    strip_ows,
)

__all__ = [
    "ForwardedElement",
    "Network",
    "Node",
    "Trace",
    "agree",
    "format_forwarded",
    "format_node",
    "parse_forwarded",
    "parse_node",
    "trace_forwarded",
    "trace_x_forwarded",
]

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Network: TypeAlias = str | _Network | ipaddress.IPv4Address | ipaddress.IPv6Address

ForwardedElement: TypeAlias = dict[str, str]

# Forwarded         = 1#forwarded-element
# forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
# forwarded-pair    = token "=" value
# value             = token / quoted-string
#
# Both of these are of the text read backwards, where a DQUOTE ends a quoted string unless an odd
# number of backslashes follows. A string that has no other end takes the rest.
_DEQUOTED = r'"(?:[^"]++|"\\(?:\\\\)*+(?!\\))*+(?:"|\Z)'
_ELEMENT_BACKWARDS = re.compile(rf'(?:[^",]++|{_DEQUOTED})++')

# node              = nodename [ ":" node-port ]
# nodename          = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# node-port         = port / obfport
# obfport           = "_" 1*(ALPHA / DIGIT / "." / "_" / "-")
#
# An IPv6 address without its brackets is none of a Forwarded's, but X-Forwarded-For has it. Then
# a port cannot be told, and is not looked for.
_parse_node = re.compile(
    r"(?:([0-9.]{7,15})|\[([0-9A-Fa-f:.]{2,45})\])(?::(?:([0-9]{1,5})|_[A-Za-z0-9._-]++))?+"
    r"|([0-9A-Fa-f:.]{2,45})"
).fullmatch

_NETWORKS = (
    str,
    ipaddress.IPv4Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Network,
)

#: Entries that are followed. Nobody has more proxies, but a client can name ours 20 000 times, of
#: which each takes 10 us.
MAX_HOPS = 100

_SCHEMES = frozenset({"http", "https", "ws", "wss"})


class Node(NamedTuple):
    """An IP address in its normal form, and a port where one is told."""

    host: str
    port: int | None = None


class Trace(NamedTuple):
    """What is known of a request behind proxies, by the word of those that are trusted.

    Attributes:
        node: the furthest address that is known; :obj:`None` where it is the peer's own.
        scheme: that the client used, in lower case; :obj:`None` where nobody tells.
        host: that the client asked for, as it was sent, to be checked; or :obj:`None`.
    """

    node: Node | None = None
    scheme: str | None = None
    host: str | None = None


def parse_forwarded(text: str) -> list[ForwardedElement | None]:
    """Read Forwarded (:rfc:`7239`, section 4).

    It is split from the right: a quoted string that a client opens must not swallow what a proxy
    adds behind it.

    Args:
        text: the field, repeated ones joined by ``", "``.

    Returns:
        The parameters of each element, in order; or :obj:`None` in the place of one that is
        malformed. Values without quotes may have a colon, as many proxies write them.

    >>> parse_forwarded('for=192.0.2.60;proto=http, for="[2001:db8::17]:47011"')
    [{'for': '192.0.2.60', 'proto': 'http'}, {'for': '[2001:db8::17]:47011'}]
    """
    backwards = _ELEMENT_BACKWARDS.findall(text[::-1])
    elements = [strip_ows(element[::-1]) for element in reversed(backwards)]
    return [_parse_element(element) for element in elements if element]


def _parse_element(element: str) -> ForwardedElement | None:
    pairs = parse_parameters(f";{element}", loose=True)
    # A parameter occurs once in an element (section 4).
    return None if pairs is None or len(dict(pairs)) < len(pairs) else dict(pairs)


def format_forwarded(elements: Iterable[Mapping[str, str]]) -> str:
    """Write Forwarded (:rfc:`7239`, section 4).

    Raises:
        ValueError: a name is no token, a value has a control character, or an element is empty.

    >>> format_forwarded([{"for": "192.0.2.60", "proto": "http"}, {"for": "[2001:db8::17]"}])
    'for=192.0.2.60;proto=http, for="[2001:db8::17]"'
    """
    return ", ".join(map(_format_element, elements))


def _format_element(element: Mapping[str, str]) -> str:
    if not element or not all(map(is_token, element)):
        raise ValueError(f"an element of Forwarded is tokens with values, not {element!r}")
    return ";".join(
        f"{name}={value if is_token(value) else format_quoted_string(value)}"
        for name, value in element.items()
    )


def parse_node(text: str) -> Node | None:
    """Read a node (:rfc:`7239`, section 6), or an entry of X-Forwarded-For.

    Returns:
        The address; or :obj:`None` where it is hidden (``unknown``, ``_gazonk``) or malformed.

    >>> parse_node("[2001:DB8:cafe::17]:4711")
    Node(host='2001:db8:cafe::17', port=4711)
    """
    # Nothing that can be read is longer.
    match = _parse_node(text) if len(text) <= 64 else None
    if match is None:
        return None
    address = _parse_address(match[1] or match[2] or match[4])
    if address is None or (match[2] is not None and ":" not in match[2]):
        return None
    port = None if match[3] is None else parse_digits(match[3])
    return None if port is not None and port > 65535 else Node(str(address), port)


def format_node(node: Node) -> str:
    """Write a node (:rfc:`7239`, section 6).

    >>> format_node(Node("2001:db8::17", 4711))
    '[2001:db8::17]:4711'
    """
    host = f"[{node.host}]" if ":" in node.host else node.host
    return host if node.port is None else f"{host}:{node.port}"


def trace_forwarded(peer: str | None, text: str, trusted: Iterable[Network]) -> Trace:
    """Follow Forwarded from the peer to the furthest address that is known (section 7.4).

    Args:
        peer: the address of the connection; :obj:`None` where it has none.
        text: the field, repeated ones joined by ``", "``.
        trusted: networks of proxies whose word counts; ``"unix"`` for a peer without an address.

    Raises:
        TypeError: ``trusted`` is one text.
        ValueError: it has what is no network.

    >>> trace_forwarded("10.0.0.1", "for=6.6.6.6, for=192.0.2.1;proto=https", ["10.0.0.0/8"])
    Trace(node=Node(host='192.0.2.1', port=None), scheme='https', host=None)
    """
    elements = parse_forwarded(text)
    chain = [None if element is None else element.get("for", "") for element in elements]
    hops, node = _walk(peer, chain, _networks(trusted))
    told = [element for element in elements[len(elements) - hops :] if element]
    # The furthest proxy is the nearest to the client.
    schemes = [_scheme(element["proto"]) for element in told if "proto" in element]
    hosts = [element["host"] for element in told if "host" in element]
    return Trace(node, schemes[0] if schemes else None, hosts[0] if hosts else None)


def trace_x_forwarded(
    peer: str | None,
    trusted: Iterable[Network],
    *,
    addresses: str = "",
    schemes: str = "",
    hosts: str = "",
) -> Trace:
    """Follow X-Forwarded-For, as :func:`trace_forwarded` does.

    Args:
        peer: as there.
        trusted: as there.
        addresses: X-Forwarded-For, repeated ones joined by ``", "``.
        schemes: X-Forwarded-Proto. Of as many entries as there are trusted proxies the first
            counts; a proxy that replaces the field leaves one.
        hosts: X-Forwarded-Host, likewise.

    >>> trace_x_forwarded("10.0.0.1", ["10.0.0.0/8"], addresses="6.6.6.6, 192.0.2.1").node
    Node(host='192.0.2.1', port=None)
    """
    networks = _networks(trusted)
    if not _is_trusted(peer, networks):
        return Trace()
    hops, node = _walk(peer, _entries(addresses), networks)
    scheme, host = (_aligned(_entries(text), hops) for text in (schemes, hosts))
    return Trace(node, None if scheme is None else _scheme(scheme), host)


def agree(first: Trace, second: Trace) -> Trace:
    """Give what both say.

    Where Forwarded and X-Forwarded-For are both there, our proxies wrote one of them, and a client
    may have sent the other: most proxies know one and pass the other on as it is.
    """
    hosts = [None if trace.node is None else trace.node.host for trace in (first, second)]
    return Trace(
        first.node if hosts[0] == hosts[1] else None,
        first.scheme if first.scheme == second.scheme else None,
        first.host if first.host == second.host else None,
    )


def _entries(text: str) -> list[str]:
    return [entry for entry in map(strip_ows, text.split(",")) if entry]


def _aligned(entries: list[str], hops: int) -> str | None:
    return entries[-min(max(hops, 1), len(entries))] if entries else None


def _scheme(text: str) -> str | None:
    scheme = text.lower()
    return scheme if scheme in _SCHEMES else None


def _walk(
    peer: str | None, chain: Sequence[str | None], networks: Sequence[_Network | None]
) -> tuple[int, Node | None]:
    """Count the entries that trusted proxies wrote; give the address in the furthest of them.

    An entry that is hidden or malformed has no address, and nobody knows who asked before that.
    """
    hops, node = 0, None
    asked_from = peer
    for entry in chain[: -MAX_HOPS - 1 : -1]:
        if entry is None or not _is_trusted(asked_from, networks):
            break
        hops += 1
        found = parse_node(entry)
        if found is None:
            break
        node = found
        asked_from = node.host
    return hops, node


def _networks(trusted: Iterable[Network]) -> list[_Network | None]:
    """Read what is trusted; :obj:`None` stands for a peer without an address."""
    if isinstance(trusted, str):
        raise TypeError(f"trusted is a list of networks, such as [{trusted!r}]")
    return [_parse_network(one) for one in trusted]


def _is_trusted(host: str | None, networks: Sequence[_Network | None]) -> bool:
    address = None if host is None else _parse_address(host)
    if address is None:
        return None in networks
    return any(network is not None and address in network for network in networks)


# The app's own, and few: reading one takes 4 us.
@lru_cache(maxsize=256)
def _parse_network(value: Network) -> _Network | None:
    if value == "unix":
        return None
    if not isinstance(value, _NETWORKS):
        # To ipaddress a number is an address as well, and so are four bytes.
        raise TypeError(f"trusted is networks, as text or as ipaddress has them, not {value!r}")
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"trusted is networks, such as '10.0.0.0/8', or 'unix': {error}") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    # As a peer's address is read.
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # Of a client's, only what has the characters and the length of one comes here.
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket for both sees 192.0.2.1 as ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
