"""The table of scenarios: the request to an app, and the check of its response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
        suffix: an addition to the path of the app.
        headers: more headers.
        revalidates: the request has the ETag of a response in If-None-Match.
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
    suffix: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    revalidates: bool = False
    content_type: str = ""
    content: Callable[[], tuple[bytes, ...]] = lambda: (b"",)
    spec_version: str = "2.3"
    extensions: tuple[str, ...] = ()
    disconnects: bool = False

    @property
    def key(self) -> str:
        """The name of the app in each contender."""
        return self.app or self.name

    @property
    def path(self) -> str:
        return f"/{self.key}{self.suffix}"

    @property
    def method(self) -> str:
        return "POST" if self.content_type else "GET"

    def scope(self) -> dict[str, Any]:
        """Return a new scope."""
        headers = [*BROWSER, *self.headers]
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
            "path": self.path,
            "raw_path": self.path.encode(),
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
_TEXT = partial(checks.text, payloads.GREETING)
_HEADERS = partial(checks.text, str(_length(payloads.HEADERS) + _length(payloads.COOKIES)))
_ONE_HEADER = partial(checks.text, payloads.HEADERS[payloads.ONE_HEADER])
_FORM = f"{len(payloads.FORM)} {_length(payloads.FORM)}"
_MULTIPART = f"{_length(payloads.TEXTS)} {payloads.SMALL_SIZE}"
_FILE = partial(checks.file, payloads.SMALL_FILE)
_LARGE_FILE = partial(checks.file, payloads.LARGE_FILE)
_STATIC = payloads.STATIC_CONTENT
_STREAM = partial(checks.stream, payloads.CHUNK, payloads.CHUNKS)
_EVENTS = partial(checks.events, payloads.EVENT_TEXT, payloads.EVENTS)
_JSON = "application/json"
_URLENCODED_BODY = payloads.FORM_TYPE, lambda: (payloads.FORM_BODY,)
_TYPE = payloads.MULTIPART_TYPE
_PHOTO = partial(payloads.upload, payloads.SMALL_SIZE, texts=True)
_COOKIE = partial(checks.text_with_cookie, payloads.GREETING)
_PARTIAL = partial(checks.partial_content, _STATIC)
_RANGE = ((b"range", b"bytes=100-199"),)
_ASGI24 = {"spec_version": "2.4"}
_PATHSEND = {**_ASGI24, "app": "file_100k", "extensions": ("http.response.pathsend",)}
_QUERY = b"term=two+words&sort=-date&page=3&per_page=25"


def _json(name: str, title: str, expected: object, target: float | None = None) -> Scenario:
    return Scenario(name, title, partial(checks.document, expected), target)


def _stream(name: str, title: str, check: Check, target: float, **more: Any) -> Scenario:
    return Scenario(name, title, check, target, disconnects=True, **more)


def _static(name: str, title: str, check: Check, target: float, **more: Any) -> Scenario:
    return _stream(name, title, check, target, app="static", suffix=".css", **more)


def _order(name: str, title: str, count: int, body: bytes, target: float | None) -> Scenario:
    content = lambda: payloads.split(body)  # noqa: E731 - a lazy argument
    return _post(name, title, count, _JSON, content, target=target, app="json_body")


# The targets are for CPython 3.11.
_ALL = [
    Scenario("plaintext", "short text", _TEXT, 1.95),
    _json("json_small", "JSON of 4 members", payloads.RECORD, 1.9),
    _json("json_10k", "JSON of 10 KB", payloads.CATALOGUE, 1.15),
    _json("json_100k", "JSON of 100 KB", payloads.CATALOGUE_100K),
    replace(_json("echo", "query parameters as JSON", _ECHO, 0.95), query=_QUERY),
    Scenario("all_headers", "12 headers, 5 cookies", _HEADERS, 2.15),
    Scenario("one_header", "1 of 12 headers", _ONE_HEADER, 2.15),
    _order("json_body", "JSON request of 1 KB", *payloads.ORDER, 1.7),
    _order("json_body_100k", "JSON request of 100 KB", *payloads.ORDER_100K, None),
    _post("urlencoded", "form of 20 fields", _FORM, *_URLENCODED_BODY, target=0.7),
    _post("multipart", "form with a file of 100 KB", _MULTIPART, _TYPE, _PHOTO, target=1.05),
    _upload("upload_50m", "upload of 50 MB", "upload", LARGE_SIZE, 1.05),
    _upload("parts_50m", "upload of 50 MB, streamed", "parts", LARGE_SIZE),
    _stream("stream", "stream of 100 chunks", _STREAM, 1.38),
    _stream("stream_asgi24", "the stream with ASGI 2.4", _STREAM, 1.38, app="stream", **_ASGI24),
    _stream("sync_stream", "stream of a sync generator", _STREAM, 12),
    Scenario("def_handler", "`def` handler", _TEXT, 1),
    _stream("file_100k", "file of 100 KB", _FILE, 3.5),
    _stream("pathsend_100k", "the file with pathsend", _FILE, 0.8, **_PATHSEND),
    _stream("file_50m", "file of 50 MB", _LARGE_FILE, 1.5),
    _static("static_9k", "static file of 9 KB", partial(checks.static, _STATIC), 5),
    _static("static_304", "static file, 304", checks.not_modified, 5, revalidates=True),
    _static("static_range", "static file, range", _PARTIAL, 6, headers=_RANGE),
    Scenario("set_cookie", "short text with a cookie", _COOKIE, 2.3),
    _stream("events", "100 events", _EVENTS, 3.2),
    _stream("events_wait", "100 events, with waits", _EVENTS, 1.7),
    Scenario("gzip_10k", "text of 10 KB, gzip", partial(checks.compressed, payloads.ARTICLE)),
]
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
#: The names of the apps of a contender.
APPS = tuple(dict.fromkeys(scenario.key for scenario in _ALL))
#: An app for the memory of idle clients; of some contenders.
IDLE = "idle_events"
#: A scenario of the wire benchmark only.
UPLOAD_1M = _upload("upload_1m", "upload of 1 MB", "upload", MiB)
