"""A folder as an ASGI app: files by their names below it, and never anything else."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from asgikit._file_reader import FileReader, refusal
from asgikit.asgi import RawHeaders, Scope, answer_other
from asgikit.exceptions import HTTPError
from asgikit.files import FileResponse, add_validators, new_boundary, select_error, send_file
from asgikit.http.grammar import check_field, parse_parameters, split_list
from asgikit.http.media_types import guess_media_type
from asgikit.http.selection import Selection, select
from asgikit.responses import ProblemResponse

__all__ = ["StaticFiles"]

# What the names of compressed siblings end with.
_SUFFIXES = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}

# What no name has that a URL may lead to: a NUL ends it, a backslash splits it on Windows, and
# there a colon is behind a drive and before a stream, and a dot or a space at the end is dropped.
_is_foreign = re.compile(r"[\0\\]" if os.sep == "/" else r"[\0\\:]|[. ]\Z").search

_FOREVER = "public, max-age=31536000, immutable"


class StaticFiles:
    """An ASGI app that serves the files of a folder, by GET and HEAD.

    A path that leads nowhere is a 404: so is one with an empty segment, ``.``, ``..``, a
    backslash, an encoded slash or a NUL in it. All work on disk is done off the event loop, the
    finding, the opening and the first reading in one hop.

    Args:
        directory: the folder; the names below it may change at any time.
        html: serve ``index.html`` for a folder, whose path is redirected to its slash, and the
            folder's own ``404.html`` with the status 404 for what is not there.
        fallback: a file, relative to ``directory``, to serve where nothing is found: the page of
            an application that routes by itself. Paths that end in the extension of another type
            than HTML stay a 404: a script that is not there is no page.
        cache_control: the Cache-Control of every file.
        immutable: which names, relative to ``directory``, never change their content, so that
            clients may keep them for a year: a regular expression, searched for, or a predicate.
        precompressed: content codings, the best one first, for which ``name.br``, ``name.zst`` or
            ``name.gz`` is served in the place of ``name`` where the client accepts it.
        follow_symlinks: follow links out of the folder too; within it they are always followed.
        dotfiles: serve names that start with a dot; ``.well-known`` (:rfc:`8615`) always is.

    Raises:
        ValueError: ``directory`` is none, ``fallback`` is no path below it, a content coding is
            not known, or ``cache_control`` cannot be sent.

    >>> StaticFiles(".", cache_control="max-age=60", immutable=r"\\.[0-9a-f]{8,}\\.(?:css|js)$")
    <StaticFiles '.'>
    """
