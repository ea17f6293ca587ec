"""Entity tags of files: made from the status, from the content, or not at all."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import asgikit.responses.file_etags
from asgikit import FileResponse, StaticFiles
from asgikit.responses.file_etags import make_etag
from asgikit.testing import Exchange, exchange

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PATHSEND: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}

# Fixed modification times of builds, in seconds.
BUILD_TIMES = {
    "epoch": 0,
    "Nix": 1,
    "buildpacks": 315_532_801,
    "npm": 499_162_500,
    "Bazel": 946_684_800,
    "the second before the limit": 946_771_199,
    "before the epoch": -1,
}
TRUSTED = 946_771_200


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "index.html"
    path.write_bytes(b"version 1")
    return path


@pytest.fixture(autouse=True)
def no_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    asgikit.responses.file_etags._hashes.clear()
    # Seconds that a test need not wait for.
    monkeypatch.setattr(asgikit.responses.file_etags, "_UNSETTLED", -1)


def deploy(page: Path, content: bytes, seconds: float) -> None:
    """Replace a file as a deployment does, under a fixed modification time."""
    new = page.with_name("new")
    new.write_bytes(content)
    os.utime(new, (seconds, seconds))
    os.replace(new, page)


def apps(page: Path, **options: Any) -> list[Any]:
    return [FileResponse(page, **options), StaticFiles(page.parent, html=True, **options)]


async def ask(app: Any, **fields: str) -> Exchange:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return await exchange(app, headers=headers)


@pytest.mark.parametrize("seconds", BUILD_TIMES.values(), ids=BUILD_TIMES)
@pytest.mark.parametrize("etag", ["stat", "content"])
async def test_new_version_of_one_time_and_size_is_sent(
    page: Path, etag: str, seconds: float
) -> None:
    for app in apps(page, etag=etag):
        deploy(page, b"version 1", seconds)
        first = await ask(app)
        tag = first.headers["etag"]
        assert "last-modified" not in first.headers
        assert (await ask(app, if_none_match=tag)).status_code == 304
        assert (await ask(app, range="bytes=8-", if_range=tag)).body == b"1"

        deploy(page, b"version 2", seconds)
        assert (await ask(app, if_none_match=tag)).body == b"version 2"
        assert (await ask(app, range="bytes=8-", if_range=tag)).body == b"version 2"
        assert (await ask(app)).headers["etag"] != tag


async def test_content_etag_is_the_same_for_one_content(page: Path) -> None:
    tags = set()
    for seconds in (0, TRUSTED, 1e9, 1.5e9):
        for app in apps(page, etag="content"):
            deploy(page, b"version 1", seconds)
            answer = await ask(app)
            tags.add(answer.headers["etag"])
            assert ("last-modified" in answer.headers) == (seconds >= TRUSTED)
            assert answer.body == b"version 1"

    assert len(tags) == 1


async def test_etag_none_sends_no_etag(page: Path) -> None:
    for seconds in (0, 1e9):
        os.utime(page, (seconds, seconds))
        for app in apps(page, etag=None):
            assert "etag" not in (await ask(app)).headers


async def test_stat_etag_of_a_trusted_time_does_not_read_the_content(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(asgikit.responses.file_etags, "_hash_content")
    os.utime(page, (TRUSTED, TRUSTED))
    for app in apps(page):
        assert (await ask(app)).headers["etag"] == '"%x-9"' % (TRUSTED * 10**9)


@pytest.mark.parametrize(("size", "has_etag"), [(0, True), (1000, True), (1001, False)])
async def test_large_file_is_not_hashed(
    page: Path, monkeypatch: pytest.MonkeyPatch, size: int, has_etag: bool
) -> None:
    monkeypatch.setattr(asgikit.responses.file_etags, "_LARGEST_HASHED", 1000)
    deploy(page, b"x" * size, 0)
    for app in apps(page):
        answer = await ask(app)
        assert answer.body == b"x" * size
        assert ("etag" in answer.headers) == has_etag
    assert asgikit.responses.file_etags._LARGEST_HASHED == 1000


def test_largest_hashed_file_has_64_mib(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    asgikit.responses.file_etags._hashes.clear()
    os.truncate(page, 64 * 1024 * 1024 + 1)
    descriptor = os.open(page, os.O_RDONLY)
    try:
        assert make_etag(os.fstat(descriptor), "content", descriptor) is None
        os.truncate(page, 64 * 1024 * 1024)
        assert make_etag(os.fstat(descriptor), "content", descriptor) is not None
    finally:
        os.close(descriptor)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sizes of the files that are hashed."""
    sizes: list[int] = []
    hash_content = asgikit.responses.file_etags._hash_content

    def record(descriptor: int, size: int) -> bytes:
        sizes.append(size)
        return hash_content(descriptor, size)

    monkeypatch.setattr(asgikit.responses.file_etags, "_hash_content", record)
    return sizes


async def test_content_is_hashed_once(page: Path, hashed: list[int]) -> None:
    for app in apps(page, etag="content") * 2:
        await ask(app)
    assert hashed == [9]

    # By its name the same file, by its inode another one.
    deploy(page, b"version 1", os.stat(page).st_mtime)
    await ask(FileResponse(page, etag="content"))
    assert hashed == [9, 9]


async def test_hash_of_a_file_just_changed_is_not_kept(
    page: Path, hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgikit.responses.file_etags, "_UNSETTLED", 60)
    for _ in range(2):
        await ask(FileResponse(page, etag="content"))
    assert hashed == [9, 9]

    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    for _ in range(2):
        await ask(FileResponse(page, etag="content"))
    assert hashed == [9, 9, 9]


async def test_hashes_kept_are_bounded_in_number(
    page: Path, hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgikit.responses.file_etags, "_MOST_HASHES", 2)
    paths = [page.with_name(name) for name in "abc"]
    for path in paths:
        path.write_bytes(b"123")
    a, b, c = (FileResponse(path, etag="content") for path in paths)

    for response in (a, b, a, c, a):  # the third one evicts `b`
        await ask(response)
    assert len(hashed) == 3
    await ask(b)
    assert len(hashed) == 4


@pytest.mark.parametrize("change", [b"!", b""])
async def test_file_written_while_it_is_hashed_has_no_etag(
    page: Path, change: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_content = asgikit.responses.file_etags._hash_content

    def write(descriptor: int, size: int) -> bytes:
        with page.open("ab") as file:
            file.write(change)
        os.utime(page)
        return hash_content(descriptor, size)

    monkeypatch.setattr(asgikit.responses.file_etags, "_hash_content", write)
    deploy(page, b"version 1", 0)

    answer = await ask(FileResponse(page))
    assert (answer.status_code, answer.body) == (200, b"version 1")
    assert "etag" not in answer.headers


async def test_hashed_file_is_still_sent_by_the_server(page: Path) -> None:
    deploy(page, b"version 1", 0)
    response = FileResponse(page)

    answer = await exchange(response, scope=PATHSEND)
    assert answer.messages[1]["type"] == "http.response.pathsend"
    assert answer.headers["etag"] == (await ask(response)).headers["etag"]
    part = await exchange(response, scope=PATHSEND, headers={"range": "bytes=8-"})
    assert (part.status_code, part.body) == (206, b"1")
    missing = FileResponse(page.with_name("missing"), etag="content")
    assert (await exchange(missing, scope=PATHSEND)).status_code == 404


async def test_compressed_copies_have_content_etags_of_their_own(page: Path) -> None:
    for name in ("index.html", "index.html.br", "index.html.gz"):
        deploy(page.with_name(name), b"the same", 0)
    app = StaticFiles(page.parent, html=True)
    tags = [
        (await ask(app, accept_encoding=coding)).headers["etag"] for coding in ("br", "gzip", "")
    ]

    assert len(set(tags)) == 3
    assert tags[0].endswith('-br"')
