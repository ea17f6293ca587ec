"""Measures asgikit: `python -m benchmarks [COMMAND] --help`.

Without a command in process, against raw ASGI and the peers. The commands are:

- `wire`: through servers and sockets, under load;
- `growth`: time and memory as what is sent doubles;
- `start`: the time of the import, and the memory of a worker at rest;
- `instructions`: instructions a request, and whether they rose.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS = ("wire", "growth", "start", "instructions")


def main(arguments: list[str]) -> int:
    """Run one command."""
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in COMMANDS:
            print(f"{arguments[0]} is not a command: {', '.join(COMMANDS)}", file=sys.stderr)
            return 2
        command, *rest = arguments
        # A command imports what the others do without.
        module = importlib.import_module(f"benchmarks.{command}")
    else:
        rest = arguments
        module = importlib.import_module("benchmarks.in_process")
    return int(module.main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
