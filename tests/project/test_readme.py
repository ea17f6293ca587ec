"""The README does what it says: its programs run, its commands and numbers are right."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from asgikit import Limits
from asgikit.testing import exchange
from examples import demo
from tests.hosts.apps import DESCRIBING
from tests.hosts.frameworks import FRAMEWORKS
from tests.project.snippets import DATE, ROOT, Program, blocks, curl, programs, run
from tests.project.works_with import (
    HOSTS,
    NOT_BARE,
    SERVER_ROWS,
    SHAPES,
    Outcome,
    printed,
    put,
    tables,
)
from tests.servers.harness import SETUPS, Server, require
from tests.servers.test_exchanges import STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = (ROOT / "README.md").read_text(encoding="utf-8")
UNITS = {"": 1, "MiB": 1024 * 1024, "s": 1}

# The demo has a session of its own, and so no program.
TRY_IT = re.findall(r"^## Try it\n.*?(?=^## )", README, re.MULTILINE | re.DOTALL)[0]
PROGRAMS = programs("README.md", README.replace(TRY_IT, ""))
(DEMO,) = programs("demo", f"```python\nfrom examples.demo import app\n```\n{TRY_IT}")


def by_name(program: Program) -> str:
    return program.name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demo makes its files, and the commands find theirs."""
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
def test_every_program_runs(program: Program) -> None:
    assert "app" in run(program.source, program.name)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "program", [DEMO, *(program for program in PROGRAMS if program.session)], ids=by_name
)
async def test_every_session_prints_what_is_printed(program: Program, folder: Path) -> None:
    app = run(program.source, program.name)["app"]

    assert program.session
    for command, output in program.session:
        assert (await curl(app, command)).rstrip("\n") == output.rstrip("\n"), command


@pytest.mark.parametrize("program", [PROGRAMS[0], DEMO], ids=by_name)
def test_curl_prints_it_with_a_server(program: Program, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    require("uvicorn")
    (folder / "main.py").write_text(program.source)

    with Server(SETUPS[0], "main:app", folder) as server:
        for command, output in program.session:
            asked = command.replace(":8000", f":{server.port}").replace("curl ", "curl -s ", 1)
            done = subprocess.run(
                asked, shell=True, cwd=folder, capture_output=True, text=True, check=True
            )
            seen = re.sub("(?m)^date: .*$", f"date: {DATE}", done.stdout.replace("\r\n", "\n"))
            assert seen.rstrip("\n") == output.rstrip("\n"), command
        assert server.alarms == []


@pytest.mark.anyio
async def test_the_plain_function_answers_in_both_shapes() -> None:
    names = snippet("def app(scope)")

    for app in (names["everywhere"], names["app"]({"type": "http", "method": "GET", "path": "/a"})):
        assert (await exchange(app, target="/a")).body == b'{"method":"GET","path":"/a"}'


@pytest.mark.anyio
async def test_the_app_with_a_limit_keeps_it() -> None:
    app = snippet("max_body_size")["app"]

    assert (await exchange(app, "POST", body=b"[1, 2]")).body == b'{"lines":2}'
    assert (await exchange(app, "POST", body=b"[")).status_code == 400
    assert (await exchange(app, "POST", body=[b" " * 65000] * 2)).status_code == 413
    assert (await exchange(app)).headers["allow"] == "POST"


@pytest.mark.anyio
async def test_the_response_is_an_app_with_a_cookie() -> None:
    answer = await exchange(snippet("HTMLResponse")["app"])

    assert answer.headers["set-cookie"].startswith("session=0123abcd; ")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.anyio
async def test_the_events_arrive() -> None:
    answer = await exchange(snippet("ServerSentEvent")["app"])

    assert answer.text.startswith("retry: 3000\n\n")
    assert answer.text.count("\ndata: ") == 3


def cells(table: str) -> list[list[str]]:
    """Give the rows of a table without its head."""
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_the_table_of_what_works_with_what_has_all_there_is() -> None:
    servers, hosts, *_ = printed(README).split("\n\n")

    assert servers.splitlines()[0] == f"|  | {' | '.join(setup.name for setup in SETUPS)} |"
    assert [row[0] for row in cells(servers)] == [row.label for row in SERVER_ROWS]
    assert [row[0] for row in cells(hosts)][: len(HOSTS)] == list(HOSTS.values())
    # All of the tests' own.
    assert list(HOSTS) == list(FRAMEWORKS)
    assert list(SHAPES) == list(DESCRIBING)
    named = [row.params["name"] for row in SERVER_ROWS if "name" in row.params]
    assert named == STRUCTURES


def test_nothing_in_the_table_has_failed_and_a_missing_yes_has_its_reason() -> None:
    servers, hosts, reasons = printed(README).split("\n\n")
    count = len(reasons.splitlines())
    marks = ",".join(re.findall("<sup>(.*?)</sup>", servers + hosts)).replace(" ", "").split(",")

    for row in [*cells(servers), *cells(hosts)]:
        for cell in row[1:]:
            assert re.fullmatch(rf"yes|{NOT_BARE}|(?:yes|no) <sup>[0-9, ]+</sup>", cell)
    assert set(marks) == {str(number + 1) for number in range(count)}


def test_an_outcome_makes_a_cell() -> None:
    name = "servers/test_exchanges.py::test_every_structure_answers_alike"
    lifespan = "servers/test_seed.py::test_a_lifespan_starts"
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
    lines = {row[0]: row[1:4] for row in cells(written.split("\n\n")[0])}

    assert lines["`to_asgi`: function"] == ["yes", "**no**", "**?**"]
    assert lines["lifespan"] == ["yes <sup>1</sup>", "**?**", "no <sup>2</sup>"]
    assert written.endswith("\n\n1. too slow.\n2. it has none.\n")
    assert printed(put(README, written)) == written


def test_there_are_two_commands_of_one_line_each_for_a_fresh_machine() -> None:
    demo_command, test_command = blocks(README, "sh")

    assert demo_command == (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[demo]' && "
        ".venv/bin/uvicorn examples.demo:app --port 8000\n"
    )
    assert test_command == (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"
    )


def test_the_first_screen_names_the_distribution_and_warns_of_the_other() -> None:
    first = "\n".join(README.splitlines()[:24])

    assert "asgikit-http" in first
    assert "Another project" in first
    assert "@request_response" in first


def limits_of(text: str) -> dict[str, float | None]:
    """Read a table of limits."""
    rows = re.findall(r"^\| `(\w+)` \| (none|(\d+) ?(\w*)) \|", text, re.MULTILINE)
    return {
        name: None if whole == "none" else float(number) * UNITS[unit]
        for name, whole, number, unit in rows
    }


def test_the_table_of_limits_has_the_defaults() -> None:
    assert limits_of(README) == dataclasses.asdict(Limits())


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^) #]+)", README))))
def test_every_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).exists()
