"""The small examples, on both event loops, and the list of all examples."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from asgikit import ASGIApp
from asgikit.testing import exchange
from examples import demo, hello, middleware_body, structures

pytestmark = pytest.mark.anyio


async def test_minimal_app_responds_in_both_conventions() -> None:
    scope = {"type": "http", "method": "PUT", "path": "/a b", "query_string": b"c=d"}
    expected = {"method": "PUT", "path": "/a b", "query_params": {"c": "d"}}

    bare = await exchange(hello.app(dict(scope)), "PUT", "/a%20b?c=d")
    wrapped = await exchange(hello.everywhere, "PUT", "/a%20b?c=d")

    assert json.loads(bare.body) == json.loads(wrapped.body) == expected


@pytest.mark.parametrize(
    ("app", "body"),
    [
        (structures.from_function, b"POST /path"),
        (structures.from_closure, b"HELLO"),
        (structures.from_partial, b'{"size":5}'),
        (structures.from_class, b"0\n1\n2\n"),
        (structures.from_coroutine, b'{"path":"/path"}'),
    ],
)
async def test_structure_responds(app: ASGIApp, body: bytes) -> None:
    answer = await exchange(app, "POST", "/path", body=[b"he", b"llo"])

    assert (answer.status_code, answer.body) == (200, body)


async def test_app_behind_middleware_reads_the_body_again() -> None:
    answer = await exchange(middleware_body.app, "POST", body=[b"ab", b"c"])

    assert answer.body == b"cba"
    assert answer.headers["x-body-sha256"] == hashlib.sha256(b"abc").hexdigest()


EXAMPLES = Path(demo.__file__).parent


def test_list_of_examples_is_complete() -> None:
    listed = re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    files = [path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".html"}]

    assert {*listed} == {*files, "scale/README.md"} - {"__init__.py"}


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("[a-z]*.py")), ids=lambda path: str(path.stem)
)
def test_example_is_short_and_has_its_command(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    docstring = source.split('"""')[1]
    apps = re.findall(rf"\bexamples\.{path.stem}:(\w+)", docstring)

    assert source.count("\n") < 300
    assert bool(apps) == (not path.stem.startswith("demo_"))
    for app in apps:
        assert re.search(
            rf"^(?:{app} = |(?:async )?def {app}\b|@to_asgi\ndef {app})", source, re.MULTILINE
        )
