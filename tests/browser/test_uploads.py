"""Uploads from Chromium, by an HTML form and by a script."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import BOUND
from tests.servers.harness import until

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

    from tests.servers.harness import Server

NAMES = [
    "plain.txt",
    "a b  c.txt",
    'quo"te.txt',
    "semi;colon=.txt",
    "100%.txt",
    "žluťoučký 日本 🐎.txt",
]
FILES = [(name, bytes(range(256)) * number) for number, name in enumerate(NAMES)]
TWENTY = [(f"{number}.bin", bytes([number]) * number * 1000) for number in range(20)]

LARGE = 200 * 2**20  # bytes

READERS = pytest.mark.parametrize("reader", ["form", "parts"])

# Send a form with files that are created in the page.
SEND = """
const [reader, files] = arguments;
const form = new FormData();
form.append("ž text", "a\\nb");
for (const [name, bytes, times] of files)
    form.append("file", new File(Array(times).fill(new Uint8Array(bytes)), name));
form.append("blob", new Blob(["b"]));
return fetch(`/${reader}`, {method: "POST", body: form}).then((response) => response.json());
"""


@pytest.fixture
def page(browser: Chrome, server: Server) -> Chrome:
    """Open the page with the form."""
    browser.get(f"http://127.0.0.1:{server.port}/page")
    return browser


def expected_file(name: str, filename: str, data: bytes) -> list[Any]:
    """Return the item that the app should receive."""
    return [name, filename, len(data), hashlib.sha256(data).hexdigest()]


def submit(page: Chrome, reader: str, fields: dict[str, str]) -> Any:
    """Fill in the form and submit it; return the JSON of the next page."""
    for name, value in fields.items():
        # Files are selected by their paths, one per line.
        page.find_element("name", name).send_keys(value)
    form = page.find_element("tag name", "form")
    page.execute_script("arguments[0].action = arguments[1]", form, f"/{reader}")
    form.submit()
    until(lambda: page.find_elements("tag name", "pre"), "response to the form", BOUND)
    return json.loads(page.find_element("tag name", "pre").get_attribute("textContent") or "")


def write(folder: Path, files: list[tuple[str, bytes]]) -> str:
    """Write ``files``; return their paths, one per line."""
    for name, data in files:
        (folder / name).write_bytes(data)
    return "\n".join(str(folder / name) for name, _ in files)


@READERS
@pytest.mark.parametrize("files", [FILES, TWENTY], ids=["special characters", "twenty"])
def test_html_form_sends_selected_files(
    page: Chrome, reader: str, files: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    response = submit(page, reader, {"text": "ž", "file": write(tmp_path, files)})

    # The last file input has no file.
    expected = [expected_file("file", name, data) for name, data in files]
    assert response == [["text", "ž"], *expected, expected_file("none", "", b"")]


@READERS
@pytest.mark.parametrize("files", [FILES, TWENTY], ids=["special characters", "twenty"])
def test_script_sends_files_created_in_page(
    page: Chrome, reader: str, files: list[tuple[str, bytes]]
) -> None:
    sent = [(name, list(data[:256]), len(data) // 256) for name, data in files]

    response = page.execute_script(SEND, reader, sent)

    expected = [expected_file("file", name, bytes(block) * times) for name, block, times in sent]
    # The browser sends each line break of a text field as CR LF.
    assert response == [["ž text", "a\r\nb"], *expected, expected_file("blob", "blob", b"b")]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        ("a\r\nb.txt", "a%0D%0Ab.txt"),  # percent-encoded by the browser, and not decoded
        ('"; name="evil', '"; name="evil'),
        ("a%22b", 'a"b'),  # browsers encode a quotation mark like this
        ("\\.txt", ".txt"),
        ("", ""),
    ],
)
def test_file_name_cannot_inject_parameter(page: Chrome, name: str, arrives: str) -> None:
    _, file, _ = page.execute_script(SEND, "form", [(name, [1], 1)])

    assert file == expected_file("file", arrives, b"\1")


def test_large_file_arrives_complete(page: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.write(b"first")
        large.seek(LARGE - 4)
        large.write(b"last")
    with path.open("rb") as large:
        digest = hashlib.file_digest(large, "sha256").hexdigest()

    response = submit(page, "form", {"file": str(path)})

    assert response[1] == ["file", "large", LARGE, digest]
