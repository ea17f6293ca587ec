"""The features of the demo, in process. `tests/browser` has the tests of its page."""

from __future__ import annotations

import base64
import hashlib
import html
import inspect
import json
import re
import tempfile
import wave
from typing import TYPE_CHECKING, Any

import pytest

from asgikit.testing import Exchange, exchange, lifespan
from examples import demo
from tests.project.pages import README, SOURCE, link_errors
from tests.servers.harness import SETUPS, Server
from tests.support.form_bodies import CONTENT_TYPE, body, file, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

MULTIPART = {"content-type": CONTENT_TYPE}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder in which the demo writes its files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    demo.media.cache_clear()
    yield tmp_path
    if demo.media.cache_info().currsize:
        demo.media().close()
    demo.media.cache_clear()


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def ask(method: str, target: str, **more: Any) -> Exchange:
    return await exchange(demo.app, method, target, **more)


async def test_page_loads_and_allows_no_other_resource() -> None:
    answer = await ask("GET", "/")
    page = answer.body.decode()

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "viewport" in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"url\(|@import|\sstyle=|\son\w+=", page)
    targets = set(re.findall(r'(?:src|href|action)="(?!https:)([^"#?]*)', page)) - {""}
    assert {f"/{path}" for path in targets if "data:" not in path} - {"/nowhere"} < set(demo.ROUTES)
    script = re.findall("<script>(.*?)</script>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


async def test_card_has_its_code_and_a_guide() -> None:
    cards = re.findall("<section.*?</section>", (await ask("GET", "/")).text, re.DOTALL)
    codes = [re.findall('<pre class="python">(.*?)</pre>', card, re.DOTALL) for card in cards]

    assert len(cards) == 9
    for card, (code,) in zip(cards, codes, strict=True):
        assert f'href="{SOURCE}/docs/pages/' in card
        plain = html.unescape(re.sub("<.*?>", "", code))
        functions = [demo.__dict__[name] for name in re.findall(r"async def (\w+)", plain)]
        assert plain == "\n".join(map(inspect.getsource, functions))


async def test_links_to_the_source_lead_to_files_and_headings() -> None:
    links = re.findall(f'href="({SOURCE}[^"]*)"', (await ask("GET", "/")).text)

    assert len(links) > 10
    assert link_errors(README, "".join(f"[]({link})" for link in links)) == []


async def test_page_is_cached() -> None:
    etag = (await ask("GET", "/")).headers["etag"]

    assert (await ask("GET", "/", headers={"if-none-match": etag})).status_code == 304


async def test_request_is_echoed() -> None:
    answer = await ask(
        "GET", "/echo?q=hello+world&q=2", headers={"cookie": "a=b", "host": "example.org"}
    )

    document = json.loads(answer.body)
    assert document["path"] == "/echo"
    assert document["query_params"] == {"q": ["hello world", "2"]}
    assert document["cookies"] == {"a": "b"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"a": 1}', {"type": "dict", "members": 1, "json": {"a": 1}}),
        (b"3", {"type": "int", "members": None, "json": 3}),
        (
            b"12345678901234567890123",
            {"type": "int", "members": None, "json": 12345678901234567890123},
        ),
    ],
)
async def test_json_is_echoed(sent: bytes, expected: object) -> None:
    assert json.loads((await ask("POST", "/json", body=sent)).body) == expected


async def test_upload_is_hashed_and_not_stored(folder: Path) -> None:
    data = bytes(range(256)) * 10_000
    sent = body(text("note", b"x"), file("f", "a.bin", data, "Content-Type: a/b"))
    chunks = [sent[start : start + 50_000] for start in range(0, len(sent), 50_000)]
    answer = await ask("POST", "/upload", headers=MULTIPART, body=chunks)

    assert json.loads(answer.body)["files"] == [
        {
            "name": "a.bin",
            "media_type": "a/b",
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    ]
    assert names(folder) == []


async def test_form_fields_are_echoed_in_order() -> None:
    answer = await ask("POST", "/form", headers=URLENCODED, body=b"a=1&b=%C5%BE&a=2")

    assert json.loads(answer.body) == {
        "count": 3,
        "fields": [["a", "1"], ["b", "ž"], ["a", "2"]],
    }


async def test_files_are_written_at_startup_and_deleted_at_shutdown(folder: Path) -> None:
    async with lifespan(demo.app):
        tune = await ask("GET", "/tune.wav")
        line = await ask("GET", "/lines.txt", headers={"range": "bytes=288-319"})
        assert len(names(folder)) == 1
    assert names(folder) == []

    assert tune.headers["content-type"] == "audio/wav"
    (folder / "copy.wav").write_bytes(tune.body)
    with wave.open(str(folder / "copy.wav")) as copy:
        assert copy.getnframes() / copy.getframerate() == 192
    assert line.status_code == 206
    assert line.body == b"0000010  square 000000000000100\n"
    assert line.headers["content-range"] == "bytes 288-319/1600000"


@pytest.mark.parametrize(
    ("last", "ids"),
    [
        (None, ["1", "2", "3", "4", "5"]),
        ("5", ["6", "7", "8", "9", "10"]),
        ("28", ["29", "30"]),
        ("-1; \x80", ["1", "2", "3", "4", "5"]),  # an id of another server
    ],
)
async def test_events_continue_after_the_last_event_id(
    last: str | None, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PAUSE", 0)
    headers = {} if last is None else {"last-event-id": last}
    answer = await ask("GET", "/events", headers=headers)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert re.findall(r"^id: (.*)$", answer.text, re.MULTILINE) == ids


async def test_request_after_the_last_event_gets_204() -> None:
    assert (await ask("GET", "/events", headers={"last-event-id": "30"})).status_code == 204


async def test_stream_arrives_in_chunks() -> None:
    answer = await ask("GET", "/stream")

    assert answer.body == b"5\n4\n3\n2\n1\nlift-off\n"
    assert len([message for message in answer.messages if message.get("body")]) == 6


async def test_download_has_a_file_name() -> None:
    answer = await ask("GET", "/download")

    assert answer.headers["content-disposition"] == 'attachment; filename="squares.csv"'
    rows = answer.text.split("\n")
    assert (rows[0], rows[200_000], len(rows)) == ("number,square", "199999,39999600001", 200_002)
    assert max(len(message.get("body", b"")) for message in answer.messages) < 32 * 1024


async def test_poem_is_sent_again_only_if_it_changed() -> None:
    etag = (await ask("GET", "/poem")).headers["etag"]
    again = await ask("GET", "/poem", headers={"if-none-match": etag})

    assert (again.status_code, again.body) == (304, b"")


async def test_cookie_is_set_read_and_cleared() -> None:
    set_ = await ask("GET", "/cookie?name=Ada%3B+Lovelace")
    cookie = set_.headers["set-cookie"].partition("; ")[0]
    read = await ask("GET", "/cookie", headers={"cookie": cookie})
    cleared = await ask("POST", "/cookie/clear", headers={"cookie": cookie})

    assert b"Old cookie: Ada; Lovelace\n" in read.body
    assert "max-age=0" in cleared.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("method", "target", "headers", "sent", "status"),
    [
        ("GET", "/teapot", {}, b"", 418),
        ("GET", "/nowhere", {}, b"", 404),
        ("GET", "/json", {}, b"", 405),
        ("POST", "/json", {}, b"{", 400),
        ("POST", "/json", {}, b"\xff", 400),
        ("POST", "/json", {}, b" " * (1024 * 1024 + 1), 413),
        ("GET", f"/cookie?name={'x' * 101}", {}, b"", 400),
        ("POST", "/upload", MULTIPART, body(file("f", "", b"")), 400),  # no file was chosen
        ("POST", "/upload", MULTIPART, body(*[file("f", "x", b"")] * 11), 413),
        ("POST", "/upload", {**MULTIPART, "content-length": "104857601"}, b"", 413),
        (
            "POST",
            "/form",
            MULTIPART,
            body(file("f", "x", b"")),
            413,
        ),  # the demo stores no file of a form
        ("POST", "/form", URLENCODED, b"a&" * 101, 413),
        ("POST", "/form", URLENCODED, b"a" * 65537, 413),
        ("POST", "/form", {"content-type": "text/plain"}, b"", 415),
    ],
)
async def test_error_is_a_problem_document(
    method: str, target: str, headers: dict[str, str], sent: bytes, status: int
) -> None:
    answer = await ask(method, target, headers=headers, body=sent)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status


async def test_old_path_redirects() -> None:
    answer = await ask("GET", "/old")

    assert (answer.status_code, answer.headers["location"]) == (308, "/echo?from=old")


@pytest.mark.parametrize(
    "path", [path for path, (methods, _) in demo.ROUTES.items() if "HEAD" in methods]
)
async def test_head_response_has_no_body(path: str) -> None:
    answer = await ask("HEAD", path)

    assert answer.status_code in {200, 308, 418}
    assert answer.body == b""


@pytest.mark.parametrize("name", ["uvicorn-h11-asyncio", "hypercorn-trio", "granian"])
def test_demo_runs_on_each_server(name: str, tmp_path: Path) -> None:
    setup = next(setup for setup in SETUPS if setup.name == name)
    served = tmp_path / "served"
    served.mkdir()
    with Server(setup, "examples.demo:app", served) as server:
        with server.connect() as connection:
            statuses = [
                connection.request("GET", path).status for path in ("/", "/lines.txt", "/poem")
            ]
        assert server.stop()
        assert server.problems == []
    assert statuses == [200, 200, 200]
    assert names(served / "tmp") == []
