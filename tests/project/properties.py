"""Try each property on 100 000 inputs: ``python -m tests.project.properties``.

Each property runs in a process of its own, two at a time. Those marked ``promise`` run first, and
the others follow in random order. Those that have not started within ``PROPERTY_SECONDS`` seconds
(600 by default) are listed and left out.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.paths import ROOT

#: Seconds for one property.
TIMEOUT = 600
PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-header", "--numprocesses=0")


def collect(markers: str) -> list[str]:
    """Return the IDs of the tests that a marker expression selects.

    Raises:
        RuntimeError: pytest failed; the message is its output.
    """
    done = subprocess.run(
        [*PYTEST, "--collect-only", "-m", markers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"pytest cannot collect {markers!r}:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def run(test: str, deadline: float | None, timeout: float = TIMEOUT) -> tuple[str, bool]:
    """Run one property, unless ``deadline`` has passed.

    Args:
        test: its ID.
        deadline: by ``time.monotonic()``; ``None`` for none.
        timeout: seconds. A timeout is no failure: none of the inputs tried so far has failed.

    Returns:
        A line that tells the outcome, with the output of a failure; and whether it failed.
    """
    started = time.monotonic()
    if deadline is not None and started >= deadline:
        return f"{test}: NOT RUN, out of time", False
    try:
        done = subprocess.run(
            [*PYTEST, "--hypothesis-profile=full", test],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{test}: nothing found in {timeout:g} s", False
    if done.returncode:
        return f"{test}: FAILED\n{done.stdout}", True
    return f"{test}: ok, {time.monotonic() - started:.0f} s", False


def main() -> int:
    """Run the properties, and print the outcome of each; return 1 if one failed."""
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        selections = ("property and promise", "property and not promise")
        promises, others = pool.map(collect, selections)
        random.shuffle(others)
        deadline = started + float(os.environ.get("PROPERTY_SECONDS", "300"))
        jobs = [(test, deadline) for test in [*promises, *others]]
        failed = False
        for line, has_failed in pool.map(run, *zip(*jobs, strict=True)):
            print(line, flush=True)  # noqa: T201 - this is the program's output
            failed |= has_failed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
