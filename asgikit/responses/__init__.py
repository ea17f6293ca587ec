"""Responses: each is an ASGI application."""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.http.event_stream import ServerSentEvent
    from asgikit.responses.event_log import EventLog
    from asgikit.responses.event_storage import EventStorage
    from asgikit.responses.events import EventSourceResponse
    from asgikit.responses.files import FileResponse
    from asgikit.responses.json import JSONResponse
    from asgikit.responses.problem import ProblemResponse
    from asgikit.responses.redirect import RedirectResponse
    from asgikit.responses.response import Response
    from asgikit.responses.streaming import NDJSONResponse, StreamingResponse
    from asgikit.responses.text import HTMLResponse, PlainTextResponse
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "EventLog": "asgikit.responses.event_log",
            "EventSourceResponse": "asgikit.responses.events",
            "EventStorage": "asgikit.responses.event_storage",
            "FileResponse": "asgikit.responses.files",
            "HTMLResponse": "asgikit.responses.text",
            "JSONResponse": "asgikit.responses.json",
            "NDJSONResponse": "asgikit.responses.streaming",
            "PlainTextResponse": "asgikit.responses.text",
            "ProblemResponse": "asgikit.responses.problem",
            "RedirectResponse": "asgikit.responses.redirect",
            "Response": "asgikit.responses.response",
            "ServerSentEvent": "asgikit.http.event_stream",
            "StreamingResponse": "asgikit.responses.streaming",
        },
    )

__all__ = [
    "EventLog",
    "EventSourceResponse",
    "EventStorage",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "NDJSONResponse",
    "PlainTextResponse",
    "ProblemResponse",
    "RedirectResponse",
    "Response",
    "ServerSentEvent",
    "StreamingResponse",
]
