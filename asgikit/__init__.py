"""Requests and responses on raw ASGI: exact HTTP, at a cost close to raw messages.

>>> from asgikit import JSONResponse, request_response
>>> @request_response
... async def app(request):
...     return JSONResponse({"hello": request.query_params.get("name", "world")})
"""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names
from asgikit.apps.adapters import request_response, to_asgi
from asgikit.datastructures.address import Address
from asgikit.datastructures.headers import Headers
from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.datastructures.query import QueryParams
from asgikit.datastructures.state import State
from asgikit.datastructures.url import URL
from asgikit.exceptions import (
    BadRequest,
    BodyConsumed,
    ClientDisconnect,
    ContentLengthMismatch,
    ContentTooLarge,
    HTTPError,
    InvalidForm,
    InvalidHeader,
    InvalidJSON,
    PreconditionFailed,
    RangeNotSatisfiable,
    RequestTimeout,
    ResponseStarted,
    UnsupportedMediaType,
)
from asgikit.forms.form_data import FormData
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.requests.request import Request
from asgikit.responses.json import JSONResponse
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.response import Response
from asgikit.responses.text import HTMLResponse, PlainTextResponse
from asgikit.types import ASGIApp, Message, Receive, Scope, Send

# A plain app does without these, and is there a quarter sooner.
if TYPE_CHECKING:
    from asgikit.apps.compression import Compress
    from asgikit.apps.negotiation import negotiate
    from asgikit.apps.same_origin import SameOrigin
    from asgikit.apps.shutdown import Shutdown
    from asgikit.apps.staticfiles import StaticFiles
    from asgikit.forms.reader import Part
    from asgikit.forms.uploads import UploadFile
    from asgikit.http.authentication import Authorization
    from asgikit.http.caching import CacheControl
    from asgikit.http.event_stream import ServerSentEvent
    from asgikit.http.negotiation import Accept, AcceptEncoding, AcceptLanguage
    from asgikit.responses.event_log import EventLog
    from asgikit.responses.event_storage import EventStorage
    from asgikit.responses.events import EventSourceResponse
    from asgikit.responses.files import FileResponse
    from asgikit.responses.redirect import RedirectResponse
    from asgikit.responses.streaming import NDJSONResponse, StreamingResponse

    #: The installed version; ``"0+unknown"`` in a checkout that is not installed.
    __version__: str
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Accept": "asgikit.http.negotiation",
            "AcceptEncoding": "asgikit.http.negotiation",
            "AcceptLanguage": "asgikit.http.negotiation",
            "Authorization": "asgikit.http.authentication",
            "CacheControl": "asgikit.http.caching",
            "Compress": "asgikit.apps.compression",
            "EventLog": "asgikit.responses.event_log",
            "EventSourceResponse": "asgikit.responses.events",
            "EventStorage": "asgikit.responses.event_storage",
            "FileResponse": "asgikit.responses.files",
            "NDJSONResponse": "asgikit.responses.streaming",
            "Part": "asgikit.forms.reader",
            "RedirectResponse": "asgikit.responses.redirect",
            "SameOrigin": "asgikit.apps.same_origin",
            "ServerSentEvent": "asgikit.http.event_stream",
            "Shutdown": "asgikit.apps.shutdown",
            "StaticFiles": "asgikit.apps.staticfiles",
            "StreamingResponse": "asgikit.responses.streaming",
            "UploadFile": "asgikit.forms.uploads",
            "negotiate": "asgikit.apps.negotiation",
        },
        distribution="asgikit-http",
    )

__all__ = [
    "DEFAULT_LIMITS",
    "URL",
    "ASGIApp",
    "Accept",
    "AcceptEncoding",
    "AcceptLanguage",
    "Address",
    "Authorization",
    "BadRequest",
    "BodyConsumed",
    "CacheControl",
    "ClientDisconnect",
    "Compress",
    "ContentLengthMismatch",
    "ContentTooLarge",
    "EventLog",
    "EventSourceResponse",
    "EventStorage",
    "FileResponse",
    "FormData",
    "HTMLResponse",
    "HTTPError",
    "Headers",
    "InvalidForm",
    "InvalidHeader",
    "InvalidJSON",
    "JSONResponse",
    "Limits",
    "Message",
    "MutableHeaders",
    "NDJSONResponse",
    "Part",
    "PlainTextResponse",
    "PreconditionFailed",
    "ProblemResponse",
    "QueryParams",
    "RangeNotSatisfiable",
    "Receive",
    "RedirectResponse",
    "Request",
    "RequestTimeout",
    "Response",
    "ResponseStarted",
    "SameOrigin",
    "Scope",
    "Send",
    "ServerSentEvent",
    "Shutdown",
    "State",
    "StaticFiles",
    "StreamingResponse",
    "UnsupportedMediaType",
    "UploadFile",
    "negotiate",
    "request_response",
    "to_asgi",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
