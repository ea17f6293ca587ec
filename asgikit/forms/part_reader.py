"""The parts of a multipart form: the callbacks that check them and collect the events.

python-multipart calls them with the headers and the data of each part. They enforce the limits on
parts, so that a form over a limit is refused as soon as the bytes exceed it.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TypeAlias

from asgikit.exceptions import ContentTooLarge, InvalidForm
from asgikit.http.disposition import FormDisposition, parse_form_disposition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asgikit.limits import Limits

__all__ = ["SMALL", "Event", "PartHead", "PartReader"]

# The headers of parts have fixed limits. Clients send less than a tenth of them.
MAX_HEADERS = 16
MAX_HEADER_SIZE = 4 * 1024
MAX_PART_HEADER_SIZE = 8 * 1024
MAX_FORM_HEADER_SIZE = 256 * 1024

# Data of a part below this size is copied. A view of it would keep the whole message in memory.
SMALL = 4096

_has_control = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search
# Visible ASCII without white space at its end needs no further check.
_is_plain = re.compile(rb"[\x20-\x7e]*+(?<=[^ ])").fullmatch


class PartHead:
    """The headers of a part.

    Args:
        disposition: The name of the field, and the file name of a file.
        content_type: The Content-Type as it was sent; ``None`` if absent.
        raw_headers: All headers in bytes, their names in lower case.
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


# The start of a part, some of its data, or its end.
Event: TypeAlias = PartHead | bytes | memoryview | None


class PartReader:
    """The callbacks of python-multipart: they check the parts, and collect the events.

    Attributes:
        events: The events since the last call of :meth:`FormParser.feed`.
        has_begun: Whether the fast path has read the headers of the part already.
    """

    __slots__ = (
        "_content_type",
        "_disposition",
        "_fields",
        "_files",
        "_form_header_size",
        "_is_file",
        "_limits",
        "_max_size",
        "_name",
        "_part_header_size",
        "_raw_headers",
        "_size",
        "_text_size",
        "_value",
        "events",
        "has_begun",
    )

    def __init__(self, limits: Limits) -> None:
        self.events: list[Event] = []
        self.has_begun: bool = False
        self._limits = limits
        # Counts of the form, which include the parts that have ended only.
        self._fields = 0
        self._files = 0
        self._text_size = 0
        self._form_header_size = 0
        # The current part.
        self._is_file = False
        self._size = 0
        self._max_size = 0
        self._raw_headers: list[tuple[bytes, bytes]] = []
        self._disposition = b""
        self._content_type: bytes | None = None
        self._part_header_size = 0
        # The current header.
        self._name = b""
        self._value = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        """Append a piece of the name of the current header."""
        self._name += data[start:end]
        if len(self._name) > MAX_HEADER_SIZE:
            raise _headers_too_large(MAX_HEADER_SIZE)

    def header_value(self, data: bytes, start: int, end: int) -> None:
        """Append a piece of the value of the current header."""
        self._value += data[start:end]
        if len(self._value) > MAX_HEADER_SIZE:
            raise _headers_too_large(MAX_HEADER_SIZE)

    def header_end(self) -> None:
        """Check and store the current header."""
        name = self._name.lower()
        value = self._value
        self._name = self._value = b""
        self._part_header_size += len(name) + len(value)
        if self._part_header_size > MAX_PART_HEADER_SIZE:
            raise _headers_too_large(MAX_PART_HEADER_SIZE)
        if len(self._raw_headers) == MAX_HEADERS:
            raise _headers_too_large(MAX_HEADERS)
        if _is_plain(value) is None:
            value = _check_value(name, value)
        if name == b"content-disposition":
            if self._disposition:
                raise InvalidForm("A part has two Content-Disposition headers.")
            self._disposition = value
        elif name == b"content-type":
            if self._content_type is not None:
                raise InvalidForm("A part has two Content-Type headers.")
            self._content_type = value
        self._raw_headers.append((name, value))

    def headers_finished(self) -> None:
        """Begin the part whose headers are complete."""
        if self.has_begun:
            return
        # Each part must have a Content-Disposition with the name of its field (RFC 7578, 4.2).
        disposition = parse_form_disposition(self._disposition)
        if disposition is None:
            raise InvalidForm("A part has no Content-Disposition that names its field.")
        self._begin(disposition, self._content_type, self._raw_headers, self._part_header_size)
        self._raw_headers = []
        self._disposition = b""
        self._content_type = None
        self._part_header_size = 0

    def common_headers(self, head: re.Match[bytes]) -> None:
        """Begin a part whose headers match :data:`match_common`."""
        value, name, filename, content_type = head.groups()
        raw_headers = [(b"content-disposition", value)]
        if content_type is not None:
            raw_headers.append((b"content-type", content_type))
        decoded = None if filename is None else filename.decode("utf-8", "replace")
        disposition = FormDisposition(name.decode("utf-8", "replace"), decoded, decoded)
        size = sum([len(name) + len(value) for name, value in raw_headers])
        self._begin(disposition, content_type, raw_headers, size)

    def _begin(
        self,
        disposition: FormDisposition,
        content_type: bytes | None,
        raw_headers: list[tuple[bytes, bytes]],
        header_size: int,
    ) -> None:
        self._form_header_size += header_size
        if self._form_header_size > MAX_FORM_HEADER_SIZE:
            raise _headers_too_large(MAX_FORM_HEADER_SIZE)
        self._check_count(disposition)
        self._size = 0
        decoded = None if content_type is None else content_type.decode("latin-1")
        self.events.append(PartHead(disposition, decoded, raw_headers))

    def _check_count(self, disposition: FormDisposition) -> None:
        limits = self._limits
        name, filename, _ = disposition
        max_size = limits.max_field_size
        if max_size is not None and 4 * len(name) > max_size and len(name.encode()) > max_size:
            raise ContentTooLarge("max_field_size", max_size)
        self._is_file = filename is not None
        if self._is_file:
            self._files += 1
            if limits.max_files is not None and self._files > limits.max_files:
                raise ContentTooLarge("max_files", limits.max_files)
            max_size = limits.max_file_size
        else:
            self._fields += 1
            if limits.max_fields is not None and self._fields > limits.max_fields:
                raise ContentTooLarge("max_fields", limits.max_fields)
            if limits.max_text_size is not None:
                left = limits.max_text_size - self._text_size
                max_size = left if max_size is None or left < max_size else max_size
        self._max_size = sys.maxsize if max_size is None else max_size

    def data(self, data: bytes, start: int, end: int) -> None:
        """Add ``data[start:end]`` to the current part."""
        self._size += end - start
        if self._size > self._max_size:
            raise self._too_large()
        if SMALL <= end - start < len(data):
            # A copy would take 100 us for 1 MiB, as much as parsing it.
            self.events.append(memoryview(data)[start:end])
        else:
            # A slice of all bytes is not a copy.
            self.events.append(data[start:end])

    def _too_large(self) -> ContentTooLarge:
        limits = self._limits
        if self._is_file:
            return ContentTooLarge("max_file_size", self._max_size)
        if limits.max_field_size is not None and self._size > limits.max_field_size:
            return ContentTooLarge("max_field_size", limits.max_field_size)
        return ContentTooLarge("max_text_size", limits.max_text_size or 0)

    def end(self) -> None:
        """End the current part."""
        if not self._is_file:
            self._text_size += self._size
        self.events.append(None)


def _check_value(name: bytes, value: bytes) -> bytes:
    value = value.strip(b" \t")
    # Other readers may end a line at a bare LF, or at a NEL that is not part of UTF-8.
    if _has_control(value) is not None:
        raise InvalidForm("A control character is in the header of a part.")
    if name != b"content-disposition":
        # In Content-Disposition, old clients send names in other charsets: they get U+FFFD.
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidForm("The header of a part is not UTF-8.") from None
    return value


def _headers_too_large(maximum: int) -> ContentTooLarge:
    return ContentTooLarge("part headers", maximum)
