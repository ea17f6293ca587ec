"""REDbot checks the responses of served files for violations of HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.harness import SETUPS, Server, require

if TYPE_CHECKING:
    from pathlib import Path

SETUP = next(setup for setup in SETUPS if setup.name == "uvicorn-h11-asyncio")

# Time limit in seconds for its four requests.
BOUND = 60.0


@pytest.mark.parametrize("target", ["/send/app.js", "/static/app.js", "/static/plain.txt"])
def test_redbot_reports_no_bad_header_of_served_file(target: str, tmp_path: Path) -> None:
    require("redbot")
    files = tmp_path / "files"
    files.mkdir()
    (files / "app.js").write_text("let a = 1;\n" * 500)
    (files / "app.js.gz").write_bytes(bytes.fromhex("1f8b08000000000000030300000000000000000000"))
    (files / "plain.txt").write_text("plain\n" * 500)

    with Server(SETUP, "served.files:app", tmp_path) as server:
        found = check(f"http://127.0.0.1:{server.port}{target}")

    notes = {message["note_id"]: message["level"] for message in found}
    assert [note for note, level in notes.items() if level == "BAD"] == []
    assert notes.keys() >= {"RANGE_CORRECT", "INM_304", "IMS_304", "CL_CORRECT"}
    assert server.problems == []


def check(url: str) -> list[Any]:
    """Return the notes of REDbot about ``url``."""
    program = f"{sys.exec_prefix}/bin/redbot"
    done = subprocess.run(
        [program, "-o", "har", url], check=True, capture_output=True, timeout=BOUND
    )
    archive = json.loads(done.stdout)
    return [message for entry in archive["log"]["entries"] for message in entry["_red_messages"]]
