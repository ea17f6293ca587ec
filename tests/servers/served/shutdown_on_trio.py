"""A program that serves ``shutdown:app`` with hypercorn on Trio, which handles no SIGTERM."""

from __future__ import annotations

import signal
import sys
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from .shutdown import app, shutdown


def stop(_number: int, _frame: object) -> None:
    shutdown.set()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    trio.run(partial(serve, app, config, shutdown_trigger=shutdown.wait))
