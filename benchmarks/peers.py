"""Create the environment of asgi-tools and Lilya: `python -m benchmarks peers`.

Their dependencies exclude those of the others: asgi-tools needs multidict below 7. The folder is in
the checkout and has the version of Python in its name.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.contenders import PEERS, PEERS_PACKAGES
from benchmarks.options import make_parser


def main(arguments: list[str]) -> int:
    """Create the environment, or update it."""
    make_parser("peers", __doc__).parse_args(arguments)
    subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    python = str(PEERS / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS_PACKAGES], check=True)
    print(f"installed {', '.join(PEERS_PACKAGES)} in {PEERS}")
    return 0
