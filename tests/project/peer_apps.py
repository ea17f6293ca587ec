"""The same small apps in five libraries, each written like the examples of its documentation.

Each library is a function that returns the app of a name, or ``None`` if the library has no such
feature. Errors are answered as in an app of the library. Werkzeug is WSGI, and runs by asgiref.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    Library = Callable[[str, Path], Any]

EVENT = "a\n\nevent: evil\rdata: b"
LINES = "a\r\nb: c"

CLOSED: list[str] = []


def endless() -> Iterator[bytes]:
    """Iterate without end, and record the close."""
    try:
        while True:
            yield b"tea"
    finally:
        CLOSED.append("closed")


def asgikit(name: str, folder: Path) -> Any:
    """Return an app of asgikit."""
    import asgikit as ours

    async def url(request: Any) -> Any:
        return ours.PlainTextResponse(str(request.url))

    async def form(request: Any) -> Any:
        return ours.PlainTextResponse(str(len(await request.form())))

    async def json(request: Any) -> Any:
        return ours.JSONResponse(await request.json())

    async def field(request: Any) -> Any:
        response = ours.PlainTextResponse("set")
        try:
            response.headers["x-a"] = LINES
        except ValueError:
            return ours.PlainTextResponse("ValueError")
        return response

    async def error(request: Any) -> Any:
        raise ours.HTTPError(404)

    async def accept(request: Any) -> Any:
        offers = ["text/html", "application/json"]
        return ours.PlainTextResponse(request.accept.best_match(offers))

    async def client(request: Any) -> Any:
        return ours.PlainTextResponse(request.client_address(trusted=["10.0.0.0/8"]).host)

    async def stream(request: Any) -> Any:
        return ours.StreamingResponse(endless())

    apps = {
        "url": url, "form": form, "json": json, "field": field, "error": error, "accept": accept,
        "client": client, "stream": stream,
    }  # fmt: skip
    if name in apps:
        return ours.request_response(apps[name])
    return {
        "file": ours.FileResponse(folder / "file.txt"),
        "folder": ours.StaticFiles(folder),
        "page": ours.PlainTextResponse("tea", conditional=True),
        "events": ours.EventSourceResponse([EVENT]),
        "compress": ours.Compress(ours.PlainTextResponse("tea" * 1000)),
        "response": ours.PlainTextResponse("tea"),
        "websocket": ours.PlainTextResponse("tea"),
    }.get(name)


def starlette(name: str, folder: Path) -> Any:
    """Return an app of Starlette, with its middleware for errors."""
    from starlette import applications, exceptions, requests, responses, routing, staticfiles
    from starlette.middleware import gzip as compression

    def app(handler: Any) -> Any:
        methods = ["GET", "POST"]
        return applications.Starlette(routes=[routing.Route("/{_:path}", handler, methods=methods)])

    async def url(request: requests.Request) -> Any:
        return responses.PlainTextResponse(str(request.url))

    async def form(request: requests.Request) -> Any:
        return responses.PlainTextResponse(str(len(await request.form())))

    async def json(request: requests.Request) -> Any:
        return responses.JSONResponse(await request.json())

    async def field(request: requests.Request) -> Any:
        response = responses.PlainTextResponse("set")
        try:
            response.headers["x-a"] = LINES
        except ValueError:
            return responses.PlainTextResponse("ValueError")
        return responses.PlainTextResponse("set")

    async def error(request: requests.Request) -> Any:
        raise exceptions.HTTPException(404)

    async def stream(request: requests.Request) -> Any:
        return responses.StreamingResponse(endless())

    async def websocket(socket: Any) -> None:
        await socket.accept()

    apps = {
        "url": url, "form": form, "json": json, "field": field, "error": error, "stream": stream,
    }  # fmt: skip
    if name in apps:
        return app(apps[name])
    return {
        "file": responses.FileResponse(folder / "file.txt"),
        "folder": staticfiles.StaticFiles(directory=folder),
        "compress": compression.GZipMiddleware(responses.PlainTextResponse("tea" * 1000)),
        "response": responses.PlainTextResponse("tea"),
        "websocket": applications.Starlette(routes=[routing.WebSocketRoute("/", websocket)]),
        "router": routing.Router,
    }.get(name)


def baize(name: str, folder: Path) -> Any:
    """Return an app of the ASGI part of baize."""
    from baize import asgi, exceptions, wsgi

    def wrap(handler: Any) -> Any:
        wrapped: Any = asgi.request_response(handler)

        # The decorator does not handle errors.
        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await wrapped(scope, receive, send)
            except exceptions.HTTPException as error:
                answer = asgi.PlainTextResponse(b"", error.status_code, error.headers)
                await answer(scope, receive, send)

        return app

    @wrap
    async def url(request: Any) -> Any:
        return asgi.PlainTextResponse(str(request.url))

    @wrap
    async def form(request: Any) -> Any:
        return asgi.PlainTextResponse(str(len(await request.form)))

    @wrap
    async def json(request: Any) -> Any:
        return asgi.JSONResponse(await request.json)

    @wrap
    async def field(request: Any) -> Any:
        response = asgi.PlainTextResponse("set")
        try:
            response.headers["x-a"] = LINES
        except ValueError:
            return asgi.PlainTextResponse("ValueError")
        return asgi.PlainTextResponse("set")

    @wrap
    async def error(request: Any) -> Any:
        raise exceptions.HTTPException(404)

    async def events() -> AsyncIterator[Any]:
        yield {"data": EVENT}

    @wrap
    async def send_events(request: Any) -> Any:
        return asgi.SendEventResponse(events())

    async def websocket(scope: Any, receive: Any, send: Any) -> None:
        await asgi.WebSocket(scope, receive, send).accept()

    return {
        "url": url, "form": form, "json": json, "field": field, "error": error,
        "file": asgi.FileResponse(str(folder / "file.txt")),
        "folder": asgi.Files(str(folder)),
        "events": send_events,
        "response": asgi.PlainTextResponse("tea"),
        "websocket": websocket,
        "router": asgi.Router,
        "wsgi": wsgi.Request,
    }.get(name)  # fmt: skip


def werkzeug(name: str, folder: Path) -> Any:
    """Return an app of Werkzeug, which is WSGI."""
    from asgiref import wsgi as adapter
    from werkzeug import Request, Response, exceptions
    from werkzeug.middleware.shared_data import SharedDataMiddleware
    from werkzeug.routing import Map
    from werkzeug.utils import send_file

    to_asgi: Any = adapter.WsgiToAsgi  # which has no types

    def url(request: Request) -> Any:
        return Response(request.url)

    def form(request: Request) -> Any:
        return Response(str(len(request.form)))

    def json(request: Request) -> Any:
        request.json  # noqa: B018 - it reads
        return Response(request.get_data(), mimetype="application/json")

    def field(request: Request) -> Any:
        response = Response("set")
        try:
            response.headers["x-a"] = LINES
        except ValueError:
            return Response("ValueError")
        return Response("set")

    def error(request: Request) -> Any:
        raise exceptions.NotFound

    def file(request: Request) -> Any:
        return send_file(folder / "file.txt", request.environ, conditional=True)

    def page(request: Request) -> Any:
        response = Response("tea")
        response.add_etag()
        return response.make_conditional(request)

    def accept(request: Request) -> Any:
        return Response(request.accept_mimetypes.best_match(["text/html", "application/json"]))

    apps = {
        "url": url, "form": form, "json": json, "field": field, "error": error, "file": file,
        "page": page, "accept": accept,
    }  # fmt: skip
    if name in apps:

        def wsgi(environ: Any, start_response: Any) -> Any:
            try:
                answer = apps[name](Request(environ))
            except exceptions.HTTPException as error:
                answer = error.get_response(environ)
            return answer(environ, start_response)

        return to_asgi(wsgi)
    shared: Any = SharedDataMiddleware(exceptions.NotFound(), {"/": str(folder)})
    return {"router": Map, "wsgi": Request, "folder": to_asgi(shared)}.get(name)


def falcon(name: str, folder: Path) -> Any:  # noqa: C901 - one small function after the other
    """Return an app of the ASGI part of Falcon."""
    import falcon.asgi

    async def url(request: Any, response: Any) -> None:
        response.text = request.url

    async def form(request: Any, response: Any) -> None:
        form = await request.get_media()
        response.text = str(len([await part.get_data() async for part in form]))

    async def json(request: Any, response: Any) -> None:
        response.media = await request.get_media()

    async def field(request: Any, response: Any) -> None:
        response.text = "set"
        try:
            response.set_header("x-a", LINES)
        except ValueError:
            response.text = "ValueError"
        else:
            response.delete_header("x-a")

    async def error(request: Any, response: Any) -> None:
        raise falcon.HTTPNotFound

    async def accept(request: Any, response: Any) -> None:
        response.text = request.client_prefers(("text/html", "application/json"))

    async def client(request: Any, response: Any) -> None:
        response.text = request.access_route[0]

    async def send_events() -> AsyncIterator[Any]:
        yield falcon.asgi.SSEvent(text=EVENT)

    async def events(request: Any, response: Any) -> None:
        response.sse = send_events()

    class Resource:
        async def on_websocket(self, request: Any, socket: Any) -> None:
            await socket.accept()

    sinks = {
        "url": url, "form": form, "json": json, "field": field, "error": error, "accept": accept,
        "client": client, "events": events,
    }  # fmt: skip
    app: Any = falcon.asgi.App()
    if name in sinks:
        app.add_sink(sinks[name])
        return app
    if name == "folder":
        app.add_static_route("/", str(folder))
        return app
    if name == "websocket":
        app.add_route("/", Resource())
        return app
    return {"router": app.router_options, "wsgi": falcon.App}.get(name)


LIBRARIES: dict[str, Library] = {
    "asgikit": asgikit,
    "Starlette": starlette,
    "baize": baize,
    "Werkzeug": werkzeug,
    "Falcon": falcon,
}
