"""Multipart forms (:rfc:`7578`) as events: python-multipart finds the delimiters, we the meaning.

Pure: bytes in, events out. One loop that collects a form and one that hands out its parts drive
the same parser.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from asgikit.exceptions import ContentTooLarge, InvalidForm
from asgikit.form_parts import SMALL, Event, PartReader, match_common

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

    from asgikit.limits import Limits

__all__ = ["FormParser"]

LINE_END = b"\r\n"


class FormParser:
    r"""A push parser: feed it the body as it arrives, and see the parts begin and end.

    Args:
        boundary: as :func:`~asgikit.form_types.parse_boundary` gives it.
        limits: each is enforced as the bytes arrive.

    >>> from asgikit import DEFAULT_LIMITS
    >>> parser = FormParser("X", DEFAULT_LIMITS)
    >>> head, data, end, *_ = parser.feed(
    ...     b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--X--')
    >>> head.disposition.name, data, end
    ('a', b'1', None)
    >>> parser.finish()
    """

    __slots__ = ("_before", "_delimiter", "_is_within", "_limit", "_parser", "_part", "_size")

    def __init__(self, boundary: str, limits: Limits) -> None:
        # The parser refers to the part, and neither to this: without a cycle, what a request
        # leaves is gone at its end, and not when the garbage collector comes.
        self._part = part = PartReader(limits)
        delimiter = boundary.encode("ascii")
        self._parser = _Delimiters(
            delimiter,
            {
                "on_header_field": part.header_field,
                "on_header_value": part.header_value,
                "on_header_end": part.header_end,
                "on_headers_finished": part.headers_finished,
                "on_part_data": part.data,
                "on_part_end": part.end,
            },
        )
        self._delimiter = LINE_END + b"--" + delimiter
        # A delimiter stands at the start of a line: there is one before the body, as it were.
        self._before: bytes | None = LINE_END
        self._is_within = False  # a part, whose bytes were all given out
        self._size = 0
        self._limit = limits.max_form_size

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes of the body, and give what happened in them.

        Raises:
            ContentTooLarge: over a limit, which it names.
            InvalidForm: it is malformed.
        """
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise ContentTooLarge("max_form_size", self._limit)
        start = 0
        if self._before is not None:
            data = self._skip_preamble(self._before, data)
            start = self._read_parts(data)
        part = self._part
        if self._is_within:
            # The search is ours where nothing else can be found: python-multipart's way to its own
            # takes a third of its time.
            stop = self._find_end(data, start)
            if start < stop:
                part.data(data, start, stop)
            start = stop
        if start < len(data):
            self._write(data[start:] if start else data)
        events = part.events
        part.events = []
        return events

    def _find_end(self, data: bytes, start: int) -> int:
        """Find a delimiter in a part's bytes, or the start of one at their end."""
        delimiter = self._delimiter
        end = data.find(delimiter, start)
        if end < 0:
            # It has one CR, its first byte.
            end = data.rfind(b"\r", max(start, len(data) - len(delimiter)))
            if end < 0 or not delimiter.startswith(data[end:]):
                end = len(data)
        return end

    def _write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidForm("The multipart body is malformed.") from None
        events = self._part.events
        # What may be the start of a delimiter is held back, so a chunk that was given out whole is
        # bytes of a part. (One byte is the same object wherever it is from.)
        self._is_within = len(data) > 1 and bool(events) and events[-1] is data

    def _skip_preamble(self, before: bytes, data: bytes) -> bytes:
        if before == LINE_END and data.startswith(self._delimiter[2:]):
            # As it nearly always is; this saves two copies.
            self._before = None
            return data
        # What comes before the first delimiter is of no meaning (RFC 2046, section 5.1.1).
        data = before + data
        start = data.find(self._delimiter)
        if start < 0:
            # The end may be the first half of a delimiter.
            self._before = data[1 - len(self._delimiter) :]
            return b""
        self._before = None
        return data[start + 2 :]

    def _read_parts(self, data: bytes) -> int:
        """Read the parts that come first, where they are small, whole and of the common kind.

        It takes a quarter of python-multipart's time, which reads them just the same elsewhere.

        Returns:
            Where it stopped.
        """
        delimiter = self._delimiter
        part = self._part
        start = 0  # of a delimiter, without its line end
        while (head := match_common(data, start + len(delimiter) - 2)) is not None:
            part.common_headers(head)
            begin = head.end()
            end = data.find(delimiter, begin, begin + SMALL)
            after = end + len(delimiter)
            if end < 0 or data[after : after + 2] not in (LINE_END, b"--"):
                # The rest is to come. To read its headers again would take a tenth of the time of
                # a form with a file of 100 KB.
                part.has_begun = True
                self._write(delimiter[2:] + LINE_END + LINE_END)
                part.has_begun = False
                self._is_within = True
                return begin
            if begin < end:
                part.data(data, begin, end)
            part.end()
            start = end + 2
        return start

    def finish(self) -> None:
        """Take the end of the body.

        Raises:
            InvalidForm: it comes before the closing delimiter.
        """
        self._parser.finalize()
        if self._parser.state is not MultipartState.END:
            raise InvalidForm("The multipart body ends before its closing delimiter.")


class _Delimiters(MultipartParser):
    """python-multipart's state machine, with a shorter way to its callbacks."""

    def __init__(self, boundary: bytes, callbacks: MultipartCallbacks) -> None:
        # Header limits are ours to count, as they have an answer of their own.
        super().__init__(
            boundary, callbacks, max_header_count=sys.maxsize, max_header_size=sys.maxsize
        )
        self._functions: dict[str, Any] = {
            name.removeprefix("on_"): function for name, function in callbacks.items()
        }

    # It does what the inherited one does, which joins a key and makes one more call each time: a
    # tenth of a part's time.
    def callback(
        self, name: str, data: bytes | None = None, start: int | None = None, end: int | None = None
    ) -> None:
        function = self._functions.get(name)
        if function is not None:
            if data is None:
                function()
            else:
                function(data, start, end)
