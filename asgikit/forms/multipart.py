"""The parts of a multipart form (:rfc:`7578`, section 4): what each says of itself, and limits."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TypeAlias

from asgikit.exceptions import ContentTooLarge, InvalidForm
from asgikit.http.disposition import FormDisposition, parse_form_disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asgikit.limits import Limits

__all__ = ["PartHead"]

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
    rb'(?:; filename="([^"\\/%\x00-\x1f\x7f]{0,256}+)")?+)\r\n'
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
