"""Parse JSON texts (:rfc:`8259`).

orjson parses everything that it handles exactly. It rounds integers beyond 64 bits to floats: a
text with such an integer is parsed by the standard library, whose decoder is written in C as well.

200 levels of arrays and objects are accepted. orjson writes 254, so an application can put 50
levels of its own around a parsed value and still write it by :func:`~asgikit._json.format_json`.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

import orjson

from asgikit._json import STRING
from asgikit.exceptions import InvalidJSON

__all__ = ["parse_json"]

#: Levels of nested arrays and objects in a text.
MAX_DEPTH = 200
#: Digits of an integer. CPython has the same limit, since the conversion takes quadratic time.
MAX_DIGITS = 4300

_BOM = b"\xef\xbb\xbf"
_DIGITS_TO_ZERO = bytes.maketrans(b"-123456789", b"0000000000")

_remove_strings = re.compile(STRING, re.DOTALL).sub

# An opening bracket adds 1 to the depth, a closing bracket 255, which is -1 as a signed byte.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes({*range(256)} - {*b"[{]}"})
_NO_MARKS = bytes({*range(256)} - {*b'[{]}"'})
#: The passes that remove the innermost arrays and objects of a text.
_PASSES = 4


def parse_json(text: bytes) -> Any:
    """Parse a JSON text in UTF-8; a byte order mark before it is skipped.

    Integers are exact up to 4300 digits. If an object has two members of one name, the last one
    counts.

    Raises:
        InvalidJSON: The text is not JSON or not UTF-8, has a lone surrogate, is nested more than
            200 deep, has an integer of more than 4300 digits, or a float beyond the largest one.

    >>> parse_json(b'{"n": [1, 2.5, 123456789012345678901234567890]}')
    {'n': [1, 2.5, 123456789012345678901234567890]}
    """
    # Most texts have few brackets: to count them is faster than to measure the depth, and
    # `replace` counts faster than `count` does.
    opening = len(text) - len(text.replace(b"[", b"").replace(b"{", b""))
    if opening > MAX_DEPTH and not _is_flat(text) and _measure_depth(text) > MAX_DEPTH:
        raise InvalidJSON(f"The JSON text is nested more than {MAX_DEPTH} deep.")
    # An integer beyond 64 bits has 19 digits and a sign, or 20 digits. If every fifth character is
    # examined, four in a row of these are digits. perf: json_body -5 %
    if b"0000" in text[::5].translate(_DIGITS_TO_ZERO) and _has_digits(text, 20):
        return _parse_exact(text.removeprefix(_BOM))
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if not text.startswith(_BOM):
            raise _invalid(error) from None
    try:
        return orjson.loads(text.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise _invalid(error) from None


def _invalid(error: ValueError) -> InvalidJSON:
    return InvalidJSON(f"Not JSON: {error}.")


def _is_flat(text: bytes) -> bool:
    """Return whether the depth is certainly within the limit, without a step for each bracket."""
    # perf: json_body_100k -65 %, against `_measure_depth()`.
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = text.translate(None, _NO_MARKS).replace(b'""', b"")
    # An odd number of quotation marks stands before a bracket in a string, and each removal keeps
    # it odd: if none is left, no string has a bracket.
    if b'"' in marks:
        return False
    for _ in range(_PASSES):
        marks = marks.replace(b"{}", b"").replace(b"[]", b"")
    # A pass removes at most two levels.
    return marks.count(b"[") + marks.count(b"{") <= MAX_DEPTH - 2 * _PASSES


def _measure_depth(text: bytes) -> int:
    from array import array

    brackets = _remove_strings(b"", text).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0)


def _has_digits(text: bytes, count: int) -> bool:
    """Return whether ``count`` digits and signs follow one another, in a string or outside."""
    return b"0" * count in text.translate(_DIGITS_TO_ZERO)


def _parse_exact(text: bytes) -> Any:
    """Parse a text that may have integers beyond 64 bits."""
    try:
        parse = _parse_counting_digits if _has_digits(text, MAX_DIGITS + 1) else _parse_standard
        value = parse(text.decode("utf-8"))
        if b"\\ud" in text or b"\\uD" in text:
            # A lone surrogate cannot be encoded.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise _invalid(error) from None
    return value


def _parse_integer(token: str) -> int:
    digits = len(token.removeprefix("-"))
    if digits > MAX_DIGITS:
        raise InvalidJSON(f"An integer has {digits} digits; the limit is {MAX_DIGITS}.")
    return int(token)


def _parse_float(token: str) -> float:
    number = float(token)
    if math.isinf(number):
        raise ValueError("a number is out of range")
    return number


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not a JSON value")


_parse_standard = json.JSONDecoder(parse_float=_parse_float, parse_constant=_refuse_constant).decode
# Calls a function for each integer, which takes four times as long.
_parse_counting_digits = json.JSONDecoder(
    parse_int=_parse_integer, parse_float=_parse_float, parse_constant=_refuse_constant
).decode
