"""The example that stores uploads as they arrive."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING

import pytest

from asgikit.testing import exchange
from examples import upload_to_disk
from tests.support.form_bodies import CONTENT_TYPE, body, file, text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 10_000
HEADERS = {"content-type": CONTENT_TYPE}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the example stores uploads."""
    monkeypatch.setattr(upload_to_disk, "FOLDER", tmp_path / "uploads")
    return tmp_path / "uploads"


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.exists() else []


async def test_upload_is_stored_by_its_hash(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "examples")
    data = body(text("note", b"hello"), file("f", "../x\r.bin", DATA).replace(b"\r.", b"."))
    chunks = [data[start : start + 50_000] for start in range(0, len(data), 50_000)]
    answer = await exchange(upload_to_disk.app, "POST", headers=HEADERS, body=chunks)

    digest = hashlib.sha256(DATA).hexdigest()
    assert json.loads(answer.body) == {
        "files": [{"name": "x.bin", "size": len(DATA), "sha256": digest}],
        "notes": {"note": "hello"},
    }
    assert names(folder) == [digest]
    assert (folder / digest).read_bytes() == DATA
    assert [record.getMessage()[:9] for record in caplog.records] == ["'x.bin': "] * 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (body(text("note", b"hello"), file("f", "", b"")), 400),  # an empty file input
        (file("f", "x", DATA), 400),  # truncated
    ],
)
async def test_invalid_upload_is_refused(folder: Path, data: bytes, status: int) -> None:
    answer = await exchange(upload_to_disk.app, "POST", headers=HEADERS, body=data)

    assert answer.status_code == status
    assert names(folder) == []


async def test_interrupted_upload_leaves_no_file(folder: Path) -> None:
    chunks = [file("f", "x", DATA)] * 2
    answer = await exchange(
        upload_to_disk.app, "POST", headers=HEADERS, body=chunks, disconnect_after=0
    )

    assert answer.messages == []
    assert names(folder) == []
