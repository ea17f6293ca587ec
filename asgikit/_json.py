"""JSON texts (:rfc:`8259`), read and written: whatever is read can be written.

orjson does the work wherever it is exact. What it rounds or refuses is done here: integers beyond
64 bits, keys that are not ``str``, mappings other than ``dict``, and nesting below its 254 levels.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from asgikit.exceptions import InvalidJSON

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["format_json", "parse_json"]

#: Levels of arrays and objects within one another: orjson reads no more, and we write no more.
MAX_DEPTH = 1024
#: Digits of an integer: CPython's own bound, since converting takes quadratic time.
MAX_DIGITS = 4300

Default: TypeAlias = Callable[[Any], Any]

_BOM = b"\xef\xbb\xbf"
_DIGITS_TO_ZERO = bytes.maketrans(b"-123456789", b"0000000000")

# string = quotation-mark *char quotation-mark
# int    = zero / ( digit1-9 *DIGIT )
#
# 2**64 has 20 digits and -2**63 has 19; shorter ones orjson reads as they are. With a fraction or
# an exponent it is a float, and before a colon it is no JSON. The first character stands before
# all, so that the search skips to it. A string that does not close is taken to the end, so that
# nothing in it is looked at twice.
_STRING_OR_LONG_INTEGER = re.compile(
    rb"""["\-1-9](?:
        (?<=") [^"\\]*+ (?:\\.[^"\\]*+)*+ "?+ |
        (?<![-+.0-9eE].) (?:(?<=[1-9])|(?<=-)[1-9]) [0-9]{18,}+ (?![.eE]|\s*+:)
    )""",
    re.DOTALL | re.VERBOSE,
)

# What orjson writes alone and at once, unless it is an integer too long for it.
_FLAT = frozenset({bool, float, int, str, type(None)})
_BATCH = 1000
_FLOAT_KEYS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def parse_json(text: bytes) -> Any:
    """Read a JSON text in UTF-8; a byte order mark before it is skipped.

    Integers are exact up to 4300 digits. Of two members of one name the last one counts.

    Raises:
        InvalidJSON: it is no JSON, no UTF-8, has a lone surrogate, or is nested more than 1024
            deep; or an integer has more than 4300 digits, or a float is beyond the largest one.

    >>> parse_json(b'{"n": [1, 2.5, 123456789012345678901234567890]}')
    {'n': [1, 2.5, 123456789012345678901234567890]}
    """
    # Of 20 digits in a row four are in a row among each fifth character: where there are few
    # digits, looking there first takes half the time.
    if b"0000" in text[::5].translate(_DIGITS_TO_ZERO) and _has_long_integer(text):
        return _parse_exact(text.removeprefix(_BOM))
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(_BOM):
            return _loads(text.removeprefix(_BOM))
        raise _invalid(error) from None


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _invalid(error) from None


def _invalid(error: ValueError) -> InvalidJSON:
    return InvalidJSON(f"Not JSON: {error}.")


def _has_long_integer(text: bytes) -> bool:
    # 2**64 has 20 digits, and -2**63 has 19 behind its sign.
    return b"0" * 20 in text.translate(_DIGITS_TO_ZERO)


def _parse_exact(text: bytes) -> Any:
    integers: list[int] = []
    # No client can guess it, to have a string of its own taken for an integer.
    mark = f"{os.urandom(16).hex()}:"

    def put_aside(match: re.Match[bytes]) -> bytes:
        token = match.group()
        if token.startswith(b'"'):
            return token
        integers.append(_parse_integer(token))
        return b'"%b%d"' % (mark.encode("ascii"), len(integers) - 1)

    marked = _STRING_OR_LONG_INTEGER.sub(put_aside, text)
    value = [_loads(marked)]
    _put_back(value, mark, integers)
    return value[0]


def _parse_integer(token: bytes) -> int:
    digits = len(token.removeprefix(b"-"))
    try:
        if digits <= MAX_DIGITS:
            return int(token)
    except ValueError:
        pass  # more than the interpreter was told to convert
    raise InvalidJSON(f"An integer has {digits} digits; {MAX_DIGITS} are read.")


def _put_back(value: list[Any], mark: str, integers: list[int]) -> None:
    # No recursion: nesting is the client's to choose.
    containers: list[list[Any] | dict[str, Any]] = [value]
    while containers:
        container: Any = containers.pop()
        members = container.items() if isinstance(container, dict) else enumerate(container)
        for key, member in members:
            kind = type(member)
            if kind is str:
                if member.startswith(mark):
                    # Of what is there already, so that the loop may go on.
                    container[key] = integers[int(member[len(mark) :])]
            elif (kind is list or kind is dict) and member:
                containers.append(member)


def format_json(content: Any, default: Default | None = None) -> bytes:
    """Write ``content`` as a JSON text in UTF-8, without white space.

    What orjson writes is written as it writes it (dataclasses, dates, enumerations, UUIDs), and
    further: integers of any size up to 4300 digits, any mapping (the first value of a key of a
    multidict), and scalar keys as the standard library writes them. NaN and infinities are null.

    Args:
        content: what to write.
        default: makes a value that JSON cannot hold into one that it can.

    Raises:
        TypeError: there is such a value, and ``default`` is absent or gives another one.
        ValueError: nested more than 1024 deep, or within itself; or an integer too long.

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
    text = bytearray()
    # No recursion: what a client nested comes back here. Each level is what is still to be
    # written of it: pieces of text, and containers, which are levels of their own.
    levels: list[Iterator[Any]] = [iter([_open(content, default)])]
    while levels:
        depth = len(levels)
        if depth > MAX_DEPTH + 1:
            raise ValueError(f"nested more than {MAX_DEPTH} deep, or within itself")
        for piece in levels[-1]:
            if isinstance(piece, bytes):
                text += piece
            elif isinstance(piece, Mapping):
                levels.append(_format_members(_items(piece), default, depth))
                break
            else:
                levels.append(_format_elements(iter(piece), default, depth))
                break
        else:
            levels.pop()
    return bytes(text)


def _format_elements(values: Iterator[Any], default: Default | None, depth: int) -> Iterator[Any]:
    yield b"["
    comma = b""
    while batch := list(islice(values, _BATCH)):
        whole = _format_whole(batch, depth)
        if whole is not None:
            yield comma + whole
            comma = b","
            continue
        for is_flat, run in groupby(batch, lambda value: type(value) in _FLAT):
            for piece in _pieces([*run], default, is_flat=is_flat):
                yield comma
                yield piece
                comma = b","
    yield b"]"


def _pieces(values: list[Any], default: Default | None, *, is_flat: bool) -> Iterator[Any]:
    if is_flat:
        yield _format_flat(values)
    else:
        for value in values:
            yield _open(value, default)


def _format_members(
    items: Iterator[tuple[Any, Any]], default: Default | None, depth: int
) -> Iterator[Any]:
    yield b"{"
    comma = b""
    while batch := dict(islice(items, _BATCH)):
        whole = _format_whole(batch, depth)
        if whole is not None:
            yield comma + whole
            comma = b","
            continue
        for key, value in batch.items():
            yield comma + orjson.dumps(_format_key(key)) + b":"
            yield _open(value, default)
            comma = b","
    yield b"}"


def _format_whole(batch: list[Any] | dict[Any, Any], depth: int) -> bytes | None:
    """Write by orjson what it can, without the brackets.

    On the upper levels alone: where it fails deep down, all above it was written in vain.
    """
    if depth > 8:
        return None
    try:
        return orjson.dumps(batch)[1:-1]
    except TypeError:
        return None


def _format_flat(values: list[Any]) -> bytes:
    try:
        return orjson.dumps(values)[1:-1]
    except TypeError:
        return b",".join([_format_scalar(value) for value in values])


def _open(value: Any, default: Default | None) -> Any:
    """Write a scalar; leave a mapping, a list or a tuple to the next level."""
    value = _plain(value, default)
    return value if isinstance(value, Mapping | list | tuple) else _format_scalar(value)


def _plain(value: Any, default: Default | None) -> Any:
    """Make ``value`` a mapping, a list or tuple, or a scalar."""
    for _ in range(MAX_DEPTH):
        if isinstance(value, enum.Enum):
            value = value.value
        elif value is None or isinstance(value, str | int | float | list | tuple | Mapping):
            return value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _fields(value)
        else:
            try:
                return orjson.Fragment(orjson.dumps(value))
            except TypeError:
                if default is None:
                    raise TypeError(
                        f"JSON cannot hold {type(value).__name__}: give default= or dumps="
                    ) from None
            value = default(value)
    raise ValueError("default= keeps giving what JSON cannot hold")


def _fields(value: DataclassInstance) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(value))
    return {name: getattr(value, name) for name in names if not name.startswith("_")}


def _items(mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    # A multidict repeats its keys; the value it gives for one is the first.
    return ((key, mapping[key]) for key in dict.fromkeys(mapping))


def _format_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, float):
        return _FLOAT_KEYS.get(repr(float(key)), repr(float(key)))
    if key is None or isinstance(key, bool | int):
        return _format_scalar(key).decode()
    raise TypeError(f"a JSON object has str keys, or scalars made so; not {type(key).__name__}")


def _format_scalar(value: Any) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    if isinstance(value, float):
        value = float(value)
    return orjson.dumps(value)
