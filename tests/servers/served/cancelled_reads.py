"""An upload whose reads are cancelled again and again."""

from __future__ import annotations

from hashlib import sha256

import anyio

from asgikit import JSONResponse, Request, request_response


@request_response
async def app(request: Request) -> JSONResponse:
    digest = sha256()
    size = cancelled = 0
    async for part in request.parts():
        chunks = aiter(part)
        while True:
            # Short enough to end within a wait, and within the work between two waits.
            with anyio.move_on_after(0.0002 * (cancelled % 7)) as scope:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
                digest.update(chunk)
                size += len(chunk)
                # Without a wait in between, a chunk that was handed over is counted.
            cancelled += scope.cancelled_caught
    return JSONResponse({"size": size, "sha256": digest.hexdigest(), "cancelled": cancelled})
