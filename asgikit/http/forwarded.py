"""The client behind proxies: Forwarded (:rfc:`7239`) and X-Forwarded-*.

Each proxy appends the address that it received the request from. The last entry was therefore
written by the peer of the connection, the entry before it by the host that the last entry names,
and so on. An entry is reliable only if the host that wrote it is trusted, so the list is read from
the right, beginning with the peer:

1. If the current host is not trusted, stop. Entries further left may be forged.
2. Otherwise read one entry, which this host wrote. The host that it names is the current one now.
   If the entry is hidden or malformed, stop.

The result is the furthest address known, with the scheme and the host that the furthest trusted
proxy reported. If Forwarded and X-Forwarded-* are both present, :func:`agree` keeps only what both
report.
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
# These patterns match the reversed text, in which a DQUOTE ends a quoted string unless an odd
# number of backslashes follows. An unterminated string extends to the end of the reversed text.
_DEQUOTED = r'"(?:[^"]++|"\\(?:\\\\)*+(?!\\))*+(?:"|\Z)'
_ELEMENT_BACKWARDS = re.compile(rf'(?:[^",]++|{_DEQUOTED})++')

# node              = nodename [ ":" node-port ]
# nodename          = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# node-port         = port / obfport
# obfport           = "_" 1*(ALPHA / DIGIT / "." / "_" / "-")
#
# X-Forwarded-For has IPv6 addresses without brackets, too. They cannot be followed by a port.
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

#: The number of entries that are followed. A client can repeat the address of a trusted proxy many
#: times, and each entry takes time.
MAX_HOPS = 100

_SCHEMES = frozenset({"http", "https", "ws", "wss"})


class Node(NamedTuple):
    """An IP address in its normal form, and a port or ``None``."""

    host: str
    port: int | None = None


class Trace(NamedTuple):
    """The origin of a request as reported by trusted proxies.

    Attributes:
        node: The furthest address known; ``None`` if it is the peer's.
        scheme: The scheme that the client used, in lower case; ``None`` if it is not reported.
        host: The host that the client requested, unchecked; ``None`` if it is not reported.
    """

    node: Node | None = None
    scheme: str | None = None
    host: str | None = None


def parse_forwarded(text: str) -> list[ForwardedElement | None]:
    """Parse Forwarded (:rfc:`7239`, section 4).

    The list is split from the right, so that an unterminated quoted string from a client does not
    hide the elements that proxies append after it.

    Args:
        text: The value, repeated lines joined by ``", "``.

    Returns:
        The parameters of each element in order, with ``None`` in the place of a malformed element.
        A value without DQUOTEs may have a colon, since many proxies write addresses so.

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
    """Format Forwarded (:rfc:`7239`, section 4).

    Raises:
        ValueError: A name is no token, a value has a control character, or an element is empty.

    >>> format_forwarded([{"for": "192.0.2.60", "proto": "http"}, {"for": "[2001:db8::17]"}])
    'for=192.0.2.60;proto=http, for="[2001:db8::17]"'
    """
    return ", ".join(map(_format_element, elements))


def _format_element(element: Mapping[str, str]) -> str:
    if not element or not all(map(is_token, element)):
        raise ValueError(f"an element of Forwarded maps tokens to values, unlike {element!r}")
    return ";".join(
        f"{name}={value if is_token(value) else format_quoted_string(value)}"
        for name, value in element.items()
    )


def parse_node(text: str) -> Node | None:
    """Parse a node of Forwarded (:rfc:`7239`, section 6), or an entry of X-Forwarded-For.

    Returns:
        The address; ``None`` if it is hidden (``unknown``, ``_gazonk``) or malformed.

    >>> parse_node("[2001:DB8:cafe::17]:4711")
    Node(host='2001:db8:cafe::17', port=4711)
    """
    # No valid node is longer than 64 characters.
    match = _parse_node(text) if len(text) <= 64 else None
    if match is None:
        return None
    address = _parse_address(match[1] or match[2] or match[4])
    if address is None or (match[2] is not None and ":" not in match[2]):
        return None
    port = None if match[3] is None else parse_digits(match[3])
    return None if port is not None and port > 65535 else Node(str(address), port)


def format_node(node: Node) -> str:
    """Format a node (:rfc:`7239`, section 6).

    >>> format_node(Node("2001:db8::17", 4711))
    '[2001:db8::17]:4711'
    """
    host = f"[{node.host}]" if ":" in node.host else node.host
    return host if node.port is None else f"{host}:{node.port}"


def trace_forwarded(peer: str | None, text: str, trusted: Iterable[Network]) -> Trace:
    """Follow Forwarded from the peer to the furthest address known (section 7.4).

    Args:
        peer: The address of the peer of the connection; ``None`` if it has none.
        text: The value, repeated lines joined by ``", "``.
        trusted: The networks of trusted proxies; ``"unix"`` trusts a peer without an address.

    Raises:
        TypeError: ``trusted`` is a ``str``, or has an element that is neither text nor an address
            or a network of :mod:`ipaddress`.
        ValueError: ``trusted`` has a text that is no network.

    >>> trace_forwarded("10.0.0.1", "for=6.6.6.6, for=192.0.2.1;proto=https", ["10.0.0.0/8"])
    Trace(node=Node(host='192.0.2.1', port=None), scheme='https', host=None)
    """
    elements = parse_forwarded(text)
    chain = [None if element is None else element.get("for", "") for element in elements]
    hops, node = _walk(peer, chain, _networks(trusted))
    reliable = [element for element in elements[len(elements) - hops :] if element]
    # The first of them is from the proxy nearest to the client.
    schemes = [_scheme(element["proto"]) for element in reliable if "proto" in element]
    hosts = [element["host"] for element in reliable if "host" in element]
    return Trace(node, schemes[0] if schemes else None, hosts[0] if hosts else None)


def trace_x_forwarded(
    peer: str | None,
    trusted: Iterable[Network],
    *,
    addresses: str = "",
    schemes: str = "",
    hosts: str = "",
) -> Trace:
    """Follow X-Forwarded-For from the peer to the furthest address known.

    Args:
        peer: The address of the peer; see :func:`trace_forwarded`, also for the errors.
        trusted: The networks of trusted proxies.
        addresses: X-Forwarded-For, repeated lines joined by ``", "``.
        schemes: X-Forwarded-Proto. If there is an entry for each trusted proxy, that of the
            furthest one counts. If there are fewer, because a proxy replaced the header, the first
            counts.
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
    """Return the values that both traces share, and ``None`` for the others.

    Most proxies write either Forwarded or X-Forwarded-For, and pass on the other as the client sent
    it. If both are present, either may be forged.

    >>> agree(Trace(scheme="https", host="example.com"), Trace(scheme="https", host="evil.example"))
    Trace(node=None, scheme='https', host=None)
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
    """Return the number of entries that trusted proxies wrote, and the furthest address in them."""
    hops, node = 0, None
    host = peer
    for entry in chain[: -MAX_HOPS - 1 : -1]:
        if entry is None or not _is_trusted(host, networks):
            break
        hops += 1
        parsed = parse_node(entry)
        if parsed is None:
            break
        node = parsed
        host = node.host
    return hops, node


def _networks(trusted: Iterable[Network]) -> list[_Network | None]:
    """Parse trusted networks; ``None`` stands for a peer without an address."""
    if isinstance(trusted, str):
        raise TypeError(f"trusted is a list of networks, such as [{trusted!r}]")
    return [_parse_network(network) for network in trusted]


def _is_trusted(host: str | None, networks: Sequence[_Network | None]) -> bool:
    address = None if host is None else _parse_address(host)
    if address is None:
        return None in networks
    return any(network is not None and address in network for network in networks)


# The networks come from the app, so that there are few of them.
@lru_cache(maxsize=256)
def _parse_network(value: Network) -> _Network | None:
    if value == "unix":
        return None
    if not isinstance(value, _NETWORKS):
        # The ipaddress module accepts numbers and bytes as addresses, too.
        raise TypeError(f"a trusted network is text or an object of ipaddress, not {value!r}")
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"a trusted network is 'unix' or such as '10.0.0.0/8': {error}") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    # Peers are compared as IPv4 addresses as well; see _parse_address().
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # Text from a client has been matched by _parse_node() before.
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports 192.0.2.1 as ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
