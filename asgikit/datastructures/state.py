"""The entries of ``scope["state"]``, by item and by attribute."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["State"]


class State(MutableMapping[str, Any]):
    """The entries of ``scope["state"]``, as items and as attributes.

    Args:
        entries: The mapping to read and to change. If absent, a new ``dict``.

    >>> state = State({"pool": 1})
    >>> state.user = "ada"
    >>> state.pool, state["user"]
    (1, 'ada')
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: MutableMapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_entries", {} if entries is None else entries)

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._entries[key] = value

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._entries[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._entries[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._entries[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __reduce__(self) -> tuple[type[State], tuple[MutableMapping[str, Any]]]:
        return State, (self._entries,)

    def __repr__(self) -> str:
        return f"State({sorted(self._entries)})"
