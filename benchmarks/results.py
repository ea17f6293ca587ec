"""Saved results: one JSON file with a section for each command, without raw rounds."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.contenders import PEERS

TICK = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
RESULTS = Path(__file__).parent / "results.json"
BASE = "raw"
OURS = "asgikit"

_DISTRIBUTIONS = (
    "asgikit-http",
    *("anyio", "multidict", "orjson", "python-multipart"),
    *("starlette", "baize", "falcon", "blacksheep", "litestar", "quart", "sse-starlette"),
    *("asgi-tools", "lilya"),
    *("uvloop", "uvicorn", "httptools", "granian", "hypercorn"),
)


def read(section: str) -> dict[str, Any] | None:
    """Return a section of the saved results, or ``None``."""
    return json.loads(RESULTS.read_text()).get(section) if RESULTS.exists() else None


def save(section: str, run: dict[str, Any]) -> None:
    """Replace a section of the saved results."""
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    text = json.dumps({**saved, section: run}, indent=1)
    # One line for each innermost list or object.
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: " ".join(match[0].split()), text)
    RESULTS.write_text(text + "\n")


def context(others: float, **settings: Any) -> dict[str, Any]:
    """Return the settings, date, machine and versions of a run, and the cores of others."""
    return {
        "settings": settings,
        "others": others,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
        },
        "versions": dict(filter(None, map(_version, _DISTRIBUTIONS))),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", path.read_text()) if path.exists() else []
    return names[0] if names else platform.processor()


def _version(name: str) -> tuple[str, str] | None:
    # The first one counts: the environment of the peers has other versions of some packages.
    paths = [*sys.path, *map(str, PEERS.glob("lib/*/site-packages"))]
    found = next(iter(metadata.distributions(name=name, path=paths)), None)
    return (name, found.version) if found else None


class Load:
    """The CPU time of other processes since this object was created."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.before = self._cpu_of_others()

    @staticmethod
    def _cpu_of_others() -> float:
        """Return the CPU seconds of the machine without those of this process and its children."""
        path = Path("/proc/stat")
        if not path.exists():
            return 0.0
        user, nice, system, _idle, _wait, *more = map(int, path.read_text().split()[1:9])
        # The times of a child are added when it has ended.
        return (user + nice + system + sum(more)) * TICK - sum(os.times()[:4])

    def others(self) -> float:
        """Return how many cores the other processes kept busy; call it without living children."""
        seconds = time.monotonic() - self.start
        return round(max(0.0, (self._cpu_of_others() - self.before) / seconds), 2)


@dataclass(frozen=True)
class Row:
    """The times of one contender in one scenario.

    Attributes:
        seconds: the time of a request in the fastest round.
        ratio: ``seconds`` divided by those of raw.
        median: the median over the rounds of the time divided by that of raw in the same round.
    """

    seconds: float
    ratio: float
    median: float


#: Rows by scenario and contender.
Table = dict[str, dict[str, Row]]


def summarize(rounds: dict[str, Sequence[float]]) -> dict[str, Row]:
    """Return the row of each contender from its seconds per request in each round.

    >>> summarize({"raw": [1.0, 2.0], "asgikit": [3.0, 4.0]})["asgikit"]
    Row(seconds=3.0, ratio=3.0, median=2.5)
    """
    base = rounds[BASE]
    return {
        contender: Row(
            min(times),
            min(times) / min(base),
            statistics.median(mine / raw for mine, raw in zip(times, base, strict=True)),
        )
        for contender, times in rounds.items()
    }


def dump_rows(table: Table) -> dict[str, dict[str, list[float]]]:
    """Return a table as JSON values with four significant digits."""
    return {
        scenario: {
            contender: [float(f"{value:.4g}") for value in astuple(row)]
            for contender, row in rows.items()
        }
        for scenario, rows in table.items()
    }


def read_table(run: dict[str, Any]) -> Table:
    """Return the table of a saved run in process."""
    return {
        scenario: {contender: Row(*row) for contender, row in rows.items()}
        for scenario, rows in run["rows"].items()
    }
