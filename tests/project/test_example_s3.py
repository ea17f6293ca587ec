"""The example that forwards uploads to S3. The storage is an asgikit app here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from asgikit import ASGIApp, HTTPError, PlainTextResponse, Request, Response, request_response
from asgikit.testing import Exchange, exchange
from examples import upload_to_s3
from tests.support.form_bodies import CONTENT_TYPE, body, file, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

HEADERS = {"content-type": CONTENT_TYPE}
BLOCK = 1000


class Storage:
    """The multipart uploads of S3: created, sent in parts, completed or aborted.

    Attributes:
        stored: The content of completed uploads, by key.
        begun: The parts of uploads that are neither completed nor aborted.
        refuses: The methods that are answered with 503.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.begun: dict[str, dict[int, bytes]] = {}
        self.refuses: set[str] = set()
        self.app = request_response(self.answer)

    async def answer(self, request: Request) -> ASGIApp:
        if request.method in self.refuses:
            raise HTTPError(503)
        query = request.query_params
        key = request.path.removeprefix("/bucket/")
        if "uploads" in query:
            self.begun[f"id+{key}"] = {}
            return PlainTextResponse(f"<R><UploadId>id+{key}</UploadId></R>")
        blocks = self.begun[query["uploadId"]]
        match request.method:
            case "PUT":
                number = int(query["partNumber"])
                blocks[number] = await request.body()
                return Response(headers={"etag": f'"{number}"'})
            case "POST":
                return await self.complete(request, key, blocks)
        del self.begun[query["uploadId"]]
        return Response(status_code=204)

    async def complete(self, request: Request, key: str, blocks: dict[int, bytes]) -> ASGIApp:
        found = re.findall("<PartNumber>(.*?)</PartNumber><ETag>(.*?)</ETag>", await request.text())
        parts = [(int(number), tag) for number, tag in found]
        if "complete" in self.refuses:
            return PlainTextResponse("<Error><Code>InternalError</Code></Error>")
        assert parts == [(number, f'"{number}"') for number in range(1, len(blocks) + 1)]
        # All parts but the last have the size that S3 requires.
        assert {len(blocks[number]) for number, _ in parts[:-1]} <= {BLOCK}
        self.stored[key] = b"".join(blocks[number] for number, _ in parts)
        del self.begun[request.query_params["uploadId"]]
        return PlainTextResponse("<R></R>")


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Return empty storage that accepts small parts."""
    monkeypatch.setattr(upload_to_s3, "BLOCK", BLOCK)
    return Storage()


async def upload(storage: Storage, data: Any, **more: Any) -> Exchange:
    transport = httpx.ASGITransport(storage.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://s3/bucket") as bucket:
        state = {"state": {"bucket": bucket}}
        return await exchange(
            upload_to_s3.app, "POST", headers=HEADERS, body=data, scope=state, **more
        )


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK + 7])
async def test_file_is_stored_whole(storage: Storage, size: int) -> None:
    data = (bytes(range(256)) * 50)[:size]
    sent = body(text("note", b"x"), file("f", "../a.bin", data))
    chunks = [sent[start : start + 700] for start in range(0, len(sent), 700)]
    answer = await upload(storage, chunks)

    assert answer.status_code == 201
    ((name, key),) = answer.json()["stored"].items()
    assert name == "a.bin"
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert storage.stored == {key: data}
    assert storage.begun == {}


async def test_parts_are_sent_before_the_upload_is_complete(storage: Storage) -> None:
    sent = body(file("f", "a", b"x" * 5000))
    seen: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 500):
            yield sent[start : start + 500]
            seen.append(sum(map(len, storage.begun.values())))

    await upload(storage, chunks())

    assert {1, 2, 3} <= set(seen)


@pytest.mark.parametrize(
    ("refused", "status"), [("POST", 502), ("PUT", 502), ("complete", 502), (None, 400)]
)
async def test_failed_upload_is_aborted(storage: Storage, refused: str | None, status: int) -> None:
    storage.refuses = {refused} if refused else set()
    whole = body(file("f", "a", b"x" * 5000))
    # If the storage does not fail, the form is truncated.
    answer = await upload(storage, whole if refused else whole[:-3])

    assert answer.status_code == status
    assert (storage.stored, storage.begun) == ({}, {})


async def test_disconnect_aborts_the_upload(storage: Storage) -> None:
    answer = await upload(storage, [file("f", "a", b"x" * 5000)] * 2, disconnect_after=0)

    assert answer.messages == []
    assert (storage.stored, storage.begun) == ({}, {})


async def test_unreachable_storage_is_answered_with_502(storage: Storage) -> None:
    class Away(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no", request=request)

    async with httpx.AsyncClient(transport=Away(), base_url="http://s3") as bucket:
        answer = await exchange(
            upload_to_s3.app,
            "POST",
            headers=HEADERS,
            body=body(file("f", "a", b"x")),
            scope={"state": {"bucket": bucket}},
        )

    assert answer.status_code == 502


async def test_form_without_file_is_refused(storage: Storage) -> None:
    assert (await upload(storage, body(text("note", b"x")))).status_code == 400
