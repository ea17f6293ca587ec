"""Write an upload to disk as it arrives, with its SHA-256 and its progress.

uvicorn examples.upload_to_disk:app
curl -F note=hello -F file=@README.md http://127.0.0.1:8000/

Only one chunk is held in memory. File names of the client are not used on the disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path

import anyio

from asgikit import BadRequest, JSONResponse, Limits, Part, Request, request_response

FOLDER = Path(os.environ.get("UPLOADS", tempfile.gettempdir())) / "uploads"
MiB = 1024 * 1024

logger = logging.getLogger(__name__)


async def store(part: Part, total: int | None) -> dict[str, object]:
    """Write a part to a file named by the hash of its content."""
    folder = anyio.Path(FOLDER)
    await folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{os.urandom(8).hex()}.part"
    digest = hashlib.sha256()
    size = 0
    try:
        async with await unfinished.open("xb") as file:
            async for chunk in part:
                await file.write(chunk)
                digest.update(chunk)
                if size // MiB < (size + len(chunk)) // MiB:
                    logger.info("%r: %d of %s bytes", part.filename, size + len(chunk), total)
                size += len(chunk)
        await unfinished.replace(folder / digest.hexdigest())
    finally:
        # Delete a partial file, also if the task is cancelled.
        with anyio.CancelScope(shield=True):
            await unfinished.unlink(missing_ok=True)
    return {"name": part.filename, "size": size, "sha256": digest.hexdigest()}


@request_response(limits=Limits(max_form_size=10 * 1024 * MiB))
async def app(request: Request) -> JSONResponse:
    notes = {}
    files = []
    async for part in request.parts():
        if part.filename is None:
            notes[part.name] = await part.text()
        elif part.filename:
            files.append(await store(part, request.content_length))
    if not files:
        raise BadRequest("Send a file: curl -F file=@name")
    return JSONResponse({"files": files, "notes": notes})
