"""The mapping that :class:`Headers` and :class:`MutableHeaders` share (:rfc:`9110`, section 5).

Both hold one list of ``(name, value)`` pairs in bytes, as ASGI has it, and return text. Names are
compared without regard to case. The first of repeated headers wins.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from multidict import MultiMapping

from asgikit.http.grammar import check_field, header_pairs

__all__ = [
    "MISSING",
    "HeaderMapping",
    "HeadersLike",
    "RawHeaderList",
    "Text",
    "check_headers",
    "encode_name",
    "group_by_name",
]

T = TypeVar("T")

Text: TypeAlias = str | bytes
RawHeaderList: TypeAlias = list[tuple[bytes, bytes]]


class SupportsKeys(Protocol):
    """A mapping, as far as reading all of it requires one."""

    def keys(self) -> Iterable[str]: ...
    def __getitem__(self, key: Any, /) -> str: ...


HeadersLike: TypeAlias = SupportsKeys | Iterable[tuple[Text, Text]]

# A repr() may be logged, and these values are credentials.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

MISSING: Any = object()


class HeaderMapping(MultiMapping[str]):  # noqa: PLW1641 - like every mapping, it has no hash
    """The reading methods, over ``_raw``: pairs in order, their names in lower case."""

    __slots__ = ("_raw",)

    _raw: RawHeaderList

    @property
    def raw(self) -> RawHeaderList:
        """The headers in bytes, in order."""
        return self._raw

    def _first(self, key: object) -> str | None:
        name = encode_name(key)
        values = (value.decode("latin-1") for each, value in self._raw if each == name)
        return next(values, None)

    def _all(self, key: object) -> list[str]:
        name = encode_name(key)
        return [value.decode("latin-1") for each, value in self._raw if each == name]

    def __getitem__(self, key: str) -> str:
        return self.getone(key)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """Return the first value of ``key``, or ``default``."""
        value = self._first(key)
        return default if value is None else value

    @overload
    def getone(self, key: str) -> str: ...
    @overload
    def getone(self, key: str, default: T) -> str | T: ...
    def getone(self, key: str, default: Any = MISSING) -> Any:
        """Return the first value of ``key``, or ``default``.

        Raises:
            KeyError: There is neither.
        """
        value = self.get(key, default)
        if value is MISSING:
            raise KeyError(key)
        return value

    @overload
    def getall(self, key: str) -> list[str]: ...
    @overload
    def getall(self, key: str, default: T) -> list[str] | T: ...
    def getall(self, key: str, default: Any = MISSING) -> Any:
        """Return all values of ``key``, or ``default``.

        Raises:
            KeyError: There is neither.
        """
        values = self._all(key) or default
        if values is MISSING:
            raise KeyError(key)
        return values

    def __contains__(self, key: object) -> bool:
        return self._first(key) is not None

    def __iter__(self) -> Iterator[str]:
        for name, _ in self._raw:
            yield name.lower().decode("latin-1")

    def __len__(self) -> int:
        return len(self._raw)

    # The views of Mapping look up each name, so they would repeat the first value.
    def items(self) -> ItemsView[str, str]:
        """Return all headers as ``(name, value)``, repeated ones included, in order."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """Return the values of all headers, repeated ones included, in order."""
        return _Values(self)

    def to_dict(self) -> dict[str, list[str]]:
        """Return all values of each name."""
        return group_by_name(self.items())

    def __eq__(self, other: object) -> bool:
        """Compare names without regard to case, and the values of each name in order.

        The order of different names has no meaning (section 5.3). Other mappings are compared in
        the same way.
        """
        mapping: Any = other
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_dict() == group_by_name(mapping.items())

    def __repr__(self) -> str:
        headers = ", ".join(
            f"{name!r}: {'[...]' if name in _SECRET else value!r}" for name, value in self.items()
        )
        return f"<{type(self).__name__}({headers})>"


class _Items(ItemsView[str, str]):
    __slots__ = ()
    _mapping: HeaderMapping

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self._mapping.raw:
            yield name.lower().decode("latin-1"), value.decode("latin-1")

    def __contains__(self, item: Any) -> bool:
        name, value = item
        return value in self._mapping.getall(name, ())


class _Values(ValuesView[str]):
    __slots__ = ()
    _mapping: HeaderMapping

    def __iter__(self) -> Iterator[str]:
        for _, value in self._mapping.raw:
            yield value.decode("latin-1")

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)


def encode_name(key: object) -> bytes | None:
    """Return a name to look up, in lower case; ``None`` if no header can have it."""
    if not isinstance(key, str):
        return None
    try:
        # str.lower() would map other characters to ASCII, such as KELVIN SIGN to "k".
        return key.encode("latin-1").lower()
    except UnicodeEncodeError:
        return None


def check_headers(source: Any, more: Mapping[str, str] | None = None) -> RawHeaderList:
    """Return checked headers of a mapping or of pairs, and those of ``more``."""
    pairs: Any = () if source is None else header_pairs(source)
    if hasattr(pairs, "keys"):
        pairs = [(name, pairs[name]) for name in pairs.keys()]  # noqa: SIM118 - no mapping
    return [check_field(name, value) for name, value in (*pairs, *(more or {}).items())]


def group_by_name(items: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    """Return all values of each name, in the lower case of ASCII."""
    groups: dict[Any, list[Any]] = {}
    for name, value in items:
        # str.lower() would change other characters, which no header name has.
        is_name = isinstance(name, bytes) or (isinstance(name, str) and name.isascii())
        groups.setdefault(name.lower() if is_name else name, []).append(value)
    return groups
