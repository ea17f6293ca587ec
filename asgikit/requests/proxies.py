"""The client behind proxies: Forwarded (:rfc:`7239`) and X-Forwarded-*."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from asgikit.datastructures.address import Address
from asgikit.requests.head import StateT
from asgikit.requests.header_properties import HeaderProperties

if TYPE_CHECKING:
    from asgikit.http.forwarded import Network, Trace

__all__ = ["ProxyProperties"]

Proxies = Literal["forwarded", "x-forwarded"]


_PROXIES = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")


class ProxyProperties(HeaderProperties[StateT]):
    """The address, scheme and host of the client, as reported by trusted proxies."""

    __slots__ = ()

    def client_address(
        self, *, trusted: Iterable[Network], header: Proxies | None = None
    ) -> Address | None:
        """Return the address of the client behind trusted proxies.

        The entries of Forwarded (:rfc:`7239`) or X-Forwarded-For are read from the right, as long
        as the proxy that wrote an entry is trusted. If the peer is not trusted, they are ignored.
        At an obfuscated or malformed entry, the address before it is returned.

        Most proxies write one of the two headers, and pass the other one on as the client sent it.
        If both are present, only the entries on which they agree are used, unless ``header`` names
        one of them.

        Args:
            trusted: Networks or addresses of proxies, such as ``"10.0.0.0/8"`` or ``"::1"``, as
                text or as objects of :mod:`ipaddress`; ``"unix"`` for a peer without an address,
                as behind a unix socket.
            header: The header that your proxy writes. The other one is ignored.

        Raises:
            TypeError: ``trusted`` is a single text, or an item is neither text nor a network.
            ValueError: A text is not a network.

        >>> from asgikit import Request
        >>> request = Request({"type": "http", "client": ("10.0.0.1", 80), "headers": [
        ...     (b"x-forwarded-for", b"6.6.6.6, 192.0.2.1, 10.0.0.7")]})
        >>> request.client_address(trusted=["10.0.0.0/8"])
        Address(host='192.0.2.1', port=None)
        """
        node = self._trace(trusted, header).node
        return self.client if node is None else Address(*node)

    def client_scheme(self, *, trusted: Iterable[Network], header: Proxies | None = None) -> str:
        """Return the scheme that the client used, as trusted proxies report it.

        It is ``proto`` of Forwarded, or X-Forwarded-Proto. See :meth:`client_address`.
        """
        return self._trace(trusted, header).scheme or self.scheme

    def client_host(
        self, *, trusted: Iterable[Network], header: Proxies | None = None
    ) -> str | None:
        """Return the host that the client requested, as trusted proxies report it.

        It is ``host`` of Forwarded, or X-Forwarded-Host, in lower case. If that is malformed or
        absent, it is the Host header. See :meth:`client_address`.

        A proxy passes on a header that it does not set. Configure yours to set or drop
        X-Forwarded-Host and X-Forwarded-Proto before you use the result in links.
        """
        from asgikit.datastructures.request_url import request_host

        host = self._trace(trusted, header).host
        reported = None if host is None else request_host([(b"host", host.encode("latin-1"))])
        return reported or self.host

    def _trace(self, trusted: Iterable[Network], header: Proxies | None) -> Trace:
        from asgikit.http.forwarded import agree, trace_forwarded, trace_x_forwarded

        client = self.client
        peer = None if client is None else client.host
        networks = [*trusted] if not isinstance(trusted, str) else trusted
        forwarded, *others = map(self.join_header, _PROXIES)
        traces: list[Trace] = []
        if header != "x-forwarded" and forwarded is not None:
            traces.append(trace_forwarded(peer, forwarded, networks))
        if header != "forwarded" and others != [None, None, None]:
            addresses, schemes, hosts = (field or "" for field in others)
            traces.append(
                trace_x_forwarded(peer, networks, addresses=addresses, schemes=schemes, hosts=hosts)
            )
        if not traces:
            # So that invalid networks raise an error for every request.
            return trace_forwarded(peer, "", networks)
        return traces[0] if len(traces) == 1 else agree(*traces)
