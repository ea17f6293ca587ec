"""Event streams as clients of other projects read them, direct and through nginx.

Each client gets thirty events with ids, a pause with pings before some of them, and a reconnection
time. The clients that reconnect are disconnected after each seven events.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.servers.harness import SETUPS, Server, require
from tests.servers.served.event_clients import COUNT
from tests.servers.test_nginx import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")
NODE_MODULES = os.environ.get("NODE_MODULES", "")
BOUND = 60

NODE_IS_MISSING = "needs Node, and NODE_MODULES with the package"

EXPECTED = [
    {"jsonrpc": "2.0", "method": "tick", "params": {"n": number}} for number in range(COUNT)
]

# Resolve once the server has ended the reconnections.
LISTEN = """
const seen = [];
return new Promise((resolve) => {
    const source = new EventSource(arguments[0]);
    source.onmessage = (event) => seen.push(JSON.parse(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
});
"""


def read_with_chromium(url: str, request: pytest.FixtureRequest) -> list[Any]:
    chrome = request.getfixturevalue("browser")
    chrome.get(url.partition("?")[0] + "page")
    seen: list[Any] = chrome.execute_script(LISTEN, url)
    return seen


def read_with_sdk(url: str, name: str) -> list[Any]:
    require(name)
    origin, _, target = url.rpartition("/")
    if name == "openai":
        import openai

        api: Any = openai.OpenAI(base_url=origin, api_key="x")
        stream: Any = openai.Stream[object]
    else:
        import anthropic

        api = anthropic.Anthropic(base_url=origin, api_key="x")
        stream = anthropic.Stream[object]
    with api:
        return [*api.post(f"/{target}", cast_to=object, stream=True, stream_cls=stream)]


def read_with_openai(url: str, _: object) -> list[Any]:
    return read_with_sdk(url, "openai")


def read_with_anthropic(url: str, _: object) -> list[Any]:
    return read_with_sdk(url, "anthropic")


def read_with_httpx_sse(url: str, _: object) -> list[Any]:
    require("httpx_sse")
    import httpx
    import httpx_sse

    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [event.json() for event in source.iter_sse()]


def read_with_mcp(url: str, _: object) -> list[Any]:
    require("mcp")
    import httpx2
    from mcp.shared._httpx_utils import sse_within_origin

    async def read() -> list[Any]:
        async with httpx2.AsyncClient() as client, sse_within_origin(client, url) as source:
            # As its `_handle_sse_event`: an event without data is ignored.
            return [json.loads(event.data) async for event in source if event.data]

    return anyio.run(read)


def read_with_node(name: str, package: str) -> Any:
    def read(url: str, _: object) -> list[Any]:
        if not Path(NODE_MODULES, package).is_dir() or shutil.which("node") is None:
            pytest.skip(NODE_IS_MISSING)
        done = subprocess.run(
            ["node", str(Path(__file__).with_name("event_clients.mjs")), name, url, str(COUNT)],
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=True,
        )
        seen: list[Any] = json.loads(done.stdout.split("\n")[-2])
        return seen

    return read


# The clients, and whether they reconnect.
CLIENTS: dict[str, tuple[Any, bool]] = {
    "chromium": (read_with_chromium, True),
    "openai_python": (read_with_openai, False),
    "openai_node": (read_with_node("openai", "openai"), False),
    "anthropic_python": (read_with_anthropic, False),
    "anthropic_node": (read_with_node("anthropic", "@anthropic-ai/sdk"), False),
    "mcp_python": (read_with_mcp, False),
    "mcp_node": (read_with_node("mcp", "@modelcontextprotocol/sdk"), True),
    "httpx_sse": (read_with_httpx_sse, False),
    "undici": (read_with_node("undici", "undici"), True),
    "eventsource": (read_with_node("eventsource", "eventsource"), True),
}


@pytest.fixture(scope="module", params=["direct", "nginx"])
def origin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("event-clients")
    with Server(SETUP, "served.event_clients:app", folder) as server:
        if request.param == "direct":
            yield f"http://127.0.0.1:{server.port}/"
        else:
            with nginx(server.port, folder / "nginx") as port:
                yield f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("client", CLIENTS)
def test_event_client_receives_each_event_once(
    client: str, origin: str, request: pytest.FixtureRequest
) -> None:
    read, reconnects = CLIENTS[client]

    assert read(f"{origin}?{client}&{'cut=7' if reconnects else ''}", request) == EXPECTED


@pytest.mark.parametrize("client", CLIENTS)
def test_event_client_reads_stream_that_opens_with_retry(
    client: str, origin: str, request: pytest.FixtureRequest
) -> None:
    read, _ = CLIENTS[client]

    # No empty line follows: openai and httpx-sse for Python would take it for an event.
    assert read(f"{origin}?{client}&retry", request) == EXPECTED
