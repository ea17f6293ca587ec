"""Hostile requests over sockets do not delay the requests of other clients."""

from __future__ import annotations

import json
import threading
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import SETUPS, Server, measure_best, until

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that a ping may take during an attack: a callback of the event loop may take 50 ms, and
#: the rest is for the machine.
WAIT = 0.1
#: Requests of each attack, one after the other.
TIMES = 5

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-httptools-uvloop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "index.html").write_text("page")
    with Server(SETUP, "served.attacks:app", folder) as server:
        yield server
    assert server.problems == []


def post(target: str, body: bytes, *lines: str) -> bytes:
    head = [f"POST {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def get(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def array(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


KIB_128 = 128 * 1024
BLOCKS = zlib.compressobj(wbits=-15).flush(zlib.Z_FULL_FLUSH) * 300_000
DOCUMENT = json.dumps([{"id": number, "name": "a"} for number in range(8000)]).encode()

ATTACKS = {
    "nested JSON": (post("/echo", array(b"[" * 199 + b"]" * 199, KIB_128)), 200),
    "JSON nested too deep": (post("/echo", array(b"[" * 300 + b"]" * 300, 4 * KIB_128)), 400),
    "long integers": (post("/echo", DOCUMENT[:-1] + b"," + b"1" * 25 + b"]"), 200),
    "empty deflate blocks": (post("/echo", b"\x78\x9c" + BLOCKS, "Content-Encoding: deflate"), 400),
    "chained codings": (post("/echo", BLOCKS, "Content-Encoding: deflate, gzip"), 415),
    "Accept of an error": (get("/fail", "Accept: " + "a/b;q=0.5," * 100_000), 404),
    "Accept-Encoding": (get("/compressed", "Accept-Encoding: " + "a;q=0.5," * 100_000), 200),
    "path of 32 000 names": (get("/a" * 32_000), 404),
    "path of 2 000 names": (get("/a" * 2000), 404),
}


def measure_longest_ping(server: Server, request: bytes, status: int) -> float:
    """Return the longest duration of a ping, in seconds, while the server handles the attack.

    The time that the server waits for a core is not counted: other processes cause it.
    """
    waits: list[float] = []
    is_over = threading.Event()

    def ping() -> None:
        with server.connect() as connection:
            while not is_over.is_set():
                started = time.monotonic() - server.core_wait
                assert connection.request("GET", "/ping").body == b"pong"
                waits.append(time.monotonic() - server.core_wait - started)

    pings = threading.Thread(target=ping)
    pings.start()
    try:
        until(lambda: waits, "first ping")
        with server.connect() as connection:
            connection.send(request)
            assert connection.read_response().status == status
    finally:
        is_over.set()
        pings.join()
    return max(waits)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_delays_no_other_client(server: Server, name: str) -> None:
    for _ in range(TIMES):
        assert measure_best(lambda: measure_longest_ping(server, *ATTACKS[name]), WAIT) <= WAIT
