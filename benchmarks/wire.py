"""Measure through servers and sockets: `python -m benchmarks wire`.

The server is pinned to one core, the clients to another. The clients are a Python program, which
limits the requests per second of the fastest scenarios. The CPU time of the server per request does
not depend on it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack, closing
from importlib.util import find_spec
from random import Random
from typing import Any, NamedTuple

from benchmarks import report, results
from benchmarks.checks import WrongResponse
from benchmarks.contenders import CONTENDERS, MISSING, installed
from benchmarks.in_process import ROOT, pin, progress, select
from benchmarks.payloads import create_files
from benchmarks.results import BASE, OURS
from benchmarks.scenarios import SCENARIOS, UPLOAD_1M, Scenario
from benchmarks.server import SERVERS, TICK, Server

#: Scenarios with the targets for the CPU ratio of asgikit to raw.
WIRE: dict[str, tuple[Scenario, float | None]] = {
    "plaintext": (SCENARIOS["plaintext"], 1.1),
    "echo": (SCENARIOS["echo"], 1.1),
    "file_100k": (SCENARIOS["file_100k"], 2.6),
    "upload_1m": (UPLOAD_1M, None),
    "events": (SCENARIOS["events"], None),
}
CONNECTIONS = 16
EVENT_CONNECTIONS = 100


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
    arguments = [str(server.port), str(connections), str(seconds)]
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
                    one = measure_round(name, servers[contender], options.seconds)
                    if number:  # the first round warms up
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
    latency = ["median, ms", "p99, ms"]
    ratios = ["CPU, µs", "CPU ratio", "(median)", "spread", "target"]
    found = [["scenario", "contender", "requests/s", *latency, *ratios]]
    for name, of in rows.items():
        for contender, (rate, median, late, cpu, ratio, paired, spread) in of.items():
            target = WIRE[name][1] if contender == OURS else None
            times = [
                f"{rate:,.0f}",
                f"{median * 1e3:.2f}",
                f"{late * 1e3:.2f}",
                f"{cpu * 1e6:,.1f}",
            ]
            end = [f"{ratio:.2f}", f"({paired:.2f})", f"{spread:.2f}", f"{target or ''}"]
            found.append([name, contender, *times, *end])
    return found


def page(run: dict[str, Any]) -> str:
    """Format the section of the page from a saved run."""
    tables = [
        f"On {server}:\n\n{report.markdown_table(lines(rows))}"
        for server, rows in run["rows"].items()
    ]
    return "\n\n".join([*tables, report.origin(run)])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks wire", description=__doc__)
    made.add_argument("--only", default="", metavar="A,B", help="prefixes of scenarios")
    made.add_argument("--against", default="starlette", metavar="A,B", help="peers (starlette)")
    made.add_argument("--servers", default="", metavar="A,B", help="prefixes of servers")
    made.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    made.add_argument("--seconds", type=float, default=2, help="seconds of a round (2)")
    made.add_argument("--seed", type=int, default=1, help="seed of the random order (1)")
    made.add_argument("--save", action="store_true", help="write results and page")
    return made


def main(arguments: list[str]) -> int:
    """Measure, print and save; the exit status is 1 after a wrong response."""
    options = parser().parse_args(arguments)
    names = select(options.only, WIRE)
    servers = [name for name in select(options.servers, SERVERS) if find_spec(name) is not None]
    if not names or not servers or options.rounds < 1 or find_spec("uvloop") is None:
        print("no scenario or server to measure, or uvloop is not installed")
        return 2
    selected = {BASE, OURS, *select(options.against, CONTENDERS)}
    contenders = [name for name in installed() if name in selected]
    create_files()
    rows, errors = {}, list[str]()
    for server in servers:
        rounds = measure(server, contenders, names, options, errors)
        rows[server] = {name: summarize(of) for name, of in rounds.items() if BASE in of}
        report.show(f"On {server}", lines(rows[server]))
    for error in errors:
        print(f"WRONG {error}")
    if options.save:
        context = results.context(rounds=options.rounds, seconds=options.seconds)
        results.save("wire", {**context, "rows": rows})
        report.replace_section("wire", page(results.read("wire") or {}))
    return 1 if errors else 0
