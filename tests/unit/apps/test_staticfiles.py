"""A folder as an app: the files that it serves, and the paths that it must not serve."""

from __future__ import annotations

import errno
import os
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import asgikit.apps.staticfiles
from asgikit import to_asgi
from asgikit.apps.staticfiles import StaticFiles
from asgikit.testing import Exchange, exchange, lifespan
from tests.support.open_files import open_paths_below

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

PAGE = b"<p>page</p>"
NOT_HERE = b"<p>not here</p>"
SCRIPT = b"let a = 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files with secrets around it."""
    root = tmp_path / "www"
    for name, content in {
        "index.html": PAGE,
        "404.html": NOT_HERE,
        "app.js": SCRIPT,
        "app.js.br": b"br br",
        "app.js.gz": b"gz gz gz",
        "a b ż.txt": b"text",
        "docs/index.html": b"docs",
        "docs/guide.txt": b"guide",
        "empty/readme.txt": b"readme",
        ".env": b"SECRET",
        ".git/config": b"SECRET",
        ".well-known/security.txt": b"contact",
        "docs/.hidden/a.txt": b"SECRET",
        "../secret.txt": b"SECRET",
        "../www-other/secret.txt": b"SECRET",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "inside.txt").symlink_to("docs/guide.txt")
    (root / "inside").symlink_to("docs")
    (root / "chain.txt").symlink_to("inside/guide.txt")
    (root / "outside.txt").symlink_to("../secret.txt")
    (root / "outside").symlink_to("..")
    (root / "sibling").symlink_to("../www-other")
    (root / "absolute").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "itself").symlink_to(".")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture(params=[True, False], ids=["by descriptor", "by path"])
def walks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With folders that are opened one in the other, and without, as on Windows."""
    monkeypatch.setattr(asgikit.apps.staticfiles, "_WALKS", request.param)


async def get(app: Any, target: str, method: str = "GET", **fields: str) -> Exchange:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return await exchange(app, method, target, headers=headers)


@pytest.mark.parametrize(
    ("target", "content_type", "body"),
    [
        ("/app.js", "text/javascript; charset=utf-8", SCRIPT),
        ("/a%20b%20%C5%BC.txt", "text/plain; charset=utf-8", b"text"),
        ("/docs/guide.txt?x=/../%2f", "text/plain; charset=utf-8", b"guide"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8", b"contact"),
        ("/app.js.gz", "application/gzip", b"gz gz gz"),  # as the file that it is
        ("/inside.txt", "text/plain; charset=utf-8", b"guide"),
        ("/inside/guide.txt", "text/plain; charset=utf-8", b"guide"),
        ("/chain.txt", "text/plain; charset=utf-8", b"guide"),
        ("/outside/www/docs/guide.txt", "text/plain; charset=utf-8", b"guide"),  # out, and back in
        ("/itself/itself/docs/guide.txt", "text/plain; charset=utf-8", b"guide"),
    ],
)
@pytest.mark.usefixtures("walks")
async def test_file_in_folder_is_served(
    folder: Path, target: str, content_type: str, body: bytes
) -> None:
    answer = await get(StaticFiles(folder), target)

    assert (answer.status_code, answer.body) == (200, body)
    assert answer.headers["content-type"] == content_type
    assert answer.headers["accept-ranges"] == "bytes"
    assert open_paths_below(folder) == []


HOSTILE = [
    # Out of the folder.
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/docs/../app.js",  # not even when it leads back
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt",
    "/docs/..%2f..%2f..%2fsecret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/%2fetc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/C:/secret.txt",
    "/C:%5csecret.txt",
    "/www-other/secret.txt",
    "/../www-other/secret.txt",
    # By links.
    "/outside.txt",
    "/outside/secret.txt",
    "/sibling/secret.txt",
    "/absolute/passwd",
    "/inside/../../secret.txt",
    "/loop",
    "/loop/a",
    "/dangling",
    # Names that start with a dot.
    "/.env",
    "/.git/config",
    "/docs/.hidden/a.txt",
    "/.well-known/../.env",
    "/.well-known/.env",
    # Separators that are none, and none that are.
    "/docs%2fguide.txt",
    "/docs%2Fguide.txt",
    "/docs//guide.txt",
    "/docs/./guide.txt",
    "/docs%5cguide.txt",
    "/app.js/",
    "/app.js/a",
    "/docs/guide.txt/.",
    # Names that no file system allows.
    "/app.js%00",
    "/app.js%00.txt",
    "/%00",
    "/" + "x" * 300,
    "/" + "x/" * 3000,
    "/%ff",
    "/~root",
    "/fifo",
    "/nothing",
    "*",
    "/app.js ",
    "/APP.JS",
]


@pytest.mark.parametrize("target", HOSTILE, ids=lambda target: repr(target[:40]))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.usefixtures("walks")
async def test_hostile_target_is_404(folder: Path, target: str, method: str) -> None:
    answer = await get(StaticFiles(folder), target, method)

    assert answer.status_code == 404
    assert b"SECRET" not in answer.body
    if method == "GET":
        assert answer.json()["title"] == "Not Found"
    assert open_paths_below(folder) == []


@pytest.mark.parametrize(
    "path",
    ["", "app.js", "\ud800", "/\ud800", "/docs/\udcff", "/a\n", "http://a/app.js"],
    ids=repr,
)
@pytest.mark.usefixtures("walks")
async def test_malformed_scope_path_is_404(folder: Path, path: str) -> None:
    scope = {"path": path, "raw_path": None, "root_path": None}

    assert (await exchange(StaticFiles(folder), scope=scope)).status_code == 404


@pytest.mark.usefixtures("walks")
async def test_hostile_target_gets_no_fallback(folder: Path) -> None:
    app = StaticFiles(folder, html=True, fallback="index.html")
    for target in HOSTILE[:14]:
        answer = await get(app, target)
        assert (answer.status_code, answer.body) == (404, NOT_HERE)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/outside.txt", b"SECRET"),
        ("/outside/secret.txt", b"SECRET"),
        ("/sibling/secret.txt", b"SECRET"),
        ("/inside/guide.txt", b"guide"),
        ("/app.js", SCRIPT),
    ],
)
async def test_follow_symlinks_serves_links_out_of_the_folder(
    folder: Path, target: str, body: bytes
) -> None:
    app = StaticFiles(folder, follow_symlinks=True)

    answer = await get(app, target)
    assert (answer.status_code, answer.body) == (200, body)
    for missing in ("/loop", "/dangling", "/docs", "/nothing", "/../secret.txt"):
        assert (await get(app, missing)).status_code == 404


@pytest.mark.parametrize("target", ["/.env", "/.git/config", "/docs/.hidden/a.txt"])
async def test_dotfiles_serves_names_with_a_dot(folder: Path, target: str) -> None:
    app = StaticFiles(folder, dotfiles=True)

    assert (await get(app, target)).body == b"SECRET"
    for escape in ("/..", "/.", "/../secret.txt", "/docs/./guide.txt"):
        assert (await get(app, escape)).status_code == 404


async def test_link_put_into_a_resolved_path_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is swapped for a link once the real path is known."""
    app = StaticFiles(folder)
    resolve = StaticFiles._resolve

    def swap(self: StaticFiles, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        real = resolve(self, parts)
        if real == ("docs", "guide.txt") and (folder / "docs").is_dir():
            (folder / "docs").rename(folder / "was-docs")
            (folder / "docs").symlink_to("../www-other")
            (folder / "was-docs/guide.txt").unlink()
        return real

    (folder / "../www-other/guide.txt").write_bytes(b"SECRET")
    monkeypatch.setattr(StaticFiles, "_resolve", swap)

    assert (await get(app, "/inside.txt")).status_code == 404


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "not a link"), FileNotFoundError()])
async def test_link_replaced_while_it_is_read_is_404(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: OSError,
) -> None:
    def fail(path: str, *, strict: bool = False) -> str:
        raise error

    monkeypatch.setattr(os.path, "realpath", fail)
    with caplog.at_level("DEBUG", logger="asgikit"):
        answer = await get(StaticFiles(folder), "/inside.txt")

    assert answer.status_code == 404
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "cannot resolve ['inside.txt'] below" in caplog.text


LONG_PATHS = [
    ("/" + "a" * 256, 404),  # no file system has such a name
    ("/" + "\u00fc" * 128, 404),  # 256 bytes in UTF-8
    ("/docs/" + "a" * 256 + "/guide.txt", 404),
    ("/a" * 2048, 404),
    ("/a" * 32_000, 404),
    ("/" + "docs/" * 819, 404),
    ("/" + "a" * 64_000, 404),
]


@pytest.mark.parametrize(("target", "status"), LONG_PATHS, ids=range(len(LONG_PATHS)))
@pytest.mark.parametrize("options", [{}, {"html": True}, {"fallback": "index.html"}])
async def test_path_too_long_is_404_without_disk_access(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    status: int,
    options: dict[str, Any],
) -> None:
    app = StaticFiles(folder, **options)
    paths: list[str] = []
    open_ = os.open

    def record(path: Any, *arguments: Any, **named: Any) -> int:
        paths.append(str(path))
        return open_(path, *arguments, **named)

    monkeypatch.setattr(os, "open", record)

    answer = await get(app, target)
    assert answer.status_code == status
    # With `html=True` the page for a 404 is looked up, and nothing else.
    assert [path for path in paths if "404.html" not in path and path != str(folder)] == []


async def test_longest_path_below_the_limit_is_looked_up_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = StaticFiles(folder, html=True)
    calls: list[str] = []
    realpath = os.path.realpath

    def count(path: str, *, strict: bool = False) -> str:
        calls.append(path)
        return realpath(path, strict=strict)

    monkeypatch.setattr(os.path, "realpath", count)

    assert (await get(app, "/a" * 2047)).status_code == 404
    # The path, its index page, and the page for a 404: each stops at its first missing name.
    assert len([path for path in calls if path != str(folder)]) <= 3


async def test_unreadable_file_in_folder_is_403(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def refuse(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("app.js"):
            raise PermissionError(13, "Permission denied")
        return open_(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)

    answer = await get(StaticFiles(folder, html=True, fallback="index.html"), "/app.js")
    assert answer.status_code == 403
    assert answer.json()["title"] == "Forbidden"


async def test_deleted_folder_is_404(folder: Path) -> None:
    app = StaticFiles(folder)
    os.rename(folder, folder.with_name("gone"))

    assert (await get(app, "/app.js")).status_code == 404


# Methods, conditions, ranges.


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
async def test_method_other_than_get_and_head_is_405(folder: Path, method: str) -> None:
    answer = await get(StaticFiles(folder), "/app.js", method)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_of_folder_file_has_headers_of_get(folder: Path) -> None:
    app = StaticFiles(folder)
    get_answer, head = await get(app, "/app.js"), await get(app, "/app.js", "HEAD")

    assert (head.status_code, head.body) == (200, b"")
    assert head.headers == get_answer.headers


async def test_folder_file_obeys_preconditions_and_ranges(folder: Path) -> None:
    app = StaticFiles(folder, cache_control="max-age=60")
    first = await get(app, "/app.js")

    again = await get(app, "/app.js", if_none_match=first.headers["etag"])
    assert again.status_code == 304
    assert again.headers["cache-control"] == "max-age=60"
    assert again.headers["vary"] == "accept-encoding"
    assert (await get(app, "/app.js", if_match='"other"')).status_code == 412
    part = await get(app, "/app.js", range="bytes=4-6")
    assert (part.status_code, part.body) == (206, b"a =")
    parts = await get(app, "/app.js", range="bytes=0-0,4-6")
    assert parts.headers["content-type"].startswith("multipart/byteranges")
    beyond = await get(app, "/app.js", range="bytes=99-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == "bytes */9"


MEDIA_TYPES = {
    ".ts": "text/typescript",
    ".TAR.gz": "application/x-tar-gz",
    ".gz": "application/x-own-gzip",
    ".latin": "text/plain; charset=latin-1",
    "apple-app-site-association": "application/json",
    "app.js": "application/x-whole-name",
    ".env": "text/x-env",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.ts", "text/typescript; charset=utf-8"),
        ("a.TS", "text/typescript; charset=utf-8"),
        ("a.tar.gz", "application/x-tar-gz"),  # the longest extension
        ("a.b.tar.gz", "application/x-tar-gz"),
        ("tar.gz", "application/x-own-gzip"),
        ("a.latin", "text/plain; charset=latin-1"),
        ("apple-app-site-association", "application/json"),
        ("Apple-App-Site-Association", None),  # names have a case
        ("app.js", "application/x-whole-name"),
        ("b.js", "text/javascript; charset=utf-8"),
        (".env", "text/x-env; charset=utf-8"),
        ("a.unknown", None),
    ],
)
async def test_media_types_take_precedence_over_the_table(
    tmp_path: Path, name: str, expected: str | None
) -> None:
    (tmp_path / name).touch()
    app = StaticFiles(tmp_path, media_types=MEDIA_TYPES, dotfiles=True)

    answer = await get(app, f"/{name}")
    assert answer.headers["content-type"] == (expected or "application/octet-stream")


@pytest.mark.parametrize(
    ("mount", "target", "status"),
    [
        ("/a/b", "/a%2Fb/app.js", 200),
        ("/a/b", "/a%2fb/docs/guide.txt", 200),
        ("/a/b", "/a%2Fb/docs%2Fguide.txt", 404),
        ("/a/b", "/a/b/docs%2Fguide.txt", 404),
        ("/a/b", "/a/b/docs/guide.txt", 200),
        ("/a/b", "/a%2Fb%2Fapp.js", 404),  # the slash before the name is the mount's no more
        ("/a/b/c", "/a%2Fb/c/app.js", 200),
        ("/a%2Fb", "/a%252Fb/app.js", 200),  # a percent sign in the name of the mount
        ("", "/docs%2Fguide.txt", 404),
        ("", "/docs/guide.txt?next=%2F", 200),
        ("", "http://host/docs/guide.txt?%2f", 200),
        ("", "/%2520.txt", 404),
    ],
)
async def test_encoded_slash_is_refused_below_the_mount_alone(
    folder: Path, mount: str, target: str, status: int
) -> None:
    path = target.partition("?")[0].removeprefix("http://host")
    scope = {
        "path": unquote(path),
        "raw_path": target.encode(),
        "root_path": mount,
    }
    answer = await exchange(StaticFiles(folder), scope=scope)

    assert answer.status_code == status


async def test_send_timeout_of_a_folder_ends_a_stalled_download(folder: Path) -> None:
    async def never(message: Any = None) -> Any:
        await anyio.sleep_forever()

    scope = {"type": "http", "method": "GET", "path": "/app.js", "headers": []}
    with anyio.fail_after(20):
        await StaticFiles(folder, send_timeout=0.01)(scope, never, never)
        with anyio.move_on_after(0.05) as unlimited:
            await StaticFiles(folder, send_timeout=None)(scope, never, never)
    assert unlimited.cancelled_caught
    assert open_paths_below(folder) == []


# Pages.


@pytest.mark.parametrize(
    ("target", "status_code", "body"),
    [
        ("/", 200, PAGE),
        ("/docs/", 200, b"docs"),
        ("/index.html", 200, PAGE),
        ("/inside/", 200, b"docs"),
        ("/empty/", 404, NOT_HERE),
        ("/empty", 404, NOT_HERE),  # nothing to redirect to
        ("/nothing", 404, NOT_HERE),
        ("/app.js/", 404, NOT_HERE),
        ("/outside/", 404, NOT_HERE),
        ("/.env", 404, NOT_HERE),
    ],
)
@pytest.mark.usefixtures("walks")
async def test_html_serves_index_and_404_pages(
    folder: Path, target: str, status_code: int, body: bytes
) -> None:
    answer = await get(StaticFiles(folder, html=True), target)

    assert (answer.status_code, answer.body) == (status_code, body)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert open_paths_below(folder) == []


async def test_404_page_has_no_validators_and_no_cache_control(folder: Path) -> None:
    app = StaticFiles(folder, html=True, cache_control="max-age=60", immutable=".")
    answer = await get(app, "/nothing", if_none_match="*", range="bytes=0-1")

    assert (answer.status_code, answer.body) == (404, NOT_HERE)
    assert "etag" not in answer.headers
    assert "cache-control" not in answer.headers
    assert (await get(app, "/nothing", "HEAD")).headers["content-length"] == str(len(NOT_HERE))


async def test_folder_without_html_is_404(folder: Path) -> None:
    for target in ("/", "/docs/", "/docs"):
        assert (await get(StaticFiles(folder), target)).status_code == 404


@pytest.mark.parametrize(
    ("scope", "target", "location"),
    [
        ({}, "/docs", "/docs/"),
        ({}, "/docs?a=1&b=%20", "/docs/?a=1&b=%20"),
        ({"root_path": "/static"}, "/static/docs?x", "/static/docs/?x"),
        ({"root_path": "/static"}, "/docs", "/static/docs/"),  # a host that takes it off
        ({"root_path": "/static/"}, "/static/docs", "/static/docs/"),
        ({"root_path": "/static"}, "/static", "/static/"),
        ({"root_path": "/a b"}, "/a%20b/docs", "/a%20b/docs/"),
        ({"query_string": b"\xff\r\na"}, "/docs", "/docs/?%C3%BF%0D%0Aa"),
    ],
)
@pytest.mark.usefixtures("walks")
async def test_folder_path_is_redirected_to_its_slash(
    folder: Path, scope: dict[str, Any], target: str, location: str
) -> None:
    answer = await exchange(StaticFiles(folder, html=True), target=target, scope=scope)

    assert answer.status_code == 307
    assert answer.headers["location"] == location
    assert open_paths_below(folder) == []


async def test_slash_redirect_stays_on_the_host(folder: Path) -> None:
    for target in ("//docs", "//evil.example/..", "/%2fdocs", "/\\docs"):
        answer = await get(StaticFiles(folder, html=True), target)
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("target", "status_code", "body"),
    [
        ("/users/7", 200, PAGE),
        ("/users/7/", 200, PAGE),
        ("/users/john.doe", 200, PAGE),  # no extension that anybody knows
        ("/old.html", 200, PAGE),
        ("/missing.js", 404, NOT_HERE),  # a script that is a page breaks the page
        ("/missing.png", 404, NOT_HERE),
        ("/app.js", 200, SCRIPT),
        ("/docs/", 200, b"docs"),
        ("/empty/", 200, PAGE),
    ],
)
async def test_fallback_answers_unknown_routes(
    folder: Path, target: str, status_code: int, body: bytes
) -> None:
    answer = await get(StaticFiles(folder, html=True, fallback="index.html"), target)

    assert (answer.status_code, answer.body) == (status_code, body)


async def test_fallback_works_without_html(folder: Path) -> None:
    app = StaticFiles(folder, fallback="docs/index.html")

    assert (await get(app, "/")).body == b"docs"
    assert (await get(app, "/docs")).body == b"docs"
    answer = await get(app, "/nothing", range="bytes=0-1")
    assert (answer.status_code, answer.body) == (206, b"do")
    os.remove(folder / "docs/index.html")
    assert (await get(app, "/nothing")).status_code == 404


# Codings.


@pytest.mark.parametrize(
    ("accept", "coding", "body"),
    [
        (None, None, SCRIPT),
        ("", None, SCRIPT),
        ("gzip", "gzip", b"gz gz gz"),
        ("x-gzip", "gzip", b"gz gz gz"),
        ("GZIP", "gzip", b"gz gz gz"),
        ("br", "br", b"br br"),
        ("gzip, deflate, br, zstd", "br", b"br br"),  # by our own order
        ("br;q=0.5, gzip;q=0.8", "gzip", b"gz gz gz"),
        ("zstd, gzip;q=0.1", "gzip", b"gz gz gz"),  # there is no zstd
        ("*", "br", b"br br"),
        ("*;q=0.5, br;q=0", "gzip", b"gz gz gz"),
        ("gzip;q=0", None, SCRIPT),
        ("gzip;q=0.5, identity", None, SCRIPT),
        ("gzip, identity;q=0.5", "gzip", b"gz gz gz"),
        ("gzip;q=2", None, SCRIPT),  # no weight
        ("gzip;q=1;q=", None, SCRIPT),
        ("deflate", None, SCRIPT),
        ("identity;q=0", None, SCRIPT),  # better than nothing
    ],
)
@pytest.mark.usefixtures("walks")
async def test_compressed_copy_is_served_if_accepted(
    folder: Path, accept: str | None, coding: str | None, body: bytes
) -> None:
    fields = {} if accept is None else {"accept_encoding": accept}
    answer = await get(StaticFiles(folder), "/app.js", **fields)

    assert (answer.status_code, answer.body) == (200, body)
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    # A client with another Accept-Encoding may get another representation.
    assert answer.headers["vary"] == "accept-encoding"
    assert open_paths_below(folder) == []


async def test_each_coding_has_its_own_etag(folder: Path) -> None:
    app = StaticFiles(folder)
    # Of one size and time, so that only the coding differs.
    for name in ("app.js", "app.js.br", "app.js.gz"):
        with open(folder / name, "wb") as file:  # noqa: ASYNC230
            file.write(b"123")
        os.utime(folder / name, (1e9, 1e9))
    tags = [
        (await get(app, "/app.js", accept_encoding=coding)).headers["etag"]
        for coding in ("br", "gzip", "identity")
    ]

    assert len(set(tags)) == 3
    for tag, coding in zip(tags, ("br", "gzip", "identity"), strict=True):
        for other in ("br", "gzip", "identity"):
            answer = await get(app, "/app.js", accept_encoding=other, if_none_match=tag)
            assert answer.status_code == (304 if other == coding else 200)


async def test_file_without_compressed_copies_has_no_vary(folder: Path) -> None:
    answer = await get(StaticFiles(folder), "/docs/guide.txt", accept_encoding="gzip")

    assert answer.body == b"guide"
    assert "vary" not in answer.headers


async def test_precompressed_empty_ignores_compressed_copies(folder: Path) -> None:
    answer = await get(StaticFiles(folder, precompressed=()), "/app.js", accept_encoding="br")
    assert answer.body == SCRIPT
    assert "vary" not in answer.headers

    app = StaticFiles(folder, precompressed=["gzip"])
    assert (await get(app, "/app.js", accept_encoding="br, gzip")).body == b"gz gz gz"


@pytest.mark.usefixtures("walks")
async def test_compressed_copy_out_of_the_folder_is_not_served(folder: Path) -> None:
    app = StaticFiles(folder)
    os.remove(folder / "app.js.br")
    os.symlink("../secret.txt", folder / "app.js.br")
    os.remove(folder / "app.js.gz")
    os.mkdir(folder / "app.js.gz")

    answer = await get(app, "/app.js", accept_encoding="br, gzip")
    assert answer.body == SCRIPT
    os.remove(folder / "app.js")
    # A compressed sibling is served only in place of its file.
    assert (await get(app, "/app.js", accept_encoding="br, gzip")).status_code == 404


async def test_file_without_compressed_copies_is_opened_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "plain.css").write_bytes(b"a{}")
    opened: list[str] = []
    system_open = os.open

    def record(path: Any, *args: Any, **kwargs: Any) -> int:
        opened.append(os.fspath(path))
        return system_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", record)
    answer = await get(StaticFiles(folder), "/plain.css", accept_encoding="gzip, br, zstd")

    assert answer.body == b"a{}"
    assert opened == [str(folder / "plain.css")]


# Caching.


@pytest.mark.parametrize(
    "immutable",
    [r"\.[0-9a-f]{8}\.", re.compile("[0-9a-f]{8}"), lambda name: name == "docs/a.12345678.js"],
)
async def test_immutable_file_is_cached_for_a_year(
    folder: Path, immutable: str | re.Pattern[str] | Callable[[str], object]
) -> None:
    (folder / "docs/a.12345678.js").touch()
    app = StaticFiles(folder, cache_control="no-cache", immutable=immutable, fallback="index.html")

    kept = await get(app, "/docs/a.12345678.js")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await get(app, "/app.js")).headers["cache-control"] == "no-cache"
    # The page that stands in for a name is not that name.
    assert (await get(app, "/a.12345678.x")).headers["cache-control"] == "no-cache"


async def test_cache_control_is_absent_by_default(folder: Path) -> None:
    assert "cache-control" not in (await get(StaticFiles(folder), "/app.js")).headers


# Where it stands.


@pytest.mark.parametrize(
    "arguments",
    [
        {"directory": "/nowhere"},
        {"directory": __file__},
        {"precompressed": ["deflate"]},
        {"precompressed": "gzip"},
        {"fallback": "../secret.txt"},
        {"fallback": "/index.html"},
        {"fallback": ""},
        {"cache_control": "a\r\nb: c"},
        {"fallback": "docs/"},
        {"etag": "weak"},
        {"etag": False},
        {"send_timeout": 0},
        {"media_types": {"": "text/plain"}},
        {"media_types": {".": "text/plain"}},
        {"media_types": {"a/b.js": "text/plain"}},
        {"media_types": {".js": "text/plain\r\nx: y"}},
    ],
)
async def test_invalid_folder_argument_is_refused(folder: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        StaticFiles(**{"directory": folder, **arguments})


async def test_folder_mounted_by_starlette_is_served(folder: Path) -> None:
    app = Starlette(routes=[Mount("/static", StaticFiles(folder, html=True))])

    assert (await get(app, "/static/app.js")).body == SCRIPT
    assert (await get(app, "/static/docs")).headers["location"] == "/static/docs/"
    assert (await get(app, "/static/")).body == PAGE
    assert (await get(app, "/static/nothing")).status_code == 404
    assert (await get(app, "/static/../secret.txt")).status_code == 404


async def test_folder_returned_by_a_handler_is_served(folder: Path) -> None:
    static = StaticFiles(folder)

    assert (await get(to_asgi(static), "/app.js")).body == SCRIPT
    assert (await get(to_asgi(lambda scope: static), "/app.js")).body == SCRIPT


async def test_folder_answers_lifespan_and_websocket_scopes(folder: Path) -> None:
    app = StaticFiles(folder)
    async with lifespan(app):
        assert (await exchange(app, scope={"type": "websocket"})).status_code == 403


async def test_folder_has_a_repr_and_can_be_pickled(folder: Path) -> None:
    app = pickle.loads(pickle.dumps(StaticFiles(folder, immutable="a")))

    assert (await get(app, "/app.js")).body == SCRIPT
    assert repr(app) == f"<StaticFiles {str(folder)!r}>"


async def test_folder_is_independent_of_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    app = StaticFiles("www")
    monkeypatch.chdir("/")

    assert (await get(app, "/app.js")).body == SCRIPT


async def test_folder_behind_a_swapped_link_is_followed(folder: Path) -> None:
    """As deployments do it: a link to the current release."""
    current = folder.with_name("current")
    current.symlink_to("www")
    app = StaticFiles(current)

    assert (await get(app, "/app.js")).body == SCRIPT
    assert (await get(app, "/inside.txt")).body == b"guide"
    assert (await get(app, "/outside.txt")).status_code == 404
    os.remove(current)
    os.symlink("www-other", current)
    assert (await get(app, "/secret.txt")).body == b"SECRET"
    assert (await get(app, "/app.js")).status_code == 404
