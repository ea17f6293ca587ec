"""The header fields of a response from values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asgikit import (
    CacheControl,
    FileResponse,
    JSONResponse,
    ProblemResponse,
    Response,
    StreamingResponse,
)
from asgikit.testing import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_cache_control_sets_the_header() -> None:
    response = Response("tea", headers={"cache-control": "no-store"})
    response.cache_control(max_age=60, private=("set-cookie",))

    assert (await exchange(response)).headers.getall("cache-control") == [
        'max-age=60, private="set-cookie"'
    ]
    response.cache_control(CacheControl(no_cache=True))
    assert response.headers["cache-control"] == "no-cache"


def test_cache_control_without_or_with_conflicting_directives_raises() -> None:
    response = Response()

    with pytest.raises(ValueError, match="one directive or more"):
        response.cache_control()
    with pytest.raises(ValueError, match="not both"):
        response.cache_control(public=True, private=True)
    with pytest.raises(TypeError, match="or its attributes"):
        response.cache_control(CacheControl(), max_age=5)
    assert "cache-control" not in response.headers


async def test_add_link_adds_a_header() -> None:
    response = Response()
    response.add_link("/2", "next")
    response.add_link("/a.css", ["preload"], title="\xe9", as_="style")

    assert (await exchange(response)).headers.getall("link") == [
        '</2>; rel="next"',
        '</a.css>; rel="preload"; title*=UTF-8\'\'%C3%A9; as="style"',
    ]
    with pytest.raises(ValueError, match="URI reference"):
        response.add_link("/a b", "next")


UPSTREAM = [
    # Headers, and those that are sent besides Content-Length.
    ([("transfer-encoding", "chunked")], []),
    ([("Transfer-Encoding", "gzip, chunked"), ("x-a", "1")], [("x-a", "1")]),
    ([("connection", "keep-alive"), ("keep-alive", "timeout=5")], []),
    ([("connection", "close")], [("connection", "close")]),
    ([("connection", "Close, X-Session"), ("x-session", "1")], [("connection", "close")]),
    ([("connection", "x-a"), ("connection", "x-b"), ("X-A", "1"), ("x-b", "2")], []),
    ([("connection", "upgrade"), ("upgrade", "h2c")], []),
    ([("upgrade", "websocket"), ("proxy-connection", "keep-alive")], []),
    (
        [("trailer", "x-checksum"), ("te", "trailers")],
        [("trailer", "x-checksum"), ("te", "trailers")],
    ),
    ([("connection", ""), ("etag", '"1"')], [("etag", '"1"')]),
]


@pytest.mark.parametrize(("headers", "sent"), UPSTREAM, ids=range(len(UPSTREAM)))
async def test_connection_headers_are_dropped_when_sent(
    tmp_path: Path, headers: list[tuple[str, str]], sent: list[tuple[str, str]]
) -> None:
    path = tmp_path / "tea"
    path.write_bytes(b"tea")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"tea"

    later = Response("tea")
    for name, value in headers:
        later.headers.add(name, value)
    makers: list[Callable[[], Response]] = [
        lambda: Response("tea", headers=headers),
        lambda: JSONResponse("tea", headers=headers),
        lambda: StreamingResponse(chunks(), headers=headers),
        lambda: FileResponse(path, headers=headers, etag=None, last_modified=False),
        lambda: FileResponse(path.with_name("none"), headers=headers),
        lambda: ProblemResponse(404, headers=headers),
        lambda: later,
    ]
    for make in makers:
        response = make()
        own = {"content-type", "content-length", "accept-ranges", "vary"}
        answer = await exchange(response)
        rest = [(name, value) for name, value in answer.headers.items() if name not in own]
        if answer.status_code == 200:
            assert rest == sent
        assert "transfer-encoding" not in answer.headers
        # The headers of the response are not changed.
        assert set(response.headers) >= {name.lower() for name, _ in headers}
    scope = {"type": "http", "method": "GET", "headers": []}
    assert (await exchange(Response("tea", headers=headers), "HEAD")).body == b""
    messages = Response("tea", headers=headers)._messages(scope)
    assert dict(messages[0]["headers"])[b"content-length"] == b"3"
