"""ASGI apps: adapters for handlers and apps, static files, compression, negotiation."""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.apps.adapters import request_response, to_asgi
    from asgikit.apps.compression import Compress
    from asgikit.apps.negotiation import negotiate
    from asgikit.apps.same_origin import SameOrigin
    from asgikit.apps.shutdown import Shutdown
    from asgikit.apps.staticfiles import StaticFiles
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Compress": "asgikit.apps.compression",
            "SameOrigin": "asgikit.apps.same_origin",
            "Shutdown": "asgikit.apps.shutdown",
            "StaticFiles": "asgikit.apps.staticfiles",
            "negotiate": "asgikit.apps.negotiation",
            "request_response": "asgikit.apps.adapters",
            "to_asgi": "asgikit.apps.adapters",
        },
    )

__all__ = [
    "Compress",
    "SameOrigin",
    "Shutdown",
    "StaticFiles",
    "negotiate",
    "request_response",
    "to_asgi",
]
