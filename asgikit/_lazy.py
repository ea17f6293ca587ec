"""Names that a module has, and imports when they are first asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module.

    Args:
        module: its name.
        homes: by each name that it has late, the module that makes it.

    >>> lazy_names("asgikit", {"Compress": "asgikit.apps.compression"})("Compress")
    <class 'asgikit.apps.compression.Compress'>
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - a module's own
        home = homes.get(name)
        if home is None:
            raise AttributeError(
                f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module]
            )
        value = getattr(import_module(home), name)
        # Who asks next finds it there.
        setattr(sys.modules[module], name, value)
        return value

    return __getattr__
