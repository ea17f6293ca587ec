"""The examples inside other frameworks, each on a server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.servers.harness import SETUPS, Server, require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("framework", "own", "inside"),
    [
        ("starlette", "from Starlette", {"root_path": "/kit", "inside": "/some/wh ere"}),
        ("fastapi", '{"from":"FastAPI"}', {"root_path": "/kit", "inside": "/some/wh ere"}),
        ("django", "from Django", {"inside": "/some/wh ere"}),
    ],
)
def test_framework_and_mounted_app_respond(
    framework: str, own: str, inside: dict[str, str], tmp_path: Path
) -> None:
    require(framework)
    setup = next(setup for setup in SETUPS if setup.name == "uvicorn-h11-asyncio")
    with Server(setup, f"examples.mount_{framework}:app", tmp_path) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert httpx.get(url).text == own
        assert httpx.get(f"{url}/kit/some/wh%20ere").json() == inside
        assert httpx.get(f"{url}/kitten").status_code == 404
        assert server.stop()
        assert server.problems == []
