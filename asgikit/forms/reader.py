"""Forms off the wire: one loop collects them, the other hands out their parts as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from multidict import MultiDict

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
from asgikit.forms.multipart import Event, FormParser, PartHead
from asgikit.forms.uploads import GATHER, Spool, UploadFile, close_uploads
from asgikit.runtime.backend import checkpoint

if TYPE_CHECKING:
    from typing import Self

    from asgikit.body.body import Body
    from asgikit.limits import Limits

__all__ = ["Part", "Parts", "iter_parts", "read_form"]

#: Bytes that are parsed at a time, however large the message that brings them.
STEP = 64 * 1024
#: Seconds of parsing after which others get their turn, also where the whole body is there.
STRETCH = 0.01


async def read_form(
    body: Body, content_type: str | None, is_over: Callable[[int], bool], limits: Limits
) -> FormData:
    """Read a form whole: text fields into memory, files as :class:`~asgikit.UploadFile`.

    Args:
        body: of the request.
        content_type: the field as it was sent.
        is_over: tells whether Content-Length is over a number of bytes.
        limits: each is enforced while reading.

    Raises:
        BodyConsumed: the body was streamed before, as a multipart form is.
        ClientDisconnect: the client left before its end.
        ContentTooLarge: it is over a limit.
        InvalidForm: it does not parse.
        RequestTimeout: nothing came for ``body_timeout``.
        UnsupportedMediaType: it is no form. A request with neither body nor Content-Type is an
            empty one.
    """
    if is_urlencoded(content_type):
        limit = limits.max_text_size
        _check_length(is_over, "max_text_size", limit)
        data = await body.read(limit, limits.body_timeout, "max_text_size")
        return await read_fields(data, limits)
    if not content_type and await _is_empty(body, is_over, limits):
        return FormData(MultiDict(), ())
    boundary = parse_boundary(content_type, accepted=[URLENCODED, MULTIPART])
    source = _Source(body, boundary, is_over, limits)
    spool = Spool(limits.spool_size)
    try:
        return FormData(MultiDict(await _collect(source, spool)), spool.uploads)
    except BaseException:
        await close_uploads(spool.uploads)
        raise


async def _is_empty(body: Body, is_over: Callable[[int], bool], limits: Limits) -> bool:
    try:
        _check_length(is_over, "max_form_size", 0)
        await body.read(0, limits.body_timeout)
    except ContentTooLarge:
        return False
    return True


def _check_length(is_over: Callable[[int], bool], name: str, limit: int | None) -> None:
    if limit is not None and is_over(limit):
        raise ContentTooLarge(name, limit)


async def _collect(source: _Source, spool: Spool) -> list[tuple[str, str | UploadFile]]:
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
                # One buffer that grows: pieces could be many, and of one byte each.
                text = text if isinstance(text, bytearray) else bytearray(text)
                text += event
            else:
                text = event
        if spool.due >= GATHER:
            await spool.flush()
    if spool.due:
        await spool.flush()
    return fields


class Part:
    """One part of a multipart body, as it arrives; an async iterator of its bytes.

    Nothing of it is kept: what is not read by the time the next part is asked for is skipped.

    Attributes:
        name: of the field.
        filename: of a file, the last component of the path that was sent; else :obj:`None`.
        raw_filename: all that was sent.
        content_type: the client's word for what it is.
        headers: its header fields.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_parts",
        "content_type",
        "filename",
        "headers",
        "name",
        "raw_filename",
    )

    def __init__(self, head: PartHead, parts: Parts) -> None:
        self._parts = parts
        self._ended = False
        self._buffer: list[bytes] = []  # read by an interrupted read()
        self.name: str = head.disposition.name
        self.filename: str | None = head.disposition.filename
        self.raw_filename: str | None = head.disposition.raw_filename
        self.content_type: str | None = head.content_type
        self.headers: Headers = Headers(head.raw_headers)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes of the part, as many as arrived at once.

        Raises:
            BodyConsumed: the next part was requested, or another task uses the same ``parts()``.
        """
        if self._buffer:
            return self._buffer.pop(0)
        data = await self._next_data()
        if data is None:
            raise StopAsyncIteration
        return data

    async def _next_data(self) -> bytes | None:
        parts = self._parts
        while not self._ended:
            if parts.current is not self:
                raise BodyConsumed(f"{self!r} is over: read a part before you ask for the next one")
            for event in parts.events:
                if isinstance(event, bytes):
                    return event
                if isinstance(event, memoryview):
                    return bytes(event)
                self._ended = True
                return None
            # The parser raises if the body ends within a part.
            events = await parts.source.next()
            parts.events = iter(events or ())
        return None

    async def read(self) -> bytes:
        """Read the rest of the part into memory.

        A call after one that was cancelled returns the bytes that the first one had read, too.
        """
        while (data := await self._next_data()) is not None:
            self._buffer.append(data)
        chunks, self._buffer = self._buffer, []
        return b"".join(chunks)

    async def text(self) -> str:
        """Read a text field.

        Raises:
            InvalidForm: it does not decode, or its charset is not one of the web's old ones.
        """
        return decode_text(self.name, self.content_type, await self.read())

    def __repr__(self) -> str:
        return f"<Part {self.name!r}>"


class Parts:
    """The parts of a multipart body, as they arrive.

    Attributes:
        current: the part that was handed out last.
        events: what was received and not yet handed out.
        source: of more events.
    """

    __slots__ = ("current", "events", "source")

    def __init__(self, source: _Source) -> None:
        self.source: _Source = source
        self.current: Part | None = None
        self.events: Iterator[Event] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        """Return the next part, and skip the rest of the current one.

        Raises:
            BodyConsumed: another task uses the same ``parts()``.
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
    """Hand out the parts of a multipart body as they arrive, once; nothing is kept.

    It takes what :func:`read_form` takes. The same limits hold, and the same errors are raised:
    those that are known ahead here, the others by the parts.

    Raises:
        ContentTooLarge: its Content-Length is over ``max_form_size``.
        InvalidForm: its Content-Type has no boundary.
        UnsupportedMediaType: it is not multipart.
    """
    return Parts(_Source(body, parse_boundary(content_type), is_over, limits))


class _Source:
    """The events of a multipart body, as it arrives; for one task at a time."""

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
        self._chunk = b"".join(body.start())  # a message that is larger than STEP
        self._start = 0  # of its unparsed rest
        self._deadline = perf_counter() + STRETCH
        self._is_running = False
        self._error: HTTPError | None = None

    def check_idle(self) -> None:
        """Raise :exc:`BodyConsumed` if another task waits for events."""
        if self._is_running:
            raise BodyConsumed("another task is reading these parts")

    async def next(self) -> list[Event] | None:
        """Return the events of the next bytes, :obj:`None` at the end."""
        self.check_idle()
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._is_running = True
        try:
            if perf_counter() > self._deadline:
                await checkpoint()
                self._deadline = perf_counter() + STRETCH
            if self._start >= len(self._chunk):
                # No await between the bytes' leaving the queue and their being parsed.
                received = await self._body.next(self._timeout)
                if received is None:
                    self._end()
                    return None
                if len(received) <= STEP:
                    return self._parse(received)
                self._chunk = received
                self._start = 0
            start = self._start
            self._start = start + STEP
            return self._parse(self._chunk[start : start + STEP])
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
