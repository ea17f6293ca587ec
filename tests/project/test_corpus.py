"""Recorded inputs and their expected results, if they are beside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

RUNNER = ROOT.parent / "shared" / "corpus" / "run_corpus.py"

pytestmark = pytest.mark.skipif(not RUNNER.is_file(), reason="no corpus beside this checkout")


@pytest.mark.parametrize(
    "kind",
    [
        "query",
        "cookie",
        "url",
        "json",
        "headers_in",
        "header_out",
        "set_cookie",
        "redirect",
        "range",
        "disposition_out",
        "multipart",
        "urlencoded",
    ],
)
def test_recorded_input_gives_its_expected_result(kind: str) -> None:
    run = subprocess.run(
        [sys.executable, str(RUNNER), "--kind", kind, "-v"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
