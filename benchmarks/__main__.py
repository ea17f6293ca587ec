"""Measure asgikit: `python -m benchmarks [COMMAND] --help`.

Without a command, the benchmark runs in process, against raw ASGI and the installed peers. The
commands are:

- `wire`: through servers and sockets, under load;
- `growth`: time and memory while the size of a request doubles;
- `idle`: memory of idle clients behind a server;
- `instructions`: instructions per request, compared with a baseline;
- `versions`: in process on other versions of Python;
- `peers`: create the environment of the peers that need one of their own.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS = ("wire", "growth", "idle", "instructions", "versions", "peers")


def main(arguments: list[str]) -> int:
    """Run one command, and return its exit status."""
    command, rest = "in_process", arguments
    if arguments and not arguments[0].startswith("-"):
        command, *rest = arguments
        if command not in COMMANDS:
            print(f"{command} is not a command: {', '.join(COMMANDS)}", file=sys.stderr)
            return 2
    # Each command imports only its own dependencies.
    return int(importlib.import_module(f"benchmarks.{command}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
