"""Measure through servers and sockets: `python -m benchmarks wire`.

The server is pinned to one core, the clients to another. The clients are a Python program, which
limits the requests per second of the fastest scenarios, and h2load for HTTP/2. The CPU time of the
server per request does not depend on the clients.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack, closing
from importlib.util import find_spec
from random import Random
from typing import Any, NamedTuple

from benchmarks import report, results
from benchmarks.checks import WrongResponse
from benchmarks.clients import H2LOAD
from benchmarks.contenders import CONTENDERS, MISSING, find_interpreter
from benchmarks.in_process import ROOT, pin, progress, select
from benchmarks.options import make_parser
from benchmarks.results import BASE, OURS, TICK, Load
from benchmarks.scenarios import SCENARIOS, UPLOAD_1M, Scenario
from benchmarks.server import HTTP2, SERVERS, Server, is_installed

#: Scenarios with the targets for the CPU ratio of asgikit to raw.
WIRE: dict[str, tuple[Scenario, float | None]] = {
    "plaintext": (SCENARIOS["plaintext"], 1.06),
    "echo": (SCENARIOS["echo"], 1.1),
    "def_handler": (SCENARIOS["def_handler"], None),
    "json_100k": (SCENARIOS["json_100k"], None),
    "json_body_100k": (SCENARIOS["json_body_100k"], None),
    "static_9k": (SCENARIOS["static_9k"], None),
    "file_100k": (SCENARIOS["file_100k"], 2.6),
    "upload_1m": (UPLOAD_1M, None),
    "sync_stream": (SCENARIOS["sync_stream"], None),
    "events": (SCENARIOS["events"], 1.4),
}
_HTTP2 = ("plaintext", "json_100k")
#: The scenarios of each server; uvicorn has all.
SUBSETS: dict[str, tuple[str, ...]] = {
    "granian": ("plaintext", "echo", "static_9k", "file_100k", "events"),
    "granian-h2": _HTTP2,
    "hypercorn-h2": _HTTP2,
}
CONNECTIONS = 16
WARM_UP = 0.3  # seconds
EVENT_CONNECTIONS = 100


PEERS = "starlette,sse_starlette"


def display(server: str) -> str:
    return server.replace(HTTP2, " over HTTP/2")


class Round(NamedTuple):
    """Requests per second, CPU seconds per request, and seconds of latency."""

    rate: float
    cpu: float
    median: float
    late: float


def format_request(server: Server, scenario: Scenario) -> bytes:
    """Return the bytes of a request."""
    body = b"".join(scenario.content())
    lines = [f"{scenario.method} {server.target(scenario)} HTTP/1.1", "Host: localhost"]
    if scenario.content_type:
        lines += [f"Content-Type: {scenario.content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def measure_round(name: str, server: Server, seconds: float) -> Round:
    """Load a server for some seconds.

    Raises:
        WrongResponse: a request failed.
    """
    connections = EVENT_CONNECTIONS if name == "events" else CONNECTIONS
    url = f"http://127.0.0.1:{server.port}{server.target(WIRE[name][0])}"
    arguments = [url, str(connections), str(seconds), server.protocol]
    before = server.cpu_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.clients", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    pin(process.pid, 1)
    output, _ = process.communicate(format_request(server, WIRE[name][0]))
    if process.returncode:
        raise WrongResponse(f"{server.name}: the clients of {name} failed")
    # The CPU time has the resolution of a tick; less than half a tick would be zero.
    cpu = max(server.cpu_seconds() - before, TICK / 2)
    found = json.loads(output)
    requests = found["requests"]
    return Round(requests / found["seconds"], cpu / requests, found["median"], found["late"])


def check(name: str, servers: dict[str, Server], errors: list[str]) -> dict[str, list[Round]]:
    """Return an empty list for each contender that responds correctly."""
    scenario = WIRE[name][0]
    found: dict[str, list[Round]] = {}
    for contender, server in servers.items():
        if (contender, scenario.key) in MISSING:
            continue
        try:
            server.check(scenario)
        except (WrongResponse, OSError) as error:
            errors.append(f"{server.name}: {error}")
        else:
            found[contender] = []
    return found


def measure(
    server: str, contenders: list[str], names: list[str], options: Any, errors: list[str]
) -> dict[str, dict[str, list[Round]]]:
    """Load each contender on a server, in rounds of random order."""
    rounds: dict[str, dict[str, list[Round]]] = {}
    shuffle = Random(options.seed).shuffle
    with ExitStack() as stack:
        servers = {
            contender: stack.enter_context(closing(Server(server, contender)))
            for contender in contenders
        }
        for place, name in enumerate(names):
            found = rounds[name] = check(name, servers, errors)
            for number in range(options.rounds + 1):
                order = list(found)
                shuffle(order)
                for contender in order:
                    # The first round warms up, and is short.
                    seconds = options.seconds if number else min(WARM_UP, options.seconds)
                    one = measure_round(name, servers[contender], seconds)
                    if number:
                        found[contender].append(one)
                done = place * (options.rounds + 1) + number + 1
                progress(len(names) * (options.rounds + 1), done)
    return rounds


def summarize(rounds: dict[str, list[Round]]) -> dict[str, list[float]]:
    """Return the columns of the table for each contender.

    They are requests/s, median and late latency, CPU time, its ratio to raw, the median of the
    paired ratios, and the spread: the largest of these divided by the smallest.
    """
    base = rounds[BASE]
    found = {}
    for contender, own in rounds.items():
        best = max(own)
        cpu = min(one.cpu for one in own)
        paired = [one.cpu / raw.cpu for raw, one in zip(base, own, strict=True)]
        ratios = cpu / min(one.cpu for one in base), statistics.median(paired)
        columns = best.rate, best.median, best.late, cpu, *ratios, max(paired) / min(paired)
        found[contender] = [float(f"{value:.4g}") for value in columns]
    return found


def lines(rows: dict[str, dict[str, list[float]]]) -> report.Lines:
    """Return the table of one server."""
    times = ["requests/s", "median, ms", "p99, ms", "CPU, µs"]
    found = [["scenario", "contender", *times, "CPU ratio", "(median)", "spread", "target"]]
    for name, of in rows.items():
        for contender, (rate, median, late, cpu, ratio, paired, spread) in of.items():
            target = WIRE[name][1] if contender == OURS else None
            latency = [f"{seconds * 1e3:.2f}" for seconds in (median, late)]
            times = [f"{rate:,.0f}", *latency, f"{cpu * 1e6:,.1f}"]
            end = [f"{ratio:.2f}", f"({paired:.2f})", f"{spread:.2f}", f"{target or ''}"]
            found.append([WIRE[name][0].title, report.display(contender), *times, *end])
    return found


def is_here(contender: str) -> bool:
    """Return whether this interpreter, which runs the servers, has the contender installed."""
    return find_interpreter(contender) == sys.executable


def page(run: dict[str, Any]) -> str:
    """Format the section of the page from a saved run."""
    tables = [
        f"On {display(server)}:\n\n{report.markdown_table(lines(rows))}"
        for server, rows in run["rows"].items()
    ]
    return "\n\n".join([*tables, report.origin(run)])


def main(arguments: list[str]) -> int:
    """Measure, print and save; the exit status is 1 after a wrong response."""
    defaults = {"only": "", "against": PEERS, "servers": "", "rounds": 3, "seconds": 1.0}
    parser = make_parser("wire", __doc__, **defaults, seed=1, save=False)
    options = parser.parse_args(arguments)
    names = select(options.only, WIRE)
    servers = [name for name in select(options.servers, SERVERS) if is_installed(name)]
    if shutil.which(H2LOAD) is None:
        print(f"{H2LOAD} is not installed (package nghttp2-client of Debian): no HTTP/2")
        servers = [name for name in servers if not name.endswith(HTTP2)]
    if not names or not servers or options.rounds < 1 or find_spec("uvloop") is None:
        print("no scenario or server to measure, or uvloop is not installed")
        return 2
    selected = {BASE, OURS, *select(options.against, CONTENDERS)}
    contenders = [name for name in CONTENDERS if name in selected and is_here(name)]
    rows, errors, load = {}, list[str](), Load()
    for server in servers:
        own = [name for name in names if name in SUBSETS.get(server, names)]
        rounds = measure(server, contenders, own, options, errors)
        rows[server] = {name: summarize(of) for name, of in rounds.items() if BASE in of}
        if rows[server]:
            report.show(f"On {display(server)}", lines(rows[server]))
    others = load.others()
    for error in errors:
        print(f"WRONG {error}")
    print(report.busyness(others))
    if options.save:
        context = results.context(others, rounds=options.rounds, seconds=options.seconds)
        results.save("wire", {**context, "rows": rows})
        report.replace_section("wire", page(results.read("wire") or {}))
    return 1 if errors else 0
