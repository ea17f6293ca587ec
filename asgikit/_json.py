"""JSON texts (:rfc:`8259`): what :func:`parse_json` returns, :func:`format_json` writes.

orjson parses and writes everything that it handles exactly. It has three limits:

- it rounds integers beyond 64 bits to floats when it parses, and refuses to write them;
- it refuses keys that are not ``str`` and mappings that are not ``dict``;
- it writes 254 levels of arrays and objects, and parses 1024.

Texts and values beyond the first two limits are handled by the standard library's encoder and
decoder, which are written in C as well. For the third, :func:`parse_json` accepts 200 levels, so
that an application can put 50 levels of its own around a parsed value and still write it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from asgikit.exceptions import InvalidJSON

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["format_json", "parse_json"]

#: Levels of nested arrays and objects in a text that is parsed.
MAX_DEPTH = 200
#: Digits of an integer. CPython has the same limit, since the conversion takes quadratic time.
MAX_DIGITS = 4300

Default: TypeAlias = Callable[[Any], Any]

_BOM = b"\xef\xbb\xbf"
_DIGITS_TO_ZERO = bytes.maketrans(b"-123456789", b"0000000000")

# string = quotation-mark *char quotation-mark
#
# A string without its closing quotation mark extends to the end of the text, so that no character
# is scanned twice.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'
_remove_strings = re.compile(_STRING, re.DOTALL).sub

# The standard library writes three float values that JSON does not have.
_replace_non_finite = re.compile(rb"(%b)|NaN|-?+Infinity" % _STRING, re.DOTALL).sub

# An opening bracket adds 1 to the depth, a closing bracket 255, which is -1 as a signed byte.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes({*range(256)} - {*b"[{]}"})


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
    if opening > MAX_DEPTH and _measure_depth(text) > MAX_DEPTH:
        raise InvalidJSON(f"The JSON text is nested more than {MAX_DEPTH} deep.")
    # An integer beyond 64 bits has 19 digits and a sign, or 20 digits. If every fifth character is
    # examined, four in a row of these are digits. perf: f_json_body -5 %
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


def format_json(content: Any, default: Default | None = None) -> bytes:
    """Write ``content`` as a JSON text in UTF-8, without white space.

    orjson's types are written as orjson writes them (dataclasses, dates, enumerations, UUIDs).
    In addition: integers of up to 4300 digits, any mapping (the first value of a key of a
    multidict), and scalar keys as the standard library writes them. NaN and infinities are null.

    Args:
        content: The value to write.
        default: Converts a value that JSON cannot hold into one that it can.

    Raises:
        TypeError: There is such a value, and ``default`` is absent or raises.
        ValueError: The value is nested too deep or contains itself, or an integer is too long. 254
            levels can always be written.

    >>> format_json({"n": 123456789012345678901234567890, 1: float("nan")})
    b'{"n":123456789012345678901234567890,"1":null}'
    """
    try:
        return orjson.dumps(content)
    except TypeError:
        pass
    try:
        return orjson.dumps(content, default=_orjson_default(default))
    except TypeError:
        return _format_exact(content, default)


def _orjson_default(default: Default | None) -> Default:
    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(_items(value))
        if default is None:
            raise TypeError
        return default(value)

    return convert


def _format_exact(content: Any, default: Default | None) -> bytes:
    """Write a value that orjson refuses, by the standard library's encoder."""
    encoder = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":"), default=_standard_default(default)
    )
    try:
        text = encoder.encode(content).encode("utf-8")
    except RecursionError:
        raise ValueError("the value is nested too deep, or contains itself") from None
    except UnicodeEncodeError:
        raise TypeError("a str with a lone surrogate cannot be encoded as UTF-8") from None
    if b"NaN" in text or b"Infinity" in text:
        text = _replace_non_finite(lambda match: match[1] or b"null", text)
    return text


def _standard_default(default: Default | None) -> Default:
    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(_items(value))
        if isinstance(value, Enum):
            return value.value
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _fields(value)
        try:
            return orjson.loads(orjson.dumps(value))
        except TypeError:
            if default is None:
                raise TypeError(
                    f"JSON cannot hold {type(value).__name__}: give default= or dumps="
                ) from None
        return default(value)

    return convert


def _fields(value: DataclassInstance) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(value))
    return {name: getattr(value, name) for name in names if not name.startswith("_")}


def _items(mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    # A multidict repeats its keys, and returns the first value of a key. multidict below 7.1 also
    # repeats keys that differ in case only.
    ignores_case = isinstance(mapping, CIMultiDict | CIMultiDictProxy)
    seen = set[Any]()
    for key in mapping:
        folded = key.lower() if ignores_case else key
        if folded not in seen:
            seen.add(folded)
            yield key, mapping[key]
