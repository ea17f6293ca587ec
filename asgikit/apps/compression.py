"""Compressed answers (:rfc:`9110`, section 8.4), for apps that know nothing of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from asgikit.exceptions import ContentLengthMismatch
from asgikit.http.conditional import parse_etag, parse_etag_list
from asgikit.http.content_coding import CODINGS, Encoder, make_encoder
from asgikit.http.framing import format_length, has_content
from asgikit.http.grammar import find_header, parse_digits, split_list
from asgikit.http.negotiation import prefer_codings
from asgikit.runtime.threads import run_blocking_io
from asgikit.scopes import extensions
from asgikit.types import ASGIApp, Message, RawHeaders, Scope, Send

__all__ = ["Compress"]

#: Bytes that are compressed on the event loop, which takes some 5 ms at the worst; more than these
#: are compressed in a thread.
INLINE = 64 * 1024
#: Bytes that are compressed at a time: what a client that leaves is waited for.
SLICE = 256 * 1024

# What a file in the server's own hands would get past us.
_SENDFILE = frozenset({"http.response.pathsend", "http.response.zerocopysend"})

# What tells of the very bytes as they are (RFC 9530), or that they are coded already.
_BINDING = frozenset(
    {b"content-digest", b"content-encoding", b"content-md5", b"digest", b"repr-digest"}
)

# What is not true of a body that is encoded.
_OF_PLAIN = frozenset({b"accept-ranges", b"content-length"})

# What does not get smaller: whole types, those among them that do, and some others.
_DENSE_TYPES = frozenset({b"audio", b"font", b"image", b"multipart", b"video"})
_SPARSE = frozenset(
    {
        b"font/collection",
        b"font/otf",
        b"font/sfnt",
        b"font/ttf",
        b"image/bmp",
        b"image/svg+xml",
        b"image/vnd.microsoft.icon",
        b"image/x-icon",
    }
)
_DENSE = frozenset(
    {
        b"application/font-woff",
        b"application/gzip",
        b"application/java-archive",
        b"application/octet-stream",
        b"application/pdf",
        b"application/vnd.rar",
        b"application/x-7z-compressed",
        b"application/x-bzip",
        b"application/x-bzip2",
        b"application/x-gzip",
        b"application/x-rar-compressed",
        b"application/x-xz",
        b"application/zip",
        b"application/zstd",
    }
)
_DENSE_STARTS = (
    # It codes each message by itself, and its clients know no other coding.
    b"application/grpc",
    b"application/vnd.oasis.opendocument.",
    b"application/vnd.openxmlformats-officedocument.",
)


class Compress:
    """An ASGI app that compresses what another one answers, by the client's Accept-Encoding.

    What is left as it is: what is short, partial, or coded already; what says ``no-transform`` or
    has a digest of its bytes; and media types that do not get smaller, such as images. A body of
    one message gets its new Content-Length, or stays as it is where that would not be less. One of
    several is sent as it comes: what a message brings reaches the client at once, so that the
    events of a stream are compressed too. More than 64 KiB are compressed in a thread.

    A compressed answer has a weak entity tag, since its bytes are not those that the app named
    (:rfc:`9110`, section 8.8.3), and offers no ranges. Each answer that might have been compressed
    has ``Vary: Accept-Encoding``. Files that the server would send by itself go through the app
    where the client accepts a coding.

    Compression tells the length of what repeats itself: where an answer has a secret in it, such as
    a token against forged requests, beside what an attacker can put there, its length gives the
    secret away bit by bit (BREACH). Leave such answers out by ``Cache-Control: no-transform``, or
    mask the secret anew each time.

    Args:
        app: an ASGI 3 app.
        minimum_size: bytes below which a body that is known whole is not worth it.
        codings: to choose from, the best one first; those there are where absent: zstd, br where
            its package is installed, gzip.
        levels: of a coding, by its name, in the place of ours: gzip 6, br 4, zstd 3.

    Raises:
        ValueError: a coding is not known here, or has no such level; ``minimum_size`` is negative.

    >>> from asgikit import PlainTextResponse, to_asgi
    >>> @Compress
    ... @to_asgi
    ... def app(scope):
    ...     return PlainTextResponse("Hello!" * 100)
    """

    __slots__ = ("_app", "_codings", "_levels", "_minimum_size")

    def __init__(
        self,
        app: ASGIApp,
        *,
        minimum_size: int = 500,
        codings: Sequence[str] | None = None,
        levels: Mapping[str, int] | None = None,
    ) -> None:
        if minimum_size < 0:
            raise ValueError(f"minimum_size must not be negative, but is {minimum_size!r}")
        self._app: ASGIApp = app
        self._minimum_size = minimum_size
        if codings is None:
            # Some take deflate for something else (section 8.4.1.2); whoever has it has gzip.
            codings = [coding for coding in CODINGS if coding != "deflate"]
        self._codings = tuple(codings)
        self._levels: dict[str, int] = {**(levels or {})}
        for coding in (*self._codings, *self._levels):
            make_encoder(coding, self._levels.get(coding))

    def __repr__(self) -> str:
        return f"Compress({self._app!r})"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        answer = _Answer(self, scope, send)
        offered = extensions(scope)
        if not _SENDFILE.isdisjoint(offered) and self.choose(scope) is not None:
            kept = {name: value for name, value in offered.items() if name not in _SENDFILE}
            scope = {**scope, "extensions": kept}
        await self._app(scope, receive, answer)
        await answer.end()
        return None

    def choose(self, scope: Scope) -> str | None:
        """Give the coding that the client would rather have than none."""
        accept = find_header(scope["headers"], b"accept-encoding")
        preferred = prefer_codings(accept, self._codings)
        return preferred[0] if preferred else None

    def is_short(self, size: int) -> bool:
        """Tell whether ``size`` bytes are not worth it."""
        return size < self._minimum_size

    def make_encoder(self, coding: str) -> tuple[Encoder, bool]:
        """Make what encodes one answer, and tell whether it is slow."""
        level = self._levels.get(coding, CODINGS[coding].level)
        return make_encoder(coding, level), level >= CODINGS[coding].slow


class _Answer:
    """``send``, and what of one answer has been sent through it."""

    __slots__ = (
        "_coding",
        "_compress",
        "_encoder",
        "_is_slow",
        "_left",
        "_scope",
        "_send",
        "_start",
        "_take",
    )

    # Of an answer that is encoded.
    _coding: str
    _encoder: Encoder
    _is_slow: bool

    def __init__(self, compress: Compress, scope: Scope, send: Send) -> None:
        self._compress = compress
        self._scope = scope
        self._send = send
        self._take: Send = self._take_start
        self._start: Message | None = None  # kept for the body
        self._left: int | None = None  # of what Content-Length promised, in bytes

    def __call__(self, message: Message) -> Awaitable[None]:
        # What is not compressed costs a call, and no coroutine.
        return self._take(message)

    async def end(self) -> None:
        """Send the start of an answer that the app has broken off."""
        if self._start is not None:
            await self._send(self._start)

    async def _take_start(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._take = self._send
            headers = [(name.lower(), value) for name, value in message.get("headers") or ()]
            if _may_be_compressed(message["status"], headers):
                message = {**message, "headers": _add_vary(headers)}
                await self._begin(message, dict(headers))
                return
        await self._send(message)

    async def _begin(self, start: Message, fields: dict[bytes, bytes]) -> None:
        """Send the start of an answer that may be compressed, or keep it for the body."""
        status = start["status"]
        if status == 304:
            start["headers"] = self._weaken_as_asked(start["headers"], fields)
        elif (
            has_content(status)
            and status != 206
            and b"content-range" not in fields
            and self._chooses(fields)
        ):
            if self._scope["method"] == "HEAD":
                # As to GET, but for the length, which nobody knows (section 9.3.2).
                start = _encoded(start, self._coding)
            elif _essence(fields.get(b"content-type", b"")) != b"text/event-stream":
                self._start = start
                self._take = self._take_first
                return
            else:
                # A client waits for the start, perhaps long before there is an event.
                start = self._begin_stream(start)
        await self._send(start)

    def _weaken_as_asked(self, headers: RawHeaders, fields: dict[bytes, bytes]) -> RawHeaders:
        """Give a 304 the tag that the client has, of an answer that was compressed."""
        own = parse_etag(fields.get(b"etag", b"").decode("latin-1"))
        for name, value in self._scope["headers"]:
            if name == b"if-none-match" and own is not None:
                tags = parse_etag_list(value.decode("latin-1")).tags
                if own not in tags and own._replace(weak=True) in tags:
                    return [_weaken(field) for field in headers]
        return headers

    def _chooses(self, fields: dict[bytes, bytes]) -> bool:
        """Choose a coding, if there is one that the client takes and that is worth it."""
        length = fields.get(b"content-length")
        self._left = None if length is None else parse_digits(length.decode("latin-1"))
        if self._left is not None and self._compress.is_short(self._left):
            return False
        coding = self._compress.choose(self._scope)
        if coding is not None:
            self._coding = coding
        return coding is not None

    def _begin_stream(self, start: Message) -> Message:
        self._encoder, self._is_slow = self._compress.make_encoder(self._coding)
        self._take = self._take_chunk
        return _encoded(start, self._coding)

    async def _take_first(self, message: Message) -> None:
        """Take the first message after the start, which tells how to go on."""
        start: Any = self._start
        self._start = None
        is_body = message["type"] == "http.response.body"
        if is_body and message.get("more_body", False):
            await self._send(self._begin_stream(start))
            await self._take_chunk(message)
            return
        self._take = self._send
        if is_body:
            body: bytes = message.get("body", b"")
            self._count(len(body), ends=True)
            if not self._compress.is_short(len(body)):
                coded = await self._encode_whole(body)
                if len(coded) < len(body):
                    start = _encoded(start, self._coding)
                    if not start.get("trailers", False):
                        # HTTP/1.1 has trailers after chunks alone (RFC 9112, section 7.1.2).
                        start["headers"].append(format_length(len(coded)))
                    message = {**message, "body": coded}
        await self._send(start)
        await self._send(message)

    async def _encode_whole(self, body: bytes) -> bytes:
        self._encoder, self._is_slow = self._compress.make_encoder(self._coding)
        if not self._is_slow and len(body) <= INLINE:
            return self._encode(body, 0, self._encoder.finish)
        return b"".join([await work() for work in self._steps(body, self._encoder.finish)])

    async def _take_chunk(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        self._count(len(body), ends=not more)
        if not more:
            self._take = self._send
        elif not body:
            await self._send(message)
            return
        *steps, last = self._steps(body, self._encoder.flush if more else self._encoder.finish)
        for step in steps:
            coded = await step()
            if coded:
                await self._send({**message, "body": coded, "more_body": True})
        await self._send({**message, "body": await last()})

    def _count(self, size: int, *, ends: bool) -> None:
        """Hold the app to its Content-Length, of which the server will not know."""
        if self._left is not None:
            self._left -= size
            if self._left < 0 or (ends and self._left):
                raise ContentLengthMismatch(
                    "Content-Length promises another length than the body's, which is "
                    f"{abs(self._left)} bytes too {'long' if self._left < 0 else 'short'}"
                )

    def _steps(self, body: bytes, end: Callable[[], bytes]) -> list[Callable[[], Awaitable[bytes]]]:
        """Give what there is to do for a part of the body, in steps that take some milliseconds."""
        run = run_blocking_io if self._is_slow or len(body) > INLINE else _run_here
        return [
            partial(run, self._encode, body, start, end)
            for start in range(0, len(body) or 1, SLICE)
        ]

    def _encode(self, body: bytes, start: int, end: Callable[[], bytes]) -> bytes:
        stop = start + SLICE
        coded = self._encoder.encode(body[start:stop])
        return coded if stop < len(body) else coded + end()


async def _run_here(function: Callable[..., bytes], *args: Any) -> bytes:
    return function(*args)


def _may_be_compressed(status: int, headers: RawHeaders) -> bool:
    """Tell whether an answer is one that may be compressed, for some client or other."""
    content_type: bytes | None = None
    length: bytes | None = None
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
        elif name in _BINDING or (name == b"cache-control" and b"no-transform" in value.lower()):
            return False
    if content_type is not None:
        return _is_sparse(content_type)
    # Many do not tell their type, and a 304 does not tell that of what it stands for (section
    # 15.4.5); but a redirect has no content.
    return status == 304 or (has_content(status) and length != b"0")


def _is_sparse(content_type: bytes) -> bool:
    """Tell whether a media type is of content that gets smaller."""
    essence = _essence(content_type)
    if essence in _DENSE or essence.endswith(b"+zip") or essence.startswith(_DENSE_STARTS):
        return False
    return essence.partition(b"/")[0] not in _DENSE_TYPES or essence in _SPARSE


def _essence(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip(b" \t").lower()


def _add_vary(headers: RawHeaders) -> RawHeaders:
    """Have caches look at Accept-Encoding (section 12.5.5)."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"vary"]
    if not lines:
        return [*headers, (b"vary", b"Accept-Encoding")]
    names = [name for line in lines for name in split_list(line)]
    if any(name.lower() in ("*", "accept-encoding") for name in names):
        return headers
    vary = ", ".join([*names, "Accept-Encoding"]).encode("latin-1")
    return [*(field for field in headers if field[0] != b"vary"), (b"vary", vary)]


def _encoded(start: Message, coding: str) -> Message:
    """Give the start of an answer as it is where the body is encoded."""
    headers = [_weaken(field) for field in start["headers"] if field[0] not in _OF_PLAIN]
    headers.append((b"content-encoding", coding.encode("ascii")))
    return {**start, "headers": headers}


def _weaken(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = field
    return (name, b"W/" + value) if name == b"etag" and value.startswith(b'"') else field
