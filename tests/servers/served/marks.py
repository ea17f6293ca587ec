"""Marks: lines that an app writes to a file, and that its test reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgikit import Request


class Marks:
    """A file of marks in the working directory of the server."""

    def __init__(self, name: str) -> None:
        self._path = Path(name)

    def add(self, line: object) -> None:
        """Append a line."""
        with self._path.open("a") as file:
            file.write(f"{line}\n")


def marks_of(request: Request) -> Marks:
    """Return the file named by the query parameter ``marks``."""
    return Marks(request.query_params["marks"])
