"""Requests and responses on raw ASGI: what HTTP says, exactly, close to the cost of raw messages.

>>> from asgikit import JSONResponse, request_response
>>> @request_response
... async def app(request):
...     return JSONResponse({"hello": request.query_params.get("name", "world")})
"""

from typing import TYPE_CHECKING

from asgikit._late import late_names
from asgikit.app import request_response, to_asgi
from asgikit.asgi import Address, ASGIApp, Message, Receive, Scope, Send
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
from asgikit.form_data import FormData
from asgikit.headers import Headers, MutableHeaders
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.problem import ProblemResponse
from asgikit.query import QueryParams
from asgikit.redirect import RedirectResponse
from asgikit.request import Request, State
from asgikit.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from asgikit.url import URL

# A plain app does without these, and is there a quarter sooner.
if TYPE_CHECKING:
    from asgikit.compression import Compress
    from asgikit.event_source import EventSourceResponse, ServerSentEvent
    from asgikit.files import FileResponse
    from asgikit.form_reader import Part
    from asgikit.negotiate import negotiate
    from asgikit.request_fields import (
        Accept,
        AcceptEncoding,
        AcceptLanguage,
        Authorization,
        CacheControl,
    )
    from asgikit.staticfiles import StaticFiles
    from asgikit.streaming import NDJSONResponse, StreamingResponse
    from asgikit.uploads import UploadFile
else:
    __getattr__ = late_names(
        __name__,
        {
            "Accept": "asgikit.request_fields",
            "AcceptEncoding": "asgikit.request_fields",
            "AcceptLanguage": "asgikit.request_fields",
            "Authorization": "asgikit.request_fields",
            "CacheControl": "asgikit.request_fields",
            "Compress": "asgikit.compression",
            "EventSourceResponse": "asgikit.event_source",
            "FileResponse": "asgikit.files",
            "NDJSONResponse": "asgikit.streaming",
            "Part": "asgikit.form_reader",
            "ServerSentEvent": "asgikit.event_source",
            "StaticFiles": "asgikit.staticfiles",
            "StreamingResponse": "asgikit.streaming",
            "UploadFile": "asgikit.uploads",
            "negotiate": "asgikit.negotiate",
        },
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
    "EventSourceResponse",
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
    "Scope",
    "Send",
    "ServerSentEvent",
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
    return sorted({*globals(), *__all__})
