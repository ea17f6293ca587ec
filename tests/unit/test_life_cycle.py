"""The life of a request: however it ends, nothing stays open, and nobody waits for ever.

What is true of one class alone is tested with it: streams in ``test_streaming``, files in
``test_files_sending``, forms in ``test_form_reader`` and ``test_uploads``, bodies in ``test_body``.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import (
    BodyConsumed,
    ClientDisconnect,
    HTTPError,
    JSONResponse,
    Limits,
    Request,
    Response,
    StreamingResponse,
    UploadFile,
    request_response,
    to_asgi,
)
from asgikit.apps.staticfiles import StaticFiles
from asgikit.body.sharing import KEY
from asgikit.forms import temporary_file
from asgikit.responses.files import FileResponse
from asgikit.testing import exchange
from tests.support.form_bodies import CONTENT_TYPE, file, text
from tests.support.paths import ROOT
from tests.support.streams import run_cancelled_at
from tests.support.waiting import BOUND
from tests.unit.forms.test_uploads import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from asgikit.types import ASGIApp, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


# A file of 2.4 MB on disk, of which 1 MiB is written at a time, and a field behind it.
UPLOAD = [
    file("f", "x", b"x" * 60_000)[:-2],
    *[b"y" * 60_000] * 40,
    b"\r\n",
    text("a", b"v"),
]
WHOLE = [*UPLOAD, b"--X--"]


class Client:
    """Sends chunks; then it waits for its answer, or has what it wants and goes (``done``).

    Or it ``stalls`` or ``leaves`` in the middle of its body.
    """

    def __init__(
        self, *chunks: bytes, end: str = "", content_type: str = CONTENT_TYPE, turns: int = 0
    ) -> None:
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": [(b"content-type", content_type.encode())],
        }
        self.chunks = list(chunks)
        self.end = end
        self.turns = turns
        self.stalls = anyio.Event()
        self.status = 0

    async def receive(self) -> Message:
        for _ in range(self.turns):
            await checkpoint()
        if self.chunks:
            chunk = self.chunks.pop(0)
            more = bool(self.chunks) or self.end not in {"", "done"}
            return {"type": "http.request", "body": chunk, "more_body": more}
        if self.end in {"leaves", "done"}:
            return {"type": "http.disconnect"}
        self.stalls.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        await checkpoint()

    async def post(self, app: ASGIApp) -> None:
        await app(self.scope, self.receive, self.send)


@contextmanager
def nothing_left(folder: Path) -> Iterator[Callable[[], None]]:
    """See to it that what is opened inside is closed there, by somebody and not by chance.

    It gives a function that looks already before the end.
    """
    gc.disable()
    before = len(os.listdir("/proc/self/fd"))

    def check() -> None:
        assert len(os.listdir("/proc/self/fd")) == before
        assert os.listdir(folder) == []

    try:
        yield check
        check()
    finally:
        gc.enable()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uploads go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- uploads ------------------------------------------------------------------------------------


async def leave_open(request: Request[Any]) -> Response:
    form = await request.form()
    assert isinstance(form["f"], UploadFile)
    return Response()


async def close(request: Request[Any]) -> Response:
    async with request.form() as form:
        assert isinstance(form["f"], UploadFile)
    return Response()


async def fail(request: Request[Any]) -> Response:
    await request.form()
    raise ZeroDivisionError


async def refuse(request: Request[Any]) -> Response:
    await request.form()
    raise HTTPError(409)


async def use_later(request: Request[Any]) -> Response:
    form = await request.form()
    upload = form["f"]
    assert isinstance(upload, UploadFile)

    async def read() -> None:
        assert len(await upload.read()) == upload.size

    return Response(background=read)


async def send_back(request: Request[Any]) -> Response:
    form = await request.form()
    upload = form["f"]
    assert isinstance(upload, UploadFile)
    return StreamingResponse(upload)


async def send_back_for_ever(request: Request[Any]) -> Response:
    form = await request.form()
    upload = form["f"]
    assert isinstance(upload, UploadFile)

    async def chunks() -> AsyncGenerator[bytes]:
        while True:
            yield await upload.read(1000)
            await upload.seek(0)

    return StreamingResponse(chunks())


Handler = Any

EXITS: dict[str, tuple[Handler, list[bytes], str, object]] = {
    "success": (leave_open, WHOLE, "", 200),
    "success, and closed": (close, WHOLE, "", 200),
    "used in the background": (use_later, WHOLE, "", 200),
    "sent back": (send_back, WHOLE, "", 200),
    "an error of the handler": (fail, WHOLE, "", ZeroDivisionError),
    "an answer of the handler": (refuse, WHOLE, "", 409),
    "a form cut short": (leave_open, UPLOAD, "", 400),
    "a part that is none": (leave_open, [*UPLOAD, b"--X\r\nno colon\r\n\r\n"], "", 400),
    "a file too many": (leave_open, [*UPLOAD, file("g", "x", b"")], "stalls", 413),
    "a client that leaves": (leave_open, UPLOAD, "leaves", 0),
    "a client that leaves later": (send_back_for_ever, WHOLE, "done", 0),
    "a client that stalls": (leave_open, UPLOAD, "stalls", 408),
}


def wrapped(handler: Handler, wrap: str, limits: Limits) -> ASGIApp:
    if wrap == "request_response":
        return request_response(handler, limits=limits)

    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request[Any](scope, receive, send, limits=limits)
        try:
            response = await handler(request)
            await response(scope, receive, send)
        finally:
            await request.close()

    return app


every_wrap = pytest.mark.parametrize("wrap", ["request_response", "to_asgi"])


@every_wrap
@pytest.mark.parametrize("exit_", EXITS)
async def test_every_exit_closes_what_was_uploaded_and_never_on_the_loop(
    exit_: str, wrap: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, chunks, end, expected = EXITS[exit_]
    app = wrapped(handler, wrap, Limits(max_files=1, body_timeout=0.02 if end == "stalls" else 60))
    client = Client(*chunks, end=end)

    with nothing_left(temporary), monkeypatch.context() as patches:
        recorder = Recorder(patches)
        with anyio.fail_after(BOUND), suppress(ZeroDivisionError):
            await client.post(app)
            assert expected is not ZeroDivisionError
        threads = recorder.threads

    assert client.status == (0 if expected is ZeroDivisionError else expected)
    assert threads["writev"]
    assert threads["close"]
    assert threading.get_ident() not in set[int]().union(*threads.values())


@every_wrap
async def test_a_disk_that_is_full_closes_what_was_uploaded_and_reads_no_more(
    wrap: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary_file, "_write_chunks", full)
    client = Client(*WHOLE)

    with nothing_left(temporary), anyio.fail_after(BOUND), pytest.raises(OSError, match="space"):
        await client.post(wrapped(leave_open, wrap, Limits()))

    # A mebibyte was gathered, and found no place.
    assert len(client.chunks) > len(WHOLE) // 2


@every_wrap
async def test_a_hundred_uploads_that_break_off_leave_nothing(wrap: str, temporary: Path) -> None:
    app = wrapped(leave_open, wrap, Limits())

    with nothing_left(temporary), anyio.fail_after(BOUND):
        for _ in range(100):
            await Client(*UPLOAD[:25], end="leaves").post(app)


NAMES = """
import sys
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments))))

import anyio
from asgikit import Limits, Response, request_response
from tests.unit.test_life_cycle import Client
from tests.support.form_bodies import file

@request_response(limits=Limits(spool_size=0))
async def app(request):
    async with request.form() as form:
        for upload in form.values():
            await upload.read()
            await upload.save(sys.argv[2])
    return Response()

async def main():
    for name in ("../../zyzzyva", "/tmp/zyzzyva", "C:\\\\zyzzyva", ".zyzzyva", "zyzzyva"):
        part = file("zyzzyva", name, b"x" * 60000, "Content-Type: zyzzyva/zyzzyva")
        client = Client(part, b"--X--")
        await client.post(app)
        assert client.status == 200
        import os
        os.unlink(sys.argv[2])

anyio.run(main, backend=sys.argv[1])
files = [each for each in seen if each[0].split(".")[0] in ("open", "os", "shutil", "tempfile")]
assert any("tmp" in arguments for _, arguments in files)
print([each for each in files if "zyzzyva" in each[1]])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_name_of_a_client_reaches_the_file_system(backend: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", NAMES, backend, str(tmp_path / "saved")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("[]\n", "", 0)


# --- a body that failed -------------------------------------------------------------------------


async def read_stream(request: Request[Any]) -> bytes:
    return b"".join([chunk async for chunk in request.stream()])


async def read_parts(request: Request[Any]) -> bytes:
    return b"".join([await part.read() async for part in request.parts()])


READERS: dict[str, Callable[[Request[Any]], Awaitable[Any]]] = {
    "body": lambda request: request.body(),
    "text": lambda request: request.text(),
    "json": lambda request: request.json(),
    "form": lambda request: request.form(),
    "stream": read_stream,
    "parts": read_parts,
}
FAILURES: dict[str, tuple[list[bytes], str]] = {
    "the client left": ([text("a", b"v")], "leaves"),
    "nothing came": ([text("a", b"v")], "stalls"),
    "it is no form": ([text("a", b"v"), b"--X\r\nno colon\r\n\r\n"], ""),
    "it is cut short": ([text("a", b"v")], ""),
    "it is too large": ([text("a", b"v"), b"x" * 2000], ""),
}


@pytest.mark.parametrize("second", READERS)
@pytest.mark.parametrize("first", READERS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_second_reader_after_a_failed_one_is_told_so(
    failure: str, first: str, second: str
) -> None:
    chunks, end = FAILURES[failure]
    client = Client(*chunks, end=end)
    limits = Limits(max_body_size=1000, max_form_size=1000, body_timeout=0.001)
    request = Request[Any](client.scope, client.receive, client.send, limits=limits)
    outcomes = []
    with anyio.fail_after(BOUND):
        for name in (first, second):
            try:
                outcomes.append(await READERS[name](request))
            except (HTTPError, ClientDisconnect, BodyConsumed) as error:
                outcomes.append(error)
        await request.close()
    for name, outcome in zip((first, second), outcomes, strict=True):
        # It may have been read, where a reader has no quarrel with it; but then whole.
        if not isinstance(outcome, Exception):
            assert end == ""
            assert name in {"body", "text", "stream"}
            assert outcome in (b"".join(chunks), b"".join(chunks).decode())


# --- cancelled at any moment --------------------------------------------------------------------


async def read_and_poll(request: Request[Any]) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        await request.is_disconnected()
    return JSONResponse(size)


async def read_body(request: Request[Any]) -> Response:
    return JSONResponse(len(await request.body()))


async def read_form_in_parts(request: Request[Any]) -> Response:
    return JSONResponse([part.name async for part in request.parts()])


async def use_file(request: Request[Any]) -> Response:
    async with request.form() as form:
        upload = form["f"]
        assert isinstance(upload, UploadFile)
        async for _ in upload:
            await upload.seek(100, os.SEEK_CUR)
        await upload.write(b"more")
    return Response()


async def wait_for_the_end(request: Request[Any]) -> Response:
    await request.body()
    await request.wait_disconnected()
    return Response()


def in_a_thread(request: Request[Any]) -> Response:
    anyio.from_thread.run(request.body)
    return Response()


async def with_background(request: Request[Any]) -> Response:
    async def clean_up() -> None:
        for _ in range(50):
            await checkpoint()

    return Response(background=clean_up)


HANDLERS: dict[str, tuple[Handler, list[bytes], str]] = {
    "a form": (leave_open, WHOLE, ""),
    "a form that is closed": (close, WHOLE, ""),
    "a form that is cut short": (close, UPLOAD, ""),
    "a form whose client leaves": (close, UPLOAD, "leaves"),
    "an upload that is used": (use_file, WHOLE, ""),
    "an upload that is sent back": (send_back, WHOLE, ""),
    "parts": (read_form_in_parts, WHOLE, ""),
    "a body": (read_body, UPLOAD, ""),
    "a stream with polls": (read_and_poll, UPLOAD, ""),
    "the wait for the end": (wait_for_the_end, UPLOAD[:5], "done"),
    "a thread": (in_a_thread, UPLOAD[:5], ""),
    "a background": (with_background, UPLOAD[:5], ""),
}

every_way = pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)


@every_way
@pytest.mark.parametrize("name", HANDLERS)
async def test_a_request_cancelled_at_any_wait_leaves_nothing(
    name: str, how: str, temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handler, chunks, end = HANDLERS[name]
    app = request_response(handler, limits=Limits(max_form_size=None))
    outcomes = set()
    await Client(*chunks[:1], end="leaves").post(app)  # so that the threads are there
    with nothing_left(temporary) as check, anyio.fail_after(BOUND):
        for at in range(1, 41):
            client = Client(*chunks, end=end, turns=1)
            outcomes.add(await run_cancelled_at(at, client.post(app), how))
            assert KEY not in client.scope
            check()

    assert True in outcomes
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "large").write_bytes(b"0123456789" * 400_000)
    return folder


@every_way
@pytest.mark.parametrize("ranges", [None, "bytes=0-0", "bytes=0-1999999,2500000-2999999,-3"])
@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_a_file_cancelled_at_any_wait_is_closed(
    kind: str, ranges: str | None, how: str, folder: Path, temporary: Path
) -> None:
    app: Any = FileResponse(folder / "large", chunk_size=100_000)
    if kind == "folder":
        app = StaticFiles(folder)
    outcomes = set()
    with nothing_left(temporary) as check, anyio.fail_after(BOUND):
        for at in range(1, 41):
            client = Client(end="stalls")
            client.scope.update(method="GET", path="/large", root_path="")
            client.scope["headers"] = [(b"range", ranges.encode())] if ranges else []
            outcomes.add(await run_cancelled_at(at, client.post(app), how))
            check()

    assert True in outcomes


# --- clients that leave, by the version of the specification ------------------------------------


@pytest.mark.parametrize(
    ("kind", "leaves_after"),
    [
        *[(kind, after) for kind in ("stream", "thread", "file") for after in (0, 1, 2, 5)],
        ("poll", 0),
        ("wait", 0),
    ],
)
@pytest.mark.parametrize("version", [None, "2.0", "2.1", "2.2", "2.3", "2.4", "2.5"])
async def test_a_client_that_leaves_is_noticed_whatever_the_server_speaks(
    kind: str, version: str | None, leaves_after: int, folder: Path
) -> None:
    happened: list[str] = []

    def background() -> None:
        happened.append("background")

    async def chunks() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x"
                await checkpoint()
        finally:
            happened.append("closed")

    def chunks_in_thread() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            happened.append("closed")

    async def handler(request: Request[Any]) -> Response:
        if kind == "poll":
            while not await request.is_disconnected():
                await checkpoint()
            return Response(background=background)
        if kind == "wait":
            await request.wait_disconnected()
            return Response(background=background)
        if kind == "file":
            return FileResponse(folder / "large", chunk_size=1000, background=background)
        content = chunks() if kind == "stream" else chunks_in_thread()
        return StreamingResponse(content, background=background)

    asgi = {"version": "3.0"} | ({} if version is None else {"spec_version": version})
    with anyio.fail_after(BOUND):
        answer = await exchange(
            request_response(handler), scope={"asgi": asgi}, disconnect_after=leaves_after
        )

    assert len(answer.messages) == leaves_after
    assert happened[-1:] == ["background"]
    # One that was never begun has nothing to do when it is closed.
    assert happened[:-1] in ([], ["closed"])
    if leaves_after and kind in {"stream", "thread"}:
        assert happened == ["closed", "background"]
