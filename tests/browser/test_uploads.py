"""Chromium uploads files, by a form and by a script."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

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

LARGE = 200 * 2**20

READERS = pytest.mark.parametrize("reader", ["form", "parts"])

# The same content as FILES and TWENTY have, made in the page.
SEND = """
const [reader, files] = arguments;
const form = new FormData();
form.append("ž text", "a\\nb");
for (const [name, bytes, times] of files)
    form.append("file", new File(Array(times).fill(new Uint8Array(bytes)), name));
form.append("blob", new Blob(["b"]));
return fetch(`/${reader}`, {method: "POST", body: form}).then((answer) => answer.json());
"""


@pytest.fixture
def page(browser: Chrome, server: Server) -> Chrome:
    """The browser, where the form is."""
    browser.get(f"http://127.0.0.1:{server.port}/page")
    return browser


def seen(name: str, filename: str, data: bytes) -> list[Any]:
    """What an app should have seen of a file."""
    return [name, filename, len(data), hashlib.sha256(data).hexdigest()]


def submit(page: Chrome, reader: str, fields: dict[str, str]) -> Any:
    """Fill the form in and send it; give the answer, which is the next page."""
    for name, value in fields.items():
        # Files are chosen by their paths, a line each.
        page.find_element("name", name).send_keys(value)
    form = page.find_element("tag name", "form")
    page.execute_script("arguments[0].action = arguments[1]", form, f"/{reader}")
    form.submit()
    return json.loads(page.find_element("tag name", "pre").get_attribute("textContent") or "")


def write(folder: Path, files: list[tuple[str, bytes]]) -> str:
    """Write ``files``; give their paths as the browser takes them."""
    for name, data in files:
        (folder / name).write_bytes(data)
    return "\n".join(str(folder / name) for name, _ in files)


@READERS
@pytest.mark.parametrize("files", [FILES, TWENTY], ids=["awkward names", "twenty"])
def test_a_form_sends_the_files_that_were_chosen(
    page: Chrome, reader: str, files: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    answer = submit(page, reader, {"text": "ž", "file": write(tmp_path, files)})

    # The last field had no file chosen.
    expected = [seen("file", name, data) for name, data in files]
    assert answer == [["text", "ž"], *expected, seen("none", "", b"")]


@READERS
@pytest.mark.parametrize("files", [FILES, TWENTY], ids=["awkward names", "twenty"])
def test_a_script_sends_files_of_its_own_making(
    page: Chrome, reader: str, files: list[tuple[str, bytes]]
) -> None:
    given = [(name, list(data[:256]), len(data) // 256) for name, data in files]

    answer = page.execute_script(SEND, reader, given)

    expected = [seen("file", name, bytes(piece) * times) for name, piece, times in given]
    # Line breaks of text are sent as CR LF, whatever they were.
    assert answer == [["ž text", "a\r\nb"], *expected, seen("blob", "blob", b"b")]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        ("a\r\nb.txt", "a%0D%0Ab.txt"),  # escaped by the browser; there may be such a name
        ('"; name="evil', '"; name="evil'),
        ("a%22b", 'a"b'),  # browsers send a DQUOTE so
        ("\\.txt", ".txt"),
        ("", ""),
    ],
)
def test_no_file_name_reaches_beyond_itself(page: Chrome, name: str, arrives: str) -> None:
    _, file, _ = page.execute_script(SEND, "form", [(name, [1], 1)])

    assert file == seen("file", arrives, b"\1")


def test_a_large_file_arrives_whole(page: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.write(b"first")
        large.seek(LARGE - 4)
        large.write(b"last")
    with path.open("rb") as large:
        digest = hashlib.file_digest(large, "sha256").hexdigest()

    answer = submit(page, "form", {"file": str(path)})

    assert answer[1] == ["file", "large", LARGE, digest]
