"""The public names of the top-level package."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import tomllib

import pytest

import asgikit
from asgikit import _lazy
from tests.support.paths import ROOT

WRAPPERS = {"request_response", "to_asgi"}
RESPONSES = {
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "ProblemResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
}
REQUEST = {
    "Address",
    "Headers",
    "Limits",
    "DEFAULT_LIMITS",
    "MutableHeaders",
    "QueryParams",
    "Request",
    "State",
    "URL",
}
ERRORS = {
    "BadRequest",
    "BodyConsumed",
    "ClientDisconnect",
    "ContentLengthMismatch",
    "ContentTooLarge",
    "HTTPError",
    "InvalidForm",
    "InvalidHeader",
    "InvalidJSON",
    "PreconditionFailed",
    "RangeNotSatisfiable",
    "RequestTimeout",
    "ResponseStarted",
    "UnsupportedMediaType",
}
TYPES = {"ASGIApp", "Message", "Receive", "Scope", "Send"}


@pytest.mark.parametrize("name", sorted(WRAPPERS | RESPONSES | REQUEST | ERRORS | TYPES))
def test_documented_name_is_public(name: str) -> None:
    assert name in asgikit.__all__
    assert hasattr(asgikit, name)


def test_all_has_no_duplicate_and_no_private_name() -> None:
    assert len(set(asgikit.__all__)) == len(asgikit.__all__)
    assert [name for name in asgikit.__all__ if name.startswith("_")] == []


@pytest.mark.parametrize("name", asgikit.__all__)
def test_public_name_is_that_of_its_module(name: str) -> None:
    value = getattr(asgikit, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        home = importlib.import_module(value.__module__)
        assert home.__name__.startswith("asgikit.")
        assert name in home.__all__
        assert getattr(home, name) is value


def test_public_classes_and_functions_have_docstrings() -> None:
    values = [getattr(asgikit, name) for name in asgikit.__all__]
    documented = [value for value in values if inspect.isclass(value) or inspect.isfunction(value)]

    assert [value.__name__ for value in documented if not inspect.getdoc(value)] == []


def test_import_loads_no_server_and_no_framework() -> None:
    peers = ["uvicorn", "hypercorn", "daphne", "granian", "starlette", "trio", "httpx", "pytest"]
    program = (
        "import sys, asgikit, asgikit.testing\n"
        f"sys.exit(', '.join(name for name in {peers} if name in sys.modules) or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_version_is_that_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert asgikit.__version__ == project["version"]
    assert "__version__" in dir(asgikit)


def test_version_of_a_checkout_that_is_not_installed_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lazy = _lazy.lazy_names("asgikit", {}, distribution="a-distribution-that-is-not-installed")
    monkeypatch.delitem(vars(asgikit), "__version__", raising=False)

    assert lazy("__version__") == _lazy.UNKNOWN_VERSION


def test_import_does_not_read_the_version() -> None:
    program = "import sys, asgikit; sys.exit('importlib.metadata' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path = {sys.path}\n{program}"], check=False
    )

    assert done.returncode == 0
