"""JSON texts (:rfc:`8259`), read and written: whatever is read can be written.

orjson does the work wherever it is exact. What it rounds or refuses is done here: integers beyond
64 bits, keys that are not ``str``, mappings other than ``dict``, and nesting below its 254 levels.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Callable, Iterator, Mapping
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
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# int    = zero / ( digit1-9 *DIGIT )
#
# 2**64 has 20 digits and -2**63 has 19; shorter ones orjson reads as they are. With a fraction or
# an exponent it is a float.
_LONG_INTEGER = rb"(?<![-+.0-9eE])-?+[1-9][0-9]{18,}+(?![.eE])"
_STRING_OR_LONG_INTEGER = re.compile(_STRING + rb"|" + _LONG_INTEGER, re.DOTALL)
# The tokens of a text known to be JSON; commas, colons and white space are passed over.
_TOKEN = re.compile(rb"[\[\]{}]|" + _STRING + rb'|[^\s\[\]{}",:]++', re.DOTALL)


def parse_json(text: bytes) -> Any:
    """Read a JSON text in UTF-8; a byte order mark before it is skipped.

    Integers are exact up to 4300 digits. Of two members of one name the last one counts.

    Raises:
        InvalidJSON: it is no JSON, no UTF-8, has a lone surrogate, or is nested more than 1024
            deep; or an integer has more than 4300 digits, or a float is beyond the largest one.

    >>> parse_json(b'{"n": [1, 2.5, 123456789012345678901234567890]}')
    {'n': [1, 2.5, 123456789012345678901234567890]}
    """
    if _has_long_integer(text):
        return _parse_exact(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(_BOM):
            return parse_json(text[3:])
        raise InvalidJSON(f"Not JSON: {error}.") from None


def _has_long_integer(text: bytes) -> bool:
    # 2**64 has 20 digits, and -2**63 has 19 behind its sign.
    return b"0" * 20 in text.translate(_DIGITS_TO_ZERO)


def _parse_exact(text: bytes) -> Any:
    text = text.removeprefix(_BOM)
    # With its long integers out of the way the text is JSON exactly when it was JSON with them.
    short = _STRING_OR_LONG_INTEGER.sub(
        lambda match: match.group() if match.group().startswith(b'"') else b"0", text
    )
    try:
        orjson.loads(short)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"Not JSON: {error}.") from None

    # No recursion: nesting is the client's to choose.
    root: list[Any] = []
    parents: list[list[Any] | dict[str, Any]] = []
    container: list[Any] | dict[str, Any] = root
    name: str | None = None
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in b"]}":
            container = parents.pop()
            continue
        value: Any
        if token == b"[":
            value = []
        elif token == b"{":
            value = {}
        else:
            value = _parse_scalar(token)
        if isinstance(container, list):
            container.append(value)
        elif name is None:
            name = value
            continue
        else:
            container[name] = value
            name = None
        if token in b"[{":
            parents.append(container)
            container = value
    return root[0]


def _parse_scalar(token: bytes) -> Any:
    digits = token.removeprefix(b"-")
    if len(digits) < 19 or not digits.isdigit():
        return orjson.loads(token)
    if len(digits) > MAX_DIGITS:
        raise InvalidJSON(f"An integer has {len(digits)} digits; {MAX_DIGITS} are read.")
    return int(token)


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
    # written of it, and how it ends.
    levels: list[tuple[Iterator[tuple[bytes, Any]], bytes]] = [(iter([(b"", content)]), b"")]
    while levels:
        if len(levels) > MAX_DEPTH + 1:
            raise ValueError(f"nested more than {MAX_DEPTH} deep, or within itself")
        members, end = levels[-1]
        for lead, member in members:
            value = _plain(member, default)
            text += lead
            if isinstance(value, Mapping):
                text += b"{"
                levels.append((_members(value), b"}"))
                break
            if isinstance(value, list | tuple):
                text += b"["
                levels.append((_elements(value), b"]"))
                break
            text += _format_scalar(value)
        else:
            text += end
            levels.pop()
    return bytes(text)


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


def _members(mapping: Mapping[Any, Any]) -> Iterator[tuple[bytes, Any]]:
    comma = b""
    for key, value in _items(mapping):
        yield comma + orjson.dumps(_format_key(key)) + b":", value
        comma = b","


def _elements(values: list[Any] | tuple[Any, ...]) -> Iterator[tuple[bytes, Any]]:
    comma = b""
    for value in values:
        yield comma, value
        comma = b","


def _format_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return _format_scalar(key).decode()
    raise TypeError(f"a JSON object has str keys, or scalars made so; not {type(key).__name__}")


def _format_scalar(value: Any) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    if isinstance(value, float):
        value = float(value)
    return orjson.dumps(value)
