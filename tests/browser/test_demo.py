"""The page of the demo in Chromium: each card works, on a phone and on a desktop."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.page_checks import (
    FOCUSED,
    MODES,
    SIZES,
    console_errors,
    emulate,
    layout_errors,
    low_contrasts,
    other_hosts,
    press_tab,
)
from tests.servers.harness import SETUPS, WAIT_BOUND, Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

# Resolve to [status, output] of a card once its status matches the pattern.
READ = """
const [id, pattern, bound] = arguments;
const card = document.getElementById(id);
return new Promise((resolve, reject) => {
    const status = card.querySelector(".status"), shown = card.querySelector(".output pre");
    const look = () => new RegExp(pattern).test(status.textContent)
        && (resolve([status.textContent, shown.textContent]), watch.disconnect());
    const watch = new MutationObserver(look);
    watch.observe(card, {subtree: true, childList: true, characterData: true});
    setTimeout(() => reject(new Error(`status of ${id}: ${status.textContent}`)), bound * 1000);
    look();
});
"""

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")


@pytest.fixture(scope="module")
def demo(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the demo; at the end, the log has no problems and no temporary file is left."""
    folder = tmp_path_factory.mktemp("demo")
    with Server(SETUP, "examples.demo:app", folder) as server:
        yield server
        browser.get("about:blank")
        assert server.stop()
    assert server.problems == []
    assert list((folder / "tmp").iterdir()) == []


@pytest.fixture(params=SIZES)
def page(browser: Chrome, demo: Server, request: pytest.FixtureRequest) -> Iterator[Chrome]:
    """Open the page on a screen; at the end, the console must have no errors."""
    browser.get_log("browser")  # type: ignore[no-untyped-call] # selenium
    emulate(browser, request.param)
    browser.get(f"http://127.0.0.1:{demo.port}/")
    yield browser
    assert console_errors(browser) == []
    browser.delete_all_cookies()
    emulate(browser)


def submit(page: Chrome, form: str) -> None:
    page.execute_script("document.querySelector(arguments[0]).requestSubmit()", form)


def read(page: Chrome, card: str, pattern: str) -> tuple[str, str]:
    """Wait until the status of a card matches ``pattern``; return the status and the output."""
    status, shown = page.execute_script(READ, card, pattern, WAIT_BOUND)
    return status, shown


def submit_and_read(page: Chrome, card: str, form: str, pattern: str = "ms$") -> tuple[str, str]:
    submit(page, f"#{card} form{form}")
    return read(page, card, pattern)


def document(shown: str) -> Any:
    """Return the JSON below the headers."""
    return json.loads(shown.rpartition("\n\n")[2])


def test_request_card_shows_parsed_request(page: Chrome) -> None:
    status, shown = submit_and_read(page, "request", "")

    echoed = document(shown)
    assert status.startswith("200 OK")
    assert echoed["query_params"] == {"q": ["hello wörld"], "tag": ["a", "b&c"]}
    assert "Chrome" in echoed["user_agent"]
    assert "content-type: application/json" in shown


def test_first_card_is_run_on_load(page: Chrome) -> None:
    status, shown = read(page, "request", "ms$")

    assert status.startswith("200 OK")
    assert document(shown)["query_params"]["q"] == ["hello wörld"]


def test_upload_card_shows_progress_and_hash(page: Chrome, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    (tmp_path / "žluť.bin").write_bytes(data)
    page.find_element("css selector", "#upload input").send_keys(str(tmp_path / "žluť.bin"))
    page.execute_script(
        "window.seen = []; const bar = document.querySelector('progress');"
        "new MutationObserver(() => seen.push(bar.value)).observe(bar, {attributes: true});"
    )

    status, shown = submit_and_read(page, "upload", "", "hash$")

    (file,) = json.loads(shown)["files"]
    assert (file["name"], file["size"]) == ("žluť.bin", len(data))
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert status.endswith("your browser computed the same hash")
    assert page.execute_script("return window.seen.at(-1)") == 1


def test_ranges_card_seeks_audio_and_reads_line(page: Chrome) -> None:
    seek = """
    const audio = document.querySelector("audio");
    return new Promise((resolve, reject) => {
        audio.onerror = () => reject(audio.error);
        audio.onseeked = () => resolve([audio.currentTime, audio.duration, audio.seekable.end(0)]);
        const jump = () => { audio.currentTime = 150; };
        audio.readyState ? jump() : audio.onloadedmetadata = jump;
    });
    """
    position, duration, seekable = page.execute_script(seek)
    assert position == 150
    assert duration == seekable > 150

    status, shown = submit_and_read(page, "ranges", "")
    assert status.startswith("206 Partial Content · 96 bytes")
    assert "content-range: bytes 1005248-1005343/1600000" in shown
    assert [line[:7] for line in shown.split("\n")[-4:-1]] == ["0031415", "0031416", "0031417"]


def test_events_card_continues_after_reconnection(page: Chrome) -> None:
    submit_and_read(page, "events", "", "^10 events in 2 connections")
    submit(page, "#events form")  # this stops the stream

    shown = read(page, "events", "Stopped")[1]
    ids = [int(number) for number in re.findall(r"id (\d+)", shown)]
    assert ids == list(range(1, len(ids) + 1))
    assert len(ids) >= 10
    assert shown.startswith("connection 1\n  id 1 ")
    assert "connection 2\n  id 6 " in shown
    assert page.find_element("css selector", "#events button").text == "Listen"


def test_streams_card_shows_chunks_and_can_be_aborted(page: Chrome) -> None:
    submit(page, "#streams form[action=stream]")
    text = page.execute_script(
        """const shown = document.querySelector("#streams .output pre");
        return new Promise((resolve) => {
            const look = () => /^4$/m.test(shown.textContent) && resolve(shown.textContent);
            new MutationObserver(look).observe(shown, {subtree: true, characterData: true});
            look();
        });"""
    )
    assert "lift-off" not in text

    # The next request replaces the aborted one.
    status, shown = submit_and_read(page, "streams", "[data-count]", "ms$")
    assert "200001 rows" in status
    assert "content-disposition: attachment" in shown
    assert "lift-off" not in shown


def test_conditions_card_gets_304_without_body(page: Chrome) -> None:
    first, poem = submit_and_read(page, "conditions", "[data-condition]")
    second, nothing = submit_and_read(page, "conditions", "[data-condition]", "^304.*ms$")
    read_again = submit_and_read(page, "conditions", "[data-forget]", "Forgotten")
    third, _ = submit_and_read(page, "conditions", "[data-condition]")

    assert first.startswith("200")
    assert "The tag you hold" in poem
    assert second.startswith("304 Not Modified · 0 bytes")
    assert "> if-none-match: " in nothing
    assert "The tag" not in nothing
    assert read_again[1] == ""
    assert third.startswith("200")


def test_cookie_card_sets_reads_and_clears_cookie(page: Chrome) -> None:
    set_ = submit_and_read(page, "cookie", "[action=cookie]")[1]
    read_ = submit_and_read(page, "cookie", "[action=cookie]", "ms$")[1]
    cleared = submit_and_read(page, "cookie", '[action="cookie/clear"]')[1]

    assert set_.endswith("Old cookie: (none)\nNew cookie: Ada; Lovelace, 🐎\n")
    assert "Old cookie: Ada; Lovelace, 🐎\n" in read_
    assert cleared.endswith("The cookie is deleted.\n")
    assert page.get_cookies() == []


@pytest.mark.parametrize(
    ("form", "status"), [("[data-json]", 400), ("[action=teapot]", 418), ("[action=nowhere]", 404)]
)
def test_errors_card_shows_problem_document(page: Chrome, form: str, status: int) -> None:
    status_text, shown = submit_and_read(page, "errors", form)

    assert status_text.startswith(str(status))
    assert "content-type: application/problem+json" in shown
    assert document(shown)["status"] == status


def test_json_integers_are_exact(page: Chrome) -> None:
    field = page.find_element("name", "json")
    field.clear()
    field.send_keys('{"big": 12345678901234567890123}')

    assert (
        "12345678901234567890123" in submit_and_read(page, "errors", "[data-json]", "^200.*ms$")[1]
    )


def test_form_card_returns_twenty_fields_in_order(page: Chrome) -> None:
    assert not page.find_element("name", "email").is_displayed()
    page.find_element("css selector", "#form summary").click()
    assert page.find_element("name", "email").is_displayed()
    form = document(submit_and_read(page, "form", "")[1])

    assert form["count"] == 20
    assert form["fields"][0] == ["name", "Ada Lovelace"]
    assert [value for name, value in form["fields"] if name == "tag"] == ["ranges", "events"]
    assert form["fields"][-2:] == [
        ["comment", "Two lines,\nand a horse: 🐎"],
        ["token", "0123abcd"],
    ]


@pytest.mark.parametrize("mode", MODES)
def test_text_has_sufficient_contrast(
    page: Chrome, mode: str, request: pytest.FixtureRequest
) -> None:
    emulate(page, request.node.callspec.params["page"], mode)
    page.find_element("css selector", "summary").click()
    for card, form in [("request", ""), ("errors", "[action=teapot]"), ("conditions", "")]:
        submit_and_read(page, card, form)

    assert low_contrasts(page) == []


def test_elements_are_visible_large_enough_and_labelled(page: Chrome) -> None:
    for card in CARDS:
        submit_and_read(page, card, "", "(ms|connection)")
    assert layout_errors(page) == []

    page.find_element("css selector", "summary").click()
    assert layout_errors(page) == []
    assert other_hosts(page) == []
    landmarks = "header, nav[aria-label], main, footer, section[aria-labelledby], [role=status]"
    assert len(page.find_elements("css selector", landmarks)) == 4 + 9 + 9


# The cards whose first form needs no file.
CARDS = ("request", "errors", "form", "ranges", "events", "streams", "conditions", "cookie")


def test_invalid_field_is_unfolded(page: Chrome) -> None:
    page.execute_script("document.getElementsByName('email')[0].value = 'no address'")
    submit(page, "#form form")

    assert page.find_element("name", "email").is_displayed()


def test_stopped_server_is_reported(browser: Chrome, tmp_path: Path) -> None:
    with Server(SETUP, "examples.demo:app", tmp_path) as server:
        emulate(browser, "phone")
        browser.get(f"http://127.0.0.1:{server.port}/")
        read(browser, "request", "ms$")
    texts = [
        submit_and_read(browser, card, "", "does not answer|was closed")[0]
        for card in ("request", "events", "streams")
    ]

    start = "No response The server does not answer."
    assert texts == [
        f"{start} Start it, and press the button again.",
        f"{start} The browser keeps trying to reconnect.",
        f"{start} Start it, and press the button again.",
    ]
    assert low_contrasts(browser) == []
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call] # selenium
    emulate(browser)


def test_tab_key_visits_cards_in_order(page: Chrome) -> None:
    page.execute_script("document.querySelector('details').open = true")
    page.execute_script("scrollTo(0, 0); document.activeElement.blur()")
    body = page.find_element("tag name", "body")
    stops: list[str] = []
    while len(stops) < 120:
        press_tab(page)
        width, style, place, is_in_view = page.execute_script(FOCUSED)
        if place == "BODY":
            break
        # The browser styles the parts of a date input and of an audio player.
        assert (width >= 2 and style == "solid") or place in {"ranges", "form"}, (place, len(stops))
        assert is_in_view, (place, len(stops))
        stops.append(place)

    assert stops[:4] == ["A", "A", "A", "NAV"]  # the skip link, and two links of the header
    order = list(dict.fromkeys(stops))
    cards = [link.get_attribute("href") for link in page.find_elements("css selector", "nav a")]
    assert order == ["A", "NAV", *(str(link).partition("#")[2] for link in cards)]
    assert stops.count("request") == 5
    assert body.is_displayed()


def test_card_works_with_keyboard_only(page: Chrome) -> None:
    page.find_element("css selector", "#cookie input").send_keys(" x\n")

    assert "New cookie: Ada; Lovelace, 🐎 x\n" in read(page, "cookie", "^200.*ms$")[1]


def test_forms_work_without_scripts(browser: Chrome, demo: Server, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"data")
    emulate(browser, "phone")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        found = {
            card: submit_without_scripts(browser, demo, card, tmp_path)
            for card in CARDS_WITHOUT_SCRIPTS
        }
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        emulate(browser)

    assert hashlib.sha256(b"data").hexdigest() in found["upload"]
    assert found["cookie"].endswith("New cookie: Ada; Lovelace, 🐎")
    assert json.loads(found["request"])["query_params"]["tag"] == ["a", "b&c"]
    assert found["conditions"].startswith("The tag you hold")
    assert "It is short and stout." in found["errors"]
    assert json.loads(found["form"])["count"] == 20


CARDS_WITHOUT_SCRIPTS = ("request", "upload", "conditions", "cookie", "errors", "form")


def submit_without_scripts(browser: Chrome, demo: Server, card: str, folder: Path) -> str:
    """Press the first button of a card; return the text of the next page."""
    page = f"http://127.0.0.1:{demo.port}/"
    browser.get(page)
    assert layout_errors(browser) == []
    assert low_contrasts(browser) == []
    if card == "upload":
        browser.find_element("name", "file").send_keys(str(folder / "file.txt"))
    browser.find_element("css selector", f"#{card} form:not(.live) button").click()
    until(lambda: browser.current_url != page, f"page of {card}")
    return browser.find_element("tag name", "body").text
