"""Compressed responses (:rfc:`9110`, section 8.4) for any ASGI app.

A response is decided on in two steps. The start message tells whether it may be compressed at all,
and which coding the client accepts; it is held back. The first message of the body then tells the
kind of response:

- a complete body is compressed if that makes it smaller, and gets a new Content-Length;
- the first chunk of several starts a stream: each chunk is compressed, flushed and sent at once;
- any other message, such as a file that the server sends, passes with the start as it is.

:class:`_CompressedSend` keeps the step as its current handler of messages. Once nothing is left to
do for a response, that is the ``send`` of the server itself.
"""

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

#: Bytes that are compressed on the event loop, which takes 5 ms at most; a larger body is
#: compressed in a thread.
MAX_INLINE_SIZE = 64 * 1024
#: Bytes that are compressed in one step. A cancelled request waits for the end of the step.
STEP_SIZE = 256 * 1024

# Extensions by which the server sends a file itself, so that it could not be compressed.
_SENDFILE = frozenset({"http.response.pathsend", "http.response.zerocopysend"})

# Headers that describe the bytes as they are (RFC 9530), or that say they are coded already.
_BOUND_TO_BYTES = frozenset(
    {b"content-digest", b"content-encoding", b"content-md5", b"digest", b"repr-digest"}
)

# Headers that are wrong for a compressed body.
_OF_UNCOMPRESSED = frozenset({b"accept-ranges", b"content-length"})
# Headers that differ between a compressed body and an uncompressed one.
_OF_EITHER = _OF_UNCOMPRESSED | {b"etag"}

# Top-level types whose subtypes are compressed by their own format, except for a few.
_INCOMPRESSIBLE_TOP_LEVEL = frozenset({b"audio", b"font", b"image", b"multipart", b"video"})
_COMPRESSIBLE = frozenset(
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
_INCOMPRESSIBLE = frozenset(
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
        # An encoder of an idle client holds 91 KiB (gzip), 538 KiB (br) or 814 KiB (zstd), and
        # makes short events hardly smaller.
        b"text/event-stream",
    }
)
_INCOMPRESSIBLE_PREFIXES = (
    # gRPC compresses each message by itself, and its clients know no other coding.
    b"application/grpc",
    b"application/vnd.oasis.opendocument.",
    b"application/vnd.openxmlformats-officedocument.",
)


class Compress:
    """An ASGI app that compresses the responses of another app, by the client's Accept-Encoding.

    These responses are sent unchanged: shorter than ``minimum_size``; partial or coded already;
    with ``Cache-Control: no-transform`` or a digest of their bytes; with a media type that does not
    get smaller, such as images; and event streams, because an encoder for each idle client would
    hold up to 814 KiB.

    A complete body is compressed only if that makes it smaller, and gets a new Content-Length. The
    chunks of a stream are compressed and sent one by one, each as soon as it comes. More than
    64 KiB are compressed in a worker thread.

    A compressed response has a weak entity tag, because its bytes are not those that the app tagged
    (:rfc:`9110`, section 8.8.3), and offers no ranges. Every response that some client may get
    compressed has ``Vary: Accept-Encoding``. The response to a HEAD leaves out the headers that
    depend on whether a GET would be compressed (section 9.3.2). A file that the server could send
    itself is sent by the app instead if the client accepts a coding.

    If a response contains a secret, such as a CSRF token, beside text that an attacker chooses, its
    compressed length reveals the secret little by little (BREACH). Exclude such responses by
    ``Cache-Control: no-transform``, or mask the secret differently in each response.

    Args:
        app: An ASGI 3 app.
        minimum_size: Bytes below which a complete body is not compressed.
        codings: The codings to choose from, the preferred one first. By default zstd, br and gzip,
            as far as they are installed.
        levels: Compression levels by coding; by default 6 for gzip, 4 for br, 3 for zstd.

    Raises:
        ValueError: A coding is not known or not installed, has no such level, or ``minimum_size``
            is negative.

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
            # Clients disagree on the format of deflate (section 8.4.1.2), and each one has gzip.
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
        response = _CompressedSend(self, scope, send)
        offered = extensions(scope)
        if not _SENDFILE.isdisjoint(offered) and self.choose_coding(scope) is not None:
            kept = {name: value for name, value in offered.items() if name not in _SENDFILE}
            scope = {**scope, "extensions": kept}

        async def compressed_send(message: Message) -> None:
            await response.handle(message)

        await self._app(scope, receive, compressed_send)
        await response.end()
        return None

    def choose_coding(self, scope: Scope) -> str | None:
        """Return the coding that the client prefers; ``None`` if it prefers none of them."""
        accept = find_header(scope["headers"], b"accept-encoding")
        preferred = prefer_codings(accept, self._codings)
        return preferred[0] if preferred else None

    def is_too_short(self, size: int) -> bool:
        """Return whether a body of ``size`` bytes is sent unchanged."""
        return size < self._minimum_size

    def make_encoder(self, coding: str) -> tuple[Encoder, bool]:
        """Return an encoder for one response, and whether its level is slow."""
        level = self._levels.get(coding, CODINGS[coding].level)
        return make_encoder(coding, level), level >= CODINGS[coding].slow


class _CompressedSend:
    """The messages of one response on their way to ``send``.

    Attributes:
        handle: The handler of the next message.
    """

    __slots__ = (
        "_coding",
        "_compress",
        "_encoder",
        "_is_slow",
        "_remaining",
        "_scope",
        "_send",
        "_start",
        "handle",
    )

    # Set for a response that is compressed.
    _coding: str
    _encoder: Encoder
    _is_slow: bool

    def __init__(self, compress: Compress, scope: Scope, send: Send) -> None:
        self.handle: Send = self._handle_start
        self._compress = compress
        self._scope = scope
        self._send = send
        self._start: Message | None = None  # held back until the body comes
        self._remaining: int | None = None  # bytes that Content-Length promises

    async def end(self) -> None:
        """Send the start of a response that has no body, because the app returned too early."""
        if self._start is not None:
            await self._send(self._start)

    async def _handle_start(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.handle = self._send
            headers = [(name.lower(), value) for name, value in message.get("headers") or ()]
            if _may_be_compressed(message["status"], headers):
                message = {**message, "headers": _add_vary(headers)}
                await self._begin(message, dict(headers))
                return
        await self._send(message)

    async def _begin(self, start: Message, fields: dict[bytes, bytes]) -> None:
        """Keep the start of a response that is compressed until the body; send any other one."""
        status = start["status"]
        if status == 304:
            start["headers"] = self._weaken_as_cached(start["headers"], fields)
        elif (
            has_content(status)
            and status != 206
            and b"content-range" not in fields
            and self._chooses_coding(fields)
        ):
            if self._scope["method"] != "HEAD":
                self._start = start
                self.handle = self._handle_first
                return
            # A GET is compressed only if that makes the body smaller, which is not known here.
            kept = [header for header in start["headers"] if header[0] not in _OF_EITHER]
            start = {**start, "headers": kept}
        await self._send(start)

    def _weaken_as_cached(self, headers: RawHeaders, fields: dict[bytes, bytes]) -> RawHeaders:
        """Weaken the entity tag of a 304 if the client has the compressed response."""
        own = parse_etag(fields.get(b"etag", b"").decode("latin-1"))
        sent = find_header(self._scope["headers"], b"if-none-match")
        if own is not None and sent is not None:
            tags = parse_etag_list(sent).tags
            if own not in tags and own._replace(weak=True) in tags:
                return [_weaken(header) for header in headers]
        return headers

    def _chooses_coding(self, fields: dict[bytes, bytes]) -> bool:
        """Choose a coding; return whether there is one and the body is not too short."""
        length = fields.get(b"content-length")
        self._remaining = None if length is None else parse_digits(length.decode("latin-1"))
        if self._remaining is not None and self._compress.is_too_short(self._remaining):
            return False
        coding = self._compress.choose_coding(self._scope)
        if coding is not None:
            self._coding = coding
        return coding is not None

    async def _handle_first(self, message: Message) -> None:
        """Handle the first message after the start, which tells the kind of response."""
        start: Any = self._start
        self._start = None
        is_body = message["type"] == "http.response.body"
        if is_body and message.get("more_body", False):
            self._encoder, self._is_slow = self._compress.make_encoder(self._coding)
            self.handle = self._handle_chunk
            await self._send(_describe_coded(start, self._coding))
            await self._handle_chunk(message)
            return
        self.handle = self._send
        if is_body:
            body: bytes = message.get("body", b"")
            self._count(len(body), is_last=True)
            if not self._compress.is_too_short(len(body)):
                coded = await self._encode_whole(body)
                if len(coded) < len(body):
                    start = _describe_coded(start, self._coding)
                    if not start.get("trailers", False):
                        # In HTTP/1.1 trailers need chunks (RFC 9112, section 7.1.2).
                        start["headers"].append(format_length(len(coded)))
                    message = {**message, "body": coded}
        await self._send(start)
        await self._send(message)

    async def _encode_whole(self, body: bytes) -> bytes:
        self._encoder, self._is_slow = self._compress.make_encoder(self._coding)
        return b"".join([await step() for step in self._steps(body, self._encoder.finish)])

    async def _handle_chunk(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body: bytes = message.get("body", b"")
        more_body = message.get("more_body", False)
        self._count(len(body), is_last=not more_body)
        if not more_body:
            self.handle = self._send
        elif not body:
            await self._send(message)
            return
        *steps, last = self._steps(body, self._encoder.flush if more_body else self._encoder.finish)
        for step in steps:
            coded = await step()
            if coded:
                await self._send({**message, "body": coded, "more_body": True})
        await self._send({**message, "body": await last()})

    def _count(self, size: int, *, is_last: bool) -> None:
        """Check the body against the app's Content-Length, which the server does not get.

        Raises:
            ContentLengthMismatch: The body is longer or shorter.
        """
        if self._remaining is not None:
            self._remaining -= size
            if self._remaining < 0 or (is_last and self._remaining):
                raise ContentLengthMismatch(
                    f"the body is {abs(self._remaining)} bytes too "
                    f"{'long' if self._remaining < 0 else 'short'} for its Content-Length"
                )

    def _steps(self, body: bytes, end: Callable[[], bytes]) -> list[Callable[[], Awaitable[bytes]]]:
        """Return the steps that encode ``body`` and call ``end``; each takes some milliseconds."""
        is_inline = not self._is_slow and len(body) <= MAX_INLINE_SIZE
        run = _run_inline if is_inline else run_blocking_io
        return [
            partial(run, self._encode, body, start, end)
            for start in range(0, len(body) or 1, STEP_SIZE)
        ]

    def _encode(self, body: bytes, start: int, end: Callable[[], bytes]) -> bytes:
        stop = start + STEP_SIZE
        coded = self._encoder.encode(body[start:stop])
        return coded if stop < len(body) else coded + end()


async def _run_inline(function: Callable[..., bytes], *args: Any) -> bytes:
    return function(*args)


def _may_be_compressed(status: int, headers: RawHeaders) -> bool:
    """Return whether some client may get this response compressed."""
    content_type: bytes | None = None
    length: bytes | None = None
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
        elif name in _BOUND_TO_BYTES or (
            name == b"cache-control" and b"no-transform" in value.lower()
        ):
            return False
    if content_type is not None:
        return _is_compressible(content_type)
    # Some apps name no type, and a 304 does not name the type of the response that it confirms
    # (section 15.4.5). A redirect has no content.
    return status == 304 or (has_content(status) and length != b"0")


def _is_compressible(content_type: bytes) -> bool:
    """Return whether content of this media type gets smaller."""
    essence = content_type.partition(b";")[0].strip(b" \t").lower()
    if essence in _INCOMPRESSIBLE or essence.startswith(_INCOMPRESSIBLE_PREFIXES):
        return False
    if essence.endswith(b"+zip"):
        return False
    top_level = essence.partition(b"/")[0]
    return top_level not in _INCOMPRESSIBLE_TOP_LEVEL or essence in _COMPRESSIBLE


def _add_vary(headers: RawHeaders) -> RawHeaders:
    """Return ``headers`` with Accept-Encoding in Vary (section 12.5.5)."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"vary"]
    if not lines:
        return [*headers, (b"vary", b"Accept-Encoding")]
    names = [name for line in lines for name in split_list(line)]
    if any(name.lower() in ("*", "accept-encoding") for name in names):
        return headers
    vary = ", ".join([*names, "Accept-Encoding"]).encode("latin-1")
    return [*(header for header in headers if header[0] != b"vary"), (b"vary", vary)]


def _describe_coded(start: Message, coding: str) -> Message:
    """Return the start of a response with headers that are right for a compressed body."""
    headers = [_weaken(header) for header in start["headers"] if header[0] not in _OF_UNCOMPRESSED]
    headers.append((b"content-encoding", coding.encode("ascii")))
    return {**start, "headers": headers}


def _weaken(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    return (name, b"W/" + value) if name == b"etag" and value.startswith(b'"') else header
