"""The modules that `import asgikit` loads, and those that it leaves to their first use."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import asgikit
from asgikit import _lazy, responses
from asgikit.apps.compression import Compress

# Modules that cost time and memory and that a plain app does not use. asyncio is not among them: a
# server has imported it.
LATE = [
    "hashlib",
    "hmac",
    "html",
    "random",
    "secrets",
    # Forms and uploads.
    "asgikit.forms.multipart",
    "asgikit.forms.part_reader",
    "asgikit.forms.reader",
    "asgikit.forms.spool",
    "asgikit.forms.temporary_file",
    "asgikit.forms.uploads",
    "python_multipart",
    "tempfile",
    # Coded bodies, and blocks that a disconnect cancels.
    "asgikit.apps.compression",
    "asgikit.body.decoding",
    "asgikit.body.disconnect",
    "asgikit.http.content_coding",
    "backports.zstd",
    "brotli",
    "compression.zstd",
    # Apps and responses that few apps use.
    "asgikit.apps.cancellable",
    "asgikit.apps.negotiation",
    "asgikit.apps.same_origin",
    "asgikit.apps.staticfiles",
    "asgikit.responses.event_log",
    "asgikit.responses.event_storage",
    "asgikit.responses.events",
    "asgikit.responses.file_io",
    "asgikit.responses.files",
    "asgikit.responses.redirect",
    "asgikit.responses.streaming",
    # Headers that few requests and responses have.
    "asgikit.http.authentication",
    "asgikit.http.caching",
    "asgikit.http.conditional",
    "asgikit.http.disposition",
    "asgikit.http.event_stream",
    "asgikit.http.forwarded",
    "asgikit.http.links",
    "asgikit.http.negotiation",
    "asgikit.http.ranges",
    "asgikit.http.response_plan",
    # For tests only.
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
    """Run a program in a new interpreter, and return its output."""
    # The files of `site` may import any module. Without `site`, the paths are arguments.
    program = f"import sys\nsys.path = {sys.path}\n{program}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-S", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_late_module_exists() -> None:
    ours = [name for name in LATE if name.startswith("asgikit.")]

    for name in ours:
        importlib.import_module(name)


def test_import_leaves_late_modules_out() -> None:
    program = "import asgikit\nprint(*sys.modules)"

    assert sorted({*LATE} & {*run(program).split()}) == []


def test_plain_request_and_error_leave_late_modules_out() -> None:
    program = f"import asgikit\n{EXCHANGE}\nprint(*{{*sys.modules}} - before)"

    assert sorted({*LATE} & {*run(program).split()}) == []


def test_star_import_and_dir_have_every_public_name() -> None:
    program = (
        "import asgikit\n"
        "print(*{*asgikit.__all__} - {*dir(asgikit)})\n"
        "from asgikit import *\n"
        "print(*{*asgikit.__all__} - {*globals()})\n"
    )

    assert run(program).split() == []
    assert sorted({*asgikit.__all__} - {*dir(asgikit)}) == []


def read_lazy_names(module: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the lazy names of a module, and those it imports for type checkers, by their homes."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8"))
    lazy: dict[str, str] = {}
    typed: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="lazy_names"), args=[_, ast.Dict() as homes]):
                lazy = ast.literal_eval(homes)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                typed.update(
                    (alias.name, str(statement.module))
                    for statement in body
                    if isinstance(statement, ast.ImportFrom)
                    for alias in statement.names
                )
    return lazy, typed


@pytest.mark.parametrize(
    "module",
    [
        "asgikit", "asgikit.apps", "asgikit.datastructures", "asgikit.forms", "asgikit.requests",
        "asgikit.responses", "asgikit.testing",
    ],
)  # fmt: skip
def test_lazy_names_are_those_that_type_checkers_see(module: str) -> None:
    importlib.import_module(module)
    lazy, typed = read_lazy_names(module)
    public = sys.modules[module].__all__

    assert lazy == {name: home for name, home in typed.items() if name in public}
    assert lazy == dict(sorted(lazy.items()))
    if module != "asgikit":
        assert sorted(lazy) == sorted(public)


def test_lazy_name_is_an_attribute_after_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(responses), "FileResponse", raising=False)
    load = _lazy.lazy_names("asgikit.responses", {"FileResponse": "asgikit.responses.files"})

    assert load("FileResponse") is vars(responses)["FileResponse"] is asgikit.FileResponse


def test_lazy_name_that_is_absent_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'asgikit' has no attribute 'Compresses'") as caught:
        _lazy.lazy_names("asgikit", {})("Compresses")

    assert (caught.value.name, caught.value.obj) == ("Compresses", asgikit)
    assert not hasattr(asgikit, "Compresses")
    assert asgikit.Compress is Compress
