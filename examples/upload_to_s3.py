"""Send an upload to S3-compatible storage as it arrives, with the multipart upload of S3.

BUCKET=http://127.0.0.1:9000/bucket uvicorn examples.upload_to_s3:app
curl -F file=@README.md http://127.0.0.1:8000/

Only one block of a file is held in memory. If the storage requires signatures, pass an `auth=` that
signs requests to the client.
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
BLOCK = 5 * MiB  # bytes; the minimum of S3, except for the last block


@asynccontextmanager
async def lifespan() -> AsyncGenerator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(base_url=os.environ["BUCKET"], timeout=60) as client:
        yield {"bucket": client}


async def blocks(part: Part) -> AsyncGenerator[bytes]:
    """Yield a file in blocks of ``BLOCK`` bytes and a shorter last one; at least one block."""
    block = bytearray()
    async for chunk in part:
        block += chunk
        while len(block) > BLOCK:
            yield bytes(block[:BLOCK])
            del block[:BLOCK]
    yield bytes(block)


async def send(
    bucket: httpx.AsyncClient,
    method: str,
    key: str,
    params: dict[str, str],
    content: bytes | str = b"",
) -> httpx.Response:
    try:
        response = await bucket.request(method, key, params=params, content=content)
    except httpx.TransportError as error:
        raise HTTPError(502, "The storage cannot be reached.") from error
    # S3 may report an error after a status of 200.
    if not response.is_success or "<Error>" in response.text:
        raise HTTPError(502, f"The storage returned status {response.status_code}.")
    return response


async def store(bucket: httpx.AsyncClient, key: str, part: Part) -> None:
    """Store a file under a key; if that fails, abort the multipart upload."""
    created = await send(bucket, "POST", key, {"uploads": ""})
    upload = {"uploadId": re.findall("<UploadId>(.+?)</UploadId>", created.text)[0]}
    try:
        tags: list[str] = []
        async with aclosing(blocks(part)) as cut:
            async for block in cut:
                number = {"partNumber": str(len(tags) + 1)}
                put = await send(bucket, "PUT", key, {**number, **upload}, block)
                tags.append(put.headers["etag"])
        await send(bucket, "POST", key, upload, list_parts(tags))
    except BaseException:
        # Also after a disconnect: blocks of an unfinished upload cost money.
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
            key = os.urandom(16).hex()  # not the file name of the client
            await store(request.state.bucket, key, part)
            keys[part.filename] = key
    if not keys:
        raise BadRequest("Send a file: curl -F file=@name")
    return JSONResponse({"stored": keys}, 201)
