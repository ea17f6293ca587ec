"""Multipart forms (:rfc:`7578`): a push parser that turns the bytes of a body into events.

The parser is pure: :meth:`FormParser.feed` takes bytes of the body, in chunks of any size, and
returns the events in them. A part is one ``PartHead``, any number of data events (``bytes`` or
``memoryview``), and ``None`` at its end.

python-multipart finds the delimiters (:rfc:`2046`, section 5.1.1) and the headers of each part, and
calls the methods of ``PartReader``, which checks them, enforces the limits and collects the
events. Around it, :class:`FormParser` does three things itself:

- It skips the preamble and the transport padding after the first delimiter.
- Two fast paths handle common input with one search in C: small parts with common headers, and the
  data inside a part. Both leave everything else, and every error, to python-multipart.
- :meth:`FormParser.finish` checks that the closing delimiter was received. The method of
  python-multipart does not raise if it is missing.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from asgikit.exceptions import ContentTooLarge, InvalidForm
from asgikit.forms.part_reader import SMALL, Event, PartReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgikit.limits import Limits

__all__ = ["FormParser"]

LINE_END = b"\r\n"
_PADDING_OR_NOTHING = (b"", b" ", b"\t")

# The headers of most parts, after the delimiter: names without escapes, file names without a
# directory.
match_common: Callable[[bytes, int], re.Match[bytes] | None] = re.compile(
    rb'\r\nContent-Disposition: (form-data; name="([^"\\%\x00-\x1f\x7f]{0,256}+)"'
    rb'(?:; filename="((?!\.\.?")[^"\\/%\x00-\x1f\x7f]{0,256}+)")?+)\r\n'
    rb"(?:Content-Type: ([\x21-\x7e][\x20-\x7e]{0,256}+(?<=[^ ]))\r\n)?+\r\n"
).match


class FormParser:
    r"""A push parser for multipart forms.

    Args:
        boundary: As :func:`~asgikit.forms.content_type.parse_boundary` returns it.
        limits: Each is enforced as the bytes arrive.

    >>> from asgikit import DEFAULT_LIMITS
    >>> parser = FormParser("X", DEFAULT_LIMITS)
    >>> head, data, end, *_ = parser.feed(
    ...     b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--X--')
    >>> head.disposition.name, data, end
    ('a', b'1', None)
    >>> parser.finish()
    """

    __slots__ = ("_delimiter", "_is_in_data", "_limit", "_parser", "_part", "_preamble", "_size")

    def __init__(self, boundary: str, limits: Limits) -> None:
        # The callbacks are methods of another object. If they were methods of this one, it would be
        # in a reference cycle, and freed by the garbage collector only.
        self._part = part = PartReader(limits)
        delimiter = boundary.encode("ascii")
        self._parser = MultipartParser(
            delimiter,
            {
                "on_header_field": part.header_field,
                "on_header_value": part.header_value,
                "on_header_end": part.header_end,
                "on_headers_finished": part.headers_finished,
                "on_part_data": part.data,
                "on_part_end": part.end,
            },
            # PartReader enforces the limits on headers, since a 413 names them.
            max_header_count=sys.maxsize,
            max_header_size=sys.maxsize,
        )
        self._delimiter = LINE_END + b"--" + delimiter
        # The end of the preamble; `None` once the first delimiter was found. A delimiter stands at
        # the start of a line, and so does the body.
        self._preamble: bytes | None = LINE_END
        self._is_in_data = False  # and python-multipart holds back no byte of it
        self._size = 0
        self._limit = limits.max_form_size

    def feed(self, data: bytes) -> list[Event]:
        """Parse some bytes of the body, and return the events in them.

        Raises:
            ContentTooLarge: The form is over a limit, which the error names.
            InvalidForm: The form is malformed.
        """
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise ContentTooLarge("max_form_size", self._limit)
        start = 0
        if self._preamble is not None:
            data = self._skip_preamble(self._preamble, data)
            start = self._read_common_parts(data)
        part = self._part
        if self._is_in_data:
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
        """Return the position of a delimiter in the data of a part, or of its start at the end.

        perf: multipart -5 % - python-multipart takes longer to reach its own search.
        """
        delimiter = self._delimiter
        end = data.find(delimiter, start)
        if end < 0:
            # A delimiter starts with its only CR.
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
        # python-multipart holds back the start of a delimiter. If the last event is the chunk
        # itself, it holds back nothing. (One byte is the same object wherever it comes from.)
        self._is_in_data = len(data) > 1 and bool(events) and events[-1] is data

    def _skip_preamble(self, preamble: bytes, data: bytes) -> bytes:
        """Return the body from its first delimiter on, without the transport padding after it.

        python-multipart accepts transport padding (:rfc:`2046`, section 5.1.1) after the later
        delimiters only.
        """
        delimiter = self._delimiter
        after = len(delimiter) - 2
        if preamble != LINE_END or not data.startswith(delimiter[2:]):
            # The text before the first delimiter has no meaning (RFC 2046, section 5.1.1).
            data = preamble + data
            start = data.find(delimiter)
            if start < 0:
                # The end may be the first half of a delimiter.
                self._preamble = data[1 - len(delimiter) :]
                return b""
            data = data[start + 2 :]
        if data[after : after + 1] in _PADDING_OR_NOTHING:
            rest = data[after:].lstrip(b" \t")
            if not rest:
                # More padding may follow. One character of it is kept.
                self._preamble = LINE_END + data[: after + 1]
                return b""
            if rest.startswith(b"\r"):
                data = data[:after] + rest
        self._preamble = None
        return data

    def _read_common_parts(self, data: bytes) -> int:
        """Read small parts with common headers that are complete in the first chunk.

        perf: multipart -31 % - python-multipart reads the same parts in four times the time.

        Returns:
            The position from which on python-multipart continues.
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
                # The rest of the part is to come. Its headers are not parsed again: empty ones
                # bring python-multipart into the state of the data.
                part.has_begun = True
                self._write(delimiter[2:] + LINE_END + LINE_END)
                part.has_begun = False
                self._is_in_data = True
                return begin
            if begin < end:
                part.data(data, begin, end)
            part.end()
            start = end + 2
        return start

    def finish(self) -> None:
        """Check that the body is complete. An empty body is an empty form.

        Raises:
            InvalidForm: The body ends before its closing delimiter.
        """
        self._parser.finalize()
        if self._size and self._parser.state is not MultipartState.END:
            raise InvalidForm("The multipart body ends before its closing delimiter.")
