"""Files on the wire, and changes of them while they are sent."""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.servers.client import Connection

MODIFIED = "Sun, 09 Sep 2001 01:46:40 GMT"
MiB = 1024 * 1024

_numbers = count()


@pytest.fixture(scope="module", params=SETUPS, ids=[setup.name for setup in SETUPS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """Serve the folder ``files``."""
    folder = tmp_path_factory.mktemp(f"files-{request.param.name}")
    (folder / "files").mkdir()
    with Server(request.param, "served.files:app", folder) as server:
        yield server


def create(server: Server, content: bytes | int, name: str = "") -> str:
    """Create a file with the content, or with that many zero bytes; return its name."""
    name = name or f"file-{next(_numbers)}"
    path = server.folder / "files" / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            file.truncate(content)
    os.utime(path, (1000000000, 1000000000))
    return name


@contextmanager
def without_problems(server: Server) -> Generator[None]:
    """Check that the server logs no problem during the block."""
    before = len(server.problems)
    yield
    assert server.problems[before:] == []


def processes(server: Server) -> list[Path]:
    """Return the folders in /proc of all processes of ``server``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getpgid(int(process.name)) == server.pid:
                found.append(process)
    return found


def descriptors(server: Server, name: str) -> list[Path]:
    """Return the open descriptors of the file ``name`` in ``server``."""
    target = str(server.folder / "files" / name)
    return [
        link
        for process in processes(server)
        for link in (process / "fd").iterdir()
        if read_link(link).removesuffix(" (deleted)") == target
    ]


def read_link(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed meanwhile
        return ""


def memory(server: Server) -> int:
    """Return the private memory of ``server`` in bytes."""
    status = "".join((process / "status").read_text() for process in processes(server))
    return sum(int(kilobytes) for kilobytes in re.findall(r"RssAnon:\s+(\d+) kB", status)) * 1024


def test_ranges_and_preconditions_get_their_responses(server: Server) -> None:
    name = create(server, b"0123456789", "digits.txt")
    with server.connect() as connection, without_problems(server):
        target = f"/send/{name}"
        etag = connection.request("GET", target).get("etag")
        for lines, status, content_range, body in [
            ([], 200, None, b"0123456789"),
            (["Range: bytes=0-1,500-600"], 206, "bytes 0-1/10", b"01"),
            (["Range: pages=1-2"], 200, None, b"0123456789"),
            (["Range: bytes=-100"], 206, "bytes 0-9/10", b"0123456789"),
            (["Range: bytes=0-0"], 206, "bytes 0-0/10", b"0"),
            (["Range: bytes=0-0", f"If-Range: {etag}"], 206, "bytes 0-0/10", b"0"),
            (["Range: bytes=0-0", "If-Range: W/" + str(etag)], 200, None, b"0123456789"),
            (["Range: bytes=0-0", f"If-None-Match: {etag}"], 304, None, b""),
            (['If-None-Match: "zz"', f"If-Modified-Since: {MODIFIED}"], 200, None, b"0123456789"),
            ([f"If-Modified-Since: {MODIFIED}"], 304, None, b""),
            (['If-Match: "other"'], 412, None, b""),
            (["If-Match: *"], 200, None, b"0123456789"),
        ]:
            response = connection.request("GET", target, *lines)
            assert (response.status, response.body) == (status, body), lines
            assert response.get("content-range") == content_range
        beyond = connection.request("GET", target, "Range: bytes=-0")
        assert (beyond.status, beyond.get("content-range")) == (416, "bytes */10")
        head = connection.request("HEAD", target, "Range: bytes=0-1")
        assert (head.status, head.get("content-length")) == (200, "10")
        parts = connection.request("GET", target, "Range: bytes=0-1,8-9")
        assert parts.status == 206
        assert parts.get("content-length") == str(len(parts.body))


@pytest.mark.parametrize("query", ["", "?plain"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MiB + 1])
def test_file_arrives_unchanged(server: Server, size: int, query: str) -> None:
    content = os.urandom(size)
    name = create(server, content)
    with server.connect() as connection, without_problems(server):
        response = connection.request("GET", f"/send/{name}{query}")
        assert (response.status, response.get("content-length")) == (200, str(size))
        assert response.body == content
        # The same connection: no byte of the first response is left on it.
        assert connection.request("HEAD", f"/send/{name}{query}").status == 200
        assert connection.request("GET", f"/send/{name}{query}").body == content
    until(lambda: descriptors(server, name) == [], "close of the file")


def test_static_files_are_served(server: Server) -> None:
    create(server, b"page", "index.html")
    create(server, b"let a = 1", "app.js")
    create(server, b"gz", "app.js.gz")
    with server.connect() as connection, without_problems(server):
        assert connection.request("GET", "/static/").body == b"page"
        redirect = connection.request("GET", "/static?a=%20")
        assert (redirect.status, redirect.get("location")) == (307, "/static/?a=%20")
        script = connection.request("GET", "/static/app.js", "Accept-Encoding: gzip;q=0")
        assert (script.body, script.get("vary")) == (b"let a = 1", "accept-encoding")
        zipped = connection.request("GET", "/static/app.js", "Accept-Encoding: gzip")
        assert (zipped.body, zipped.get("content-encoding")) == (b"gz", "gzip")
        assert connection.request("POST", "/static/app.js", body=b"").get("allow") == "GET, HEAD"
        for hostile in ("/static/../log", "/static/%2e%2e%2flog", "/static/..%5clog"):
            assert connection.request("GET", hostile).status in {400, 404}


def test_path_that_is_not_regular_file_gets_404(server: Server) -> None:
    folder = server.folder / "files" / "odd"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    # A path may be too long for the address of a Unix socket.
    descriptor = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"/proc/self/fd/{descriptor}/socket")
    os.close(descriptor)
    with server.connect() as connection, without_problems(server):
        for name in ("odd", "odd/fifo", "odd/socket", "odd/none", "x" * 300):
            for query in ("", "?plain"):
                response = connection.request("GET", f"/send/{name}{query}")
                assert response.status == 404
                assert response.json()["title"] == "Not Found"
            assert connection.request("HEAD", f"/send/{name}").status == 404


def test_unreadable_file_gets_403(server: Server) -> None:
    create(server, b"secret", "forbidden")
    with server.connect() as connection, without_problems(server):
        assert connection.request("GET", "/send/forbidden?plain").status == 403
        assert connection.request("GET", "/static/forbidden").status == 403
        assert connection.request("GET", "/send/forbidden?plain").json()["title"] == "Forbidden"


def test_file_deleted_before_sending_gets_404(server: Server) -> None:
    with server.connect() as connection, without_problems(server):
        for query in ("", "&plain"):
            name = create(server, b"0123456789")
            response = connection.request("GET", f"/send/{name}?change=delete&before{query}")
            assert response.status == 404


@pytest.mark.parametrize("size", [1000, 3 * MiB])
@pytest.mark.parametrize("change", ["grow", "delete"])
def test_growing_or_deleted_file_is_sent_with_original_content(
    server: Server, size: int, change: str
) -> None:
    content = os.urandom(size)
    name = create(server, content)
    with server.connect() as connection, without_problems(server):
        response = connection.request("GET", f"/send/{name}?plain&change={change}")
        assert response.get("content-length") == str(size)
        assert response.body == content
        # The same connection: no further byte was sent.
        assert connection.request("GET", "/send/none").status == 404


def test_shrinking_file_breaks_connection(server: Server) -> None:
    if server.setup.name == "daphne":
        pytest.skip("daphne leaves the connection open after an error")
    name = create(server, 3 * MiB)
    with server.connect() as connection:
        connection.send_head("GET", f"/send/{name}?plain&change=shrink&marks=shrunk")
        with pytest.raises(ConnectionError):
            connection.read_response()
    server.wait_for_mark("shrunk", "background")
    until(lambda: descriptors(server, name) == [], "close of the file")
    until(lambda: re.search("ContentLengthMismatch|shorter", server.log), "log line of the error")


@pytest.mark.parametrize(
    "disconnect", [lambda c: c.close(), lambda c: c.reset()], ids=["close", "reset"]
)
def test_file_is_closed_after_client_disconnect(
    server: Server, disconnect: Callable[[Connection], None]
) -> None:
    name = create(server, 64 * MiB)
    marks = f"disconnected-{next(_numbers)}"
    # granian would log each message sent after the disconnect.
    before = server.log.count("Traceback")
    with server.connect() as connection:
        connection.send_head("GET", f"/send/{name}?plain&marks={marks}")
        assert connection.read_head().status == 200
        disconnect(connection)
        assert server.wait_for_mark(marks, "background") == ["background"]
        until(lambda: descriptors(server, name) == [], "close of the file")
    assert server.log.count("Traceback") == before


def test_stalled_client_stops_reading_of_file(server: Server) -> None:
    if server.setup.name == "daphne":
        pytest.skip("daphne buffers the whole response in memory")
    name = create(server, 64 * MiB)
    with server.connect() as connection:
        # The first response loads modules and fills caches.
        assert (
            connection.request("GET", f"/send/{name}?plain", "Range: bytes=0-4000000").status == 206
        )
    with server.connect() as connection:
        before = memory(server)
        connection.send_head("GET", f"/send/{name}?plain")
        assert connection.read_head().status == 200
        seen = [-1]

        def is_stalled() -> bool:
            for link in descriptors(server, name):
                information = (link.parent.parent / "fdinfo" / link.name).read_text()
                seen.append(int(information.split("\n")[0].split("\t")[1]))
            # No further byte in 50 polls.
            return len(seen) > 50 and len(set(seen[-50:])) == 1

        until(is_stalled, "stall")
        # The socket buffers of both sides, and the bytes of one call in a worker thread.
        assert seen[-1] < 16 * MiB
        assert memory(server) - before < 3 * MiB


STALLED_CLIENTS = 200
UVICORN = [setup for setup in SETUPS if setup.name.startswith("uvicorn")]
KiB = 1024


# The buffers of other servers are larger.
@pytest.mark.parametrize("server", UVICORN, indirect=True, ids=lambda setup: setup.name)
def test_stalled_downloads_hold_little_memory(server: Server) -> None:
    name = create(server, 30 * MiB)
    with server.connect() as connection:
        # The first response loads modules and fills caches.
        target = f"/send/{name}?plain"
        assert connection.request("GET", target, "Range: bytes=0-4000000").status == 206
    before = memory(server)
    with ExitStack() as stack:
        for _ in range(STALLED_CLIENTS):
            connection = stack.enter_context(server.connect())
            connection.send_head("GET", target)
            assert connection.read_head().status == 200
        sizes = [0]

        def is_steady() -> bool:
            sizes.append(memory(server))
            return len(sizes) > 50 and max(sizes[-50:]) - min(sizes[-50:]) < MiB

        until(is_steady, "steady memory")
        assert memory(server) - before < STALLED_CLIENTS * 300 * KiB
