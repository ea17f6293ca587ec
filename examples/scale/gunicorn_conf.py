"""The demo on every core of a machine: gunicorn keeps the workers, uvicorn runs in each.

gunicorn -c examples/scale/gunicorn_conf.py examples.demo:app
"""

from __future__ import annotations

import os

bind = "127.0.0.1:8000"
workers = int(os.environ.get("WORKERS", os.cpu_count() or 1))
worker_class = "uvicorn_worker.UvicornWorker"

# Each worker makes what it needs after it was forked; nothing is shared with the others.
preload_app = False

# Seconds that open streams have to end when a worker is told to go.
graceful_timeout = 10

# A worker that does not answer its master for so long, in seconds, is replaced. Slow clients are no
# reason: it answers while it waits for them.
timeout = 30

# Memory that some C library leaks goes back now and then, not from all workers at once.
max_requests = 100_000
max_requests_jitter = 10_000
