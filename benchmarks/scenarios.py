"""The table of scenarios: the request to an app, and the check of its response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import checks, payloads
from benchmarks.checks import Check, Response, WrongResponse
from benchmarks.payloads import LARGE_SIZE, MiB

BROWSER = [(name.encode(), value.encode()) for name, value in payloads.HEADERS.items()]


@dataclass(frozen=True)
class Scenario:
    """One request, which is sent again and again.

    Attributes:
        title: a short description.
        find_error: the check of the response.
        target: the goal for the ratio of asgikit to raw; ``None`` if there is none.
        app: the name of the app in each contender, if it is not ``name``.
        content_type: the media type of the request body.
        content: returns the request body in messages.
        spec_version: the version of ASGI in the scope.
        extensions: the extensions in the scope.
        disconnects: the client disconnects as soon as it has the response, as behind a server; for
            apps that wait for a disconnect while they send.
    """

    name: str
    title: str
    find_error: Check
    target: float | None = None
    app: str = ""
    query: bytes = b""
    content_type: str = ""
    content: Callable[[], tuple[bytes, ...]] = lambda: (b"",)
    spec_version: str = "2.3"
    extensions: tuple[str, ...] = ()
    disconnects: bool = False

    @property
    def key(self) -> str:
        """The name of the app in each contender, which is also its path."""
        return self.app or self.name

    @property
    def method(self) -> str:
        return "POST" if self.content_type else "GET"

    def scope(self) -> dict[str, Any]:
        """Return a new scope."""
        headers = list(BROWSER)
        if self.content_type:
            length = str(sum(map(len, self.content()))).encode()
            headers.append((b"content-type", self.content_type.encode()))
            headers.append((b"content-length", length))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": f"/{self.key}",
            "raw_path": f"/{self.key}".encode(),
            "query_string": self.query,
            "root_path": "",
            "headers": headers,
            "client": ("192.0.2.7", 50123),
            "server": ("192.0.2.1", 8000),
            "state": {},
        }
        if self.extensions:
            scope["extensions"] = {name: {} for name in self.extensions}
        return scope

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages of the request body."""
        content = self.content()
        return [
            {"type": "http.request", "body": body, "more_body": number < len(content)}
            for number, body in enumerate(content, 1)
        ]

    def check(self, response: Response) -> None:
        """Raise :class:`WrongResponse` unless the response is right."""
        error = self.find_error(response)
        if error is not None:
            raise WrongResponse(f"{self.name}: {error}")


def _post(
    name: str, title: str, expected: object, content_type: str, content: Any, **more: Any
) -> Scenario:
    check = partial(checks.text, str(expected))
    return Scenario(name, title, check, content_type=content_type, content=content, **more)


def _upload(name: str, title: str, app: str, size: int, target: float | None = None) -> Scenario:
    content = lambda: payloads.upload(size)  # noqa: E731 - a lazy argument
    return _post(name, title, size, payloads.MULTIPART_TYPE, content, app=app, target=target)


def _length(values: dict[str, str]) -> int:
    return sum(map(len, values.values()))


_ECHO = {"method": "GET", "path": "/echo", "query_params": payloads.QUERY}
_LOOKED_UP = partial(checks.text, str(_length(payloads.HEADERS) + _length(payloads.COOKIES)))
_FORM = f"{len(payloads.FORM)} {_length(payloads.FORM)}"
_MULTIPART = f"{_length(payloads.TEXTS)} {payloads.SMALL_SIZE}"
_FILE = partial(checks.file, payloads.SMALL_FILE)
_LARGE_FILE = partial(checks.file, payloads.LARGE_FILE)
_COOKIE = partial(checks.text_with_cookie, payloads.GREETING)
_STREAM = partial(checks.stream, payloads.CHUNK, payloads.CHUNKS)

_ALL = [
    Scenario("plaintext", "short text", partial(checks.text, payloads.GREETING), 1.8),
    Scenario("json_small", "JSON of 4 members", partial(checks.document, payloads.RECORD), 1.75),
    Scenario("json_10k", "JSON of 10 KB", partial(checks.document, payloads.CATALOGUE), 1.15),
    Scenario(
        "echo",
        "method, path and 4 query parameters as JSON",
        partial(checks.document, _ECHO),
        0.9,
        query=b"term=two+words&sort=-date&page=3&per_page=25",
    ),
    Scenario(
        "all_headers",
        "12 headers and 5 cookies looked up",
        _LOOKED_UP,
        2.1,
    ),
    Scenario(
        "one_header",
        "1 of 12 headers looked up",
        partial(checks.text, payloads.HEADERS[payloads.ONE_HEADER]),
        2.1,
    ),
    _post(
        "json_body",
        "request with JSON of 1.2 KB",
        len(payloads.ORDER["lines"]),
        "application/json",
        lambda: (payloads.ORDER_BODY,),
        target=1.3,
    ),
    _post(
        "urlencoded",
        "urlencoded form of 20 fields",
        _FORM,
        payloads.FORM_TYPE,
        lambda: (payloads.FORM_BODY,),
        target=0.7,
    ),
    _post(
        "multipart",
        "multipart form: 5 texts, a file of 100 KB",
        _MULTIPART,
        payloads.MULTIPART_TYPE,
        lambda: payloads.upload(payloads.SMALL_SIZE, texts=True),
        target=1.05,
    ),
    _upload("upload_50m", "50 MB upload with form()", "upload", LARGE_SIZE, 1.05),
    _upload("parts_50m", "50 MB upload, streamed", "parts", LARGE_SIZE),
    Scenario("stream", "stream of 100 chunks of 1 KB", _STREAM, 1.2, disconnects=True),
    Scenario(
        "stream_asgi24",
        "the same with ASGI 2.4",
        _STREAM,
        1.2,
        app="stream",
        spec_version="2.4",
        disconnects=True,
    ),
    Scenario("file_100k", "file of 100 KB", _FILE, 3.5, disconnects=True),
    Scenario(
        "pathsend_100k",
        "the same with the pathsend extension",
        _FILE,
        0.8,
        app="file_100k",
        spec_version="2.4",
        extensions=("http.response.pathsend",),
        disconnects=True,
    ),
    Scenario(
        "file_50m",
        "file of 50 MB",
        partial(checks.file, payloads.LARGE_FILE),
        1.5,
        disconnects=True,
    ),
    Scenario(
        "set_cookie",
        "short text with a cookie",
        partial(checks.text_with_cookie, payloads.GREETING),
        2.2,
    ),
    Scenario(
        "events",
        "100 server-sent events",
        partial(checks.events, payloads.EVENT_TEXT, payloads.EVENTS),
        disconnects=True,
    ),
    Scenario("gzip_10k", "text of 10 KB, compressed", partial(checks.compressed, payloads.ARTICLE)),
]
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
#: The names of the apps of a contender.
APPS = tuple(dict.fromkeys(scenario.key for scenario in _ALL))
#: A scenario of the wire benchmark only.
UPLOAD_1M = _upload("upload_1m", "1 MB upload with form()", "upload", MiB)
