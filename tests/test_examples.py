"""The examples do what they show, on every event loop."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from asgikit import ASGIApp
from asgikit.testing import exchange
from examples import demo, hello, middleware_body, structures

pytestmark = pytest.mark.anyio


async def test_the_seed_app_answers_in_both_shapes() -> None:
    scope = {"type": "http", "method": "PUT", "path": "/a b", "query_string": b"c=d"}
    expected = {"method": "PUT", "path": "/a b", "query_params": {"c": "d"}}

    bare = await exchange(hello.app(dict(scope)), "PUT", "/a%20b?c=d")
    wrapped = await exchange(hello.everywhere, "PUT", "/a%20b?c=d")

    assert json.loads(bare.body) == json.loads(wrapped.body) == expected


@pytest.mark.parametrize(
    ("app", "body"),
    [
        (structures.from_function, b"POST /path"),
        (structures.from_closure, b"HELLO"),
        (structures.from_partial, b'{"size":5}'),
        (structures.from_class, b"0\n1\n2\n"),
        (structures.from_coroutine, b'{"path":"/path"}'),
    ],
)
async def test_every_structure_answers(app: ASGIApp, body: bytes) -> None:
    answer = await exchange(app, "POST", "/path", body=[b"he", b"llo"])

    assert (answer.status_code, answer.body) == (200, body)


async def test_the_app_behind_a_middleware_reads_the_body_again() -> None:
    answer = await exchange(middleware_body.app, "POST", body=[b"ab", b"c"])

    assert answer.body == b"cba"
    assert answer.headers["x-body-sha256"] == hashlib.sha256(b"abc").hexdigest()


async def ask(method: str, target: str, **more: Any) -> Any:
    return await exchange(demo.app, method, target, **more)


async def test_the_demo_shows_a_page_that_needs_nothing_else() -> None:
    answer = await ask("GET", "/")
    page = answer.body.decode()

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "viewport" in page
    assert "prefers-color-scheme: dark" in page
    assert re.findall(r"""(?:src|href)=|url\(|@import|https?://""", page) == []
    # What the page asks for exists.
    paths = set(re.findall(r'data-path="(/[\w/]*)', page)) - {"/nowhere"}
    assert paths <= set(demo.ROUTES)


async def test_the_demo_echoes_the_request() -> None:
    answer = await ask(
        "GET", "/echo?q=hello+world&q=2", headers={"cookie": "a=b", "host": "example.org"}
    )

    document = json.loads(answer.body)
    assert document["url"] == "http://example.org/echo?q=hello+world&q=2"
    assert document["query_params"] == {"q": ["hello world", "2"]}
    assert document["cookies"] == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', {"type": "dict", "members": 1, "json": {"a": 1}}),
        (b"3", {"type": "int", "members": None, "json": 3}),
        (
            b"12345678901234567890123",
            {"type": "int", "members": None, "json": 12345678901234567890123},
        ),
    ],
)
async def test_the_demo_reads_and_writes_json(body: bytes, expected: object) -> None:
    assert json.loads((await ask("POST", "/json", body=body)).body) == expected


async def test_the_demo_streams_in_pieces() -> None:
    answer = await ask("GET", "/stream")

    assert answer.body == b"5\n4\n3\n2\n1\nlift-off\n"
    assert len([message for message in answer.messages if message.get("body")]) == 6


async def test_the_demo_sets_reads_and_clears_a_cookie() -> None:
    set_ = await ask("GET", "/cookie?name=Ada%3B+Lovelace")
    cookie = set_.headers["set-cookie"].partition("; ")[0]
    read = await ask("GET", "/cookie", headers={"cookie": cookie})
    cleared = await ask("POST", "/cookie/clear", headers={"cookie": cookie})

    assert b"were Ada; Lovelace before" in read.body
    assert "max-age=0" in cleared.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/teapot", b"", 418),
        ("GET", "/nowhere", b"", 404),
        ("GET", "/json", b"", 405),
        ("POST", "/json", b"{", 400),
        ("POST", "/json", b"\xff", 400),
        ("POST", "/json", b" " * (11 * 1024 * 1024), 413),
    ],
)
async def test_the_demo_answers_errors_as_problem_documents(
    method: str, target: str, body: bytes, status: int
) -> None:
    answer = await ask(method, target, body=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status


async def test_the_demo_redirects() -> None:
    answer = await ask("GET", "/old")

    assert (answer.status_code, answer.headers["location"]) == (308, "/echo?from=old")
