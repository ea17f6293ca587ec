"""An app of asgikit's beside a Django project: this is the project's `asgi.py`.

uvicorn examples.mount_django:app
curl http://127.0.0.1:8000/kit/some/where

Django mounts no ASGI apps: what is below the path is sent to ours before Django sees it.
"""

from __future__ import annotations

import os

import django  # type: ignore[import-untyped] # it ships no types
from django.conf import settings  # type: ignore[import-untyped] # nor here
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped] # nor here
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped] # nor here
from django.urls import path  # type: ignore[import-untyped] # nor here

from asgikit import ASGIApp, JSONResponse, Receive, Request, Scope, Send, request_response, to_asgi

PREFIX = "/kit"


@request_response
async def kit(request: Request) -> JSONResponse:
    return JSONResponse({"inside": request.path.removeprefix(PREFIX)})


def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"Django's own", content_type="text/plain")


# A project has these three in its settings and in urls.py.
urlpatterns = [path("", home)]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(16).hex())
django.setup()
project: ASGIApp = get_asgi_application()


@to_asgi
async def app(scope: Scope, receive: Receive, send: Send) -> None:
    # Django knows no lifespan, so that ours answers it.
    is_ours = scope["type"] != "http" or f"{scope['path']}/".startswith(f"{PREFIX}/")
    await (kit if is_ours else project)(scope, receive, send)
