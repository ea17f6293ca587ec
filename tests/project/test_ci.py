"""The paths, sessions and Python versions that the CI files name exist."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests.project.pages import read_table
from tests.support.paths import ROOT

CI_RUN = ROOT / ".ci" / "run"
NOXFILE = ROOT / "noxfile.py"
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]

#: Sessions that `.ci/run` does not call, and why.
NOT_IN_CI_RUN = {"newest": "the environment of .ci/run has the newest versions already"}

FOLDERS = "asgikit|benchmarks|docs|examples|tests"
#: Matches `tests/unit`, but not the end of a longer path or URL.
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w")
#: Matches a module of the project, such as `tests.project.works_with`.
MODULE = re.compile(rf"\"((?:{FOLDERS})(?:\.\w+)+)\"")


def find_sessions() -> dict[str, str | None]:
    """Return the docstring of each session of the noxfile, by the session's name."""
    sessions = {}
    for node in ast.parse(NOXFILE.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if ast.unparse(decorator).startswith("nox.session"):
                named = re.search(r"name='([^']+)'", ast.unparse(decorator))
                sessions[named[1] if named else node.name] = ast.get_docstring(node)
    return sessions


def find_called_sessions() -> list[str]:
    """Return the names of the sessions that `.ci/run` calls, in order."""
    text = CI_RUN.read_text(encoding="utf-8")
    return " ".join(re.findall(r"^ *sessions ([\w -]+)$", text, re.MULTILINE)).split()


@pytest.mark.parametrize("file", [CI_RUN, NOXFILE, PYPROJECT, WORKFLOW], ids=lambda path: path.name)
def test_each_path_in_a_ci_file_exists(file: object) -> None:
    text = (ROOT / str(file)).read_text(encoding="utf-8")
    modules = [each.replace(".", "/") for each in MODULE.findall(text) if "_logging" not in each]

    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []
    assert [
        path
        for path in modules
        if not (ROOT / path).with_suffix(".py").is_file()
        and not (ROOT / path / "__main__.py").is_file()
    ] == []


def test_path_patterns_find_paths_and_modules() -> None:
    assert PATH.findall('run("tests/unit", "x/tests/a", "docs/mkdocs.yml")') == [
        "tests/unit",
        "docs/mkdocs.yml",
    ]
    assert MODULE.findall('("-m", "tests.fuzz")') == ["tests.fuzz"]


def test_ci_run_calls_each_session_once() -> None:
    assert sorted([*find_called_sessions(), *NOT_IN_CI_RUN]) == sorted(find_sessions())


def test_each_session_has_a_docstring_of_one_line() -> None:
    assert [name for name, doc in find_sessions().items() if not doc or "\n" in doc] == []


def test_workflow_calls_existing_sessions() -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    called = set(re.findall(r"nox -s ([\w-]+)", text))
    matrix = re.search(r"session: \[(.*)\]", text)

    assert matrix is not None
    assert called | set(matrix[1].split(", ")) == {"tests", "lowest", "newest"}
    assert {"tests", "lowest", "newest"} <= find_sessions().keys()


def test_release_is_published_by_a_short_lived_token() -> None:
    text = RELEASE.read_text(encoding="utf-8")
    publish = text.partition("  publish:\n")[2].partition("\n  announce:")[0]

    assert re.findall(r"permissions:\n +(.+)", publish) == ["id-token: write"]
    assert "pypa/gh-action-pypi-publish@" in publish
    assert not re.search(r"password|secrets\.|_TOKEN", publish)
    assert f"https://pypi.org/project/{PROJECT['name']}/" in publish


def test_versions_page_lists_the_pythons_of_the_classifiers() -> None:
    rows = read_table(
        (ROOT / "docs" / "pages" / "versions.md").read_text().partition("## Pythons")[2]
    )

    assert [row[0] for row in rows[1:]] == [
        each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each
    ]


def test_workflow_tests_the_python_versions_of_the_classifiers() -> None:
    matrix = re.search(r"python: \[(.*)\]", WORKFLOW.read_text(encoding="utf-8"))
    classifiers = PROJECT["classifiers"]
    prefix = "Programming Language :: Python :: 3."

    assert matrix is not None
    assert re.findall(r'"(.*?)"', matrix[1]) == [
        each.removeprefix(prefix[:-2]) for each in classifiers if each.startswith(prefix)
    ]
