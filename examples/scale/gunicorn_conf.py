"""The demo on each core of a machine: gunicorn manages workers, and each runs uvicorn.

gunicorn -c examples/scale/gunicorn_conf.py examples.demo:app
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped,unused-ignore]
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped,unused-ignore]

if TYPE_CHECKING:
    import socket


class Server(uvicorn.Server):
    """uvicorn, which ends the event streams also if it stops without a signal."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.should_exit:
            # After `max_requests` requests, there is no signal that sets the `Shutdown` of the app.
            signal.raise_signal(signal.SIGTERM)
        await super().shutdown(sockets)


class Worker(UvicornWorker):  # type: ignore[misc,unused-ignore] # it has no types
    """A worker that stops by itself, before gunicorn kills it."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - declared by uvicorn-worker
        **UvicornWorker.CONFIG_KWARGS,
        # Seconds that open requests have at the end of the worker; then uvicorn cancels them, and
        # ends the lifespan. Less than `graceful_timeout` and `timeout`.
        "timeout_graceful_shutdown": 8,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


bind = "127.0.0.1:8000"
workers = int(os.environ.get("WORKERS", os.cpu_count() or 1))
worker_class = Worker

# Load the app in each worker, so that workers share no state.
preload_app = False

# Seconds from SIGTERM until gunicorn kills a worker with SIGKILL.
graceful_timeout = 10

# A worker that does not respond to its master for this many seconds is killed. Slow clients do not
# delay that response, but a worker that stops does not respond any more.
timeout = 30

# Restart workers from time to time, at different times, to release leaked memory.
max_requests = 100_000
max_requests_jitter = 10_000
