"""The page of a problem in Chromium: its appearance on a phone and in the dark."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from asgikit import ProblemResponse
from tests.browser.page_checks import MODES, SIZES, emulate, layout_errors, low_contrasts

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PROBLEM = ProblemResponse(
    403,
    title="Forbidden",
    detail="Your balance is 30, but that costs 50. " * 5,
    type="https://example.org/problems/" + "out-of-credit-" * 10,
    instance="/accounts/12345",
    extensions={"balance": 30, "x" * 60: ["/accounts/1", "/accounts/2"]},
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_problem_page_is_legible(browser: Chrome, size: str, mode: str) -> None:
    scope = {"type": "http", "headers": [(b"accept", b"text/html")]}
    page = bytes(PROBLEM.for_scope(scope).body).decode()
    emulate(browser, size, mode)
    browser.get(f"data:text/html;charset=utf-8,{quote(page)}")

    assert browser.find_element("tag name", "h1").text == "403 Forbidden"
    assert low_contrasts(browser) == []
    assert layout_errors(browser) == []
    emulate(browser)
