"""Static files: a folder as an ASGI app that serves the files below it and no other."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from asgikit._logging import logger
from asgikit.apps.navigation import VARY_BY_NAVIGATION, is_navigation
from asgikit.apps.static_paths import (
    has_encoded_slash,
    mount_path,
    path_below_mount,
    split_path,
)
from asgikit.datastructures.url import quote_path
from asgikit.exceptions import HTTPError
from asgikit.http.framing import format_type
from asgikit.http.grammar import check_field, find_header
from asgikit.http.negotiation import prefer_codings
from asgikit.http.response_plan import Selection
from asgikit.responses.file_etags import ETagMode, check_etag_mode, is_trusted_time, make_etag
from asgikit.responses.file_io import UNKNOWN_SIZE, FileReader, is_virtual, refusal
from asgikit.responses.file_sending import CHUNK_SIZE, SEND_TIMEOUT, send_file
from asgikit.responses.files import (
    guess_type,
    select_error,
    select_file,
    select_plain,
)
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.redirect import RedirectResponse
from asgikit.responses.send_timeout import check_seconds
from asgikit.responses.sending import finish
from asgikit.scopes import answer_other
from asgikit.types import RawHeaders, Scope

__all__ = ["StaticFiles"]

# The suffixes of precompressed copies by content coding.
_SUFFIXES = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}

_IMMUTABLE = b"public, max-age=31536000, immutable"

# If a file can be opened relative to an open folder, no link can be put into its path meanwhile.
_WALKS = os.open in os.supports_dir_fd
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)


class StaticFiles:
    r"""An ASGI app that serves the files of a folder, by GET and HEAD.

    A path that leads to no file is a 404. So is one with an empty segment, ``.``, ``..``, a
    backslash, an encoded slash or a NUL. Disk access is done in worker threads: one call finds a
    file, decides what to send of it, and reads the first 256 KiB. Validators, preconditions and
    ranges are those of :class:`~asgikit.FileResponse`.

    Args:
        directory: the folder. Files in it may change at any time.
        html: serve ``index.html`` for a folder, redirect to the slash at the end of its path, and
            send the folder's own ``404.html`` with status 404 if nothing is found.
        fallback: a file, relative to ``directory``, to serve to navigations that find nothing: the
            page of a single-page app. Sec-Fetch-Mode identifies navigations; if it is absent,
            Accept does; and if that is absent or only ``*/*``, the extension of the path. The page
            is sent with ``Cache-Control: no-cache``.
        cache_control: the Cache-Control of every other file.
        immutable: files whose content never changes, so that clients keep them for a year: a
            regular expression to search for in the path relative to ``directory``, or a function
            of that path.
        precompressed: content codings in order of preference. ``name.br``, ``name.zst`` or
            ``name.gz`` is served instead of ``name`` to clients that accept it.
        etag: as of :class:`~asgikit.FileResponse`.
        media_types: media types by extension (``".ext"``) or by whole name, which take precedence
            over the built-in table.
        follow_symlinks: follow links that lead out of the folder. Links within it are followed in
            any case.
        dotfiles: serve names that start with a dot. ``.well-known`` (:rfc:`8615`) is served in any
            case.
        send_timeout: as of :class:`~asgikit.FileResponse`.

    Raises:
        ValueError: ``directory`` is no folder, ``fallback`` no path below it, a coding is unknown,
            a media type or ``cache_control`` cannot be sent, or ``etag`` or ``send_timeout`` is out
            of its range.

    >>> StaticFiles("/", cache_control="max-age=60", immutable=r"\.[0-9a-f]{8}\.(?:css|js)$")
    <StaticFiles '/'>
    """

    __slots__ = (
        "_cache_control",
        "_copies",
        "_dotfiles",
        "_etag",
        "_fallback",
        "_follows",
        "_html",
        "_is_immutable",
        "_media_types",
        "_prefix",
        "_root",
        "_send_timeout",
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
        etag: ETagMode = "stat",
        media_types: Mapping[str, str] | None = None,
        follow_symlinks: bool = False,
        dotfiles: bool = False,
        send_timeout: float | None = SEND_TIMEOUT,
    ) -> None:
        # Absolute, since the process may change its working directory.
        self._root = os.path.abspath(directory)
        self._prefix = os.path.join(self._root, "")
        if not os.path.isdir(self._root):
            raise ValueError(f"there is no folder {self._root!r}")
        unknown = [coding for coding in precompressed if coding not in _SUFFIXES]
        if unknown:
            raise ValueError(f"precompressed may contain {', '.join(_SUFFIXES)}, not {unknown}")
        check_etag_mode(etag)
        if send_timeout is not None:
            check_seconds("send_timeout", send_timeout)
        self._copies = {coding: _SUFFIXES[coding] for coding in precompressed}
        self._html = html
        self._etag: ETagMode = etag
        self._media_types = _check_media_types(media_types or {})
        self._follows = follow_symlinks
        self._dotfiles = dotfiles
        self._send_timeout = send_timeout
        self._fallback: tuple[str, ...] | None = None
        if fallback is not None:
            self._fallback = split_path("/" + fallback, dotfiles=dotfiles)
            if not self._fallback or fallback.endswith("/"):
                raise ValueError(
                    f"fallback must be the path of a file below the folder, not {fallback!r}"
                )
        self._cache_control: bytes | None = None
        if cache_control is not None:
            _, self._cache_control = check_field("cache-control", cache_control)
        if isinstance(immutable, str | re.Pattern):
            immutable = re.compile(immutable).search
        self._is_immutable = immutable

    def __repr__(self) -> str:
        return f"<StaticFiles {self._root!r}>"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await answer_other(scope, receive, send)
        if scope["method"] not in ("GET", "HEAD"):
            error = HTTPError(405, headers={"allow": "GET, HEAD"})
            return await ProblemResponse.from_error(error)(scope, receive, send)
        reader = FileReader(CHUNK_SIZE)
        select = functools.partial(self._select, scope, reader)
        return await finish(send_file(scope, receive, send, reader, select, self._send_timeout))

    def _select(self, scope: Scope, reader: FileReader) -> Selection:
        """Find and open the file of a request, and decide what to send of it."""
        try:
            return self._find(scope, reader)
        except HTTPError as error:
            if error.status_code != 404:
                return select_error(scope, error, [])
            vary = None if self._fallback is None else VARY_BY_NAVIGATION
            if self._html:
                with suppress(HTTPError):
                    return self._serve(scope, reader, ("404.html",), 404, vary=vary)
            if vary is not None:
                error.headers = {"vary": vary}
            return select_error(scope, error, [])

    def _find(self, scope: Scope, reader: FileReader) -> Selection:
        route = path_below_mount(scope)
        parts = split_path(route, dotfiles=self._dotfiles)
        if parts is None or has_encoded_slash(scope, route):
            raise HTTPError(404)
        is_folder = not parts or route.endswith("/")
        index = (*parts, "index.html")
        wanted = parts
        if is_folder:
            wanted = index if self._html and route else ()
        try:
            return self._serve(scope, reader, wanted)
        except HTTPError as error:
            if error.status_code != 404:
                raise
            if self._html and not route.endswith("/") and self._has_file(reader, index):
                return _redirect(scope)
            if self._fallback is None or not is_navigation(scope["headers"], route):
                raise
        return self._serve(scope, reader, self._fallback, vary=VARY_BY_NAVIGATION)

    def _has_file(self, reader: FileReader, parts: tuple[str, ...]) -> bool:
        try:
            self._open(reader, parts, [])
        except HTTPError:
            return False
        reader.close()
        return True

    def _serve(
        self,
        scope: Scope,
        reader: FileReader,
        parts: tuple[str, ...],
        status_code: int = 200,
        *,
        vary: str | None = None,
    ) -> Selection:
        """Open a file, and decide what to send of it.

        Args:
            scope: of the request.
            reader: opens the file.
            parts: the names that lead to the file.
            status_code: of the response, if the file is sent whole.
            vary: request headers by which this file was chosen instead of the requested one.
        """
        found = self._open(reader, parts, scope["headers"])
        cache_control = None
        if vary is not None and status_code == 200:
            cache_control = b"no-cache"
        elif status_code == 200:
            is_immutable = self._is_immutable is not None and self._is_immutable("/".join(parts))
            cache_control = _IMMUTABLE if is_immutable else self._cache_control
        headers = _make_headers(
            self._find_media_type(parts[-1]), found.coding, cache_control, vary, varies=found.varies
        )
        status = found.status
        etag = modified = None
        if status_code == 200:
            # A compressed copy is another representation, with an ETag of its own (RFC 9110,
            # section 8.8.3.3).
            suffix = b"" if found.coding is None else b"-" + found.coding.encode("ascii")
            if self._etag == "stat" and (selection := select_plain(scope, headers, status, suffix)):
                return selection
            etag = make_etag(status, self._etag, reader.descriptor, suffix)
            modified = status.st_mtime if is_trusted_time(status.st_mtime_ns) else None
        size = UNKNOWN_SIZE if is_virtual(status.st_dev) else status.st_size
        return select_file(scope, status_code, [*headers], size, etag, modified)

    def _find_media_type(self, name: str) -> str:
        own = self._media_types
        if own:
            if name in own:
                return own[name]
            # The longest extension first: ".tar.gz" before ".gz".
            extensions = name.lower().split(".")
            for index in range(1, len(extensions)):
                media_type = own.get("." + ".".join(extensions[index:]))
                if media_type is not None:
                    return media_type
        return guess_type(name)

    def _open(
        self, reader: FileReader, parts: tuple[str, ...], request_headers: RawHeaders
    ) -> _Found:
        """Open a file, or the compressed copy of it that the client prefers.

        Raises:
            HTTPError: 404 or 403, there is no such file.
        """
        if not parts:
            raise HTTPError(404)
        try:
            return self._open_straight(reader, parts, request_headers)
        except HTTPError as error:
            # A link in the path is a 404 until here. If it leads to a file within the folder, that
            # file is opened by its real path, into which no other link can be put meanwhile.
            real = None if self._follows or error.status_code != 404 else self._resolve(parts)
            if real is None or real == parts:
                raise
        return self._open_straight(reader, real, request_headers)

    def _resolve(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the names that lead to a file without a link.

        Returns:
            ``None`` if there is no such file, or if it is outside of the folder.
        """
        try:
            root = os.path.join(os.path.realpath(self._root, strict=True), "")
            # Strict: it stops at the first name that does not exist.
            real = os.path.realpath(os.path.join(root, *parts), strict=True)
        except (OSError, ValueError) as error:
            # A link may have been replaced meanwhile. A lone surrogate is a ValueError.
            logger.debug("cannot resolve %r below %r: %r", [*parts], self._root, error)
            return None
        return tuple(real.removeprefix(root).split(os.sep)) if real.startswith(root) else None

    def _open_straight(
        self, reader: FileReader, parts: tuple[str, ...], request_headers: RawHeaders
    ) -> _Found:
        """Open a file by a path without a link, unless links are followed."""
        flags = 0 if self._follows else _O_NOFOLLOW
        if not self._follows and not _WALKS and self._resolve(parts) != parts:
            raise HTTPError(404)
        # perf: static_9k -8 %: O_NOFOLLOW is enough for a file in the folder itself.
        if self._follows or not _WALKS or len(parts) == 1:
            path = self._prefix + os.sep.join(parts)
            return self._open_in(reader, path, None, flags, request_headers)
        *folders, name = parts
        with _enter(self._root, folders) as folder:
            return self._open_in(reader, name, folder, flags, request_headers)

    def _open_in(
        self,
        reader: FileReader,
        path: str,
        folder: int | None,
        flags: int,
        request_headers: RawHeaders,
    ) -> _Found:
        status = reader.open(path, folder=folder, flags=flags)
        # An `open` that fails takes ten times as long.
        copies = [
            coding
            for coding, suffix in self._copies.items()
            if os.access(path + suffix, os.F_OK, dir_fd=folder)
        ]
        if not copies:
            return _Found(status, None, varies=False)
        accept = find_header(request_headers, b"accept-encoding")
        accepted = prefer_codings(accept, copies) if accept else []
        for coding in accepted:
            other = reader.replace(path + _SUFFIXES[coding], folder=folder, flags=flags)
            if other is not None:
                return _Found(other, coding, varies=True)
        # A client that accepts other codings would get another response (RFC 9110, 12.5.5).
        return _Found(status, None, varies=len(accepted) < len(copies))


class _Found(NamedTuple):
    """An open file: its status, its content coding, and whether there are other codings of it."""

    status: os.stat_result
    coding: str | None
    varies: bool


@contextmanager
def _enter(root: str, folders: Sequence[str]) -> Generator[int]:
    """Open a folder below ``root`` name by name, refuse a link, and yield its descriptor."""
    descriptor = _open_folder(root)
    try:
        for name in folders:
            inner = _open_folder(name, descriptor, _O_NOFOLLOW)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _open_folder(path: str, folder: int | None = None, flags: int = 0) -> int:
    try:
        return os.open(path, _FOLDER | flags, dir_fd=folder)
    except (OSError, ValueError) as error:
        raise refusal(error) or error from error


def _redirect(scope: Scope) -> Selection:
    """Redirect to the same path with a slash at its end, and the same query."""
    location = quote_path(mount_path(scope) + path_below_mount(scope)) + "/"
    query: bytes = scope.get("query_string") or b""
    if query:
        location = f"{location}?{query.decode('latin-1')}"
    return Selection(307, RedirectResponse(location).raw_headers, [])


@functools.lru_cache(maxsize=256)
def _make_headers(
    media_type: str,
    coding: str | None,
    cache_control: bytes | None,
    vary: str | None,
    *,
    varies: bool,
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of a file that do not depend on its content."""
    headers = [format_type(media_type, "utf-8")]
    if coding is not None:
        headers.append((b"content-encoding", coding.encode("ascii")))
    names = [] if vary is None else [vary]
    if varies:
        names.append("accept-encoding")
    if names:
        headers.append((b"vary", ", ".join(names).encode("ascii")))
    if cache_control is not None:
        headers.append((b"cache-control", cache_control))
    return tuple(headers)


def _check_media_types(media_types: Mapping[str, str]) -> dict[str, str]:
    """Return ``media_types`` with lower-case extensions.

    Raises:
        ValueError: a key is no name, or a value cannot be sent.
    """
    checked: dict[str, str] = {}
    for name, media_type in media_types.items():
        if not name.strip(".") or "/" in name:
            raise ValueError(f"media_types has extensions ('.ext') or names as keys, not {name!r}")
        format_type(media_type, "utf-8")
        checked[name.lower() if name.startswith(".") else name] = media_type
    return checked
