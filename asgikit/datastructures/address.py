"""The address of a client or a server, from an ASGI scope."""

from __future__ import annotations

from typing import NamedTuple

from asgikit.http.grammar import parse_digits

__all__ = ["Address", "parse_address"]


class Address(NamedTuple):
    """One end of a connection.

    Attributes:
        host: An IP address, a host name, or the path of a unix socket.
        port: The number; ``None`` for a unix socket.
    """

    host: str
    port: int | None


def parse_address(value: object) -> Address | None:
    """Parse ``client`` or ``server`` of a scope; return ``None`` unless it is a pair.

    >>> parse_address(["::1", "8000"])
    Address(host='::1', port=8000)
    """
    if not isinstance(value, tuple | list) or len(value) != 2 or not isinstance(value[0], str):
        return None
    host, port = value
    if isinstance(port, str):
        port = parse_digits(port)
    return Address(host, port if isinstance(port, int) and 0 <= port <= 65535 else None)
