"""Preconditions of any response, and ahead of the work."""

from __future__ import annotations

import hashlib
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from asgikit import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
)
from asgikit.http.conditional import ETag
from asgikit.testing import Exchange, exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"


async def ask(response: Response, method: str = "GET", **fields: str) -> Exchange:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return await exchange(response, method, headers=headers)


MAKES: list[Callable[..., Response]] = [
    lambda **arguments: Response(b"tea", **arguments),
    lambda **arguments: Response("tea", media_type="text/x-tea", **arguments),
    lambda **arguments: PlainTextResponse("tea", **arguments),
    lambda **arguments: HTMLResponse("tea", **arguments),
    lambda **arguments: JSONResponse({"tea": 1}, **arguments),
]


@pytest.mark.parametrize("make", MAKES)
async def test_conditional_response_has_an_etag_of_its_body(make: Callable[..., Response]) -> None:
    response = make(conditional=True, headers={"cache-control": "no-cache"})
    first = await ask(response)

    assert first.status_code == 200
    tag = first.headers["etag"]
    assert len(tag) == 34
    again = await ask(response, if_none_match=tag)
    assert (again.status_code, again.body) == (304, b"")
    assert again.headers == {"cache-control": "no-cache", "etag": tag}
    assert (await ask(response, if_none_match=f'"x", W/{tag}')).status_code == 304
    assert (await ask(response, if_none_match='"x"')).body == first.body
    failed = await ask(response, if_match='"x"')
    assert (failed.status_code, failed.body) == (412, b"")
    assert failed.headers == {"content-length": "0"}
    assert (await ask(response, if_match=tag)).status_code == 200


@pytest.mark.parametrize("make", MAKES)
async def test_unconditional_response_ignores_preconditions(
    make: Callable[..., Response],
) -> None:
    response = make(headers={"etag": '"1"'})

    assert (await ask(response, if_none_match='"1"')).status_code == 200
    assert "etag" not in (await ask(make())).headers


async def test_etag_of_a_body_depends_on_its_bytes() -> None:
    tags = [
        (await ask(Response(body, conditional=True))).headers["etag"]
        for body in (b"tea", b"tea", b"tee", b"")
    ]

    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


async def test_changed_body_has_another_etag() -> None:
    response = Response("tea", conditional=True)
    tag = (await ask(response)).headers["etag"]
    response.body = b"coffee"

    assert (await ask(response, if_none_match=tag)).body == b"coffee"
    assert "etag" not in response.headers


async def test_validators_in_headers_decide_preconditions() -> None:
    own = {"etag": 'W/"1"', "last-modified": DATE}
    response = Response("tea", headers=own, conditional=True)

    assert (await ask(response)).headers.getall("etag") == ['W/"1"']
    assert (await ask(response, if_none_match='"1"')).status_code == 304
    assert (await ask(response, if_modified_since=DATE)).status_code == 304
    assert (await ask(response, if_unmodified_since=DATE)).status_code == 200
    # A weak tag names no bytes.
    assert (await ask(response, if_match='W/"1"')).status_code == 412
    # Preconditions alone, no ranges.
    assert (await ask(response, range="bytes=0-0")).body == b"tea"


async def test_set_etag_adds_the_quotes() -> None:
    response = Response("tea", conditional=True)
    response.set_etag("v7")
    assert (await ask(response, if_none_match='"v7"')).status_code == 304
    response.set_etag("v8", weak=True)
    assert (await ask(response)).headers.getall("etag") == ['W/"v8"']
    with pytest.raises(ValueError, match="without quotes"):
        response.set_etag('"v9"')


@pytest.mark.parametrize("status_code", [200, 304, 412])
async def test_conditional_head_is_answered_as_get(status_code: int) -> None:
    response = Response("tea", headers={"etag": '"1"'}, conditional=True)
    fields = {200: {}, 304: {"if_none_match": '"1"'}, 412: {"if_match": '"2"'}}[status_code]
    get, head = await ask(response, **fields), await ask(response, "HEAD", **fields)

    assert (head.status_code, head.body) == (status_code, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    ("method", "status_code"), [("POST", 200), ("PUT", 200), ("GET", 201), ("GET", 404)]
)
async def test_response_to_post_ignores_preconditions(method: str, status_code: int) -> None:
    response = Response("tea", status_code, headers={"etag": '"1"'}, conditional=True)

    for fields in ({"if_match": '"2"'}, {"if_none_match": "*"}):
        assert (await ask(response, method, **fields)).status_code == status_code
    assert "etag" not in (await ask(Response("tea", 404, conditional=True))).headers


async def test_response_to_query_obeys_preconditions() -> None:
    response = Response("tea", headers={"etag": '"1"'}, conditional=True)

    assert (await ask(response, "QUERY", if_none_match='"1"')).status_code == 304
    assert (await ask(response, "QUERY", if_match='"2"')).status_code == 412
    assert (await ask(response, "QUERY", if_none_match='"2"')).status_code == 200


async def test_conditional_response_without_scope_is_sent_whole() -> None:
    response = Response("tea", conditional=True)
    answer = await exchange(lambda scope: response, headers={"if-none-match": "*"})

    assert (answer.status_code, answer.body) == (200, b"tea")
    assert "etag" in answer.headers


async def test_304_keeps_cookies_and_runs_background() -> None:
    ran: list[bool] = []
    response = Response("tea", conditional=True, background=lambda: ran.append(True))
    response.set_cookie("a", "b")

    answer = await ask(response, if_none_match="*")
    assert answer.status_code == 304
    assert answer.headers["set-cookie"].startswith("a=b")
    assert ran == [True]


async def test_stream_is_not_iterated_for_a_304() -> None:
    drawn: list[bool] = []

    async def chunks() -> AsyncIterator[bytes]:
        drawn.append(True)
        yield b"tea"

    def make(**headers: str) -> StreamingResponse:
        return StreamingResponse(chunks(), headers=headers, conditional=True)

    assert (await ask(make(etag='"1"'), if_none_match='"1"')).status_code == 304
    assert (await ask(make(etag='"1"'), if_match='"2"')).status_code == 412
    assert drawn == []
    assert (await ask(make(etag='"1"'), if_none_match='"2"')).body == b"tea"
    # Its bytes are not known.
    assert "etag" not in (await ask(make())).headers


# Ahead of the work.


def request_of(method: str, **fields: str) -> Request[Any]:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return Request({"type": "http", "method": method, "path": "/", "headers": headers})


@pytest.mark.parametrize(
    ("method", "fields", "current", "answer"),
    [
        ("GET", {}, {"etag": "1"}, None),
        ("GET", {"if_none_match": '"1"'}, {"etag": "1"}, 304),
        ("GET", {"if_none_match": '"1"'}, {"etag": ETag("1", weak=True)}, 304),
        ("GET", {"if_none_match": '"2"'}, {"etag": "1"}, None),
        ("GET", {"if_modified_since": DATE}, {"last_modified": 784111777}, 304),
        ("GET", {"if_modified_since": DATE}, {"last_modified": 784111778.5}, None),
        (
            "GET",
            {"if_modified_since": DATE},
            {"last_modified": datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)},
            304,
        ),
        ("PUT", {"if_match": '"1"'}, {"etag": "1"}, None),
        ("PUT", {"if_match": '"1"'}, {"etag": "2"}, 412),
        ("PUT", {"if_match": '"1"'}, {"etag": ETag("1", weak=True)}, 412),
        ("PUT", {"if_unmodified_since": DATE}, {"last_modified": 784111778}, 412),
        ("PUT", {"if_none_match": "*"}, {"etag": "1"}, 412),
        ("PUT", {"if_none_match": "*"}, {"last_modified": 1}, 412),
        # Nothing is there yet.
        ("PUT", {"if_none_match": "*"}, {}, None),
        ("PUT", {"if_match": "*"}, {}, 412),
        ("GET", {"if_modified_since": DATE}, {}, None),
    ],
)
async def test_check_preconditions_returns_the_status(
    method: str, fields: dict[str, str], current: dict[str, Any], answer: int | None
) -> None:
    assert request_of(method, **fields).check_preconditions(**current) == answer


async def test_check_preconditions_takes_an_etag_without_quotes() -> None:
    with pytest.raises(ValueError, match="without quotes"):
        request_of("GET").check_preconditions(etag='"1"')
    with pytest.raises(ValueError, match="time zone"):
        request_of("GET", if_modified_since=LATER).check_preconditions(
            last_modified=datetime(1994, 11, 6)
        )


async def test_body_is_hashed_once_and_again_after_a_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed: list[bytes] = []
    blake2b = hashlib.blake2b

    def count(data: bytes, **options: Any) -> Any:
        hashed.append(data)
        return blake2b(data, **options)

    monkeypatch.setattr(hashlib, "blake2b", count)
    response = PlainTextResponse("tea", conditional=True)
    tags = [(await exchange(response)).headers["etag"] for _ in range(3)]
    response.body = b"coffee"
    other = (await exchange(response)).headers["etag"]

    assert hashed == [b"tea", b"coffee"]
    assert len({*tags}) == 1
    assert other not in tags
    assert (await exchange(copy(response))).headers["etag"] == other
