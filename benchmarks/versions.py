"""Compare asgikit with Starlette on several versions of Python: `python -m benchmarks versions`.

The interpreter that runs the command is the first. Each other one needs the dependencies of
asgikit, Starlette and uvloop: `--python /path/to/python3.14`.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks import report, results
from benchmarks.in_process import measure, select
from benchmarks.options import make_parser
from benchmarks.results import OURS, Table
from benchmarks.scenarios import SCENARIOS

PEER = "starlette"
#: The factor by which a ratio differs between two versions, beyond the noise.
DIFFERENT = 1.15


def find_version(python: str) -> str:
    """Return the version of an interpreter."""
    code = "import platform; print(platform.python_version())"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def differences(tables: dict[str, Table]) -> list[str]:
    """Format the scenarios in which a ratio differs from the first version's."""
    (first, base), *others = tables.items()
    found = []
    for version, table in others:
        changes = {
            name: rows[OURS].ratio / base[name][OURS].ratio
            for name, rows in table.items()
            if OURS in rows and OURS in base.get(name, {})
        }
        parts = [
            f"{SCENARIOS[name].title} {(factor - 1) * 100:+.0f} %"
            for name, factor in changes.items()
            if not 1 / DIFFERENT < factor < DIFFERENT
        ]
        text = ", ".join(parts) or "no ratio"
        found.append(f"Python {version} differs from {first} by more than 15 % in: {text}.")
    return found


def verdicts(tables: dict[str, Table]) -> list[str]:
    """Format on which version asgikit is ahead of Starlette, and the differences."""
    ahead = [f"Python {version}: {report.lead(table, PEER)}" for version, table in tables.items()]
    return ahead + differences(tables)


def lines(tables: dict[str, Table]) -> report.Lines:
    """Return the table: the ratio of asgikit (of Starlette) on each version."""
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    found = [["scenario", *tables]]
    for name in names:
        cells = [SCENARIOS[name].title]
        for table in tables.values():
            rows = table.get(name, {})
            both = OURS in rows and PEER in rows
            cells.append(f"{rows[OURS].ratio:.2f} ({rows[PEER].ratio:.2f})" if both else "-")
        found.append(cells)
    return found


def page(run: dict[str, Any]) -> str:
    """Format the section of the page from a saved run."""
    tables = {
        version: results.read_table({"rows": rows}) for version, rows in run["versions_of"].items()
    }
    notes = "\n".join(f"- {line}" for line in verdicts(tables))
    return "\n\n".join([report.markdown_table(lines(tables)), notes, report.origin(run)])


def main(arguments: list[str]) -> int:
    """Measure, print and save; the exit status is 1 after a wrong response."""
    parser = make_parser("versions", __doc__, python="", only="", rounds=15, save=False)
    options = parser.parse_args(arguments)
    names = select(options.only, SCENARIOS)
    tables: dict[str, Table] = {}
    errors, others = list[str](), 0.0
    for python in (sys.executable, *filter(None, options.python.split(","))):
        version = find_version(python)
        run = measure([PEER], names, options.rounds, python=python)
        tables[version] = {name: rows for name, rows in run.table().items() if PEER in rows}
        errors += [f"Python {version}, {error}" for error in run.errors]
        others = max(others, run.others)
    report.show("Ratio of asgikit (of Starlette) to raw", lines(tables))
    print("\n".join([*verdicts(tables), *(f"WRONG {error}" for error in errors)]))
    print(report.busyness(others))
    if options.save:
        rows = {version: results.dump_rows(table) for version, table in tables.items()}
        context = results.context(others, rounds=options.rounds)
        results.save("versions", {**context, "versions_of": rows})
        report.replace_section("versions", page(results.read("versions") or {}))
    return 1 if errors else 0
