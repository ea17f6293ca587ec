"""Requests: a lazy view of an ASGI scope, and the readers of its body."""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.http.authentication import Authorization
    from asgikit.http.caching import CacheControl
    from asgikit.http.negotiation import Accept, AcceptEncoding, AcceptLanguage
    from asgikit.requests.request import Request
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Accept": "asgikit.http.negotiation",
            "AcceptEncoding": "asgikit.http.negotiation",
            "AcceptLanguage": "asgikit.http.negotiation",
            "Authorization": "asgikit.http.authentication",
            "CacheControl": "asgikit.http.caching",
            "Request": "asgikit.requests.request",
        },
    )

__all__ = ["Accept", "AcceptEncoding", "AcceptLanguage", "Authorization", "CacheControl", "Request"]
