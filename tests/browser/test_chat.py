"""The page of the chat in Chromium: messages, reconnection and its appearance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.browser.page_checks import (
    FOCUSED,
    MODES,
    SIZES,
    emulate,
    layout_errors,
    low_contrasts,
    press_tab,
)
from tests.servers.harness import SETUPS, Server, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

LONG_WORD = "x" * 500


@pytest.fixture
def page(browser: Chrome) -> Iterator[Chrome]:
    yield browser
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call] # selenium
    emulate(browser)


def serve(folder: Path, name: str, port: int) -> Server:
    """Serve the chat at a port; streams do not delay the stop."""
    arguments = [part.replace("{port}", str(port)) for part in SETUPS[0].arguments]
    setup = replace(SETUPS[0], arguments=(*arguments, "--timeout-graceful-shutdown", "1"))
    (folder / name).mkdir()
    server = Server(setup, "examples.chat:app", folder / name)
    server.port = port
    return server


def text_of(page: Chrome, id_: str) -> str:
    return page.find_element("id", id_).text


def send(page: Chrome, text: str) -> None:
    page.find_element("name", "text").send_keys(f"{text}\n")


def focused_after_tab(page: Chrome) -> str:
    """Press Tab; return the element that has a visible focus."""
    press_tab(page)
    width, style, _, is_in_view = page.execute_script(FOCUSED)
    assert (width, style, is_in_view) == (3, "solid", True)
    name: str = page.switch_to.active_element.tag_name.upper()
    return name


@pytest.mark.parametrize("size", SIZES)
def test_chat_shows_messages_and_reconnects(page: Chrome, size: str, tmp_path: Path) -> None:
    port = free_port()
    emulate(page, size)
    with serve(tmp_path, "first", port):
        page.get(f"http://127.0.0.1:{port}/")
        until(lambda: text_of(page, "status") == "Connected", "connection")
        # The requests of two messages may overtake each other.
        for text, shown in (("one <b>", "one <b>"), (LONG_WORD, f"one <b>\n{LONG_WORD}")):
            send(page, text)
            until(lambda shown=shown: text_of(page, "messages") == shown, "messages")  # type: ignore[misc]
        for mode in MODES:
            emulate(page, size, mode)
            assert low_contrasts(page) == []
        page.refresh()
        until(lambda: text_of(page, "messages").startswith("one <b>"), "earlier messages")
        assert layout_errors(page) == []
        assert [focused_after_tab(page) for _ in range(2)] == ["INPUT", "BUTTON"]

    until(lambda: text_of(page, "status") == "The connection is lost. Reconnecting…", "report")
    send(page, "three")
    until(lambda: text_of(page, "error").startswith("Not sent: the server does not"), "error")
    assert page.find_element("name", "text").get_attribute("value") == "three"
    for mode in MODES:
        emulate(page, size, mode)
        assert low_contrasts(page) == []

    with serve(tmp_path, "second", port):
        until(lambda: text_of(page, "status") == "Connected", "reconnection", 30)
        send(page, "")
        until(lambda: text_of(page, "messages").endswith("\nthree"), "message after reconnection")
        assert text_of(page, "error") == ""
