"""Multipart forms (:rfc:`7578`) as events: python-multipart finds the delimiters, we the meaning.

Pure: bytes in, events out. One loop that collects a form and one that hands out its parts drive
the same parser.
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
    from collections.abc import Iterable

    from python_multipart.multipart import MultipartCallbacks

    from asgikit.limits import Limits

__all__ = ["FormParser", "PartHead"]

# Part headers have bounds of their own: no client sends a tenth of this.
MAX_HEADERS = 16
MAX_HEADER_SIZE = 4 * 1024
MAX_PART_HEADER_SIZE = 8 * 1024
MAX_FORM_HEADER_SIZE = 256 * 1024

# Up to this many bytes, a copy is no dearer than a view, which keeps all of a message alive.
SMALL = 4096

# A delimiter stands at the start of a line, and there is one before the body, as it were.
LINE_START = b"\r\n"

_has_control = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search
# What needs no second look: visible, and no white space at its end.
_is_plain = re.compile(rb"[\x20-\x7e]*+(?<=[^ ])").fullmatch


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

    __slots__ = ("_before", "_delimiter", "_limit", "_parser", "_part", "_size")

    def __init__(self, boundary: str, limits: Limits) -> None:
        # The parser refers to the part, and neither to this: without a cycle, what a request
        # leaves is gone at its end, and not when the garbage collector comes.
        self._part = part = _Part(limits)
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
        self._delimiter = LINE_START + b"--" + delimiter
        self._before: bytes | None = LINE_START
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
        if self._before is not None:
            data = self._skip_preamble(self._before, data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidForm("The multipart body is malformed.") from None
        part = self._part
        events = part.events
        part.events = []
        return events

    def _skip_preamble(self, before: bytes, data: bytes) -> bytes:
        if before == LINE_START and data.startswith(self._delimiter[2:]):
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
    # tenth of the time of a form with one small file.
    def callback(
        self, name: str, data: bytes | None = None, start: int | None = None, end: int | None = None
    ) -> None:
        function = self._functions.get(name)
        if function is not None:
            if data is None:
                function()
            else:
                function(data, start, end)


class _Part:
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
    )

    def __init__(self, limits: Limits) -> None:
        self.events: list[Event] = []
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
        self._form_header_size += self._part_header_size
        if self._form_header_size > MAX_FORM_HEADER_SIZE:
            raise _headers_too_large(MAX_FORM_HEADER_SIZE)
        # Each part has one, and it names the field (RFC 7578, section 4.2).
        disposition = parse_form_disposition(self._disposition)
        if disposition is None:
            raise InvalidForm("A part has no Content-Disposition that names its field.")
        self._check_count(disposition)
        content_type = self._content_type
        self.events.append(
            PartHead(
                disposition,
                None if content_type is None else content_type.decode("latin-1"),
                self._raw,
            )
        )
        # For the next part.
        self._raw = []
        self._disposition = b""
        self._content_type = None
        self._part_header_size = 0
        self._size = 0

    def _check_count(self, disposition: FormDisposition) -> None:
        limits = self._limits
        name, filename, _ = disposition
        most = limits.max_field_size
        # Most names are known to be shorter by their header alone.
        if most is not None and len(self._disposition) > most and len(name.encode()) > most:
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
