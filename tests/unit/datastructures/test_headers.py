"""Headers and MutableHeaders: look-ups, checks, changes, and hidden credentials."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiMapping, MutableMultiMapping

from asgikit.datastructures.headers import Headers
from asgikit.datastructures.mutable_headers import MutableHeaders

RAW = [(b"accept", b"a/b"), (b"via", b"1.1 a"), (b"x-empty", b""), (b"via", b"1.1 b")]
KELVIN = "\u212a"  # its lower() is "k"

# Names that meet one another in other cases, and bytes that are no letters of ASCII.
NAMES = st.sampled_from([b"a", b"A", b"x-a", b"X-a", b"x-k", b"\xe0", b"\xc0", b"1", b"", b"\x00"])
FIELDS = st.tuples(NAMES, st.binary(max_size=3) | st.sampled_from([b"v", b"w"]))
KEYS = NAMES.map(lambda name: name.decode("latin-1")) | st.sampled_from(["x-" + KELVIN, "nope"])


def reference(raw: Iterable[Iterable[bytes]], key: str) -> list[str]:
    """Return the values of ``key`` by a linear search."""
    try:
        wanted = key.encode("iso-8859-1").lower()
    except UnicodeEncodeError:
        return []
    fields = [(name, str(value, "iso-8859-1")) for name, value in raw]
    values = [value for name, value in fields if name == wanted]
    return values or [value for name, value in fields if name.lower() == wanted]


@pytest.fixture(params=[Headers, MutableHeaders])
def headers(request: pytest.FixtureRequest) -> Any:
    return request.param(RAW)


def test_headers_are_multidicts() -> None:
    assert isinstance(Headers([]), MultiMapping)
    assert not isinstance(Headers([]), MutableMapping)
    assert isinstance(MutableHeaders(), MutableMultiMapping)


@pytest.mark.parametrize("key", ["via", "Via", "VIA"])
def test_first_value_wins_in_any_case(headers: Any, key: str) -> None:
    assert headers[key] == headers.get(key) == headers.getone(key) == "1.1 a"
    assert headers.getall(key) == ["1.1 a", "1.1 b"]
    assert key in headers


@pytest.mark.parametrize(
    "key",
    [
        "nope",
        "",
        KELVIN,  # not ISO-8859-1
        b"via",  # no text
        None,
        1,
    ],
)
def test_key_that_no_header_can_have_is_absent(headers: Any, key: Any) -> None:
    assert key not in headers
    assert headers.get(key) is None
    assert headers.get(key, "x") == headers.getone(key, "x") == headers.getall(key, "x") == "x"
    assert headers.getone(key, None) is None
    # The first look-up is not like the next ones.
    for look_up in (*[headers.__getitem__] * 3, headers.getone, headers.getall):
        with pytest.raises(KeyError):
            look_up(key)


def test_empty_value_is_value(headers: Any) -> None:
    assert headers["x-empty"] == ""
    assert headers.get("x-empty", "x") == ""
    assert headers.getall("x-empty", None) == [""]


def test_repeated_headers_are_iterated_in_order(headers: Any) -> None:
    pairs = [("accept", "a/b"), ("via", "1.1 a"), ("x-empty", ""), ("via", "1.1 b")]

    assert list(headers.items()) == pairs
    assert list(headers) == list(headers.keys()) == [name for name, _ in pairs]
    assert list(headers.values()) == [value for _, value in pairs]
    assert len(headers) == len(headers.items()) == len(headers.values()) == 4
    assert headers.to_dict() == {"accept": ["a/b"], "via": ["1.1 a", "1.1 b"], "x-empty": [""]}
    assert headers.raw == RAW


def test_views_contain_their_items(headers: Any) -> None:
    assert ("via", "1.1 b") in headers.items()
    assert ("Via", "1.1 b") in headers.items()
    assert ("via", "1.1 c") not in headers.items()
    assert ("nope", "1.1 b") not in headers.items()
    assert "1.1 b" in headers.values()
    assert "1.1 c" not in headers.values()
    assert "Via" in headers.keys()  # noqa: SIM118 - the view is tested


@pytest.mark.parametrize(
    ("raw", "other", "are_equal"),
    [
        (RAW, Headers(RAW), True),
        (RAW, MutableHeaders(RAW), True),
        (RAW, CIMultiDict(Headers(RAW).items()), True),
        (RAW, Headers(RAW[::-1]), False),  # the order of one name's values says something
        (RAW, Headers([RAW[0], RAW[2], RAW[1], RAW[3]]), True),  # that of names does not
        (RAW, Headers(RAW[:3]), False),
        ([(b"a", b"1")], {"A": "1"}, True),
        ([(b"k", b"1")], {KELVIN: "1"}, False),
        ([(b"a", b"1")], {1: "1"}, False),
        ([(b"a", b"1")], [("a", "1")], False),
        ([], {}, True),
    ],
)
def test_headers_with_the_same_meaning_are_equal(
    raw: list[tuple[bytes, bytes]], other: Any, are_equal: bool
) -> None:
    assert (Headers(raw) == other) is are_equal
    assert (MutableHeaders(raw) == other) is are_equal


def test_headers_are_not_hashable(headers: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)


@pytest.mark.parametrize(
    "name", ["Authorization", "cookie", "Proxy-Authorization", "set-cookie", "SET-COOKIE"]
)
def test_headers_repr_hides_credentials(name: str) -> None:
    raw = [(b"host", b"a"), (name.encode(), b"hunter2"), (name.encode(), b"hunter3")]

    for headers in (Headers(raw), MutableHeaders(raw)):
        assert repr(headers) == (
            f"<{type(headers).__name__}('host': 'a', "
            f"'{name.lower()}': '[...]', '{name.lower()}': '[...]')>"
        )


def test_headers_repr_escapes_line_breaks() -> None:
    assert repr(Headers([(b"a\n", b"b\r\n")])) == r"<Headers('a\n': 'b\r\n')>"


def test_header_bytes_are_decoded_as_iso_8859_1() -> None:
    every = bytes(range(256))

    assert Headers([(b"x", every)])["x"] == every.decode("iso-8859-1")
    assert Headers([(every, b"1")])[every.decode("iso-8859-1")] == "1"


@pytest.mark.parametrize(
    ("raw", "key", "values"),
    [
        ([(b"X-A", b"1")], "x-a", ["1"]),  # a server that keeps the case
        ([(b"X-A", b"1"), (b"X-a", b"2")], "x-a", ["1", "2"]),
        ([(b"X-A", b"1"), (b"x-a", b"2")], "x-a", ["2"]),  # ASGI's spelling wins, for each accessor
        ([(b"x-a", b"1"), (b"X-A", b"2")], "X-A", ["1"]),
        ([[b"x-a", b"1"], [b"x-a", b"2"]], "x-a", ["1", "2"]),  # JSON has no tuples
        ([(b"x-k", b"1")], "x-" + KELVIN, []),
        ([("x-" + KELVIN).encode(), b"1"], "x-k", []),
        ([(b"\xc0", b"1")], "\xe0", []),  # one letter in two cases, in ISO-8859-1 alone
        ([(b"x_a", b"1")], "x-a", []),
        ([(b"x-a ", b"1")], "x-a", []),
        ([(b"", b"1")], KELVIN, []),
        ([(b"1", b"a"), (b"1", b"b")], "1", ["a", "b"]),  # no letter to tell the case of
    ],
)
def test_headers_of_nonconforming_scopes_are_read(raw: Any, key: str, values: list[str]) -> None:
    raw = [raw] if raw and isinstance(raw[0], bytes) else raw
    headers = Headers(raw)

    # Each on a view of its own: the first question is answered in another way than the next ones.
    assert Headers(raw).getall(key, []) == headers.getall(key, []) == values
    assert Headers(raw).get(key) == headers.get(key) == (values[0] if values else None)
    assert (key in Headers(raw)) is (key in headers) is bool(values)
    assert list(headers) == [name.lower().decode("iso-8859-1") for name, _ in raw]


def test_headers_keep_a_list_and_copy_other_iterables() -> None:
    raw = list(RAW)

    assert Headers(raw).raw is raw
    assert Headers(iter(RAW)).raw == RAW
    assert Headers(tuple(RAW)).getall("via") == ["1.1 a", "1.1 b"]


@pytest.mark.parametrize(
    ("source", "raw"),
    [
        ({"Accept": "a/b", "X-Name": " tea "}, [(b"accept", b"a/b"), (b"x-name", b"tea")]),
        ({}, []),
        (Headers(RAW), RAW),
        (MutableHeaders(RAW), RAW),
        (iter(RAW), RAW),
        ((), []),
    ],
)
def test_headers_are_made_of_mapping_or_pairs(source: Any, raw: list[tuple[bytes, bytes]]) -> None:
    assert Headers(source).raw == raw


def test_headers_without_arguments_are_empty() -> None:
    assert len(Headers()) == 0
    assert Headers().get("a") is None


@pytest.mark.parametrize(
    ("source", "error"),
    [({"a b": "c"}, ValueError), ({"a": "b\n"}, ValueError), ({"a": 1}, TypeError)],
)
def test_headers_of_malformed_mapping_are_refused(source: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Headers(source)


def test_mutable_headers_of_message_change_it_in_place() -> None:
    message: dict[str, Any] = {
        "type": "http.response.start",
        "headers": ((b"Vary", b"a"), [b"x", b"\xff\n"]),
    }
    headers = MutableHeaders(scope=message)
    headers["X-Id"] = "7"
    headers.add_vary("b")
    headers.append("x", "2")

    assert message["headers"] == [
        (b"vary", b"a, b"),
        (b"x", b"\xff\n"),
        (b"x-id", b"7"),
        (b"x", b"2"),
    ]
    headers.popall("x")
    headers.update({"vary": "*"})
    headers |= {"x-id": "8"}
    headers.merge({"a": "1"})
    headers.setdefault("b", "2")
    assert message["headers"] == [(b"vary", b"*"), (b"x-id", b"8"), (b"a", b"1"), (b"b", b"2")]
    del headers["vary"]
    assert headers.popitem() == ("b", "2")
    headers.clear()
    assert message["headers"] == []


@pytest.mark.parametrize("message", [{"headers": None}, {}])
def test_mutable_headers_of_message_without_headers_add_them(message: dict[str, Any]) -> None:
    MutableHeaders(scope=message)["a"] = "1"

    assert message["headers"] == [(b"a", b"1")]


def test_mutable_headers_take_one_source_only() -> None:
    with pytest.raises(TypeError, match="not both"):
        MutableHeaders({"a": "1"}, scope={"headers": []})


def test_returned_list_of_values_is_a_copy() -> None:
    headers = Headers(RAW)
    headers.getall("via").clear()

    assert headers.getall("via") == ["1.1 a", "1.1 b"]


@pytest.mark.property
@pytest.mark.promise
@given(raw=st.lists(FIELDS, max_size=8), keys=st.lists(KEYS, min_size=1, max_size=4))
def test_headers_equal_a_linear_search(raw: list[tuple[bytes, bytes]], keys: list[str]) -> None:
    headers = Headers(raw)

    for key in keys:
        values = reference(raw, key)
        assert Headers(raw).getall(key, []) == headers.getall(key, []) == values
        assert Headers(raw).get(key) == headers.get(key) == next(iter(values), None)
        assert (key in Headers(raw)) is (key in headers) is bool(values)
        assert headers[key] == values[0] if values else key not in headers
    assert list(headers.items()) == [
        (name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in raw
    ]
    assert headers == Headers([(name.upper(), value) for name, value in raw])


class Keyed:
    """The least that can be read like a mapping."""

    def keys(self) -> list[str]:
        return ["A", "b"]

    def __getitem__(self, key: str) -> str:
        return key * 2


@pytest.mark.parametrize(
    ("given", "raw"),
    [
        (None, []),
        ({}, []),
        ({"A": "1"}, [(b"a", b"1")]),
        ([("A", "1"), ("a", " 2\t")], [(b"a", b"1"), (b"a", b"2")]),
        ([(b"A", b"1"), [b"B", "\xe9"]], [(b"a", b"1"), (b"b", b"\xe9")]),
        (iter([("a", "1")]), [(b"a", b"1")]),
        (CIMultiDict([("A", "1"), ("a", "2")]), [(b"a", b"1"), (b"a", b"2")]),
        (Headers(RAW), RAW),
        (Keyed(), [(b"a", b"AA"), (b"b", b"bb")]),
    ],
)
def test_mutable_headers_are_made_of_mapping_or_pairs(
    given: Any, raw: list[tuple[bytes, bytes]]
) -> None:
    assert MutableHeaders(given).raw == raw


BAD = [
    ("a", "b\r\nc: d", ValueError),
    ("a", "b\nc", ValueError),
    ("a", "b\x00", ValueError),
    ("a", "\u20ac", ValueError),
    ("a b", "c", ValueError),
    ("a\r\n", "c", ValueError),
    ("", "c", ValueError),
    (KELVIN, "c", ValueError),
    (b"a", b"b\r\nc: d", ValueError),
    (b"a:", b"b", ValueError),
    ("a", 1, TypeError),
    ("a", None, TypeError),
    (1, "a", TypeError),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD)
@pytest.mark.parametrize(
    "do",
    [
        lambda headers, name, value: headers.__setitem__(name, value),
        lambda headers, name, value: headers.add(name, value),
        lambda headers, name, value: headers.append(name, value),
        lambda headers, name, value: headers.setdefault(name, value),
        lambda headers, name, value: headers.extend([("x", "y"), (name, value)]),
        lambda headers, name, value: headers.update([("x", "y"), (name, value)]),
        lambda headers, name, value: headers.merge([("x", "y"), (name, value)]),
        lambda headers, name, value: headers.extend({name: value}),
        lambda headers, name, value: headers.update({"x": "y", name: value}),
        lambda headers, name, value: MutableHeaders([("x", "y"), (name, value)]),
    ],
)
def test_malformed_header_is_refused_without_a_change(
    do: Any, name: Any, value: Any, error: type[Exception]
) -> None:
    headers = MutableHeaders({"host": "h"})

    with pytest.raises(error):
        do(headers, name, value)

    assert headers.raw == [(b"host", b"h")]


@pytest.mark.parametrize("name", ["a\n", "", "a, b", "a b", KELVIN])
def test_add_vary_refuses_malformed_names(name: str) -> None:
    headers = MutableHeaders()

    with pytest.raises(ValueError, match="field name"):
        headers.add_vary("accept", name)

    assert headers.raw == []


# (operation, remaining headers of `a: 1, b: 2, a: 3`)
CHANGES: list[tuple[Any, str]] = [
    (lambda headers: headers.__setitem__("A", "9"), "a: 9, b: 2"),  # where the first one was
    (lambda headers: headers.__setitem__(b"A", b"9"), "a: 9, b: 2"),
    (lambda headers: headers.__setitem__("c", "9"), "a: 1, b: 2, a: 3, c: 9"),
    (lambda headers: headers.__delitem__("A"), "b: 2"),
    (lambda headers: headers.add("A", "9"), "a: 1, b: 2, a: 3, a: 9"),
    (lambda headers: headers.append("A", "9"), "a: 1, b: 2, a: 3, a: 9"),
    (lambda headers: headers.extend({"b": "9"}), "a: 1, b: 2, a: 3, b: 9"),
    (lambda headers: headers.extend(headers), "a: 1, b: 2, a: 3, a: 1, b: 2, a: 3"),
    (lambda headers: headers.extend(c="9"), "a: 1, b: 2, a: 3, c: 9"),
    (lambda headers: headers.extend(), "a: 1, b: 2, a: 3"),
    (lambda headers: headers.update([("a", "8"), ("c", "7"), ("A", "9")], b="6"),
     "a: 8, a: 9, b: 6, c: 7"),
    (lambda headers: headers.update(headers), "a: 1, a: 3, b: 2"),
    (lambda headers: headers.__ior__({"A": "9"}), "a: 9, b: 2"),
    (lambda headers: headers | {"A": "9"}, "a: 1, b: 2, a: 3"),  # a copy
    (lambda headers: headers.merge([("A", "9"), ("c", "8"), ("c", "7")]),
     "a: 1, b: 2, a: 3, c: 8, c: 7"),
    (lambda headers: headers.merge(b="9"), "a: 1, b: 2, a: 3"),
    (lambda headers: headers.setdefault("A", "9"), "a: 1, b: 2, a: 3"),
    (lambda headers: headers.setdefault("c", "9"), "a: 1, b: 2, a: 3, c: 9"),
    (lambda headers: headers.pop("A"), "b: 2, a: 3"),
    (lambda headers: headers.popone("A"), "b: 2, a: 3"),
    (lambda headers: headers.pop("c", None), "a: 1, b: 2, a: 3"),
    (lambda headers: headers.popall("A"), "b: 2"),
    (lambda headers: headers.popall("c", None), "a: 1, b: 2, a: 3"),
    (lambda headers: headers.popitem(), "a: 1, b: 2"),
    (lambda headers: headers.clear(), ""),
    (lambda headers: headers.raw.append((b"c\n", b"9")), "a: 1, b: 2, a: 3"),  # a copy
    (lambda headers: headers.copy().clear(), "a: 1, b: 2, a: 3"),
    (lambda headers: copy.copy(headers).clear(), "a: 1, b: 2, a: 3"),
    (lambda headers: copy.deepcopy(headers).clear(), "a: 1, b: 2, a: 3"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "left"), CHANGES)
def test_mutable_headers_methods_change_the_list(change: Any, left: str) -> None:
    shared = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    headers = MutableHeaders._over(shared)

    change(headers)

    assert ", ".join(f"{name}: {value}" for name, value in headers.items()) == left
    # The wrapped list is changed in place.
    assert headers.raw == shared


@pytest.mark.parametrize("other", [{"A": "9", "c": "8"}, [("A", "9"), ("c", "8")]])
def test_or_operator_updates_a_copy_or_in_place(other: Any) -> None:
    headers = same = MutableHeaders([("a", "1"), ("b", "2"), ("a", "3")])
    both = headers | other
    headers |= other

    assert type(both) is MutableHeaders
    assert both.raw == headers.raw == [(b"a", b"9"), (b"b", b"2"), (b"c", b"8")]
    assert headers is same


@pytest.mark.parametrize("other", [1, {"a"}, {"a": 1}, {"a": "b\n"}])
def test_or_operator_with_malformed_headers_raises(other: Any) -> None:
    headers = MutableHeaders({"a": "1"})

    for do in (operator.or_, operator.ior):
        with pytest.raises((TypeError, ValueError)):
            do(headers, other)
    assert headers.raw == [(b"a", b"1")]


def test_pop_methods_return_the_removed_values() -> None:
    headers = MutableHeaders([("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")])

    assert headers.setdefault("b", "9") == "2"
    assert headers.setdefault("d", "5") == "5"
    assert headers.popitem() == ("d", "5")
    assert headers.popall("A") == ["1", "3"]
    assert headers.pop("C") == "4"
    assert headers.popone("b") == "2"
    assert headers.popone("b", 7) == headers.popall("b", 7) == 7


@pytest.mark.parametrize(
    "take",
    [
        lambda headers: headers.pop("a"),
        lambda headers: headers.popone("a"),
        lambda headers: headers.popall("a"),
        lambda headers: headers.popitem(),
        lambda headers: headers.__delitem__("a"),
        lambda headers: headers.__delitem__(KELVIN),
    ],
)
def test_pop_methods_of_absent_headers_raise_key_error(take: Any) -> None:
    with pytest.raises(KeyError):
        take(MutableHeaders())


@pytest.mark.parametrize(
    ("fields", "names", "vary"),
    [
        ([], [], None),
        ([], ["Accept"], "Accept"),
        ([("vary", "Accept")], [], "Accept"),
        ([("vary", "Accept")], ["cookie", "ACCEPT"], "Accept, cookie"),
        ([("vary", "a,,b"), ("vary", "A, c")], ["d"], "a, b, c, d"),  # one field in the end
        ([("vary", "*")], ["a"], "*"),
        ([("vary", "a")], ["b", "*"], "*"),
        ([("vary", "")], ["a"], "a"),
    ],
)
def test_vary_is_merged(fields: Any, names: list[str], vary: str | None) -> None:
    headers = MutableHeaders(fields)
    headers.add_vary(*names)

    assert headers.getall("vary", [None]) == [vary]


def test_headers_are_pickled(headers: Any) -> None:
    assert pickle.loads(pickle.dumps(headers)) == headers


@pytest.mark.property
@given(
    fields=st.lists(st.tuples(st.sampled_from("abAB"), st.sampled_from("123")), max_size=6),
    other=st.lists(st.tuples(st.sampled_from("abcC"), st.sampled_from("456")), max_size=4),
    method=st.sampled_from(["extend", "update", "merge"]),
)
def test_mutable_headers_change_as_a_multidict_does(fields: Any, other: Any, method: str) -> None:
    ours, theirs = MutableHeaders(fields), CIMultiDict(fields)

    getattr(ours, method)(other)
    getattr(theirs, method)(other) if method != "merge" else theirs.extend(
        [(name, value) for name, value in other if name not in CIMultiDict(fields)]
    )

    assert ours == theirs


def test_headers_equal_other_mappings_from_either_side() -> None:
    class Other(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            return {"a": "1"}[key]

        def __iter__(self) -> Any:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    assert Headers([(b"a", b"1")]) == Other()
    assert Headers([(b"a", b"2")]) != Other()


class Upstream(dict[str, str]):
    """Headers as httpx has them: ``items()`` joins repeated ones, ``multi_items()`` does not."""

    def multi_items(self) -> list[tuple[str, str]]:
        return [("Set-Cookie", "a=1"), ("set-cookie", "b=2")]


class Repeated:
    """Headers as Werkzeug has them: no mapping, and ``items()`` repeats names."""

    def keys(self) -> list[str]:
        return ["set-cookie", "set-cookie"]

    def __getitem__(self, key: str) -> str:
        return "a=1"

    def items(self) -> list[tuple[str, str]]:
        return [("Set-Cookie", "a=1"), ("set-cookie", "b=2")]


@pytest.mark.parametrize(
    "source",
    [Upstream({"set-cookie": "a=1, b=2"}), Repeated(), httpx.Headers(Upstream().multi_items())],
)
def test_repeated_headers_of_other_libraries_are_kept(source: Any) -> None:
    expected = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

    assert MutableHeaders(source).raw == expected
    for method in (MutableHeaders.extend, MutableHeaders.update, MutableHeaders.merge):
        headers = MutableHeaders()
        method(headers, source)
        assert headers.raw == expected
    assert (MutableHeaders({"set-cookie": "c=3"}) | source).raw == expected
