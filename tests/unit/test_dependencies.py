"""JSON nested deep, which some versions of orjson cannot write: see `lowest` in noxfile.py."""

from __future__ import annotations

from typing import Any

import pytest

from asgikit import JSONResponse, Request, request_response
from asgikit.testing import exchange

pytestmark = pytest.mark.anyio

#: The highest number of levels that are read.
MOST = 200


@request_response
async def echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


def nest(depth: int, opening: str, closing: str) -> bytes:
    """Return a JSON text of ``depth`` levels, each of which is ``opening`` and ``closing``."""
    return (opening * depth + "1" + closing * depth).encode()


@pytest.mark.parametrize("depth", range(100, 1101, 100))
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
async def test_nested_json_is_echoed_or_refused(depth: int, opening: str, closing: str) -> None:
    # orjson below 3.11.6 overflows the heap when it writes about 250 levels: the process ends.
    text = nest(depth, opening, closing)
    levels = depth * len(closing)

    response = await exchange(echo, "POST", body=text)

    assert response.status_code == (200 if levels <= MOST else 400)
    assert response.body == text or levels > MOST


@pytest.mark.parametrize("depth", range(100, 1101, 100))
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_nested_value_is_written_or_a_value_error(
    depth: int, opening: str, closing: str
) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value] if opening == "[" else {"a": value}

    try:
        response = JSONResponse(value)
    except ValueError:
        assert depth > 254
    else:
        assert response.body == nest(depth, opening, closing)
