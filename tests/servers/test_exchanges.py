"""Requests and their answers on the wire, through ``to_asgi`` and ``request_response``."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.harness import Server

BODY = random.Random(7).randbytes(1 << 20)
PIECES = [BODY[start : start + 50_000] for start in range(0, len(BODY), 50_000)]

STRUCTURES = [
    "function",
    "closure",
    "partial",
    "class",
    "factory",
    "delegate",
    "asgi3",
    "coroutine_handler",
    "thread_handler",
]


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_answers_alike(server: Server, name: str) -> None:
    with server.connect() as connection:
        answer = connection.request("GET", f"/{name}/caf%C3%A9/a%20b%2Fc?x=1&y=a+b%26c&x=2")

    assert answer.status == 200
    assert answer.json() == {
        "method": "GET",
        "path": f"/{name}/café/a b/c",
        "query_params": {"x": "1", "y": "a b&c"},
    }


def test_one_response_answers_every_request(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            answer = connection.request("GET", "/response")
            assert (answer.body, answer.get("content-length")) == (b"as ever", "7")


def test_a_connection_carries_many_requests(server: Server) -> None:
    with server.connect() as connection:
        paths = [
            connection.request("GET", f"/{name}/{number}").json()["path"]
            for number, name in enumerate(STRUCTURES)
        ]

    assert paths == [f"/{name}/{number}" for number, name in enumerate(STRUCTURES)]


@pytest.mark.parametrize("name", [*STRUCTURES, "response", "whole"])
def test_head_is_answered_with_the_fields_of_get_and_no_body(server: Server, name: str) -> None:
    with server.connect() as connection:
        # A body here would be read as the head of the next answer.
        head = connection.request("HEAD", f"/{name}")
        get = connection.request("GET", f"/{name}")

    assert (head.status, head.body) == (200, b"")
    assert head.get("content-type") == get.get("content-type")
    if name in STRUCTURES:
        # HEAD is one letter more than GET in this answer.
        assert head.get("content-length") == str(len(get.body) + 1)


@pytest.mark.parametrize(
    "body", [BODY, PIECES, b"", []], ids=["length", "chunked", "0", "0 chunks"]
)
def test_a_body_comes_back_as_it_was_sent(server: Server, body: bytes | list[bytes]) -> None:
    with server.connect() as connection:
        answer = connection.request("POST", "/echo", body=body)

        assert answer.status == 200
        assert answer.body == (body if isinstance(body, bytes) else b"".join(body))
        assert connection.request("GET", "/function").status == 200


@pytest.mark.parametrize("body", [b"x" * 1001, [b"x" * 400] * 3], ids=["length", "chunked"])
def test_a_body_over_the_limit_is_refused_by_the_name_of_the_limit(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        answer = connection.request("POST", "/limited", body=body)

    assert answer.status == 413
    assert answer.get("content-type") == "application/problem+json"
    assert answer.json()["status"] == 413
    assert "max_body_size" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"x" * 1000, [b"x" * 400, b"x" * 600]], ids=["length", "chunked"])
def test_a_body_at_the_limit_is_read(server: Server, body: bytes | list[bytes]) -> None:
    with server.connect() as connection:
        assert connection.request("POST", "/limited", body=body).body == b"x" * 1000


@pytest.mark.parametrize("body", [b"x" * 100_000, PIECES[:2]], ids=["length", "chunked"])
def test_a_body_left_unread_is_no_part_of_the_next_request(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        try:
            assert connection.request("POST", "/unread", body=body).body == b"unread"
            assert connection.request("GET", "/function").json()["path"] == "/function"
        except ConnectionError:
            # A server may close rather than read on (RFC 9112, section 9.3).
            assert not server.setup.drains_body


def test_a_stream_arrives_whole(server: Server) -> None:
    with server.connect() as connection:
        answer = connection.request("GET", "/whole")

        assert answer.body == b"".join(b"%d\n" % number for number in range(100))
        assert connection.request("GET", "/function").status == 200


@pytest.mark.parametrize("body", [BODY, PIECES], ids=["length", "chunked"])
def test_a_body_read_by_a_middleware_reaches_the_app_behind_it(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        answer = connection.request("POST", "/replayed", body=body)

    assert answer.status == 200
    assert answer.get("x-seen") == str(len(BODY))
    assert answer.body == BODY


def test_polling_for_a_disconnect_between_reads_loses_no_byte(server: Server) -> None:
    pieces = PIECES[:8]
    sent = 0
    with server.connect() as connection:
        connection.send_head("POST", "/polled?marks=polled", "Transfer-Encoding: chunked")
        for piece in pieces:
            connection.send_chunk(piece)
            sent += len(piece)
            if server.setup.streams_body:
                # The app polls with nothing there to read before the next piece is on its way.
                server.wait_for_mark("polled", str(sent))
        connection.send_chunk(b"")
        answer = connection.read_response("POST")

    assert answer.json() == {
        "size": sent,
        "sha256": hashlib.sha256(b"".join(pieces)).hexdigest(),
        "left": False,
    }


@pytest.mark.parametrize(
    "name", ["function", "closure", "class", "factory", "response", "coroutine_handler"]
)
def test_a_websocket_is_denied(server: Server, name: str) -> None:
    with server.connect() as connection:
        status = connection.request_websocket(f"/{name}").status
    # A response denies with itself, where the server can send it.
    itself = name == "response" and server.setup.denial_status == 404
    assert status == (200 if itself else server.setup.denial_status)
