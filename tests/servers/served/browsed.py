"""What a browser is pointed at: a page with a form, the handlers of uploads, streams of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit import HTMLResponse, Response, to_asgi

from . import browsed_events, uploads

if TYPE_CHECKING:
    from asgikit.types import ASGIApp, Receive, Scope, Send

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>page</title>
<form method="post" enctype="multipart/form-data">
<input name="text">
<input name="file" type="file" multiple>
<input name="none" type="file">
</form>
"""

APPS: dict[str, ASGIApp] = {
    **uploads.APPS,
    **browsed_events.APPS,
    "page": to_asgi(HTMLResponse(PAGE)),
    # Browsers ask for it by themselves.
    "favicon.ico": to_asgi(Response(status_code=204)),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the call on to the app that the first segment of the path names."""
    name = "page" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
