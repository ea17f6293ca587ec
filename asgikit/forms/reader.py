"""Read forms from a request body: whole, or part by part as they arrive.

``_EventSource`` feeds the messages of the body to the multipart parser, and returns its events. It
is used by two readers: :func:`read_form` collects all fields and files, and :class:`Parts` hands
each part out while it arrives. A cancelled reader continues at the next event. An error of the
parser is raised again by each later call, so that a malformed body never looks complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from asgikit.datastructures.headers import Headers
from asgikit.exceptions import BodyConsumed, ContentTooLarge, HTTPError
from asgikit.forms.content_type import (
    MULTIPART,
    URLENCODED,
    decode_text,
    is_urlencoded,
    parse_boundary,
)
from asgikit.forms.form_data import FormData, read_fields
from asgikit.forms.multipart import FormParser
from asgikit.forms.part_reader import Event, PartHead
from asgikit.forms.spool import Spool
from asgikit.forms.temporary_file import GATHER_SIZE
from asgikit.forms.uploads import UploadFile, close_uploads
from asgikit.runtime.backend import checkpoint

if TYPE_CHECKING:
    from typing import Self

    from asgikit.body.body import Body
    from asgikit.limits import Limits

__all__ = ["Part", "Parts", "iter_parts", "read_form"]

FORM_TYPES = [URLENCODED, MULTIPART]

#: Bytes that are parsed at a time, even if a message has more.
PARSE_SIZE = 64 * 1024
#: Seconds of parsing after which the reader yields to the event loop.
CHECKPOINT_INTERVAL = 0.01


async def read_form(
    body: Body, content_type: str | None, is_over: Callable[[int], bool], limits: Limits
) -> FormData:
    """Read a whole form: text fields into memory, files as :class:`~asgikit.UploadFile`.

    A request with neither a body nor a Content-Type is an empty form.

    Args:
        body: The body of the request.
        content_type: The Content-Type header as it was sent.
        is_over: Returns whether Content-Length is over a number of bytes.
        limits: The limits of the form.

    Raises:
        BodyConsumed: The body was streamed before, as a multipart form is.
        ClientDisconnect: The client disconnected before the end.
        ContentTooLarge: The form is over a limit.
        InvalidForm: The form is malformed.
        RequestTimeout: No message arrived for ``body_timeout``, or an urlencoded form did not
            arrive within ``total_timeout``.
        UnsupportedMediaType: The media type is not that of a form.
    """
    if is_urlencoded(content_type):
        limit = limits.max_text_size
        _check_length(is_over, "max_text_size", limit)
        data = await body.read(limit, limits.body_timeout, "max_text_size", limits.total_timeout)
        return await read_fields(data, limits)
    if not content_type and await _is_empty(body, is_over, limits):
        return FormData((), ())
    boundary = parse_boundary(content_type, accepted=FORM_TYPES)
    source = _EventSource(body, boundary, is_over, limits)
    spool = Spool(limits.spool_size)
    try:
        return FormData(await _collect(source, spool), spool.uploads)
    except BaseException:
        await close_uploads(spool.uploads)
        raise


async def _is_empty(body: Body, is_over: Callable[[int], bool], limits: Limits) -> bool:
    try:
        _check_length(is_over, "max_form_size", 0)
        await body.read(0, limits.body_timeout, total_timeout=limits.total_timeout)
    except ContentTooLarge:
        return False
    return True


def _check_length(is_over: Callable[[int], bool], name: str, limit: int | None) -> None:
    if limit is not None and is_over(limit):
        raise ContentTooLarge(name, limit)


async def _collect(source: _EventSource, spool: Spool) -> list[tuple[str, str | UploadFile]]:
    fields: list[tuple[str, str | UploadFile]] = []
    name = ""
    content_type: str | None = None
    upload: UploadFile | None = None
    text: bytes | bytearray | memoryview = b""
    while (events := await source.next()) is not None:
        for event in events:
            if event is None:
                if upload is None:
                    fields.append((name, decode_text(name, content_type, text)))
                    text = b""
                else:
                    spool.end(upload)
                    fields.append((name, upload))
                    upload = None
            elif isinstance(event, PartHead):
                name, filename, _ = event.disposition
                content_type = event.content_type
                if filename is not None:
                    upload = spool.begin(event)
            elif upload is not None:
                spool.add(upload, event)
            elif text:
                # Chunks may be many, and of one byte each: they are joined as they arrive.
                text = text if isinstance(text, bytearray) else bytearray(text)
                text += event
            else:
                text = event
        if spool.pending_size >= GATHER_SIZE:
            await spool.flush()
    if spool.pending_size:
        await spool.flush()
    return fields


class Part:
    """One part of a multipart body as it arrives; an async iterator of its bytes.

    Its bytes are not kept. The rest of a part is skipped when the next part is requested.

    Attributes:
        name: The name of the field.
        filename: The last component of the file name; ``None`` if the part is not a file.
        raw_filename: The file name as it was sent; ``None`` if the part is not a file.
        content_type: The media type that the client declared; ``None`` if absent.
        headers: The headers of the part.
    """

    __slots__ = (
        "_buffer",
        "_has_ended",
        "_parts",
        "content_type",
        "filename",
        "headers",
        "name",
        "raw_filename",
    )

    def __init__(self, head: PartHead, parts: Parts) -> None:
        self._parts = parts
        self._has_ended = False
        self._buffer: list[bytes] = []  # chunks of a read() that was cancelled
        self.name: str = head.disposition.name
        self.filename: str | None = head.disposition.filename
        self.raw_filename: str | None = head.disposition.raw_filename
        self.content_type: str | None = head.content_type
        self.headers: Headers = Headers(head.raw_headers)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes of the part, as many as have arrived together.

        Raises:
            BodyConsumed: The next part was requested, or another task uses the same ``parts()``.
        """
        if self._buffer:
            return self._buffer.pop(0)
        data = await self._next_data()
        if data is None:
            raise StopAsyncIteration
        return data

    async def _next_data(self) -> bytes | None:
        parts = self._parts
        while not self._has_ended:
            if parts.current is not self:
                raise BodyConsumed(f"{self!r} is over: read a part before you ask for the next one")
            for event in parts.events:
                if isinstance(event, bytes):
                    return event
                if isinstance(event, memoryview):
                    return bytes(event)
                self._has_ended = True
                return None
            # The parser raises if the body ends within a part.
            events = await parts.source.next()
            parts.events = iter(events or ())
        return None

    async def read(self) -> bytes:
        """Return the rest of the part, including the bytes that a cancelled call has read."""
        while (data := await self._next_data()) is not None:
            self._buffer.append(data)
        chunks, self._buffer = self._buffer, []
        return b"".join(chunks)

    async def text(self) -> str:
        """Return the rest of the part as text.

        Raises:
            InvalidForm: It does not decode, or its charset is not supported.
        """
        return decode_text(self.name, self.content_type, await self.read())

    def __repr__(self) -> str:
        return f"<Part {self.name!r}>"


class Parts:
    """The parts of a multipart body as they arrive; an async iterator.

    Attributes:
        current: The part that was returned last.
        events: The received events that were not used yet.
        source: The source of further events.
    """

    __slots__ = ("current", "events", "source")

    def __init__(self, source: _EventSource) -> None:
        self.source: _EventSource = source
        self.current: Part | None = None
        self.events: Iterator[Event] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        """Return the next part, and skip the rest of the current one.

        Raises:
            BodyConsumed: Another task uses the same ``parts()``.
        """
        self.source.check_idle()
        self.current = None
        while True:
            for event in self.events:
                if isinstance(event, PartHead):
                    part = self.current = Part(event, self)
                    return part
            received = await self.source.next()
            if received is None:
                raise StopAsyncIteration
            self.events = iter(received)


def iter_parts(
    body: Body, content_type: str | None, is_over: Callable[[int], bool], limits: Limits
) -> Parts:
    """Return an iterator over the parts of a multipart body as they arrive. Nothing is kept.

    The arguments are those of :func:`read_form`. The parts raise its other errors.

    Raises:
        ContentTooLarge: Content-Length is over ``max_form_size``.
        InvalidForm: Content-Type has no valid boundary.
        UnsupportedMediaType: The media type is not multipart.
    """
    return Parts(_EventSource(body, parse_boundary(content_type), is_over, limits))


class _EventSource:
    """The events of a multipart body as it arrives, for one task at a time."""

    __slots__ = (
        "_body",
        "_chunk",
        "_deadline",
        "_error",
        "_is_running",
        "_parser",
        "_start",
        "_timeout",
    )

    def __init__(
        self, body: Body, boundary: str, is_over: Callable[[int], bool], limits: Limits
    ) -> None:
        _check_length(is_over, "max_form_size", limits.max_form_size)
        self._parser = FormParser(boundary, limits)
        self._body = body
        self._timeout = limits.body_timeout
        self._chunk = b"".join(body.start())  # a message larger than PARSE_SIZE
        self._start = 0  # of the unparsed rest of the chunk
        self._deadline = perf_counter() + CHECKPOINT_INTERVAL
        self._is_running = False
        self._error: HTTPError | None = None

    def check_idle(self) -> None:
        """Raise :exc:`BodyConsumed` if another task waits for events."""
        if self._is_running:
            raise BodyConsumed("another task is reading these parts")

    async def next(self) -> list[Event] | None:
        """Return the events of the next bytes; ``None`` at the end."""
        self.check_idle()
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._is_running = True
        try:
            if perf_counter() > self._deadline:
                await checkpoint()
                self._deadline = perf_counter() + CHECKPOINT_INTERVAL
            if self._start >= len(self._chunk):
                # No await between taking the chunk and parsing it, so that a cancellation loses no
                # byte.
                received = await self._body.next(self._timeout)
                if received is None:
                    self._end()
                    return None
                if len(received) <= PARSE_SIZE:
                    return self._parse(received)
                self._chunk = received
                self._start = 0
            start = self._start
            self._start = start + PARSE_SIZE
            return self._parse(self._chunk[start : start + PARSE_SIZE])
        finally:
            self._is_running = False

    def _parse(self, data: bytes) -> list[Event]:
        try:
            return self._parser.feed(data)
        except HTTPError as error:
            self._error = error
            raise

    def _end(self) -> None:
        try:
            self._parser.finish()
        except HTTPError as error:
            self._error = error
            raise
