"""A benchmark that times wrong answers measures nothing: here its checks are checked."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest

from benchmarks import worker
from benchmarks.__main__ import main
from benchmarks.contenders import CONTENDERS, installed
from benchmarks.report import Row, compare, plain_table, show
from benchmarks.scenarios import SCENARIOS, Answer, WrongAnswer, collect

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("contender", CONTENDERS)
async def test_every_contender_gives_the_right_answer(contender: str, scenario: Any) -> None:
    if contender not in installed():
        pytest.skip(f"{contender} is not installed")

    answer = await worker.answer(worker.load(contender)[scenario.name], scenario)

    scenario.check(answer)


def test_every_contender_plays_every_scenario() -> None:
    assert [list(worker.load(contender)) for contender in installed()] == [
        list(SCENARIOS) for _ in installed()
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
@pytest.mark.parametrize(
    "change",
    [
        {"status": 201},
        {"body": b""},
        {"body": b"Hello, World!"},
        {"headers": [(b"content-type", b"text/plain"), (b"content-type", b"text/plain")]},
        {"headers": [(b"content-type", b"text/html"), (b"content-length", b"17")]},
        {"headers": [(b"content-type", b"text/plain"), (b"content-length", b"1")]},
    ],
)
async def test_a_wrong_answer_is_refused(change: dict[str, Any], scenario: Any) -> None:
    answer = await worker.answer(worker.load("raw")[scenario.name], scenario)
    if "body" in change:
        length = str(len(change["body"])).encode()
        change = {**change, "headers": [*answer.headers[:1], (b"content-length", length)]}

    with pytest.raises(WrongAnswer, match=scenario.name):
        scenario.check(dataclasses.replace(answer, **change))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "cookie",
    [
        None,
        b"sid=0f1e2d3c4b5a",
        b"sid=other; Max-Age=1800; Path=/; Secure; HttpOnly; SameSite=lax",
        b"sid=0f1e2d3c4b5a; Max-Age=1800; Path=/; Secure; HttpOnly; SameSite=lax; Domain=a.b",
    ],
)
async def test_a_wrong_cookie_is_refused(cookie: bytes | None) -> None:
    scenario = SCENARIOS["l_set_cookie"]
    answer = await worker.answer(worker.load("raw")["l_set_cookie"], scenario)
    headers = answer.headers[:2] + ([(b"set-cookie", cookie)] if cookie else [])

    with pytest.raises(WrongAnswer):
        scenario.check(Answer(200, headers, answer.body))


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

    assert collect(messages) == Answer(200, [], b"ab")


@pytest.mark.anyio
async def test_a_round_sends_as_many_requests_as_it_is_told_each_with_its_own_scope() -> None:
    scopes = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        scopes.append((scope, await receive()))

    seconds = await worker.measure(app, SCENARIOS["f_json_body"], 3)

    assert seconds > 0
    assert len({id(scope) for scope, _ in scopes}) == 3
    assert len({id(scope["headers"]) for scope, _ in scopes}) == 3
    assert {message["body"] for _, message in scopes} == {SCENARIOS["f_json_body"].content}


TIMES = {"raw": {"a": [2.0, 1.0, 4.0]}, "x": {"a": [3.0, 5.0, 4.0]}}


def test_ratios_are_of_minima_and_of_pairs() -> None:
    assert compare(TIMES) == [
        Row("a", "raw", best=1.0, ratio_of_minima=1.0, median_of_ratios=1.0),
        Row("a", "x", best=3.0, ratio_of_minima=3.0, median_of_ratios=1.5),
    ]


def test_the_table_is_plain_text() -> None:
    assert plain_table(compare({"raw": {"a": [1e-6]}, "x": {"a": [2e-6]}})).splitlines() == [
        "scenario  contender    us  ratio min  ratio med",
        "a         raw        1.00       1.00       1.00",
        "a         x          2.00       2.00       2.00",
    ]


def test_without_rich_the_table_is_printed_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    show(compare(TIMES))

    assert capsys.readouterr().out == plain_table(compare(TIMES)) + "\n"


def test_one_command_runs_it_all(capfd: pytest.CaptureFixture[str]) -> None:
    main(["--only", "a_,f_json", "--rounds", "2"])

    printed = capfd.readouterr().out
    for word in ("a_plaintext", "f_json_body", *installed()):
        assert word in printed
    assert "b_json_small" not in printed


@pytest.mark.parametrize("arguments", [["--only", "zzz"], ["--rounds", "0"]])
def test_a_run_of_nothing_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)

    assert "nothing to do" in capsys.readouterr().err
