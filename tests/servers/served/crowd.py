"""Streams for many clients, and ``/state``: the streams and descriptors that are open."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asgikit import JSONResponse, Request, Response, StreamingResponse, request_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK = b"x" * 1000
LARGE = CHUNK * 50


async def busy() -> AsyncGenerator[bytes]:
    """Yield a chunk every 50 ms."""
    while True:
        yield CHUNK
        await anyio.sleep(0.05)


async def idle() -> AsyncGenerator[bytes]:
    """Yield one chunk, then wait forever."""
    yield CHUNK
    await anyio.sleep_forever()


async def silent() -> AsyncGenerator[bytes]:
    """Wait forever before the first chunk."""
    await anyio.sleep_forever()
    yield CHUNK


async def unpaced() -> AsyncGenerator[bytes]:
    """Yield large chunks without a wait."""
    while True:
        yield LARGE


def in_thread() -> Generator[bytes]:
    """Yield a chunk every 50 ms, from a worker thread."""
    while True:
        yield CHUNK
        time.sleep(0.05)


STREAMS: dict[str, Callable[[], Any]] = {
    "busy": busy,
    "idle": idle,
    "silent": silent,
    "unpaced": unpaced,
    "in_thread": in_thread,
}
_codes = {function.__code__: name for name, function in STREAMS.items()}


def _open_streams() -> list[str]:
    """Return the names of the generators that are not closed."""
    names = []
    for thing in gc.get_objects():
        if isinstance(thing, AsyncGenerator | Generator):
            code = getattr(thing, "ag_code", None) or getattr(thing, "gi_code", None)
            frame = getattr(thing, "ag_frame", None) or getattr(thing, "gi_frame", None)
            if code in _codes and frame is not None:
                names.append(_codes[code])
    return names


def _open_descriptors() -> list[str]:
    links = []
    for name in os.listdir("/proc/self/fd"):
        # The descriptor of /proc/self/fd itself is closed by now.
        with suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return links


def _memory() -> int:
    """Return the private memory of this process in bytes."""
    kilobytes = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes[0]) * 1024


@request_response
async def app(request: Request) -> Response:
    """Respond with the stream that the path names; ``/state`` lists the open ones."""
    if request.path != "/state":
        return StreamingResponse(STREAMS[request.path[1:]]())
    gc.collect()
    return JSONResponse(
        {
            "streams": sorted(_open_streams()),
            "descriptors": len(_open_descriptors()),
            "tasks": len(asyncio.all_tasks()),
            "memory": _memory(),
        }
    )
