"""Content codings (:rfc:`9110`, section 8.4) as streams: gzip, deflate, br and zstd, with bounds.

br is there where ``brotli`` or ``brotlicffi`` is installed, of 1.2 or later; zstd on Python 3.14,
or where ``backports.zstd`` is. Older and other packages cannot stop in the middle of what they
decode, so that a few bytes could fill the memory.
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

#: Bytes that are given to a decoder at a time. What follows the end of a gzip member is copied, and
#: a member may have 20 bytes: with slices of 64 KiB that would take a second for 3 MiB.
INPUT_SLICE = 16 * 1024
#: Bytes that a decoder gives at a time.
OUTPUT_SLICE = 64 * 1024
#: Bytes that are no bomb, whatever they were made from; and that a coding may spend on itself.
GRACE = 1024 * 1024
#: Streams one after the other: these, and one for each 64 bytes. To begin one takes up to 10 us.
MAX_STREAMS = 1000


class CodedStream(Protocol):
    """One stream to decode, as the standard library has it for zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZlibStream:
    """A gzip member, or deflate in either of its formats."""

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
            # The coding is the zlib format, but some send what should be inside of it (section
            # 8.4.1.2). One has 8 in the low bits of its first byte (RFC 1950, section 2.2); the
            # other would begin so with a block that is not compressed and has noise for padding.
            is_zlib = data[0] & 0x0F == 8
            stream = self._stream = zlib.decompressobj(15 if is_zlib else -15)
        piece = stream.decompress(stream.unconsumed_tail or data, max_length)
        self.needs_input = not stream.unconsumed_tail and len(piece) < max_length
        return piece


class _BrotliStream:
    """A stream of br (:rfc:`7932`)."""

    __slots__ = ("_stream", "eof", "needs_input")
    # What follows the end is an error of its own.
    unused_data: bytes = b""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.eof: bool = False
        self.needs_input: bool = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece: bytes = self._stream.process(data, output_buffer_limit=max_length)
        self.eof = self._stream.is_finished()
        # It may have taken all that it was given, and hold more back than it gave.
        self.needs_input = self._stream.can_accept_more_data() and len(piece) < max_length
        return piece


class Encoder(NamedTuple):
    """A stream that is encoded.

    Attributes:
        encode: takes bytes, and gives what is ready of the coded ones, which may be nothing.
        flush: gives all that is needed to decode what was taken so far.
        finish: gives the end of the stream.
    """

    encode: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


class Coding(NamedTuple):
    """What can be done for one coding.

    Attributes:
        make_stream: gives what decodes one stream.
        repeats: whether another stream may follow (RFC 1952, section 2.2; RFC 8878, section 3).
        error: what decoding raises.
        make_encoder: gives what encodes a stream at a level.
        levels: the lowest and the highest there is.
        level: what is spent on content that is sent once.
        slow: the level from which 64 KiB may take longer than an event loop should stand still.
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
        # A window of 512 KiB: the default one takes 4 MiB of every response.
        stream = brotli.Compressor(quality=quality, lgwin=19)
        return Encoder(stream.process, stream.flush, stream.finish)

    def make_stream() -> _BrotliStream:
        return _BrotliStream(brotli.Decompressor())

    return Coding(make_stream, False, brotli.error, encoder, (0, 11), 4, 7)


def _zstd_coding(zstd: Any) -> Coding:
    # What needs a window over 8 MiB need not be understood (RFC 9659, section 3).
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


def first_of(*modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    return None


def find_codings() -> dict[str, Coding]:
    """Give the codings that the packages here can do, by name, the best ones first."""
    codings: dict[str, Coding] = {}
    zstd = first_of("compression.zstd", "backports.zstd")
    if zstd is not None:
        codings["zstd"] = _zstd_coding(zstd)
    brotli = first_of("brotli", "brotlicffi")
    # Before 1.2 there was no bound on what a step gives.
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        codings["br"] = _brotli_coding(brotli)
    codings["gzip"] = _zlib_coding(31, 31, repeats=True)
    codings["deflate"] = _zlib_coding(15, None, repeats=False)
    return codings


CODINGS = find_codings()

# Older names of the same (section 8.4.1.3).
_ALIASES = {"x-gzip": "gzip"}


def parse_content_encoding(values: Iterable[str]) -> str | None:
    """Parse Content-Encoding (section 8.4).

    A chain of codings is refused: a coding inside another one multiplies the work that a byte from
    the client causes, and no client needs two.

    Args:
        values: The header's values, one for each line.

    Returns:
        The coding in lower case; ``None`` if there is none but ``identity``.

    Raises:
        UnsupportedMediaType: The coding is not known, or there is more than one. The answer lists
            the known ones in Accept-Encoding (section 12.5.3).

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
                raise _unsupported("The content has a coding that is not known here.")
            if found is not None:
                raise _unsupported("The content has more than one coding.")
            found = coding
    return found


def _unsupported(detail: str) -> UnsupportedMediaType:
    error = UnsupportedMediaType(detail)
    error.headers = {"accept-encoding": ", ".join(CODINGS)}
    return error


class Decoder:
    """Decode one content coding, with bounds on the output and on the work.

    Args:
        coding: One of :data:`CODINGS`; ``None`` passes the content on as it is.
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
        """Decode more of the content: each step takes some milliseconds, and yields up to 128 KiB.

        A step may yield no bytes. Exhaust one call before the next one.

        Raises:
            BadRequest: The content is not valid in its coding, or is tiny for the size of it.
            ContentTooLarge: The content is over ``max_ratio``.
        """
        for start in range(0, len(data), INPUT_SLICE):
            piece = data[start : start + INPUT_SLICE]
            self._received += len(piece)
            yield from self._feed(piece)
            # Empty blocks cost time, and no limit on the decoded bytes counts them.
            if self._received > GRACE + 2 * self._decoded:
                raise BadRequest("The content is next to nothing for the size of its coding.")

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
                    raise BadRequest(f"The content goes on after the end of its {self._name}.")
                stream = self._stream = coding.make_stream()
                self._streams += 1
            try:
                piece = stream.decompress(data, OUTPUT_SLICE)
            except coding.error:
                raise BadRequest(f"The content is not {self._name}.") from None
            self._decoded += len(piece)
            self._check_bounds()
            yield piece
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
            raise BadRequest("The content is in too many pieces for its size.")

    def finish(self) -> None:
        """End the content. A content of zero bytes has no coding.

        Raises:
            BadRequest: The content is not complete.
        """
        if self._stream is not None and not self._stream.eof:
            raise BadRequest(f"The content ends in the middle of its {self._name}.")


def make_encoder(coding: str, level: int | None = None) -> Encoder:
    """Make what encodes one stream.

    Args:
        coding: of :data:`CODINGS`.
        level: from 1 to 9 for gzip and deflate, 0 to 11 for br, 1 to 19 for zstd; what suits
            content that is sent once where absent.

    Raises:
        ValueError: the coding is not known here, or has no such level.
    """
    known = CODINGS.get(coding)
    if known is None:
        raise ValueError(f"no content coding that is known here: {coding!r}")
    if level is None:
        level = known.level
    least, most = known.levels
    if not least <= level <= most:
        raise ValueError(f"the levels of {coding} are {least} to {most}, not {level!r}")
    return known.make_encoder(level)
