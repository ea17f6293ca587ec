"""Headers to change, such as those of a response; each is checked when it is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from multidict import MutableMultiMapping

from asgikit.datastructures.header_mapping import (
    MISSING,
    HeaderMapping,
    HeadersLike,
    RawHeaderList,
    Text,
    check_headers,
    encode_name,
    group_by_name,
)
from asgikit.http.grammar import check_field, is_token, split_list

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Self

__all__ = ["MutableHeaders"]

T = TypeVar("T")


class MutableHeaders(HeaderMapping, MutableMultiMapping[str]):
    """Headers to change; each is checked when it is set (:rfc:`9110`, section 5.5).

    Names and values are text or bytes. If :func:`~asgikit.http.grammar.check_field` refuses one,
    the method raises :exc:`ValueError` or :exc:`TypeError`, and nothing has changed.

    Args:
        fields: A mapping, or ``(name, value)`` pairs.
        scope: A message or scope, in place of ``fields``: its headers are changed in place, as a
            middleware does it. They are not checked.

    Raises:
        TypeError: Both arguments are given.

    >>> headers = MutableHeaders({"Content-Type": "text/plain"})
    >>> headers.add("Link", "</a>; rel=next")
    >>> headers.raw
    [(b'content-type', b'text/plain'), (b'link', b'</a>; rel=next')]
    >>> message = {"type": "http.response.start", "status": 200, "headers": [(b"Vary", b"*")]}
    >>> MutableHeaders(scope=message)["x-id"] = "7"
    >>> message["headers"]
    [(b'vary', b'*'), (b'x-id', b'7')]
    """

    __slots__ = ()

    def __init__(
        self, fields: HeadersLike | None = None, *, scope: MutableMapping[str, Any] | None = None
    ) -> None:
        if scope is None:
            self._raw = check_headers(fields)
            return
        if fields is not None:
            raise TypeError("MutableHeaders takes headers or scope=, not both")
        pairs = scope.get("headers") or ()
        self._raw = scope["headers"] = [(name.lower(), value) for name, value in pairs]

    @classmethod
    def _over(cls, raw: RawHeaderList) -> Self:
        """Return an instance that changes ``raw`` itself. Its headers were checked."""
        headers = cls.__new__(cls)
        headers._raw = raw
        return headers

    @property
    def raw(self) -> RawHeaderList:
        """A copy of the headers in bytes, in order."""
        return self._raw.copy()

    def copy(self) -> Self:
        """Return independent headers with the same content."""
        return self._over(self.raw)

    __copy__ = copy

    def _replace(self, fields: RawHeaderList) -> None:
        """Replace the headers of one name by ``fields``, at the place of the first, or append."""
        raw = self._raw
        name = fields[0][0]
        start = next((at for at, field in enumerate(raw) if field[0] == name), len(raw))
        raw[start:] = fields + [field for field in raw[start:] if field[0] != name]

    def __setitem__(self, key: Text, value: Text) -> None:
        self._replace([check_field(key, value)])

    def __delitem__(self, key: str) -> None:
        self.popall(key)

    def add(self, key: Text, value: Text) -> None:
        """Append a header, and keep others of its name."""
        self._raw.append(check_field(key, value))

    append = add

    def extend(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Append all headers of a mapping or of pairs."""
        self._raw += check_headers(arg, kwargs)

    def update(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Set all headers of a mapping or of pairs, in place of those of the same names."""
        for fields in group_by_name(
            (field[0], field) for field in check_headers(arg, kwargs)
        ).values():
            self._replace(fields)

    def __ior__(self, other: HeadersLike) -> Self:
        """Update the headers, as :meth:`update` does."""
        self.update(other)
        return self

    def __or__(self, other: HeadersLike) -> Self:
        """Return a copy that is updated with the headers of ``other``."""
        headers = self.copy()
        headers |= other
        return headers

    def merge(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Append the headers of a mapping or of pairs whose names are absent."""
        names = {name for name, _ in self._raw}
        self._raw += [field for field in check_headers(arg, kwargs) if field[0] not in names]

    def setdefault(self, key: str, default: str = "") -> str:
        """Return the first value of ``key``; if it is absent, append ``default``."""
        value = self.get(key)
        if value is None:
            self.add(key, default)
            value = self._raw[-1][1].decode("latin-1")
        return value

    @overload
    def popone(self, key: str) -> str: ...
    @overload
    def popone(self, key: str, default: T) -> str | T: ...
    def popone(self, key: str, default: Any = MISSING) -> Any:
        """Remove the first header named ``key`` and return its value, or ``default``."""
        name = encode_name(key)
        for at, field in enumerate(self._raw):
            if field[0] == name:
                return self._raw.pop(at)[1].decode("latin-1")
        return self.getone(key, default)

    @overload
    def pop(self, key: str) -> str: ...
    @overload
    def pop(self, key: str, default: str) -> str: ...
    @overload
    def pop(self, key: str, default: T) -> str | T: ...
    def pop(self, key: str, default: Any = MISSING) -> Any:
        """Remove the first header named ``key``, as :meth:`popone` does."""
        return self.popone(key, default)

    @overload
    def popall(self, key: str) -> list[str]: ...
    @overload
    def popall(self, key: str, default: T) -> list[str] | T: ...
    def popall(self, key: str, default: Any = MISSING) -> Any:
        """Remove all headers named ``key`` and return their values, or ``default``."""
        values = self.getall(key, default)
        name = encode_name(key)
        self._raw[:] = [field for field in self._raw if field[0] != name]
        return values

    def popitem(self) -> tuple[str, str]:
        """Remove the last header and return it; raise :exc:`KeyError` if there is none."""
        if not self._raw:
            raise KeyError("there are no headers")
        name, value = self._raw.pop()
        return name.decode("latin-1"), value.decode("latin-1")

    def clear(self) -> None:
        """Remove all headers."""
        self._raw.clear()

    def add_vary(self, *names: str) -> None:
        """Merge ``names`` into one Vary header (:rfc:`9110`, section 12.5.5).

        Raises:
            ValueError: A name is neither a token nor ``*``.

        >>> headers = MutableHeaders({"vary": "Accept"})
        >>> headers.add_vary("accept", "Cookie")
        >>> headers["vary"]
        'Accept, Cookie'
        """
        for name in names:
            if not is_token(name):
                raise ValueError(f"not a header field name: {name!r}")
        if names:
            listed = split_list(", ".join(self.getall("vary", [])))
            merged = group_by_name((name, name) for name in (*listed, *names))
            # "*" covers every name.
            self["vary"] = "*" if "*" in merged else ", ".join(same[0] for same in merged.values())
