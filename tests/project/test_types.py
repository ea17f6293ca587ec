"""mypy, pyright and ty accept right uses of the public API, and refuse wrong ones."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SAMPLES = ROOT / "tests" / "project" / "typing"
NAMES = sorted(path.name for path in SAMPLES.glob("*.py"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def mypy(path: Path, cache: Path) -> set[int]:
    """Return the lines of ``path`` in which mypy reports errors."""
    done = run("mypy", "--cache-dir", str(cache), "--no-error-summary", str(path))
    name = str(path.relative_to(ROOT))
    lines = re.findall(rf"^{re.escape(name)}:(\d+): error: ", done.stdout, re.MULTILINE)
    others = [line for line in done.stdout.splitlines() if not line.startswith(name)]
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert others == []
    return set(map(int, lines))


def pyright(path: Path) -> set[int]:
    """Return the lines of ``path`` in which pyright reports errors."""
    done = run("pyright", "--outputjson", "--pythonpath", sys.executable, str(path))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {entry["range"]["start"]["line"] + 1 for entry in found if entry["severity"] == "error"}


def ty(path: Path) -> set[int]:
    """Return the lines of ``path`` in which ty reports errors."""
    name = str(path.relative_to(ROOT))
    done = run("ty", "check", "--python", sys.prefix, "--output-format", "concise", name)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return set(map(int, re.findall(rf"^{re.escape(name)}:(\d+):", done.stdout, re.MULTILINE)))


def marked(path: Path) -> set[int]:
    """Return the lines of ``path`` that are marked as errors."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("name", NAMES)
def test_mypy_reports_errors_in_marked_lines_only(name: str, mypy_cache: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")

    assert mypy(SAMPLES / name, mypy_cache) == marked(SAMPLES / name)


@pytest.mark.parametrize("name", NAMES)
def test_pyright_reports_errors_in_marked_lines_only(name: str) -> None:
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    # pyright runs on Node, and downloads one if there is none.
    if shutil.which("node") is None and "CI" not in os.environ:
        pytest.skip("pyright needs Node")

    assert pyright(SAMPLES / name) == marked(SAMPLES / name)


@pytest.mark.parametrize("name", NAMES)
def test_ty_reports_errors_in_marked_lines_only(name: str) -> None:
    if importlib.util.find_spec("ty") is None:
        pytest.skip("ty is not installed")

    assert ty(SAMPLES / name) == marked(SAMPLES / name)


def test_samples_have_accepted_and_refused_lines() -> None:
    assert marked(SAMPLES / "accepted.py") == set()
    assert len(marked(SAMPLES / "refused.py")) > 5
