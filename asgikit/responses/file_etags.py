"""Entity tags of files (:rfc:`9110`, section 8.8.3).

An ETag must differ if the content differs. The modification time and the size of a file do as long
as each write sets the time. Reproducible builds do not: buildpacks, npm, Bazel and Nix give every
file one old date, so that a new version of a page can have the time and size of the one before.
The content of such files is hashed, and no Last-Modified is sent.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import Literal, TypeAlias

__all__ = [
    "ETagMode",
    "check_etag_mode",
    "format_stat_etag",
    "is_trusted_time",
    "make_etag",
    "needs_content",
]

#: How to make the ETag of a file: from its status, from its content, or not at all.
ETagMode: TypeAlias = Literal["stat", "content"] | None

# 2000-01-02 00:00 UTC, in nanoseconds. The latest fixed date of a known build tool is Bazel's,
# 2000-01-01.
_FIRST_TRUSTED_TIME = 946_771_200 * 10**9

# Bytes: a larger file is not hashed, and has no ETag.
_LARGEST_HASHED = 64 * 1024 * 1024
_HASH_CHUNK = 256 * 1024

# Seconds after a change in which another one may leave `st_ctime` as it is: the clock of some file
# systems has a resolution of two seconds.
_UNSETTLED = 2.5

# Entries: about 1 MB.
_MOST_HASHES = 4096

_hashes: OrderedDict[tuple[int, ...], bytes] = OrderedDict()
_lock = threading.Lock()


def check_etag_mode(etag: object) -> None:
    """Raise :exc:`ValueError` unless ``etag`` is a mode.

    >>> check_etag_mode("stat")
    """
    if etag not in ("stat", "content", None):
        raise ValueError(f"etag must be 'stat', 'content' or None, not {etag!r}")


def is_trusted_time(mtime_ns: int) -> bool:
    """Return whether a modification time, in nanoseconds, tells the versions of a file apart."""
    return mtime_ns >= _FIRST_TRUSTED_TIME


def needs_content(status: os.stat_result, mode: ETagMode) -> bool:
    """Return whether the ETag of a file has to be made from its content."""
    return mode == "content" or (mode == "stat" and not is_trusted_time(status.st_mtime_ns))


def format_stat_etag(mtime_ns: int, size: int, suffix: bytes = b"") -> bytes:
    """Return an ETag made from the modification time and the size of a file.

    It is strong as far as a file system can tell. A second write within one tick of the kernel's
    clock, some milliseconds, that leaves the size as it was is not seen.

    >>> format_stat_etag(10**9, 26)
    b'"3b9aca00-1a"'
    """
    return b'"%x-%x%b"' % (mtime_ns, size, suffix)


def make_etag(
    status: os.stat_result, mode: ETagMode, descriptor: int | None, suffix: bytes = b""
) -> bytes | None:
    """Return the ETag of a file, or ``None`` for none.

    Args:
        status: of the file.
        mode: how to make it.
        descriptor: of the open file, at its beginning, where it is left; used if
            :func:`needs_content`.
        suffix: tells a compressed copy of a file from the file itself.
    """
    if mode is None:
        return None
    if not needs_content(status, mode):
        return format_stat_etag(status.st_mtime_ns, status.st_size, suffix)
    if descriptor is None or status.st_size > _LARGEST_HASHED:
        return None
    digest = _find_hash(status, descriptor)
    return None if digest is None else b'"%b%b"' % (digest, suffix)


def _find_hash(status: os.stat_result, descriptor: int) -> bytes | None:
    """Return the hash of an open file from the cache, or calculate it.

    Returns:
        Hexadecimal digits; or ``None`` if the file is being written.
    """
    key = _identify(status)
    with _lock:
        digest = _hashes.get(key)
        if digest is not None:
            _hashes.move_to_end(key)
            return digest
    digest = _hash_content(descriptor, status.st_size)
    if _identify(os.fstat(descriptor)) != key:
        return None
    if time.time() - status.st_ctime > _UNSETTLED:
        with _lock:
            _hashes[key] = digest
            if len(_hashes) > _MOST_HASHES:
                _hashes.popitem(last=False)
    return digest


def _identify(status: os.stat_result) -> tuple[int, ...]:
    # Nothing but the kernel sets `st_ctime`.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _hash_content(descriptor: int, size: int) -> bytes:
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    while size > 0 and (chunk := os.read(descriptor, _HASH_CHUNK)):
        digest.update(chunk)
        size -= len(chunk)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return digest.hexdigest().encode("ascii")
