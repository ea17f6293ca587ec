"""What works with what: a pytest plugin that writes outcomes down, and the tables made of them.

    python -m pytest -p tests.project.works_with --outcomes FILE tests/servers tests/hosts
    python -m tests.project.works_with FILE            # is the README's table that of these outcomes?
    python -m tests.project.works_with FILE --write    # make it so

No cell is written by hand: "yes" is that all tests of it passed. A number leads to the reasons why
some were skipped.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.servers.harness import SETUPS, Setup
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

README = ROOT / "README.md"

NOT_BARE = "wrap it"


class Outcome(NamedTuple):
    """What became of one test.

    Attributes:
        test: its module and its name, as ``servers/test_seed.py::test_one``.
        params: what it was parametrized with, as text.
        outcome: ``passed``, ``failed`` or ``skipped``.
        reason: of a skip.
    """

    test: str
    params: dict[str, str]
    outcome: str
    reason: str = ""


class Row(NamedTuple):
    """A row of a table: the tests that prove it, by a pattern and by parameters."""

    label: str
    tests: str
    params: dict[str, str]
    among: tuple[str, ...] = ()  # the columns it is about; all of them where there are none


ANSWERS = r"servers/test_exchanges\.py::test_every_structure_answers_alike"
BARE = r"servers/test_seed\.py::test_an_asgi_2_app_runs_bare"
BARE_ON = tuple(setup.name for setup in SETUPS if setup.bare)
# All but those that are of the machine's tools, or of the tests' own.
SERVER_ROWS = [
    Row("a function, bare", BARE, {"app": "seed:app"}, BARE_ON),
    Row("a closure, bare", BARE, {"app": "structures:closure"}, BARE_ON),
    Row("`functools.partial`, bare", BARE, {"app": "structures:partial"}, BARE_ON),
    Row("a class, bare", BARE, {"app": "structures:Structure"}, BARE_ON),
    Row("`to_asgi`: function", ANSWERS, {"name": "function"}),
    Row("`to_asgi`: closure", ANSWERS, {"name": "closure"}),
    Row("`to_asgi`: `functools.partial`", ANSWERS, {"name": "partial"}),
    Row("`to_asgi`: class", ANSWERS, {"name": "class"}),
    Row("`to_asgi`: `async def` of the scope", ANSWERS, {"name": "factory"}),
    Row("`to_asgi`: function that gives an app", ANSWERS, {"name": "delegate"}),
    Row("`to_asgi`: ASGI 3 app", ANSWERS, {"name": "asgi3"}),
    Row("`request_response`: `async def`", ANSWERS, {"name": "coroutine_handler"}),
    Row("`request_response`: `def`", ANSWERS, {"name": "thread_handler"}),
    Row("lifespan", r"servers/test_seed\.py::test_a_lifespan.*", {}),
    Row("bodies, limits, HEAD", r"servers/test_exchanges\.py::(?!test_every_structure).*", {}),
    Row("forms and uploads", r"servers/test_uploads\.py::.*", {}),
    Row("files and ranges", r"servers/test_files\.py::.*", {}),
    Row("clients that leave", r"servers/test_(?:disconnects|crowd)\.py::.*", {}),
    Row("faults", r"servers/test_faults\.py::.*", {}),
]

MOUNTED = r"hosts/test_frameworks\.py::test_a_mounted_app_answers"
READS = r"hosts/test_frameworks\.py::test_a_mounted_app_reads_a_body"
HOSTS = {
    "starlette_mount": "Starlette, `Mount`",
    "starlette_route": "Starlette, `Route`",
    "fastapi_mount": "FastAPI, `mount`",
    "litestar_mount": "Litestar, mounted",
    "litestar_handler": "Litestar, a handler",
    "beside_django": "Django, in `asgi.py`",
}
SHAPES = {
    "function": "`to_asgi`",
    "coroutine_handler": "`request_response`, `async def`",
    "thread_handler": "`request_response`, `def`",
}
HTTPX = r"hosts/test_frameworks\.py::test_httpx_takes_an_app_as_its_transport"
MANGUM = r"hosts/test_mangum\.py::test_an_event_is_answered_with_a_dict"


def cell(row: Row, outcomes: Iterable[Outcome], notes: list[str]) -> str:
    """Write one cell; new reasons of skips are added to ``notes``."""
    found = [
        outcome
        for outcome in outcomes
        if re.fullmatch(row.tests, outcome.test)
        and all(outcome.params.get(name) == value for name, value in row.params.items())
    ]
    if any(outcome.outcome == "failed" for outcome in found):
        return "**no**"
    if not any(outcome.outcome == "passed" for outcome in found):
        reasons = sorted({outcome.reason for outcome in found})
        return f"no {_marks(reasons, notes)}" if reasons else "**?**"
    reasons = sorted({outcome.reason for outcome in found if outcome.outcome == "skipped"})
    return f"yes {_marks(reasons, notes)}".rstrip(" ")


def _marks(reasons: Iterable[str], notes: list[str]) -> str:
    notes.extend(reason for reason in reasons if reason not in notes)
    numbers = sorted(notes.index(reason) + 1 for reason in reasons)
    return f"<sup>{', '.join(map(str, numbers))}</sup>" if numbers else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tables(outcomes: Sequence[Outcome]) -> str:
    """Write both tables, and the reasons of what was skipped in them."""
    notes: list[str] = []
    names = [setup.name for setup in SETUPS]
    by_setup = {
        name: [outcome for outcome in outcomes if outcome.params.get("setup") == name]
        for name in names
    }
    servers = [
        [
            row.label,
            *(
                cell(row, by_setup[name], notes) if name in (row.among or names) else NOT_BARE
                for name in names
            ),
        ]
        for row in SERVER_ROWS
    ]
    hosts = [
        [
            label,
            *(
                cell(Row("", MOUNTED, {"framework": host, "name": shape}), outcomes, notes)
                for shape in SHAPES
            ),
            cell(Row("", READS, {"framework": host}), outcomes, notes),
        ]
        for host, label in HOSTS.items()
    ]
    for label, tests, body in (
        ("httpx, as its transport", HTTPX, r"hosts/test_frameworks\.py::test_a_body_.*"),
        ("Mangum, on AWS Lambda", MANGUM, r"hosts/test_mangum\.py::test_a_body_.*"),
    ):
        shapes = [cell(Row("", tests, {"name": shape}), outcomes, notes) for shape in SHAPES]
        hosts.append([label, *shapes, cell(Row("", body, {}), outcomes, notes)])
    written = table(["", *names], servers)
    written += "\n" + table(["", *SHAPES.values(), "reads a body"], hosts)
    if notes:
        written += "\n" + "".join(f"{at}. {note}.\n" for at, note in enumerate(notes, 1))
    return written


def printed(text: str, place: str = "works-with") -> str:
    """Give what stands in a place of the README that is written by a program."""
    return _find(text, place)[0]


def put(text: str, now: str, place: str = "works-with") -> str:
    """Give the README with ``now`` in a place."""
    found = _find(text, place)
    return text[: found.start()] + now + text[found.end() :]


def _find(text: str, place: str) -> re.Match[str]:
    pattern = rf"(?<=<!-- {place} -->\n\n).*?(?=\n<!-- end of {place} -->)"
    found = re.search(pattern, text, re.DOTALL)
    if found is None:
        raise ValueError(f"the README has no place for {place}")
    return found


# The plugin.


class Recorder:
    """Writes down what became of every test of a server or a host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, Outcome] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Have the reports say what their tests were parametrized with."""
        for item in filter(_is_recorded, items):
            params = getattr(getattr(item, "callspec", None), "params", {})
            item.user_properties.append(("params", dict(map(_as_text, params.items()))))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of a test; a passed one tells only of the call."""
        if not _is_recorded(report) or (report.outcome == "passed" and report.when != "call"):
            return
        params: Any = dict(report.user_properties).get("params", {})
        name = re.sub(r"\[.*", "", report.nodeid).removeprefix("tests/")
        reason = ""
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
        self._outcomes[report.nodeid] = Outcome(name, params, report.outcome, reason)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write it all to the file, but for the workers, of which each has seen a part."""
        if not hasattr(session.config, "workerinput"):
            self._path.write_text(json.dumps(list(self._outcomes.values())), encoding="utf-8")


def _is_recorded(test: pytest.Item | pytest.TestReport) -> bool:
    return test.nodeid.startswith(("tests/servers/", "tests/hosts/"))


def _as_text(param: tuple[str, Any]) -> tuple[str, str]:
    name, value = param
    if isinstance(value, Setup):
        return "setup", value.name
    return name, str(value).removeprefix("served.")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption("--outcomes", type=Path, help="write down what became of every test")


def pytest_configure(config: pytest.Config) -> None:
    """Record where it was asked for."""
    path = config.getoption("--outcomes")
    if path is not None:
        config.pluginmanager.register(Recorder(path.resolve()))


def main(arguments: Sequence[str]) -> int:
    """Compare the README's tables with outcomes, or write them."""
    file, *options = arguments
    outcomes = [Outcome(*each) for each in json.loads(Path(file).read_text(encoding="utf-8"))]
    text = README.read_text(encoding="utf-8")
    now = tables(outcomes)
    if options == ["--write"]:
        README.write_text(put(text, now), encoding="utf-8")
    elif printed(text) != now:
        sys.stdout.write(f"The README says otherwise. By these outcomes:\n\n{now}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
