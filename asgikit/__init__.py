"""Requests and responses on raw ASGI: what HTTP says, exactly, close to the cost of raw messages.

>>> from asgikit import JSONResponse, request_response
>>> @request_response
... async def app(request):
...     return JSONResponse({"hello": request.query_params.get("name", "world")})
"""

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
from asgikit.files import FileResponse
from asgikit.form_reader import FormData, Part
from asgikit.headers import Headers, MutableHeaders
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.query import QueryParams
from asgikit.request import Request, State
from asgikit.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    ProblemResponse,
    RedirectResponse,
    Response,
)
from asgikit.staticfiles import StaticFiles
from asgikit.streaming import StreamingResponse
from asgikit.uploads import UploadFile
from asgikit.url import URL

__all__ = [
    "DEFAULT_LIMITS",
    "URL",
    "ASGIApp",
    "Address",
    "BadRequest",
    "BodyConsumed",
    "ClientDisconnect",
    "ContentLengthMismatch",
    "ContentTooLarge",
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
    "State",
    "StaticFiles",
    "StreamingResponse",
    "UnsupportedMediaType",
    "UploadFile",
    "request_response",
    "to_asgi",
]
