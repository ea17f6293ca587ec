"""How an app is hung into each framework: functions from an app to the framework's own.

Each hangs it below ``/mounted``, beside a page ``/own`` that the framework answers itself. A
framework is imported when it is asked for, so that one that is missing takes no other with it.
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
    """The app answers for everything below a prefix."""
    require("starlette")
    from starlette.routing import Mount

    return _starlette(Mount("/mounted", app))


def starlette_route(app: ASGIApp) -> ASGIApp:
    """The app is the endpoint of a route, which takes an instance for an ASGI app."""
    require("starlette")
    from starlette.routing import Route

    return _starlette(Route("/mounted/{rest:path}", app))


def fastapi_mount(app: ASGIApp) -> ASGIApp:
    """The app answers for everything below a prefix."""
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
    """The app answers for everything below a prefix."""
    return _litestar(app, "/mounted", is_mount=True)


def litestar_handler(app: Any) -> Any:
    """The app is the handler of some paths; an ``asgi`` handler takes none with parameters."""
    return _litestar(app, "/mounted/café/a b", "/mounted/echo", is_mount=False)


def beside_django(app: ASGIApp) -> ASGIApp:
    """The project's ``asgi.py`` sends what is below a prefix to the app, and the rest to Django.

    Django has no mounting of its own for ASGI apps: it is done in front of it.
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
        inside = scope["type"] == "http" and scope["path"].startswith("/mounted/")
        await (app if inside else rest)(scope, receive, send)

    return application


FRAMEWORKS: dict[str, Callable[[Any], Any]] = {
    "starlette_mount": starlette_mount,
    "starlette_route": starlette_route,
    "fastapi_mount": fastapi_mount,
    "litestar_mount": litestar_mount,
    "litestar_handler": litestar_handler,
    "beside_django": beside_django,
}

# The path that a mounted app is given: Litestar takes the prefix off, and ends it with a slash.
PATHS = {
    "starlette_mount": "/mounted/café/a b",
    "starlette_route": "/mounted/café/a b",
    "fastapi_mount": "/mounted/café/a b",
    "litestar_mount": "/café/a b/",
    "litestar_handler": "/mounted/café/a b",
    "beside_django": "/mounted/café/a b",
}
