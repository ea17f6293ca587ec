"""Measures the import, and a worker at rest: `python -m benchmarks start`.

The time of an import is what `-X importtime` tells, the least of several runs, with the bytecode
there. Memory is what is resident once one request was answered, beside raw ASGI with the same
dependencies.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks import report
from benchmarks.pool import ENVIRONMENT

#: Seconds and bytes that asgikit is to stay below.
MOST_SECONDS = 0.060
MOST_MEMORY = 2 * 2**20

IMPORTS = {
    "asgikit": "import asgikit",
    "starlette": "import starlette.requests, starlette.responses",
    "dependencies": "import anyio, multidict, orjson, python_multipart",
}

_ANSWER = """
import asyncio, gc
from benchmarks.{module} import {app} as app
async def request():
    messages = []
    async def receive():
        return {{"type": "http.request", "body": b"", "more_body": False}}
    async def send(message):
        messages.append(message)
    scope = {{"type": "http", "asgi": {{"version": "3.0"}}, "method": "GET", "path": "/",
             "query_string": b"", "headers": []}}
    await app(scope, receive, send)
    assert messages[0]["status"] == 200
asyncio.run(request())
gc.collect()
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(line.split()[1])
"""
#: Programs that print the KiB they have, once they have answered.
WORKERS = {
    "raw": IMPORTS["dependencies"] + _ANSWER.format(module="resting", app="raw"),
    "asgikit": IMPORTS["dependencies"] + _ANSWER.format(module="resting", app="asgikit"),
}


@dataclass(frozen=True)
class Import:
    """One module of an import: seconds of its own, and with all that it imports first."""

    name: str
    own: float
    total: float
    depth: int


def read_importtime(output: str) -> list[Import]:
    """Read what `-X importtime` writes, in the order of the output: what is imported comes first.

    >>> read_importtime("import time:      7 |     12 |   re._parser")
    [Import(name='re._parser', own=7e-06, total=1.2e-05, depth=1)]
    """
    lines = re.findall(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", output)
    return [
        Import(name, int(own) / 1e6, int(total) / 1e6, len(spaces) // 2)
        for own, total, spaces, name in lines
    ]


@cache
def _bytecode() -> str:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    for program in (*IMPORTS.values(), *WORKERS.values()):
        with contextlib.suppress(subprocess.CalledProcessError):  # a peer may not be there
            run("-c", program, bytecode=folder)
    return folder


def run(*arguments: str, bytecode: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python, and keep what it writes.

    The bytecode is in a folder of ours, where it is sure to be and to be written: what is compiled
    takes ten times as long, and leaves its memory behind.
    """
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPYCACHEPREFIX": bytecode or _bytecode()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def imported(statement: str) -> list[Import]:
    """Give what a statement imports, beyond what Python has imported by itself."""
    # Python's own start is in the output as well: this package marks where it ends.
    program = f"import benchmarks; {statement}"
    modules = read_importtime(run("-X", "importtime", "-c", program).stderr)
    names = [module.name for module in modules]
    return modules[names.index("benchmarks") + 1 :]


def seconds(modules: Sequence[Import]) -> float:
    """Give the time of all of an import."""
    return sum(module.own for module in modules)


def import_lines(runs: int) -> tuple[report.Lines, list[str]]:
    """Measure the imports, and give their table and what is over its bound."""
    best: dict[str, list[Import]] = {}
    for _ in range(runs):
        for name, statement in IMPORTS.items():
            found = imported(statement)
            if name not in best or seconds(found) < seconds(best[name]):
                best[name] = found
    lines = [["import", "ms", "modules"]]
    lines += [
        [name, f"{seconds(modules) * 1e3:.1f}", str(len(modules))] for name, modules in best.items()
    ]
    ours = seconds(best["asgikit"])
    wrong = []
    if ours > MOST_SECONDS:
        wrong.append(f"the import takes {ours * 1e3:.1f} ms, over {MOST_SECONDS * 1e3:.0f} ms")
    if ours > seconds(best["starlette"]):
        wrong.append("the import takes longer than Starlette's")
    return lines, wrong


def costly(count: int) -> report.Lines:
    """Give the modules that take most of the import, with all that they import first."""
    modules = sorted(imported(IMPORTS["asgikit"]), key=lambda module: -module.total)
    return [
        ["module", "total, ms", "own, ms"],
        *(
            [
                f"{'  ' * module.depth}{module.name}",
                f"{module.total * 1e3:.2f}",
                f"{module.own * 1e3:.2f}",
            ]
            for module in modules[:count]
        ),
    ]


def memory_lines(runs: int) -> tuple[report.Lines, list[str]]:
    """Measure workers at rest, and give their table and what is over its bound."""
    sizes: dict[str, list[int]] = {name: [] for name in WORKERS}
    for _ in range(runs):
        for name, program in WORKERS.items():
            sizes[name].append(int(run("-c", program).stdout) * 1024)
    medians = {name: statistics.median(found) for name, found in sizes.items()}
    more = medians["asgikit"] - medians["raw"]
    lines = [["worker at rest", "KiB"]]
    lines += [[name, f"{size / 1024:,.0f}"] for name, size in medians.items()]
    lines.append(["asgikit takes more", f"{more / 1024:,.0f}"])
    return lines, [f"{more / 2**20:.2f} MiB more than raw"] if more > MOST_MEMORY else []


def main(arguments: list[str]) -> int:
    """Measure and print; the status is 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="of each program (15)")
    parser.add_argument("--modules", type=int, default=25, help="to list (25)")
    parser.add_argument("--save", action="store_true", help="write the tables into benchmarks/")
    options = parser.parse_args(arguments)
    imports, wrong = import_lines(options.runs)
    report.show("Import", imports)
    tables = [imports]
    if Path("/proc/self/status").exists():
        memory, more = memory_lines(options.runs)
        report.show("Memory", memory)
        wrong += more
        tables.append(memory)
    else:
        print("No /proc here: the memory at rest is not measured.")
    report.show("Where the import's time goes", costly(options.modules))
    for words in wrong:
        print(f"OVER: {words}")
    if options.save:
        report.put_into_page("start", "\n\n".join(map(report.markdown_table, tables)))
    return 1 if wrong else 0
