"""The examples of JSON APIs and of file downloads."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from asgikit.testing import exchange
from examples import file_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["json_msgspec", "json_pydantic"])
def app(request: pytest.FixtureRequest) -> Any:
    """Return the same API with each validator."""
    pytest.importorskip(request.param.removeprefix("json_"))
    return importlib.import_module(f"examples.{request.param}").app


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"item": "tea", "count": 2}', {"item": "tea", "count": 2}),
        (b'{"item": "caf\xc3\xa9"}', {"item": "café", "count": 1}),
    ],
)
async def test_valid_order_is_accepted(app: Any, sent: bytes, expected: object) -> None:
    answer = await exchange(app, "POST", body=sent)

    assert (answer.status_code, answer.json()) == (201, expected)


@pytest.mark.parametrize(
    ("method", "sent", "status"),
    [
        ("GET", b"", 405),
        ("POST", b"", 400),
        ("POST", b'{"item": ', 400),
        ("POST", b'{"item": "\xff"}', 400),
        ("POST", b'{"count": 2}', 422),
        ("POST", b'{"item": "tea", "count": 0}', 422),
        ("POST", b'{"item": "tea", "price": 0}', 422),
        ("POST", b"[]", 422),
        ("POST", b" " * (10 * 1024 * 1024 + 1), 413),
    ],
)
async def test_invalid_order_is_refused_with_its_status(
    app: Any, method: str, sent: bytes, status: int
) -> None:
    answer = await exchange(app, method, body=sent)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_pydantic_error_names_the_wrong_field() -> None:
    pytest.importorskip("pydantic")
    from examples import json_pydantic

    answer = await exchange(json_pydantic.app, "POST", body=b'{"item": "", "count": 0}')

    assert [error["loc"] for error in answer.json()["errors"]] == [["item"], ["count"]]


async def test_folder_example_serves_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("<h1>Hello</h1>")
    (tmp_path / "app.0123abcd.js").write_text("1")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    app = importlib.reload(file_server).app

    index = await exchange(app, headers={"range": "bytes=1-2"})
    script = await exchange(app, target="/app.0123abcd.js")

    assert (index.status_code, index.body) == (206, b"h1")
    assert index.headers["cache-control"] == "public, max-age=60"
    assert "immutable" in script.headers["cache-control"]
    for target in ("/missing", "/../secret", "/%2e%2e/secret"):
        assert (await exchange(app, target=target)).status_code == 404
