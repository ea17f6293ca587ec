"""Run the fuzzer: ``python -m tests.fuzz [SECONDS [FOLDER OF BODIES]...]``; a minute by default.

The initial corpus are the bodies of the unit tests. Findings are printed, and no file is left. If
atheris is not installed, only a notice is printed.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.form_bodies import CONTENT_TYPE, VALID

# Words that random mutation would find late.
WORDS = [
    "--X", "\\x0d\\x0a--X\\x0d\\x0a", "\\x0d\\x0a--X--", "\\x0d\\x0a\\x0d\\x0a", "\\x00\\x0a",
    "Content-Disposition: form-data; name=", "; filename=", "; filename*=UTF-8''", "\\x22", "\\x5c",
    "Content-Type: ", "; charset=", "iso-8859-1", "windows-1252", "%22", "%C3%A9", "&", "=", "%",
    "multipart/form-data; boundary=", "application/x-www-form-urlencoded",
]  # fmt: skip


def main(seconds: str = "60", *folders: str) -> int:
    """Fuzz for ``seconds``, also from the bodies in ``folders``; return the exit status."""
    if find_spec("atheris") is None:
        print("atheris is not installed: no target was fuzzed")  # noqa: T201 - a program
        return 0
    with TemporaryDirectory() as folder:
        findings, bodies, words = (Path(folder) / part for part in ("findings", "bodies", "words"))
        findings.mkdir()
        bodies.mkdir()
        for number, (data, _) in enumerate(VALID.values()):
            (bodies / f"{number}").write_bytes(data)
            (bodies / f"{number}-typed").write_bytes(CONTENT_TYPE.encode() + b"\0\n" + data)
        words.write_text("".join([f'"{word}"\n' for word in WORDS]), "ascii")
        options = {
            "max_total_time": seconds,
            "max_len": 8192,
            "timeout": 10,
            "print_final_stats": 1,
            "verbosity": 0,
            "artifact_prefix": f"{findings}/",
            "dict": words,
        }
        run = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.fuzz_multipart"),
                *[f"-{name}={value}" for name, value in options.items()],
                *(str(bodies), *folders),
            ],
            check=False,
        )
        for finding in findings.iterdir():
            print(f"{finding.name}: {finding.read_bytes()!r}")  # noqa: T201
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
