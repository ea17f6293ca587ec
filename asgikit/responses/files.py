"""File responses: validators, preconditions and ranges of one file (:rfc:`9110`)."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from asgikit._logging import logger
from asgikit.exceptions import HTTPError
from asgikit.http.conditional import not_modified_headers
from asgikit.http.dates import format_http_date
from asgikit.http.disposition import format_content_disposition
from asgikit.http.framing import check_length
from asgikit.http.media_types import guess_media_type
from asgikit.http.ranges import Span, parse_range
from asgikit.http.response_plan import (
    CONDITIONAL_HEADERS,
    Selection,
    error_headers,
    part_headers,
    select,
)
from asgikit.responses.file_etags import (
    ETagMode,
    check_etag_mode,
    format_stat_etag,
    is_trusted_time,
    make_etag,
    needs_content,
)
from asgikit.responses.file_io import UNKNOWN_SIZE, FileReader, is_virtual, stat_file
from asgikit.responses.file_sending import CHUNK_SIZE, SEND_TIMEOUT, make_start, send_file
from asgikit.responses.head import HeadersArgument
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.response import Response
from asgikit.responses.send_timeout import check_seconds
from asgikit.responses.sending import send_all
from asgikit.runtime.threads import run_blocking_io
from asgikit.scopes import extensions
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

__all__ = [
    "FileResponse",
    "guess_type",
    "select_error",
    "select_file",
    "select_plain",
]


_LONG_RANGE = 64  # bytes: one range is shorter


@functools.lru_cache(maxsize=256)
def guess_type(name: str) -> str:
    """Return the media type of a file by its name or path."""
    return guess_media_type(name) or "application/octet-stream"


class FileResponse(Response):
    """A file, with validators, preconditions and ranges (:rfc:`9110`).

    The file is opened when the response is sent, and the headers describe the file that was opened.
    A path that leads to no regular file is answered with 404, one that may not be read with 403. If
    the client disconnects, reading stops. Files of procfs and sysfs, whose size is not their
    length, are sent without Content-Length, validators and ranges.

    Args:
        path: of the file.
        status_code: as of :class:`Response`. Preconditions and ranges apply to 200 alone.
        headers: as of :class:`Response`; an ETag or a Last-Modified here replaces the file's own.
        media_type: of the content; by default, that of the extension.
        filename: the name to save the file as, for Content-Disposition.
        content_disposition_type: ``attachment`` to save it, ``inline`` to show it.
        etag: how to make the ETag. ``"stat"``: from the modification time and the size; if that
            time is before 2000-01-02, as reproducible builds set it, the content is hashed, and no
            Last-Modified is sent. ``"content"``: always from the content. ``None``: no ETag. A file
            over 64 MiB is not hashed, and then has no ETag.
        last_modified: whether to send Last-Modified.
        conditional: whether to answer 304 or 412 by the preconditions of the request.
        max_ranges: if a request asks for more ranges, it gets the whole file; 0 disables ranges.
        chunk_size: bytes of one message, at most. If the body is longer, messages are smaller at
            first, so that a client that stops reading holds little memory.
        send_timeout: seconds that the client may take to make room for one more message; over it
            the response ends as after a disconnect. ``None`` is no limit.
        background: as of :class:`Response`.

    Raises:
        ValueError: ``etag``, ``max_ranges``, ``chunk_size`` or ``send_timeout`` is out of its
            range; and as :class:`Response`.

    >>> FileResponse("q1.pdf", filename="Q1 (draft).pdf").headers["content-disposition"]
    'attachment; filename="Q1 (draft).pdf"'
    """

    __slots__ = (
        "chunk_size",
        "conditional",
        "etag",
        "last_modified",
        "max_ranges",
        "path",
        "send_timeout",
    )

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        *,
        filename: str | None = None,
        content_disposition_type: str = "attachment",
        etag: ETagMode = "stat",
        last_modified: bool = True,
        conditional: bool = True,
        max_ranges: int = 16,
        chunk_size: int = CHUNK_SIZE,
        send_timeout: float | None = SEND_TIMEOUT,
        background: Callable[[], Any] | None = None,
    ) -> None:
        if chunk_size < 1 or max_ranges < 0:
            raise ValueError(
                "chunk_size must be at least 1 and max_ranges at least 0, not "
                f"{chunk_size!r} and {max_ranges!r}"
            )
        # perf: pathsend_100k -3 %: the defaults are not checked.
        if etag != "stat":
            check_etag_mode(etag)
        if send_timeout != SEND_TIMEOUT and send_timeout is not None:
            check_seconds("send_timeout", send_timeout)
        self.path: str = path if type(path) is str else os.fsdecode(path)
        self.etag: ETagMode = etag
        self.last_modified: bool = last_modified
        self.conditional: bool = conditional
        self.max_ranges: int = max_ranges
        self.chunk_size: int = chunk_size
        self.send_timeout: float | None = send_timeout
        if media_type is None and self.media_type is None:
            media_type = guess_type(filename or self.path)
        self._init_without_body(status_code, headers, media_type, background)
        if filename is not None:
            disposition = format_content_disposition(content_disposition_type, filename)
            self.headers.setdefault("content-disposition", disposition)

    @property
    def body(self) -> NoReturn:
        """Raise :exc:`AttributeError`: the body is read while the response is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"{type(self).__name__} reads its body from a file")

    async def _send(self, scope: Scope | None, receive: Receive, send: Send) -> None:
        if scope is not None and _offers_path(scope):
            selection = self._select_by_stat(scope)
            if selection is None:
                selection = await run_blocking_io(self._select_and_close, scope)
            last = self._path_message(selection)
            if last is not None:
                await send_all(send, make_start(selection), last)
                return
        reader = FileReader(self.chunk_size)
        choose = functools.partial(self._choose, scope, reader)
        await send_file(scope, receive, send, reader, choose, self.send_timeout)

    def _path_message(self, selection: Selection) -> Message | None:
        """Return the message that makes the server send the file itself.

        Returns:
            The message after the start; or ``None`` if asgikit has to send the file: a part of it,
            a file of unknown length, or a path that is no text.
        """
        status_code, _, segments = selection
        if len(segments) > 1 or status_code == 206:
            return None
        for segment in segments:
            if isinstance(segment, bytes):
                return {"type": "http.response.body", "body": segment}
            path = self.path
            # perf: pathsend_100k -3 %: most paths start with a slash.
            if not path.startswith("/") and not os.path.isabs(path):
                path = os.path.join(os.getcwd(), path)
            if segment.stop != UNKNOWN_SIZE and (path.isascii() or _is_text(path)):
                return {"type": "http.response.pathsend", "path": path}
            return None
        return {"type": "http.response.body", "body": b""}

    def _select_by_stat(self, scope: Scope) -> Selection | None:
        """Decide without opening the file, or return ``None`` if its content has to be hashed."""
        try:
            status = stat_file(self.path)
            plain = self._select_plain(scope, status)
            if plain is not None or needs_content(status, self.etag):
                return plain
            return self._select_file(scope, status, None)
        except HTTPError as error:
            return self._select_error(scope, error)

    def _select_error(self, scope: Scope | None, error: HTTPError) -> Selection:
        logger.debug("cannot send %r: %r", self.path, error.__cause__ or error)
        return select_error(scope, error, self._checked_headers())

    def _select_and_close(self, scope: Scope) -> Selection:
        reader = FileReader(self.chunk_size)
        try:
            return self._choose(scope, reader)
        finally:
            reader.close()

    def _choose(self, scope: Scope | None, reader: FileReader) -> Selection:
        """Open the file, and decide what to send."""
        try:
            status = reader.open(self.path)
            return self._select_plain(scope, status) or self._select_file(
                scope, status, reader.descriptor
            )
        except HTTPError as error:
            return self._select_error(scope, error)

    def _select_plain(self, scope: Scope | None, status: os.stat_result) -> Selection | None:
        if (
            self._headers is None
            and self._status_code == 200
            and (self.etag == "stat" and self.last_modified)
            and (self.conditional and self.max_ranges)
        ):
            return select_plain(scope, tuple(self._raw or ()), status)
        return None

    def _select_file(
        self, scope: Scope | None, status: os.stat_result, descriptor: int | None
    ) -> Selection:
        headers = self._list()
        size = UNKNOWN_SIZE if is_virtual(status.st_dev) else status.st_size
        if self._headers is not None or self.status_code != 200:
            headers, has_content = self._for_status(self._checked_headers())
            if not has_content:
                return Selection(self.status_code, headers, [])
            if size != UNKNOWN_SIZE:
                check_length(headers, size)
        etag = make_etag(status, self.etag, descriptor)
        modified = (
            status.st_mtime if self.last_modified and is_trusted_time(status.st_mtime_ns) else None
        )
        return select_file(
            scope,
            self.status_code,
            headers,
            size,
            etag,
            modified,
            conditional=self.conditional,
            max_ranges=self.max_ranges,
        )


def select_file(
    scope: Scope | None,
    status_code: int,
    headers: RawHeaders,
    size: int,
    etag: bytes | None,
    modified: float | None,
    *,
    conditional: bool = True,
    max_ranges: int = 16,
) -> Selection:
    """Decide what to send of an open file.

    Args:
        scope: of the request, or ``None`` if it is unknown.
        status_code: of the response, if it is sent whole.
        headers: of the same; the list is not changed.
        size: in bytes, or ``UNKNOWN_SIZE``.
        etag: of the file; not added if ``headers`` has one.
        modified: the modification time in POSIX seconds; likewise.
        conditional: whether preconditions apply.
        max_ranges: as of :class:`FileResponse`.

    Raises:
        RangeNotSatisfiable: all requested ranges lie beyond the end.
    """
    method = "GET" if scope is None else scope["method"]
    if size == UNKNOWN_SIZE:
        headers = [field for field in headers if field[0] != b"content-length"]
        rest = [Span(0, UNKNOWN_SIZE)]
        return Selection(status_code, headers, [] if method == "HEAD" else [*rest])
    now = time.time()
    # Never later than the response itself (section 8.8.2.1).
    date = None if modified is None else _format_date(math.floor(max(0, min(modified, now))))
    return select(
        method,
        status_code,
        None if scope is None else scope["headers"],
        _add_validators(headers, etag, date),
        size,
        conditional=conditional,
        max_ranges=max_ranges,
        now=now,
        make_boundary=_make_boundary,
    )


class _Plain(NamedTuple):
    """The responses of a file, as long as it stays as it is."""

    whole: Selection
    not_modified: Selection
    etag: bytes


# perf: file_100k -10 %, pathsend_100k -13 %, static_9k -11 %, static_304 -30 %
def select_plain(
    scope: Scope | None,
    headers: tuple[tuple[bytes, bytes], ...],
    status: os.stat_result,
    suffix: bytes = b"",
) -> Selection | None:
    """Select a file for a GET of a common kind, as :func:`select_file` would.

    It has no conditional header; or one, which is If-None-Match with the ETag of the file, or Range
    with one range. The results for a file are kept, since most files stay as they are.

    Args:
        scope: of the request, or ``None`` if it is unknown.
        headers: of the response, without Content-Length.
        status: of the file.
        suffix: of its ETag.

    Returns:
        ``None`` if :func:`select_file` has to decide.

    Raises:
        RangeNotSatisfiable: as :func:`select_file`.
    """
    if scope is None or scope["method"] != "GET" or status.st_mtime > time.time():
        return None
    plain = _select_plain(headers, status.st_dev, status.st_mtime_ns, status.st_size, suffix)
    if plain is None:
        return None
    asked = [header for header in scope["headers"] if header[0] in CONDITIONAL_HEADERS]
    if not asked:
        return plain.whole
    (name, value), *others = asked
    if others:
        return None
    if name == b"if-none-match" and value == plain.etag:
        return plain.not_modified
    return _select_one_range(plain.whole, value, status.st_size) if name == b"range" else None


@functools.lru_cache(maxsize=256)
def _select_plain(
    headers: tuple[tuple[bytes, bytes], ...],
    device: int,
    mtime_ns: int,
    size: int,
    suffix: bytes,
) -> _Plain | None:
    if is_virtual(device) or not is_trusted_time(mtime_ns):
        return None
    etag = format_stat_etag(mtime_ns, size, suffix)
    with_validators = _add_validators([*headers], etag, _format_date(mtime_ns // 10**9))
    whole = select("GET", 200, (), with_validators, size, make_boundary=_make_boundary)
    etag = dict(whole.headers)[b"etag"]
    return _Plain(whole, Selection(304, not_modified_headers(whole.headers), []), etag)


# perf: static_range -9 %
def _select_one_range(whole: Selection, value: bytes, size: int) -> Selection | None:
    """Select a 206 if Range is the only conditional header and has one range."""
    if len(value) > _LONG_RANGE or not (spans := parse_range(value.decode("latin-1"), size)):
        return None
    if len(spans) > 1:
        return None
    # Content-Length is the last header of the whole response.
    headers = [*whole.headers[:-1], *part_headers(spans[0], size)]
    return Selection(206, headers, [*spans])


def _add_validators(headers: RawHeaders, etag: bytes | None, date: bytes | None) -> RawHeaders:
    """Return ``headers`` with the validators of a file, unless the same ones are among them.

    Args:
        headers: of the response; the list is not changed.
        etag: of the file.
        date: when it was modified, as an HTTP date.
    """
    names = {name for name, _ in headers}
    headers = [*headers]
    if etag is not None and b"etag" not in names:
        headers.append((b"etag", etag))
    if date is not None and b"last-modified" not in names:
        headers.append((b"last-modified", date))
    return headers


@functools.lru_cache(maxsize=256)
def _format_date(seconds: int) -> bytes:
    """Return POSIX seconds as an HTTP date."""
    return format_http_date(seconds).encode("ascii")


def _make_boundary() -> str:
    """Return a delimiter for several ranges that no file contains: 128 random bits."""
    return os.urandom(16).hex()


def select_error(scope: Scope | None, error: HTTPError, headers: RawHeaders) -> Selection:
    """Return the problem document for an error.

    Args:
        scope: of the request, or ``None`` if it is unknown.
        error: to answer.
        headers: of the response that the document replaces.
    """
    problem = ProblemResponse.from_error(error)
    if scope is not None:
        problem = problem.for_scope(scope)
    fields = problem._checked_headers() + error_headers(headers)
    is_head = scope is not None and scope["method"] == "HEAD"
    return Selection(error.status_code, fields, [] if is_head else [problem.body])


def _offers_path(scope: Scope) -> bool:
    """Return whether the server can send a file itself, and the request is a GET."""
    offered = scope.get("extensions")
    if not offered:
        return False
    # perf: pathsend_100k -3 %: a dict need not be checked.
    if type(offered) is not dict:
        offered = extensions(scope)
    return "http.response.pathsend" in offered and scope["method"] == "GET"


def _is_text(path: str) -> bool:
    """Return whether a path can be encoded in UTF-8, as servers hold it."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
