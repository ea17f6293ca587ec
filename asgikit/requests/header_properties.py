"""The header fields of a request as typed values, each read when it is first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from asgikit._late import late_names
from asgikit.asgi import Address
from asgikit.http.grammar import join_lines, strip_ows

if TYPE_CHECKING:
    from datetime import datetime

    from asgikit.headers import Headers
    from asgikit.http.authentication import Authorization
    from asgikit.http.caching import CacheControl
    from asgikit.http.conditional import EntityTags, ETag
    from asgikit.http.forwarded import Network, Trace
    from asgikit.http.negotiation import Accept, AcceptEncoding, AcceptLanguage
    from asgikit.http.ranges import RangesSpecifier
else:
    __getattr__ = late_names(
        __name__,
        {
            "Accept": "asgikit.http.negotiation",
            "AcceptEncoding": "asgikit.http.negotiation",
            "AcceptLanguage": "asgikit.http.negotiation",
            "Authorization": "asgikit.http.authentication",
            "CacheControl": "asgikit.http.caching",
        },
    )

__all__ = ["Accept", "AcceptEncoding", "AcceptLanguage", "Authorization", "CacheControl"]

T = TypeVar("T")

Proxies = Literal["forwarded", "x-forwarded"]


class RequestFields:
    """What :class:`~asgikit.Request` makes of its header fields.

    A field that is malformed is as if absent: no property raises.
    """

    __slots__ = ("_parsed",)

    if TYPE_CHECKING:
        _parsed: dict[bytes, Any]

        @property
        def headers(self) -> Headers: ...
        @property
        def scheme(self) -> str: ...
        @property
        def host(self) -> str | None: ...
        @property
        def client(self) -> Address | None: ...

    # What the client would rather have.

    @property
    def accept(self) -> Accept:
        """The media types that are asked for (:rfc:`9110`, section 12.5.1); any where absent."""
        return self._field(b"accept", _parse_accept)

    @property
    def accept_encoding(self) -> AcceptEncoding:
        """The content codings that are asked for (:rfc:`9110`, section 12.5.3)."""
        return self._field(b"accept-encoding", _parse_accept_encoding)

    @property
    def accept_language(self) -> AcceptLanguage:
        """The languages that are asked for (:rfc:`9110`, section 12.5.4); any where absent."""
        return self._field(b"accept-language", _parse_accept_language)

    # Who asks.

    @property
    def authorization(self) -> Authorization | None:
        """The credentials (:rfc:`9110`, section 11.6.2)."""
        # A field that is there twice is malformed: a comma may be a part of one.
        return self._field(b"authorization", _parse_authorization, separator=b"\n")

    # What is asked for, and under which conditions. Lines of one field are one list; where the
    # field is no list, this reads as malformed.

    @property
    def cache_control(self) -> CacheControl:
        """What may be stored, and how old an answer may be (:rfc:`9111`, section 5.2.1)."""
        return self._field(b"cache-control", _parse_cache_control)

    @property
    def range(self) -> RangesSpecifier | None:
        """The ranges that are asked for (:rfc:`9110`, section 14.2)."""
        return self._field(b"range", _optional(_parse_ranges))

    @property
    def if_range(self) -> ETag | datetime | None:
        """The validator of what the client has a part of (:rfc:`9110`, section 13.1.5)."""
        return self._field(b"if-range", _optional(_parse_validator))

    @property
    def if_match(self) -> EntityTags | None:
        """The entity tags of which one must be the current one (:rfc:`9110`, section 13.1.1)."""
        return self._field(b"if-match", _optional(_parse_tags))

    @property
    def if_none_match(self) -> EntityTags | None:
        """The entity tags of which none may be the current one (:rfc:`9110`, section 13.1.2)."""
        return self._field(b"if-none-match", _optional(_parse_tags))

    @property
    def if_modified_since(self) -> datetime | None:
        """The date after which there must be a change (:rfc:`9110`, section 13.1.3)."""
        return self._field(b"if-modified-since", _optional(_parse_date))

    @property
    def if_unmodified_since(self) -> datetime | None:
        """The date after which there must be no change (:rfc:`9110`, section 13.1.4)."""
        return self._field(b"if-unmodified-since", _optional(_parse_date))

    # What the client asked a proxy.

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
        from asgikit.url import request_host

        host = self._trace(trusted, header).host
        told = None if host is None else request_host([(b"host", host.encode("latin-1"))])
        return told or self.host

    def _trace(self, trusted: Iterable[Network], header: Proxies | None) -> Trace:
        from asgikit.http.forwarded import agree, trace_forwarded, trace_x_forwarded

        client = self.client
        peer = None if client is None else client.host
        networks = [*trusted] if not isinstance(trusted, str) else trusted
        forwarded, *others = map(self._joined, _PROXIES)
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

    def _joined(self, name: bytes, separator: bytes = b", ") -> str | None:
        return join_lines(self.headers.raw_values(name), separator)

    def _field(
        self, name: bytes, parse: Callable[[str | None], T], *, separator: bytes = b", "
    ) -> T:
        """Give a field as ``parse`` reads it, once."""
        try:
            parsed = self._parsed
        except AttributeError:
            # Unset until a field is asked for: to set it would cost every request.
            parsed = self._parsed = {}
        if name not in parsed:
            parsed[name] = parse(self._joined(name, separator))
        found: T = parsed[name]
        return found


_PROXIES = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")


def _optional(parse: Callable[[str], T]) -> Callable[[str | None], T | None]:
    return lambda text: None if text is None else parse(text)


# What reads a field is imported by the first who asks for it: all of it takes 6 ms.


def _parse_accept(text: str | None) -> Accept:
    from asgikit.http.negotiation import parse_accept

    return parse_accept(text)


def _parse_accept_encoding(text: str | None) -> AcceptEncoding:
    from asgikit.http.negotiation import parse_accept_encoding

    return parse_accept_encoding(text)


def _parse_accept_language(text: str | None) -> AcceptLanguage:
    from asgikit.http.negotiation import parse_accept_language

    return parse_accept_language(text)


def _parse_authorization(text: str | None) -> Authorization | None:
    from asgikit.http.authentication import parse_authorization

    return None if text is None else parse_authorization(text)


def _parse_cache_control(text: str | None) -> CacheControl:
    from asgikit.http.caching import parse_cache_control

    return parse_cache_control(text or "")


def _parse_ranges(text: str) -> RangesSpecifier | None:
    from asgikit.http.ranges import parse_ranges_specifier

    return parse_ranges_specifier(text)


def _parse_tags(text: str) -> EntityTags:
    from asgikit.http.conditional import parse_etag_list

    return parse_etag_list(text)


def _parse_validator(text: str) -> ETag | datetime | None:
    from asgikit.http.conditional import parse_etag

    return parse_etag(text) or _parse_date(text)


def _parse_date(text: str) -> datetime | None:
    from asgikit.http.dates import parse_http_date

    return parse_http_date(strip_ows(text), now=time.time())
