"""Requests and responses on the wire, through ``to_asgi`` and ``request_response``."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.harness import Server

BODY = random.Random(7).randbytes(1 << 20)
CHUNKS = [BODY[start : start + 50_000] for start in range(0, len(BODY), 50_000)]

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
def test_adapted_app_of_each_structure_responds(server: Server, name: str) -> None:
    with server.connect() as connection:
        response = connection.request("GET", f"/{name}/caf%C3%A9/a%20b%2Fc?x=1&y=a+b%26c&x=2")

    assert response.status == 200
    assert response.json() == {
        "method": "GET",
        "path": f"/{name}/café/a b/c",
        "query_params": {"x": "1", "y": "a b&c"},
    }


def test_response_object_serves_several_requests(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            response = connection.request("GET", "/response")
            assert (response.body, response.get("content-length")) == (b"shared", "6")


def test_keep_alive_connection_serves_several_requests(server: Server) -> None:
    with server.connect() as connection:
        paths = [
            connection.request("GET", f"/{name}/{number}").json()["path"]
            for number, name in enumerate(STRUCTURES)
        ]

    assert paths == [f"/{name}/{number}" for number, name in enumerate(STRUCTURES)]


@pytest.mark.parametrize("name", [*STRUCTURES, "response", "finite"])
def test_head_response_has_headers_of_get_and_no_body(server: Server, name: str) -> None:
    with server.connect() as connection:
        # The connection would read a body as the head of the next response.
        head = connection.request("HEAD", f"/{name}")
        get = connection.request("GET", f"/{name}")

    assert (head.status, head.body) == (200, b"")
    assert head.get("content-type") == get.get("content-type")
    if name in STRUCTURES:
        # The response contains the method, and HEAD is one letter longer than GET.
        assert head.get("content-length") == str(len(get.body) + 1)


@pytest.mark.parametrize(
    "body", [BODY, CHUNKS, b"", []], ids=["length", "chunked", "0", "0 chunks"]
)
def test_request_body_is_echoed_unchanged(server: Server, body: bytes | list[bytes]) -> None:
    with server.connect() as connection:
        response = connection.request("POST", "/echo", body=body)

        assert response.status == 200
        assert response.body == (body if isinstance(body, bytes) else b"".join(body))
        assert connection.request("GET", "/function").status == 200


@pytest.mark.parametrize("body", [b"x" * 1001, [b"x" * 400] * 3], ids=["length", "chunked"])
def test_body_over_max_body_size_gets_413_that_names_limit(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        response = connection.request("POST", "/limited", body=body)

    assert response.status == 413
    assert response.get("content-type") == "application/problem+json"
    assert response.json()["status"] == 413
    assert "max_body_size" in response.json()["detail"]


@pytest.mark.parametrize("body", [b"x" * 1000, [b"x" * 400, b"x" * 600]], ids=["length", "chunked"])
def test_body_of_max_body_size_is_read(server: Server, body: bytes | list[bytes]) -> None:
    with server.connect() as connection:
        assert connection.request("POST", "/limited", body=body).body == b"x" * 1000


@pytest.mark.parametrize("body", [b"x" * 100_000, CHUNKS[:2]], ids=["length", "chunked"])
def test_unread_body_does_not_corrupt_next_request(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        try:
            assert connection.request("POST", "/unread", body=body).body == b"unread"
            assert connection.request("GET", "/function").json()["path"] == "/function"
        except ConnectionError:
            # A server may close the connection instead of reading on (RFC 9112, section 9.3).
            assert not server.setup.drains_body


def test_streamed_response_arrives_complete(server: Server) -> None:
    with server.connect() as connection:
        response = connection.request("GET", "/finite")

        assert response.body == b"".join(b"%d\n" % number for number in range(100))
        assert connection.request("GET", "/function").status == 200


@pytest.mark.parametrize("body", [BODY, CHUNKS], ids=["length", "chunked"])
def test_body_read_by_middleware_is_replayed_to_inner_app(
    server: Server, body: bytes | list[bytes]
) -> None:
    with server.connect() as connection:
        response = connection.request("POST", "/replayed", body=body)

    assert response.status == 200
    assert response.get("x-seen") == str(len(BODY))
    assert response.body == BODY


def test_disconnect_polls_between_reads_lose_no_byte(server: Server) -> None:
    chunks = CHUNKS[:8]
    sent = 0
    with server.connect() as connection:
        connection.send_head("POST", "/polled?marks=polled", "Transfer-Encoding: chunked")
        for chunk in chunks:
            connection.send_chunk(chunk)
            sent += len(chunk)
            if server.setup.streams_body:
                # The app has read this chunk, and polls before the next one is sent.
                server.wait_for_mark("polled", str(sent))
        connection.send_chunk(b"")
        response = connection.read_response("POST")

    assert response.json() == {
        "size": sent,
        "sha256": hashlib.sha256(b"".join(chunks)).hexdigest(),
        "is_disconnected": False,
    }


@pytest.mark.parametrize(
    "name", ["function", "closure", "class", "factory", "response", "coroutine_handler"]
)
def test_websocket_is_denied(server: Server, name: str) -> None:
    with server.connect() as connection:
        status = connection.request_websocket(f"/{name}").status
    # A response object is the denial response itself if the server supports denial responses.
    is_response = name == "response" and server.setup.denial_status == 404
    assert status == (200 if is_response else server.setup.denial_status)
