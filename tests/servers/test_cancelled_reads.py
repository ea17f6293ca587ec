"""Uploads whose reads are cancelled arrive whole, on each server that starts an app early."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, Setup

if TYPE_CHECKING:
    from pathlib import Path

UPLOADS = 12
SIZE = 2 * 1024 * 1024

EARLY = [setup for setup in SETUPS if setup.streams_body]


@pytest.mark.parametrize("setup", EARLY, ids=[setup.name for setup in EARLY])
def test_upload_with_cancelled_reads_loses_no_byte(setup: Setup, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(SIZE)
    head = b'--X\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = head + content + b"\r\n--X--\r\n"
    cancelled = 0

    with Server(setup, "served.cancelled_reads:app", tmp_path) as server:
        for number in range(UPLOADS):
            size = 4000 + 9000 * number
            chunks = [body[start : start + size] for start in range(0, len(body), size)]
            with server.connect() as connection:
                response = connection.request(
                    "POST", "/", "Content-Type: multipart/form-data; boundary=X", body=chunks
                )
            assert response.status == 200, response.body
            got = response.json()
            assert (got["size"], got["sha256"]) == (SIZE, sha256(content).hexdigest())
            cancelled += got["cancelled"]
        assert server.problems == []
    assert cancelled >= UPLOADS  # reads were cancelled at all
