"""Checks of a page in the browser: screen sizes, colour schemes, contrast, labels and focus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
MODES = ["light", "dark"]

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
    const canvas = document.body.appendChild(document.createElement("i"));
    canvas.style.backgroundColor = "Canvas";
    const color = getComputedStyle(canvas).backgroundColor;
    canvas.remove();
    return color;
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

# Elements that end right of the window, and elements that cut their content off.
CUT_OFF = """
const isCutOff = (element) => getComputedStyle(element).overflow !== "visible"
    && !element.matches("input, select, svg, audio, progress")
    && (element.scrollHeight > element.clientHeight + 1
        || element.scrollWidth > element.clientWidth + 1);
return [...document.body.querySelectorAll("*")].filter((element) => element.checkVisibility())
    .filter((element) => element.getBoundingClientRect().right > innerWidth || isCutOff(element))
    .map((element) => element.outerHTML.slice(0, 80));
"""

SMALL_TARGETS = """
return [...document.querySelectorAll("button, nav a, select, textarea, input")]
    .filter((element) => element.checkVisibility() && !/radio|checkbox/.test(element.type))
    .filter((element) => element.getBoundingClientRect().height < 24)
    .map((element) => element.outerHTML.slice(0, 80));
"""

# The outline of the focused element, its place, and whether it is in the window.
FOCUSED = """
const element = document.activeElement, style = getComputedStyle(element);
const box = element.getBoundingClientRect();
return [element.matches(":focus-visible") ? parseFloat(style.outlineWidth) : 0, style.outlineStyle,
    element.closest("section")?.id ?? element.closest("nav")?.tagName ?? element.tagName,
    box.bottom > 0 && box.top < innerHeight];
"""


def emulate(browser: Chrome, size: str | None = None, mode: str = "light") -> None:
    """Emulate a screen size and a color scheme; the defaults are those of the browser."""
    features = [
        {"name": "prefers-color-scheme", "value": mode},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # no transitions during a check
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


def low_contrasts(page: Chrome) -> list[tuple[str, float]]:
    """Return the visible texts with a contrast below 4.5 (WCAG 2.2, level AA)."""
    contrasts: list[tuple[str, float]] = page.execute_script(CONTRASTS)
    assert contrasts
    return [(text, contrast) for text, contrast in contrasts if contrast < 4.5]


def layout_errors(page: Chrome) -> list[str]:
    """Return the elements that are cut off, too small to touch, or without a label."""
    return [
        element
        for check in (CUT_OFF, SMALL_TARGETS, UNLABELLED)
        for element in page.execute_script(check)
    ]


def other_hosts(page: Chrome) -> list[str]:
    """Return the resources that were requested from other servers than that of the page."""
    script = """return performance.getEntriesByType("resource").map((entry) => entry.name)
        .filter((url) => !url.startsWith("data:") && new URL(url).host !== location.host);"""
    urls: list[str] = page.execute_script(script)
    return urls


def console_errors(browser: Chrome) -> list[str]:
    """Return the messages of the console, except for expected 4xx responses."""
    log: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call] # selenium
    return [
        entry["message"]
        for entry in log
        if not (entry["source"] == "network" and re.search(r"status of 4\d\d", entry["message"]))
    ]


def press_tab(page: Chrome) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        page.execute_cdp_cmd("Input.dispatchKeyEvent", key)
