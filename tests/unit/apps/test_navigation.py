"""Navigations by the headers of a request, and the fallback of a folder for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asgikit.apps.navigation import is_navigation
from asgikit.apps.staticfiles import StaticFiles
from asgikit.testing import exchange

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

REQUESTS: list[tuple[dict[str, str], str, bool]] = [
    # Sec-Fetch-Mode decides, in spite of other headers.
    ({"sec-fetch-mode": "navigate"}, "/wiki/Vue.js", True),
    ({"sec-fetch-mode": "navigate", "accept": "application/json"}, "/a.js", True),
    ({"sec-fetch-mode": "cors", "accept": BROWSER}, "/users", False),
    ({"sec-fetch-mode": "no-cors", "sec-fetch-dest": "document"}, "/users", False),
    ({"sec-fetch-mode": "websocket"}, "/users", False),
    ({"sec-fetch-mode": ""}, "/users", False),
    ({"sec-fetch-mode": "Navigate"}, "/users", False),  # the token is lower-case
    # Then the destination.
    ({"sec-fetch-dest": "document"}, "/wiki/Vue.js", True),
    ({"sec-fetch-dest": "iframe"}, "/users", True),
    ({"sec-fetch-dest": "empty", "accept": BROWSER}, "/users", False),
    ({"sec-fetch-dest": "image", "accept": "*/*"}, "/avatars/42", False),
    ({"sec-fetch-dest": "script"}, "/static/chunk", False),
    # Then Accept.
    ({"accept": BROWSER}, "/docs/report.pdf", True),
    ({"accept": "text/html"}, "/a.js", True),
    ({"accept": "text/html;charset=utf-8;q=0.1, */*"}, "/a.js", True),
    ({"accept": "TEXT/HTML"}, "/a.js", True),
    ({"accept": "text/html;q=0, */*"}, "/users.html", True),  # refused, so not named
    ({"accept": "application/json"}, "/users", False),
    ({"accept": "application/json, */*"}, "/users", False),
    ({"accept": "image/avif,image/webp,*/*;q=0.8"}, "/avatars/42", False),
    ({"accept": "text/*"}, "/users", False),
    # Then the extension.
    ({}, "/users/7", True),
    ({}, "/users/7/", True),
    ({}, "/users/john.doe", True),
    ({}, "/old.html", True),
    ({}, "/missing.js", False),
    ({"accept": "*/*"}, "/users/7", True),
    ({"accept": "*/*"}, "/missing.png", False),
    ({"accept": "*/*;q=0.5"}, "/missing.png", False),
    ({"accept": "*"}, "/users", True),  # Java
    ({"accept": "; nonsense"}, "/users", True),
    ({"accept": ""}, "/missing.png", False),
    ({"accept": "text/html" + "," * 9000}, "/missing.png", False),  # too long to be read
]


@pytest.mark.parametrize(("headers", "path", "expected"), REQUESTS, ids=range(len(REQUESTS)))
async def test_navigation_is_recognised(
    tmp_path: Path, headers: dict[str, str], path: str, expected: bool
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_navigation(raw, path) is expected

    (tmp_path / "index.html").write_bytes(b"page")
    answer = await exchange(
        StaticFiles(tmp_path, fallback="index.html"), target=path, headers=headers
    )
    assert answer.status_code == (200 if expected else 404)
    assert (answer.body == b"page") is expected


@pytest.mark.parametrize("options", [{}, {"cache_control": "max-age=9", "immutable": "."}])
@pytest.mark.parametrize("html", [False, True])
async def test_fallback_is_not_cached_and_names_its_headers(
    tmp_path: Path, options: dict[str, Any], html: bool
) -> None:
    for name in ("index.html", "404.html", "index.html.gz"):
        (tmp_path / name).write_bytes(name.encode())
    app = StaticFiles(tmp_path, fallback="index.html", html=html, **options)
    vary = "Sec-Fetch-Mode, Sec-Fetch-Dest, Accept"

    page = await exchange(app, target="/users/7")
    assert (page.status_code, page.body) == (200, b"index.html")
    assert page.headers.getall("cache-control") == ["no-cache"]
    assert page.headers.getall("vary") == [f"{vary}, accept-encoding"]
    again = await exchange(app, target="/users/7", headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"] == "no-cache"
    assert again.headers["vary"] == f"{vary}, accept-encoding"

    missing = await exchange(app, target="/missing.js")
    assert missing.status_code == 404
    assert missing.headers.getall("vary") == [vary]
    assert "cache-control" not in missing.headers
    assert missing.body == (b"404.html" if html else missing.body)


async def test_page_of_the_fallback_by_its_own_name_is_cached_as_usual(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"page")
    app = StaticFiles(tmp_path, fallback="index.html", cache_control="max-age=9")

    answer = await exchange(app, target="/index.html")
    assert answer.headers["cache-control"] == "max-age=9"
    assert "vary" not in answer.headers


async def test_missing_fallback_is_404_with_vary(tmp_path: Path) -> None:
    app = StaticFiles(tmp_path, fallback="index.html")

    answer = await exchange(app, target="/users/7")
    assert answer.status_code == 404
    assert answer.headers["vary"] == "Sec-Fetch-Mode, Sec-Fetch-Dest, Accept"
