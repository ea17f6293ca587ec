"""An asgikit app beside a Django project, in the `asgi.py` of the project.

uvicorn examples.mount_django:app
curl http://127.0.0.1:8000/kit/some/where

Django cannot mount ASGI apps, so `app` dispatches by path before Django.
"""

from __future__ import annotations

import os

import django  # type: ignore[import-untyped] # Django has no types
from django.conf import settings  # type: ignore[import-untyped] # Django has no types
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped] # Django has no types
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped] # Django has no types
from django.urls import path  # type: ignore[import-untyped] # Django has no types

from asgikit import ASGIApp, JSONResponse, Receive, Request, Scope, Send, request_response, to_asgi

PREFIX = "/kit"


@request_response
async def kit(request: Request) -> JSONResponse:
    return JSONResponse({"inside": request.route_path})


def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"from Django", content_type="text/plain")


# A real project has these in settings.py and urls.py.
urlpatterns = [path("", home)]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(16).hex())
django.setup()
project: ASGIApp = get_asgi_application()


@to_asgi
async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        # Django does not support the lifespan protocol, so the other app handles it.
        await kit(scope, receive, send)
    elif f"{Request(scope).route_path}/".startswith(f"{PREFIX}/"):
        root = scope.get("root_path", "")
        mounted = {**scope, "app_root_path": root, "root_path": root + PREFIX}
        await kit(mounted, receive, send)
    else:
        await project(scope, receive, send)
