"""Trailer fields: what may follow the content, and what has to come before it."""

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
        # Fields whose own definitions let them be trailers.
        ({"ETag": '"1"'}, [(b"etag", b'"1"')]),
        ({"Accept-Ranges": "bytes"}, [(b"accept-ranges", b"bytes")]),
        ({"Authentication-Info": "a=1"}, [(b"authentication-info", b"a=1")]),
    ],
)
def test_trailers_are_fields(trailers: Any, fields: list[tuple[bytes, bytes]]) -> None:
    assert check_trailers(trailers) == fields


@pytest.mark.parametrize(
    "name",
    [
        *("Content-Length", "Transfer-Encoding", "Trailer", "Host"),  # how it is framed and routed
        *("Set-Cookie", "WWW-Authenticate", "Authorization"),  # who may
        *("If-Match", "Range", "Expect"),  # what is asked for
        *("Cache-Control", "Location", "Vary", "Date"),  # what is done with it
        *("Content-Type", "Content-Encoding", "Content-Range"),  # how it is read
    ],
)
def test_what_must_be_known_before_the_content_is_no_trailer(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name.lower()}' is no trailer"):
        check_trailers({name: "1"})


@pytest.mark.parametrize(
    ("trailers", "error"),
    [({"x-a": "1\r\nx-b: 2"}, ValueError), ({"x a": "1"}, ValueError), ({"x-a": 1}, TypeError)],
)
def test_what_could_not_be_sent_is_refused(trailers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_trailers(trailers)
