"""An upload that goes on to S3-style storage while it arrives, by a multipart upload of S3's own.

BUCKET=http://127.0.0.1:9000/bucket uvicorn examples.upload_to_s3:app
curl -F file=@large.iso http://127.0.0.1:8000/

One block of a file is held in memory, and nothing on disk. The storage has to take what comes from
here; for one that wants signatures, give the client an `auth=` that signs.
"""

from __future__ import annotations

import os
import re
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx

from asgikit import BadRequest, HTTPError, JSONResponse, Limits, Part, Request, request_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MiB = 1024 * 1024
BLOCK = 5 * MiB  # the least that S3 takes, but for the last one


@asynccontextmanager
async def lifespan() -> AsyncGenerator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(base_url=os.environ["BUCKET"], timeout=60) as client:
        yield {"bucket": client}


async def blocks(part: Part) -> AsyncGenerator[bytes]:
    """Cut a file into blocks of one size, the last one shorter; at least one."""
    block = bytearray()
    async for chunk in part:
        block += chunk
        while len(block) > BLOCK:
            yield bytes(block[:BLOCK])
            del block[:BLOCK]
    yield bytes(block)


async def ask(
    bucket: httpx.AsyncClient,
    method: str,
    key: str,
    params: dict[str, str],
    content: bytes | str = b"",
) -> httpx.Response:
    try:
        answer = await bucket.request(method, key, params=params, content=content)
    except httpx.TransportError as error:
        raise HTTPError(502, "The storage cannot be reached.") from error
    # S3 may find an error when it has said 200 already.
    if not answer.is_success or "<Error>" in answer.text:
        raise HTTPError(502, f"The storage answered {answer.status_code}.")
    return answer


async def store(bucket: httpx.AsyncClient, key: str, part: Part) -> None:
    """Store a file under a key: all of it, or nothing."""
    begun = await ask(bucket, "POST", key, {"uploads": ""})
    upload = {"uploadId": re.findall("<UploadId>(.+?)</UploadId>", begun.text)[0]}
    try:
        tags: list[str] = []
        async with aclosing(blocks(part)) as cut:
            async for block in cut:
                number = {"partNumber": str(len(tags) + 1)}
                put = await ask(bucket, "PUT", key, {**number, **upload}, block)
                tags.append(put.headers["etag"])
        await ask(bucket, "POST", key, upload, list_parts(tags))
    except BaseException:
        # Also where the client left half-way; else the blocks would be paid for.
        with anyio.move_on_after(10, shield=True):
            await bucket.delete(key, params=upload)
        raise


def list_parts(tags: list[str]) -> str:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
        for number, tag in enumerate(tags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"


@request_response(limits=Limits(max_form_size=10 * 1024 * MiB), lifespan=lifespan)
async def app(request: Request) -> JSONResponse:
    keys = {}
    async for part in request.parts():
        if part.filename:
            key = os.urandom(16).hex()  # a name of ours, never the client's
            await store(request.state.bucket, key, part)
            keys[part.filename] = key
    if not keys:
        raise BadRequest("Send a file: curl -F file=@name")
    return JSONResponse({"stored": keys}, 201)
