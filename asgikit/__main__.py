"""``python -m asgikit``: versions, and whether another project's files lie over ours."""

from __future__ import annotations

import platform
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib import metadata

__all__: list[str] = []

DISTRIBUTION = "asgikit-http"
#: Another project on PyPI, which has our import name.
OTHER = "asgikit"
DEPENDENCIES = ("anyio", "multidict", "orjson", "python-multipart")


def find_version(distribution: str) -> str | None:
    """Give the version that is installed; ``None`` where there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def find_strangers(distribution: str) -> list[str]:
    """Name the files of ``distribution`` that are missing, or not as they were installed."""
    strangers: list[str] = []
    for file in metadata.files(distribution) or ():
        if file.hash is None or file.hash.mode != "sha256":
            continue
        try:
            content = file.read_binary()
        except OSError:
            strangers.append(str(file))
            continue
        digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode("ascii")
        if digest != file.hash.value:
            strangers.append(str(file))
    return strangers


def main() -> int:
    """Print what is here; the exit status is 1 where something is wrong with it."""
    version = find_version(DISTRIBUTION)
    lines = [
        f"{DISTRIBUTION} {version or 'is not installed'}",
        f"Python {platform.python_version()} on {platform.system()}",
        *(f"{name} {find_version(name) or 'is not installed'}" for name in DEPENDENCIES),
    ]
    other = find_version(OTHER)
    strangers = find_strangers(DISTRIBUTION) if version else []
    if other is not None:
        lines.append(
            f"Warning: another project, {OTHER} {other}, is installed under the same import name. "
            f"Uninstall both, then install {DISTRIBUTION} again."
        )
    if strangers:
        lines.append(f"Warning: not as {DISTRIBUTION} {version} has them: {', '.join(strangers)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if other is not None or strangers else 0


if __name__ == "__main__":
    sys.exit(main())
