"""The demo on each core of a machine: gunicorn manages workers, and each runs uvicorn.

gunicorn -c examples/scale/gunicorn_conf.py examples.demo:app
"""

from __future__ import annotations

import os

bind = "127.0.0.1:8000"
workers = int(os.environ.get("WORKERS", os.cpu_count() or 1))
worker_class = "uvicorn_worker.UvicornWorker"

# Load the app in each worker, so that workers share no state.
preload_app = False

# Seconds for open streams to end at the shutdown of a worker.
graceful_timeout = 10

# A worker that does not respond to its master for this many seconds is replaced. Slow clients
# do not delay that response.
timeout = 30

# Restart workers from time to time, at different times, to release leaked memory.
max_requests = 100_000
max_requests_jitter = 10_000
