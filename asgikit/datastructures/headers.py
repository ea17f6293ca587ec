"""The headers of a request: a read-only view of the pairs that the server received."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asgikit.datastructures.header_mapping import (
    HeaderMapping,
    check_headers,
    encode_name,
    group_by_name,
)

__all__ = ["Headers"]


class Headers(HeaderMapping):
    r"""The headers of a request; a read-only multidict.

    Values and names may hold any byte, and are decoded as ISO-8859-1. ASGI forbids upper case in
    names: a name in upper case is found only if there is none in lower case.

    Args:
        raw: ``(name, value)`` pairs of bytes, or a mapping of text. A list is not copied, and must
            not change after the first look-up.

    Raises:
        TypeError: A name or value of the mapping is neither ``str`` nor ``bytes``.
        ValueError: A name or value of the mapping is malformed.

    >>> headers = Headers([(b"accept", b"text/html"), (b"via", b"1.1 a"), (b"via", b"1.1 b")])
    >>> headers["Accept"], headers.getall("via"), headers.get("cookie")
    ('text/html', ['1.1 a', '1.1 b'], None)
    >>> list(headers)
    ['accept', 'via', 'via']
    >>> Headers({"X-Name": "tea"})["x-name"]
    'tea'
    """

    __slots__ = ("_groups", "_index", "_upper_case", "_was_asked")

    # The first value of each name; all values, if a name is repeated; and all values of the names
    # that are not in lower case, by the lower-case name.
    _index: dict[bytes, bytes] | None
    _groups: dict[bytes, list[bytes]] | None
    _upper_case: dict[bytes, list[bytes]] | None

    def __init__(self, raw: Iterable[tuple[bytes, bytes]] | Mapping[str, str] = ()) -> None:
        if type(raw) is list:
            self._raw = raw
        else:
            self._raw = check_headers(raw) if isinstance(raw, Mapping) else list(raw)
        self._index = None
        self._groups = None
        self._upper_case = None
        self._was_asked = False

    def __getitem__(self, key: str) -> str:
        # perf: all_headers -30 % - a name in lower case takes one look-up and no further call.
        index = self._index
        if index is not None:
            try:
                if key.islower():
                    return index[key.encode("latin-1")].decode("latin-1")
            except (AttributeError, KeyError, UnicodeEncodeError):
                pass
        return super().__getitem__(key)

    def _first(self, key: object) -> str | None:
        name = encode_name(key)
        if name is None:
            return None
        if not self._was_asked:
            self._was_asked = True
            value = self._scan(name)
            if value is not None:
                return value.decode("latin-1")
        value = self._get_index().get(name)
        if value is None:
            values = self._get_upper_case().get(name)
            return values[0].decode("latin-1") if values else None
        return value.decode("latin-1")

    def _scan(self, name: bytes) -> bytes | None:
        """Return the first value of a name without an index.

        perf: one_header -10 %, since many requests are asked for one header only.
        """
        for each, value in self._raw:
            if each == name:
                return value
        return None

    def _all(self, key: object) -> list[str]:
        name = encode_name(key)
        return [] if name is None else [v.decode("latin-1") for v in self.raw_values(name)]

    def raw_values(self, name: bytes) -> list[bytes]:
        """Return all values of the header with this lower-case name, as they were received."""
        index = self._get_index()
        if name not in index:
            return self._get_upper_case().get(name, []).copy()
        if len(index) == len(self._raw):
            return [index[name]]
        # All names are grouped once: a scan in each call would take quadratic time.
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
                # In reverse, so that the first value of a name replaces the later ones.
                index = dict(reversed(self._raw))
            self._index = index
        return index

    def _get_upper_case(self) -> dict[bytes, list[bytes]]:
        if self._upper_case is None:
            self._upper_case = group_by_name(
                pair for pair in self._raw if pair[0] != pair[0].lower()
            )
        return self._upper_case
