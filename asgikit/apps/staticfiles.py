"""A folder as an ASGI app: files by their names below it, and never anything else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from asgikit._logging import logger
from asgikit.datastructures.url import quote_path
from asgikit.exceptions import HTTPError
from asgikit.http.grammar import check_field, find_header
from asgikit.http.media_types import guess_media_type
from asgikit.http.negotiation import prefer_codings
from asgikit.http.response_plan import Selection, select
from asgikit.responses.file_io import FileReader, refusal
from asgikit.responses.files import (
    CHUNK_SIZE,
    add_validators,
    new_boundary,
    select_error,
    send_file,
    type_field,
)
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.redirect import RedirectResponse
from asgikit.responses.sending import finish
from asgikit.scopes import answer_other
from asgikit.types import RawHeaders, Scope

__all__ = ["StaticFiles"]

# What the names of compressed siblings end with.
_SUFFIXES = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}

# What no name has that a URL may lead to: a NUL ends it; a backslash splits it on Windows, where a
# colon comes after a drive and before a stream too, and a dot or a space at the end is dropped.
_is_foreign = re.compile(r"[\0\\]" if os.sep == "/" else r"[\0\\:]|[. ]\Z").search

_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
_VARY = (b"vary", b"accept-encoding")

# Bytes that Linux, macOS and Windows take as a name, and as a path. A longer path of a request is
# not looked up: to follow its links takes quadratic time.
_NAME_MAX = 255
_PATH_MAX = 4096

# Where a file can be opened from a folder that is open, no link can be put in the way to it.
_WALKS = os.open in os.supports_dir_fd
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)


class StaticFiles:
    r"""An ASGI app that serves the files of a folder, by GET and HEAD.

    A path that leads nowhere is a 404; so is one that has an empty segment in it, ``.``, ``..``, a
    backslash, an encoded slash or a NUL. Everything on disk is done in worker threads, from the
    search to the first reading in one hop. Validators, preconditions and ranges are those of
    :class:`~asgikit.FileResponse`.

    Args:
        directory: the folder; what is below it may change at any time.
        html: serve ``index.html`` for a folder, to whose slash is redirected, and the folder's own
            ``404.html`` with the status 404 for what is not there.
        fallback: a file, relative to ``directory``, to serve where nothing is found: the page of
            an application that routes by itself. What has the extension of anything but a page
            stays a 404: a script that is missing is no page.
        cache_control: the Cache-Control of every file.
        immutable: names, relative to ``directory``, whose content never changes, so that clients
            keep it for a year: a regular expression to search for, or a predicate.
        precompressed: content codings, the best one first, for which ``name.br``, ``name.zst`` or
            ``name.gz`` is served in the place of ``name`` to clients that accept it.
        follow_symlinks: follow links that lead out of the folder; others are followed anyway.
        dotfiles: serve names that start with a dot; ``.well-known`` (:rfc:`8615`) is served anyway.

    Raises:
        ValueError: ``directory`` is no folder, ``fallback`` no path below it, a coding is not
            known, or ``cache_control`` could not be sent.

    >>> StaticFiles("/", cache_control="max-age=60", immutable=r"\.[0-9a-f]{8}\.(?:css|js)$")
    <StaticFiles '/'>
    """

    __slots__ = (
        "_cache_control",
        "_codings",
        "_dotfiles",
        "_fallback",
        "_follows",
        "_html",
        "_is_immutable",
        "_root",
    )

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        html: bool = False,
        fallback: str | None = None,
        cache_control: str | None = None,
        immutable: str | re.Pattern[str] | Callable[[str], object] | None = None,
        precompressed: Sequence[str] = ("br", "zstd", "gzip"),
        follow_symlinks: bool = False,
        dotfiles: bool = False,
    ) -> None:
        # The process may change its working directory.
        self._root = os.path.abspath(directory)
        if not os.path.isdir(self._root):
            raise ValueError(f"there is no folder {self._root!r}")
        unknown = [coding for coding in precompressed if coding not in _SUFFIXES]
        if unknown:
            raise ValueError(f"precompressed is of {', '.join(_SUFFIXES)}, not {unknown}")
        self._codings = tuple(precompressed)
        self._html = html
        self._follows = follow_symlinks
        self._dotfiles = dotfiles
        self._fallback = None if fallback is None else fallback.split("/")
        if not all(map(self._is_name, self._fallback or [])):
            raise ValueError(f"fallback is the path of a file below the folder, not {fallback!r}")
        self._cache_control: RawHeaders = []
        if cache_control is not None:
            self._cache_control = [check_field("cache-control", cache_control)]
        if isinstance(immutable, str | re.Pattern):
            immutable = re.compile(immutable).search
        self._is_immutable = immutable

    def __repr__(self) -> str:
        return f"<StaticFiles {self._root!r}>"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            return await answer_other(scope, receive, send)
        if scope["method"] not in ("GET", "HEAD"):
            error = HTTPError(405, headers={"allow": "GET, HEAD"})
            return await ProblemResponse.from_error(error)(scope, receive, send)
        reader = FileReader(CHUNK_SIZE)
        return await finish(
            send_file(scope, receive, send, reader, lambda: self._choose(scope, reader))
        )

    def _choose(self, scope: Scope, reader: FileReader) -> Selection:
        try:
            return self._find(scope, reader)
        except HTTPError as error:
            if error.status_code == 404 and self._html:
                with suppress(HTTPError):
                    return self._serve(scope, reader, ["404.html"], 404)
            return select_error(scope, error, [])

    def _find(self, scope: Scope, reader: FileReader) -> Selection:
        route = _route(scope)
        parts = self._split(scope, route)
        is_folder = not parts or route.endswith("/")
        index = [*parts, "index.html"]
        wanted = parts
        if is_folder:
            wanted = index if self._html and route else []
        try:
            return self._serve(scope, reader, wanted)
        except HTTPError as error:
            if error.status_code != 404:
                raise
            if self._html and not route.endswith("/") and self._is_there(reader, index):
                return _redirect(scope)
            if self._fallback is None or (not is_folder and _is_asset(parts[-1])):
                raise
        return self._serve(scope, reader, self._fallback)

    def _split(self, scope: Scope, route: str) -> list[str]:
        """Split a path into names; raise a 404 where one of them is none."""
        first, *parts = route.removesuffix("/").split("/")
        # An encoded slash separates nothing (RFC 3986, section 2.2), and no name has a slash in it.
        target: bytes = scope.get("raw_path") or b""
        if (
            first
            or len(route.encode("utf-8", "surrogatepass")) >= _PATH_MAX
            or not all(map(self._is_name, parts))
            or b"%2f" in target.partition(b"?")[0].lower()
        ):
            raise HTTPError(404)
        return parts

    def _is_name(self, part: str) -> bool:
        if part in ("", ".", "..") or _is_foreign(part):
            return False
        if len(part.encode("utf-8", "surrogatepass")) > _NAME_MAX:
            return False
        return self._dotfiles or part == ".well-known" or not part.startswith(".")

    def _is_there(self, reader: FileReader, parts: list[str]) -> bool:
        try:
            self._open(reader, parts, None)
        except HTTPError:
            return False
        reader.close()
        return True

    def _serve(
        self, scope: Scope, reader: FileReader, parts: list[str], status_code: int = 200
    ) -> Selection:
        """Open a file, and decide what of it is the answer."""
        found = self._open(reader, parts, find_header(scope["headers"], b"accept-encoding"))
        headers = [type_field(os.path.splitext(parts[-1])[1] or parts[-1])]
        suffix = b""
        if found.coding is not None:
            coding = found.coding.encode("ascii")
            headers.append((b"content-encoding", coding))
            # Another coding is another representation: its tag is its own (RFC 9110, 8.8.3.3).
            suffix = b"-" + coding
        if found.varies:
            headers.append(_VARY)
        now = time.time()
        if status_code == 200:
            forever = self._is_immutable is not None and self._is_immutable("/".join(parts))
            headers += [_FOREVER] if forever else self._cache_control
            looks = found.looks
            headers = add_validators(headers, looks.st_mtime_ns, looks.st_size, now, suffix=suffix)
        return select(
            scope["method"],
            status_code,
            scope["headers"],
            headers,
            found.looks.st_size,
            now=now,
            make_boundary=new_boundary,
        )

    def _open(self, reader: FileReader, parts: list[str], accept: str | None) -> _Found:
        """Open a file, or the sibling of it that the client would rather have.

        Raises:
            HTTPError: 404 or 403, there is none to serve.
        """
        if not parts:
            raise HTTPError(404)
        try:
            return self._open_straight(reader, parts, accept)
        except HTTPError as error:
            # That was without a link on the way. What a link leads to is served where it is in the
            # folder; it is reached without a link then, so that nobody puts one in its way.
            real = None if self._follows or error.status_code != 404 else self._resolve(parts)
            if real is None or real == parts:
                raise
        return self._open_straight(reader, real, accept)

    def _resolve(self, parts: list[str]) -> list[str] | None:
        """Return the names that lead to a file without a link.

        Returns:
            ``None`` if there is no such file, or if it is outside of the folder.
        """
        try:
            root = os.path.join(os.path.realpath(self._root, strict=True), "")
            # Strict: it ends at the first name that does not exist.
            real = os.path.realpath(os.path.join(root, *parts), strict=True)
        except (OSError, ValueError) as error:
            # A link may have been replaced meanwhile. A lone surrogate is a ValueError.
            logger.debug("cannot resolve %r below %r: %r", parts, self._root, error)
            return None
        return real.removeprefix(root).split(os.sep) if real.startswith(root) else None

    def _open_straight(self, reader: FileReader, parts: list[str], accept: str | None) -> _Found:
        """Open a file, with no link on the way unless links are followed."""
        flags = 0
        if not self._follows:
            flags = getattr(os, "O_NOFOLLOW", 0)
            if not _WALKS and self._resolve(parts) != parts:
                raise HTTPError(404)
        *folders, name = parts
        with _enter(self._root, folders, by_path=self._follows or not _WALKS) as (prefix, folder):
            path = prefix + name
            looks = reader.open(path, folder=folder, flags=flags)
            accepted = prefer_codings(accept, self._codings)
            for coding in accepted:
                other = reader.exchange(path + _SUFFIXES[coding], folder=folder, flags=flags)
                if other is not None:
                    return _Found(other, coding, varies=True)
            # What another client would get makes this one of several (RFC 9110, section 12.5.5).
            others = [coding for coding in self._codings if coding not in accepted]
            varies = any(_exists(path + _SUFFIXES[coding], folder) for coding in others)
            return _Found(looks, None, varies)


class _Found(NamedTuple):
    """An open file: how it looks, how it is coded, and whether it is one of several."""

    looks: os.stat_result
    coding: str | None
    varies: bool


@contextmanager
def _enter(root: str, folders: list[str], *, by_path: bool) -> Generator[tuple[str, int | None]]:
    """Give what leads to the names in a folder: the beginning of their path, or a descriptor.

    A descriptor is reached name by name, and a link among them is refused.
    """
    if by_path:
        yield os.path.join(root, *folders, ""), None
        return
    descriptor = _open_folder(root)
    try:
        for name in folders:
            inner = _open_folder(name, descriptor, os.O_NOFOLLOW)
            os.close(descriptor)
            descriptor = inner
        yield "", descriptor
    finally:
        os.close(descriptor)


def _open_folder(path: str, folder: int | None = None, flags: int = 0) -> int:
    try:
        return os.open(path, _FOLDER | flags, dir_fd=folder)
    except (OSError, ValueError) as error:
        raise refusal(error) or error from error


def _exists(path: str, folder: int | None) -> bool:
    try:
        os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _route(scope: Scope) -> str:
    """Give the path from where this app is mounted on."""
    path: str = scope["path"]
    root = _mount(scope)
    # ASGI has `root_path` in front of `path`; some hosts take it off.
    if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def _mount(scope: Scope) -> str:
    root: str = scope.get("root_path") or ""
    return root.rstrip("/")


def _redirect(scope: Scope) -> Selection:
    """Send a client to the slash at the end of its path, with its query."""
    location = quote_path(_mount(scope) + _route(scope)) + "/"
    query: bytes = scope.get("query_string") or b""
    if query:
        location = f"{location}?{query.decode('latin-1')}"
    return Selection(307, RedirectResponse(location).raw_headers, [])


def _is_asset(name: str) -> bool:
    """Tell whether no page can stand in for what has this name."""
    return guess_media_type(name) not in (None, "text/html")
