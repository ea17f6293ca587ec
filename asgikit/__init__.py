"""Requests and responses on raw ASGI: what HTTP says, exactly, close to the cost of raw messages.

>>> from asgikit import JSONResponse, request_response
>>> @request_response
... async def app(request):
...     return JSONResponse({"hello": request.query_params.get("name", "world")})
"""

from asgikit.app import request_response, to_asgi
from asgikit.asgi import Address, ASGIApp, Message, Receive, Scope, Send
from asgikit.compression import Compress
from asgikit.event_source import EventSourceResponse, ServerSentEvent
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
from asgikit.files import FileResponse
from asgikit.form_reader import FormData, Part
from asgikit.headers import Headers, MutableHeaders
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.negotiate import negotiate
from asgikit.problem import ProblemResponse
from asgikit.query import QueryParams
from asgikit.redirect import RedirectResponse
from asgikit.request import Request, State
from asgikit.request_fields import (
    Accept,
    AcceptEncoding,
    AcceptLanguage,
    Authorization,
    CacheControl,
)
from asgikit.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from asgikit.staticfiles import StaticFiles
from asgikit.streaming import NDJSONResponse, StreamingResponse
from asgikit.uploads import UploadFile
from asgikit.url import URL

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
