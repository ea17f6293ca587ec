"""Tables of compatibility: a pytest plugin that records outcomes, and the tables made from them.

    python -m pytest -p tests.project.works_with --outcomes FILE tests/servers tests/hosts
    python -m tests.project.works_with FILE            # compare the pages with these outcomes
    python -m tests.project.works_with FILE --write    # write the pages

The whole tables are in ``docs/pages/works-with.md``; the README has a summary of them. In a cell,
"yes" means that all of its tests passed. A number refers to the reason why a test was skipped.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.project.pages import DOCS, README, read_block, read_table, update_pages, write_table
from tests.servers.harness import SETUPS, Setup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pytest

PAGE = DOCS / "works-with.md"

NOT_BARE = "wrap it"


class Outcome(NamedTuple):
    """The outcome of one test.

    Attributes:
        test: its module and its name, such as ``servers/test_minimal_app.py::test_one``.
        params: its parameters, as text.
        outcome: ``passed``, ``failed`` or ``skipped``.
        reason: the reason of a skip.
    """

    test: str
    params: dict[str, str]
    outcome: str
    reason: str = ""


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        label: its first cell.
        tests: a pattern of the names of the tests that prove it.
        params: parameters that these tests must have.
        among: the columns that the row applies to; all if empty.
    """

    label: str
    tests: str
    params: dict[str, str]
    among: tuple[str, ...] = ()


ANSWERS = r"servers/test_exchanges\.py::test_adapted_app_of_each_structure_responds"
BARE = r"servers/test_minimal_app\.py::test_asgi2_app_runs_without_adapter"
BARE_ON = tuple(setup.name for setup in SETUPS if setup.runs_asgi2)
SERVER_ROWS = [
    Row("unwrapped: function", BARE, {"app": "minimal:app"}, BARE_ON),
    Row("unwrapped: closure", BARE, {"app": "structures:closure"}, BARE_ON),
    Row("unwrapped: `functools.partial`", BARE, {"app": "structures:partial"}, BARE_ON),
    Row("unwrapped: class", BARE, {"app": "structures:Structure"}, BARE_ON),
    Row("`to_asgi`: function", ANSWERS, {"name": "function"}),
    Row("`to_asgi`: closure", ANSWERS, {"name": "closure"}),
    Row("`to_asgi`: `functools.partial`", ANSWERS, {"name": "partial"}),
    Row("`to_asgi`: class", ANSWERS, {"name": "class"}),
    Row("`to_asgi`: `async def` of the scope", ANSWERS, {"name": "factory"}),
    Row("`to_asgi`: function that returns an app", ANSWERS, {"name": "delegate"}),
    Row("`to_asgi`: ASGI 3 app", ANSWERS, {"name": "asgi3"}),
    Row("`request_response`: `async def`", ANSWERS, {"name": "coroutine_handler"}),
    Row("`request_response`: `def`", ANSWERS, {"name": "thread_handler"}),
    Row("lifespan", r"servers/test_minimal_app\.py::test_lifespan.*", {}),
    Row("bodies, limits, HEAD", r"servers/test_exchanges\.py::(?!test_adapted_app).*", {}),
    Row("forms and uploads", r"servers/test_uploads\.py::.*", {}),
    Row("files and ranges", r"servers/test_files\.py::.*", {}),
    Row("client disconnects", r"servers/test_(?:\w*disconnects?|crowd)\.py::.*", {}),
    Row("errors, slow clients, shutdown", r"servers/test_faults\.py::.*", {}),
]

MOUNTED = r"hosts/test_frameworks\.py::test_mounted_app_responds"
READS = r"hosts/test_frameworks\.py::test_mounted_app_reads_body"
HOSTS = {
    "starlette_mount": "Starlette, `Mount`",
    "starlette_route": "Starlette, `Route`",
    "fastapi_mount": "FastAPI, `mount`",
    "litestar_mount": "Litestar, mounted",
    "litestar_handler": "Litestar, as a handler",
    "beside_django": "Django, in `asgi.py`",
}
SHAPES = {
    "function": "`to_asgi`",
    "coroutine_handler": "`request_response`, `async def`",
    "thread_handler": "`request_response`, `def`",
}
HTTPX = r"hosts/test_frameworks\.py::test_httpx_transport_calls_app"
MANGUM = r"hosts/test_mangum\.py::test_event_returns_response_dict"

# Third-party software, by the start of the names of its tests, and the event loops it runs on.
RECIPES = r"hosts/test_recipes\.py::test_{}_.*"
LOOPS = ("asyncio", "trio")
SOFTWARE = [
    ("FastAPI, in a route", "fastapi", LOOPS),
    ("Starlette's middleware and router", "starlette", LOOPS),
    ("werkzeug.routing", "router", LOOPS),
    ("Sentry", "sentry", LOOPS),
    ("OpenTelemetry", "opentelemetry", LOOPS),
    ("prometheus_client", "prometheus", LOOPS),
    ("structlog", "structlog", LOOPS),
    ("itsdangerous", "signed_session", LOOPS),
    ("Jinja2", "jinja", LOOPS),
    ("strawberry (GraphQL)", "graphql", LOOPS),
    ("WSGI apps, by a2wsgi", "wsgi", ("asyncio",)),
    ("MCP", "mcp", ("asyncio",)),
]
OTHER_LOOP = "asyncio only"

# Clients of event streams, by the parameter of their tests.
READS_EVENTS = r"servers/test_event_clients\.py::test_event_client_receives_each_event_once"
READS_RETRY = r"servers/test_event_clients\.py::test_event_client_reads_stream_.*"
NODE_IS_MISSING = "needs Node, and NODE_MODULES with the package"
EVENT_CLIENTS = {
    "chromium": "`EventSource` of Chromium",
    "openai_python": "openai (Python)",
    "openai_node": "openai (Node)",
    "anthropic_python": "anthropic (Python)",
    "anthropic_node": "anthropic (Node)",
    "mcp_python": "MCP SDK (Python)",
    "mcp_node": "MCP SDK (Node)",
    "httpx_sse": "httpx-sse",
    "undici": "`EventSource` of undici",
    "eventsource": "eventsource (npm)",
}


# The columns of the README's tables, each a summary of rows or columns above.
PLAIN = [row.label for row in SERVER_ROWS if row.tests == BARE]
SUMMARIZED = {"Sentry", "OpenTelemetry", "MCP"}
WRAPPED = [row.label for row in SERVER_ROWS if row.tests == ANSWERS]


def cell(row: Row, outcomes: Iterable[Outcome], notes: list[str]) -> str:
    """Return the text of a cell; append new reasons of skips to ``notes``."""
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


def tables(outcomes: Sequence[Outcome]) -> str:
    """Write the tables of servers, hosts, other software and event clients, and their notes."""
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
        ("httpx, as a transport", HTTPX, r"hosts/test_frameworks\.py::test_body_.*"),
        ("Mangum, on AWS Lambda", MANGUM, r"hosts/test_mangum\.py::test_body_.*"),
    ):
        shapes = [cell(Row("", tests, {"name": shape}), outcomes, notes) for shape in SHAPES]
        hosts.append([label, *shapes, cell(Row("", body, {}), outcomes, notes)])
    software = [
        [
            label,
            *(
                cell(Row("", RECIPES.format(start), {"anyio_backend": loop}), outcomes, notes)
                if loop in loops
                else OTHER_LOOP
                for loop in LOOPS
            ),
        ]
        for label, start, loops in SOFTWARE
    ]
    written = write_table(["", *names], servers)
    written += "\n" + write_table(["", *SHAPES.values(), "reads a body"], hosts)
    written += "\n" + write_table(["", *LOOPS], software)
    written += "\n" + write_table(
        ["events", "direct", "through nginx", "with `retry=`"], _each_client(outcomes, notes)
    )
    if notes:
        written += "\n" + "".join(f"{at}. {note}.\n" for at, note in enumerate(notes, 1))
    return written


def _each_client(outcomes: Sequence[Outcome], notes: list[str]) -> Iterator[list[str]]:
    """Yield a row for each client of event streams; without Node, that of the page."""
    before = read_block(PAGE.read_text(encoding="utf-8"), "works-with").split("\n\n")[3]
    known = {row[0]: row for row in read_table(before)}
    for client, label in EVENT_CLIENTS.items():
        of_client = [each for each in outcomes if each.params.get("client") == client]
        if any(each.reason == NODE_IS_MISSING for each in of_client):
            yield known[label]
            continue
        ways = [{"origin": way} for way in ("direct", "nginx")]
        rows = [*(Row("", READS_EVENTS, way) for way in ways), Row("", READS_RETRY, {})]
        yield [label, *(cell(row, of_client, notes) for row in rows)]


def summarize(written: str) -> str:
    """Write the README's tables from those of :func:`tables`: a row for each server and host."""
    servers, hosts, software = (read_table(part) for part in written.split("\n\n")[:3])
    return "\n".join(
        [
            write_table(["server", "plain app", "wrapped app", "notes"], _each_server(servers)),
            write_table(
                ["host or library", "wrapped app", "notes"],
                [*_each_host(hosts), *_each_library(software)],
            ),
        ]
    )


def _each_server(servers: list[list[str]]) -> Iterator[list[str]]:
    (_, *setups), *rows = servers
    names = [setup.partition("-")[0] for setup in setups]
    for server in dict.fromkeys(names):
        of_server = {
            label: [cell for name, cell in zip(names, cells, strict=True) if name == server]
            for label, *cells in rows
        }
        plain = [cell for label in PLAIN for cell in of_server[label]]
        wrapped = [cell for label in WRAPPED for cell in of_server[label]]
        everything = [cell for cells in of_server.values() for cell in cells]
        yield [server, worst_cell(plain), worst_cell(wrapped), _count_notes(everything)]


def _each_host(hosts: list[list[str]]) -> Iterator[list[str]]:
    rows = [(label.partition(",")[0], *cells) for label, *cells in hosts[1:]]
    for host in dict.fromkeys(name for name, *_ in rows):
        cells = [cell for name, *cells in rows for cell in cells if name == host]
        yield [host, worst_cell(cells), _count_notes(cells)]


def _each_library(software: list[list[str]]) -> Iterator[list[str]]:
    for label, *cells in software[1:]:
        if label in SUMMARIZED:
            run = [cell for cell in cells if cell != OTHER_LOOP]
            yield [label, worst_cell(run), _count_notes(run)]


def worst_cell(cells: Iterable[str]) -> str:
    """Return the worst of the cells, without notes."""
    values = {cell.partition(" <sup>")[0] for cell in cells}
    return next(value for value in ("**no**", "**?**", "no", NOT_BARE, "yes") if value in values)


def _count_notes(cells: Iterable[str]) -> str:
    notes = {mark for cell in cells for mark in re.findall(r"\d+(?=[\d, ]*</sup>)", cell)}
    return str(len(notes)) if notes else "none"


# The plugin.


class Recorder:
    """Record the outcome of every test of a server or a host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, Outcome] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Add the parameters of each test to its reports."""
        for item in filter(_is_recorded, items):
            params = getattr(getattr(item, "callspec", None), "params", {})
            item.user_properties.append(("params", dict(map(_as_text, params.items()))))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a phase that did not pass, or the call that did."""
        if not _is_recorded(report) or (report.outcome == "passed" and report.when != "call"):
            return
        params: Any = dict(report.user_properties).get("params", {})
        name = re.sub(r"\[.*", "", report.nodeid).removeprefix("tests/")
        reason = ""
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
        self._outcomes[report.nodeid] = Outcome(name, params, report.outcome, reason)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the outcomes to the file, except in a worker, which sees only some of them."""
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
    """Add the option ``--outcomes``."""
    parser.addoption("--outcomes", type=Path, help="write the outcome of every test to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Start recording if ``--outcomes`` was given."""
    path = config.getoption("--outcomes")
    if path is not None:
        config.pluginmanager.register(Recorder(path.resolve()))


def main(arguments: Sequence[str]) -> int:
    """Compare the pages with outcomes; with ``--write``, write the pages."""
    file, *options = arguments
    outcomes = [Outcome(*each) for each in json.loads(Path(file).read_text(encoding="utf-8"))]
    written = tables(outcomes)
    is_writing = options == ["--write"]
    blocks = {PAGE: written, README: summarize(written)}
    stale = update_pages("works-with", blocks, write=is_writing)
    if stale and not is_writing:
        names = ", ".join(path.name for path in stale)
        sys.stdout.write(f"{names}: not the tables of these outcomes, which are:\n\n{written}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
