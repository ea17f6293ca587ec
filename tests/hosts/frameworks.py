"""Functions that mount an app in each framework, and return the app of the framework.

The app is mounted below ``/mounted``, beside ``/own``, a page of the framework itself. The
functions import their framework, so that a missing one skips only its own tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.harness import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest  # type: ignore[import-untyped]
    from fastapi.responses import PlainTextResponse as FastAPIText
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import PlainTextResponse as StarletteText
    from starlette.routing import BaseRoute

    from asgikit.types import ASGIApp, Receive, Scope, Send

OWN = "the framework's own"


def _starlette(route: BaseRoute) -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def own(request: StarletteRequest) -> StarletteText:
        return PlainTextResponse(OWN)

    return Starlette(routes=[Route("/own", own), route])


def starlette_mount(app: ASGIApp) -> ASGIApp:
    """Mount the app below a prefix."""
    require("starlette")
    from starlette.routing import Mount

    return _starlette(Mount("/mounted", app))


def starlette_route(app: ASGIApp) -> ASGIApp:
    """Use the app as the endpoint of a route; Starlette takes an instance for an ASGI app."""
    require("starlette")
    from starlette.routing import Route

    return _starlette(Route("/mounted/{rest:path}", app))


def fastapi_mount(app: ASGIApp) -> ASGIApp:
    """Mount the app below a prefix."""
    require("fastapi")
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    outer = FastAPI()
    outer.mount("/mounted", app)

    @outer.get("/own", response_model=None)
    async def own() -> FastAPIText:
        return PlainTextResponse(OWN)

    return outer


def _litestar(app: Any, *paths: str, is_mount: bool) -> Any:
    require("litestar")
    import litestar

    @litestar.get("/own", media_type="text/plain")
    async def own() -> str:
        return OWN

    return litestar.Litestar(
        [litestar.asgi(list(paths), is_mount=is_mount, copy_scope=True)(app), own]
    )


def litestar_mount(app: Any) -> Any:
    """Mount the app below a prefix."""
    return _litestar(app, "/mounted", is_mount=True)


def litestar_handler(app: Any) -> Any:
    """Use the app as an ``asgi`` handler, which has fixed paths without parameters."""
    return _litestar(app, "/mounted/café/a b", "/mounted/echo", is_mount=False)


def beside_django(app: ASGIApp) -> ASGIApp:
    """Dispatch by prefix to the app or to Django, as in the ``asgi.py`` of a project.

    Django cannot mount ASGI apps itself.
    """
    require("django")
    # Django ships no types.
    import django  # type: ignore[import-untyped]
    from django.conf import settings  # type: ignore[import-untyped]
    from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
    from django.http import HttpResponse
    from django.urls import path  # type: ignore[import-untyped]

    def own(request: HttpRequest) -> HttpResponse:
        return HttpResponse(OWN, content_type="text/plain")

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=(path("own", own),), SECRET_KEY="-")
        django.setup()
    rest = get_asgi_application()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_mounted = scope["type"] == "http" and scope["path"].startswith("/mounted/")
        await (app if is_mounted else rest)(scope, receive, send)

    return application


FRAMEWORKS: dict[str, Callable[[Any], Any]] = {
    "starlette_mount": starlette_mount,
    "starlette_route": starlette_route,
    "fastapi_mount": fastapi_mount,
    "litestar_mount": litestar_mount,
    "litestar_handler": litestar_handler,
    "beside_django": beside_django,
}

# The path that a mounted app sees: Litestar removes the prefix and appends a slash.
PATHS = {
    "starlette_mount": "/mounted/café/a b",
    "starlette_route": "/mounted/café/a b",
    "fastapi_mount": "/mounted/café/a b",
    "litestar_mount": "/café/a b/",
    "litestar_handler": "/mounted/café/a b",
    "beside_django": "/mounted/café/a b",
}
