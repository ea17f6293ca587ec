"""What is asked of every contender, and what the right answer is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Fields = list[tuple[bytes, bytes]]

GREETING = "Hello, benchmark!"
RECORD = {"id": 7, "title": "A small record", "open": False, "rate": 0.25}
QUERY = {"term": "two words", "sort": "-date", "page": "3", "per_page": "25"}
COOKIES = {
    "sid": "Zk3vN1q8Rw5yT0uB7xLm2cHd9",
    "xsrf": "b81c2f6e0d9a4735",
    "lang": "en-GB",
    "seen": "1731500000",
    "ab": "control",
}
# As a desktop browser sends them when it follows a link.
FIELDS = {
    "host": "shop.example.org",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.7,fr;q=0.3",
    "accept-encoding": "gzip, deflate, br, zstd",
    "referer": "https://shop.example.org/catalogue?page=2",
    "connection": "keep-alive",
    "cookie": "; ".join(f"{name}={value}" for name, value in COOKIES.items()),
    "upgrade-insecure-requests": "1",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "priority": "u=0, i",
}
ONE_FIELD = "sec-fetch-mode"
ORDER = {
    "customer": {"number": 40017, "name": "Ines Hallström", "newsletter": True},
    "lines": [
        {"article": f"A-{number:04}", "pieces": number, "price": 3.5 * number, "gift": None}
        for number in range(1, 15)
    ],
    "remark": "Ring twice, the bell is old. " * 4,
}
COOKIE_PARTS = {"sid=0f1e2d3c4b5a", "max-age=1800", "path=/", "secure", "httponly", "samesite=lax"}


class WrongAnswer(Exception):
    """A contender answers something else than it is asked for, so its time means nothing."""


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: Fields
    body: bytes

    def values(self, name: str) -> list[str]:
        """Give the values of one field."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]


@dataclass(frozen=True)
class Scenario:
    """One request, sent again and again.

    Attributes:
        name: the key of the app in each contender.
        media_type: what the answer must be.
        is_right: tells whether the body is the right one.
        also: checks what else the answer must have.
    """

    name: str
    media_type: str
    is_right: Callable[[bytes], bool]
    method: str = "GET"
    query: bytes = b""
    content: bytes = b""
    also: Callable[[Answer], bool] = lambda _answer: True

    def scope(self) -> dict[str, Any]:
        """Give a fresh scope, as a server makes one for each request."""
        headers = [(name.encode(), value.encode()) for name, value in FIELDS.items()]
        if self.content:
            length = str(len(self.content)).encode()
            headers += [(b"content-type", b"application/json"), (b"content-length", length)]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": f"/{self.name}",
            "raw_path": f"/{self.name}".encode(),
            "query_string": self.query,
            "root_path": "",
            "headers": headers,
            "client": ("192.0.2.7", 50123),
            "server": ("192.0.2.1", 8000),
            "state": {},
        }

    def check(self, answer: Answer) -> None:
        """Refuse anything but the right answer.

        Raises:
            WrongAnswer: with what is wrong.
        """
        types = answer.values("content-type")
        wrong = None
        if answer.status != 200:
            wrong = f"status {answer.status}"
        elif len(types) != 1 or types[0].partition(";")[0] != self.media_type:
            wrong = f"content-type {types}"
        elif answer.values("content-length") != [str(len(answer.body))]:
            wrong = f"content-length {answer.values('content-length')} of {len(answer.body)}"
        elif not self.is_right(answer.body):
            wrong = f"body {answer.body[:200]!r}"
        elif not self.also(answer):
            wrong = f"headers {answer.headers}"
        if wrong is not None:
            raise WrongAnswer(f"{self.name}: {wrong}")


def collect(messages: Sequence[dict[str, Any]]) -> Answer:
    """Make an answer of the messages that an app sent.

    Raises:
        WrongAnswer: they are not one start and a body that ends.
    """
    types = [message["type"] for message in messages]
    bodies = messages[1:]
    if types != ["http.response.start"] + ["http.response.body"] * len(bodies) or not bodies:
        raise WrongAnswer(f"messages {types}")
    if [message.get("more_body", False) for message in bodies] != [True] * (len(bodies) - 1) + [
        False
    ]:
        raise WrongAnswer("more_body does not tell the end of the body")
    headers = [(bytes(key), bytes(value)) for key, value in messages[0]["headers"]]
    return Answer(messages[0]["status"], headers, b"".join(part["body"] for part in bodies))


def text(expected: str) -> Callable[[bytes], bool]:
    """Make a check of a plain text body."""
    return lambda body: body == expected.encode()


def document(expected: object) -> Callable[[bytes], bool]:
    """Make a check of a JSON body, however it is spaced."""

    def is_right(body: bytes) -> bool:
        try:
            return bool(json.loads(body) == expected)
        except ValueError:
            return False

    return is_right


def has_cookie(answer: Answer) -> bool:
    """Tell whether just the cookie asked for is set, with its attributes in any order and case."""
    set_cookies = [value.lower().split("; ") for value in answer.values("set-cookie")]
    return len(set_cookies) == 1 and set(set_cookies[0]) == COOKIE_PARTS


SCENARIOS = {
    scenario.name: scenario
    for scenario in [
        Scenario("a_plaintext", "text/plain", text(GREETING)),
        Scenario("b_json_small", "application/json", document(RECORD)),
        Scenario(
            "d_echo",
            "application/json",
            document({"method": "GET", "path": "/d_echo", "query_params": QUERY}),
            query=b"term=two+words&sort=-date&page=3&per_page=25",
        ),
        Scenario(
            "e_headers",
            "text/plain",
            text(str(sum(map(len, FIELDS.values())) + sum(map(len, COOKIES.values())))),
        ),
        Scenario("e1_one_header", "text/plain", text(FIELDS[ONE_FIELD])),
        Scenario(
            "f_json_body",
            "text/plain",
            text(str(len(ORDER["lines"]))),
            method="POST",
            content=json.dumps(ORDER, ensure_ascii=False).encode(),
        ),
        Scenario("l_set_cookie", "text/plain", text(GREETING), also=has_cookie),
    ]
}
