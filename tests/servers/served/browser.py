"""The apps for tests in a browser: a page with a form, uploads, and event streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgikit import HTMLResponse, Response, to_asgi

from . import browser_events, uploads

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
    **browser_events.APPS,
    "page": to_asgi(HTMLResponse(PAGE)),
    # Browsers request it for each page.
    "favicon.ico": to_asgi(Response(status_code=204)),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by the first segment of the path."""
    name = "page" if scope["type"] == "lifespan" else scope["path"].split("/")[1]
    await APPS[name](scope, receive, send)
