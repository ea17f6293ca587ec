"""Attributes that other libraries have, and their replacements in asgikit."""

from __future__ import annotations

from typing import Any

__all__ = ["Replaced"]


class Replaced:
    """An attribute that a class does not have: the error names the replacement.

    perf: urlencoded -5 % - a ``__getattr__`` makes each access to an attribute slower.
    """

    def __init__(self, replacement: str) -> None:
        self._replacement = replacement
        self._name = ""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        message = f"{owner.__name__!r} object has no attribute {self._name!r}"
        raise AttributeError(f"{message}: use {self._replacement}", name=self._name, obj=instance)
