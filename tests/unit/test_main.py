"""``python -m asgikit`` reports versions and damaged installations."""

from __future__ import annotations

import base64
import hashlib
import runpy
import sys
from pathlib import Path

import pytest

from asgikit import __main__


def install(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """Write the files of a distribution as pip does."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    record = []
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        record.append(f"{file},sha256={digest.decode()},{len(content)}")
    record.append(f"{info.name}/RECORD,,")  # it cannot hold its own hash
    (info / "RECORD").write_text("\n".join(record))


FILES = {"asgikit/__init__.py": b"ours", "asgikit/app.py": b"ours too"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # First in the path, so that it hides the distribution that runs the tests.
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "asgikit-http", FILES)
    return tmp_path


def test_report_contains_versions(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main() == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "asgikit-http 1.2"
    assert lines[1].startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}")
    assert any(line.startswith("orjson ") for line in lines)


def test_report_warns_of_another_project_with_the_import_name(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "asgikit", {"asgikit/__init__.py": b"theirs"})

    assert __main__.main() == 1
    output = capsys.readouterr().out
    assert "another project, asgikit 1.2, is installed" in output
    assert "these files differ from asgikit-http 1.2: asgikit/__init__.py" in output


def test_report_names_missing_files(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "asgikit/app.py").unlink()

    assert __main__.main() == 1
    assert "1.2: asgikit/app.py" in capsys.readouterr().out


def test_report_of_a_checkout_says_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "DISTRIBUTION", "asgikit-nowhere")

    assert __main__.main() == 0
    assert capsys.readouterr().out.startswith("asgikit-nowhere is not installed\n")


def test_report_runs_as_a_module(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asgikit.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("asgikit", run_name="__main__")
    assert ended.value.code == 0
