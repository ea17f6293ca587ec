"""Uploads from real clients to real servers."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import io
import json
import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, Server, require, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Client = Callable[[str, dict[str, str], "Files", Path], Any]

DATA = random.Random(3).randbytes(2_500_000)
NAMES = [
    "plain.txt",
    "a b c.txt",
    'quo"te.txt',
    "žluťoučký 日本.txt",
    "semi;colon=.txt",
    "100%.txt",
]
TWENTY = [(f"{number}.bin", DATA[: number * 1000]) for number in range(20)]

Files = list[tuple[str, str, bytes]]


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param.name)
    with Server(request.param, "served.uploads:app", folder) as server:
        yield server
        until(lambda: state(server)["temporary"] == [], "end of the temporary files")
        server.stop()
    assert server.problems == []


def state(server: Server) -> Any:
    with server.connect() as connection:
        return connection.request("GET", "/state").json()


def by_curl(url: str, fields: dict[str, str], files: Files, folder: Path) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("not installed: curl")
    arguments: list[str] = []
    for name, value in fields.items():
        arguments += ["--form-string", f"{name}={value}"]
    for number, (name, filename, data) in enumerate(files):
        # curl parses the name as a quoted string with escapes.
        path = folder / f"{number}"
        path.write_bytes(data)
        quoted = filename.replace("\\", "\\\\").replace('"', '\\"')
        arguments += ["--form", f'{name}=@{path};filename="{quoted}"']
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", *arguments, url],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def by_httpx(url: str, fields: dict[str, str], files: Files, _: Path) -> Any:
    require("httpx")
    httpx = importlib.import_module("httpx")
    sent = [(name, (filename, data)) for name, filename, data in files]
    response = httpx.post(url, data=fields, files=sent, timeout=60, trust_env=False)
    assert response.status_code == 200, response.text
    return response.json()


def by_aiohttp(url: str, fields: dict[str, str], files: Files, _: Path) -> Any:
    require("aiohttp")
    aiohttp: Any = importlib.import_module("aiohttp")

    async def post() -> Any:
        # As in browsers: by default aiohttp percent-encodes names, and no server decodes them.
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for name, value in fields.items():
            form.add_field(name, value)
        for name, filename, data in files:
            # aiohttp warns about large bytes objects, which block its event loop.
            form.add_field(name, io.BytesIO(data), filename=filename)
        async with aiohttp.ClientSession() as session, session.post(url, data=form) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    return asyncio.run(post())


CLIENTS = pytest.mark.parametrize("post", [by_curl, by_httpx, by_aiohttp])
READERS = pytest.mark.parametrize("reader", ["form", "parts"])


def expected(fields: dict[str, str], files: Files) -> list[list[Any]]:
    """Return the items that the app should receive."""
    return [
        *([name, value] for name, value in fields.items()),
        *(
            [name, filename, len(data), hashlib.sha256(data).hexdigest()]
            for name, filename, data in files
        ),
    ]


@CLIENTS
@READERS
def test_files_and_fields_arrive_unchanged(
    server: Server, post: Client, reader: str, tmp_path: Path
) -> None:
    fields = {"text": "v", "ž text": "žluťoučký\n🐎", "empty": ""}
    files = [("file", name, DATA[: 1000 * number]) for number, name in enumerate(NAMES)]
    files.append(("large", "large.bin", DATA))

    response = post(f"http://127.0.0.1:{server.port}/{reader}", fields, files, tmp_path)

    assert response == expected(fields, files)


@CLIENTS
@READERS
def test_many_files_of_one_field_arrive(
    server: Server, post: Client, reader: str, tmp_path: Path
) -> None:
    files = [("file", name, data) for name, data in TWENTY]

    response = post(f"http://127.0.0.1:{server.port}/{reader}", {}, files, tmp_path)

    assert response == expected({}, files)


def test_large_file_arrives_complete(server: Server, tmp_path: Path) -> None:
    if not server.setup.streams_body:
        pytest.skip(f"{server.setup.name} is slow with a body of this size")
    if shutil.which("curl") is None:
        pytest.skip("not installed: curl")
    digest = hashlib.sha256()
    path = tmp_path / "large"
    with path.open("wb") as large:
        for number in range(80):
            data = DATA[number:] + DATA[:number]
            large.write(data)
            digest.update(data)
    for reader in ("form", "parts"):
        run = subprocess.run(
            ["curl", "-sS", "-F", f"f=@{path}", f"http://127.0.0.1:{server.port}/{reader}"],
            capture_output=True,
            timeout=120,
            check=True,
        )
        assert json.loads(run.stdout) == [["f", "large", 80 * len(DATA), digest.hexdigest()]]


def test_aborted_uploads_leave_no_file(server: Server) -> None:
    head = b'--X\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    before = state(server)["open"]
    for number in range(20):
        with server.connect() as connection:
            connection.send_head(
                "POST",
                "/form",
                "Content-Type: multipart/form-data; boundary=X",
                "Content-Length: 5000000",
            )
            connection.send(head + DATA[:1_400_000])
            if number % 2:
                connection.reset()

    def is_quiet() -> bool:
        now = state(server)
        return bool(now["open"] <= before and now["temporary"] == [])

    until(is_quiet, "end of the files of the uploads")


def test_truncated_form_gets_400_and_connection_stays_open(server: Server) -> None:
    cut = b'--X\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\ndata\r\n--X-'
    with server.connect() as connection:
        for reader in ("form", "parts"):
            response = connection.request(
                "POST",
                f"/{reader}",
                "Content-Type: multipart/form-data; boundary=X",
                body=cut,
            )
            assert response.status == 400
            assert "closing delimiter" in response.json()["detail"]
        response = connection.request("POST", "/form", "Content-Type: text/plain", body=b"v")
        assert response.status == 415
        assert response.get("accept") == "application/x-www-form-urlencoded, multipart/form-data"
