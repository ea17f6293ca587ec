"""Names of a module that are imported on first use (:pep:`562`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


#: The ``__version__`` of a checkout that is importable, but not installed.
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
    """Return the ``__getattr__`` of a module.

    Args:
        module: The name of the module.
        homes: The defining modules of the names that are imported on first use.
        distribution: If given, ``__version__`` is one of these names, see :func:`read_version`.

    >>> lazy_names("asgikit", {"Compress": "asgikit.apps.compression"})("Compress")
    <class 'asgikit.apps.compression.Compress'>
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - of a module
        home = homes.get(name)
        if home is not None:
            value = getattr(import_module(home), name)
        elif name == "__version__" and distribution is not None:
            value = read_version(distribution)
        else:
            raise AttributeError(
                f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module]
            )
        # The next access does not call this function.
        setattr(sys.modules[module], name, value)
        return value

    return __getattr__
