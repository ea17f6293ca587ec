"""The content of requests and responses, equal for all contenders."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

KiB = 1024
MiB = 1024 * KiB

GREETING = "Hello, benchmark!"
RECORD = {"id": 7, "title": "A small record", "open": False, "rate": 0.25}
QUERY = {"term": "two words", "sort": "-date", "page": "3", "per_page": "25"}


def catalogue(count: int) -> dict[str, Any]:
    """Return a document of about 150 bytes per article as JSON."""
    return {
        "articles": [
            {
                "number": f"A-{number:04}",
                "title": f"Article {number} of the catalogue",
                "price": number * 0.75,
                "in_stock": number % 4 > 0,
                "groups": ["garden", "tools", "steel"],
                "remark": None if number % 3 else "Sold by the pair.",
            }
            for number in range(count)
        ],
        "page": 3,
    }


CATALOGUE = catalogue(72)
CATALOGUE_100K = catalogue(670)
COOKIES = {
    "sid": "Zk3vN1q8Rw5yT0uB7xLm2cHd9",
    "xsrf": "b81c2f6e0d9a4735",
    "lang": "en-GB",
    "seen": "1731500000",
    "ab": "control",
}
# The headers of a desktop browser.
HEADERS = {
    "host": "shop.example.org",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.7,fr;q=0.3",
    "accept-encoding": "gzip, deflate, br, zstd",
    "referer": "https://shop.example.org/catalogue?page=2",
    "connection": "keep-alive",
    "cookie": "; ".join(f"{name}={value}" for name, value in COOKIES.items()),
    "upgrade-insecure-requests": "1",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "priority": "u=0, i",
}
ONE_HEADER = "sec-fetch-mode"
COOKIE_PARTS = {"sid=0f1e2d3c4b5a", "max-age=1800", "path=/", "secure", "httponly", "samesite=lax"}


def order(count: int) -> tuple[int, bytes]:
    """Return the lines of an order and its JSON, of about 70 bytes per line."""
    document = {
        "customer": {"number": 40017, "name": "Ines Hallström", "newsletter": True},
        "lines": [
            {"article": f"A-{number:04}", "pieces": number, "price": 3.5 * number, "gift": None}
            for number in range(1, count + 1)
        ],
        "remark": "Ring twice, the bell is old. " * 4,
    }
    return count, json.dumps(document, ensure_ascii=False).encode()


ORDER = order(14)
ORDER_100K = order(1480)

# A checkout form: short values, some with percent-encoded characters.
FORM_BODY = (
    b"given_name=Ines&family_name=Hallstr%C3%B6m&company=Hallstr%C3%B6m+%26+Daughters&"
    b"street=12+Mill+Lane&street_2=second+floor&postcode=411+03&city=G%C3%B6teborg&country=SE&"
    b"phone=%2B46+31+555+0100&email=ines%40example.org&newsletter=on&delivery=parcel-shop&"
    b"day=2026-03-14&slot=08%3A00-12%3A00&voucher=SPRING-26&payment=invoice&"
    b"reference=PO+7741%2Fb&gift=no&note=Ring+twice%2C+the+bell+is+old%3B+the+dog+is+not.&"
    b"step=4"
)
FORM = dict(parse_qsl(FORM_BODY.decode()))

TEXTS = {
    "title": "The bridge at dawn",
    "caption": "Taken from the east bank, before the fog was gone; handheld. " * 4,
    "album": "travel/2026",
    "licence": "CC-BY-4.0",
    "token": "b81c2f6e0d9a4735b81c2f6e0d9a4735",
}
BOUNDARY = "----benchmark7hT3kQ9zVb2LxW5p"
FORM_TYPE = "application/x-www-form-urlencoded"
MULTIPART_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
MESSAGE_SIZE = 64 * KiB  # bytes of a body in one ASGI message

CHUNK = b"piece of a stream, " * 53 + b"1 KiB long, 17 by"
CHUNKS = 100
EVENTS = 100
EVENT_TEXT = "one step further on a way of a hundred steps"
# About 10 KB.
ARTICLE = " ".join(
    f"Paragraph {number * 7919 % 1000} says, as {number} before it did, that it was not the first."
    for number in range(155)
)

FOLDER = Path(tempfile.gettempdir()) / f"asgikit-benchmarks-{getattr(os, 'getuid', int)()}"
SMALL_FILE = FOLDER / "small.bin"
SMALL_SIZE = 100 * KiB
LARGE_FILE = FOLDER / "large.bin"
LARGE_SIZE = 50 * MiB
STATIC_FOLDER = FOLDER / "static"
STATIC_FILE = STATIC_FOLDER / "static.css"
STATIC_CONTENT = b"a{}" * 3000


def create_files() -> None:
    """Write the files that the contenders serve, unless they exist."""
    STATIC_FOLDER.mkdir(parents=True, exist_ok=True)
    sizes = {SMALL_FILE: SMALL_SIZE, LARGE_FILE: LARGE_SIZE, STATIC_FILE: len(STATIC_CONTENT)}
    for path, size in sizes.items():
        if not path.exists() or path.stat().st_size != size:
            content = STATIC_CONTENT if path == STATIC_FILE else random.Random(size).randbytes(size)
            # Another process may do the same: each writes a file of its own and renames it.
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(content)
            unfinished.replace(path)


def multipart(texts: dict[str, str], file: bytes) -> bytes:
    """Format a multipart body as a browser does: text fields, then one file."""
    heads = [f'form-data; name="{name}"\r\n\r\n{value}' for name, value in texts.items()]
    heads.append('form-data; name="file"; filename="dawn.jpg"\r\nContent-Type: image/jpeg\r\n\r\n')
    parts = "\r\n".join(f"--{BOUNDARY}\r\nContent-Disposition: {head}" for head in heads)
    return b"%s%s\r\n--%s--\r\n" % (parts.encode(), file, BOUNDARY.encode())


def split(body: bytes) -> tuple[bytes, ...]:
    """Split a body as servers do."""
    return tuple(body[start : start + MESSAGE_SIZE] for start in range(0, len(body), MESSAGE_SIZE))


@lru_cache(maxsize=1)
def upload(size: int, *, texts: bool = False) -> tuple[bytes, ...]:
    """Return a multipart body in messages; only the last result is cached, as it may be large."""
    body = multipart(TEXTS if texts else {}, random.Random(size).randbytes(size))
    return split(body)


async def chunks() -> AsyncIterator[bytes]:
    """Yield the chunks of a stream."""
    for _ in range(CHUNKS):
        yield CHUNK


def sync_chunks() -> Iterator[bytes]:
    """Yield the same chunks from a sync generator."""
    for _ in range(CHUNKS):
        yield CHUNK


async def event_data() -> AsyncIterator[tuple[str, str]]:
    """Yield the id and the data of each server-sent event."""
    for number in range(EVENTS):
        yield str(number), f"{EVENT_TEXT} {number}"


async def waiting_event_data() -> AsyncIterator[tuple[str, str]]:
    """Yield the same, and wait before each event."""
    async for number, data in event_data():
        await asyncio.sleep(0)
        yield number, data


async def idle_event_data() -> AsyncIterator[tuple[str, str]]:
    """Yield one event, and wait without an end."""
    yield "0", EVENT_TEXT
    await asyncio.get_running_loop().create_future()
