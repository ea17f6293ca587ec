"""Files as responses: what to answer is decided purely, and then sent."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable
from typing import Any, NoReturn

import anyio.lowlevel

from asgikit.body.sharing import wait_disconnected
from asgikit.exceptions import HTTPError
from asgikit.http.dates import format_http_date
from asgikit.http.disposition import format_content_disposition
from asgikit.http.framing import check_length, check_status, format_type
from asgikit.http.media_types import guess_media_type
from asgikit.http.response_plan import Selection, error_headers, has_conditional_headers, select
from asgikit.responses.file_io import FileReader, look_at
from asgikit.responses.head import HeadersArgument
from asgikit.responses.problem import ProblemResponse
from asgikit.responses.response import Response
from asgikit.responses.sending import Disconnected, send_all
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.cancellation import CancelOnEvent, shielded
from asgikit.runtime.threads import run_blocking_io
from asgikit.scopes import extensions
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

__all__ = [
    "CHUNK_SIZE",
    "FileResponse",
    "add_validators",
    "new_boundary",
    "select_error",
    "send_file",
    "type_field",
]


#: Bytes in a message, at most.
CHUNK_SIZE = 256 * 1024
_UNKNOWN = "application/octet-stream"


# The field of an extension is always the same: it saves 1 us.
@functools.lru_cache(maxsize=256)
def type_field(extension: str, charset: str = "utf-8") -> tuple[bytes, bytes]:
    """Make the Content-Type of a file by its name from the last dot on, or by a whole name."""
    name = f"x{extension}" if extension.startswith(".") else extension
    return format_type(guess_media_type(name) or _UNKNOWN, charset)


class FileResponse(Response):
    """A file, with what :rfc:`9110` has for one: validators, preconditions, ranges.

    It is opened when it is sent, and every field is made from what was opened. What is no regular
    file is answered with 404, what must not be read with 403. Preconditions and ranges are obeyed
    where the status is 200 and the scope is known. Where the client leaves, reading stops.

    Args:
        path: of the file.
        status_code: as of :class:`Response`.
        headers: as of :class:`Response`; an ETag or a Last-Modified here is the file's.
        media_type: of the content; by default what the extension of its name says.
        filename: to save it as, in a Content-Disposition.
        content_disposition_type: ``attachment`` to save it, ``inline`` to show it.
        etag: send an entity tag, made from the time of change and the size.
        last_modified: send the time of change.
        conditional: answer 304 or 412 where a precondition says so.
        max_ranges: send the whole file where more ranges are asked for; with 0, always.
        chunk_size: bytes in a message, at most.
        background: as of :class:`Response`.

    Raises:
        ValueError: ``chunk_size`` or ``max_ranges`` is too small; and as :class:`Response`.

    >>> FileResponse("q1.pdf", filename="Q1 (draft).pdf").headers["content-disposition"]
    'attachment; filename="Q1 (draft).pdf"'
    """

    __slots__ = ("chunk_size", "conditional", "etag", "last_modified", "max_ranges", "path")

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        *,
        filename: str | None = None,
        content_disposition_type: str = "attachment",
        etag: bool = True,
        last_modified: bool = True,
        conditional: bool = True,
        max_ranges: int = 16,
        chunk_size: int = CHUNK_SIZE,
        background: Callable[[], Any] | None = None,
    ) -> None:
        if chunk_size < 1 or max_ranges < 0:
            raise ValueError(
                f"chunk_size is 1 or more, max_ranges 0 or more: {chunk_size!r}, {max_ranges!r}"
            )
        self.path: str = path if type(path) is str else os.fsdecode(path)
        self.etag: bool = etag
        self.last_modified: bool = last_modified
        self.conditional: bool = conditional
        self.max_ranges: int = max_ranges
        self.chunk_size: int = chunk_size
        if media_type is None:
            media_type = self.media_type
        if media_type is None and headers is None:
            # What `_prepare` comes to: it saves 1 us.
            check_status(status_code)
            self.status_code = status_code
            self.background = background
            self._headers = None
            name = filename or self.path
            dot = name.rfind(".")
            self._raw = [type_field(name if dot < 0 else name[dot:], self.charset)]
        else:
            if media_type is None:
                media_type = guess_media_type(filename or self.path) or _UNKNOWN
            self._prepare(status_code, headers, media_type, background)
        if filename is not None:
            disposition = format_content_disposition(content_disposition_type, filename)
            self.headers.setdefault("content-disposition", disposition)

    @property
    def body(self) -> NoReturn:
        """There is none: it is read while it is sent."""
        raise AttributeError(f"{type(self).__name__} has no body before it is sent")

    @body.setter
    def body(self, content: object) -> NoReturn:  # noqa: ARG002 - a setter takes it
        raise AttributeError(f"{type(self).__name__} reads its body from a file")

    async def _send(self, scope: Scope | None, receive: Receive, send: Send) -> None:
        if scope is not None and _offers_path(scope):
            selection = self._choose(scope, look_at)
            last = self._path_message(selection)
            if last is not None:
                await send_all(send, _start(selection), last)
                return
        reader = FileReader(self.chunk_size)
        await send_file(scope, receive, send, reader, lambda: self._choose(scope, reader.open))

    def _path_message(self, selection: Selection) -> Message | None:
        """Return the one message that follows the start if the server reads the file.

        Return ``None`` if the file has to be opened here: for a part of it.
        """
        status_code, _, pieces = selection
        if len(pieces) > 1 or status_code == 206:
            return None
        for piece in pieces:
            if isinstance(piece, bytes):
                return {"type": "http.response.body", "body": piece}
            path = self.path
            # Most begin so, and to see that first saves 3 % of all this.
            if not path.startswith("/") and not os.path.isabs(path):
                path = os.path.join(os.getcwd(), path)
            if path.isascii() or _is_text(path):
                return {"type": "http.response.pathsend", "path": path}
            return None
        return {"type": "http.response.body", "body": b""}

    def _choose(self, scope: Scope | None, look: Callable[[str], os.stat_result]) -> Selection:
        """Decide what to answer.

        Args:
            scope: of the request, where it is known.
            look: tells how the file looks, and opens it or does not.
        """
        method = "GET" if scope is None else scope["method"]
        raw = self._raw or self._list()
        try:
            looks = look(self.path)
            now = time.time()
            if self._headers is not None or self.status_code != 200:
                raw, has_content = self._for_status(self._checked_headers())
                if not has_content:
                    return Selection(self.status_code, raw, [])
                check_length(raw, looks.st_size)
            elif (
                len(raw) == 1
                and method == "GET"
                and scope is not None
                and (self.etag and self.last_modified and self.max_ranges)
                and looks.st_mtime <= now
                and not has_conditional_headers(scope["headers"])
            ):
                return _select_whole(raw[0], looks.st_mtime_ns, looks.st_size)
            return select(
                method,
                self.status_code,
                None if scope is None else scope["headers"],
                add_validators(
                    raw,
                    looks.st_mtime_ns,
                    looks.st_size,
                    now,
                    etag=self.etag,
                    last_modified=self.last_modified,
                ),
                looks.st_size,
                conditional=self.conditional,
                max_ranges=self.max_ranges,
                now=now,
                make_boundary=new_boundary,
            )
        except HTTPError as error:
            return select_error(scope, error, raw)


# What nearly every request gets. A file stays as it is for long: it saves 4 us.
@functools.lru_cache(maxsize=256)
def _select_whole(field: tuple[bytes, bytes], mtime_ns: int, size: int) -> Selection:
    headers = add_validators([field], mtime_ns, size)
    return select("GET", 200, (), headers, size, make_boundary=new_boundary)


def add_validators(
    headers: RawHeaders,
    mtime_ns: int,
    size: int,
    now: float = math.inf,
    *,
    etag: bool = True,
    last_modified: bool = True,
    suffix: bytes = b"",
) -> RawHeaders:
    """Add what a file system knows of a file to ``headers``, where it is not among them.

    Args:
        headers: of the response; it is not changed.
        mtime_ns: when the file changed, in POSIX nanoseconds.
        size: in bytes.
        now: POSIX seconds.
        etag: whether to add an ETag.
        last_modified: whether to add a Last-Modified.
        suffix: of the entity tag, to tell one coding of a file from another.
    """
    own = dict(headers)
    headers = [*headers]
    if etag and b"etag" not in own:
        # Strong (RFC 9110, section 8.8.1) as far as a file system can tell: each write sets the
        # time of change, in nanoseconds. What it does not show is a second write within a tick of
        # the kernel's clock, some milliseconds, that leaves the size as it was.
        headers.append((b"etag", b'"%x-%x%b"' % (mtime_ns, size, suffix)))
    if last_modified and b"last-modified" not in own:
        # Never later than the answer itself (section 8.8.2.1).
        seconds = max(0, min(mtime_ns // 1_000_000_000, now))
        headers.append((b"last-modified", format_http_date(seconds).encode("ascii")))
    return headers


def new_boundary() -> str:
    """Make what no file has in it: 128 random bits."""
    return os.urandom(16).hex()


def select_error(scope: Scope | None, error: HTTPError, headers: RawHeaders) -> Selection:
    """Make the answer that an error stands for.

    Args:
        scope: of the request, where it is known.
        error: what to tell.
        headers: of the response in whose place it is sent.
    """
    problem = ProblemResponse.from_error(error)
    if scope is not None:
        problem = problem.for_scope(scope)
    fields = problem.raw_headers + error_headers(headers)
    is_head = scope is not None and scope["method"] == "HEAD"
    return Selection(error.status_code, fields, [] if is_head else [problem.body])


async def send_file(
    scope: Scope | None,
    receive: Receive,
    send: Send,
    reader: FileReader,
    choose: Callable[[], Selection],
) -> None:
    """Send the selection of the file that ``choose`` opens; close the file on every exit.

    Args:
        scope: of the request, where it is known.
        receive: watched for a disconnect, if one hop does not read all.
        send: takes the messages.
        reader: opens the file.
        choose: called in a thread.

    Raises:
        Disconnected: the client has disconnected.
    """
    try:
        if not is_asyncio():
            await anyio.lowlevel.checkpoint()  # see `_send_selection`
        selection, chunks = await run_blocking_io(lambda: reader.begin(choose))
        if not reader.pieces:
            # All that there is to send is here: a disconnect would save nothing.
            await _send_selection(selection, chunks, send, reader)
            return
        cancellation = CancelOnEvent(functools.partial(wait_disconnected, scope, receive))
        work = _send_selection(selection, chunks, send, reader, cancellation)
        await cancellation.run(work, Disconnected)
    finally:
        if reader.descriptor is not None:
            await shielded(run_blocking_io(reader.close))


async def _send_selection(
    selection: Selection,
    chunks: list[bytes],
    send: Send,
    reader: FileReader,
    cancellation: CancelOnEvent | None = None,
) -> None:
    more = bool(reader.pieces)
    await send_all(send, _start(selection))
    # Taken out as they are sent, so that no two hops are in memory.
    chunks.reverse()
    while True:
        chunk = chunks.pop() if chunks else b""
        left = more or bool(chunks)
        if cancellation is not None and not left:
            cancellation.disarm()
        await send_all(send, {"type": "http.response.body", "body": chunk, "more_body": left})
        if not left:
            return
        if not chunks:
            if not is_asyncio():
                # A read is never cancelled, and the `send()` of a server need not be a checkpoint:
                # the whole file would be read after a disconnect.
                await anyio.lowlevel.checkpoint()
            chunks = await run_blocking_io(reader.read)
            chunks.reverse()
            more = bool(reader.pieces)


def _offers_path(scope: Scope) -> bool:
    """Tell whether the server would send the file that is asked for."""
    offered = scope.get("extensions")
    if not offered:
        return False
    if type(offered) is not dict:
        # Looking whether it is a mapping takes 0.3 us.
        offered = extensions(scope)
    return "http.response.pathsend" in offered and scope["method"] == "GET"


def _start(selection: Selection) -> Message:
    status_code, headers, _ = selection
    # A server, or what wraps one, may change the list.
    return {"type": "http.response.start", "status": status_code, "headers": [*headers]}


def _is_text(path: str) -> bool:
    """Tell whether a server that holds paths as UTF-8 can take this one."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
