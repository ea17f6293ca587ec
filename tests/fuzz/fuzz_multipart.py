"""Fuzz target: each body is a form or an ``HTTPError``, independent of its chunks.

``python -m tests.fuzz`` runs it. It is a libFuzzer program with the options of libFuzzer::

    python -m tests.fuzz.fuzz_multipart -max_total_time=60 [FOLDER OF BODIES]
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from asgikit import HTTPError, Limits
from asgikit.datastructures.query import parse_urlencoded
from asgikit.forms.content_type import decode_text, is_urlencoded, parse_boundary
from asgikit.forms.multipart import FormParser
from asgikit.forms.part_reader import PartHead
from tests.support.form_bodies import BOUNDARY, CONTENT_TYPE

LIMITS = Limits(
    max_form_size=100_000,
    max_fields=20,
    max_files=10,
    max_text_size=20_000,
    max_field_size=10_000,
    max_file_size=50_000,
)


def parse(boundary: str, chunks: list[bytes]) -> object:
    """Return the items of the form, or ``None`` for an ``HTTPError``.

    The errors are not compared: which of two faults in one chunk is reported depends on the chunks.
    """
    items: list[tuple[str, str | None, str | bytes]] = []
    try:
        parser = FormParser(boundary, LIMITS)
        head: PartHead | None = None
        data = bytearray()
        for chunk in chunks:
            for event in parser.feed(chunk):
                if isinstance(event, PartHead):
                    head = event
                elif event is not None:
                    data += event
                elif head is not None:
                    name, filename, _ = head.disposition
                    is_text = filename is None
                    value = decode_text(name, head.content_type, data) if is_text else bytes(data)
                    items.append((name, filename, value))
                    data.clear()
        parser.finish()
    except HTTPError:
        return None
    return items


def check(data: bytes) -> None:
    """Check one input: optionally a Content-Type and ``b"\\0\\n"``, then a body.

    Raises:
        AssertionError: the result depends on the chunks.
    """
    first, line_end, rest = data.partition(b"\0\n")
    content_type, body = (first.decode("latin-1"), rest) if line_end else (CONTENT_TYPE, data)
    try:
        if is_urlencoded(content_type):
            parse_urlencoded(body, max_fields=20, max_size=10_000)
        boundary = parse_boundary(content_type)
    except HTTPError:
        boundary = BOUNDARY
    whole = parse(boundary, [body])
    size = 1 + len(body) % 13
    for step in (size, 64):
        chunks = [body[start : start + step] for start in range(0, len(body), step)]
        if parse(boundary, chunks) != whole:
            raise AssertionError(f"chunks of {step} bytes change the result of {body!r}")


def main() -> None:
    """Run the target under atheris."""
    atheris: Any = importlib.import_module("atheris")
    logging.disable()
    packages = ["asgikit", "python_multipart"]
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    # Import these packages again with instrumentation. To instrument all modules takes 30 seconds.
    with atheris.instrument_imports(include=packages):
        target = importlib.import_module("tests.fuzz.fuzz_multipart")
    atheris.Setup(sys.argv, target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
