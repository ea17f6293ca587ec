"""Trailer fields (:rfc:`9110`, section 6.5): which fields may follow the content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asgikit.http.grammar import check_field, header_pairs

__all__ = ["check_trailers"]

# What a client has to know before it reads the content has no place behind it (section 6.5.1).
_NOT_IN_TRAILERS = frozenset(
    {
        # How the message ends, and where it goes.
        *(b"connection", b"content-length", b"host", b"keep-alive", b"proxy-connection", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade"),
        # Who asks, and who may; a cookie is part of that.
        *(b"authorization", b"cookie", b"proxy-authenticate", b"proxy-authorization"),
        *(b"set-cookie", b"www-authenticate"),
        # What is asked for, and on which conditions.
        *(b"expect", b"if-match", b"if-modified-since", b"if-none-match", b"if-range"),
        *(b"if-unmodified-since", b"max-forwards", b"pragma", b"range"),
        # What is done with the response.
        *(b"age", b"cache-control", b"date", b"expires", b"location", b"retry-after", b"vary"),
        # How the content is read.
        *(b"content-encoding", b"content-range", b"content-type"),
    }
)


def check_trailers(
    trailers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]],
) -> list[tuple[bytes, bytes]]:
    """Encode trailer fields for ASGI.

    Args:
        trailers: a mapping, or pairs where a field is repeated.

    Raises:
        ValueError: a field could not be sent, or not as a trailer.
        TypeError: a name or a value is neither ``str`` nor ``bytes``.

    >>> check_trailers({"Server-Timing": "db;dur=53"})
    [(b'server-timing', b'db;dur=53')]
    """
    fields = [check_field(name, value) for name, value in header_pairs(trailers)]
    for name, _ in fields:
        if name in _NOT_IN_TRAILERS:
            raise ValueError(
                f"{name.decode()!r} is no trailer: it must be known before the content"
            )
    return fields
