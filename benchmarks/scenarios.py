"""What is asked of every contender, and what the right answer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import answers, payloads
from benchmarks.answers import Answer, Check, WrongAnswer
from benchmarks.payloads import LARGE_SIZE, MiB

BROWSER = [(name.encode(), value.encode()) for name, value in payloads.FIELDS.items()]


@dataclass(frozen=True)
class Scenario:
    """One request, sent again and again.

    Attributes:
        title: what the app does, in a few words.
        check: gives what is wrong with an answer.
        app: the key of the app in each contender, where it is not the name.
        content_type: of the body that is sent.
        content: makes that body, in the messages that a server hands it over in.
        spec_version: of ASGI, that the server names.
        extensions: that the server offers.
        watched: the client is seen to leave as soon as it has its answer, as on a real server; for
            apps that wait for it to leave while they send.
        target: what asgikit's ratio to raw is to be; ``None`` where nobody has set one.
        large: a request takes milliseconds, mostly of copying.
    """

    name: str
    title: str
    verify: Check
    app: str = ""
    query: bytes = b""
    content_type: str = ""
    content: Callable[[], tuple[bytes, ...]] = lambda: (b"",)
    spec_version: str = "2.3"
    extensions: tuple[str, ...] = ()
    watched: bool = False
    target: float | None = None
    large: bool = False

    @property
    def key(self) -> str:
        """The key of the app in each contender, which is its path, too."""
        return self.app or self.name

    @property
    def method(self) -> str:
        return "POST" if self.content_type else "GET"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Give the fields of the request."""
        if not self.content_type:
            return list(BROWSER)
        length = str(sum(map(len, self.content()))).encode()
        content = [(b"content-type", self.content_type.encode()), (b"content-length", length)]
        return BROWSER + content

    def scope(self) -> dict[str, Any]:
        """Give a fresh scope, as a server makes one for each request."""
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
            "headers": self.headers(),
            "client": ("192.0.2.7", 50123),
            "server": ("192.0.2.1", 8000),
            "state": {},
        }
        if self.extensions:
            scope["extensions"] = {name: {} for name in self.extensions}
        return scope

    def messages(self) -> list[dict[str, Any]]:
        """Give what `receive` gives before the client leaves."""
        *first, last = self.content()
        return [
            *({"type": "http.request", "body": body, "more_body": True} for body in first),
            {"type": "http.request", "body": last, "more_body": False},
        ]

    def check(self, answer: Answer) -> None:
        """Refuse anything but the right answer.

        Raises:
            WrongAnswer: with what is wrong.
        """
        wrong = self.verify(answer)
        if wrong is not None:
            raise WrongAnswer(f"{self.name}: {wrong}")


def _upload(name: str, title: str, app: str, size: int, **more: Any) -> Scenario:
    return Scenario(
        name,
        title,
        answers.text(str(size)),
        app=app,
        content_type=payloads.MULTIPART_TYPE,
        content=lambda: payloads.upload(size),
        **more,
    )


def _lengths(values: dict[str, str]) -> int:
    return sum(map(len, values.values()))


_ECHO = {"method": "GET", "path": "/d_echo", "query_params": payloads.QUERY}
_SMALL_FILE = answers.file(payloads.SMALL_FILE)
_STREAM = answers.stream(payloads.PIECE, payloads.PIECES)

_ALL = [
    Scenario("a_plaintext", "a short text", answers.text(payloads.GREETING), target=1.8),
    Scenario("b_json_small", "JSON of 4 members", answers.document(payloads.RECORD), target=1.75),
    Scenario("c_json_10k", "JSON of 10 KB", answers.document(payloads.CATALOGUE), target=1.15),
    Scenario(
        "d_echo",
        "method, path and 4 query parameters as JSON",
        answers.document(_ECHO),
        query=b"term=two+words&sort=-date&page=3&per_page=25",
        target=0.9,
    ),
    Scenario(
        "e_headers",
        "12 fields and 5 cookies looked up",
        answers.text(str(_lengths(payloads.FIELDS) + _lengths(payloads.COOKIES))),
        target=2.1,
    ),
    Scenario(
        "e1_one_header",
        "1 field of 12 looked up",
        answers.text(payloads.FIELDS[payloads.ONE_FIELD]),
        target=2.1,
    ),
    Scenario(
        "f_json_body",
        "JSON of 1.2 KB received",
        answers.text(str(len(payloads.ORDER["lines"]))),
        content_type="application/json",
        content=lambda: (payloads.ORDER_BODY,),
        target=1.3,
    ),
    Scenario(
        "g_form",
        "urlencoded form of 20 fields",
        answers.text(f"{len(payloads.FORM)} {_lengths(payloads.FORM)}"),
        content_type=payloads.FORM_TYPE,
        content=lambda: (payloads.FORM_BODY,),
        target=0.7,
    ),
    Scenario(
        "h_multipart",
        "multipart form: 5 texts, a file of 100 KB",
        answers.text(f"{_lengths(payloads.TEXTS)} {payloads.SMALL_SIZE}"),
        content_type=payloads.MULTIPART_TYPE,
        content=lambda: payloads.upload(payloads.SMALL_SIZE, texts=True),
        target=1.05,
    ),
    _upload(
        "i_upload_50m", "50 MB upload, stored", "i_upload", LARGE_SIZE, target=1.05, large=True
    ),
    _upload("i2_parts_50m", "50 MB upload, passed on", "i2_parts", LARGE_SIZE, large=True),
    Scenario("j_stream", "stream of 100 x 1 KB", _STREAM, watched=True, target=1.2),
    Scenario(
        "j24_stream",
        "the same, as ASGI 2.4",
        _STREAM,
        app="j_stream",
        spec_version="2.4",
        watched=True,
        target=1.2,
    ),
    Scenario("k_file_100k", "file of 100 KB", _SMALL_FILE, watched=True, target=3.5),
    Scenario(
        "kps_file_100k",
        "the same, pathsend offered",
        _SMALL_FILE,
        app="k_file_100k",
        spec_version="2.4",
        extensions=("http.response.pathsend",),
        watched=True,
        target=0.8,
    ),
    Scenario(
        "k_file_50m",
        "file of 50 MB",
        answers.file(payloads.LARGE_FILE),
        watched=True,
        target=1.5,
        large=True,
    ),
    Scenario(
        "l_set_cookie",
        "a short text and a cookie",
        answers.text_with_cookie(payloads.GREETING),
        target=2.2,
    ),
    Scenario(
        "n_events",
        "100 server-sent events",
        answers.events(payloads.EVENT_TEXT, payloads.EVENTS),
        watched=True,
    ),
    Scenario("o_gzip", "text of 10 KB, compressed", answers.compressed(payloads.ARTICLE)),
]
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
#: The keys of the apps that a contender has.
APPS = tuple(dict.fromkeys(scenario.key for scenario in _ALL))
#: What goes over the wire only.
UPLOAD_1M = _upload("i_upload_1m", "1 MB upload, stored", "i_upload", MiB)
