"""The demo on each core of a machine, with the workers of granian.

python -m examples.scale.granian_workers 8000
"""

from __future__ import annotations

import os
import sys

from granian import Granian
from granian.constants import Interfaces


def main() -> None:
    server = Granian(
        "examples.demo:app",
        port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000,
        interface=Interfaces.ASGI,
        workers=int(os.environ.get("WORKERS", os.cpu_count() or 1)),
        respawn_failed_workers=True,
        # Seconds for open streams to end at shutdown.
        workers_kill_timeout=10,
    )
    server.serve()


if __name__ == "__main__":
    main()
