"""Names that a module has, and imports when they are first asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


#: The ``__version__`` of a checkout that is on the path, but not installed.
UNKNOWN_VERSION = "0+unknown"


def read_version(distribution: str) -> str:
    """Return the installed version of ``distribution``, or ``"0+unknown"`` if it is not installed.

    >>> read_version("a-distribution-that-is-not-installed")
    '0+unknown'
    """
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return UNKNOWN_VERSION


def lazy_names(
    module: str, homes: Mapping[str, str], *, distribution: str | None = None
) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module.

    Args:
        module: its name.
        homes: by each name that it has late, the module that makes it.
        distribution: if given, the module has a ``__version__`` too, by :func:`read_version`.

    >>> lazy_names("asgikit", {"Compress": "asgikit.apps.compression"})("Compress")
    <class 'asgikit.apps.compression.Compress'>
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - a module's own
        home = homes.get(name)
        if home is not None:
            value = getattr(import_module(home), name)
        elif name == "__version__" and distribution is not None:
            value = read_version(distribution)
        else:
            raise AttributeError(
                f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module]
            )
        # Who asks next finds it there.
        setattr(sys.modules[module], name, value)
        return value

    return __getattr__
