"""What `import asgikit` brings along, and what it leaves to the first who asks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import asgikit
from asgikit import _lazy as _late
from asgikit import request_fields

# What costs time and memory, and a plain app does without. The event loop is the server's choice.
LATE = [
    "asyncio",
    "hashlib",
    "hmac",
    "html",
    "random",
    "secrets",
    "ssl",
    "subprocess",
    # Forms and uploads.
    "asgikit.form_reader",
    "asgikit.forms",
    "asgikit.uploads",
    "python_multipart",
    "tempfile",
    # Bodies that are coded.
    "asgikit.compression",
    "asgikit.content_coding",
    "backports.zstd",
    "brotli",
    "compression.zstd",
    # What few answers are.
    "asgikit._file_reader",
    "asgikit.event_source",
    "asgikit.files",
    "asgikit.negotiate",
    "asgikit.staticfiles",
    "asgikit.streaming",
    # Fields that few requests and responses have.
    "asgikit.http.authentication",
    "asgikit.http.caching",
    "asgikit.http.conditional",
    "asgikit.http.disposition",
    "asgikit.http.event_stream",
    "asgikit.http.forwarded",
    "asgikit.http.links",
    "asgikit.http.negotiation",
    "asgikit.http.ranges",
    "asgikit.http.selection",
    # What only tests need.
    "asgikit.testing",
]

EXCHANGE = """
from asgikit import HTTPError, PlainTextResponse, request_response

@request_response
async def app(request):
    if request.query_params.get("fails"):
        raise HTTPError(404)
    return PlainTextResponse(request.path)

async def receive():
    return {"type": "http.request"}

async def send(message):
    statuses.append(message.get("status"))

async def main():
    for query in (b"", b"fails=1"):
        headers = [(b"host", b"example.com"), (b"accept", b"*/*")]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": query,
                 "headers": headers}
        await app(scope, receive, send)

statuses = []
import asyncio
before = set(sys.modules)
asyncio.run(main())
assert statuses == [200, None, 404, None], statuses
"""


def run(program: str) -> str:
    """Run a program in an interpreter of its own, and give what it prints."""
    # Without `site`, whose files may import anything; so the paths are ours to give.
    program = f"import sys\nsys.path = {sys.path}\n{program}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-S", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_plain_import_leaves_out_what_a_plain_app_does_without() -> None:
    program = "import asgikit\nprint(*sys.modules)"

    assert sorted({*LATE} & {*run(program).split()}) == []


def test_a_plain_request_and_an_error_need_none_of_it() -> None:
    program = f"import asgikit\n{EXCHANGE}\nprint(*{{*sys.modules}} - before)"

    assert sorted({*LATE} & {*run(program).split()}) == []


def test_whoever_imports_all_or_asks_what_there_is_gets_all() -> None:
    program = (
        "import asgikit\n"
        "print(*{*asgikit.__all__} - {*dir(asgikit)})\n"
        "from asgikit import *\n"
        "print(*{*asgikit.__all__} - {*globals()})\n"
    )

    assert run(program).split() == []
    assert sorted({*asgikit.__all__} - {*dir(asgikit)}) == []


def late_and_told(module: str) -> tuple[dict[str, str], dict[str, str]]:
    """Give the names that a module has late, and those that it tells type checkers, by home."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8"))
    late: dict[str, str] = {}
    told: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="late_names"), args=[_, ast.Dict() as homes]):
                late = ast.literal_eval(homes)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                told.update(
                    (alias.name, str(statement.module))
                    for statement in body
                    if isinstance(statement, ast.ImportFrom)
                    for alias in statement.names
                )
    return late, told


@pytest.mark.parametrize("module", ["asgikit", "asgikit.request_fields"])
def test_what_is_late_is_what_type_checkers_see(module: str) -> None:
    late, told = late_and_told(module)
    public = sys.modules[module].__all__

    assert late == {name: home for name, home in told.items() if name in public}
    assert late == dict(sorted(late.items()))


def test_a_late_name_is_there_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(request_fields), "Accept", raising=False)
    late = _late.late_names("asgikit.request_fields", {"Accept": "asgikit.http.negotiation"})

    assert late("Accept") is vars(request_fields)["Accept"] is asgikit.Accept


def test_a_name_that_is_nowhere_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'asgikit' has no attribute 'Compresses'") as caught:
        _late.late_names("asgikit", {})("Compresses")

    assert (caught.value.name, caught.value.obj) == ("Compresses", asgikit)
    assert not hasattr(asgikit, "Compresses")
