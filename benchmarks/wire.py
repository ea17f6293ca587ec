"""Measures through servers and sockets: `python -m benchmarks wire`.

A server has one core to itself, and the clients another. Requests a second depend on the machine
and on the clients; the server's CPU time a request depends on less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import report
from benchmarks.answers import WrongAnswer
from benchmarks.contenders import CONTENDERS, MISSING, installed
from benchmarks.in_process import pick, progress
from benchmarks.payloads import make_files
from benchmarks.results import BASE, FOLDER, OURS, machine, now, versions
from benchmarks.scenarios import SCENARIOS, UPLOAD_1M, Scenario
from benchmarks.serve import SERVERS
from benchmarks.server import TICK, Server, pin

#: Scenarios, with what asgikit's time is to be of raw's.
WIRE: dict[str, tuple[Scenario, float | None]] = {
    "plaintext": (SCENARIOS["a_plaintext"], 1.1),
    "echo": (SCENARIOS["d_echo"], 1.1),
    "file_100k": (SCENARIOS["k_file_100k"], 2.6),
    "upload_1m": (UPLOAD_1M, None),
    "events": (SCENARIOS["n_events"], None),
}
CONNECTIONS = 16
EVENT_CLIENTS = 100
SCRIPT = Path(__file__).parent / "request.lua"


@dataclass(frozen=True)
class Round:
    """What the clients saw, and what the server took."""

    requests_a_second: float
    cpu_a_request: float


@dataclass
class WireRun:
    """One run: rounds by server, scenario and contender."""

    rounds: dict[str, dict[str, dict[str, list[Round]]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    when: str = field(default_factory=now)
    machine: dict[str, Any] = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)


def read_wrk(output: str) -> tuple[int, float]:
    """Read how many requests wrk has sent, and how many a second.

    Raises:
        WrongAnswer: some failed.

    >>> read_wrk("  30 requests in 2.00s, 1MB read\\nRequests/sec:     15.00")
    (30, 15.0)
    """
    failed = re.search(r"(Non-2xx.*|Socket errors.*)", output)
    sent = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if failed or not sent or not rate:
        raise WrongAnswer(failed[0] if failed else f"wrk says {output!r}")
    return int(sent[1]), float(rate[1])


@contextlib.contextmanager
def environment(scenario: Scenario) -> Iterator[dict[str, str]]:
    """Put the body where wrk's script reads it."""
    with tempfile.TemporaryDirectory() as folder:
        made = dict(os.environ)
        if scenario.content_type:
            path = Path(folder, "body")
            path.write_bytes(b"".join(scenario.content()))
            made |= {
                "BENCHMARKS_BODY": str(path),
                "BENCHMARKS_CONTENT_TYPE": scenario.content_type,
            }
        yield made


def clients(name: str, server: Server, seconds: float) -> list[str]:
    """Give the command of the clients of a scenario."""
    scenario = WIRE[name][0]
    if name == "events":
        count = str(EVENT_CLIENTS)
        script = "benchmarks.clients"
        return [
            sys.executable,
            "-m",
            script,
            str(server.port),
            f"/{scenario.key}",
            count,
            str(seconds),
        ]
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(SCRIPT)]
    return ["wrk", *options, server.url(scenario)]


def one_round(name: str, server: Server, seconds: float, core: int | None) -> Round:
    """Load a server for some seconds.

    Raises:
        WrongAnswer: some requests failed.
    """
    before = server.cpu_seconds()
    with environment(WIRE[name][0]) as variables:
        process = subprocess.Popen(
            clients(name, server, seconds),
            cwd=SCRIPT.parent.parent,
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        pin(process.pid, core)
        output, _ = process.communicate()
    if process.returncode:
        raise WrongAnswer(f"the clients gave up: {output}")
    # The system tells whole ticks: less than half of one is not to be told from nothing.
    taken = max(server.cpu_seconds() - before, TICK / 2)
    if name == "events":
        seen = json.loads(output)
        requests, rate = seen["requests"], seen["requests"] / seen["seconds"]
    else:
        requests, rate = read_wrk(output)
    return Round(rate, taken / max(requests, 1))


def lines(run: WireRun, server: str) -> report.Lines:
    """Make the table of one server."""
    made = [
        [
            "scenario",
            "contender",
            "requests/s",
            "CPU, µs",
            "time ratio",
            "(median)",
            "CPU ratio",
            "target",
        ]
    ]
    for name, contenders in run.rounds[server].items():
        base = contenders[BASE]
        for contender, rounds in contenders.items():
            rate = max(one.requests_a_second for one in rounds)
            cpu = min(one.cpu_a_request for one in rounds)
            paired = [
                raw.requests_a_second / one.requests_a_second
                for raw, one in zip(base, rounds, strict=True)
            ]
            target = WIRE[name][1] if contender == OURS else None
            made.append(
                [
                    name,
                    contender,
                    f"{rate:,.0f}",
                    f"{cpu * 1e6:,.1f}",
                    f"{max(one.requests_a_second for one in base) / rate:.2f}",
                    f"({statistics.median(paired):.2f})",
                    f"{cpu / min(one.cpu_a_request for one in base):.2f}",
                    f"{target:g}" if target else "",
                ]
            )
    return made


def measure(
    servers: list[str],
    contenders: list[str],
    names: list[str],
    rounds: int,
    seconds: float,
    seed: int,
) -> WireRun:
    """Load every contender on every server, in rounds of random order."""
    run = WireRun(
        settings={
            "rounds": rounds,
            "seconds": seconds,
            "connections": CONNECTIONS,
            "event_clients": EVENT_CLIENTS,
        }
    )
    cores: list[int | None] = [None, None]
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        cores = list(sorted(os.sched_getaffinity(0))[:2])
    shuffle = Random(seed).shuffle
    make_files()
    total = len(servers) * len(names) * (rounds + 1)
    with progress(total) as advance:
        for server in servers:
            run.rounds[server] = {}
            with contextlib.ExitStack() as stack:
                started = {
                    contender: stack.enter_context(
                        contextlib.closing(Server(server, contender, cores[0]))
                    )
                    for contender in contenders
                }
                for name in names:
                    found = _scenario(name, started, run.wrong)
                    for number in range(rounds + 1):
                        order = list(found)
                        shuffle(order)
                        for contender in order:
                            one = one_round(name, started[contender], seconds, cores[1])
                            if number:  # the first one warms up
                                found[contender].append(one)
                        advance()
                    run.rounds[server][name] = found
    return run


def _scenario(name: str, started: dict[str, Server], wrong: list[str]) -> dict[str, list[Round]]:
    """Check the answers, and give those who play."""
    scenario = WIRE[name][0]
    found: dict[str, list[Round]] = {}
    for contender, server in started.items():
        if (contender, scenario.key) in MISSING:
            continue
        try:
            server.check(scenario)
        except (WrongAnswer, OSError) as error:
            wrong.append(f"{server.name}: {error}")
        else:
            found[contender] = []
    return found


def parser() -> argparse.ArgumentParser:
    """Make the reader of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks wire", description=__doc__)
    made.add_argument("--only", default="", metavar="A,B", help="scenarios, by how they start")
    made.add_argument("--against", default="starlette", metavar="A,B", help="peers (starlette)")
    made.add_argument("--servers", default="", metavar="A,B", help="servers, by how they start")
    made.add_argument("--rounds", type=int, default=5, help="a scenario and contender (5)")
    made.add_argument("--seconds", type=float, default=2, help="of a round (2)")
    made.add_argument("--seed", type=int, default=1, help="of the shuffle (1)")
    made.add_argument("--save", action="store_true", help="write JSON and table into benchmarks/")
    return made


def main(arguments: list[str]) -> int:
    """Measure, print, and keep what is to be kept."""
    options = parser().parse_args(arguments)
    names = pick(options.only, WIRE)
    if shutil.which("wrk") is None:
        left_out = [name for name in names if name != "events"]
        print(f"wrk is not installed (Debian's package wrk): left out are {', '.join(left_out)}")
        names = [name for name in names if name == "events"]
    servers = [name for name in pick(options.servers, SERVERS) if find_spec(name) is not None]
    against = {BASE, OURS, *pick(options.against, CONTENDERS)}
    if not names or not servers or options.rounds < 1:
        print("nothing to do")
        return 2
    contenders = [name for name in installed() if name in against]
    run = measure(servers, contenders, names, options.rounds, options.seconds, options.seed)
    for words in run.wrong:
        print(f"WRONG {words}")
    for server in servers:
        report.show(f"On {server}", lines(run, server))
    if options.save:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "wire.json").write_text(json.dumps(asdict(run), indent=1) + "\n")
        tables = [f"On {name}:\n\n{report.markdown_table(lines(run, name))}" for name in servers]
        measured = f"Measured {report.origin(run.when, run.machine, run.versions)}"
        report.put_into_page("wire", "\n\n".join([*tables, measured]))
    return 1 if run.wrong else 0
