"""The files that this process has open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_paths_below(path: Path) -> list[str]:
    """Return the open paths that start with ``path``, one for each file descriptor."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # the descriptor of /proc/self/fd itself
            continue
    return [link for link in links if link.startswith(str(path))]
