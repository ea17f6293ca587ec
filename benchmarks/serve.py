"""One contender behind a real server: `python -m benchmarks.serve SERVER CONTENDER PORT`."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from typing import Any

from benchmarks.contenders import load

CONTENDER = "BENCHMARKS_CONTENDER"


class Site:
    """All apps of a contender, each at its path."""

    def __init__(self, contender: str) -> None:
        self.contender = contender
        self.apps: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.apps[scope["path"]](scope, receive, send)
            return
        await receive()
        self.apps = {f"/{name}": app for name, app in (await load(self.contender)).items()}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


site = Site(os.environ.get(CONTENDER, "raw"))


def serve_uvicorn(port: int) -> None:
    uvicorn = importlib.import_module("uvicorn")
    uvicorn.run(
        site,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",
    )


def serve_granian(port: int) -> None:
    granian = importlib.import_module("granian")
    granian.Granian(
        "benchmarks.serve:site",
        port=port,
        interface="asgi",
        workers=1,
        loop="uvloop",
        http="1",
        websockets=False,
        log_level="error",
    ).serve()


SERVERS = {"uvicorn": serve_uvicorn, "granian": serve_granian}


def main() -> None:
    """Serve until a signal comes."""
    server, contender, port = sys.argv[1:]
    os.environ[CONTENDER] = site.contender = contender
    # Said here, where the traceback would be seen: a server's own worker may keep it.
    asyncio.run(load(contender))
    SERVERS[server](int(port))


if __name__ == "__main__":
    main()
