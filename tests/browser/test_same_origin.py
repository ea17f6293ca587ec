"""``SameOrigin`` in Chromium: POST requests from a page of the same origin and of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

UVICORN = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")

FORM = """
const form = document.body.appendChild(document.createElement("form"));
form.method = "POST";
form.action = url;
form.target = target;
form.submit();
"""

# Scripts that send a POST to `url`.
WAYS = {
    "form": f"const target = '_self'; {FORM}",
    "iframe": f"""
const target = "frame";
document.body.appendChild(document.createElement("iframe")).name = target;
{FORM}""",
    "fetch": 'fetch(url, {method: "POST", mode: "no-cors", credentials: "include", body: "a=1"});',
    "beacon": 'navigator.sendBeacon(url, "a=1");',
}


@pytest.mark.parametrize("way", WAYS)
def test_post_from_another_origin_is_refused(browser: Chrome, way: str, tmp_path: Path) -> None:
    folders = [tmp_path / "site", tmp_path / "attacker"]
    for folder in folders:
        folder.mkdir()
    with (
        Server(UVICORN, "served.same_origin:app", folders[0]) as site,
        Server(UVICORN, "served.same_origin:app", folders[1]) as attacker,
    ):
        for name, port, status in (("own", site.port, 200), ("other", attacker.port, 403)):
            browser.get(f"http://127.0.0.1:{port}/page")
            url = f"http://127.0.0.1:{site.port}/{name}"
            browser.execute_script(f"const url = arguments[0]; {WAYS[way]}", url)
            site.wait_for_mark("statuses", f"{name} {status}")
        browser.get("about:blank")
