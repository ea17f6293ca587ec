"""Header fields (:rfc:`9110`, section 5) as multidicts: a view to read, a list to write.

Both hold one list of ``(name, value)`` in bytes, as ASGI has it, and show it as text. Names are
compared without regard to case, and of a repeated field the first value wins.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from multidict import MultiMapping, MutableMultiMapping

from asgikit.http.grammar import check_field, header_pairs, is_token, split_list

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Headers", "HeadersLike", "MutableHeaders"]

T = TypeVar("T")

Text: TypeAlias = str | bytes


class SupportsKeys(Protocol):
    """A mapping, as far as reading it whole needs one."""

    def keys(self) -> Iterable[str]: ...
    def __getitem__(self, key: Any, /) -> str: ...


HeadersLike: TypeAlias = SupportsKeys | Iterable[tuple[Text, Text]]

# Their values are credentials, which a log must not get by way of a repr.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

_MISSING: Any = object()


class _Fields(MultiMapping[str]):  # noqa: PLW1641 - like every mapping, it has no hash
    """All that reading needs, over ``_raw``: the fields in order, their names in lower case."""

    __slots__ = ("_raw",)

    _raw: list[tuple[bytes, bytes]]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The fields in bytes, in order."""
        return self._raw

    def _first(self, key: object) -> str | None:
        name = _raw_name(key)
        values = (value.decode("latin-1") for one, value in self._raw if one == name)
        return next(values, None)

    def _all(self, key: object) -> list[str]:
        name = _raw_name(key)
        return [value.decode("latin-1") for one, value in self._raw if one == name]

    def __getitem__(self, key: str) -> str:
        return self.getone(key)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """Give the first value of ``key``, or ``default``."""
        value = self._first(key)
        return default if value is None else value

    @overload
    def getone(self, key: str) -> str: ...
    @overload
    def getone(self, key: str, default: T) -> str | T: ...
    def getone(self, key: str, default: Any = _MISSING) -> Any:
        """Give the first value of ``key``, or ``default``; without one, raise :exc:`KeyError`."""
        value = self.get(key, default)
        if value is _MISSING:
            raise KeyError(key)
        return value

    @overload
    def getall(self, key: str) -> list[str]: ...
    @overload
    def getall(self, key: str, default: T) -> list[str] | T: ...
    def getall(self, key: str, default: Any = _MISSING) -> Any:
        """Give all values of ``key``, or ``default``; without one, raise :exc:`KeyError`."""
        values = self._all(key) or default
        if values is _MISSING:
            raise KeyError(key)
        return values

    def __contains__(self, key: object) -> bool:
        return self._first(key) is not None

    def __iter__(self) -> Iterator[str]:
        for name, _ in self._raw:
            yield name.lower().decode("latin-1")

    def __len__(self) -> int:
        return len(self._raw)

    # The views of Mapping look each name up, so a repeated one would give its first value twice.
    def items(self) -> ItemsView[str, str]:
        """Give every field as ``(name, value)``, repeated ones included, in order."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """Give the value of every field, repeated ones included, in order."""
        return _Values(self)

    def to_dict(self) -> dict[str, list[str]]:
        """Give all values of each name."""
        return _group(self.items())

    def __eq__(self, other: object) -> bool:
        """Compare as a recipient does: the same names, each with the same values in one order.

        How different names are interleaved says nothing (section 5.3). Any other mapping is
        compared the same way, its names without regard to case.
        """
        mapping: Any = other
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_dict() == _group(mapping.items())

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{name!r}: {'[...]' if name in _SECRET else value!r}" for name, value in self.items()
        )
        return f"<{type(self).__name__}({fields})>"


class _Items(ItemsView[str, str]):
    __slots__ = ()
    _mapping: _Fields

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self._mapping.raw:
            yield name.lower().decode("latin-1"), value.decode("latin-1")

    def __contains__(self, item: Any) -> bool:
        name, value = item
        return value in self._mapping.getall(name, ())


class _Values(ValuesView[str]):
    __slots__ = ()
    _mapping: _Fields

    def __iter__(self) -> Iterator[str]:
        for _, value in self._mapping.raw:
            yield value.decode("latin-1")

    def __contains__(self, value: object) -> bool:
        return any(value == one for one in self)


class Headers(_Fields):
    r"""The header fields of a request: a read-only view of what the server gave.

    Any byte may be in a value, and in a name too: both are read as ISO-8859-1, and a key that
    this cannot write is absent. A name in upper case, which ASGI forbids, is found where there is
    none of it in lower case.

    Args:
        raw: ``(name, value)`` pairs of bytes. A list is kept as it is, and must not change once
            something was looked up.

    Raises:
        TypeError: it is a mapping.

    >>> headers = Headers([(b"accept", b"text/html"), (b"via", b"1.1 a"), (b"via", b"1.1 b")])
    >>> headers["Accept"], headers.getall("via"), headers.get("cookie")
    ('text/html', ['1.1 a', '1.1 b'], None)
    >>> list(headers)
    ['accept', 'via', 'via']
    """

    __slots__ = ("_groups", "_index", "_odd", "_was_asked")

    # The first value of each name; all values, of a request that repeats a name; and all values
    # of the names that are not in lower case, by the names that they should have had.
    _index: dict[bytes, bytes] | None
    _groups: dict[bytes, list[bytes]] | None
    _odd: dict[bytes, list[bytes]] | None

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        if type(raw) is not list:
            if isinstance(raw, Mapping):
                raise TypeError("Headers views pairs of bytes: MutableHeaders takes a mapping")
            raw = list(raw)
        self._raw = raw
        self._index = None
        self._groups = None
        self._odd = None
        self._was_asked = False

    def __getitem__(self, key: str) -> str:
        index = self._index
        if index is not None:
            try:
                if key.islower():
                    # All that a look-up costs in lower case: no isinstance, no more calls.
                    return index[key.encode("latin-1")].decode("latin-1")
            except (AttributeError, KeyError, UnicodeEncodeError):
                pass
        return super().__getitem__(key)

    def _first(self, key: object) -> str | None:
        name = _raw_name(key)
        if name is None:
            return None
        if not self._was_asked:
            # Many a request is asked for one field: no index saves it a third.
            self._was_asked = True
            for field in self._raw:
                if field[0] == name:
                    return field[1].decode("latin-1")
        value = self._get_index().get(name)
        if value is None:
            odd = self._get_odd().get(name)
            return odd[0].decode("latin-1") if odd else None
        return value.decode("latin-1")

    def _all(self, key: object) -> list[str]:
        name = _raw_name(key)
        return [] if name is None else [v.decode("latin-1") for v in self.raw_values(name)]

    def raw_values(self, name: bytes) -> list[bytes]:
        """Give all values of the field of that lower-case name as they came."""
        index = self._get_index()
        if name not in index:
            return self._get_odd().get(name, []).copy()
        if len(index) == len(self._raw):
            return [index[name]]
        # A list for each name, made once: a scan for each call would be quadratic.
        if self._groups is None:
            self._groups = {}
            for key, value in self._raw:
                self._groups.setdefault(key, []).append(value)
        return self._groups[name].copy()

    def _get_index(self) -> dict[bytes, bytes]:
        index = self._index
        if index is None:
            index = dict(self._raw)
            if len(index) != len(self._raw):
                # From the end, so that the first value is the one that stays.
                index = dict(reversed(self._raw))
            self._index = index
        return index

    def _get_odd(self) -> dict[bytes, list[bytes]]:
        if self._odd is None:
            self._odd = _group(
                (name.lower(), value) for name, value in self._raw if name != name.lower()
            )
        return self._odd


class MutableHeaders(_Fields, MutableMultiMapping[str]):
    """Header fields to write, each checked as it comes in (section 5.5).

    Every name and value, as text or as bytes, goes through
    :func:`~asgikit.http.grammar.check_field`: what would split a message raises
    :class:`ValueError`, what is neither ``str`` nor ``bytes`` :class:`TypeError`, and then
    nothing has changed.

    Args:
        fields: a mapping, or ``(name, value)`` pairs, as ``message["headers"]`` has them.

    >>> headers = MutableHeaders({"Content-Type": "text/plain"})
    >>> headers.add("Link", "</a>; rel=next")
    >>> headers.raw
    [(b'content-type', b'text/plain'), (b'link', b'</a>; rel=next')]
    """

    __slots__ = ()

    def __init__(self, fields: HeadersLike | None = None) -> None:
        self._raw = _check(fields)

    @classmethod
    def _over(cls, raw: list[tuple[bytes, bytes]]) -> Self:
        """Wrap ``raw`` itself, whose fields are known to be good, to change it in place."""
        headers = cls.__new__(cls)
        headers._raw = raw
        return headers

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The fields in bytes, in order: a copy, as nothing gets in unchecked."""
        return self._raw.copy()

    def copy(self) -> Self:
        """Give headers with the same fields, which change on their own."""
        return self._over(self.raw)

    __copy__ = copy

    def _replace(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Put ``fields``, all of one name, where the first of that name is, or at the end."""
        raw = self._raw
        name = fields[0][0]
        start = next((at for at, field in enumerate(raw) if field[0] == name), len(raw))
        raw[start:] = fields + [field for field in raw[start:] if field[0] != name]

    def __setitem__(self, key: Text, value: Text) -> None:
        self._replace([check_field(key, value)])

    def __delitem__(self, key: str) -> None:
        self.popall(key)

    def add(self, key: Text, value: Text) -> None:
        """Add a field at the end, whether or not there are others of its name."""
        self._raw.append(check_field(key, value))

    append = add

    def extend(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Add every field of a mapping or of pairs."""
        self._raw += _check(arg, kwargs)

    def update(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Set every field of a mapping or of pairs in place of those of its name."""
        for fields in _group((field[0], field) for field in _check(arg, kwargs)).values():
            self._replace(fields)

    def __ior__(self, other: HeadersLike) -> Self:
        """Do as :meth:`update` does."""
        self.update(other)
        return self

    def __or__(self, other: HeadersLike) -> Self:
        """Give a copy with every field of ``other`` in place of those of its name."""
        headers = self.copy()
        headers |= other
        return headers

    def merge(self, arg: HeadersLike | None = None, /, **kwargs: str) -> None:
        """Add the fields of a mapping or of pairs whose names are not here yet."""
        names = {name for name, _ in self._raw}
        self._raw += [field for field in _check(arg, kwargs) if field[0] not in names]

    def setdefault(self, key: str, default: str = "") -> str:
        """Give the first value of ``key``, after adding ``default`` where there is none."""
        value = self.get(key)
        if value is None:
            self.add(key, default)
            value = self._raw[-1][1].decode("latin-1")
        return value

    @overload
    def popone(self, key: str) -> str: ...
    @overload
    def popone(self, key: str, default: T) -> str | T: ...
    def popone(self, key: str, default: Any = _MISSING) -> Any:
        """Take the first field of ``key`` out, and give its value, or ``default``."""
        name = _raw_name(key)
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
    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Take the first field of ``key`` out, as :meth:`popone` does."""
        return self.popone(key, default)

    @overload
    def popall(self, key: str) -> list[str]: ...
    @overload
    def popall(self, key: str, default: T) -> list[str] | T: ...
    def popall(self, key: str, default: Any = _MISSING) -> Any:
        """Take every field of ``key`` out, and give their values, or ``default``."""
        values = self.getall(key, default)
        name = _raw_name(key)
        self._raw[:] = [field for field in self._raw if field[0] != name]
        return values

    def popitem(self) -> tuple[str, str]:
        """Take the last field out; without any, raise :exc:`KeyError`."""
        if not self._raw:
            raise KeyError("there are no fields")
        name, value = self._raw.pop()
        return name.decode("latin-1"), value.decode("latin-1")

    def clear(self) -> None:
        """Take every field out."""
        self._raw.clear()

    def add_vary(self, *names: str) -> None:
        """Merge ``names`` into one Vary field (section 12.5.5).

        Raises:
            ValueError: one of them is neither a field name nor ``*``.

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
            merged = _group((name, name) for name in (*listed, *names))
            # "*" says that anything may matter, and leaves nothing to add.
            self["vary"] = "*" if "*" in merged else ", ".join(same[0] for same in merged.values())


def _raw_name(key: object) -> bytes | None:
    """Encode ``key`` to look it up: :obj:`None` for what no field is named."""
    if not isinstance(key, str):
        return None
    try:
        # Only then lower(): that of `str` would turn KELVIN SIGN into "k".
        return key.encode("latin-1").lower()
    except UnicodeEncodeError:
        return None


def _check(arg: Any, more: Mapping[str, str] | None = None) -> list[tuple[bytes, bytes]]:
    pairs: Any = () if arg is None else header_pairs(arg)
    if hasattr(pairs, "keys"):
        pairs = [(name, pairs[name]) for name in pairs.keys()]  # noqa: SIM118 - no mapping
    return [check_field(name, value) for name, value in (*pairs, *(more or {}).items())]


def _group(items: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    """Give all values of each name in lower case, which is that of ASCII alone."""
    groups: dict[Any, list[Any]] = {}
    for name, value in items:
        # The lower() of `str` knows other letters, of which a field name has none.
        is_name = isinstance(name, bytes) or (isinstance(name, str) and name.isascii())
        groups.setdefault(name.lower() if is_name else name, []).append(value)
    return groups
