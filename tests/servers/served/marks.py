"""How an app tells the test what happened in it: files in its working directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgikit import Request


class Marks:
    """A file that grows by a line for everything that happens."""

    def __init__(self, name: str) -> None:
        self._path = Path(name)

    def add(self, line: object) -> None:
        """Write one more line."""
        with self._path.open("a") as file:
            file.write(f"{line}\n")


def marks_of(request: Request) -> Marks:
    """The file that the query of ``request`` names."""
    return Marks(request.query_params["marks"])
