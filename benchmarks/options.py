"""The options of the commands."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

_HELP = {
    "only": "prefixes of names, separated by commas",
    "against": "prefixes of peers, separated by commas",
    "servers": "prefixes of servers, separated by commas",
    "python": "paths of interpreters, separated by commas",
    "clients": "number of clients",
    "points": "number of sizes",
    "rounds": "number of rounds",
    "seconds": "seconds of a round",
    "seed": "seed of the random order",
    "save": "write the results and the pages",
    "write": "write a new baseline",
}


def make_parser(command: str, description: str | None, **defaults: Any) -> ArgumentParser:
    """Return a parser of options with these defaults; one that is ``False`` is a flag."""
    parser = ArgumentParser(prog=f"python -m benchmarks {command}", description=description)
    for name, default in defaults.items():
        if default is False:
            parser.add_argument(f"--{name}", action="store_true", help=_HELP[name])
        else:
            text = f"{_HELP[name]} ({default})" if default else _HELP[name]
            parser.add_argument(f"--{name}", type=type(default), default=default, help=text)
    return parser
