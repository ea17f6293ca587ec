"""The result of reading a form: its fields, and its files, which it closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from multidict import MultiDict

from asgikit.datastructures.query import Fields, parse_urlencoded
from asgikit.runtime.threads import run_blocking_io

if TYPE_CHECKING:
    from asgikit.forms.uploads import UploadFile
    from asgikit.limits import Limits

__all__ = ["FormData", "PendingForm", "read_fields"]

#: Bytes of an urlencoded body from which on it is parsed in a worker thread.
LARGE = 256 * 1024


class FormData(Fields["str | UploadFile"]):
    """The fields of a form, in order, repeated ones kept. The first value wins.

    Args:
        fields: A mapping, or ``(name, value)`` pairs.
        uploads: The files to close. If absent, those among the values.

    >>> form = FormData([("tag", "a"), ("tag", "b")])
    >>> form["tag"], form.getall("tag")
    ('a', ['a', 'b'])
    """

    __slots__ = ("_uploads",)

    def __init__(
        self,
        fields: Mapping[str, str | UploadFile] | Iterable[tuple[str, str | UploadFile]] = (),
        uploads: Sequence[UploadFile] | None = None,
    ) -> None:
        super().__init__(MultiDict(fields))
        if uploads is None:
            from asgikit.forms.uploads import UploadFile

            uploads = [value for value in self.values() if isinstance(value, UploadFile)]
        self._uploads = uploads

    @property
    def is_open(self) -> bool:
        """Whether there are files to close."""
        return bool(self._uploads)

    async def close(self) -> None:
        """Close the files, except detached ones. The text fields stay."""
        uploads, self._uploads = self._uploads, ()
        if uploads:
            from asgikit.forms.uploads import close_uploads

            await close_uploads(uploads)


_FORGOTTEN_AWAIT = "request.form() was not awaited: write form = await request.form()"


class PendingForm:
    """A form to read: await it, or use it as a context manager that closes its files."""

    __slots__ = ("_form", "_limits", "_read")

    _form: FormData

    def __init__(self, read: Callable[[Limits], Awaitable[FormData]], limits: Limits) -> None:
        self._read = read
        self._limits = limits

    if TYPE_CHECKING:
        pass
    else:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(_FORGOTTEN_AWAIT, name=name, obj=self)

        def __getitem__(self, key: str) -> Any:
            raise TypeError(_FORGOTTEN_AWAIT)

    def __await__(self) -> Generator[Any, Any, FormData]:
        return self._read(self._limits).__await__()

    async def __aenter__(self) -> FormData:
        form = self._form = await self._read(self._limits)
        return form

    async def __aexit__(self, *_: object) -> None:
        await self._form.close()


async def read_fields(data: bytes, limits: Limits) -> FormData:
    """Parse an urlencoded body.

    Raises:
        ContentTooLarge: The form is over a limit.
    """
    max_fields, max_size = limits.max_fields, limits.max_field_size
    if len(data) < LARGE:
        fields = parse_urlencoded(data, max_fields=max_fields, max_size=max_size)
    else:
        # 1 MiB of escapes takes 50 ms.
        parse = partial(parse_urlencoded, data, max_fields=max_fields, max_size=max_size)
        fields = await run_blocking_io(parse)
    return FormData(fields, ())
