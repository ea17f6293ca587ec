"""The fuzz targets run, and they detect a fault."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import __main__ as runner
from tests.fuzz import fuzz_multipart
from tests.support.form_bodies import VALID


@pytest.mark.parametrize("name", VALID)
def test_target_accepts_valid_form(name: str) -> None:
    fuzz_multipart.check(VALID[name][0])


@pytest.mark.property
@given(st.sampled_from([data for data, _ in VALID.values()]), st.integers(0), st.binary())
def test_target_accepts_damaged_form(data: bytes, at: int, patch: bytes) -> None:
    start = at % len(data)
    fuzz_multipart.check(data[:start] + patch + data[start + len(patch) :])


@pytest.mark.property
@given(st.text(max_size=80), st.binary())
def test_target_accepts_each_content_type(content_type: str, data: bytes) -> None:
    fuzz_multipart.check(content_type.encode("latin-1", "replace") + b"\0\n" + data)


@pytest.mark.parametrize("data", [b"a=1&b=%41", b"&" * 100])
def test_target_accepts_urlencoded_form(data: bytes) -> None:
    fuzz_multipart.check(b"application/x-www-form-urlencoded\0\n" + data)


def test_target_reports_difference_between_chunkings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_multipart, "parse", lambda _, chunks: len(chunks))

    with pytest.raises(AssertionError, match="change the result"):
        fuzz_multipart.check(b"ab" * 50)


def test_runner_prints_findings_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        options = dict(word.split("=", 1) for word in command if word.startswith("-max_t"))
        assert options == {"-max_total_time": "5"}
        (findings,) = [Path(word.split("=")[1]) for word in command if "artifact_prefix" in word]
        assert len(list((findings.parent / "bodies").iterdir())) == 2 * len(VALID)
        assert command[-1] == "more"
        (findings / "crash-1").write_bytes(b"--X\0")
        folders.append(findings.parent)
        return subprocess.CompletedProcess(command, 77)

    monkeypatch.setattr(runner, "find_spec", lambda _: True)
    monkeypatch.setattr(subprocess, "run", run)

    assert runner.main("5", "more") == 77
    assert capsys.readouterr().out == "crash-1: b'--X\\x00'\n"
    assert not folders[0].exists()


def test_runner_without_atheris_prints_notice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda _: None)

    assert runner.main() == 0
    assert "no target was fuzzed" in capsys.readouterr().out
