"""Serve a folder, with ranges, preconditions and index pages.

FOLDER=docs uvicorn examples.file_server:app
curl -r 0-99 http://127.0.0.1:8000/mkdocs.yml

Compressed files (`name.br`, `name.zst`, `name.gz`) are sent to clients that accept them.
"""

from __future__ import annotations

import os

from asgikit import StaticFiles

app = StaticFiles(
    os.environ.get("FOLDER", "."),
    html=True,
    cache_control="public, max-age=60",
    immutable=r"\.[0-9a-f]{8,}\.\w+$",  # names that change with their content
)
