"""The programs of the guide on disconnects stop their work when the client disconnects."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.project.snippets import programs, run
from tests.support.clients import BodyClient
from tests.support.paths import ROOT
from tests.support.waiting import BOUND, until_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asgikit import ASGIApp
    from asgikit.types import Message

pytestmark = pytest.mark.anyio

PAGE = ROOT / "docs" / "pages" / "guides" / "disconnects.md"


def program_with(text: str) -> dict[str, Any]:
    """Run the program of the guide that contains ``text``, and return its global names."""
    page = PAGE.read_text(encoding="utf-8")
    (found,) = [program for program in programs("disconnects", page) if text in program.source]
    return run(found.source, found.name)


class Exchange:
    """A request whose client disconnects when :meth:`disconnect` is called."""

    def __init__(self, app: ASGIApp, query: bytes = b"") -> None:
        self._app = app
        self._client = BodyClient({"type": "http.request", "body": b"Assam"})
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": query,
            "headers": [],
        }

    def disconnect(self) -> None:
        self._client.send({"type": "http.disconnect"})

    async def run(self) -> None:
        """Run the app, which must send nothing and raise nothing."""

        async def send(message: Message) -> None:
            raise AssertionError(message)

        with anyio.fail_after(BOUND):
            await self._app(self._scope, self._client.receive, send)


async def test_call_of_the_model_is_cancelled() -> None:
    names = program_with("model.example")
    exchange = Exchange(names["app"])
    ends: list[str] = []

    async def model(scope: Any, receive: Any, send: Any) -> None:
        exchange.disconnect()
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("model")

    transport = httpx.ASGITransport(model)
    async with httpx.AsyncClient(transport=transport, base_url="http://a.test") as client:
        names["client"] = client
        await exchange.run()
    assert ends == ["model"]


async def test_shielded_part_of_the_block_is_completed() -> None:
    names = program_with("shield=True")
    exchange = Exchange(names["app"])
    save = names["save"]

    async def save_slowly(summary: str) -> None:
        exchange.disconnect()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        await save(summary)

    names["save"] = save_slowly
    await exchange.run()
    assert names["notes"] == ["Assam"]


async def test_query_in_a_thread_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = program_with("sqlite3")
    exchange = Exchange(names["app"], b"limit=1000000000000")
    loop_token = anyio.lowlevel.current_token()
    errors: list[Exception] = []
    select = names["select"]

    def select_and_record(*arguments: Any) -> Any:
        anyio.from_thread.run_sync(exchange.disconnect, token=loop_token)
        try:
            return select(*arguments)
        except Exception as error:
            errors.append(error)
            raise

    names["select"] = select_and_record
    await exchange.run()
    await until_thread(lambda: errors)
    assert [str(error) for error in errors] == ["interrupted"]


async def test_def_handler_ends_after_the_disconnect() -> None:
    names = program_with("from_thread")
    exchange = Exchange(names["app"])
    threads: list[threading.Thread] = []

    def steps() -> Iterator[int]:
        threads.append(threading.current_thread())
        anyio.from_thread.run_sync(exchange.disconnect)
        return itertools.count()

    names["steps"] = steps
    await exchange.run()
    assert threads != [threading.current_thread()]
