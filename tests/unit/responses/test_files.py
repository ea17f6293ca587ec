"""File responses: validators, preconditions, ranges and headers."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from asgikit import ContentLengthMismatch, StaticFiles
from asgikit.http.dates import parse_http_date
from asgikit.responses.files import FileResponse
from asgikit.testing import Exchange, exchange
from tests.support.open_files import open_paths_below

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio

MODIFIED = "Sun, 09 Sep 2001 01:46:40 GMT"
BEFORE = "Sun, 09 Sep 2001 01:46:39 GMT"
AFTER = "Sun, 09 Sep 2001 01:46:41 GMT"
ETAG = '"%x-a"' % (1000000000 * 10**9)

PATHSEND: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.txt"
    path.write_bytes(b"0123456789")
    os.utime(path, (1000000000, 1000000000))
    return path


def rewrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def ask(response: FileResponse, method: str = "GET", **fields: str) -> Exchange:
    """Send it with the fields of a request; the file is closed afterwards."""
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    answer = await exchange(response, method, headers=headers)
    assert open_paths_below(Path(response.path)) == []
    return answer


WHOLE = b"0123456789"


@pytest.mark.parametrize(
    ("fields", "status_code", "content_range", "body"),
    [
        ({}, 200, None, WHOLE),
        ({"range": "bytes=0-1,500-600"}, 206, "bytes 0-1/10", b"01"),
        ({"range": "pages=1-2"}, 200, None, WHOLE),
        ({"range": "bytes=-100"}, 206, "bytes 0-9/10", WHOLE),
        ({"range": "bytes=0-0"}, 206, "bytes 0-0/10", b"0"),
        ({"range": "bytes=0-0", "if_range": ETAG}, 206, "bytes 0-0/10", b"0"),
        ({"range": "bytes=0-0", "if_range": MODIFIED}, 206, "bytes 0-0/10", b"0"),
        ({"range": "bytes=0-0", "if_range": '"stale"'}, 200, None, WHOLE),
        ({"range": "bytes=0-0", "if_range": f"W/{ETAG}"}, 200, None, WHOLE),
        ({"range": "bytes=0-0", "if_range": AFTER}, 200, None, WHOLE),
        ({"range": "bytes=0-0", "if_none_match": ETAG}, 304, None, b""),
        ({"if_none_match": ETAG}, 304, None, b""),
        ({"if_none_match": f"W/{ETAG}"}, 304, None, b""),
        ({"if_none_match": '"zz"', "if_modified_since": MODIFIED}, 200, None, WHOLE),
        ({"if_modified_since": MODIFIED}, 304, None, b""),
        ({"if_modified_since": BEFORE}, 200, None, WHOLE),
        ({"if_match": '"other"'}, 412, None, b""),
        ({"if_match": "*"}, 200, None, WHOLE),
        ({"if_unmodified_since": BEFORE}, 412, None, b""),
        ({"if_unmodified_since": AFTER}, 200, None, WHOLE),
    ],
)
@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
async def test_get_obeys_preconditions_and_ranges(
    digits: Path,
    fields: dict[str, str],
    status_code: int,
    content_range: str | None,
    body: bytes,
    offered: dict[str, Any],
) -> None:
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    answer = await exchange(FileResponse(digits), headers=headers, scope=offered)

    assert (answer.status_code, answer.body) == (status_code, body)
    assert answer.headers.get("content-range") == content_range
    if status_code != 412:
        assert answer.headers["etag"] == ETAG
    if status_code in {200, 206}:
        assert answer.headers["last-modified"] == MODIFIED
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers.get("content-length") == (None if status_code == 304 else str(len(body)))


@pytest.mark.parametrize("value", ["bytes=-0", "bytes=10-"])
@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
async def test_range_beyond_the_end_is_416(
    digits: Path, value: str, offered: dict[str, Any]
) -> None:
    response = FileResponse(digits, headers={"cache-control": "max-age=60", "x-own": "1"})
    answer = await exchange(response, headers={"range": value}, scope=offered)

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"
    assert answer.json()["status"] == 416
    assert answer.headers["x-own"] == "1"
    assert "cache-control" not in answer.headers
    assert open_paths_below(digits) == []


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
async def test_several_ranges_have_a_random_boundary(digits: Path, offered: dict[str, Any]) -> None:
    response = FileResponse(digits)
    first, second = [
        await exchange(response, headers={"range": "bytes=0-1,8-"}, scope=offered) for _ in "12"
    ]

    assert first.status_code == 206
    kind, _, boundary = first.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    assert len(boundary) == 32
    assert first.headers["content-length"] == str(len(first.body))
    part = f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "
    assert first.text == f"{part}0-1/10\r\n\r\n01\r\n{part}8-9/10\r\n\r\n89\r\n--{boundary}--\r\n"
    assert second.headers["content-type"] != first.headers["content-type"]


@pytest.mark.parametrize("offered", [{}, PATHSEND], ids=["", "pathsend"])
@pytest.mark.parametrize(
    ("fields", "status_code"),
    [
        ({}, 200),
        ({"range": "bytes=0-1"}, 200),  # defined for GET alone
        ({"range": "bytes=99-"}, 200),
        ({"if-none-match": ETAG}, 304),
        ({"if-match": '"other"'}, 412),
    ],
)
async def test_head_has_the_headers_of_get_and_reads_no_content(
    digits: Path,
    fields: dict[str, str],
    status_code: int,
    offered: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "read")
    answer = await exchange(FileResponse(digits), "HEAD", headers=fields, scope=offered)

    assert (answer.status_code, answer.body) == (status_code, b"")
    if status_code == 200:
        assert answer.headers["content-length"] == "10"
        assert answer.headers["accept-ranges"] == "bytes"


async def test_file_without_scope_is_sent_whole(digits: Path) -> None:
    response = FileResponse(digits)
    asked = {"range": "bytes=0-0", "if-none-match": "*"}
    answer = await exchange(lambda scope: response, headers=asked, scope=PATHSEND)

    assert (answer.status_code, answer.body) == (200, WHOLE)
    assert answer.headers["etag"] == ETAG
    assert answer.headers["last-modified"] == MODIFIED
    assert "accept-ranges" not in answer.headers


@pytest.mark.parametrize(("method", "status_code"), [("POST", 200), ("GET", 404), ("GET", 201)])
async def test_other_method_or_status_ignores_ranges_and_conditions(
    digits: Path, method: str, status_code: int
) -> None:
    answer = await ask(
        FileResponse(digits, status_code), method, range="bytes=0-0", if_none_match="*"
    )

    assert (answer.status_code, answer.body) == (status_code, WHOLE)
    assert "accept-ranges" not in answer.headers


@pytest.mark.parametrize(("status_code", "length"), [(204, None), (304, None), (205, "0")])
async def test_file_with_status_without_content_sends_no_body(
    digits: Path, status_code: int, length: str | None
) -> None:
    answer = await ask(FileResponse(digits, status_code))

    assert (answer.status_code, answer.body) == (status_code, b"")
    assert answer.headers.get("content-length") == length


async def test_empty_file_is_sent_with_length_zero(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for offered in ({}, PATHSEND):
        answer = await exchange(
            FileResponse(tmp_path / "empty"), headers={"range": "bytes=0-"}, scope=offered
        )
        assert (answer.status_code, answer.body) == (200, b"")
        assert answer.headers["content-length"] == "0"


# Headers of the file.


async def test_validators_in_headers_replace_those_of_the_file(digits: Path) -> None:
    own = {"etag": '"v1"', "last-modified": BEFORE}
    response = FileResponse(digits, headers=own)

    answer = await ask(response)
    assert answer.headers.getall("etag") == ['"v1"']
    assert answer.headers.getall("last-modified") == [BEFORE]
    assert (await ask(response, if_none_match='"v1"')).status_code == 304
    assert (await ask(response, if_none_match=ETAG)).status_code == 200
    assert (await ask(response, if_modified_since=BEFORE)).status_code == 304
    assert (await ask(response, range="bytes=0-0", if_range=BEFORE)).status_code == 206
    assert (await ask(response, range="bytes=0-0", if_range=MODIFIED)).status_code == 200


async def test_validators_are_omitted_on_request(digits: Path) -> None:
    answer = await ask(FileResponse(digits, etag=None), if_none_match=ETAG)
    assert answer.status_code == 200
    assert "etag" not in answer.headers
    assert "last-modified" in answer.headers

    answer = await ask(FileResponse(digits, last_modified=False), if_modified_since=AFTER)
    assert answer.status_code == 200
    assert "last-modified" not in answer.headers
    assert "etag" in answer.headers


async def test_conditional_false_ignores_preconditions(digits: Path) -> None:
    response = FileResponse(digits, conditional=False)

    assert (await ask(response, if_none_match="*")).status_code == 200
    assert (await ask(response, if_match='"other"')).status_code == 200
    assert (await ask(response, range="bytes=0-0")).status_code == 206


async def test_more_ranges_than_max_ranges_get_the_whole_file(digits: Path) -> None:
    response = FileResponse(digits, max_ranges=2)

    assert (await ask(response, range="bytes=0-0,2-2")).status_code == 206
    assert (await ask(response, range="bytes=0-0,2-2,4-4")).body == WHOLE
    none = await ask(FileResponse(digits, max_ranges=0), range="bytes=0-0")
    assert none.body == WHOLE
    assert "accept-ranges" not in none.headers


@pytest.mark.parametrize("change", [b"0123456789!", b"9876543210"], ids=["size", "time"])
async def test_changed_file_has_another_etag(digits: Path, change: bytes) -> None:
    rewrite(digits, change)

    assert (await ask(FileResponse(digits), if_none_match=ETAG)).body == change


TRUSTED = 946_771_200  # 2000-01-02


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1e9 + 0.9, MODIFIED),  # rounded down
        (TRUSTED, "Sun, 02 Jan 2000 00:00:00 GMT"),
        # Set by builds, and the same for each version of a file.
        (TRUSTED - 1, None),
        (946_684_800, None),  # Bazel
        (499_162_500, None),  # npm
        (315_532_801, None),  # buildpacks
        (1, None),  # Nix
        (0, None),
        (-1, None),
    ],
)
async def test_last_modified_is_sent_if_the_time_is_trusted(
    digits: Path, seconds: float, expected: str | None
) -> None:
    os.utime(digits, (seconds, seconds))
    for offered in ({}, PATHSEND):
        answer = await exchange(FileResponse(digits), scope=offered)
        assert answer.headers.get("last-modified") == expected


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("a.js", {}, "text/javascript; charset=utf-8"),
        ("a.tar.gz", {}, "application/gzip"),
        ("a.png", {}, "image/png"),
        ("README", {}, "application/octet-stream"),
        ("a.unheard-of", {}, "application/octet-stream"),
        ("dir.png/README", {}, "application/octet-stream"),
        ("apple-app-site-association", {}, "application/json"),
        (".well-known/apple-app-site-association", {}, "application/json"),
        ("a.png", {"filename": "b.PDF"}, "application/pdf"),
        ("a.png", {"media_type": "text/html"}, "text/html; charset=utf-8"),
        ("a.png", {"headers": {"x": "y"}}, "image/png"),
        ("README", {"headers": {"x": "y"}}, "application/octet-stream"),
        ("a.png", {"headers": {"Content-Type": "image/x-own"}}, "image/x-own"),
        (b"a.png", {}, "image/png"),
        (Path("a.png"), {}, "image/png"),
    ],
)
async def test_media_type_is_given_or_guessed_by_extension(
    path: Any, arguments: dict[str, Any], expected: str
) -> None:
    assert FileResponse(path, **arguments).headers.getall("content-type") == [expected]


async def test_file_subclass_sets_media_type_and_charset() -> None:
    class Page(FileResponse):
        media_type = "text/html"
        charset = "latin-1"

    class Text(FileResponse):
        charset = "latin-1"

    assert Page("a").headers["content-type"] == "text/html; charset=latin-1"
    assert Text("a.txt").headers["content-type"] == "text/plain; charset=latin-1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, None),
        ({"filename": "a.txt"}, 'attachment; filename="a.txt"'),
        (
            {"filename": "a.txt", "content_disposition_type": "inline"},
            'inline; filename="a.txt"',
        ),
        ({"filename": "ż.txt"}, "attachment; filename=\"_.txt\"; filename*=UTF-8''%C5%BC.txt"),
        ({"filename": "a.txt", "headers": {"Content-Disposition": "inline"}}, "inline"),
    ],
)
async def test_filename_sets_content_disposition(
    digits: Path, arguments: dict[str, Any], expected: str | None
) -> None:
    answer = await ask(FileResponse(digits, **arguments))

    assert answer.headers.get("content-disposition") == expected
    assert answer.body == WHOLE


@pytest.mark.parametrize(
    "arguments",
    [
        {"chunk_size": 0},
        {"max_ranges": -1},
        {"status_code": 99},
        {"headers": {"a": "b\r\nc: d"}},
        {"media_type": "a/b\n"},
        {"filename": "a", "content_disposition_type": "in line"},
        {"filename": "\ud800"},
        {"etag": True},
        {"etag": "strong"},
        {"send_timeout": 0},
        {"send_timeout": -1},
    ],
)
async def test_invalid_file_argument_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        FileResponse("a", **arguments)


async def test_content_length_of_a_file_must_equal_its_size(digits: Path) -> None:
    kept = await ask(FileResponse(digits, headers={"content-length": "10"}))
    assert kept.headers.getall("content-length") == ["10"]
    part = await ask(FileResponse(digits, headers={"content-length": "10"}), range="bytes=0-1")
    assert part.headers.getall("content-length") == ["2"]

    for wrong in ("9", "11", "ten"):
        with pytest.raises(ContentLengthMismatch):
            await ask(FileResponse(digits, headers={"content-length": wrong}))
    assert open_paths_below(digits) == []


async def test_headers_set_later_are_sent_and_checked(digits: Path) -> None:
    response = FileResponse(digits)
    response.set_cookie("a", "b")
    response.headers["cache-control"] = "no-cache"
    response.raw_headers.append((b"x-own", b"1"))

    answer = await ask(response)
    assert answer.headers["set-cookie"].startswith("a=b")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-own"] == "1"
    not_modified = await ask(response, if_none_match=ETAG)
    assert not_modified.headers["set-cookie"].startswith("a=b")
    assert not_modified.headers["cache-control"] == "no-cache"

    response.raw_headers.append((b"x-own", b"1\r\n"))
    with pytest.raises(ValueError, match="control character"):
        await ask(response)


async def test_concurrent_sends_do_not_change_a_file_response(digits: Path) -> None:
    response = FileResponse(digits)
    before = [*response._list()]
    answers: list[Exchange] = []

    async def send() -> None:
        answers.append(await exchange(response, headers={"range": "bytes=2-4"}))

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(send)

    assert {(answer.status_code, answer.body) for answer in answers} == {(206, b"234")}
    assert response._list() == before


async def test_copied_file_response_has_its_own_headers(digits: Path) -> None:
    response = FileResponse(digits)
    other = copy.copy(response)
    other.set_cookie("a", "b")

    assert "set-cookie" in (await ask(other)).headers
    assert "set-cookie" not in (await ask(response)).headers
    assert repr(other) == "<FileResponse 200>"


async def test_body_of_a_file_response_raises_attribute_error(digits: Path) -> None:
    response = FileResponse(digits)

    with pytest.raises(AttributeError, match="no body before"):
        response.body  # noqa: B018 - looking is the point
    with pytest.raises(AttributeError, match="from a file"):
        response.body = b""


@pytest.mark.parametrize(
    ("scope", "status_code"), [({"type": "websocket"}, 403), ({"type": "http"}, 200)]
)
async def test_file_response_denies_a_websocket(
    digits: Path, scope: dict[str, Any], status_code: int
) -> None:
    assert (await exchange(FileResponse(digits), scope=scope)).status_code == status_code


async def test_file_response_can_be_pickled(digits: Path) -> None:
    response = pickle.loads(pickle.dumps(FileResponse(digits)))

    assert (await ask(response)).body == WHOLE


async def test_last_modified_is_never_in_the_future(digits: Path) -> None:
    later = time.time() + 1e6
    os.utime(digits, (later, later))
    answer = await ask(FileResponse(digits))

    modified = parse_http_date(answer.headers["last-modified"])
    assert modified is not None
    assert modified.timestamp() <= time.time()
    again = await ask(FileResponse(digits), if_none_match=answer.headers["etag"])
    assert again.status_code == 304


@pytest.mark.parametrize("scope", [{}, PATHSEND])
async def test_missing_file_is_logged_at_debug_with_its_path(
    tmp_path: Path, scope: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a\nb"
    with caplog.at_level(logging.DEBUG, "asgikit"):
        answer = await exchange(FileResponse(path), scope=scope)

    assert answer.status_code == 404
    (record,) = [record for record in caplog.records if record.name == "asgikit"]
    assert record.levelname == "DEBUG"
    assert repr(str(path)) in record.getMessage()
    assert "FileNotFoundError" in record.getMessage()


FAST_PATHS: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"host", b"a"), (b"accept", b"*/*")],
    [(b"if-none-match", ETAG.encode())],
    [(b"if-none-match", b"W/" + ETAG.encode())],
    [(b"if-none-match", b'"other"')],
    [(b"if-none-match", b"*")],
    [(b"if-none-match", ETAG.encode()), (b"if-match", b'"other"')],
    [(b"if-none-match", ETAG.encode()), (b"if-none-match", b'"other"')],
    [(b"if-none-match", ETAG.encode()), (b"range", b"bytes=0-0")],
    [(b"if-none-match", ETAG.encode()), (b"if-modified-since", BEFORE.encode())],
    [(b"if-match", ETAG.encode())],
    [(b"range", b"bytes=0-1")],
    [(b"range", b"bytes=3-")],
    [(b"range", b"bytes=3-99")],
    [(b"range", b"bytes=-3")],
    [(b"range", b"bytes=0-1, 2-3")],
    [(b"range", b"bytes=0-1,,")],
    [(b"range", b"bytes=10-")],
    [(b"range", b"bytes=3-2")],
    [(b"range", b"bytes=" + 99 * b"0" + b"-1")],  # longer than the fast path reads
    [(b"range", b"bytes=0-1"), (b"range", b"bytes=3-4")],
    [(b"range", b"bytes=0-1"), (b"if-range", ETAG.encode())],
    [(b"range", b"lines=0-1")],
]


@pytest.mark.parametrize("request_headers", FAST_PATHS, ids=range(len(FAST_PATHS)))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_fast_path_of_a_file_selects_as_the_general_path(
    digits: Path,
    request_headers: list[tuple[bytes, bytes]],
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asgikit.responses.files._make_boundary", lambda: "boundary")
    apps: list[Any] = [FileResponse(digits), StaticFiles(digits.parent)]
    fast = [
        (await exchange(app, method, "/digits.txt", headers=request_headers)).messages
        for app in apps
    ]
    monkeypatch.setattr("asgikit.responses.files.select_plain", lambda *arguments: None)
    monkeypatch.setattr("asgikit.apps.staticfiles.select_plain", lambda *arguments: None)
    general = [
        (await exchange(app, method, "/digits.txt", headers=request_headers)).messages
        for app in apps
    ]

    assert fast == general
