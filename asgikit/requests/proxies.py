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
        """Give the address of the client behind proxies that are trusted.

        Forwarded (:rfc:`7239`) or X-Forwarded-For is followed from the right, as long as the one
        who wrote an entry is trusted; an untrusted peer's is not looked at. At an entry that is
        hidden or malformed the way ends, and the address before it is given.

        Most proxies write one of the two fields, and pass the other on as a client sent it. So,
        where both are there, only what both say is believed; ``header`` says which one to read.

        Args:
            trusted: networks or addresses of proxies, such as ``"10.0.0.0/8"`` or ``"::1"``, as
                text or as :mod:`ipaddress` has them; ``"unix"`` for a peer without an address, as
                behind a unix socket.
            header: read Forwarded alone, or X-Forwarded-* alone: say so where you know.

        Raises:
            TypeError: ``trusted`` is one text, or has what is neither.
            ValueError: it has a text that is no network.

        >>> from asgikit import Request
        >>> request = Request({"type": "http", "client": ("10.0.0.1", 80), "headers": [
        ...     (b"x-forwarded-for", b"6.6.6.6, 192.0.2.1, 10.0.0.7")]})
        >>> request.client_address(trusted=["10.0.0.0/8"])
        Address(host='192.0.2.1', port=None)
        """
        node = self._trace(trusted, header).node
        return self.client if node is None else Address(*node)

    def client_scheme(self, *, trusted: Iterable[Network], header: Proxies | None = None) -> str:
        """Give the scheme that the client used, by the word of proxies that are trusted.

        ``proto`` of Forwarded, or X-Forwarded-Proto; see :meth:`client_address`.
        """
        return self._trace(trusted, header).scheme or self.scheme

    def client_host(
        self, *, trusted: Iterable[Network], header: Proxies | None = None
    ) -> str | None:
        """Give the host that the client asked for, by the word of proxies that are trusted.

        ``host`` of Forwarded, or X-Forwarded-Host; see :meth:`client_address`. Like ``host``, it
        is in lower case; where it is malformed, the Host field counts.

        What a proxy does not set it passes on as the client sent it: have yours set or drop
        X-Forwarded-Host (and X-Forwarded-Proto) before links are made of what this gives.
        """
        from asgikit.datastructures.request_url import request_host

        host = self._trace(trusted, header).host
        told = None if host is None else request_host([(b"host", host.encode("latin-1"))])
        return told or self.host

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
            # What is wrong with the networks is not told by some requests alone.
            return trace_forwarded(peer, "", networks)
        return traces[0] if len(traces) == 1 else agree(*traces)
