"""Paths of static files: from the path of a request to the names of folders and a file.

The checks are the same on every system, and need no access to the disk.
"""

from __future__ import annotations

import os
import re

from asgikit.types import Scope

__all__ = ["has_encoded_slash", "mount_path", "path_below_mount", "split_path"]

# Names that no URL may lead to: a NUL ends a name. On Windows, a backslash separates names, a colon
# follows a drive or precedes a stream, and a dot or a space at the end is dropped.
_is_foreign = re.compile(r"[\0\\]" if os.sep == "/" else r"[\0\\:]|[. ]\Z").search

# Bytes of a name and of a path that Linux, macOS and Windows allow, at most. A longer path is not
# looked up, because resolving its links takes quadratic time.
_NAME_MAX = 255
_PATH_MAX = 4096


def split_path(route: str, *, dotfiles: bool) -> tuple[str, ...] | None:
    """Split a path into names; return ``None`` if one of them is not allowed."""
    first, *parts = route.removesuffix("/").split("/")
    if first or len(route.encode("utf-8", "surrogatepass")) >= _PATH_MAX:
        return None
    return tuple(parts) if all(_is_name(part, dotfiles=dotfiles) for part in parts) else None


def _is_name(part: str, *, dotfiles: bool) -> bool:
    if part in ("", ".", "..") or _is_foreign(part):
        return False
    if len(part.encode("utf-8", "surrogatepass")) > _NAME_MAX:
        return False
    return dotfiles or part == ".well-known" or not part.startswith(".")


def has_encoded_slash(scope: Scope, route: str) -> bool:
    """Return whether the path below the mount was sent with an encoded slash.

    That separates no names (:rfc:`3986`, section 2.2), and no name contains a slash. An encoded
    slash in the path of the mount is not ours to judge.
    """
    target: bytes = scope.get("raw_path") or b""
    if b"%2" not in target:
        return False
    segments = target.partition(b"?")[0].lower().rsplit(b"/", route.count("/"))[1:]
    return any(b"%2f" in segment for segment in segments)


def path_below_mount(scope: Scope) -> str:
    """Return the path below the mount."""
    path: str = scope["path"]
    root = mount_path(scope)
    # ASGI puts `root_path` in front of `path`; some hosts remove it.
    if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def mount_path(scope: Scope) -> str:
    """Return the path of the mount, without a slash at its end."""
    root: str = scope.get("root_path") or ""
    return root.rstrip("/")
