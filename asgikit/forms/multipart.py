"""Multipart forms (:rfc:`7578`): a push parser that turns the bytes of a body into events.

The parser is pure: bytes in, events out. python-multipart finds the delimiters (:rfc:`2046`,
section 5.1.1); this module reads the headers of each part and enforces the limits. The form reader
and the iterator over parts drive the same parser.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from asgikit.exceptions import ContentTooLarge, InvalidForm
from asgikit.http.disposition import FormDisposition, parse_form_disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from python_multipart.multipart import MultipartCallbacks

    from asgikit.limits import Limits

__all__ = ["Event", "FormParser", "PartHead"]

# Part headers have bounds of their own: no client sends a tenth of this.
MAX_HEADERS = 16
MAX_HEADER_SIZE = 4 * 1024
MAX_PART_HEADER_SIZE = 8 * 1024
MAX_FORM_HEADER_SIZE = 256 * 1024

# Up to this many bytes, a copy is no dearer than a view, which keeps all of a message alive.
SMALL = 4096

_has_control = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search
# What needs no second look: visible, and no white space at its end.
_is_plain = re.compile(rb"[\x20-\x7e]*+(?<=[^ ])").fullmatch

# What nearly every part has after its delimiter; no escape is to be undone, no path taken off.
match_common: Callable[[bytes, int], re.Match[bytes] | None] = re.compile(
    rb'\r\nContent-Disposition: (form-data; name="([^"\\%\x00-\x1f\x7f]{0,256}+)"'
    rb'(?:; filename="((?!\.\.?")[^"\\/%\x00-\x1f\x7f]{0,256}+)")?+)\r\n'
    rb"(?:Content-Type: ([\x21-\x7e][\x20-\x7e]{0,256}+(?<=[^ ]))\r\n)?+\r\n"
).match


class PartHead:
    """What stands at the beginning of a part.

    Args:
        disposition: the field's name, and the file's where it is one.
        content_type: as it was sent.
        raw_headers: the fields in bytes, their names in lower case.
    """

    __slots__ = ("content_type", "disposition", "raw_headers")

    def __init__(
        self,
        disposition: FormDisposition,
        content_type: str | None = None,
        raw_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self.disposition: FormDisposition = disposition
        self.content_type: str | None = content_type
        self.raw_headers: Iterable[tuple[bytes, bytes]] = raw_headers


# A part begins, some of its bytes, and it ends.
Event: TypeAlias = PartHead | bytes | memoryview | None


class PartReader:
    """The part that is being read: python-multipart's callbacks, and what they count."""

    __slots__ = (
        "_content_type",
        "_disposition",
        "_fields",
        "_files",
        "_form_header_size",
        "_is_file",
        "_limits",
        "_most",
        "_name",
        "_part_header_size",
        "_raw",
        "_size",
        "_text_size",
        "_value",
        "events",
        "has_begun",
    )

    def __init__(self, limits: Limits) -> None:
        self.events: list[Event] = []
        self.has_begun: bool = False  # and python-multipart is about to say so
        self._limits = limits
        self._fields = 0
        self._files = 0
        self._text_size = 0  # of all text parts that have ended
        self._form_header_size = 0  # of all parts whose headers have ended
        self._is_file = False
        self._size = 0  # of the part's bytes
        self._most = 0  # bytes that it may have
        self._name = b""  # of the header field that is being read
        self._value = b""
        self._raw: list[tuple[bytes, bytes]] = []
        self._disposition = b""
        self._content_type: bytes | None = None
        self._part_header_size = 0

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        if len(self._name) > MAX_HEADER_SIZE:
            raise _headers_too_large(MAX_HEADER_SIZE)

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > MAX_HEADER_SIZE:
            raise _headers_too_large(MAX_HEADER_SIZE)

    def header_end(self) -> None:
        name = self._name.lower()
        value = self._value
        self._name = self._value = b""
        self._part_header_size += len(name) + len(value)
        if self._part_header_size > MAX_PART_HEADER_SIZE:
            raise _headers_too_large(MAX_PART_HEADER_SIZE)
        if len(self._raw) == MAX_HEADERS:
            raise _headers_too_large(MAX_HEADERS)
        if _is_plain(value) is None:
            value = _check_value(name, value)
        if name == b"content-disposition":
            if self._disposition:
                raise InvalidForm("A part has two Content-Disposition fields.")
            self._disposition = value
        elif name == b"content-type":
            if self._content_type is not None:
                raise InvalidForm("A part has two Content-Type fields.")
            self._content_type = value
        self._raw.append((name, value))

    def headers_finished(self) -> None:
        if self.has_begun:
            return
        # Each part has one, and it names the field (RFC 7578, section 4.2).
        disposition = parse_form_disposition(self._disposition)
        if disposition is None:
            raise InvalidForm("A part has no Content-Disposition that names its field.")
        self._begin(disposition, self._content_type, self._raw, self._part_header_size)
        # For the next part.
        self._raw = []
        self._disposition = b""
        self._content_type = None
        self._part_header_size = 0

    def common_headers(self, head: re.Match[bytes]) -> None:
        """Take all headers of a part, as the regex of the common ones has them."""
        value, name, filename, content_type = head.groups()
        raw = [(b"content-disposition", value)]
        if content_type is not None:
            raw.append((b"content-type", content_type))
        decoded = None if filename is None else filename.decode("utf-8", "replace")
        disposition = FormDisposition(name.decode("utf-8", "replace"), decoded, decoded)
        size = sum([len(name) + len(value) for name, value in raw])
        self._begin(disposition, content_type, raw, size)

    def _begin(
        self,
        disposition: FormDisposition,
        content_type: bytes | None,
        raw: list[tuple[bytes, bytes]],
        header_size: int,
    ) -> None:
        self._form_header_size += header_size
        if self._form_header_size > MAX_FORM_HEADER_SIZE:
            raise _headers_too_large(MAX_FORM_HEADER_SIZE)
        self._check_count(disposition)
        self._size = 0
        self.events.append(
            PartHead(
                disposition, None if content_type is None else content_type.decode("latin-1"), raw
            )
        )

    def _check_count(self, disposition: FormDisposition) -> None:
        limits = self._limits
        name, filename, _ = disposition
        most = limits.max_field_size
        if most is not None and 4 * len(name) > most and len(name.encode()) > most:
            raise ContentTooLarge("max_field_size", most)
        self._is_file = filename is not None
        if self._is_file:
            self._files += 1
            if limits.max_files is not None and self._files > limits.max_files:
                raise ContentTooLarge("max_files", limits.max_files)
            most = limits.max_file_size
        else:
            self._fields += 1
            if limits.max_fields is not None and self._fields > limits.max_fields:
                raise ContentTooLarge("max_fields", limits.max_fields)
            if limits.max_text_size is not None:
                left = limits.max_text_size - self._text_size
                most = left if most is None or left < most else most
        self._most = sys.maxsize if most is None else most

    def data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size > self._most:
            raise self._too_large()
        if SMALL <= end - start < len(data):
            # A copy would cost 100 us a MiB: as much as to parse it.
            self.events.append(memoryview(data)[start:end])
        else:
            # A slice of all of it is no copy.
            self.events.append(data[start:end])

    def _too_large(self) -> ContentTooLarge:
        limits = self._limits
        if self._is_file:
            return ContentTooLarge("max_file_size", self._most)
        if limits.max_field_size is not None and self._size > limits.max_field_size:
            return ContentTooLarge("max_field_size", limits.max_field_size)
        return ContentTooLarge("max_text_size", limits.max_text_size or 0)

    def end(self) -> None:
        if not self._is_file:
            self._text_size += self._size
        self.events.append(None)


def _check_value(name: bytes, value: bytes) -> bytes:
    value = value.strip(b" \t")
    # To somebody else, a bare LF ends the line, or a NEL that is no UTF-8.
    if _has_control(value) is not None:
        raise InvalidForm("A control character is in the header of a part.")
    if name != b"content-disposition":
        # In that one, names that old clients send have U+FFFD for what is not.
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidForm("The header of a part is not UTF-8.") from None
    return value


def _headers_too_large(maximum: int) -> ContentTooLarge:
    return ContentTooLarge("part headers", maximum)


LINE_END = b"\r\n"
_PADDING_OR_NONE = (b"", b" ", b"\t")


class FormParser:
    r"""A push parser: feed it the body as it arrives, and see the parts begin and end.

    Args:
        boundary: as :func:`~asgikit.forms.content_type.parse_boundary` gives it.
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
        """Return the body from its first delimiter on, without the transport padding after it.

        python-multipart accepts transport padding (:rfc:`2046`, section 5.1.1) after the later
        delimiters only.
        """
        delimiter = self._delimiter
        after = len(delimiter) - 2
        if before != LINE_END or not data.startswith(delimiter[2:]):
            # The text before the first delimiter has no meaning (RFC 2046, section 5.1.1).
            data = before + data
            start = data.find(delimiter)
            if start < 0:
                # The end may be the first half of a delimiter.
                self._before = data[1 - len(delimiter) :]
                return b""
            data = data[start + 2 :]
        if data[after : after + 1] in _PADDING_OR_NONE:
            rest = data[after:].lstrip(b" \t")
            if not rest:
                # More padding may follow. One character of it is kept.
                self._before = LINE_END + data[: after + 1]
                return b""
            if rest.startswith(b"\r"):
                data = data[:after] + rest
        self._before = None
        return data

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
        """Check that the body is complete; an empty body is an empty form.

        Raises:
            InvalidForm: The body ends before its closing delimiter.
        """
        self._parser.finalize()
        if self._size and self._parser.state is not MultipartState.END:
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
