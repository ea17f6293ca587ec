"""The benchmarks: contenders do the same work, and wrong responses are detected."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import (
    callgrind,
    chart,
    checks,
    clients,
    contenders,
    exchange,
    growth,
    idle,
    in_process,
    instructions,
    payloads,
    report,
    results,
    versions,
    wire,
)
from benchmarks.__main__ import COMMANDS, main
from benchmarks.checks import Response, WrongResponse, collect
from benchmarks.contenders import CONTENDERS, MISSING, find_interpreter, load
from benchmarks.results import Table
from benchmarks.scenarios import APPS, SCENARIOS
from benchmarks.server import HTTP2, SERVERS, is_installed
from tests.support.paths import ROOT

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}
LARGE = {"upload_50m", "parts_50m", "file_50m"}
#: The contenders that this interpreter has, without those in an environment of their own.
HERE = [name for name in CONTENDERS if find_interpreter(name) == sys.executable]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio only, like the benchmarks."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _files() -> None:
    payloads.create_files()


# --- scenarios and contenders


@pytest.mark.anyio
@pytest.mark.parametrize("contender", CONTENDERS)
async def test_contender_sends_right_responses(contender: str) -> None:
    if contender not in HERE:
        pytest.skip(f"{contender} is not installed")
    apps = await load(contender)

    for scenario in SCENARIOS.values():
        app = apps.get(scenario.key)
        if app is not None and (contender, scenario.name) not in MISSING:
            sent = await exchange.prepare(app, scenario)
            sent.check(await exchange.record(app, sent))


def test_contender_in_environment_of_its_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "PEERS", tmp_path)
    monkeypatch.setitem(CONTENDERS, "lilya", "a_package_of_no_environment")
    assert find_interpreter("lilya") is None
    (tmp_path / "lib" / "python3" / "site-packages" / CONTENDERS["lilya"]).mkdir(parents=True)

    assert find_interpreter("lilya") == str(tmp_path / "bin" / "python")


def test_command_creates_environment_of_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))

    assert main(["peers"]) == 0

    assert [command[2] for command in commands] == ["venv", "pip"]
    assert "asgi-tools" in commands[1]


@pytest.mark.anyio
@pytest.mark.parametrize("contender", CONTENDERS)
async def test_missing_app_of_contender_has_reason(contender: str) -> None:
    if contender not in HERE:
        pytest.skip(f"{contender} is not installed")

    missing = {(contender, name) for name in APPS} - {
        (contender, name) for name in await load(contender)
    }

    assert missing <= MISSING.keys()
    assert {pair for pair in MISSING if pair[0] == contender and pair[1] in APPS} <= missing


def test_raw_and_asgikit_have_all_apps() -> None:
    assert not {"raw", "asgikit"} & {contender for contender, _ in MISSING}


def test_scenarios_without_target_are_known() -> None:
    assert [name for name, scenario in SCENARIOS.items() if scenario.target is None] == [
        "json_100k",
        "json_body_100k",
        "parts_50m",
        "gzip_10k",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in LARGE])
@pytest.mark.parametrize(
    "change",
    [
        {"status": 201},
        {"body": b""},
        {"body": b"Hello, World!"},
        {"headers": []},
        {"headers": [(b"content-type", b"text/plain"), (b"content-type", b"text/plain")]},
        {"headers": [(b"content-type", b"text/css"), (b"content-length", b"1")]},
    ],
)
async def test_wrong_response_of_scenario_is_detected(change: dict[str, Any], name: str) -> None:
    scenario = SCENARIOS[name]
    if "headers" in change and scenario.key in {"stream", "sync_stream"}:
        pytest.skip("a stream has no length and any type")
    if name == "static_304" and "status" not in change and change.get("body") != b"Hello, World!":
        pytest.skip("a 304 has no body and any header")
    app = (await load("raw"))[scenario.key]
    response = await exchange.record(app, await exchange.prepare(app, scenario))

    with pytest.raises(WrongResponse, match=name):
        scenario.check(dataclasses.replace(response, **change))


TEXT = (b"content-type", b"text/plain")
EVENTS = (b"content-type", b"text/event-stream")
COOKIE = (b"set-cookie", b"sid=0f1e2d3c4b5a; Domain=a.b")


@pytest.mark.parametrize(
    ("check", "response", "error"),
    [
        (partial(checks.text, "a"), Response(200, [TEXT, (b"content-length", b"1")], b"a"), None),
        (partial(checks.text, "a"), Response(200, [TEXT], b"a"), "content-length"),
        (partial(checks.document, {}), Response(200, [], b"no"), "not JSON"),
        (partial(checks.document, {}), Response(200, [], b"[]"), "document"),
        (partial(checks.text_with_cookie, "a"), Response(200, [TEXT], b"a"), "cookies"),
        (partial(checks.text_with_cookie, "a"), Response(200, [COOKIE], b"a"), "cookies"),
        (partial(checks.stream, b"a", 2), Response(200, [], b"aa", 1), "chunks were joined"),
        # Over the wire, the number of messages is not known.
        (partial(checks.stream, b"a", 2), Response(200, [], b"aa"), None),
        (partial(checks.events, "a", 2), Response(200, [], b"data: a\n\n"), "events"),
        (
            partial(checks.events, "a", 2),
            Response(
                200,
                [EVENTS],
                # Line ends, spaces, comments and the order of fields may differ.
                b": hi\r\n\r\nid:0\r\ndata:a 0\r\nevent:step\r\n\r\n"
                b"event: step\nid: 1\ndata: a 1\n\n",
                2,
            ),
            None,
        ),
        (
            partial(checks.events, "a", 1),
            Response(200, [], b"id: 0\nevent: step\ndata: a 0\n\n", 1),
            "content-type",
        ),
        (partial(checks.compressed, "a"), Response(200, [TEXT], b"a"), "content-encoding"),
        (partial(checks.static, b"a"), Response(200, [], b"b"), "another file"),
        (partial(checks.static, b"a"), Response(200, [TEXT], b"a"), "no ETag"),
        (checks.not_modified, Response(304, [], b""), None),
        (checks.not_modified, Response(200, [], b""), "status 200"),
        (partial(checks.partial_content, b"a" * 300), Response(206, [], b"a"), "content-range"),
    ],
)
def test_check_describes_error(check: checks.Check, response: Response, error: str | None) -> None:
    assert (check(response) or "").startswith(error or "")
    assert (check(response) is None) == (error is None)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [START],
        [BODY, START],
        [START, START, BODY],
        [START, {**BODY, "more_body": True}],
        [START, BODY, BODY],  # a message after the end
    ],
)
def test_incomplete_messages_are_wrong_response(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(WrongResponse):
        collect(messages)


def test_chunks_of_response_are_joined() -> None:
    messages = [START, {**BODY, "body": b"a", "more_body": True}, {**BODY, "body": b"b"}]

    assert collect(messages) == Response(200, [], b"ab", 2)


def test_file_of_pathsend_message_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    assert collect([START, {"type": "http.response.pathsend", "path": str(path)}]) == Response(
        200, [], b"content", 1
    )


# --- in process


@pytest.mark.anyio
async def test_measured_requests_have_scopes_of_their_own() -> None:
    scopes = []
    scenario = SCENARIOS["json_body"]

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        scopes.append((scope, await receive()))

    seconds = await exchange.measure(app, scenario, scenario.messages(), 3)

    assert seconds > 0
    assert len({id(scope) for scope, _ in scopes}) == 3
    assert len({id(scope["headers"]) for scope, _ in scopes}) == 3
    assert {message["body"] for _, message in scopes} == set(scenario.content())


@pytest.mark.anyio
@pytest.mark.parametrize("early", [False, True])
async def test_disconnecting_client_disconnects_after_response(early: bool) -> None:
    receive, send = exchange.connect_disconnecting([], asyncio.get_running_loop())
    watch = asyncio.ensure_future(receive()) if early else None
    await asyncio.sleep(0)

    await send(START)
    await send({**BODY, "more_body": True})
    assert watch is None or not watch.done()
    await send(BODY)

    assert await (watch or receive()) == {"type": "http.disconnect"}


@pytest.mark.anyio
async def test_app_without_response_is_wrong_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "TIME_LIMIT", 0.01)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await receive()

    with pytest.raises(WrongResponse, match="no response in"):
        await exchange.record(app, SCENARIOS["plaintext"])


@pytest.mark.parametrize(
    ("rounds", "split"), [(0, []), (1, [1]), (2, [1, 1]), (7, [3, 2, 2]), (30, [10, 10, 10])]
)
def test_rounds_are_split_among_passes(rounds: int, split: list[int]) -> None:
    assert in_process.split_rounds(rounds) == split


def test_worker_that_dies_names_its_contender() -> None:
    worker = in_process.Worker("unknown")

    with pytest.raises(in_process.WorkerDied, match="unknown"):
        worker.call("check", "plaintext")
    worker.close()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save results, chart and pages in a temporary folder."""
    page = tmp_path / "README.md"
    page.write_text(report.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    charts = tmp_path / "six.svg", tmp_path / "every.svg"
    monkeypatch.setattr(chart.draw, "__defaults__", (charts,))
    guide = tmp_path / "performance.md"
    guide.write_text(report.GUIDE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "GUIDE", guide)
    return tmp_path


def test_command_measures_prints_and_saves(
    capfd: pytest.CaptureFixture[str], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "WARM_UP", 0.001)
    monkeypatch.setattr(in_process, "ROUND", 0.001)

    selection = ["--only", "plaintext,urlenc", "--against", "star"]

    assert main([*selection, "--rounds", "2", "--save"]) == 0

    printed = capfd.readouterr().out
    for word in ("short text", "form of 20 fields", "asgikit is ahead of Starlette in "):
        assert word in printed
    assert "JSON" not in printed
    run = results.read("in_process")
    assert run is not None
    assert run["machine"]["python"].endswith(platform.python_version())
    table = results.read_table(run)
    assert set(table) == {"plaintext", "urlencoded"}
    assert table["plaintext"]["raw"].ratio == 1
    assert report.in_process_section(table, run) in (saved / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("arguments", [["--only", "zzz"], ["--against", "z"], ["--rounds", "-1"]])
def test_empty_selection_is_an_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)

    assert "no scenario or contender selected" in capsys.readouterr().err


def test_unknown_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wires"]) == 2
    assert "wire, growth" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_each_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])

    assert "usage: python -m benchmarks" in capsys.readouterr().out


# --- results

TABLE: Table = {
    "plaintext": results.summarize(
        {
            "raw": [2e-6, 1e-6, 4e-6],
            "asgikit": [3e-6, 5e-6, 4e-6],
            "starlette": [2e-6, 6e-6, 6e-6],
        }
    ),
    "urlencoded": results.summarize(
        {"raw": [4e-5] * 3, "asgikit": [2e-5] * 3, "falcon": [1e-5] * 3},
    ),
}
RUN = {
    "date": "2026-01-02T03:04+00:00",
    "machine": {"python": "CPython 3.11", "system": "Linux", "processor": "P", "cores": 2},
    "versions": {"starlette": "1"},
}


def test_ratios_are_of_minima_and_of_pairs() -> None:
    ours = TABLE["plaintext"]["asgikit"]

    assert dataclasses.astuple(ours) == pytest.approx((3e-6, 3, 1.5))


def test_table_has_a_line_for_each_scenario() -> None:
    assert report.markdown_table(report.ratio_lines(TABLE)).split("\n") == [
        "| scenario | raw, µs | target | asgikit | Starlette | Falcon |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| short text | 1.00 | 1.95 | 3.00 (1.50) | **2.00** (1.50) | - |",
        "| form of 20 fields | 40.00 | 0.7 | 0.50 (0.50) | - | **0.25** (0.25) |",
    ]


def test_verdicts_name_missed_target_and_faster_peer() -> None:
    assert report.verdicts(TABLE) == [
        "short text: 3.00, over the target of 1.95",
        "short text: 3.00, Starlette has 2.00",
        "form of 20 fields: 0.50, Falcon has 0.25 (its parser is compiled by Cython)",
    ]
    assert report.leads(TABLE) == [
        "asgikit is ahead of Starlette in 0 of 1 shared scenarios, but not in: short text.",
        "asgikit is ahead of Falcon in 0 of 1 shared scenarios, but not in: form of 20 fields.",
    ]


def test_guide_compares_times_with_starlette() -> None:
    def_handler = results.summarize({"raw": [2e-5], "asgikit": [3e-5], "starlette": [6e-5]})

    section = report.guide_section({**TABLE, "def_handler": def_handler}, RUN)

    assert "| short text | 3.00 | 2.00 | 0.7 |" in section
    assert "| `def` handler | 30.00 | 60.00 | 2.0 |" in section
    assert "takes 27.00 µs longer" in section
    assert "Starlette 1" in section


@pytest.mark.parametrize(("others", "word"), [(0.02, "quiet"), (0.5, "busy")])
def test_origin_of_run_tells_busy_machine(others: float, word: str) -> None:
    assert f"The machine was {word}" in report.origin({**RUN, "others": others})


def test_load_excludes_cpu_time_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    now, own = 100.0, [10.0, 1.0, 2.0, 0.5]  # the last two are of children

    def set_seconds(user: float, system: float, idle: float) -> None:
        """Write the CPU times of a machine as Linux does."""
        ticks = [round(seconds / results.TICK) for seconds in (user, 0, system, idle, 0, 0, 0, 0)]
        stat.write_text(f"cpu  {' '.join(map(str, ticks))} 0 0\n")

    monkeypatch.setattr(results, "Path", lambda _: stat)
    monkeypatch.setattr(results, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(results, "os", SimpleNamespace(times=lambda: [*own, now]))
    set_seconds(user=50, system=20, idle=30)
    load = results.Load()
    now += 10
    own = [12.0, 2.0, 4.0, 1.5]  # 6 seconds more
    set_seconds(user=57, system=24, idle=39)

    assert load.others() == 0.5


def test_page_names_each_scenario() -> None:
    page = report.PAGE.read_text(encoding="utf-8")

    for name, scenario in SCENARIOS.items():
        assert f"| `{name}` | {scenario.title} | " in page


def test_printed_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    report.show("Title", [["name", "us"], ["a", "1.00"]])

    assert capsys.readouterr().out == "\nTitle\nname    us\na     1.00\n"


def test_saved_sections_are_kept_apart(saved: Path) -> None:
    results.save("one", {**RUN, "rows": results.dump_rows(TABLE)})
    results.save("two", {"a": [1, 2]})
    results.save("two", {"a": [3, {"b": 4}]})

    run = results.read("one")
    assert run is not None
    assert results.read_table(run)["urlencoded"] == TABLE["urlencoded"]
    assert results.read("two") == {"a": [3, {"b": 4}]}
    assert results.read("three") is None
    # An innermost list has one line.
    assert '"asgikit": [ 2e-05, 0.5, 0.5 ]' in (saved / "results.json").read_text()


def test_section_of_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- x: written by --save -->\nold\n<!-- x: end -->\nB\n")

    report.replace_section("x", "new", page)
    report.replace_section("x", "newer", page)

    assert page.read_text() == (
        "# A\n<!-- x: written by --save -->\n\nnewer\n\n<!-- x: end -->\nB\n"
    )
    with pytest.raises(ValueError, match="has no lines"):
        report.replace_section("y", "new", page)


def test_page_and_chart_show_saved_results(saved: Path) -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    content = json.loads((ROOT / "benchmarks" / "results.json").read_text())

    table = results.read_table(content["in_process"])
    assert report.in_process_section(table, content["in_process"]) in page
    for command, section in (
        (wire, "wire"),
        (growth, "growth"),
        (idle, "idle"),
        (versions, "versions"),
    ):
        assert section not in content or command.page(content[section]) in page
    guide = report.GUIDE.read_text(encoding="utf-8")
    assert report.guide_section(table, content["in_process"]) in guide
    chart.draw(table, content["in_process"])
    for name, path in zip(("six.svg", "every.svg"), chart.CHARTS, strict=True):
        assert (saved / name).read_text("utf-8") == path.read_text("utf-8")


def test_charts_have_bars_with_numbers(saved: Path) -> None:
    chart.draw(TABLE, RUN)

    six, every = [(saved / name).read_text(encoding="utf-8") for name in ("six.svg", "every.svg")]
    assert "Send a short text" in six
    assert "Read a form" not in six  # without Starlette
    assert "0.7 times as fast" in six
    assert re.findall("[0-9.]+ µs", six) == ["3.00 µs", "2.00 µs"]
    assert "Starlette 1, CPython 3.11" in six
    assert "P, 2 cores, 2026-01-02" in six
    assert re.findall("[0-9.]+ µs", every) == ["3.00 µs", "2.00 µs", "20.00 µs", "10.00 µs"]
    assert ">Short text<" in every


# --- on the wire


@pytest.mark.anyio
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
async def test_client_reads_response_to_its_end(response: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(response)

    await clients.read_response(reader)

    reader.feed_eof()
    assert await reader.read() == b""


@pytest.mark.anyio
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
    ],
)
async def test_client_rejects_failed_response(response: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(response)
    reader.feed_eof()

    with pytest.raises(ConnectionError):
        await clients.read_response(reader)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("server", SERVERS)
def test_wire_measures_each_scenario(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed(server) or find_spec("uvloop") is None:
        pytest.skip(f"{server} is not installed")
    if server.endswith(HTTP2) and shutil.which(clients.H2LOAD) is None:
        pytest.skip("h2load is not installed")
    monkeypatch.setattr(wire, "EVENT_CONNECTIONS", 2)
    arguments = ["--servers", server, "--rounds", "1", "--seconds", "0.01"]

    assert wire.main([*arguments, "--against", "raw"]) == 0

    printed = capsys.readouterr().out
    names = wire.SUBSETS.get(server, tuple(wire.WIRE))
    titles = [wire.WIRE[name][0].title for name in names]
    assert [title for title in titles if title not in printed] == []


def test_wire_rows_are_ratios_of_paired_cpu_times() -> None:
    rounds = {
        "raw": [wire.Round(10, 1e-3, 0.1, 0.2), wire.Round(12, 2e-3, 0.1, 0.3)],
        "asgikit": [wire.Round(8, 2e-3, 0.2, 0.4), wire.Round(7, 3e-3, 0.2, 0.5)],
    }

    assert wire.summarize(rounds)["asgikit"] == [8, 0.2, 0.4, 2e-3, 2, 1.75, 1.333]


def test_http2_without_h2load_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "H2LOAD", "a-program-of-no-machine")

    assert wire.main(["--servers", "hypercorn"]) == 2

    assert "no HTTP/2" in capsys.readouterr().out


def test_failed_load_over_http2_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "h2load"
    program.write_text("#!/bin/sh\necho no; exit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(clients, "H2LOAD", str(program))

    with pytest.raises(ConnectionError, match="no"):
        clients.load_http2("http://127.0.0.1:1/", 1, 1)


# --- other versions of Python


def test_versions_are_compared_with_starlette(
    capsys: pytest.CaptureFixture[str], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "WARM_UP", 0.001)
    monkeypatch.setattr(in_process, "ROUND", 0.001)

    assert main(["versions", "--only", "plaintext,events", "--rounds", "2", "--save"]) == 0

    printed = capsys.readouterr().out
    assert f"Python {platform.python_version()}: asgikit is ahead of Starlette in " in printed
    assert "100 events" not in printed  # Starlette has none
    run = results.read("versions")
    assert run is not None
    assert versions.page(run) in (saved / "README.md").read_text(encoding="utf-8")


def test_versions_name_differing_ratios_and_faster_peer() -> None:
    def table(ours: float) -> Table:
        return {"plaintext": results.summarize({"raw": [1], "asgikit": [ours], "starlette": [2]})}

    assert versions.differences({"3.11": table(1), "3.13": table(1.1), "3.14": table(1.5)}) == [
        "Python 3.13 differs from 3.11 by more than 15 % in: no ratio.",
        "Python 3.14 differs from 3.11 by more than 15 % in: short text +50 %.",
    ]
    assert versions.verdicts({"3.14": table(1)}) == [
        "Python 3.14: asgikit is ahead of Starlette in 1 of 1 shared scenarios."
    ]
    assert versions.lines({"3.11": table(1), "3.13": table(3)})[1] == [
        "short text",
        "1.00 (2.00)",
        "3.00 (2.00)",
    ]


# --- idle clients


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_of_idle_clients_is_measured(
    capsys: pytest.CaptureFixture[str], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("uvicorn") is None or find_spec("uvloop") is None:
        pytest.skip("uvicorn is not installed")
    monkeypatch.setattr(idle, "PEER", "a contender that is not installed")

    assert main(["idle", "--clients", "200", "--save"]) == 0

    assert "not installed, and is skipped" in capsys.readouterr().out
    run = results.read("idle")
    assert run is not None
    assert set(run["memory"]) == {"raw", "asgikit"}
    assert idle.page(run) in (saved / "README.md").read_text(encoding="utf-8")


# --- growth


def test_exponent_distinguishes_linear_and_quadratic() -> None:
    sizes = [2**power for power in range(8)]

    assert growth.exponent([growth.Point(n, 3e-6 * n, 0) for n in sizes]) == pytest.approx(1)
    assert growth.exponent([growth.Point(n, 3e-6 * n * n, 0) for n in sizes]) == pytest.approx(2)
    assert growth.slope([(n, 10 + 4 * n) for n in sizes]) == pytest.approx(4)


@pytest.mark.parametrize("axis", growth.AXES)
def test_smallest_size_of_axis_is_measured(axis: str) -> None:
    found = growth.measure(axis, growth.AXES[axis].sizes[0])

    assert found.seconds > 0
    assert found.memory > 0


@pytest.mark.parametrize("axis", ["stream", "upload", "parts", "file"])
def test_memory_of_streamed_body_is_constant(axis: str) -> None:
    sizes = growth.AXES[axis].sizes
    # Above spool_size, so that an upload is on disk.
    small, large = growth.measure(axis, sizes[-4]), growth.measure(axis, sizes[-2])

    # A file is read up to 1 MiB ahead, and the chunk before is still in memory.
    assert large.memory - small.memory < (large.size - small.size) / 24


# --- instructions


def test_rise_is_distinguished_from_other_build_of_python() -> None:
    interpreter = instructions.interpreter()
    old = instructions.Counts({"raw": {"a": 100}, "asgikit": {"a": 200}}, interpreter)
    same = instructions.Counts({"raw": {"a": 120}, "asgikit": {"a": 240}}, interpreter)
    more = instructions.Counts({"raw": {"a": 100}, "asgikit": {"a": 211}}, interpreter)

    assert instructions.find_rises(old, same) == []
    assert len(instructions.find_rises(old, more)) == 1
    assert instructions.lines(old, more)[1] == ["a", "100", "211", "2.11", "200", "+5.5 %"]


def test_baseline_has_counted_scenarios() -> None:
    counts = instructions.Counts.read().counts

    assert [*counts] == ["raw", "asgikit"]
    assert {frozenset(one) for one in counts.values()} == {frozenset(callgrind.COUNTED)}


def test_client_request_has_no_effect_on_real_processor() -> None:
    if not callgrind.is_supported():
        pytest.skip(f"the client requests of {platform.machine()} are not known")

    callgrind.make_client_request()(struct.calcsize("P"), b"name")


def test_instructions_per_request_do_not_rise() -> None:
    reason = instructions.find_obstacle()
    if reason and "CI" in os.environ and "valgrind" in reason:
        pytest.fail(reason)
    baseline = instructions.Counts.read()
    if reason is None and baseline.interpreter != instructions.interpreter():
        reason = f"the baseline is of {baseline.interpreter}"
    if reason:
        pytest.skip(reason)

    # `python -m benchmarks instructions --write` writes a new baseline.
    assert instructions.find_rises(baseline, instructions.measure()) == []


# --- imports


def test_commands_import_no_peer() -> None:
    program = (
        "import sys, importlib\n"
        "optional, commands = sys.argv[1].split(), sys.argv[2].split()\n"
        "for name in optional: sys.modules[name] = None\n"
        "for name in ('__main__', 'in_process', *commands):\n"
        "    importlib.import_module('benchmarks.' + name)\n"
        "print(importlib.import_module('json').dumps(sorted(sys.modules)))"
    )
    optional = ["uvloop", *(set(CONTENDERS) - {"raw", "asgikit"})]

    finished = subprocess.run(
        [sys.executable, "-c", program, " ".join(optional), " ".join(COMMANDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "benchmarks.in_process" in json.loads(finished.stdout)
