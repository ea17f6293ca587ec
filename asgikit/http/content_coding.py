"""Content codings (:rfc:`9110`, section 8.4): gzip, deflate, br and zstd as bounded streams.

:data:`CODINGS` has gzip and deflate on each Python, br if ``brotli`` or ``brotlicffi`` 1.2 or later
is installed, and zstd on Python 3.14 or with ``backports.zstd``. Other packages cannot stop in the
middle of their output, so that a few bytes from a client could fill the memory.

A :class:`Decoder` gives its input to a :class:`CodedStream` in slices of 16 KiB and takes the
output in slices of 64 KiB, so that each step of :meth:`Decoder.feed` takes a few milliseconds and
the caller can yield to the event loop between them. gzip and zstd allow several streams one after
the other. After each step these bounds are checked:

- the decoded bytes are at most ``max_ratio`` times the coded bytes (413), beyond the first 1 MiB;
- the number of streams is at most 1000 and one for each 64 coded bytes (400), because to begin a
  stream takes time;
- the coded bytes are at most twice the decoded bytes (400), beyond the first 1 MiB, because empty
  blocks take time and produce no output that a limit could count.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from asgikit.exceptions import BadRequest, ContentTooLarge, UnsupportedMediaType
from asgikit.http.grammar import split_list

__all__ = ["CODINGS", "Decoder", "Encoder", "make_encoder", "parse_content_encoding"]

#: Coded bytes per step. The bytes after the end of a gzip member are copied, and a member may be
#: 20 bytes long, so larger slices would cost quadratic time.
INPUT_SLICE = 16 * 1024
#: Decoded bytes per step.
OUTPUT_SLICE = 64 * 1024
#: Decoded bytes without a limit on the ratio, and coded bytes that need no output.
GRACE = 1024 * 1024
#: Streams in one content, beside one for each 64 coded bytes.
MAX_STREAMS = 1000


class CodedStream(Protocol):
    """A decoder of one stream, with the interface of ``compression.zstd.ZstdDecompressor``."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZlibStream:
    """A decoder of one gzip member or of deflate in either of its formats."""

    __slots__ = ("_stream", "needs_input")

    def __init__(self, wbits: int | None) -> None:
        self._stream = None if wbits is None else zlib.decompressobj(wbits)
        self.needs_input: bool = True

    @property
    def eof(self) -> bool:
        return self._stream is not None and self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return b"" if self._stream is None else self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        stream = self._stream
        if stream is None:
            # The coding "deflate" is the zlib format, but some clients send the raw deflate format
            # (section 8.4.1.2). In zlib, the low bits of the first byte are 8 (RFC 1950, section
            # 2.2). Raw deflate has them only in a stored block with odd padding bits.
            is_zlib = data[0] & 0x0F == 8
            stream = self._stream = zlib.decompressobj(15 if is_zlib else -15)
        chunk = stream.decompress(stream.unconsumed_tail or data, max_length)
        self.needs_input = not stream.unconsumed_tail and len(chunk) < max_length
        return chunk


class _BrotliStream:
    """A decoder of br (:rfc:`7932`)."""

    __slots__ = ("_stream", "eof", "needs_input")
    # brotli raises an error itself if data follows the end.
    unused_data: bytes = b""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.eof: bool = False
        self.needs_input: bool = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        chunk: bytes = self._stream.process(data, output_buffer_limit=max_length)
        self.eof = self._stream.is_finished()
        # It may have consumed all input and still hold output back.
        self.needs_input = self._stream.can_accept_more_data() and len(chunk) < max_length
        return chunk


class Encoder(NamedTuple):
    """An encoder of one stream.

    Attributes:
        encode: Takes bytes and returns the coded bytes that are ready, which may be empty.
        flush: Returns the coded bytes needed to decode all input so far.
        finish: Returns the end of the stream.
    """

    encode: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


class Coding(NamedTuple):
    """The decoder and the encoder of one coding.

    Attributes:
        make_stream: Returns a decoder of one stream.
        repeats: Whether another stream may follow (RFC 1952, section 2.2; RFC 8878, section 3).
        error: The exception that decoding raises.
        make_encoder: Returns an encoder with a level.
        levels: The lowest and the highest level.
        level: The default level, for content that is sent once.
        slow: The level from which encoding 64 KiB may block an event loop for too long.
    """

    make_stream: Callable[[], CodedStream]
    repeats: bool
    error: type[Exception]
    make_encoder: Callable[[int], Encoder]
    levels: tuple[int, int]
    level: int
    slow: int


def _zlib_coding(wbits: int, stream_wbits: int | None, *, repeats: bool) -> Coding:
    def encoder(level: int) -> Encoder:
        stream = zlib.compressobj(level, zlib.DEFLATED, wbits)
        return Encoder(stream.compress, partial(stream.flush, zlib.Z_SYNC_FLUSH), stream.flush)

    make_stream = partial(_ZlibStream, stream_wbits)
    return Coding(make_stream, repeats, zlib.error, encoder, (1, 9), 6, 8)


def _brotli_coding(brotli: Any) -> Coding:
    def encoder(quality: int) -> Encoder:
        # A window of 512 KiB. The default takes 4 MiB for each response.
        stream = brotli.Compressor(quality=quality, lgwin=19)
        return Encoder(stream.process, stream.flush, stream.finish)

    def make_stream() -> _BrotliStream:
        return _BrotliStream(brotli.Decompressor())

    return Coding(make_stream, False, brotli.error, encoder, (0, 11), 4, 7)


def _zstd_coding(zstd: Any) -> Coding:
    # A recipient need not support a window over 8 MiB (RFC 9659, section 3).
    options = {zstd.DecompressionParameter.window_log_max: 23}
    parameter = zstd.CompressionParameter

    def encoder(level: int) -> Encoder:
        stream = zstd.ZstdCompressor(
            options={parameter.compression_level: level, parameter.window_log: 19}
        )
        flush = partial(stream.flush, stream.FLUSH_BLOCK)
        return Encoder(stream.compress, flush, stream.flush)

    make_stream = partial(zstd.ZstdDecompressor, options=options)
    return Coding(make_stream, True, zstd.ZstdError, encoder, (1, 19), 3, 10)


def import_first(*modules: str) -> Any:
    """Return the first module that is installed; ``None`` if there is none."""
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    return None


def find_codings() -> dict[str, Coding]:
    """Return the codings that the installed packages support, by name, the preferred one first."""
    codings: dict[str, Coding] = {}
    zstd = import_first("compression.zstd", "backports.zstd")
    if zstd is not None:
        codings["zstd"] = _zstd_coding(zstd)
    brotli = import_first("brotli", "brotlicffi")
    # brotli before 1.2 has no limit on the output of a step.
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        codings["br"] = _brotli_coding(brotli)
    codings["gzip"] = _zlib_coding(31, 31, repeats=True)
    codings["deflate"] = _zlib_coding(15, None, repeats=False)
    return codings


CODINGS = find_codings()

# Older names of codings (section 8.4.1.3).
_ALIASES = {"x-gzip": "gzip"}


def parse_content_encoding(values: Iterable[str]) -> str | None:
    """Parse Content-Encoding (section 8.4).

    A chain of codings is refused: a coding inside another one multiplies the work that a byte from
    the client causes, and no client needs two.

    Args:
        values: The values of the header, one for each line.

    Returns:
        The coding in lower case; ``None`` if there is none except ``identity``.

    Raises:
        UnsupportedMediaType: The coding is unknown, or there is more than one. The response lists
            the supported codings in Accept-Encoding (section 12.5.3).

    >>> parse_content_encoding(["Identity, X-GZip"])
    'gzip'
    """
    found: str | None = None
    for value in values:
        for element in split_list(value):
            coding = element.lower()
            if coding == "identity":
                continue
            coding = _ALIASES.get(coding, coding)
            if coding not in CODINGS:
                raise _unsupported("The content coding is not supported.")
            if found is not None:
                raise _unsupported("The content has more than one coding.")
            found = coding
    return found


def _unsupported(detail: str) -> UnsupportedMediaType:
    error = UnsupportedMediaType(detail)
    error.headers = {"accept-encoding": ", ".join(CODINGS)}
    return error


class Decoder:
    """Decode content with bounds on the output and on the work.

    Args:
        coding: A key of :data:`CODINGS`; ``None`` for content without a coding.
        max_ratio: Decoded bytes per coded byte, beyond the first 1 MiB; ``None`` for no limit.

    >>> decoder = Decoder("gzip")
    >>> encoder = make_encoder("gzip")
    >>> coded = encoder.encode(b"Hello!") + encoder.finish()
    >>> b"".join(decoder.feed(coded))
    b'Hello!'
    >>> decoder.finish()
    """

    __slots__ = ("_coding", "_decoded", "_max_ratio", "_name", "_received", "_stream", "_streams")

    def __init__(self, coding: str | None, max_ratio: int | None = None) -> None:
        self._name = coding
        self._coding = None if coding is None else CODINGS[coding]
        self._max_ratio = max_ratio
        self._stream: CodedStream | None = None
        self._streams = 0  # streams that were begun, one after the other
        self._received = 0  # bytes
        self._decoded = 0  # bytes

    def feed(self, data: bytes) -> Generator[bytes]:
        """Decode more of the content, in steps of a few milliseconds and at most 128 KiB.

        A step may yield no bytes. Exhaust the iterator before the next call.

        Raises:
            BadRequest: The content is not valid in its coding, or is tiny for its coded size.
            ContentTooLarge: The content exceeds ``max_ratio``.
        """
        for start in range(0, len(data), INPUT_SLICE):
            slice_ = data[start : start + INPUT_SLICE]
            self._received += len(slice_)
            yield from self._feed(slice_)
            if self._received > GRACE + 2 * self._decoded:
                raise BadRequest("The content is too small for its coded size.")

    def _feed(self, data: bytes) -> Generator[bytes]:
        coding = self._coding
        if coding is None:
            self._decoded += len(data)
            yield data
            return
        while True:
            stream = self._stream
            if stream is None or stream.eof:
                if stream is not None and not coding.repeats:
                    raise BadRequest(f"Data follows the end of the {self._name} content.")
                stream = self._stream = coding.make_stream()
                self._streams += 1
            try:
                chunk = stream.decompress(data, OUTPUT_SLICE)
            except coding.error:
                raise BadRequest(f"The content is not valid {self._name}.") from None
            self._decoded += len(chunk)
            self._check_bounds()
            yield chunk
            if stream.eof:
                data = stream.unused_data
                if not data:
                    return
            elif stream.needs_input:
                return
            else:
                data = b""

    def _check_bounds(self) -> None:
        ratio = self._max_ratio
        if ratio is not None and self._decoded > max(GRACE, ratio * self._received):
            raise ContentTooLarge("max_ratio", ratio)
        if self._streams > MAX_STREAMS + self._received // 64:
            raise BadRequest("The content has too many streams for its size.")

    def finish(self) -> None:
        """End the content. A content of zero bytes has no coding.

        Raises:
            BadRequest: The content is not complete.
        """
        if self._stream is not None and not self._stream.eof:
            raise BadRequest(f"The {self._name} content is incomplete.")


def make_encoder(coding: str, level: int | None = None) -> Encoder:
    r"""Return an encoder of one stream.

    Args:
        coding: A key of :data:`CODINGS`.
        level: From 1 to 9 for gzip and deflate, 0 to 11 for br, 1 to 19 for zstd; ``None`` for a
            level that suits content that is sent once.

    Raises:
        ValueError: The coding is not supported, or does not have this level.

    >>> encoder = make_encoder("gzip", level=9)
    >>> (encoder.encode(b"Hello!") + encoder.finish())[:2]
    b'\x1f\x8b'
    """
    known = CODINGS.get(coding)
    if known is None:
        raise ValueError(f"not a supported content coding: {coding!r}")
    if level is None:
        level = known.level
    least, most = known.levels
    if not least <= level <= most:
        raise ValueError(f"the levels of {coding} are {least} to {most}, not {level!r}")
    return known.make_encoder(level)
