"""Count instructions per request with callgrind: `python -m benchmarks instructions`.

Other processes do not change the counts, so a test can compare them with the baseline in
`instructions.json`. `--write` writes a new baseline.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import callgrind, report
from benchmarks.in_process import ENVIRONMENT, ROOT
from benchmarks.options import make_parser
from benchmarks.results import BASE, OURS

BASELINE = Path(__file__).parent / "instructions.json"
#: The factor by which a count may rise.
MAX_RISE = 1.05
# Make the growth and the copying of memory blocks in glibc reproducible.
_MEMORY = {
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1073741824",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


def interpreter() -> dict[str, str]:
    """Return the properties of the interpreter on which counts depend."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "implementation": platform.python_implementation(),
        "architecture": platform.machine(),
    }


@dataclass
class Counts:
    """Instructions per request, by contender and scenario."""

    counts: dict[str, dict[str, int]]
    interpreter: dict[str, str]

    @classmethod
    def read(cls) -> Counts:
        """Read the baseline."""
        return cls(**json.loads(BASELINE.read_text()))


def find_obstacle() -> str | None:
    """Return the reason why instructions cannot be counted here, or ``None``."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed (package valgrind of Debian)"
    if not callgrind.is_supported():
        return f"the client requests of {platform.machine()} are not known"
    return None


def count(contender: str) -> dict[str, int]:
    """Count the instructions of a contender, without those of the harness.

    Raises:
        RuntimeError: valgrind failed, or a part is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "benchmarks.callgrind", contender]
        # The address of the stack depends on the size of the environment, so it is minimal.
        bytecode = {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        environment = {"PATH": os.environ["PATH"], **bytecode, **ENVIRONMENT, **_MEMORY}

        def run(*command: str) -> None:
            finished = subprocess.run(
                command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
            )
            if finished.returncode:
                raise RuntimeError(f"callgrind: {finished.returncode}, {finished.stderr[-2000:]}")

        # Write the bytecode first: compilation under valgrind is slow and changes the heap.
        run(*program)
        output = f"--callgrind-out-file={folder}/part"
        run("valgrind", "--tool=callgrind", "--instr-atstart=no", output, *program)
        texts = [path.read_text(errors="replace") for path in Path(folder).glob("part*")]
    parts = dict(part for text in texts if (part := callgrind.read_part(text)))
    missing = {*callgrind.COUNTED} - {*parts}
    if missing:
        raise RuntimeError(f"callgrind wrote no part for {', '.join(missing)}")
    return {
        name: round((parts[name] - parts[f"floor:{name}"]) / requests)
        for name, requests in callgrind.COUNTED.items()
    }


def measure() -> Counts:
    """Count raw and asgikit at the same time."""
    with ThreadPoolExecutor() as threads:
        found = threads.map(count, (BASE, OURS))
        return Counts(dict(zip((BASE, OURS), found, strict=True)), interpreter())


def find_rises(old: Counts, new: Counts) -> list[str]:
    """Return the scenarios in which the count of asgikit rose by more than :data:`MAX_RISE`.

    Another build of the same Python changes all counts. The code of raw is constant, so its
    counts show by which factor.
    """
    build = statistics.median(
        new.counts[BASE][name] / before for name, before in old.counts[BASE].items()
    )
    found = []
    for name, before in old.counts[OURS].items():
        after = new.counts[OURS][name]
        factor = after / before / build
        if factor > MAX_RISE:
            found.append(
                f"{name}: from {before:,} to {after:,} instructions, {(factor - 1) * 100:+.1f} % "
                f"(this build of Python: {(build - 1) * 100:+.1f} %)"
            )
    return found


def lines(old: Counts | None, new: Counts) -> report.Lines:
    """Return the table of counts and changes."""
    found = [["scenario", "raw", "asgikit", "ratio", "baseline", "change"]]
    for name, ours in new.counts[OURS].items():
        base = new.counts[BASE][name]
        before = old.counts[OURS].get(name) if old else None
        change = [f"{before:,}", f"{(ours / before - 1) * 100:+.1f} %"] if before else ["", ""]
        found.append([name, f"{base:,}", f"{ours:,}", f"{ours / base:.2f}", *change])
    return found


def main(arguments: list[str]) -> int:
    """Count, and compare with the baseline; the exit status is 1 if a count rose."""
    options = make_parser("instructions", __doc__, write=False).parse_args(arguments)
    if obstacle := find_obstacle():
        print(obstacle)
        return 2
    old = Counts.read() if BASELINE.exists() else None
    new = measure()
    report.show("Instructions per request", lines(old, new))
    if options.write:
        BASELINE.write_text(json.dumps(asdict(new), indent=1) + "\n")
        return 0
    if old is None or old.interpreter != new.interpreter:
        print("no baseline for this version of Python on this architecture")
        return 2
    found = find_rises(old, new)
    print("\n".join(found))
    return 1 if found else 0
