"""What a request may cost: one frozen dataclass, with a reason for each number."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "MAX_HEADER_SIZE", "Limits"]

KiB = 1024
MiB = 1024 * KiB

#: Bytes of a header that asgikit parses without being asked to; a longer one is ignored.
MAX_HEADER_SIZE = 8 * KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a client may send; sizes in bytes, ``None`` for no bound.

    Over one of them is a :class:`~asgikit.ContentTooLarge` (413) that names it, raised while
    the bytes arrive, and before the first one where Content-Length tells.

    Attributes:
        max_body_size: of ``body()``, ``text()`` and ``json()``.
        max_form_size: of a whole multipart body.
        max_text_size: of an urlencoded body, and of all text fields of a multipart body.
        max_fields: fields in a form.
        max_files: files in a form.
        max_field_size: of one field's value; its name has the same bound.
        max_file_size: of one file.
        spool_size: file bytes held in memory over a whole form; past it they go to disk.
        max_query_fields: fields in a query string; more are a 400.
        max_header_size: bytes of one header that has a list or parameters, such as Accept, Range,
            If-Match or Forwarded, in all its lines. If it is longer, its property raises a 431.
            asgikit itself ignores such a header above 8 KiB. Cookie has its own limit.
        max_ratio: decoded bytes for each byte of a body that has a content coding, past the first
            1 MiB; the other bounds count decoded bytes. A Content-Length over one of them, with
            what a coding may add, is refused as well.
        body_timeout: seconds to wait for one message of a body; longer is a 408.

    Raises:
        ValueError: a bound below zero.

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

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, but is {value!r}")


DEFAULT_LIMITS = Limits()
