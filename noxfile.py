"""The checks of asgikit: `nox -l` lists them, `nox -s ruff mypy` runs two of them.

A session installs its requirements, which pyproject.toml lists, into its own environment. With
`--no-venv` it uses the environment of nox and installs nothing. That environment needs
`pip install -e '.[test,docs,peers,bench]'`. `.ci/run` calls the sessions in this way. Arguments
after `--` replace the default arguments of a session.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox
from nox.project import load_toml
from packaging.requirements import Requirement

PROJECT = load_toml("pyproject.toml")["project"]
DEPENDENCIES: list[str] = PROJECT["dependencies"]
#: The requirements of the tests, and the peers that they compare with.
TESTED = ".[test,docs,peers]"
#: The requirements of all code that type checkers read.
EVERYTHING = ".[test,docs,peers,bench]"

#: Python versions beside the one that runs all tests.
OTHER_VERSIONS = ["3.12", "3.13", "3.14"]
#: The tests that run on them: unit tests without timings, and some server tests.
BRIEF_TESTS = (
    "tests/unit", "--ignore=tests/unit/test_attacks.py", "--ignore=tests/unit/http/test_growth.py",
    *("-m", "not property", "tests/servers/test_minimal_app.py", "tests/servers/test_exchanges.py"),
    *("tests/servers/test_cancelled_reads.py", "tests/servers/test_disconnects.py"),
)  # fmt: skip
#: Requirements of the ``test`` extra that these tests do not import.
NOT_FOR_BRIEF_TESTS = {
    "a2wsgi", "anthropic", "atheris", "build", "coverage", "django", "fastapi", "gunicorn",
    "httpx-sse", "itsdangerous", "jinja2", "litestar", "mangum", "mcp", "mypy", "nox", "openai",
    "opentelemetry-instrumentation-asgi", "opentelemetry-sdk", "prometheus-client", "pydantic",
    "pyright", "pytest-cov", "redbot", "redis", "ruff",
    "selenium", "sentry-sdk", "strawberry-graphql", "structlog", "twine", "ty", "uvicorn-worker",
    "werkzeug",
}  # fmt: skip

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["ruff", "format", "mypy", "tests"]

#: Whether this run of nox has run all tests: `works-with` and `coverage` do not repeat them.
finished = set[str]()


def install(session: nox.Session, *arguments: str) -> None:
    """Run ``pip install`` in the environment of the session; with ``--no-venv``, do nothing."""
    if session.venv_backend != "none":
        session.install(*arguments)


def requirement(name: str) -> str:
    """Return the requirement of the distribution ``name`` in the ``test`` extra."""
    extra: list[str] = PROJECT["optional-dependencies"]["test"]
    return next(each for each in extra if Requirement(each).name == name)


def find_python(session: nox.Session) -> str:
    """Return the interpreter of the session's environment."""
    return sys.executable if session.venv_backend == "none" else str(Path(session.bin, "python"))


def run_module(session: nox.Session, *arguments: str, **env: str) -> None:
    """Run ``python -m`` with ``arguments``, with ``env`` added to the environment variables."""
    session.run(find_python(session), "-m", *arguments, env=env, external=True)


def run_all_tests(session: nox.Session) -> Path:
    """Run the whole suite once in a run of nox, and return the file of the tests' outcomes."""
    outcomes = session.cache_dir / "outcomes.json"
    if "tests" not in finished:
        finished.add("tests")
        run_module(
            session, "pytest", "-q", "--cov", "--cov-report=", "--cov-fail-under=0",
            *("-p", "tests.project.works_with", "--outcomes", str(outcomes)),
        )  # fmt: skip
    return outcomes


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests and measure their coverage; `-- PATH` runs the tests in PATH only."""
    install(session, "-e", TESTED)
    if session.posargs:
        run_module(session, "pytest", *session.posargs)
    else:
        run_all_tests(session)


@nox.session(python=False)
@nox.parametrize("version", OTHER_VERSIONS)
def versions(session: nox.Session, version: str) -> None:
    """Run the unit tests and some server tests on other versions of Python; skip missing ones."""
    folder = session.cache_dir.resolve() / f"python{version}"
    found = session.run(
        sys.executable, "-m", "tests.project.pythons", version, str(folder / "debian"),
        silent=True, stderr=None, external=True,
    )  # fmt: skip
    interpreter = str(found or "").strip()
    if not interpreter:
        session.skip(f"There is no Python {version}, and Debian's packages are not available.")
    session.run(interpreter, "-m", "venv", "--without-pip", str(folder / "venv"), external=True)
    python = str(folder / "venv" / "bin" / "python")
    extra: list[str] = PROJECT["optional-dependencies"]["test"]
    needed = [each for each in extra if Requirement(each).name not in NOT_FOR_BRIEF_TESTS]
    run_module(session, "pip", "--python", python, "install", "--quiet", "-e", ".", *needed)
    session.run(
        python, "-m", "pytest", "-q", *(session.posargs or BRIEF_TESTS),
        env={"HYPOTHESIS_PROFILE": "brief"}, external=True,
    )  # fmt: skip


@nox.session(venv_backend="venv")
def ray(session: nox.Session) -> None:
    """Run the demo on Ray Serve, in an environment of its own: Ray takes 200 MB."""
    needed = ("httpx", "hypothesis", "pytest", "pytest-xdist", "trio")
    session.install("-e", ".[scale]", *map(requirement, needed))
    run_module(
        session, "pytest", "-q", "--numprocesses=0",
        *("tests/project/test_example_scale.py", "-k", "ray"),
    )  # fmt: skip


@nox.session(name="works-with")
def works_with(session: nox.Session) -> None:
    """Compare the README's tables of servers and hosts with the outcomes of the tests."""
    install(session, "-e", TESTED)
    outcomes = session.cache_dir / "outcomes.json"
    if "tests" not in finished:
        run_module(
            session, "pytest", "-q", "-p", "tests.project.works_with", "--outcomes", str(outcomes),
            "tests/servers", "tests/hosts",
        )  # fmt: skip
    run_module(session, "tests.project.works_with", str(outcomes), *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run all tests and report each line and branch of the package that none of them runs."""
    install(session, "-e", TESTED)
    run_all_tests(session)
    run_module(session, "coverage", "report", *session.posargs)


@nox.session
def ruff(session: nox.Session) -> None:
    """Lint; `-- --fix` applies the fixes of ruff."""
    install(session, requirement("ruff"))
    run_module(session, "ruff", "check", ".", *session.posargs)


@nox.session(name="format")
def check_format(session: nox.Session) -> None:
    """Check the format of the code; `-- .` rewrites it."""
    install(session, requirement("ruff"))
    run_module(session, "ruff", "format", *(session.posargs or ("--check", ".")))


@nox.session
def mypy(session: nox.Session) -> None:
    """Check the types of everything, tests included, with mypy --strict."""
    install(session, "-e", EVERYTHING)
    run_module(session, "mypy", *session.posargs)


@nox.session
def pyright(session: nox.Session) -> None:
    """Check the types of the package and the examples with pyright."""
    install(session, "-e", EVERYTHING, *node())
    python = find_python(session)
    run_module(session, "pyright", "--pythonpath", python, "--warnings", *session.posargs)


@nox.session(name="public-types")
def public_types(session: nox.Session) -> None:
    """Check that every public name has a complete type."""
    install(session, ".", requirement("pyright"), *node())
    with tempfile.TemporaryDirectory() as folder:
        # pyright reads the types of an installed package only, not those of an editable one.
        run_module(session, "pip", "install", "--quiet", "--no-deps", "--target", folder, ".")
        # With --verifytypes, pyright ignores --pythonpath and takes the first Python on the path.
        path = os.pathsep.join([str(Path(find_python(session)).parent), os.environ["PATH"]])
        arguments = ("--verifytypes", "asgikit", "--ignoreexternal")
        with session.chdir(folder):
            run_module(session, "pyright", *arguments, PATH=path, PYTHONPATH=folder)


def node() -> list[str]:
    """Return the wheel with Node, on which pyright runs, if Node is not installed."""
    return [] if shutil.which("node") else ["pyright[nodejs]"]


@nox.session
def ty(session: nox.Session) -> None:
    """Check the types of the examples as a user of ty sees them."""
    install(session, "-e", EVERYTHING)
    prefix = Path(find_python(session)).parent.parent
    run_module(
        session, "ty", "check", "--python", str(prefix),
        *("--exclude", "examples/scale/ray_serve.py"),
        "examples", "tests/project/typing/accepted.py",
    )  # fmt: skip


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, where each warning is an error; `-- serve` serves it instead."""
    install(session, "-e", ".[docs]")
    # A copy: zensical writes the site and its cache beside the configuration.
    copy = session.cache_dir.resolve() / "docs"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree("docs", copy, ignore=shutil.ignore_patterns("site", ".cache"))
    source = "docs" if session.posargs else copy
    arguments = session.posargs or ("build", "--strict")
    run_module(session, "zensical", *arguments, "-f", f"{source}/mkdocs.yml")


@nox.session
def dist(session: nox.Session) -> None:
    """Build the sdist and the wheel, and check that PyPI would render their metadata."""
    install(session, requirement("build"), requirement("twine"))
    with tempfile.TemporaryDirectory() as folder:
        run_module(session, "build", "--outdir", folder)
        files = sorted(map(str, Path(folder).iterdir()))
        run_module(session, "twine", "check", "--strict", *files)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the form parser for a minute; `-- SECONDS` for as long."""
    install(session, "-e", ".[test]")
    run_module(session, "tests.fuzz", *(session.posargs or ("60",)))


@nox.session
def properties(session: nox.Session) -> None:
    """Try the properties on 100 000 inputs each, for PROPERTY_SECONDS (300)."""
    install(session, "-e", TESTED)
    run_module(session, "tests.project.properties")


def run_unit_tests(session: nox.Session, *requirements: str) -> None:
    """Run the unit tests and the doctests with exactly these runtime dependencies."""
    if session.venv_backend == "none":
        session.error("This would change the dependencies of your environment: omit --no-venv.")
    session.install("-e", ".[test]")
    # Without their dependencies: the packages that the tests use may ask for other versions.
    session.install("--upgrade", "--no-deps", *requirements)
    run_module(session, "pytest", "-q", *(session.posargs or ("tests/unit", "asgikit")))


def pin_lowest(requirement: str) -> str:
    """Return ``name==version`` with the lowest version that ``requirement`` allows."""
    parsed = Requirement(requirement)
    (lowest,) = [each.version for each in parsed.specifier if each.operator == ">="]
    return f"{parsed.name}=={lowest}"


@nox.session(venv_backend="venv")
def lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest allowed version of each runtime dependency."""
    run_unit_tests(session, *map(pin_lowest, DEPENDENCIES))


@nox.session(venv_backend="venv")
def newest(session: nox.Session) -> None:
    """Run the unit tests with the newest allowed version of each runtime dependency."""
    run_unit_tests(session, *DEPENDENCIES)
