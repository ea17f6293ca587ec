"""The sdist has the tests and the documentation, and the wheel runs in a new environment.

A build needs a package index and about ten seconds. It runs in CI, and if `PACKAGING=1` is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest

from asgikit.__main__ import DISTRIBUTION
from tests.project.snippets import blocks
from tests.servers.harness import require
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The files of the sdist outside of folders.
TOP_LEVEL = (
    ".ci/run", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md",
    "LICENSE", "README.md", "SECURITY.md", "noxfile.py", "pyproject.toml",
)  # fmt: skip

# Runs the first program of the README in the new environment, without a server.
HELLO = """
import asyncio
import asgikit
from asgikit.testing import exchange
from main import app

answer = asyncio.run(exchange(app, target="/?name=Ada"))
assert (answer.status_code, answer.body) == (200, b'{"hello":"Ada"}'), answer
print(asgikit.__file__)
"""


def test_metadata_have_name_classifiers_and_version() -> None:
    classifiers = PROJECT["classifiers"]

    assert PROJECT["name"] == DISTRIBUTION
    assert "Typing :: Typed" in classifiers
    assert (ROOT / "asgikit" / "py.typed").exists()
    assert classifiers == sorted(classifiers)
    version = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {version}" in classifiers


def test_dependency_has_lower_and_upper_bound() -> None:
    assert [each for each in PROJECT["dependencies"] if ">=" not in each or "<" not in each] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the sdist, and the wheel that was built from it."""
    if not os.environ.get("CI") and not os.environ.get("PACKAGING"):
        pytest.skip("set PACKAGING=1 to build it")
    require("build")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


def test_sdist_has_tests_and_documentation(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    ours = [ROOT / name for name in TOP_LEVEL]
    ours += (path for path in (ROOT / ".github").rglob("*") if path.is_file())
    for folder in ("asgikit", "benchmarks", "docs", "examples", "tests"):
        ours += (ROOT / folder).rglob("*.py")
    ours += (ROOT / "docs").rglob("*.md")
    ours += (ROOT / "examples").rglob("*.html")
    assert sorted({str(path.relative_to(ROOT)) for path in ours} - names) == []
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_wheel_has_the_package_only(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()

    package = {str(path.relative_to(ROOT)) for path in (ROOT / "asgikit").rglob("*.py")}
    assert {name for name in names if name.startswith("asgikit/")} == package | {"asgikit/py.typed"}
    assert {name.partition("/")[0] for name in names if not name.startswith("asgikit/")} == {
        f"asgikit_http-{PROJECT['version']}.dist-info"
    }


def test_wheel_runs_in_a_new_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (tmp_path / "main.py").write_text(blocks((ROOT / "README.md").read_text(), "python")[0])
    (tmp_path / "hello.py").write_text(HELLO)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    run(str(python), "-m", "pip", "install", "--quiet", str(wheel))
    assert str(tmp_path) in run(str(python), "-W", "error", "hello.py")
    versions = run(str(python), "-m", "asgikit")
    assert versions.startswith(f"{DISTRIBUTION} {PROJECT['version']}\n")
    assert "Warning" not in versions
