"""Interpreters of other Python versions, for the ``versions`` session of nox.

    python -m tests.project.pythons 3.14 FOLDER

This prints the path of an interpreter, or nothing if there is none. Interpreters of pyenv and those
on the path come first. Otherwise Debian's packages are unpacked into FOLDER: they are neither
installed nor do they run in a chroot. The interpreter is linked to the C library beside it, since
that of the machine may be older.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["find_interpreter", "unpack_debian"]

#: The releases of Debian that have a version.
RELEASES = {"3.13": "trixie", "3.14": "forky"}
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PROGRAMS = ("apt-get", "dpkg", "patchelf")

# An apt of its own, that knows of no installed package. The release file of a mirror
# may have expired; its signature is verified all the same.
APT_CONF = """\
Dir "{apt}";
Dir::Etc "{apt}";
Dir::State "{apt}";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
"""


def is_version(python: str | Path, version: str) -> bool:
    """Return whether ``python`` runs, has the modules of a whole build, and is of ``version``."""
    code = "import ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.strip() == version


def find_interpreter(version: str) -> Path | None:
    """Return an interpreter of ``version`` that is installed on this machine, or ``None``."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    # A shim of pyenv is on the path for each version, but runs only those that are enabled.
    found += map(Path, filter(None, [shutil.which(f"python{version}")]))
    return next((each for each in found if is_version(each, version)), None)


def unpack_debian(version: str, folder: Path) -> Path | None:
    """Download Debian's Python of ``version`` into ``folder``, and return its interpreter.

    Return ``None`` if Debian has none or cannot be reached, or if a program is missing.
    """
    release = RELEASES.get(version)
    if release is None or not all(map(shutil.which, PROGRAMS)):
        return None
    apt, root = folder / "apt", folder / "root"
    for name in ("apt.conf.d", "preferences.d", "lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "apt.conf").write_text(APT_CONF.format(apt=apt))
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {release} main\n")
    try:
        run(apt, "apt-get", "update")
        run(apt, "apt-get", "install", "--yes", "--download-only", f"python{version}")
        for package in (apt / "archives").glob("*.deb"):
            run(apt, "dpkg", "--extract", str(package), str(root))
        python = root / "usr" / "bin" / f"python{version}"
        loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
        run(
            apt, "patchelf", "--set-interpreter", str(loader),
            *("--force-rpath", "--set-rpath", str(loader.parent), str(python)),
        )  # fmt: skip
    except (OSError, StopIteration, subprocess.SubprocessError):
        return None
    return python if is_version(python, version) else None


def run(apt: Path, *command: str) -> None:
    """Run ``command`` with the apt of our own; its output goes to standard error."""
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
    subprocess.run(command, env=environment, stdout=sys.stderr, timeout=300, check=True)


if __name__ == "__main__":
    _, wanted, place = sys.argv
    chosen = find_interpreter(wanted) or unpack_debian(wanted, Path(place).resolve())
    sys.stdout.write(f"{chosen}\n" if chosen else "")
