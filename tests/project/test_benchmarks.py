"""A benchmark that times wrong answers measures nothing: here its checks are checked."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    answers,
    callgrind,
    chart,
    exchange,
    grown,
    growth,
    in_process,
    instructions,
    payloads,
    pool,
    report,
    results,
    start,
    wire,
)
from benchmarks.__main__ import COMMANDS, main
from benchmarks.answers import Answer, WrongAnswer, collect
from benchmarks.contenders import CONTENDERS, MISSING, installed, load
from benchmarks.results import Run, changes, rows
from benchmarks.scenarios import APPS, SCENARIOS
from tests.support.paths import ROOT

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}


@pytest.fixture
def anyio_backend() -> str:
    """Peers, and the harness, run on asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _files() -> None:
    payloads.make_files()


# --- what is measured


@pytest.mark.anyio
@pytest.mark.parametrize("contender", CONTENDERS)
async def test_every_contender_gives_the_right_answers(contender: str) -> None:
    if contender not in installed():
        pytest.skip(f"{contender} is not installed")
    apps = await load(contender)

    for scenario in SCENARIOS.values():
        if scenario.key in apps:
            scenario.check(await exchange.answer(apps[scenario.key], scenario))


@pytest.mark.anyio
@pytest.mark.parametrize("contender", CONTENDERS)
async def test_what_a_contender_lacks_has_a_reason(contender: str) -> None:
    if contender not in installed():
        pytest.skip(f"{contender} is not installed")

    lacks = {(contender, name) for name in APPS} - {
        (contender, name) for name in await load(contender)
    }

    assert lacks == {pair for pair in MISSING if pair[0] == contender}


def test_asgikit_and_raw_lack_nothing() -> None:
    assert not {"raw", "asgikit"} & {contender for contender, _ in MISSING}


def test_every_target_of_a_scenario_is_set_once() -> None:
    # Only what has no bar of its own yet.
    assert [name for name, scenario in SCENARIOS.items() if scenario.target is None] == [
        "i2_parts_50m",
        "n_events",
        "o_gzip",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if not one.large])
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
async def test_a_wrong_answer_is_refused(change: dict[str, Any], name: str) -> None:
    scenario = SCENARIOS[name]
    if "headers" in change and scenario.key == "j_stream":
        pytest.skip("a stream has no length, and any type")
    answer = await exchange.answer((await load("raw"))[scenario.key], scenario)

    with pytest.raises(WrongAnswer, match=name):
        scenario.check(dataclasses.replace(answer, **change))


OK = (b"content-type", b"text/plain")


@pytest.mark.parametrize(
    ("check", "answer", "wrong"),
    [
        (answers.text("a"), Answer(200, [OK, (b"content-length", b"1")], b"a"), None),
        (answers.text("a"), Answer(200, [OK], b"a"), "content-length"),
        (answers.document({}), Answer(200, [], b"no"), "no JSON"),
        (answers.document({}), Answer(200, [], b"[]"), "document"),
        (answers.text_with_cookie("a"), Answer(200, [OK], b"a"), "cookies"),
        (
            answers.text_with_cookie("a"),
            Answer(200, [(b"set-cookie", b"sid=0f1e2d3c4b5a; Domain=a.b")], b"a"),
            "cookies",
        ),
        (answers.stream(b"a", 2), Answer(200, [], b"aa", pieces=1), "pieces were joined"),
        (answers.stream(b"a", 2), Answer(200, [], b"aa"), None),  # over the wire, who knows
        (answers.events("a", 2), Answer(200, [], b"data: a\n\n"), "events"),
        (
            answers.events("a", 2),
            Answer(
                200,
                [(b"content-type", b"text/event-stream")],
                # Any line ends, spaces and comments are fine, and fields in any order.
                b": hi\r\n\r\nid:0\r\ndata:a 0\r\nevent:step\r\n\r\n"
                b"event: step\nid: 1\ndata: a 1\n\n",
                pieces=2,
            ),
            None,
        ),
        (
            answers.events("a", 1),
            Answer(200, [], b"id: 0\nevent: step\ndata: a 0\n\n", pieces=1),
            "content-type",
        ),
        (answers.compressed("a"), Answer(200, [OK], b"a"), "content-encoding"),
    ],
)
def test_checks_tell_what_is_wrong(check: answers.Check, answer: Answer, wrong: str | None) -> None:
    assert (check(answer) or "").startswith(wrong or "")
    assert (check(answer) is None) == (wrong is None)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [START],
        [BODY, START],
        [START, START, BODY],
        [START, {**BODY, "more_body": True}],
        [START, BODY, BODY],  # it had ended before
    ],
)
def test_messages_that_are_no_whole_response_are_refused(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(WrongAnswer):
        collect(messages)


def test_a_response_in_pieces_is_joined() -> None:
    messages = [START, {**BODY, "body": b"a", "more_body": True}, {**BODY, "body": b"b"}]

    assert collect(messages) == Answer(200, [], b"ab", 2)


def test_a_file_that_the_server_sends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    assert collect([START, {"type": "http.response.pathsend", "path": str(path)}]) == Answer(
        200, [], b"content", 1
    )


# --- how it is measured


@pytest.mark.anyio
async def test_a_round_sends_as_many_requests_as_it_is_told_each_with_its_own_scope() -> None:
    scopes = []
    scenario = SCENARIOS["f_json_body"]

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        scopes.append((scope, await receive()))

    seconds = await exchange.measure(app, scenario, scenario.messages(), 3)

    assert seconds > 0
    assert len({id(scope) for scope, _ in scopes}) == 3
    assert len({id(scope["headers"]) for scope, _ in scopes}) == 3
    assert {message["body"] for _, message in scopes} == set(scenario.content())


@pytest.mark.anyio
@pytest.mark.parametrize("early", [False, True])
async def test_a_watched_client_leaves_once_it_has_its_answer(early: bool) -> None:
    receive, send = exchange.leaving([], asyncio.get_running_loop())
    watch = asyncio.ensure_future(receive()) if early else None
    await asyncio.sleep(0)

    await send(START)
    await send({**BODY, "more_body": True})
    assert watch is None or not watch.done()
    await send(BODY)

    assert await (watch or receive()) == {"type": "http.disconnect"}


@pytest.mark.anyio
async def test_an_answer_that_does_not_come_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "PATIENCE", 0.01)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await receive()

    with pytest.raises(WrongAnswer, match="no answer within"):
        await exchange.answer(app, SCENARIOS["a_plaintext"])


@pytest.mark.parametrize(
    ("rounds", "dealt"), [(0, []), (1, [1]), (2, [1, 1]), (7, [3, 2, 2]), (30, [10, 10, 10])]
)
def test_rounds_are_dealt_out_to_the_passes(rounds: int, dealt: list[int]) -> None:
    assert pool.shares(rounds) == dealt


def test_a_contender_that_dies_says_so() -> None:
    worker = pool.Worker("nobody")

    with pytest.raises(pool.Died, match="nobody"):
        worker.ask("check", "a_plaintext")
    worker.close()


def test_one_command_runs_it_all(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WARM_UP", 0.001)
    monkeypatch.setattr(pool, "ROUND", 0.001)
    path = tmp_path / "run.json"
    arguments = ["--only", "a_,f_json", "--against", "star", "--rounds", "1", "--output", str(path)]

    assert main(arguments) == 0
    assert main([*arguments, "--compare", str(path)]) == 0

    printed = capfd.readouterr().out
    for word in ("a_plaintext", "f_json_body", "asgikit", "by minima"):
        assert word in printed
    assert "b_json_small" not in printed
    run = Run.read(path)
    assert run.wrong == []
    assert run.machine["python"].endswith(platform.python_version())
    assert set(run.times) == set(run.floor) == {"a_plaintext", "f_json_body"}
    assert {len(times) for one in run.times.values() for times in one.values()} == {1}


@pytest.mark.parametrize("arguments", [["--only", "zzz"], ["--against", "z"], ["--rounds", "-1"]])
def test_a_run_of_nothing_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)

    assert "nothing to do" in capsys.readouterr().err


def test_a_command_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wires"]) == 2
    assert "wire, growth" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])

    assert "usage: python -m benchmarks" in capsys.readouterr().out


# --- what is made of it

CANNED = Run(
    times={
        "a_plaintext": {
            "raw": [2e-6, 1e-6, 4e-6],
            "asgikit": [3e-6, 5e-6, 4e-6],
            "starlette": [2e-6, 6e-6, 6e-6],
        },
        "g_form": {"raw": [4e-5] * 3, "asgikit": [2e-5] * 3, "falcon": [1e-5] * 3},
    },
    when="2026-01-02T03:04:05+00:00",
    machine={"python": "CPython 3.11", "system": "Linux", "processor": "P", "cores": 2},
    versions={"falcon": "4"},
)


def test_ratios_are_of_minima_and_of_pairs() -> None:
    ours = rows(CANNED.times)[1]

    assert (ours.scenario, ours.contender, ours.best) == ("a_plaintext", "asgikit", 3e-6)
    assert ours.ratio_of_minima == pytest.approx(3)
    assert ours.median_of_ratios == pytest.approx(1.5)


def test_the_table_has_a_line_for_each_scenario() -> None:
    assert report.markdown_table(report.ratio_lines(CANNED)).splitlines() == [
        "| scenario | raw, µs | target | asgikit | starlette | falcon |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| a_plaintext | 1.00 | 1.8 | 3.00 (1.50) | **2.00** (1.50) | - |",
        "| g_form | 40.00 | 0.7 | 0.50 (0.50) | - | **0.25** (0.25) |",
    ]


def test_verdicts_name_a_missed_target_and_a_peer_that_is_ahead() -> None:
    assert report.verdicts(CANNED) == [
        "a_plaintext: 3.00, over its target of 1.8",
        "a_plaintext: 3.00, behind starlette's 2.00",
        "g_form: 0.50, behind falcon's 0.25 (its parser is compiled by Cython)",
    ]


def test_only_what_both_ratios_show_is_a_change() -> None:
    faster = {"a_plaintext": {"raw": [1.0, 1.0], "asgikit": [1.0, 3.0], "starlette": [3.0, 3.0]}}
    slower = {"a_plaintext": {"raw": [1.0, 1.0], "asgikit": [1.2, 2.4], "starlette": [3.6, 3.6]}}

    found = changes(faster, slower)

    assert [(one.contender, one.is_real) for one in found] == [
        ("asgikit", False),  # the minimum rose, the median fell
        ("starlette", True),
    ]
    assert [line[-1] for line in report.change_lines(found)] == ["", "", "slower"]
    assert report.change_lines(changes(slower, faster))[2][-1] == "faster"


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    CANNED.save(tmp_path / "new" / "run.json")

    assert Run.read(tmp_path / "new" / "run.json") == CANNED


def test_a_section_of_the_page_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- x: written by --save -->\nold\n<!-- x: end -->\nB\n")

    report.put_into_page("x", "new", page)
    report.put_into_page("x", "newer", page)

    assert page.read_text() == (
        "# A\n<!-- x: written by --save -->\n\nnewer\n\n<!-- x: end -->\nB\n"
    )
    with pytest.raises(ValueError, match="has no lines"):
        report.put_into_page("y", "new", page)


def test_the_page_shows_what_the_results_say() -> None:
    path = results.FOLDER / "in_process.json"
    if not path.exists():
        pytest.skip("nothing was saved yet")

    assert report.page(Run.read(path)) in report.PAGE.read_text(encoding="utf-8")


def test_what_is_saved_is_what_the_page_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "README.md"
    page.write_text(report.PAGE.read_text(encoding="utf-8"))
    monkeypatch.setattr(in_process, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(report.put_into_page, "__defaults__", (page,))

    in_process.publish(CANNED)

    assert "![" in page.read_text()
    assert "| g_form | 40.00 |" in page.read_text()
    drawn = (tmp_path / "results" / "in_process.svg").read_text()
    assert drawn.startswith("<?xml")
    assert "<dc:date>" not in drawn
    chart.draw(CANNED, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn


def test_without_rich_tables_are_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)

    report.show("Title", [["name", "us"], ["a", "1.00"]])
    with in_process.progress(1) as advance:
        advance()

    assert capsys.readouterr().out == "\nTitle\nname    us\na     1.00\n"


# --- on the wire


def test_what_wrk_says_is_read() -> None:
    said = "  1234 requests in 2.00s, 5MB read\nRequests/sec:    617.00\nTransfer/sec: 2.5MB\n"

    assert wire.read_wrk(said) == (1234, 617.0)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "1 requests in 2.00s\n  Non-2xx or 3xx responses: 1\nRequests/sec: 1.0\n",
        "1 requests in 2.00s\n  Socket errors: connect 0, read 1\nRequests/sec: 1.0\n",
    ],
)
def test_what_went_wrong_on_the_wire_is_said(said: str) -> None:
    with pytest.raises(WrongAnswer):
        wire.read_wrk(said)


def test_without_wrk_the_wire_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    assert wire.main(["--only", "plain"]) == 2
    assert "wrk is not installed" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_the_wire_measures_a_stream_that_many_read(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(server) is None or find_spec("uvloop") is None:
        pytest.skip(f"{server} is not installed")
    monkeypatch.setattr(wire, "EVENT_CLIENTS", 2)
    arguments = ["--only", "events", "--servers", server, "--rounds", "1", "--seconds", "0.01"]

    assert wire.main([*arguments, "--against", "raw"]) == 0

    assert "events" in capsys.readouterr().out


# --- growth


def test_the_fit_tells_linear_from_quadratic() -> None:
    sizes = [2**power for power in range(8)]

    assert growth.exponent([growth.Point(n, 3e-6 * n, 0) for n in sizes]) == pytest.approx(1)
    assert growth.exponent([growth.Point(n, 3e-6 * n * n, 0) for n in sizes]) == pytest.approx(2)
    assert growth.memory_slope([growth.Point(n, 1, 10 + 4 * n) for n in sizes]) == pytest.approx(4)


@pytest.mark.parametrize("axis", grown.AXES)
def test_everything_that_grows_can_be_measured(axis: str) -> None:
    found = growth.point(axis, grown.AXES[axis].sizes[0])

    assert found.seconds > 0
    assert found.memory > 0


@pytest.mark.parametrize("axis", ["stream", "upload", "parts", "file"])
def test_what_is_passed_on_takes_no_more_memory_however_long_it_is(axis: str) -> None:
    sizes = grown.AXES[axis].sizes
    # Past the spool, where an upload goes to disk.
    small, large = growth.point(axis, sizes[-4]), growth.point(axis, sizes[-2])

    assert large.memory - small.memory < (large.size - small.size) / 64


# --- the start


def test_what_an_import_takes_is_read() -> None:
    said = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   inner\n"
        "import time:        50 |        150 | outer\n"
    )

    found = start.read_importtime(said)

    assert [(one.name, one.depth) for one in found] == [("inner", 1), ("outer", 0)]
    assert start.seconds(found) == pytest.approx(150e-6)


def test_the_import_of_asgikit_is_told_from_that_of_python() -> None:
    names = [one.name for one in start.imported("import asgikit")]

    assert names[-1] == "asgikit"
    assert "benchmarks" not in names


# --- instructions


def test_a_count_that_rises_is_told_from_another_build_of_python() -> None:
    interpreter = instructions.interpreter()
    old = instructions.Counts({"raw": {"a": 100}, "asgikit": {"a": 200}}, interpreter)
    same = instructions.Counts({"raw": {"a": 120}, "asgikit": {"a": 240}}, interpreter)
    more = instructions.Counts({"raw": {"a": 100}, "asgikit": {"a": 211}}, interpreter)

    assert instructions.rises(old, same) == []
    assert len(instructions.rises(old, more)) == 1
    assert instructions.lines(old, more)[1] == ["a", "100", "211", "2.11", "200", "+5.5 %"]


def test_the_baseline_is_of_what_is_counted() -> None:
    counts = instructions.Counts.read().counts

    assert [*counts] == ["raw", "asgikit"]
    assert {frozenset(one) for one in counts.values()} == {frozenset(callgrind.COUNTED)}


def test_client_requests_do_nothing_on_a_real_processor() -> None:
    if not callgrind.is_supported():
        pytest.skip(f"none are known for {platform.machine()}")

    callgrind.make_requester()(struct.calcsize("P"), b"name")


def test_no_request_takes_more_instructions_than_it_did() -> None:
    reason = instructions.why_not()
    if reason and "CI" in os.environ and "valgrind" in reason:
        pytest.fail(reason)
    baseline = instructions.Counts.read()
    if reason is None and baseline.interpreter != instructions.interpreter():
        reason = f"the baseline is of {baseline.interpreter}"
    if reason:
        pytest.skip(reason)

    # `python -m benchmarks instructions --write` sets a new baseline.
    assert instructions.rises(baseline, instructions.take()) == []


# --- all of it stands alone


def test_nothing_is_imported_that_is_not_installed_with_the_tests() -> None:
    program = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]: sys.modules[name] = None\n"
        "for name in ('__main__', 'in_process', 'wire', 'growth', 'start', 'instructions'):\n"
        "    importlib.import_module('benchmarks.' + name)\n"
        "print(importlib.import_module('json').dumps(sorted(sys.modules)))"
    )
    optional = ["rich", "matplotlib", *(set(CONTENDERS) - {"raw", "asgikit"})]

    finished = subprocess.run(
        [sys.executable, "-c", program, *optional],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "benchmarks.in_process" in json.loads(finished.stdout)
