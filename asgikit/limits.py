"""Limits on the size of requests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "MAX_HEADER_SIZE", "Limits"]

KiB = 1024
MiB = 1024 * KiB

#: Maximum size of a header that asgikit parses by itself. It ignores longer ones.
MAX_HEADER_SIZE = 8 * KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the size of requests. Sizes are in bytes, and ``None`` means no limit.

    A request over a limit raises :class:`~asgikit.ContentTooLarge` (413), which names the limit:
    before anything is received if Content-Length exceeds it, else as soon as the bytes do.

    Attributes:
        max_body_size: Size of ``body()``, ``text()`` and ``json()``.
        max_form_size: Size of a whole multipart body.
        max_text_size: Size of an urlencoded body, and of all text fields of a multipart body.
        max_fields: Number of fields of a form.
        max_files: Number of files of a form.
        max_field_size: Size of the value of a field, and of its name.
        max_file_size: Size of a file.
        spool_size: Bytes of all files of a form in memory. Further files go to disk.
        max_query_fields: Number of fields of a query string. More raise a 400.
        max_header_size: Size of a header that has a list or parameters, such as Accept, Range,
            If-Match or Forwarded, in all its lines. If it is longer, its property raises a 431.
            asgikit itself ignores such a header above 8 KiB. Cookie has its own limit.
        max_ratio: Decoded bytes for each byte of a body with a content coding, after the first
            1 MiB. The other limits count decoded bytes. A Content-Length is refused if it exceeds
            one of them by more than a coding can add.
        body_timeout: Seconds to wait for one message of a body. A longer wait raises a 408.
        total_timeout: Seconds to wait for all messages of a body, in sum over its readers, for
            ``body()``, ``text()``, ``json()`` and urlencoded forms. A longer wait raises a 408.
            ``stream()``, ``parts()`` and multipart forms have none: a large upload over a slow
            link may take hours.

    Raises:
        ValueError: A limit is negative.

    >>> Limits(max_body_size=1024).max_body_size
    1024
    """

    max_body_size: int | None = 10 * MiB
    max_form_size: int | None = 128 * MiB
    max_text_size: int | None = 2 * MiB
    max_fields: int | None = 1000
    max_files: int | None = 100
    max_field_size: int | None = 1 * MiB
    max_file_size: int | None = None
    spool_size: int = 1 * MiB
    max_query_fields: int | None = 1000
    max_header_size: int | None = MAX_HEADER_SIZE
    max_ratio: int | None = 100
    body_timeout: float | None = 60.0
    total_timeout: float | None = 300.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, but is {value!r}")


DEFAULT_LIMITS = Limits()
