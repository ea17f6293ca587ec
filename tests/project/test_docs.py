"""The programs of `docs/` run and print the shown output, and its pages name all public names."""

from __future__ import annotations

import dataclasses
import gzip
import importlib
import importlib.util
import os
import pkgutil
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

import asgikit
import asgikit.http
import asgikit.testing
from asgikit import Limits
from asgikit.testing import Exchange, exchange
from tests.project.snippets import Program, blocks, curl, furnish, programs, run
from tests.project.test_readme import limits_of
from tests.servers.harness import SETUPS, Server, Setup, require
from tests.support.paths import ROOT
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {
    str(path.relative_to(ROOT / "docs" / "pages")): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs" / "pages").rglob("*.md"))
}
PROGRAMS = [program for name, text in PAGES.items() for program in programs(name, text)]
SESSIONS = [program for program in PROGRAMS if program.session]
CONFIG = (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
LLMS = (ROOT / "docs" / "pages" / "llms.txt").read_text(encoding="utf-8")

# Modules of `asgikit.http` that serve the others here.
INNER = {"content_coding", "framing", "response_plan"}


def by_name(program: Program) -> str:
    return program.name


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with the files that the programs use."""
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("program", PROGRAMS, ids=by_name)
def test_program_runs(program: Program) -> None:
    run(program.source, program.name)


@pytest.mark.anyio
@pytest.mark.parametrize("program", SESSIONS, ids=by_name)
async def test_session_prints_the_shown_output(program: Program, anyio_backend: str) -> None:
    if anyio_backend == "trio" and program.name.startswith("recipes/wsgi.md"):
        pytest.skip("a2wsgi runs on asyncio only")
    app = run(program.source, program.name)["app"]

    for command, output in program.session:
        assert (await curl(app, command)).rstrip("\n") == output.rstrip("\n"), command


def program_of(page: str, text: str) -> dict[str, Any]:
    """Run the program of ``page`` that contains ``text``, and return its global names."""
    (found,) = [each for each in programs(page, PAGES[page]) if text in each.source]
    return run(found.source, found.name)


@pytest.mark.anyio
async def test_upload_guide_stores_a_file_with_one_request() -> None:
    requests: list[tuple[str, str | None, bytes]] = []

    async def store(request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        requests.append((request.method, request.headers.get("content-length"), content))
        return httpx.Response(200)

    app = program_of("guides/uploads.md", "storage")["app"]
    transport = httpx.MockTransport(store)
    async with httpx.AsyncClient(transport=transport, base_url="http://storage/bucket") as client:
        answer = await exchange(app, "POST", **FORM, scope={"state": {"storage": client}})

    assert answer.status_code == 201
    assert requests == [("PUT", "3", b"cat")]


FORM: dict[str, Any] = {
    "headers": {"content-type": "multipart/form-data; boundary=x"},
    "body": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncat\r\n'
    b"--x--\r\n",
}


@pytest.mark.anyio
async def test_upload_guide_reports_progress_by_events() -> None:
    program = program_of("guides/uploads.md", "Progress")
    app = program["app"]
    events: list[Exchange] = []

    async def follow() -> None:
        events.append(await exchange(app, target="/uploads/7/events"))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        await until(lambda: "7" in program["uploads"])
        answer = await exchange(app, "POST", "/uploads/7", **FORM)

    assert answer.json() == {"bytes": 3}
    assert "event: progress\ndata: 0\n" in events[0].text
    assert events[0].text.endswith("event: complete\ndata: 3\n\n")
    assert program["uploads"] == {}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "own"),
    [
        (b"", []),
        (gzip.compress(b"tea"), [(b"content-encoding", b"gzip")]),
        ([b"te", b"a"], [(b"transfer-encoding", b"chunked")]),
    ],
    ids=["no body", "coded body", "no length"],
)
async def test_proxy_guide_forwards_headers_and_body_as_bytes(
    body: bytes | list[bytes], own: list[tuple[bytes, bytes]]
) -> None:
    received: list[tuple[list[tuple[bytes, bytes]], bytes]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        received.append((request.headers.raw, await request.aread()))
        return httpx.Response(203, headers=[(b"X-Own", b"\xe9")], stream=httpx.ByteStream(b"hot"))

    app = program_of("guides/reverse-proxy.md", "UPSTREAM")["app"]
    response = await exchange(
        app,
        "POST",
        "/a%2Fb?c",
        headers=[(b"x-latin", b"\xe9"), (b"connection", b"x-hop"), (b"x-hop", b"1"), *own],
        body=body,
        scope={"state": {"transport": httpx.MockTransport(answer)}},
    )

    assert (response.status_code, response.text) == (203, "hot")
    ((headers, content),) = received
    assert content == (body if isinstance(body, bytes) else b"".join(body))
    assert (b"x-latin", b"\xe9") in headers
    assert b"x-hop" not in dict(headers)


@pytest.mark.anyio
async def test_crud_guide_creates_updates_and_deletes_a_note() -> None:
    app = program_of("guides/crud.md", "notes")["app"]
    login = await exchange(
        app,
        "POST",
        "/login",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=b"user=ada&password=lovelace",
    )
    headers = {"cookie": login.headers["set-cookie"].partition(";")[0]}

    async def send(method: str, target: str, body: bytes = b"") -> Exchange:
        return await exchange(app, method, target, headers=headers, body=body)

    created = await send("POST", "/notes", b'{"text": "tea"}')
    assert (created.status_code, created.headers["location"]) == (201, "/notes/1")
    assert (await send("GET", "/notes")).json() == {"1": "tea"}
    assert (await send("POST", "/notes", b'{"text": "')).status_code == 400
    invalid = await send("PUT", "/notes/1", b'{"text": ""}')
    assert (invalid.status_code, invalid.json()["errors"][0]["loc"]) == (422, ["text"])
    updated = await send("PUT", "/notes/1", b'{"text": "tea", "is_done": true}')
    assert updated.json() == {"text": "tea", "is_done": True}
    assert (await send("PATCH", "/notes/1")).headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert (await send("DELETE", "/notes/1")).status_code == 204
    assert (await send("GET", "/notes/1")).status_code == 404


# Words that people look for, and the page that answers.
TOPICS = {
    "CORS": "guides/cors.md",
    "Validation": "guides/validation.md",
    "Pagination": "guides/pagination.md",
    "Deployment": "guides/deployment.md",
    "Middleware": "guides/middleware.md",
    "Sessions": "recipes/sessions.md",
    "Templates": "recipes/templates.md",
    "Debugging": "guides/debugging.md",
    "Reverse proxy": "guides/reverse-proxy.md",
    "Uploads": "guides/uploads.md",
    "Routing": "recipes/routing.md",
}


@pytest.mark.parametrize("word", TOPICS)
def test_title_of_a_page_has_the_word_that_people_look_for(word: str) -> None:
    assert word.lower() in PAGES[TOPICS[word]].partition("\n")[0].lower()


SHELL = [
    (name, line)
    for name, text in PAGES.items()
    for block in blocks(text, "sh")
    for line in block.splitlines()
]


@pytest.mark.parametrize(("page", "line"), SHELL)
def test_command_has_the_shown_options(page: str, line: str) -> None:
    program, app, *options = line.split()
    require(program)
    asked = subprocess.run(
        [sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True
    )

    assert app == "main:app"
    for option in options:
        assert not option.startswith("-") or option in asked.stdout, page


# The servers that the page names for it.
OF_SIGNALS = [setup for setup in SETUPS if setup.name.startswith("uvicorn")]


@pytest.mark.parametrize("setup", OF_SIGNALS, ids=lambda setup: setup.name)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_handler_ends_an_event_stream(folder: Path, setup: Setup, number: int) -> None:
    (program,) = [
        program
        for program in PROGRAMS
        if program.name.startswith("streaming.md") and "= Shutdown()" in program.source
    ]
    (folder / "main.py").write_text(program.source)

    with Server(setup, "main:app", folder) as server, server.connect() as connection:
        connection.send_head("GET", "/")
        assert connection.read_head().status == 200
        while b"data: tick" not in connection.read_chunk():
            pass
        os.kill(server.pid, number)
        # The last chunk was read: the stream was ended, not cut off.
        while connection.read_chunk():
            pass
        connection.close()
        assert server.stop()
        assert server.problems == []


def test_public_name_is_in_the_reference_once() -> None:
    named = re.findall(r"^::: (\S+)$", "\n".join(PAGES.values()), re.MULTILINE)
    modules = {module.name for module in pkgutil.iter_modules(asgikit.http.__path__)} - INNER

    assert sorted(named) == sorted(
        [
            *(f"asgikit.{name}" for name in asgikit.__all__),
            *(f"asgikit.testing.{name}" for name in asgikit.testing.__all__),
            *(f"asgikit.http.{name}" for name in modules),
            "asgikit.runtime.threads.set_thread_limits",
        ]
    )


MEMBERS = {
    asgikit.Request: PAGES["reference/request.md"],
    asgikit.Response: PAGES["reference/responses.md"],
    asgikit.UploadFile: PAGES["reference/forms.md"],
}


@pytest.mark.parametrize("cls", MEMBERS, ids=lambda cls: cls.__name__)
def test_reference_lists_each_public_member_once(cls: type) -> None:
    (listed,) = re.findall(r"^ +members:\n((?: +- \w+\n)+)", MEMBERS[cls], re.MULTILINE)
    # A replaced attribute of another library, such as `request.args`, raises an AttributeError.
    attributes = {name for name in dir(cls) if not name.startswith("_") and hasattr(cls, name)}
    mapping = set(dir(Mapping)) & attributes if issubclass(cls, Mapping) else set()

    assert sorted(re.findall(r"\w+", listed)) == sorted(attributes - mapping)


def test_page_describes_each_module_of_http() -> None:
    for module in pkgutil.iter_modules(asgikit.http.__path__, "asgikit.http."):
        assert importlib.import_module(module.name).__doc__


def pages_of(nav: Any) -> Iterator[str]:
    """Return the pages of a navigation: a page, a list, or a section by its title."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from pages_of(item)


def test_page_has_one_title_and_is_in_the_navigation() -> None:
    yaml = pytest.importorskip("yaml")
    listed = list(pages_of(yaml.safe_load(CONFIG)["nav"]))

    assert sorted(listed) == sorted(PAGES)
    for name, text in PAGES.items():
        outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert len(re.findall("^# ", outside, re.MULTILINE)) == 1, name


def test_files_that_the_theme_names_exist() -> None:
    docs = ROOT / "docs"
    template = (docs / "overrides" / "main.html").read_text(encoding="utf-8")
    named = re.findall(r"assets/[\w.]+|llms\.txt|\btheme\.css", CONFIG + template)

    assert {"assets/card.png", "assets/icon.svg", "llms.txt", "theme.css"} <= set(named)
    assert [name for name in named if not (docs / "pages" / name).is_file()] == []


def test_index_for_language_models_names_each_page() -> None:
    links = re.findall(r"\]\((\S+?)\.html\)", LLMS)

    assert sorted(f"{link}.md" for link in [*links, "index"]) == sorted(PAGES)


def test_table_of_limits_has_the_defaults() -> None:
    assert limits_of(PAGES["requests.md"]) == dataclasses.asdict(Limits())


@pytest.fixture(scope="module")
def roles() -> Any:
    pytest.importorskip("griffe")
    spec = importlib.util.spec_from_file_location("roles", ROOT / "docs" / "roles.py")
    assert spec is not None
    assert spec.loader is not None
    roles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(roles)
    return roles


def test_overloads_become_a_folded_block(roles: Any) -> None:
    assert roles.fold(["def f(a: int) -> int", "def f(a: str) -> str"]) == (
        '??? overloads "2 overloads"\n\n'
        "    ```python\n    def f(a: int) -> int: ...\n    def f(a: str) -> str: ...\n    ```\n"
    )


def test_long_signature_has_one_parameter_a_line(roles: Any) -> None:
    long = f"def f({'a' * 80}: Callable[[int, str], None], *, b: int = 1) -> int"

    assert roles.wrap("def f(a: int) -> int") == "def f(a: int) -> int"
    assert roles.wrap(long) == (
        f"def f(\n    {'a' * 80}: Callable[[int, str], None],\n    *,\n    b: int = 1,\n) -> int"
    )


def test_sphinx_role_becomes_markdown(roles: Any) -> None:
    assert roles.to_markdown(
        "A :class:`~asgikit.Request` (:rfc:`9110`, section 5), or a :meth:`body`, "
        ":class:`request <asgikit.Request>`.\n\n"
        ">>> 1 + 1\n2\n\nNext."
    ) == (
        "A [`Request`][asgikit.Request] ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110), "
        "section 5), or a `body`, [`request`][asgikit.Request].\n\n"
        "```pycon\n>>> 1 + 1\n2\n```\n\nNext."
    )
