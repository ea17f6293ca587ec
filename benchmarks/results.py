"""What a run gave: kept as JSON with the versions and the machine, and set against raw."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

FOLDER = Path(__file__).parent / "results"
BASE = "raw"
OURS = "asgikit"
#: Seconds of one request, by scenario, contender and round.
Times: TypeAlias = dict[str, dict[str, list[float]]]

_DISTRIBUTIONS = (
    "asgikit-http",
    *("anyio", "multidict", "orjson", "python-multipart"),
    *("starlette", "baize", "falcon", "blacksheep", "litestar", "quart"),
    *("uvloop", "uvicorn", "httptools", "granian"),
)


def versions() -> dict[str, str]:
    """Give the version of all that takes part, as far as it is installed."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Tell what it was measured on."""
    processor = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": processor,
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def now() -> str:
    """Give the time of a run."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Run:
    """One run in process.

    Attributes:
        times: seconds of one request, by scenario, contender and round.
        floor: seconds that measuring takes of each request, by scenario.
        wrong: answers that were not right, in words; such pairs have no times.
    """

    times: Times = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    when: str = field(default_factory=now)
    machine: dict[str, Any] = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read what :meth:`save` wrote."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Row:
    """One contender in one scenario.

    Attributes:
        best: seconds of one request in the contender's fastest round.
        ratio_of_minima: that, over raw's.
        median_of_ratios: the median, over the rounds, of this round's time over raw's in the same.
    """

    scenario: str
    contender: str
    best: float
    ratio_of_minima: float
    median_of_ratios: float


def rows(times: Times) -> list[Row]:
    """Set every contender against raw, scenario by scenario.

    >>> rows({"a": {"raw": [1.0, 2.0], "x": [3.0, 4.0]}})[1].ratio_of_minima
    3.0
    """
    return [
        Row(
            scenario,
            contender,
            best=min(seconds),
            ratio_of_minima=min(seconds) / min(contenders[BASE]),
            median_of_ratios=statistics.median(
                mine / raw for mine, raw in zip(seconds, contenders[BASE], strict=True)
            ),
        )
        for scenario, contenders in times.items()
        for contender, seconds in contenders.items()
    ]


@dataclass(frozen=True)
class Change:
    """What became of one ratio between two runs, as factors: below 1 is faster now.

    Attributes:
        is_real: both ratios moved the same way, and by more than noise does.
    """

    scenario: str
    contender: str
    before: float
    after: float
    by_minima: float
    by_medians: float

    @property
    def is_real(self) -> bool:
        noise = 1.05
        low, high = sorted((self.by_minima, self.by_medians))
        return low > noise or high < 1 / noise


def changes(old: Times, new: Times) -> list[Change]:
    """Compare what two runs have in common."""
    before = {(row.scenario, row.contender): row for row in rows(old)}
    return [
        Change(
            row.scenario,
            row.contender,
            was.ratio_of_minima,
            row.ratio_of_minima,
            row.ratio_of_minima / was.ratio_of_minima,
            row.median_of_ratios / was.median_of_ratios,
        )
        for row in rows(new)
        if (was := before.get((row.scenario, row.contender))) and row.contender != BASE
    ]
