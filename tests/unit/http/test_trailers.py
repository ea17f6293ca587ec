"""Trailers: which headers may follow the content."""

from __future__ import annotations

from typing import Any

import pytest

from asgikit.http.trailers import check_trailers


@pytest.mark.parametrize(
    ("trailers", "fields"),
    [
        ({}, []),
        ({"Server-Timing": " db;dur=53 "}, [(b"server-timing", b"db;dur=53")]),
        ([("x-a", "1"), (b"X-A", b"2")], [(b"x-a", b"1"), (b"x-a", b"2")]),
        # Headers whose definitions allow them in trailers.
        ({"ETag": '"1"'}, [(b"etag", b'"1"')]),
        ({"Accept-Ranges": "bytes"}, [(b"accept-ranges", b"bytes")]),
        ({"Authentication-Info": "a=1"}, [(b"authentication-info", b"a=1")]),
    ],
)
def test_check_trailers(trailers: Any, fields: list[tuple[bytes, bytes]]) -> None:
    assert check_trailers(trailers) == fields


@pytest.mark.parametrize(
    "name",
    [
        *("Content-Length", "Transfer-Encoding", "Trailer", "Host"),  # framing and routing
        *("Set-Cookie", "WWW-Authenticate", "Authorization"),  # authentication
        *("If-Match", "Range", "Expect"),  # request modifiers
        *("Cache-Control", "Location", "Vary", "Date"),  # response controls
        *("Content-Type", "Content-Encoding", "Content-Range"),  # content format
    ],
)
def test_check_trailers_of_framing_or_routing_header_raises(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name.lower()}' is no trailer"):
        check_trailers({name: "1"})


@pytest.mark.parametrize(
    ("trailers", "error"),
    [({"x-a": "1\r\nx-b: 2"}, ValueError), ({"x a": "1"}, ValueError), ({"x-a": 1}, TypeError)],
)
def test_check_trailers_of_invalid_header_raises(trailers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_trailers(trailers)
