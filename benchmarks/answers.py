"""Answers, and checks of them: a check gives what is wrong, or `None`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.payloads import COOKIE_PARTS

Fields: TypeAlias = list[tuple[bytes, bytes]]


class WrongAnswer(Exception):
    """A contender answers something else than it is asked for, so its time means nothing."""


@dataclass(frozen=True)
class Answer:
    """A whole response.

    Attributes:
        pieces: messages or chunks that the body came in; 0 where that is not known.
    """

    status: int
    headers: Fields
    body: bytes
    pieces: int = 0

    def values(self, name: str) -> list[str]:
        """Give the values of one field."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]


Check: TypeAlias = Callable[[Answer], str | None]


def collect(messages: Sequence[dict[str, Any]]) -> Answer:
    """Make an answer of the messages that an app sent.

    Raises:
        WrongAnswer: they are not one start and a body that ends, or the path of a file.
    """
    types = [message["type"] for message in messages]
    bodies = messages[1:]
    if types == ["http.response.start", "http.response.pathsend"]:
        bodies = [{"body": Path(messages[1]["path"]).read_bytes()}]
    elif types != ["http.response.start"] + ["http.response.body"] * len(bodies) or not bodies:
        raise WrongAnswer(f"messages {types}")
    more = [message.get("more_body", False) for message in bodies]
    if more != [True] * (len(bodies) - 1) + [False]:
        raise WrongAnswer("more_body does not tell the end of the body")
    headers = [(bytes(key), bytes(value)) for key, value in messages[0]["headers"]]
    body = b"".join(message.get("body", b"") for message in bodies)
    return Answer(messages[0]["status"], headers, body, len(bodies))


def _outside(answer: Answer, media_type: str | None, *, sized: bool = True) -> str | None:
    """Look at all but the body: its status, type and length."""
    types = answer.values("content-type")
    lengths = answer.values("content-length")
    if answer.status != 200:
        return f"status {answer.status}, {answer.body[:200]!r}"
    if media_type is not None and [value.partition(";")[0] for value in types] != [media_type]:
        return f"content-type {types}"
    if sized and lengths != [str(len(answer.body))]:
        return f"content-length {lengths} of {len(answer.body)}"
    return None


def text(expected: str) -> Check:
    """Check a plain text."""

    def check(answer: Answer) -> str | None:
        if answer.body != expected.encode():
            return f"body {answer.body[:200]!r}, not {expected[:200]!r}"
        return _outside(answer, "text/plain")

    return check


def text_with_cookie(expected: str) -> Check:
    """Check a plain text that sets the one cookie, its attributes in any order and case."""

    def check(answer: Answer) -> str | None:
        cookies = [
            {part for part in value.lower().split("; ") if not part.startswith("expires=")}
            for value in answer.values("set-cookie")
        ]
        return text(expected)(answer) if cookies == [COOKIE_PARTS] else f"cookies {cookies}"

    return check


def document(expected: object) -> Check:
    """Check a JSON document, however it is spaced."""

    def check(answer: Answer) -> str | None:
        try:
            found = json.loads(answer.body)
        except ValueError:
            return f"no JSON: {answer.body[:200]!r}"
        if found != expected:
            return f"document {answer.body[:200]!r}"
        return _outside(answer, "application/json")

    return check


def stream(piece: bytes, count: int) -> Check:
    """Check a stream that is sent piece by piece."""

    def check(answer: Answer) -> str | None:
        if answer.body != piece * count:
            return f"stream of {len(answer.body)} bytes"
        if 0 < answer.pieces < count:
            return f"pieces were joined: {answer.pieces} messages"
        return _outside(answer, None, sized=False)

    return check


def file(path: Path) -> Check:
    """Check a file, and what lets a client ask again only if it changed."""

    def check(answer: Answer) -> str | None:
        if answer.body != path.read_bytes():
            return f"another file, of {len(answer.body)} bytes"
        if not answer.values("etag") or not answer.values("last-modified"):
            return f"no validators: {answer.headers}"
        return _outside(answer, None)

    return check


def events(data: str, count: int) -> Check:
    """Check server-sent events: each with its number as its id, a type and the data."""
    expected = [
        {"id": str(number), "event": "step", "data": f"{data} {number}"} for number in range(count)
    ]

    def check(answer: Answer) -> str | None:
        found = []
        for block in answer.body.decode().replace("\r\n", "\n").split("\n\n"):
            lines = [line.partition(":") for line in block.split("\n")]
            # A line without a name is a comment, or empty.
            event = {name: value.removeprefix(" ") for name, _, value in lines if name}
            if event:
                found.append(event)
        if found != expected:
            return f"events {answer.body[:200]!r}"
        if 0 < answer.pieces < count:
            return f"events were joined: {answer.pieces} messages"
        return _outside(answer, "text/event-stream", sized=False)

    return check


def compressed(expected: str) -> Check:
    """Check a plain text that is compressed by gzip, and says so to caches."""

    def check(answer: Answer) -> str | None:
        coding, vary = answer.values("content-encoding"), ",".join(answer.values("vary"))
        if coding != ["gzip"] or "accept-encoding" not in vary.lower():
            return f"content-encoding {coding}, vary {vary!r}"
        try:
            found = gzip.decompress(answer.body)
        except (OSError, EOFError) as error:
            return f"not gzip: {error}"
        if found != expected.encode():
            return "another text"
        return _outside(answer, "text/plain")

    return check
