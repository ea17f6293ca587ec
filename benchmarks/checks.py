"""Responses of contenders, and checks of them.

A check returns a description of the error, or ``None`` if the response is right. Its last argument
is the response; scenarios bind the others.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.payloads import COOKIE_PARTS


class WrongResponse(Exception):
    """A response is not the one that was requested, so its time is not comparable."""


@dataclass(frozen=True)
class Response:
    """A whole response; ``chunks`` is the number of its body messages, 0 if unknown."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    chunks: int = 0

    def getall(self, name: str) -> list[str]:
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]


Check: TypeAlias = Callable[[Response], str | None]


def collect(messages: Sequence[dict[str, Any]]) -> Response:
    """Return the response that ASGI messages describe.

    Raises:
        WrongResponse: they are not one start and a body that ends, or the path of a file.
    """
    types = [message["type"] for message in messages]
    bodies = messages[1:]
    if types == ["http.response.start", "http.response.pathsend"]:
        bodies = [{"body": Path(messages[1]["path"]).read_bytes()}]
    elif types != ["http.response.start"] + ["http.response.body"] * len(bodies) or not bodies:
        raise WrongResponse(f"messages {types}")
    more = [message.get("more_body", False) for message in bodies]
    if more != [True] * (len(bodies) - 1) + [False]:
        raise WrongResponse("more_body is not false in the last message only")
    headers = [(bytes(key), bytes(value)) for key, value in messages[0]["headers"]]
    body = b"".join(message.get("body", b"") for message in bodies)
    return Response(messages[0]["status"], headers, body, len(bodies))


def _head(
    media_type: str, response: Response, *, has_length: bool = True, status: int = 200
) -> str | None:
    types = [value.partition(";")[0] for value in response.getall("content-type")]
    lengths = response.getall("content-length")
    if response.status != status:
        return f"status {response.status}, {response.body[:200]!r}"
    if media_type and types != [media_type]:
        return f"content-type {types}"
    if has_length and lengths != [str(len(response.body))]:
        return f"content-length {lengths} of {len(response.body)}"
    return None


def text(expected: str, response: Response) -> str | None:
    if response.body != expected.encode():
        return f"body {response.body[:200]!r}, not {expected[:200]!r}"
    return _head("text/plain", response)


def text_with_cookie(expected: str, response: Response) -> str | None:
    """Check a text that sets the cookie; its attributes may be in any order and case."""
    cookies = [
        {part for part in value.lower().split("; ") if not part.startswith("expires=")}
        for value in response.getall("set-cookie")
    ]
    return text(expected, response) if cookies == [COOKIE_PARTS] else f"cookies {cookies}"


def document(expected: object, response: Response) -> str | None:
    """Check a JSON document with any white space."""
    try:
        found = json.loads(response.body)
    except ValueError:
        return f"not JSON: {response.body[:200]!r}"
    if found != expected:
        return f"document {response.body[:200]!r}"
    return _head("application/json", response)


def stream(chunk: bytes, count: int, response: Response) -> str | None:
    """Check a stream, and that its chunks were not joined."""
    if response.body != chunk * count:
        return f"stream of {len(response.body)} bytes"
    if 0 < response.chunks < count:
        return f"chunks were joined: {response.chunks} messages"
    return _head("", response, has_length=False)


def file(path: Path, response: Response) -> str | None:
    """Check a file and its validators."""
    if response.body != path.read_bytes():
        return f"another file, of {len(response.body)} bytes"
    if not response.getall("etag") or not response.getall("last-modified"):
        return f"no validators: {response.headers}"
    return _head("", response)


def static(content: bytes, response: Response) -> str | None:
    """Check a file of a folder, and its ETag."""
    if response.body != content:
        return f"another file, of {len(response.body)} bytes"
    return _head("text/css", response) if response.getall("etag") else "no ETag"


def not_modified(response: Response) -> str | None:
    """Check a response without content to If-None-Match."""
    if (response.status, response.body) != (304, b""):
        return f"status {response.status}, {len(response.body)} bytes"
    return None


def partial_content(content: bytes, response: Response) -> str | None:
    """Check the bytes 100 to 199 of a file."""
    ranges = response.getall("content-range")
    if response.body != content[100:200] or ranges != [f"bytes 100-199/{len(content)}"]:
        return f"content-range {ranges}, {len(response.body)} bytes"
    return _head("text/css", response, has_length=False, status=206)


def events(data: str, count: int, response: Response) -> str | None:
    """Check server-sent events, each with its number as the id, a type and the data."""
    found = []
    for block in response.body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(":") for line in block.split("\n")]
        # A line without a name is a comment or empty.
        if event := {name: value.removeprefix(" ") for name, _, value in lines if name}:
            found.append(event)
    if found != [
        {"id": str(number), "event": "step", "data": f"{data} {number}"} for number in range(count)
    ]:
        return f"events {response.body[:200]!r}"
    if 0 < response.chunks < count:
        return f"events were joined: {response.chunks} messages"
    return _head("text/event-stream", response, has_length=False)


def compressed(expected: str, response: Response) -> str | None:
    """Check a text in the gzip coding, with Vary."""
    coding, vary = response.getall("content-encoding"), ",".join(response.getall("vary"))
    if coding != ["gzip"] or "accept-encoding" not in vary.lower():
        return f"content-encoding {coding}, vary {vary!r}"
    try:
        found = gzip.decompress(response.body)
    except (OSError, EOFError) as error:
        return f"not gzip: {error}"
    return _head("text/plain", response) if found == expected.encode() else "another text"
