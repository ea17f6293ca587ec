"""Which files this process has open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_paths_below(path: Path) -> list[str]:
    """Give the names below ``path``, or of it, that a descriptor of this process leads to."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # the one that listed the others
            continue
    return [link for link in links if link.startswith(str(path))]
