"""JSON: parsed and written as by the standard library, with exact integers and limits."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import sys
import types
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from asgikit._json import format_json
from asgikit._json_parser import MAX_DEPTH, MAX_DIGITS, _is_flat, _measure_depth, parse_json
from asgikit.datastructures.address import Address
from asgikit.datastructures.headers import Headers
from asgikit.exceptions import InvalidJSON

BOM = b"\xef\xbb\xbf"
# Beyond 64 bits: one of these makes the exact reader and writer take over.
LONG = 123456789012345678901234567890


def reference(text: bytes) -> Any:
    """Parse by the standard library; refuse NaN, infinities and lone surrogates.

    Raises:
        ValueError: The text is not JSON.
    """
    decoded = text.decode().removeprefix("\ufeff")
    value = json.loads(decoded, parse_constant=refuse, parse_float=finite)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def nest(depth: int, inner: bytes = b"", kinds: bytes = b"[") -> bytes:
    """Return ``depth`` levels around ``inner``: arrays and objects, as ``kinds`` has them."""
    starts = [b"[" if kinds[at % len(kinds)] == ord("[") else b'{"a":' for at in range(depth)]
    ends = [b"]" if start == b"[" else b"}" for start in reversed(starts)]
    if not inner and starts[-1] != b"[":
        starts[-1] = b"{"
    return b"".join([*starts, inner, *ends])


def walk(value: Any) -> Iterator[Any]:
    """Return all parts of a value in order, without recursion."""
    levels = [iter([value])]
    while levels:
        for one in levels[-1]:
            if isinstance(one, list | dict):
                yield type(one), len(one)
                levels.append(iter(one) if isinstance(one, list) else iter(sum(one.items(), ())))
                break
            yield type(one), one
        else:
            levels.pop()


def same(one: Any, other: Any) -> bool:
    return list(walk(one)) == list(walk(other))


# Reading.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"null", None),
        (b"true", True),
        (b'"a"', "a"),
        (b" [1 ,2.5\t,\r\n-3e2 ] ", [1, 2.5, -300.0]),
        (b'{"a": {"b": []}, "": 1}', {"a": {"b": []}, "": 1}),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),  # the last one counts
        (b'"\\ud83d\\ude00\\u0000\\/"', "\U0001f600\0/"),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"1e-400", 0.0),  # too small to tell from nothing, as IEEE 754 has it
        (BOM + b"[1]", [1]),
        (BOM + b"[%d]" % LONG, [LONG]),
        (b'"' + BOM + b'"', "\ufeff"),  # inside a string it is a character
        (b"%d" % LONG, LONG),
        (b"[%d,%d]" % (LONG, -LONG), [LONG, -LONG]),
        (b'{"%d":%d}' % (LONG, LONG), {str(LONG): LONG}),  # a name is text
        (b'[%d,"\\"%d"]' % (LONG, LONG), [LONG, f'"{LONG}']),  # so is a value with an escape
        (b'[%d,"\\\\",%d]' % (LONG, LONG), [LONG, "\\", LONG]),  # and this DQUOTE is not escaped
        (b'[%d,"[]{},:\\u005d"]' % LONG, [LONG, "[]{},:]"]),
        (b'{"n":%d,"n":1}' % LONG, {"n": 1}),
        (b'[%d,[],{},[[]],{"a":{}},null,false,1.5,"\xc3\xbc"]' % LONG,
         [LONG, [], {}, [[]], {"a": {}}, None, False, 1.5, "\xfc"]),
        (b"%d.0" % LONG, float(LONG)),  # a fraction makes it a float
        (b"%de0" % LONG, float(LONG)),  # an exponent, too
        (b"[1.%d,1E+0000000000000000000002,%d]" % (LONG, LONG), [1.1234567890123457, 100.0, LONG]),
        (b"[%d ,\n%d]" % (LONG, LONG), [LONG, LONG]),
    ],
)  # fmt: skip
def test_json_text_is_parsed(text: bytes, value: object) -> None:
    assert repr(parse_json(text)) == repr(value)


@pytest.mark.parametrize("sign", [b"", b"-"])
@pytest.mark.parametrize("digits", [1, 17, 18, 19, 20, 21, 22, 308, 309, 310, 4299, 4300])
@pytest.mark.parametrize("digit", [b"1", b"9"])
def test_json_integer_is_exact_and_written_back(sign: bytes, digits: int, digit: bytes) -> None:
    text = sign + digit * digits

    for whole in (text, b"[" + text + b"]", b'{"a": [0, ' + text + b'], "b": "\\"" }'):
        value = parse_json(whole)
        assert same(value, json.loads(whole))
        assert same(parse_json(format_json(value)), value)


@pytest.mark.parametrize(
    "number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**19]
)
def test_json_integers_beyond_64_bits_are_exact(number: int) -> None:
    assert parse_json(b"%d" % number) == number
    assert parse_json(format_json([number, {"a": number}])) == [number, {"a": number}]


@pytest.mark.parametrize("depth", [1, 2, 199, 200])
@pytest.mark.parametrize("kinds", [b"[", b"{", b"[{", b"{["])
@pytest.mark.parametrize("inner", [b"", b"1", b"%d" % LONG, b'"%d"' % LONG])
def test_nested_json_is_written_back(depth: int, kinds: bytes, inner: bytes) -> None:
    text = nest(depth, inner, kinds)
    value = parse_json(text)

    assert sum(kind in (list, dict) for kind, _ in walk(value)) == depth
    assert format_json(value) == text
    assert same(parse_json(format_json(value)), value)


@pytest.mark.parametrize("depth", [201, 202, 254, 255, 1024, 1025, 5000, 100_000])
@pytest.mark.parametrize("kinds", [b"[", b"{", b"[{"])
@pytest.mark.parametrize("inner", [b"", b"%d" % LONG])
def test_json_nested_too_deep_is_refused(depth: int, kinds: bytes, inner: bytes) -> None:
    with pytest.raises(InvalidJSON):
        parse_json(nest(depth, inner, kinds))


@pytest.mark.parametrize("digits", [4301, 5000, 1_000_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_integer_of_more_than_4300_digits_is_refused(digits: int, sign: bytes) -> None:
    for text in (sign + b"1" * digits, b'{"a": [1, ' + sign + b"9" * digits + b"]}"):
        with pytest.raises(InvalidJSON, match=f"{digits} digits"):
            parse_json(text)


def test_lower_digit_limit_of_the_interpreter_holds() -> None:
    most = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)  # as PYTHONINTMAXSTRDIGITS may say
    try:
        with pytest.raises(InvalidJSON):
            parse_json(b"1" * 641)
    finally:
        sys.set_int_max_str_digits(most)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        BOM,
        BOM + BOM + b"1",  # one is skipped
        BOM + BOM + b"%d" % LONG,
        b" " + BOM + b"1",  # and only in front
        "[1]".encode("utf-16"),
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"nul",
        b"[1,]",
        b"[,1]",
        b'{"a":1,}',
        b'{"a"}',
        b"{1:2}",
        b"{%d:2}" % LONG,
        b"[1 2]",
        b"[1}",
        b"1 2",
        b"01",
        b"-",
        b"+1",
        b".5",
        b"1.",
        b"1e",
        b"0x10",
        b"1_000",
        "\u0661".encode(),  # a digit, but none of ASCII
        b"1e400",
        b"[%d,1e400]" % LONG,
        b"[%d,NaN]" % LONG,
        b"[%d,-Infinity]" % LONG,
        b"'a'",
        b'"',
        b'"\\"',
        b'"a\nb"',
        b'"\x00"',
        b'"\\x41"',
        b'"\\ud800"',  # a lone surrogate, which UTF-8 cannot hold
        b'[%d,"\\ud800"]' % LONG,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'[%d,"\xff"]' % LONG,
        b"\x00",
        b"// 1\n1",
        b"]",
        b"%d]" % LONG,
        b"[%d" % LONG,
        b"%d%d." % (LONG, LONG),
        b"0%d" % LONG,
        b"-0%d" % LONG,
        b"+%d" % LONG,
        b"--%d" % LONG,
        b"1-%d" % LONG,
        b"%dx" % LONG,
        b"x%d" % LONG,
        b"true%d" % LONG,
        b"%d." % LONG,
        b"%d.e1" % LONG,
        b"%de" % LONG,
        b"%d %d" % (LONG, LONG),
        b'%d"a"' % LONG,
        b'"a"%d' % LONG,
        b'[%d,"%d]' % (LONG, LONG),
        b'[%d,"\\' % LONG,
        b'[%d,"\\"]' % LONG,
    ],
)
def test_malformed_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidJSON):
        parse_json(text)


@pytest.mark.parametrize(
    ("start", "unit", "end"),
    [
        (b"", BOM, b"1"),
        (b'%d "' % LONG, b'\\"', b""),  # a string that does not close, to be looked at once
        (b'%d "' % LONG, b'\\"', b"\\"),
        (b"%d" % LONG, b' ""', b""),
        (b"", b"-%d" % LONG, b""),
        (b"", b"%d " % LONG, b"."),
    ],
)
def test_long_malformed_json_is_refused(start: bytes, unit: bytes, end: bytes) -> None:
    with pytest.raises(InvalidJSON):
        parse_json(start + unit * 100_000 + end)


def test_invalid_json_error_names_the_position() -> None:
    with pytest.raises(InvalidJSON, match="Not JSON: ") as info:
        parse_json(b"secret")

    assert info.value.status_code == 400
    assert "secret" not in str(info.value)


# Integers about where orjson stops, floats about as long, and everything else.
INTEGERS = (
    st.integers(-(2**66), 2**66)
    | st.integers()
    | st.sampled_from([17, 18, 19, 20, 21, 308, 309]).map(lambda digits: 10**digits - 1)
    | st.builds(lambda a, b: a * 10**b, st.integers(-9, 9), st.integers(0, 60))
)
TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | INTEGERS.map(str)
    | INTEGERS.map(lambda number: f'\\"{number}\\')
)
SCALARS = (
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
# Levels that take a value past each bound.
LEVELS = st.sampled_from([0, 1, 100, 194, 195, 196, 197, 198, 199, 200, 201])


@pytest.mark.property
@given(
    value=VALUES,
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (" ,\n", "\t: "), (", ", ": ")]),
    bom=st.sampled_from([b"", BOM]),
)
def test_parse_json_equals_the_standard_library(
    value: Any, ascii_only: bool, separators: tuple[str, str], bom: bytes
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()

    assert same(parse_json(bom + text), value)


NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?\Z")
PIECES = st.sampled_from(
    ["[", "]", "{", "}", ",", ":", '"', "\\", '\\"', '"a":', "null", "true", "-", "0", "1", ".",
     "e", "E+", " ", "\n", "\x0b", "\xa0", "\ufeff", "\x00", str(LONG), str(-LONG), f'"{LONG}"',
     "9" * 19, "-" + "9" * 19, "18446744073709551615", "18446744073709551616", "\\ud800", "\xfc"]
)  # fmt: skip
GARBAGE = (
    NUMBERS.map(str.encode)
    | st.lists(NUMBERS | PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode())
    | st.lists(NUMBERS | PIECES, max_size=8).map(lambda items: f"[{','.join(items)}]".encode())
    | st.binary(max_size=40)
    | st.builds(lambda a, b: a + b"%d" % LONG + b, st.binary(max_size=9), st.binary(max_size=9))
)


@pytest.mark.property
@given(text=GARBAGE)
def test_parse_json_of_any_bytes_equals_the_standard_library(text: bytes) -> None:
    try:
        value = reference(text)
    except ValueError:
        with pytest.raises(InvalidJSON):
            parse_json(text)
    else:
        assert repr(parse_json(text)) == repr(value)


@pytest.mark.property
@given(value=VALUES, levels=LEVELS, kinds=st.sampled_from([b"[", b"{", b"[{"]))
def test_parsed_json_is_written_and_parsed_back(value: Any, levels: int, kinds: bytes) -> None:
    text = nest(levels, json.dumps(value).encode(), kinds) if levels else json.dumps(value).encode()
    try:
        read = parse_json(text)
    except InvalidJSON:  # over the depth, which the value adds to
        assert levels >= 194
        return
    assert same(parse_json(format_json(read)), read)


# Writing.


class Moment(dt.datetime):
    """As pendulum's ``DateTime``."""

    def isoformat(self, *_: object) -> str:
        raise AssertionError


class Day(dt.date):
    """A date of a library."""


class Hour(dt.time):
    """A time of a library."""


class Identifier(uuid.UUID):
    """As asyncpg's ``UUID``."""

    def __str__(self) -> str:
        raise AssertionError


BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"
    MANY = LONG


class Level(enum.IntEnum):
    LOW = 1


class Word(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Plain:
    a: Any
    _hidden: int = 0


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any


WRITTEN: list[tuple[Any, bytes]] = [
    (None, b"null"),
    ([True, False], b"[true,false]"),
    ({"a": [1, 2.5, "\xfc"]}, '{"a":[1,2.5,"\xfc"]}'.encode()),
    ((), b"[]"),
    ((1, (2,)), b"[1,[2]]"),
    ([], b"[]"),
    ({}, b"{}"),
    ([[], {}], b"[[],{}]"),
    ([math.nan, math.inf, -math.inf], b"[null,null,null]"),
    (Word("a"), b'"a"'),
    (Number(7), b"7"),
    (Number(LONG), b"%d" % LONG),
    (Real(1.5), b"1.5"),
    (Real(math.nan), b"null"),
    (Colour.RED, b'"red"'),
    (Colour.MANY, b"%d" % LONG),
    (Level.LOW, b"1"),
    (Pair(1, [2]), b"[1,[2]]"),
    (Address("::1", None), b'["::1",null]'),
    (Plain([1]), b'{"a":[1]}'),
    (Plain(LONG), b'{"a":%d}' % LONG),
    (Slotted(Plain(1)), b'{"a":{"a":1}}'),
    (dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC), b'"2024-01-02T03:04:05+00:00"'),
    (dt.date(2024, 1, 2), b'"2024-01-02"'),
    (dt.time(3, 4, 5), b'"03:04:05"'),
    (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    # Subclasses, as database drivers and pendulum have them, are written as their base.
    (Moment(2024, 1, 2, 3, 4, 5, 6, dt.UTC), b'"2024-01-02T03:04:05.000006+00:00"'),
    (Moment(2024, 10, 27, 2, tzinfo=BERLIN, fold=1), b'"2024-10-27T02:00:00+01:00"'),
    (Moment(2024, 1, 2), b'"2024-01-02T00:00:00"'),
    (Day(2024, 1, 2), b'"2024-01-02"'),
    (Hour(3, 4, 5, 6), b'"03:04:05.000006"'),
    (Identifier(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    ([{"id": Identifier(int=0), "at": Day(1, 1, 1)}],
     b'[{"id":"00000000-0000-0000-0000-000000000000","at":"0001-01-01"}]'),
    (Plain(Identifier(int=0)), b'{"a":"00000000-0000-0000-0000-000000000000"}'),
    (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
    (types.MappingProxyType({"a": 1}), b'{"a":1}'),
    (types.MappingProxyType({"a": LONG}), b'{"a":%d}' % LONG),
    (MultiDict([("a", 1), ("b", 2), ("a", 3)]), b'{"a":1,"b":2}'),  # its value of a key: the first
    (CIMultiDict([("A", 1), ("a", 2)]), b'{"A":1}'),
    (CIMultiDict([("A", 1), ("b", 2), ("a", 3), ("B", 4), ("c", 5)]), b'{"A":1,"b":2,"c":5}'),
    (CIMultiDictProxy(CIMultiDict([("A", 1), ("a", 2)])), b'{"A":1}'),
    (Headers([(b"via", b"1"), (b"via", b"2")]), b'{"via":"1"}'),
    ({"a": types.MappingProxyType({1: {}})}, b'{"a":{"1":{}}}'),
    ({Word("a"): 1}, b'{"a":1}'),
    ({'"\\\n': 1}, b'{"\\"\\\\\\n":1}'),
    # Keys, as the standard library writes them.
    ({None: 1, True: 2, False: 3}, b'{"null":1,"true":2,"false":3}'),
    ({7: 1, -LONG: 2}, b'{"7":1,"-%d":2}' % LONG),
    ({1.5: 1, 1e16: 2, 1e-7: 3}, b'{"1.5":1,"1e+16":2,"1e-07":3}'),
    ({Level.LOW: 1}, b'{"1":1}'),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), WRITTEN)
def test_json_value_is_written(content: object, text: bytes) -> None:
    assert format_json(content) == text


@pytest.mark.parametrize(("content", "text"), WRITTEN)
def test_json_value_is_written_alike_by_both_encoders(content: object, text: bytes) -> None:
    assert format_json([LONG, content]) == b"[%d,%s]" % (LONG, text)
    assert format_json({1: content}) == b'{"1":%s}' % text


class NotATime(dt.datetime):
    """As ``pandas.NaT``: a datetime without a date."""

    @property
    def year(self) -> Any:
        return math.nan


@pytest.mark.parametrize(
    "value", [NotATime(2024, 1, 2), Hour(3, tzinfo=dt.UTC), dt.time(3, tzinfo=dt.UTC)]
)
def test_subclass_without_written_base_is_given_to_default(value: Any) -> None:
    with pytest.raises(TypeError, match="JSON cannot hold"):
        format_json([value])
    assert format_json([value], default=lambda _: "x") == b'["x"]'
    assert format_json([LONG, value], default=lambda _: "x") == b'[%d,"x"]' % LONG


def test_subclass_is_written_as_its_base_despite_default() -> None:
    assert format_json(Day(2024, 1, 2), default=lambda _: "x") == b'"2024-01-02"'
    assert format_json([LONG, Day(2024, 1, 2)], default=lambda _: "x").endswith(b'"2024-01-02"]')


@pytest.mark.parametrize("digits", [19, 20, 21, 308, 309, MAX_DIGITS])
def test_integer_is_written_up_to_4300_digits(digits: int) -> None:
    for number in (10**digits - 1, 1 - 10**digits):
        assert format_json([number]) == b"[%d]" % number
        assert format_json({number: 1}) == b'{"%d":1}' % number


@pytest.mark.parametrize("sign", [1, -1])
def test_longer_integer_is_not_written(sign: int) -> None:
    number = sign * 10**MAX_DIGITS
    for content in (number, {"a": [number]}, {number: 1}):
        with pytest.raises(ValueError, match="4300"):
            format_json(content)


def deep(depth: int, kind: type, inner: Any = None) -> Any:
    value: Any = kind() if inner is None else inner
    for _ in range(depth - 1):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize("kind", [list, dict])  # orjson counts no tuples
@pytest.mark.parametrize("inner", [None, LONG, {1: 2}, types.MappingProxyType({"a": 1})])
def test_parsed_value_is_written_inside_50_levels(kind: type, inner: Any) -> None:
    value = deep(MAX_DEPTH - 1, kind, inner)
    for _ in range(50):
        value = {"data": value}

    assert same(json.loads(format_json(value)), json.loads(json.dumps(value, default=dict)))


@pytest.mark.parametrize("kind", [list, dict])
def test_value_nested_too_deep_is_value_error(kind: type) -> None:
    with pytest.raises(ValueError, match="nested too deep, or contains itself"):
        format_json(deep(1_000_000, kind))


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"", 0),
        (b"1", 0),
        (b"[]", 1),
        (b'[{"a":[[]]},[]]', 4),
        (b'{"[[[[": "{{{{", "]": 1}', 1),  # brackets in strings do not count
        (rb'["\\",[],"\"[[["]', 2),  # an escaped quotation mark does not end a string
        (b'["[[[', 1),  # a string that does not end
        (b"[]" * 1000, 1),
    ],
)
def test_depth_is_counted_outside_of_strings(text: bytes, depth: int) -> None:
    assert _measure_depth(text) == depth


@pytest.mark.parametrize(
    ("text", "is_flat"),
    [
        (b"[" + b'{"a": [1, {}]},' * 1000 + b"1]", True),
        (rb'["\\",' + rb'{"\"": "a\n\""},' * 300 + b"1]", True),
        (b"[" * 192 + b"]" * 192, True),
        (b"[" * 201 + b"]" * 201, False),
        (b'["[", ' + b"[]," * 300 + b"1]", False),  # a bracket in a string: it is not certain
        (b"[" * 201 + b'"]]]]]]]]"', False),
        (b"[" * 201 + rb'"\"]]]]]]]]"', False),
    ],
)
def test_flat_text_is_recognised_without_its_depth(text: bytes, is_flat: bool) -> None:
    assert _is_flat(text) is is_flat


@given(
    parts=st.lists(
        st.sampled_from([b"[" * 50, b"]" * 50, b"[", b"]", b"{", b"}", b'"', rb"\\", b'"]"', b"a"])
    )
)
def test_flat_text_is_never_too_deep(parts: list[bytes]) -> None:
    text = b"".join(parts)

    assert not _is_flat(text) or _measure_depth(text) <= MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        (b"[" * 200 + b"]" * 200, True),
        (b"[" * 201 + b"]" * 201, False),
        (b'["' + b"[" * 1000 + b'"]', True),  # one level, and a long string
        (b'["' + b"]" * 1000 + b'",' + b"[" * 200 + b"]" * 200 + b"]", False),
        (b"[" + b"[]," * 1000 + b"1]", True),
        (b"[" + b'{"a":{}},' * 1000 + b"1]", True),
        (b'{"a":' * 100 + b"[" * 100 + b"]" * 100 + b"}" * 100, True),
        (b'{"a":' * 101 + b"[" * 100 + b"]" * 100 + b"}" * 101, False),
    ],
    ids=range(8),
)
def test_text_is_parsed_up_to_200_levels(text: bytes, is_valid: bool) -> None:
    for whole in (text, BOM + text, text.replace(b"[]", b"[%d]" % LONG)):
        if is_valid:
            assert same(parse_json(whole), json.loads(whole.removeprefix(BOM)))
        else:
            with pytest.raises(InvalidJSON, match="nested more than 200 deep"):
                parse_json(whole)


def test_value_that_contains_itself_is_value_error() -> None:
    endless: list[Any] = [1]
    endless.append({"a": [endless, endless]})

    with pytest.raises(ValueError, match="Circular reference"):
        format_json(endless)
    endless.append(types.MappingProxyType({"a": endless}))
    del endless[1]
    with pytest.raises(ValueError, match="Circular reference"):
        format_json(endless)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (object(), "cannot hold object: give default= or dumps="),
        ([LONG, object()], "cannot hold object: give default= or dumps="),
        ({"a": {1, 2}}, "cannot hold set: give default= or dumps="),
        (b"a", "cannot hold bytes: give default= or dumps="),
        (iter([]), "cannot hold list_iterator: give default= or dumps="),
        (Plain, "cannot hold type: give default= or dumps="),  # no instance
        ({b"a": 1}, "keys must be str, int, float, bool or None, not bytes"),
        ({(1, 2): 1}, "keys must be str, int, float, bool or None, not tuple"),
        ({"a": "\ud800"}, "UTF-8"),
        ({"\ud800": 1}, "UTF-8"),
    ],
)
def test_value_that_json_cannot_hold_names_the_fix(content: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        format_json(content)


def as_text(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, set):
        return sorted(value)
    raise TypeError(f"no {type(value).__name__}, please")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (decimal.Decimal("1.5"), b'"1.5"'),
        ({"a": {2, 1}}, b'{"a":[1,2]}'),
        ([{LONG, 1}], b"[[1,%d]]" % LONG),  # its result is written as any other value
        ([LONG, {decimal.Decimal(2)}], b'[%d,["2"]]' % LONG),  # and may need it again
        ({1: decimal.Decimal(2)}, b'{"1":"2"}'),
        (types.MappingProxyType({"a": 1}), b'{"a":1}'),  # it is not asked about mappings
    ],
)
def test_json_default_converts_a_value(content: object, text: bytes) -> None:
    assert format_json(content, as_text) == text


@pytest.mark.parametrize("content", [b"a", [LONG, b"a"]])
def test_json_default_error_propagates(content: object) -> None:
    def refuse_all(value: object) -> NoReturn:
        raise LookupError("not mine")

    with pytest.raises(TypeError, match="no bytes, please"):
        format_json(content, as_text)
    with pytest.raises(LookupError, match="not mine"):
        format_json(content, refuse_all)


def test_json_default_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="Circular reference"):
        format_json(object(), lambda value: value)
    with pytest.raises(ValueError, match="nested too deep, or contains itself"):
        format_json(object(), lambda value: object())


@pytest.mark.property
@given(value=VALUES)
def test_written_json_is_parsed_by_the_standard_library(value: Any) -> None:
    text = format_json(value)

    assert same(json.loads(text), value)
    assert same(parse_json(text), value)


@pytest.mark.property
@given(
    value=st.recursive(
        SCALARS | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=4).map(tuple)
            | st.dictionaries(SCALARS, inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_value_with_scalar_keys_is_written_as_standard_library_does(value: Any) -> None:
    def null(number: str) -> None:
        return None

    ours = json.loads(format_json(value), object_pairs_hook=list)
    theirs = json.loads(json.dumps(value), object_pairs_hook=list, parse_constant=null)
    assert repr(ours) == repr(theirs)
