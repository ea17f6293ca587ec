"""The header fields of a response from values."""

from __future__ import annotations

import pytest

from asgikit import CacheControl, Response
from asgikit.testing import exchange

pytestmark = pytest.mark.anyio


async def test_cache_control_is_set() -> None:
    response = Response("tea", headers={"cache-control": "no-store"})
    response.cache_control(max_age=60, private=("set-cookie",))

    assert (await exchange(response)).headers.getall("cache-control") == [
        'max-age=60, private="set-cookie"'
    ]
    response.cache_control(CacheControl(no_cache=True))
    assert response.headers["cache-control"] == "no-cache"


def test_cache_control_says_something_and_no_nonsense() -> None:
    response = Response()

    with pytest.raises(ValueError, match="one directive or more"):
        response.cache_control()
    with pytest.raises(ValueError, match="not both"):
        response.cache_control(public=True, private=True)
    with pytest.raises(TypeError, match="or its attributes"):
        response.cache_control(CacheControl(), max_age=5)
    assert "cache-control" not in response.headers


async def test_links_are_added() -> None:
    response = Response()
    response.add_link("/2", "next")
    response.add_link("/a.css", ["preload"], title="\xe9", as_="style")

    assert (await exchange(response)).headers.getall("link") == [
        '</2>; rel="next"',
        '</a.css>; rel="preload"; title*=UTF-8\'\'%C3%A9; as="style"',
    ]
    with pytest.raises(ValueError, match="URI reference"):
        response.add_link("/a b", "next")
