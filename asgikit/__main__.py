"""``python -m asgikit``: print versions, and report files of another project of the same name."""

from __future__ import annotations

import csv
import platform
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib import metadata
from io import StringIO
from pathlib import Path

__all__: list[str] = []

DISTRIBUTION = "asgikit-http"
#: Another project on PyPI with the same import name.
OTHER = "asgikit"
DEPENDENCIES = ("anyio", "multidict", "orjson", "python-multipart")


def find_version(distribution: str) -> str | None:
    """Return the installed version of a distribution; ``None`` if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def find_changed_files(distribution: str) -> list[str]:
    """Return the files of ``distribution`` that are missing, or differ from those installed."""
    changed: list[str] = []
    installed = metadata.distribution(distribution)
    # `installed.files` leaves out missing files since Python 3.12.
    for row in csv.reader(StringIO(installed.read_text("RECORD") or "")):
        name, recorded, *_ = row
        method, _, expected = recorded.partition("=")
        if method != "sha256":
            continue
        try:
            content = Path(str(installed.locate_file(name))).read_bytes()
        except OSError:
            changed.append(name)
            continue
        digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode("ascii")
        if digest != expected:
            changed.append(name)
    return changed


def main() -> int:
    """Print the report; return the exit status, which is 1 if the installation is damaged."""
    version = find_version(DISTRIBUTION)
    lines = [
        f"{DISTRIBUTION} {version or 'is not installed'}",
        f"Python {platform.python_version()} on {platform.system()}",
        *(f"{name} {find_version(name) or 'is not installed'}" for name in DEPENDENCIES),
    ]
    other = find_version(OTHER)
    changed = find_changed_files(DISTRIBUTION) if version else []
    if other is not None:
        lines.append(
            f"Warning: another project, {OTHER} {other}, is installed under the same import name. "
            f"Uninstall both, then install {DISTRIBUTION} again."
        )
    if changed:
        lines.append(
            f"Warning: these files differ from {DISTRIBUTION} {version}: {', '.join(changed)}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if other is not None or changed else 0


if __name__ == "__main__":
    sys.exit(main())
