"""Instructions a request, by callgrind: `python -m benchmarks instructions`.

Neighbours on the machine do not change them, so that a rise can fail a test. The baseline is in
`instructions.json`; `--write` writes it anew.
"""

from __future__ import annotations

import argparse
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
from benchmarks.pool import ENVIRONMENT
from benchmarks.results import BASE, OURS

BASELINE = Path(__file__).parent / "instructions.json"
ROOT = Path(__file__).parent.parent
#: A count may rise by this factor.
MOST_RISE = 1.05
# Of glibc: how a block grows, and how it is copied, is to depend on nothing else.
_MEMORY = {
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1073741824",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


def interpreter() -> dict[str, str]:
    """Give what a count depends on, besides the code."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "implementation": platform.python_implementation(),
        "architecture": platform.machine(),
    }


@dataclass
class Counts:
    """Instructions of one request, by contender and scenario, and what they were counted on."""

    counts: dict[str, dict[str, int]]
    interpreter: dict[str, str]

    @classmethod
    def read(cls, path: Path = BASELINE) -> Counts:
        """Read the baseline."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path = BASELINE) -> None:
        """Write the baseline."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def why_not() -> str | None:
    """Tell why nothing can be counted here, if so."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed (Debian's package valgrind)"
    if not callgrind.is_supported():
        return f"no client requests are known for {platform.machine()}"
    return None


def count(contender: str) -> dict[str, int]:
    """Count the instructions of one contender's requests; what the harness takes is taken off.

    Raises:
        RuntimeError: valgrind failed, or has lost a part.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "benchmarks.callgrind", contender]
        environment = {
            # Nothing of ours: where the stack begins depends on how much there is.
            "PATH": os.environ["PATH"],
            "PYTHONPYCACHEPREFIX": f"{folder}/bytecode",
            **ENVIRONMENT,
            **_MEMORY,
        }

        def run(*command: str) -> None:
            finished = subprocess.run(
                command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
            )
            if finished.returncode:
                raise RuntimeError(f"callgrind: {finished.returncode}, {finished.stderr[-2000:]}")

        # Compiles: what is compiled under valgrind takes long, and leaves memory in another shape.
        run(*program)
        output = f"--callgrind-out-file={folder}/part"
        run("valgrind", "--tool=callgrind", "--instr-atstart=no", output, *program)
        texts = [path.read_text(errors="replace") for path in Path(folder).glob("part*")]
    parts = dict(part for text in texts if (part := callgrind.read_part(text)))
    lost = {*callgrind.COUNTED} - {*parts}
    if lost:
        raise RuntimeError(f"callgrind has lost {', '.join(lost)}")
    return {
        name: round((parts[name] - parts[f"floor:{name}"]) / requests)
        for name, requests in callgrind.COUNTED.items()
    }


def take() -> Counts:
    """Count asgikit, and raw for comparison, both at the same time."""
    with ThreadPoolExecutor() as threads:
        found = threads.map(count, (BASE, OURS))
        return Counts(dict(zip((BASE, OURS), found, strict=True)), interpreter())


def rises(old: Counts, new: Counts) -> list[str]:
    """Tell which scenarios of asgikit take more than they may.

    Another build of the same Python changes the count of any code: raw's, which nobody changes,
    tells by how much.
    """
    build = statistics.median(
        new.counts[BASE][name] / before for name, before in old.counts[BASE].items()
    )
    found = []
    for name, before in old.counts[OURS].items():
        after = new.counts[OURS][name]
        factor = after / before / build
        if factor > MOST_RISE:
            found.append(
                f"{name}: {before:,} instructions have become {after:,}, "
                f"{(factor - 1) * 100:+.1f} % (this build: {(build - 1) * 100:+.1f} %)"
            )
    return found


def lines(old: Counts | None, new: Counts) -> report.Lines:
    """Make the table."""
    made = [["scenario", "raw", "asgikit", "ratio", "baseline", "change"]]
    for name, ours in new.counts[OURS].items():
        base = new.counts[BASE][name]
        before = old.counts[OURS].get(name) if old else None
        change = f"{(ours / before - 1) * 100:+.1f} %" if before else ""
        made.append(
            [
                name,
                f"{base:,}",
                f"{ours:,}",
                f"{ours / base:.2f}",
                f"{before:,}" if before else "",
                change,
            ]
        )
    return made


def main(arguments: list[str]) -> int:
    """Count, and compare with the baseline; the status is 1 where a count rose too far."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks instructions", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the baseline")
    options = parser.parse_args(arguments)
    reason = why_not()
    if reason:
        print(reason)
        return 2
    old = Counts.read() if BASELINE.exists() else None
    new = take()
    report.show("Instructions a request", lines(old, new))
    if options.write:
        new.write()
        return 0
    if old is None or old.interpreter != new.interpreter:
        print("There is no baseline of this Python on this architecture.")
        return 2
    found = rises(old, new)
    for words in found:
        print(words)
    return 1 if found else 0
