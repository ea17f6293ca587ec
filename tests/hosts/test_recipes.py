"""The recipes of the documentation, with the third-party packages that they are written for."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Mount, Route

from asgikit.testing import exchange, lifespan
from tests.project.snippets import programs, run
from tests.servers.harness import require
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import httpx

    from asgikit import ASGIApp

    Client = Callable[[Any], AbstractAsyncContextManager[httpx.AsyncClient]]

pytestmark = pytest.mark.anyio

# The page of each recipe, the position of its program in the page, and the packages that it needs.
RECIPES = {
    "FastAPI route": ("fastapi", 0, ["fastapi"]),
    "FastAPI mount": ("fastapi", 1, ["fastapi"]),
    "Starlette middleware": ("starlette", 0, ["starlette", "itsdangerous"]),
    "Starlette router": ("starlette", 1, ["starlette"]),
    "Starlette schemas": ("starlette", 2, ["starlette", "yaml"]),
    "match": ("routing", 0, []),
    "werkzeug.routing": ("routing", 1, ["werkzeug"]),
    "Sentry": ("observability", 1, ["sentry_sdk"]),
    "OpenTelemetry": ("observability", 2, ["opentelemetry.instrumentation.asgi"]),
    "Prometheus": ("observability", 3, ["prometheus_client"]),
    "structlog": ("observability", 4, ["structlog"]),
    "itsdangerous": ("sessions", 0, ["itsdangerous"]),
    "Jinja2": ("templates", 0, ["jinja2"]),
    "strawberry": ("graphql", 0, ["strawberry"]),
    "a2wsgi": ("wsgi", 0, ["a2wsgi"]),
    "MCP": ("mcp", 0, ["mcp"]),
}


def recipe(name: str) -> dict[str, Any]:
    """Run the program of a recipe; return its global names."""
    page, position, packages = RECIPES[name]
    for package in packages:
        require(package)
    path = ROOT / "docs" / "pages" / "recipes" / f"{page}.md"
    program = programs(page, path.read_text(encoding="utf-8"))[position]
    return run(program.source, program.name)


async def test_fastapi_route_streams_asgikit_events(client_of: Client) -> None:
    async with client_of(recipe("FastAPI route")["app"]) as client:
        events = await client.get("/count")
        schema = await client.get("/openapi.json")

    assert events.headers["content-type"].partition(";")[0] == "text/event-stream"
    data = [line for line in events.text.split("\n") if line.startswith("data")]
    assert data == ["data: 0", "data: 1", "data: 2"]
    # An asgikit request as a dependency is no parameter of the route.
    assert "parameters" not in schema.json()["paths"]["/languages"]["get"]


async def test_fastapi_mount_passes_path_below_prefix(client_of: Client) -> None:
    async with client_of(recipe("FastAPI mount")["app"]) as client:
        assert (await client.get("/files/a/b")).text == "/a/b below /files"


async def test_starlette_session_survives_second_request(client_of: Client) -> None:
    async with client_of(recipe("Starlette middleware")["app"]) as client:
        headers = {"host": "example.com"}
        first = await client.get("/", headers=headers)
        cookie = first.headers["set-cookie"].partition(";")[0]
        second = await client.get("/", headers={**headers, "cookie": cookie})

    assert (first.json(), second.json()) == ({"visits": 1}, {"visits": 2})


async def test_starlette_cors_preflight_is_answered(client_of: Client) -> None:
    headers = {
        "host": "example.com",
        "origin": "https://example.com",
        "access-control-request-method": "GET",
    }
    async with client_of(recipe("Starlette middleware")["app"]) as client:
        preflight = await client.options("/", headers=headers)
        other = await client.options("/", headers={**headers, "origin": "https://evil.example"})

    assert preflight.headers["access-control-allow-origin"] == "https://example.com"
    assert "access-control-allow-origin" not in other.headers


async def test_starlette_router_finds_handler_by_name(client_of: Client) -> None:
    app = recipe("Starlette router")["app"]

    path = app.url_path_for("show_tea", name="assam")
    async with client_of(app) as client:
        assert (await client.get(path)).text == "assam is hot."


async def test_starlette_schema_has_functions_classes_and_handlers() -> None:
    names = recipe("Starlette schemas")
    documented = "responses: {200: {description: %s}}"

    def function(request: Any) -> None:
        raise NotImplementedError

    class Endpoint(HTTPEndpoint):
        def delete(self, request: Any) -> None:
            raise NotImplementedError

    function.__doc__ = documented % "function"
    Endpoint.delete.__doc__ = documented % "class"
    handler, hidden = names["show_tea"], names["schema"]
    routes = [
        Route("/function", function, methods=["PUT"]),
        Route("/class", Endpoint),
        Route("/any", handler),
        Route("/hidden", hidden, include_in_schema=False),
        Mount("/below", routes=[Route("/{id:int}", handler, methods=["POST", "PATCH"])]),
    ]
    paths = names["schemas"].get_schema(routes)["paths"]
    assert {path: sorted(methods) for path, methods in paths.items()} == {
        "/function": ["put"],
        "/class": ["delete"],
        "/any": ["get"],
        "/below/{id}": ["patch", "post"],
    }


@pytest.mark.parametrize("name", ["match", "werkzeug.routing"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/coffee", 404),
        ("DELETE", "/teas/7", 405),
        ("GET", "/teas/7", 200),
        ("GET", "/teas/7/8", 404),
        ("HEAD", "/teas/7", 200),
    ],
)
async def test_router_answers_path_and_method(
    client_of: Client, name: str, method: str, path: str, status: int
) -> None:
    async with client_of(recipe(name)["app"]) as client:
        assert (await client.request(method, path)).status_code == status


# Sentry patches the standard library and others for good, so that its program runs in a process of
# its own.
SENTRY = """
import asyncio, json
import httpx
import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.transport import Transport
from asgikit import HTTPError, request_response
from tests.hosts.test_recipes import recipe

reports = []

class Recorder(Transport):
    def capture_envelope(self, envelope):
        reports.extend(item.payload.json for item in envelope.items if item.type == "event")

@request_response
async def refuse(request):
    raise HTTPError(404)

async def main():
    app = recipe("Sentry")["app"]
    sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Recorder)
    statuses = []
    for app, path in [(app, "/coffee"), (app, "/assam"), (SentryAsgiMiddleware(refuse), "/")]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://a.test") as client:
            statuses.append((await client.get(path)).status_code)
    types = [report["exception"]["values"][-1]["type"] for report in reports]
    print(json.dumps([statuses, types]))

asyncio.run(main())
"""


async def test_sentry_reports_exception_once_and_no_http_error() -> None:
    require("sentry_sdk")

    done = await anyio.run_process([sys.executable, "-c", SENTRY], cwd=ROOT)

    assert json.loads(done.stdout) == [[500, 200, 404], ["KeyError"]]


async def test_opentelemetry_span_reaches_threads_and_generators(client_of: Client) -> None:
    require("opentelemetry.sdk")
    require("opentelemetry.instrumentation.asgi")
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from asgikit import Request, StreamingResponse, request_response

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("teas")

    @request_response
    def handler(_request: Request) -> StreamingResponse:
        def lines() -> Any:
            for number in range(3):
                with tracer.start_as_current_span(f"step {number}"):
                    yield b"hot\n"

        with tracer.start_as_current_span("handler"):
            return StreamingResponse(lines())

    app = OpenTelemetryMiddleware(handler, tracer_provider=provider)
    async with client_of(app) as client:
        assert (await client.get("/")).text == "hot\n" * 3

    spans = {span.name: span for span in exporter.get_finished_spans()}
    (root,) = [span for span in spans.values() if span.parent is None]
    for name in ["handler", "step 0", "step 1", "step 2"]:
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == root.context.span_id


async def test_prometheus_counts_response_by_status() -> None:
    app = recipe("Prometheus")["app"]

    await exchange(app, "GET", "/teas")
    metrics = await exchange(app, "GET", "/metrics", strict=False)  # mixed-case header names

    assert 'request_seconds_count{method="GET",status="200"} 1.0' in metrics.text


async def test_structlog_context_reaches_handler(client_of: Client) -> None:
    names = recipe("structlog")
    import structlog

    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as records:
        async with client_of(names["app"]) as client:
            await client.get("/?tea=assam%0a")

    ((record),) = records
    assert (record["event"], record["tea"], len(record["request_id"])) == (
        "tea_ordered",
        "assam\n",
        32,
    )


async def test_signed_session_round_trips_and_refuses_changes(client_of: Client) -> None:
    async with client_of(recipe("itsdangerous")["app"]) as client:
        answer = await client.post("/", data={"user": "ada"})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        client.cookies.clear()
        same = await client.get("/", headers={"cookie": cookie})
        client.cookies.clear()
        changed = await client.get("/", headers={"cookie": f"{cookie}x"})

    assert (same.json(), changed.json()) == ({"user": "ada"}, {})


async def test_jinja_template_escapes_client_text(client_of: Client) -> None:
    async with client_of(recipe("Jinja2")["app"]) as client:
        assert (await client.get("/?name=<b>")).text == "<h1>&lt;b&gt;</h1>"


async def test_graphql_app_gets_body_that_handler_read(client_of: Client) -> None:
    graphql = recipe("strawberry")["graphql"]
    from asgikit import Request, request_response

    @request_response
    async def app(request: Request) -> ASGIApp:
        assert b"tea" in await request.body()
        answer: ASGIApp = graphql
        return answer

    async with client_of(app) as client:
        answer = await client.post("/", json={"query": '{ tea(name: "Assam") }'})

    assert answer.json() == {"data": {"tea": "Assam is hot."}}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # a2wsgi uses asyncio itself
async def test_wsgi_app_reads_large_body(anyio_backend: str, client_of: Client) -> None:
    del anyio_backend
    async with client_of(recipe("a2wsgi")["app"]) as client:
        answer = await client.post("/old/teas", content=bytes(1_000_000))

    assert answer.text == "POST of 1000000 bytes"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # as the SDK's own server
async def test_mcp_client_calls_tool_beside_handler(
    anyio_backend: str, client_of: Client, caplog: pytest.LogCaptureFixture
) -> None:
    del anyio_backend
    app = recipe("MCP")["app"]
    headers = {"accept": "application/json, text/event-stream", "host": "127.0.0.1:8000"}
    initialize = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    with caplog.at_level(logging.ERROR):
        async with lifespan(app), client_of(app) as client:
            for method, params in [
                ("initialize", initialize),
                ("tools/call", {"name": "brew", "arguments": {"tea": "Assam"}}),
            ]:
                message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                answer = await client.post("/mcp", json=message, headers=headers)
                assert answer.status_code == 200, answer.text
            hello = await client.get("/")

    assert answer.json()["result"]["content"] == [{"type": "text", "text": "Assam is hot."}]
    assert hello.text == "hello"
    assert caplog.records == []
