"""Write JSON texts (:rfc:`8259`).

orjson writes everything that it handles exactly. It refuses integers beyond 64 bits, keys that are
not ``str`` and mappings that are not ``dict``: values with these are written by the standard
library, whose encoder is written in C as well. orjson writes 254 levels of arrays and objects.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

if TYPE_CHECKING:
    from datetime import datetime, time

    from _typeshed import DataclassInstance

__all__ = ["STRING", "format_json"]

Default: TypeAlias = Callable[[Any], Any]

# string = quotation-mark *char quotation-mark
#
# A string without its closing quotation mark extends to the end of the text, so that no character
# is scanned twice.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'

# The standard library writes three float values that JSON does not have.
_replace_non_finite = re.compile(rb"(%b)|NaN|-?+Infinity" % STRING, re.DOTALL).sub


def format_json(content: Any, default: Default | None = None) -> bytes:
    """Write ``content`` as a JSON text in UTF-8, without white space.

    orjson's types are written as orjson writes them (dataclasses, dates, enumerations, UUIDs).
    In addition: integers of up to 4300 digits, any mapping (the first value of a key of a
    multidict), scalar keys as the standard library writes them, and subclasses of ``UUID``,
    ``datetime``, ``date``, ``time`` and ``float`` as their base. NaN and infinities are null.

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
        base = _to_base(value)
        if base is not None:
            return base
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
        base = _to_base(value)
        try:
            return orjson.loads(orjson.dumps(value if base is None else base))
        except TypeError:
            if isinstance(value, Coroutine):
                raise TypeError(
                    "JSON cannot hold a coroutine: await it, as in "
                    "JSONResponse(await request.json())"
                ) from None
            if default is None:
                raise TypeError(
                    f"JSON cannot hold {type(value).__name__}: give default= or dumps="
                ) from None
        return default(value)

    return convert


def _to_base(value: object) -> object:
    """Return an instance of a subclass as its base type, which orjson writes; else ``None``."""
    from datetime import date, datetime, time
    from uuid import UUID

    try:
        match value:
            case UUID():
                return UUID(int=value.int)
            case datetime():
                day = date(value.year, value.month, value.day)
                return datetime.combine(day, _copy_time(time, value))
            case date():
                return date(value.year, value.month, value.day)
            case time():
                return _copy_time(time, value)
            case float():
                return float(value)
            case _:
                return None
    except (TypeError, ValueError):
        # pandas.NaT is a datetime with NaN as its year.
        return None


def _copy_time(base: type[time], value: datetime | time) -> time:
    parts = value.hour, value.minute, value.second, value.microsecond, value.tzinfo
    return base(*parts, fold=value.fold)


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
