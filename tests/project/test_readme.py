"""README.md: its programs, sessions, commands, tables and error texts are right."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from asgikit import Limits, Request, request_response
from asgikit.testing import exchange
from benchmarks import chart, results
from examples import demo
from tests.hosts.apps import ADAPTED_APPS
from tests.hosts.frameworks import FRAMEWORKS
from tests.project.pages import README as README_PATH
from tests.project.pages import read_block, read_table
from tests.project.snippets import DATE, Program, blocks, curl, furnish, programs, run
from tests.project.works_with import (
    EVENT_CLIENTS,
    HOSTS,
    NOT_BARE,
    OTHER_LOOP,
    PAGE,
    SERVER_ROWS,
    SHAPES,
    SOFTWARE,
    Outcome,
    summarize,
    tables,
    worst_cell,
)
from tests.servers.harness import SETUPS, Server, require, until
from tests.servers.test_event_clients import CLIENTS
from tests.servers.test_exchanges import STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = README_PATH.read_text(encoding="utf-8")
UNITS = {"": 1, "KiB": 1024, "MiB": 1024 * 1024, "s": 1}

# The program of the demo's session is a file.
(TRY_IT,) = re.findall(r"^## Try the demo\n.*?(?=^## )", README, re.MULTILINE | re.DOTALL)
PROGRAMS = programs("README.md", README.replace(TRY_IT, ""))
(DEMO,) = programs("demo", f"```python\nfrom examples.demo import app\n```\n{TRY_IT}")
(FAQ,) = re.findall(r"^## FAQ\n.*", README, re.MULTILINE | re.DOTALL)


def by_name(program: Program) -> str:
    return program.name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a folder with the files that programs and commands use."""
    furnish(tmp_path)
    (tmp_path / "hello.txt").write_text("hello\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    demo.media.cache_clear()
    yield tmp_path
    if demo.media.cache_info().currsize:
        demo.media().close()
    demo.media.cache_clear()


def snippet(part: str) -> dict[str, Any]:
    (program,) = [program for program in PROGRAMS if part in program.source]
    return run(program.source, program.name)


@pytest.mark.parametrize("program", PROGRAMS, ids=by_name)
def test_program_runs_and_defines_app(program: Program, folder: Path) -> None:
    assert "app" in run(program.source, program.name)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "program", [DEMO, *(program for program in PROGRAMS if program.session)], ids=by_name
)
async def test_session_prints_the_shown_output(program: Program, folder: Path) -> None:
    app = run(program.source, program.name)["app"]

    assert program.session
    for command, output in program.session:
        assert (await curl(app, command)).rstrip("\n") == output.rstrip("\n"), command


@pytest.mark.parametrize("program", [PROGRAMS[0], DEMO], ids=by_name)
def test_session_on_a_server_prints_the_shown_output(program: Program, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    require("uvicorn")
    (folder / "main.py").write_text(program.source)

    with Server(SETUPS[0], "main:app", folder) as server:
        for command, output in program.session:
            local = command.replace(":8000", f":{server.port}").replace("curl ", "curl -s ", 1)
            done = subprocess.run(
                local, shell=True, cwd=folder, capture_output=True, text=True, check=True
            )
            printed = re.sub("(?m)^date: .*$", f"date: {DATE}", done.stdout.replace("\r\n", "\n"))
            assert printed.rstrip("\n") == output.rstrip("\n"), command
        assert server.problems == []


@pytest.mark.anyio
async def test_plain_function_answers_in_both_calling_conventions() -> None:
    names = snippet("def app(scope)")

    for app in (names["everywhere"], names["app"]({"type": "http", "method": "GET", "path": "/a"})):
        assert (await exchange(app, target="/a")).body == b'{"method":"GET","path":"/a"}'


@pytest.mark.anyio
async def test_json_program_answers_errors_with_their_status() -> None:
    app = snippet("max_body_size")["app"]

    assert (await exchange(app, "POST", body=b"[")).status_code == 400
    assert (await exchange(app, "POST", body=[b" " * 65000] * 2)).status_code == 413
    assert (await exchange(app)).headers["allow"] == "POST"


@pytest.mark.anyio
async def test_form_program_refuses_a_form_without_a_file(folder: Path) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await exchange(snippet("UploadFile")["app"], "POST", headers=headers, body=b"file=a")

    assert (answer.status_code, answer.text) == (400, "Send a file.\n")


@pytest.mark.anyio
async def test_response_program_sets_headers_and_cookie() -> None:
    answer = await exchange(snippet("HTMLResponse")["app"])

    assert answer.headers["set-cookie"].startswith("session=0123abcd; ")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.anyio
async def test_file_program_serves_the_folder(folder: Path) -> None:
    assert (await exchange(snippet("StaticFiles")["app"])).text == "<h1>Home</h1>\n"


@pytest.mark.anyio
async def test_event_program_sends_three_events() -> None:
    answer = await exchange(snippet("ServerSentEvent")["app"])

    assert answer.text.startswith("retry: 3000\nid: 0\ndata: ")
    assert answer.text.count("\ndata: ") == 3


# Tables.


def test_docs_page_has_all_servers_hosts_and_structures() -> None:
    servers, hosts, software, clients = map(read_table, written_tables()[:4])

    assert servers[0] == ["", *(setup.name for setup in SETUPS)]
    assert [row[0] for row in servers[1:]] == [row.label for row in SERVER_ROWS]
    assert [row[0] for row in hosts[1:]][: len(HOSTS)] == list(HOSTS.values())
    # Nothing that the tests run is missing.
    assert list(HOSTS) == list(FRAMEWORKS)
    assert list(SHAPES) == list(ADAPTED_APPS)
    named = [row.params["name"] for row in SERVER_ROWS if "name" in row.params]
    assert named == STRUCTURES
    assert [row[0] for row in software[1:]] == [label for label, *_ in SOFTWARE]
    assert [row[0] for row in clients[1:]] == list(EVENT_CLIENTS.values())
    assert list(EVENT_CLIENTS) == list(CLIENTS)


def test_docs_page_has_no_failure_and_a_reason_for_each_skip() -> None:
    servers, hosts, software, clients, reasons = written_tables()
    marked = re.findall("<sup>(.*?)</sup>", servers + hosts + clients)
    marks = ",".join(marked).replace(" ", "").split(",")

    for table in (servers, hosts, clients):
        for cell in (cell for row in read_table(table)[1:] for cell in row[1:]):
            assert re.fullmatch(rf"yes|{NOT_BARE}|(?:yes|no) <sup>[0-9, ]+</sup>", cell)
    for row in read_table(software)[1:]:
        assert set(row[1:]) <= {"yes", OTHER_LOOP}
    assert set(marks) == {str(number) for number, _ in enumerate(reasons.splitlines(), 1)}


def written_tables() -> list[str]:
    return read_block(PAGE.read_text(encoding="utf-8"), "works-with").split("\n\n")


def test_readme_has_the_summary_of_the_docs_page() -> None:
    whole = read_block(PAGE.read_text(encoding="utf-8"), "works-with")

    assert read_block(README, "works-with") == summarize(whole)


def test_outcomes_determine_cells_and_summary() -> None:
    name = "servers/test_exchanges.py::test_adapted_app_of_each_structure_responds"
    lifespan = "servers/test_minimal_app.py::test_lifespan_starts"
    first, second, third, *_ = (setup.name for setup in SETUPS)
    written = tables(
        [
            Outcome(name, {"setup": first, "name": "function"}, "passed"),
            Outcome(name, {"setup": second, "name": "function"}, "failed"),
            Outcome(lifespan, {"setup": first}, "passed"),
            Outcome(lifespan, {"setup": first}, "skipped", "too slow"),
            Outcome(lifespan, {"setup": third}, "skipped", "it has none"),
        ]
    )
    rows = {row[0]: row[1:4] for row in read_table(written.split("\n\n")[0])}

    assert rows["`to_asgi`: function"] == ["yes", "**no**", "**?**"]
    assert rows["lifespan"] == ["yes <sup>1</sup>", "**?**", "no <sup>2</sup>"]
    assert written.endswith("\n\n1. too slow.\n2. it has none.\n")
    # The first two set-ups are of one server.
    summary = {row[0]: row[1:] for row in read_table(summarize(written).split("\n\n")[0])}
    assert summary["uvicorn"] == ["**?**", "**no**", "1"]
    assert summary["hypercorn"] == ["wrap it", "**?**", "1"]
    assert summary["granian"] == ["wrap it", "**?**", "none"]


@pytest.mark.parametrize(
    ("cells", "worst"),
    [
        (["yes", "yes <sup>1</sup>"], "yes"),
        (["yes", "no <sup>1, 2</sup>"], "no"),
        (["yes", "wrap it"], "wrap it"),
        (["no <sup>1</sup>", "**?**"], "**?**"),
        (["**?**", "**no**", "yes"], "**no**"),
    ],
)
def test_worst_cell_has_no_notes(cells: list[str], worst: str) -> None:
    assert worst_cell(cells) == worst


# Commands, first screen, limits.


def test_readme_has_two_commands_for_a_fresh_machine() -> None:
    demo_command, test_command = blocks(README, "sh")

    assert demo_command.splitlines() == [
        "python3 -m venv .venv",
        ".venv/bin/pip install -e '.[demo]'",
        ".venv/bin/uvicorn examples.demo:app --port 8000",
    ]
    assert test_command.splitlines() == [
        "python3 -m venv .venv",
        ".venv/bin/pip install -e '.[test]'",
        ".venv/bin/pytest",
    ]


def test_first_screen_has_distribution_warning_and_program() -> None:
    first = "\n".join(README.splitlines()[:30])

    assert "asgikit-http" in first
    assert "Another project" in first
    assert "@request_response" in first


def test_chart_and_its_description_agree_with_the_saved_results() -> None:
    run = results.read("in_process")
    assert run
    rows = results.read_table(run)
    six = {name: rows[name] for name in chart.TITLES}
    drawn = chart.CHARTS[0].read_text(encoding="utf-8")

    (description,) = re.findall(r"!\[(.*)\]\(benchmarks/chart.svg\)", README)
    assert description.endswith("six scenarios: asgikit is faster than Starlette in each")
    for scenario in six.values():
        factor = scenario["starlette"].seconds / scenario["asgikit"].seconds
        assert factor > 1
        assert f"{factor:.1f} times as fast" in drawn
    assert run["date"][:10] in drawn
    assert f"asgikit {run['versions']['asgikit-http']}, Starlette" in drawn


def limits_of(text: str) -> dict[str, float | None]:
    """Return the defaults in a table of limits."""
    rows = re.findall(r"^\| `(\w+)` \| (none|(\d+) ?(\w*)) \|", text, re.MULTILINE)
    return {
        name: None if whole == "none" else float(number) * UNITS[unit]
        for name, whole, number, unit in rows
    }


def test_table_of_limits_has_the_defaults() -> None:
    assert limits_of(README) == dataclasses.asdict(Limits())


# Errors in the FAQ: each is raised here, and compared with the text as Python prints it.


def mount_in_starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount("/", snippet("def app(scope)")["app"])])


def return_a_dict() -> Any:
    async def show(request: Request) -> Any:
        return {"tea": "assam"}

    show.__qualname__ = "show"
    return request_response(show)


def take_two_arguments() -> Any:
    async def show(request: Request, name: str) -> Any: ...

    show.__qualname__ = "show"
    handler: Any = show
    return request_response(handler)


def forget_an_await() -> Any:
    async def show(request: Any) -> Any:
        return request.json()["tea"]

    return request_response(show)


def read_without_receive() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope).body()

    return app


def read_after_stream() -> Any:
    async def show(request: Request) -> Any:
        async for _ in request.stream():
            pass
        await request.json()

    return request_response(show)


def annotate_fastapi_route() -> Any:
    from fastapi import FastAPI

    from asgikit import JSONResponse

    async def teas() -> Any:
        return JSONResponse(["assam"])

    teas.__annotations__["return"] = JSONResponse
    return FastAPI().get("/")(teas)


def return_from_fastapi_route() -> Any:
    from fastapi import FastAPI

    from asgikit import JSONResponse

    app = FastAPI()

    async def teas() -> Any:
        return JSONResponse(["assam"])

    del teas.__annotations__["return"]
    app.get("/")(teas)
    return app


IN_PROCESS = {
    "TypeError: app() takes 1 positional argument but 3 were given": mount_in_starlette,
    "TypeError: show returned a dict": return_a_dict,
    "TypeError: request_response takes": take_two_arguments,
    "TypeError: 'coroutine' object": forget_an_await,
    "RuntimeError: this request was made": read_without_receive,
    "BodyConsumed:": read_after_stream,
    "FastAPIError:": annotate_fastapi_route,
    "ValueError: [TypeError(": return_from_fastapi_route,
}


def faq_error(start: str) -> str:
    """Return the one error text of the FAQ that starts with ``start``."""
    (text,) = [text for text in faq_errors() if text.startswith(start)]
    return text


def faq_errors() -> list[str]:
    return re.findall(r"^\*\*`(\w+: .*?)`\*\*", FAQ, re.MULTILINE)


def is_in(text: str, output: str) -> bool:
    """Return whether ``output`` has ``text``, in which ``...`` stands for any characters."""
    return re.search(re.escape(text).replace(r"\.\.\.", ".*?"), output) is not None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.filterwarnings("ignore:coroutine 'Request.json' was never awaited")
@pytest.mark.parametrize("start", IN_PROCESS)
async def test_faq_error_is_raised_by_the_mistake(start: str) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the text is compared below
        await exchange(IN_PROCESS[start](), "GET", body=b"[]")

    (printed,) = traceback.format_exception_only(raised.value)
    assert is_in(faq_error(start), printed)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_faq_warning_is_that_of_a_missing_await() -> None:
    message = re.escape(faq_error("RuntimeWarning:").removeprefix("RuntimeWarning: "))

    with pytest.warns(RuntimeWarning, match=message), pytest.raises(TypeError):
        await exchange(forget_an_await())


@pytest.mark.parametrize(("server", "count"), [("hypercorn-asyncio", 2), ("granian", 3)])
def test_faq_error_of_a_plain_function_is_in_the_log(
    server: str, count: int, tmp_path: Path
) -> None:
    (setup,) = [setup for setup in SETUPS if setup.name == server]
    (program,) = [program for program in PROGRAMS if "def app(scope)" in program.source]
    (tmp_path / "main.py").write_text(program.source)
    error = faq_error(f"TypeError: app() takes 1 positional argument but {count}")

    with Server(setup, "main:app", tmp_path) as running:
        with running.connect() as connection:
            assert connection.request("GET", "/").status == 500
        until(lambda: error in running.log, "error in the log")


@pytest.mark.parametrize(
    ("start", "statement"),
    [
        ("ImportError:", "from asgikit import JSONResponse"),
        ("ModuleNotFoundError:", "import asgikit.testing"),
    ],
)
def test_faq_error_is_raised_by_the_other_distribution(
    start: str, statement: str, tmp_path: Path
) -> None:
    package = tmp_path / "asgikit"
    package.mkdir()
    (package / "__init__.py").write_text("Request = Response = object\n")  # as asgikit 0.21 has
    done = subprocess.run(
        [sys.executable, "-c", statement],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert is_in(faq_error(start), done.stderr)


def test_faq_has_no_error_that_is_not_tested() -> None:
    tested = [*IN_PROCESS, "RuntimeWarning:", "ImportError:", "ModuleNotFoundError:"]
    tested.append("TypeError: app() takes 1 positional argument but 2 were given")

    assert sorted(map(faq_error, tested)) == sorted(faq_errors())
