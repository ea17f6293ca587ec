"""Background tasks: once for each response, however it ends, and never cut short by the request."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgikit import (
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    JSONResponse,
    NDJSONResponse,
    PlainTextResponse,
    ProblemResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    request_response,
)
from tests.support.streams import Boom
from tests.support.waiting import BOUND
from tests.support.waiting import until_thread as until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from pathlib import Path

    from asgikit.types import Message

pytestmark = pytest.mark.anyio


async def forever() -> AsyncGenerator[str]:
    while True:
        yield "a"
        await checkpoint()


async def few() -> AsyncGenerator[str]:
    for _ in range(3):
        yield "a"


CLASSES: dict[str, Callable[[Path, bool], Response]] = {
    "Response": lambda _path, _ends: Response(b"a"),
    "PlainTextResponse": lambda _path, _ends: PlainTextResponse("a"),
    "HTMLResponse": lambda _path, _ends: HTMLResponse("a"),
    "JSONResponse": lambda _path, _ends: JSONResponse([1]),
    "RedirectResponse": lambda _path, _ends: RedirectResponse("/"),
    "ProblemResponse": lambda _path, _ends: ProblemResponse(409),
    "StreamingResponse": lambda _path, ends: StreamingResponse(few() if ends else forever()),
    "NDJSONResponse": lambda _path, ends: NDJSONResponse(few() if ends else forever()),
    "EventSourceResponse": lambda _path, ends: EventSourceResponse(few() if ends else forever()),
    "FileResponse": lambda path, _ends: FileResponse(path),
    "FileResponse, in chunks": lambda path, _ends: FileResponse(path, chunk_size=1),
}
every_class = pytest.mark.parametrize("name", CLASSES)


def in_a_handler(response: Response) -> Any:
    async def handler(request: Request[Any]) -> Response:
        return response

    return request_response(handler)


WRAPS: dict[str, Callable[[Response], Any]] = {
    "bare": lambda response: response,
    "request_response": in_a_handler,
}


class Task:
    """A background task that waits until it may continue."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.go = threading.Event()

    async def run(self) -> None:
        self.events.append("begun")
        await until(self.go.is_set)
        for _ in range(5):
            await checkpoint()
        self.events.append("ended")

    def run_in_thread(self) -> None:
        self.events.append("begun")
        assert self.go.wait(BOUND)
        self.events.append("ended")


class Ends:
    """A client or a server that ends a response as ``how`` says."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.is_started = anyio.Event()

    async def receive(self) -> Message:
        if self.how == "disconnected":
            await self.is_started.wait()
            return {"type": "http.disconnect"}
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            return
        self.is_started.set()
        if self.how == "send fails":
            raise BrokenPipeError
        if self.how == "error":
            raise Boom
        await checkpoint()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 300)
    return path


@every_class
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("how", ["completed", "send fails", "disconnected", "error"])
@pytest.mark.parametrize("kind", ["run", "run_in_thread"])
@pytest.mark.parametrize("cancels", [False, True], ids=["", "cancelled"])
async def test_background_runs_once_and_to_its_end(
    name: str, wrap: str, how: str, kind: str, cancels: bool, path: Path
) -> None:
    task = Task()
    response = CLASSES[name](path, how == "completed")
    response.background = getattr(task, kind)
    ends = Ends(how)
    errors: list[BaseException] = []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

    async def serve() -> None:
        try:
            await WRAPS[wrap](response)(scope, ends.receive, ends.send)
        except Boom as error:
            errors.append(error)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            await until(lambda: task.events == ["begun"])
            if cancels:
                group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await checkpoint()
                task.go.set()
                await until(lambda: len(task.events) > 1)

    assert task.events == ["begun", "ended"]
    assert cancels or bool(errors) == (how == "error")


@every_class
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", ["run", "run_in_thread"])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # Trio has no task.cancel()
async def test_background_outlives_cancelled_task(
    name: str, wrap: str, kind: str, times: int, path: Path
) -> None:
    task = Task()
    response = CLASSES[name](path, True)
    response.background = getattr(task, kind)
    ends = Ends("completed")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    request: asyncio.Future[None] = asyncio.ensure_future(
        WRAPS[wrap](response)(scope, ends.receive, ends.send)
    )
    await until(lambda: task.events == ["begun"])
    for _ in range(times):
        request.cancel()
        await checkpoint()
    task.go.set()
    await asyncio.wait([request], timeout=BOUND)

    assert request.cancelled()
    assert task.events == ["begun", "ended"]


@every_class
def test_background_ends_with_event_loop(name: str, path: Path) -> None:
    """``asyncio.run`` cancels all tasks: an endless background task must not block it."""
    events: list[str] = []

    async def background() -> None:
        events.append("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("ended")

    async def main() -> None:
        response = CLASSES[name](path, True)
        response.background = background
        ends = Ends("completed")
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        coroutine: Coroutine[Any, Any, None] = response(scope, ends.receive, ends.send)
        tasks.append(asyncio.create_task(coroutine))
        await until(lambda: events == ["begun"])

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(main())

    assert events == ["begun", "ended"]
    assert tasks[0].cancelled()
