"""The end of a request: success, error, disconnect, timeout and cancellation at any await.

After each of them, all files are closed and no task waits. The tests of one class are in the
directory of its package: ``responses/`` for streams and files, ``forms/``, ``body/``.
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


# A form without its closing delimiter: a field, and a file of 2.4 MB (1 MiB is written at a time).
TRUNCATED = [
    file("f", "x", b"x" * 60_000)[:-2],
    *[b"y" * 60_000] * 40,
    b"\r\n",
    text("a", b"v"),
]
COMPLETE = [*TRUNCATED, b"--X--"]


class Client:
    """Send a request body in chunks, and record the status of the response.

    Args:
        chunks: the body.
        end: the event after the last chunk. By default the body is complete and the client waits
            for the response. ``"done"``: the body is complete and the client disconnects.
            ``"stalls"`` and ``"disconnects"``: the body is incomplete.
        content_type: the media type of the body.
        checkpoints: the number of times that ``receive()`` yields before each message.
    """

    def __init__(
        self, *chunks: bytes, end: str = "", content_type: str = CONTENT_TYPE, checkpoints: int = 0
    ) -> None:
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": [(b"content-type", content_type.encode())],
        }
        self.chunks = list(chunks)
        self.end = end
        self.checkpoints = checkpoints
        self.stalls = anyio.Event()
        self.status = 0

    async def receive(self) -> Message:
        for _ in range(self.checkpoints):
            await checkpoint()
        if self.chunks:
            chunk = self.chunks.pop(0)
            more = bool(self.chunks) or self.end not in {"", "done"}
            return {"type": "http.request", "body": chunk, "more_body": more}
        if self.end in {"disconnects", "done"}:
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
def no_open_files(folder: Path) -> Iterator[Callable[[], None]]:
    """Assert that files opened in the block are closed in it, explicitly and not by the collector.

    The function that it yields makes the same assertion before the end of the block.
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
    """Return the directory of temporary files, which holds uploads only."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- uploads ------------------------------------------------------------------------------------


async def read_form(request: Request[Any]) -> Response:
    form = await request.form()
    assert isinstance(form["f"], UploadFile)
    return Response()


async def read_and_close_form(request: Request[Any]) -> Response:
    async with request.form() as form:
        assert isinstance(form["f"], UploadFile)
    return Response()


async def raise_error(request: Request[Any]) -> Response:
    await request.form()
    raise ZeroDivisionError


async def raise_http_error(request: Request[Any]) -> Response:
    await request.form()
    raise HTTPError(409)


async def read_upload_in_background(request: Request[Any]) -> Response:
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


async def send_back_endlessly(request: Request[Any]) -> Response:
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
    "success": (read_form, COMPLETE, "", 200),
    "success, form closed by the handler": (read_and_close_form, COMPLETE, "", 200),
    "upload read in the background": (read_upload_in_background, COMPLETE, "", 200),
    "upload sent back": (send_back, COMPLETE, "", 200),
    "handler raises": (raise_error, COMPLETE, "", ZeroDivisionError),
    "handler raises HTTPError": (raise_http_error, COMPLETE, "", 409),
    "truncated form": (read_form, TRUNCATED, "", 400),
    "malformed part": (read_form, [*TRUNCATED, b"--X\r\nno colon\r\n\r\n"], "", 400),
    "one file too many": (read_form, [*TRUNCATED, file("g", "x", b"")], "stalls", 413),
    "disconnect in the form": (read_form, TRUNCATED, "disconnects", 0),
    "disconnect in the response": (send_back_endlessly, COMPLETE, "done", 0),
    "client stalls": (read_form, TRUNCATED, "stalls", 408),
}


def build_app(handler: Handler, wrapper: str, limits: Limits) -> ASGIApp:
    if wrapper == "request_response":
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


each_wrapper = pytest.mark.parametrize("wrapper", ["request_response", "to_asgi"])


@each_wrapper
@pytest.mark.parametrize("exit_", EXITS)
async def test_uploads_are_closed_off_the_event_loop_after_each_exit(
    exit_: str, wrapper: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, chunks, end, expected = EXITS[exit_]
    app = build_app(
        handler, wrapper, Limits(max_files=1, body_timeout=0.02 if end == "stalls" else 60)
    )
    client = Client(*chunks, end=end)

    with no_open_files(temporary), monkeypatch.context() as patches:
        recorder = Recorder(patches)
        with anyio.fail_after(BOUND), suppress(ZeroDivisionError):
            await client.post(app)
            assert expected is not ZeroDivisionError
        threads = recorder.threads

    assert client.status == (0 if expected is ZeroDivisionError else expected)
    assert threads["writev"]
    assert threads["close"]
    assert threading.get_ident() not in set[int]().union(*threads.values())


@each_wrapper
async def test_full_disk_closes_uploads_and_ends_reading_of_the_body(
    wrapper: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary_file, "_write_chunks", full)
    client = Client(*COMPLETE)

    with no_open_files(temporary), anyio.fail_after(BOUND), pytest.raises(OSError, match="space"):
        await client.post(build_app(read_form, wrapper, Limits()))

    # The first write of 1 MiB failed, so the rest of the body was not received.
    assert len(client.chunks) > len(COMPLETE) // 2


@each_wrapper
async def test_hundred_truncated_uploads_leave_no_open_file(wrapper: str, temporary: Path) -> None:
    app = build_app(read_form, wrapper, Limits())

    with no_open_files(temporary), anyio.fail_after(BOUND):
        for _ in range(100):
            await Client(*TRUNCATED[:25], end="disconnects").post(app)


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
def test_file_name_of_an_upload_never_reaches_the_file_system(backend: str, tmp_path: Path) -> None:
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


# --- reading again after a failure --------------------------------------------------------------


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
    "disconnect": ([text("a", b"v")], "disconnects"),
    "body_timeout": ([text("a", b"v")], "stalls"),
    "malformed form": ([text("a", b"v"), b"--X\r\nno colon\r\n\r\n"], ""),
    "truncated form": ([text("a", b"v")], ""),
    "too large": ([text("a", b"v"), b"x" * 2000], ""),
}


@pytest.mark.parametrize("second", READERS)
@pytest.mark.parametrize("first", READERS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_reading_again_after_a_failure_raises_or_returns_all(
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
        # A complete body may be an invalid form; then the readers of bytes return all of it.
        if not isinstance(outcome, Exception):
            assert end == ""
            assert name in {"body", "text", "stream"}
            assert outcome in (b"".join(chunks), b"".join(chunks).decode())


# --- cancellation at any await ------------------------------------------------------------------


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


async def read_and_write_upload(request: Request[Any]) -> Response:
    async with request.form() as form:
        upload = form["f"]
        assert isinstance(upload, UploadFile)
        async for _ in upload:
            await upload.seek(100, os.SEEK_CUR)
        await upload.write(b"more")
    return Response()


async def read_body_and_wait(request: Request[Any]) -> Response:
    await request.body()
    await request.wait_disconnected()
    return Response()


def read_body_in_thread(request: Request[Any]) -> Response:
    anyio.from_thread.run(request.body)
    return Response()


async def with_background(request: Request[Any]) -> Response:
    async def clean_up() -> None:
        for _ in range(50):
            await checkpoint()

    return Response(background=clean_up)


HANDLERS: dict[str, tuple[Handler, list[bytes], str]] = {
    "form": (read_form, COMPLETE, ""),
    "form closed by the handler": (read_and_close_form, COMPLETE, ""),
    "truncated form": (read_and_close_form, TRUNCATED, ""),
    "disconnect in the form": (read_and_close_form, TRUNCATED, "disconnects"),
    "upload read and written": (read_and_write_upload, COMPLETE, ""),
    "upload sent back": (send_back, COMPLETE, ""),
    "parts()": (read_form_in_parts, COMPLETE, ""),
    "body()": (read_body, TRUNCATED, ""),
    "stream() with is_disconnected()": (read_and_poll, TRUNCATED, ""),
    "wait_disconnected()": (read_body_and_wait, TRUNCATED[:5], "done"),
    "worker thread": (read_body_in_thread, TRUNCATED[:5], ""),
    "background task": (with_background, TRUNCATED[:5], ""),
}

each_cancellation = pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
)


@each_cancellation
@pytest.mark.parametrize("name", HANDLERS)
async def test_request_cancelled_at_any_await_leaves_no_open_file(
    name: str, how: str, temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handler, chunks, end = HANDLERS[name]
    app = request_response(handler, limits=Limits(max_form_size=None))
    outcomes = set()
    await Client(*chunks[:1], end="disconnects").post(app)  # start the worker threads
    with no_open_files(temporary) as check, anyio.fail_after(BOUND):
        for at in range(1, 41):
            client = Client(*chunks, end=end, checkpoints=1)
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


@each_cancellation
@pytest.mark.parametrize("ranges", [None, "bytes=0-0", "bytes=0-1999999,2500000-2999999,-3"])
@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_file_response_cancelled_at_any_await_closes_its_file(
    kind: str, ranges: str | None, how: str, folder: Path, temporary: Path
) -> None:
    app: Any = FileResponse(folder / "large", chunk_size=100_000)
    if kind == "folder":
        app = StaticFiles(folder)
    outcomes = set()
    with no_open_files(temporary) as check, anyio.fail_after(BOUND):
        for at in range(1, 41):
            client = Client(end="stalls")
            client.scope.update(method="GET", path="/large", root_path="")
            client.scope["headers"] = [(b"range", ranges.encode())] if ranges else []
            outcomes.add(await run_cancelled_at(at, client.post(app), how))
            check()

    assert True in outcomes


# --- disconnects, by version of the ASGI specification ------------------------------------------


@pytest.mark.parametrize(
    ("kind", "disconnect_after"),
    [
        *[(kind, after) for kind in ("stream", "thread", "file") for after in (0, 1, 2, 5)],
        ("poll", 0),
        ("wait", 0),
    ],
)
@pytest.mark.parametrize("version", [None, "2.0", "2.1", "2.2", "2.3", "2.4", "2.5"])
async def test_disconnect_is_noticed_with_any_spec_version(
    kind: str, version: str | None, disconnect_after: int, folder: Path
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
            request_response(handler), scope={"asgi": asgi}, disconnect_after=disconnect_after
        )

    assert len(answer.messages) == disconnect_after
    assert happened[-1:] == ["background"]
    # An iterable that was not started runs no code when it is closed.
    assert happened[:-1] in ([], ["closed"])
    if disconnect_after and kind in {"stream", "thread"}:
        assert happened == ["closed", "background"]
