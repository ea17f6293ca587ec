"""The demo's page in Chromium: each card keeps its promise, on a phone and on a desktop."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, WAIT_BOUND, Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
MODES = ["light", "dark"]

# What a card shows once its status matches: [status, answer].
READ = """
const [id, pattern, bound] = arguments;
const card = document.getElementById(id);
return new Promise((give, fail) => {
    const status = card.querySelector(".status"), shown = card.querySelector("pre");
    const look = () => new RegExp(pattern).test(status.textContent)
        && (give([status.textContent, shown.textContent]), watch.disconnect());
    const watch = new MutationObserver(look);
    watch.observe(card, {subtree: true, childList: true, characterData: true});
    setTimeout(() => fail(new Error(`${id} says ${status.textContent}`)), bound * 1000);
    look();
});
"""

# Ratio of the luminances of a text's colour and of the first opaque background behind it
# (WCAG 2.2, success criterion 1.4.3), for each element that has text of its own.
CONTRASTS = """
const channels = (color) => color.match(/[0-9.]+/g).map(Number);
const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => value / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const backdrop = (element) => {
    for (; element; element = element.parentElement) {
        const color = getComputedStyle(element).backgroundColor;
        if ((channels(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
};
const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "";
return [...document.body.querySelectorAll("*")]
    .filter((element) => element.checkVisibility()
        && ([...element.childNodes].some(isText) || element.matches("input, select, textarea")))
    .filter((element) => !/SCRIPT|OPTION|PROGRESS/.test(element.tagName))
    .map((element) => {
        const [one, other] = [getComputedStyle(element).color, backdrop(element)].map(luminance);
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        return [`${element.tagName} ${element.outerHTML.slice(0, 60)}`, ratio];
    });
"""

UNLABELLED = """
return [...document.querySelectorAll("input, select, textarea, button, audio, progress")]
    .filter((element) => element.type !== "hidden")
    .filter((element) => !element.labels?.length && !element.ariaLabel
        && !(element.tagName === "BUTTON" && element.textContent.trim()))
    .map((element) => element.outerHTML);
"""

FOCUSED = """
const element = document.activeElement, style = getComputedStyle(element);
const box = element.getBoundingClientRect();
return [element.matches(":focus-visible") ? parseFloat(style.outlineWidth) : 0, style.outlineStyle,
    element.closest("section")?.id ?? element.closest("nav")?.tagName ?? element.tagName,
    box.bottom > 0 && box.top < innerHeight];
"""

LEFT_OUT_OF_SIGHT = """
return [...document.body.querySelectorAll("*")].filter((element) => element.checkVisibility())
    .filter((element) => element.getBoundingClientRect().right > innerWidth)
    .map((element) => element.outerHTML.slice(0, 80));
"""

SMALL_TARGETS = """
return [...document.querySelectorAll("button, nav a, select, textarea, input")]
    .filter((element) => element.checkVisibility() && !/radio|checkbox/.test(element.type))
    .filter((element) => element.getBoundingClientRect().height < 24)
    .map((element) => element.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def demo(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo behind a server; its log must be clean, and its temporary files gone."""
    setup = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")
    folder = tmp_path_factory.mktemp("demo")
    with Server(setup, "examples.demo:app", folder) as server:
        yield server
        browser.get("about:blank")
        assert server.stop()
    assert server.problems == []
    assert list((folder / "tmp").iterdir()) == []


def look_like(browser: Chrome, size: str | None = None, mode: str = "light") -> None:
    """Take the size of a screen, and a mode of colours; back to the browser's own without."""
    features = [
        {"name": "prefers-color-scheme", "value": mode},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # so that nothing is on its way
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if size is None:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    else:
        width, height = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": size == "phone"}
        )


def troubles(browser: Chrome) -> list[str]:
    """What the console holds, but for the error answers that were asked for."""
    log: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call] # theirs
    return [
        entry["message"]
        for entry in log
        if not (entry["source"] == "network" and re.search(r"status of 4\d\d", entry["message"]))
    ]


@pytest.fixture(params=SIZES)
def page(browser: Chrome, demo: Server, request: pytest.FixtureRequest) -> Iterator[Chrome]:
    """The page on a screen; in the end there must be nothing on the console."""
    browser.get_log("browser")  # type: ignore[no-untyped-call] # theirs
    look_like(browser, request.param)
    browser.get(f"http://127.0.0.1:{demo.port}/")
    yield browser
    assert troubles(browser) == []
    browser.delete_all_cookies()
    look_like(browser)


def submit(page: Chrome, form: str) -> None:
    page.execute_script("document.querySelector(arguments[0]).requestSubmit()", form)


def read(page: Chrome, card: str, pattern: str) -> tuple[str, str]:
    """Wait for what a card says; give its status and its answer."""
    status, shown = page.execute_script(READ, card, pattern, WAIT_BOUND)
    return status, shown


def ask(page: Chrome, card: str, form: str, pattern: str = "ms$") -> tuple[str, str]:
    submit(page, f"#{card} form{form}")
    return read(page, card, pattern)


def document(shown: str) -> Any:
    """The JSON below the fields."""
    return json.loads(shown.rpartition("\n\n")[2])


def test_the_request_is_shown_as_it_was_read(page: Chrome) -> None:
    status, shown = ask(page, "request", "")

    echoed = document(shown)
    assert status.startswith("200 OK")
    assert echoed["query_params"] == {"q": ["hello wörld"], "tag": ["a", "b&c"]}
    assert "Chrome" in echoed["headers"]["user-agent"][0]
    assert "content-type: application/json" in shown


def test_an_upload_shows_its_progress_and_its_hash(page: Chrome, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    (tmp_path / "žluť.bin").write_bytes(data)
    page.find_element("css selector", "#upload input").send_keys(str(tmp_path / "žluť.bin"))
    page.execute_script(
        "window.seen = []; const bar = document.querySelector('progress');"
        "new MutationObserver(() => seen.push(bar.value)).observe(bar, {attributes: true});"
    )

    status, shown = ask(page, "upload", "", "hash$")

    (file,) = json.loads(shown)["files"]
    assert (file["name"], file["size"]) == ("žluť.bin", len(data))
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert status.endswith("your browser computed the same hash")
    assert page.execute_script("return window.seen.at(-1)") == 1


def test_a_tune_is_sought_and_a_line_is_read_by_ranges(page: Chrome) -> None:
    seek = """
    const audio = document.querySelector("audio");
    return new Promise((give, fail) => {
        audio.onerror = () => fail(audio.error);
        audio.onseeked = () => give([audio.currentTime, audio.duration, audio.seekable.end(0)]);
        const jump = () => { audio.currentTime = 250; };
        audio.readyState ? jump() : audio.onloadedmetadata = jump;
    });
    """
    position, duration, seekable = page.execute_script(seek)
    assert position == 250
    assert duration == seekable > 250

    status, shown = ask(page, "ranges", "")
    assert status.startswith("206 Partial Content · 96 bytes")
    assert "content-range: bytes 1005248-1005343/1600000" in shown
    assert [line[:7] for line in shown.split("\n")[-4:-1]] == ["0031415", "0031416", "0031417"]


def test_events_go_on_where_the_connection_ended(page: Chrome) -> None:
    ask(page, "events", "", "^10 events in 2 connections")
    submit(page, "#events form")  # which stops it

    shown = read(page, "events", "Stopped")[1]
    ids = [int(number) for number in re.findall(r"id (\d+)", shown)]
    assert ids == list(range(1, len(ids) + 1))
    assert len(ids) >= 10
    assert shown.startswith("connection 1\n  id 1 ")
    assert "connection 2\n  id 6 " in shown
    assert page.find_element("css selector", "#events button").text == "Listen"


def test_a_stream_arrives_in_pieces_and_can_be_left(page: Chrome) -> None:
    submit(page, "#streams form[action=stream]")
    page.execute_script(
        """const shown = document.querySelector("#streams pre");
        return new Promise((give) => {
            const look = () => /^4$/m.test(shown.textContent) && give();
            new MutationObserver(look).observe(shown, {subtree: true, characterData: true});
            look();
        });"""
    )
    assert "lift-off" not in page.find_element("css selector", "#streams pre").text

    # What is asked next takes its place.
    status, shown = ask(page, "streams", "[data-count]", "ms$")
    assert "200001 rows" in status
    assert "content-disposition: attachment" in shown
    assert "lift-off" not in shown


def test_the_second_answer_is_a_304_without_a_byte(page: Chrome) -> None:
    first, poem = ask(page, "conditions", "[data-condition]")
    second, nothing = ask(page, "conditions", "[data-condition]", "^304.*ms$")
    read_again = ask(page, "conditions", "[data-forget]", "Forgotten")
    third, _ = ask(page, "conditions", "[data-condition]")

    assert first.startswith("200")
    assert "The tag you hold" in poem
    assert second.startswith("304 Not Modified · 0 bytes")
    assert "> if-none-match: " in nothing
    assert "The tag" not in nothing
    assert read_again[1] == ""
    assert third.startswith("200")


def test_a_cookie_is_set_read_and_cleared(page: Chrome) -> None:
    set_ = ask(page, "cookie", "[action=cookie]")[1]
    read_ = ask(page, "cookie", "[action=cookie]", "ms$")[1]
    cleared = ask(page, "cookie", '[action="cookie/clear"]')[1]

    assert set_.endswith("You are Ada; Lovelace, 🐎, and were nobody before.\n")
    assert "were Ada; Lovelace, 🐎 before" in read_
    assert cleared.endswith("Forgotten.\n")
    assert page.get_cookies() == []


@pytest.mark.parametrize(
    ("form", "status"), [("[data-json]", 400), ("[action=teapot]", 418), ("[action=nowhere]", 404)]
)
def test_an_error_is_a_problem_document(page: Chrome, form: str, status: int) -> None:
    said, shown = ask(page, "errors", form)

    assert said.startswith(str(status))
    assert "content-type: application/problem+json" in shown
    assert document(shown)["status"] == status


def test_json_keeps_its_integers_exact(page: Chrome) -> None:
    field = page.find_element("name", "json")
    field.clear()
    field.send_keys('{"big": 12345678901234567890123}')

    assert "12345678901234567890123" in ask(page, "errors", "[data-json]", "^200.*ms$")[1]


def test_twenty_fields_come_back_in_order(page: Chrome) -> None:
    form = document(ask(page, "form", "")[1])

    assert form["count"] == 20
    assert form["fields"][0] == ["name", "Ada Lovelace"]
    assert [value for name, value in form["fields"] if name == "tag"] == ["ranges", "events"]
    assert form["fields"][-2:] == [
        ["comment", "Two lines,\nand a horse: 🐎"],
        ["token", "0123abcd"],
    ]


@pytest.mark.parametrize("mode", MODES)
def test_all_text_can_be_read(page: Chrome, mode: str, request: pytest.FixtureRequest) -> None:
    look_like(page, request.node.callspec.params["page"], mode)
    for card, form in [("request", ""), ("errors", "[action=teapot]"), ("conditions", "")]:
        ask(page, card, form)

    contrasts = page.execute_script(CONTRASTS)
    assert len(contrasts) > 80
    assert [found for found in contrasts if found[1] < 4.5] == []


def test_nothing_is_cut_off_or_too_small_or_without_a_name(page: Chrome) -> None:
    ask(page, "request", "")
    ask(page, "form", "")

    assert page.execute_script(LEFT_OUT_OF_SIGHT) == []
    assert page.execute_script(SMALL_TARGETS) == []
    assert page.execute_script(UNLABELLED) == []
    landmarks = "header, nav[aria-label], main, footer, section[aria-labelledby], [role=status]"
    assert len(page.find_elements("css selector", landmarks)) == 4 + 9 + 9


def test_the_tab_key_goes_through_the_cards_in_order(page: Chrome) -> None:
    ask(page, "request", "")  # whose answer can be scrolled, and so is a stop too
    page.execute_script("scrollTo(0, 0); document.activeElement.blur()")
    body = page.find_element("tag name", "body")
    stops: list[str] = []
    while len(stops) < 120:
        press_tab(page)
        width, style, place, is_in_sight = page.execute_script(FOCUSED)
        if place == "BODY":
            break
        # The parts of a date, and of a player, are the browser's own.
        assert (width >= 2 and style == "solid") or place in {"ranges", "form"}, (place, len(stops))
        assert is_in_sight, (place, len(stops))
        stops.append(place)

    assert stops[:2] == ["A", "NAV"]
    order = list(dict.fromkeys(stops))
    cards = [link.get_attribute("href") for link in page.find_elements("css selector", "nav a")]
    assert order == ["A", "NAV", *(str(link).partition("#")[2] for link in cards)]
    assert stops.count("request") == 5
    assert body.is_displayed()


def press_tab(page: Chrome) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        page.execute_cdp_cmd("Input.dispatchKeyEvent", key)


def test_a_card_is_used_by_keyboard_alone(page: Chrome) -> None:
    page.find_element("css selector", "#cookie input").send_keys(" x\n")

    assert "Ada; Lovelace, 🐎 x" in read(page, "cookie", "^200.*ms$")[1]


def test_without_scripts_each_answer_is_a_page(
    browser: Chrome, demo: Server, tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_bytes(b"data")
    look_like(browser, "phone")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        found = {card: answer_without_scripts(browser, demo, card, tmp_path) for card in PLAIN}
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        look_like(browser)

    assert hashlib.sha256(b"data").hexdigest() in found["upload"]
    assert found["cookie"].startswith("You are Ada; Lovelace")
    assert "It is short and stout." in found["errors"]
    assert json.loads(found["form"])["count"] == 20


PLAIN = ("upload", "cookie", "errors", "form")


def answer_without_scripts(browser: Chrome, demo: Server, card: str, folder: Path) -> str:
    """Press the first button of a card; give the text of the page that follows."""
    page = f"http://127.0.0.1:{demo.port}/"
    browser.get(page)
    if card == "upload":
        browser.find_element("name", "file").send_keys(str(folder / "file.txt"))
    browser.find_element("css selector", f"#{card} form:not(.live) button").click()
    until(lambda: browser.current_url != page, f"answer to {card}")
    return browser.find_element("tag name", "body").text
