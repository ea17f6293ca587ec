"""Trailers (:rfc:`9110`, section 6.5): the headers that may follow the content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asgikit.http.grammar import check_field, header_pairs

__all__ = ["check_trailers"]

# Headers that a recipient must know before the content are not allowed in trailers (section 6.5.1).
_NOT_IN_TRAILERS = frozenset(
    {
        # Framing and routing
        *(b"connection", b"content-length", b"host", b"keep-alive", b"proxy-connection", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade"),
        # Authentication, with cookies
        *(b"authorization", b"cookie", b"proxy-authenticate", b"proxy-authorization"),
        *(b"set-cookie", b"www-authenticate"),
        # Request modifiers: controls and conditionals
        *(b"expect", b"if-match", b"if-modified-since", b"if-none-match", b"if-range"),
        *(b"if-unmodified-since", b"max-forwards", b"pragma", b"range"),
        # Response controls
        *(b"age", b"cache-control", b"date", b"expires", b"location", b"retry-after", b"vary"),
        # Content format
        *(b"content-encoding", b"content-range", b"content-type"),
    }
)


def check_trailers(
    trailers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]],
) -> list[tuple[bytes, bytes]]:
    """Check trailers and encode them for ASGI.

    Args:
        trailers: A mapping or pairs; see :func:`~asgikit.http.grammar.header_pairs`.

    Returns:
        Lower-case names and values in order.

    Raises:
        ValueError: A trailer cannot be sent, or must be sent before the content.
        TypeError: A name or a value is neither ``str`` nor ``bytes``.

    >>> check_trailers({"Server-Timing": "db;dur=53"})
    [(b'server-timing', b'db;dur=53')]
    """
    headers = [check_field(name, value) for name, value in header_pairs(trailers)]
    for name, _ in headers:
        if name in _NOT_IN_TRAILERS:
            raise ValueError(
                f"{name.decode()!r} is no trailer: it must be known before the content"
            )
    return headers
