"""Content codings: round trips under any chunking, damage, bombs, and Content-Encoding."""

from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.exceptions import BadRequest, ContentTooLarge, UnsupportedMediaType
from asgikit.http import content_coding
from asgikit.http.content_coding import (
    CODINGS,
    GRACE,
    OUTPUT_SLICE,
    Decoder,
    find_codings,
    make_encoder,
    parse_content_encoding,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

brotli: Any = pytest.importorskip("brotli")
brotlicffi: Any = pytest.importorskip("brotlicffi")
zstd: Any = content_coding.import_first("compression.zstd", "backports.zstd")

ALL = ["br", "deflate", "gzip", "zstd"]
each_coding = pytest.mark.parametrize("coding", ALL)

TEXT = b"".join(b'{"id": %d, "name": "tea"}\n' % number for number in range(40))


def encode(coding: str, *chunks: bytes, level: int | None = None) -> bytes:
    encoder = make_encoder(coding, level)
    return b"".join([encoder.encode(chunk) for chunk in chunks]) + encoder.finish()


def decode(coding: str | None, chunks: Iterable[bytes], max_ratio: int | None = None) -> bytes:
    decoder = Decoder(coding, max_ratio)
    decoded = b"".join([part for chunk in chunks for part in decoder.feed(chunk)])
    decoder.finish()
    return decoded


def split_at(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """Split ``data`` at positions within it."""
    ends = [0, *sorted({place % (len(data) + 1) for place in positions}), len(data)]
    return [data[start:stop] for start, stop in pairwise(ends)]


def split_bytes(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def make_bomb(coding: str, mebibytes: int) -> bytes:
    return encode(coding, *[bytes(1024 * 1024)] * mebibytes)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def test_codings_are_in_order_of_preference() -> None:
    assert list(CODINGS) == ["zstd", "br", "gzip", "deflate"]


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT, 9, mtime=1)),
        (
            "gzip",
            gzip.compress(TEXT[:100], mtime=0)
            + gzip.compress(b"", mtime=0)
            + gzip.compress(TEXT[100:], mtime=0),
        ),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, 0)),
        ("deflate", raw_deflate(TEXT)),  # without the zlib format around it
        ("br", brotli.compress(TEXT)),
        ("br", brotlicffi.compress(TEXT)),
        ("zstd", zstd.compress(TEXT)),
        ("zstd", zstd.compress(TEXT[:100]) + zstd.compress(b"") + zstd.compress(TEXT[100:])),
        # A skippable frame (RFC 8878, section 3.1.2).
        ("zstd", b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd.compress(TEXT)),
    ],
)
def test_decoder_reads_foreign_encoders_in_any_chunks(coding: str, coded: bytes) -> None:
    assert decode(coding, [coded]) == TEXT
    assert decode(coding, split_bytes(coded)) == TEXT


def test_foreign_decoders_read_our_encoders() -> None:
    assert gzip.decompress(encode("gzip", TEXT)) == TEXT
    assert zlib.decompress(encode("deflate", TEXT)) == TEXT
    assert brotli.decompress(encode("br", TEXT)) == TEXT
    assert zstd.decompress(encode("zstd", TEXT)) == TEXT


@each_coding
def test_encoder_output_is_deterministic(coding: str) -> None:
    assert encode(coding, TEXT) == encode(coding, TEXT)


@pytest.mark.property
@given(
    coding=st.sampled_from(ALL),
    data=st.binary(max_size=2000) | st.binary(max_size=20).map(lambda data: data * 999),
    before=st.lists(st.integers(0, 2000)),
    after=st.lists(st.integers(0, 2000)),
)
def test_decoder_reverses_encoder_in_any_chunks(
    coding: str, data: bytes, before: list[int], after: list[int]
) -> None:
    coded = encode(coding, *split_at(data, before))

    assert decode(coding, split_at(coded, after)) == data


@each_coding
@given(data=st.binary(min_size=1, max_size=2000), cuts=st.lists(st.integers(0, 2000)))
def test_flush_makes_all_input_decodable(coding: str, data: bytes, cuts: list[int]) -> None:
    encoder, decoder = make_encoder(coding), Decoder(coding)

    for chunk in split_at(data, cuts):
        coded = encoder.encode(chunk) + encoder.flush()
        assert b"".join(decoder.feed(coded)) == chunk
    assert b"".join(decoder.feed(encoder.finish())) == b""
    decoder.finish()


@each_coding
def test_decoder_refuses_each_proper_prefix(coding: str) -> None:
    coded = encode(coding, TEXT)

    for stop in range(1, len(coded)):
        with pytest.raises(BadRequest, match=rf"The {coding} content is incomplete\."):
            decode(coding, [coded[:stop]])


def test_decoder_without_coding_passes_content_on() -> None:
    assert decode(None, [b"a", b"", b"b"], max_ratio=1) == b"ab"


@each_coding
def test_decoder_accepts_content_of_zero_bytes(coding: str) -> None:
    assert decode(coding, []) == b""
    assert decode(coding, [b""]) == b""


@pytest.mark.parametrize(
    ("coding", "coded", "why"),
    [
        ("gzip", TEXT, "is not valid gzip"),
        ("gzip", zlib.compress(TEXT), "is not valid gzip"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-8] + bytes(8), "is not valid gzip"),  # the checksum
        # Only a member may follow a member (RFC 1952, section 2.2), so padding is malformed.
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\0", "gzip content is incomplete"),
        ("gzip", gzip.compress(TEXT, mtime=0) + bytes(20), "is not valid gzip"),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"trailing", "is not valid gzip"),
        ("deflate", b"\x78\x9c\xff\xff", "is not valid deflate"),
        ("deflate", b"\x07\xff\xff", "is not valid deflate"),
        ("deflate", b"\x78\xbb\0\0\0\1", "is not valid deflate"),  # requires a dictionary
        ("deflate", zlib.compress(TEXT)[:-4] + bytes(4), "is not valid deflate"),
        ("deflate", zlib.compress(TEXT) + b"x", "follows the end of the deflate"),
        ("br", b"\xff\xff\xff", "is not valid br"),
        ("br", brotli.compress(TEXT) + b"x", "br"),
        ("zstd", TEXT, "is not valid zstd"),
        ("zstd", zstd.compress(TEXT) + b"trailing", "is not valid zstd"),
        (
            "zstd",  # a window of 128 MiB
            zstd.compress(TEXT * 9, options={zstd.CompressionParameter.window_log: 27})[:4]
            + b"\x00\x88"
            + bytes(20),
            "is not valid zstd",
        ),
    ],
)
def test_decoder_refuses_malformed_content(coding: str, coded: bytes, why: str) -> None:
    for chunks in ([coded], split_bytes(coded)):
        with pytest.raises(BadRequest, match=why):
            decode(coding, chunks)


@each_coding
@given(data=st.binary(max_size=300), noise=st.binary(max_size=9), place=st.integers(0, 300))
def test_decoder_raises_only_http_errors_on_damage(
    coding: str, data: bytes, noise: bytes, place: int
) -> None:
    coded = encode(coding, data)
    place %= len(coded)
    damaged = coded[:place] + noise + coded[place + len(noise) :]

    with suppress(BadRequest, ContentTooLarge):
        decode(coding, [damaged], max_ratio=100)


@each_coding
def test_decoder_refuses_a_bomb_in_bounded_memory(coding: str) -> None:
    bomb = make_bomb(coding, 64)
    tracemalloc.start()
    try:
        with pytest.raises(ContentTooLarge) as caught:
            decode(coding, [bomb], max_ratio=100)
        assert tracemalloc.get_traced_memory()[1] < 4 * GRACE
    finally:
        tracemalloc.stop()
    assert (caught.value.limit, caught.value.maximum) == ("max_ratio", 100)


@each_coding
def test_decoder_step_output_is_bounded(coding: str) -> None:
    sizes = [len(step) for step in Decoder(coding).feed(make_bomb(coding, 8))]

    assert sum(sizes) == 8 * 1024 * 1024
    assert max(sizes) <= 2 * OUTPUT_SLICE


@each_coding
def test_max_ratio_does_not_apply_below_1_mib(coding: str) -> None:
    # 1 MiB of zeros is at least 1000 times its coded size.
    assert decode(coding, [make_bomb(coding, 1)], max_ratio=1) == bytes(GRACE)
    with pytest.raises(ContentTooLarge):
        decode(coding, [encode(coding, bytes(GRACE + 1))], max_ratio=1)


@each_coding
def test_decoder_without_max_ratio_accepts_any_ratio(coding: str) -> None:
    assert decode(coding, [make_bomb(coding, 2)]) == bytes(2 * GRACE)


@each_coding
def test_incompressible_content_is_within_max_ratio(coding: str) -> None:
    noise = random.Random(1).randbytes(3 * GRACE)

    assert decode(coding, [encode(coding, noise)], max_ratio=1 + (coding != "zstd")) == noise


@pytest.mark.parametrize(
    ("coding", "nothing"),
    [
        ("zstd", b"\x50\x2a\x4d\x18\xff\xff\xff\x00" + bytes(2 * GRACE)),
        ("gzip", b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * 2 * GRACE),
    ],
)
def test_decoder_refuses_endless_empty_blocks(coding: str, nothing: bytes) -> None:
    with pytest.raises(BadRequest, match="too small"):
        decode(coding, [nothing])


@pytest.mark.parametrize(
    ("coding", "chunk"), [("gzip", gzip.compress(b"a", mtime=0)), ("zstd", zstd.compress(b"a"))]
)
def test_decoder_refuses_too_many_streams(coding: str, chunk: bytes) -> None:
    assert decode(coding, [chunk * 1000]) == b"a" * 1000
    with pytest.raises(BadRequest, match="too many streams"):
        decode(coding, [chunk * 5000])


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], None),
        ([""], None),
        (["gzip"], "gzip"),
        ([" GZip "], "gzip"),
        (["x-gzip"], "gzip"),  # section 8.4.1.3
        (["identity"], None),  # not meant for this header (section 8.4.1), but unambiguous
        (["identity, gzip , ,identity"], "gzip"),
        (["", "zstd"], "zstd"),  # two lines
    ],
)
def test_parse_content_encoding(values: list[str], coding: str | None) -> None:
    assert parse_content_encoding(values) == coding


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["compress"], "not supported"),
        (["gzip;q=1"], "not supported"),
        (['"gzip"'], "not supported"),
        (["gzip br"], "not supported"),
        (["*"], "not supported"),
        (["gzip", "x-tea"], "not supported"),
        (["gzip, gzip"], "more than one"),
        (["deflate, br"], "more than one"),
        (["zstd", "gzip"], "more than one"),  # two lines
        (["gzip," * 10_000], "more than one"),
    ],
)
def test_parse_content_encoding_of_unknown_coding_raises(values: list[str], why: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=why) as caught:
        parse_content_encoding(values)

    assert caught.value.status_code == 415
    assert caught.value.headers == {"accept-encoding": "zstd, br, gzip, deflate"}


@pytest.mark.parametrize(
    ("coding", "level", "why"),
    [
        ("compress", None, "not a supported content coding"),
        ("gzip", 0, "1 to 9"),
        ("gzip", 10, "1 to 9"),
        ("br", 12, "0 to 11"),
        ("zstd", 20, "1 to 19"),
        ("zstd", -1, "1 to 19"),
    ],
)
def test_make_encoder_of_unknown_coding_or_level_raises(
    coding: str, level: int | None, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        make_encoder(coding, level)


@each_coding
def test_make_encoder_accepts_each_level(coding: str) -> None:
    least, most = CODINGS[coding].levels

    for level in range(least, most + 1):
        assert decode(coding, [encode(coding, TEXT, level=level)]) == TEXT


class OldBrotli:
    """A brotli package without an output limit."""

    class Decompressor:
        def process(self, data: bytes) -> bytes:
            return data


@pytest.mark.parametrize(
    ("modules", "codings"),
    [
        ({}, ["zstd", "br", "gzip", "deflate"]),
        ({"brotli": None}, ["zstd", "br", "gzip", "deflate"]),
        ({"brotli": None, "brotlicffi": None}, ["zstd", "gzip", "deflate"]),
        ({"brotli": OldBrotli}, ["zstd", "gzip", "deflate"]),
        ({"backports.zstd": None, "compression.zstd": None}, ["br", "gzip", "deflate"]),
        # The standard library has the same interface since Python 3.14.
        ({"compression": zstd, "compression.zstd": zstd, "backports.zstd": None}, ALL),
    ],
)
def test_find_codings_depends_on_installed_packages(
    modules: dict[str, Any], codings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    found = find_codings()
    monkeypatch.setattr(content_coding, "CODINGS", found)

    assert sorted(found) == sorted(codings)
    for coding in found:
        coded = encode(coding, TEXT)
        assert decode(coding, [coded]) == decode(coding, split_bytes(coded)) == TEXT
        with pytest.raises(BadRequest):
            decode(coding, [coded[:-1]])
        with pytest.raises(BadRequest):
            decode(coding, [coded + b"trailing"])
        with pytest.raises(ContentTooLarge):
            decode(coding, [make_bomb(coding, 4)], max_ratio=100)
    with pytest.raises(UnsupportedMediaType) as caught:
        parse_content_encoding(["compress"])
    assert caught.value.headers == {"accept-encoding": ", ".join(found)}
