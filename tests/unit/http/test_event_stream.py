"""Server-sent events, parsed by a reference client that follows the HTML standard."""

from __future__ import annotations

import copy
import enum
import pickle
import re
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.event_stream import ServerSentEvent, format_comment, format_event


class Dispatched(NamedTuple):
    """An event as a listener of a client receives it."""

    type: str
    data: str
    last_event_id: str


class Client:
    """A client (HTML standard, sections 9.2.5 and 9.2.6), fed with a whole stream.

    Attributes:
        events: the dispatched events.
        retry: the reconnection time, in milliseconds.
        last_event_id: the value for Last-Event-ID; empty for none.
        comments: the text of the comment lines.
    """

    def __init__(self, stream: bytes) -> None:
        self.events: list[Dispatched] = []
        self.retry: int | None = None
        self.last_event_id = ""
        self.comments: list[str] = []
        self._data = self._type = self._id = ""
        text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
        # The text after the last line break is not a complete line.
        for line in re.split("\r\n|\r|\n", text)[:-1]:
            self._read(line)

    def _read(self, line: str) -> None:
        field, colon, value = line.partition(":")
        if not line:
            self._dispatch()
        elif not field:
            self.comments.append(value)
        else:
            self._process(field, value.removeprefix(" ") if colon else "")

    def _process(self, field: str, value: str) -> None:
        if field == "event":
            self._type = value
        elif field == "data":
            self._data += value + "\n"
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            data = self._data.removesuffix("\n")
            self.events.append(Dispatched(self._type or "message", data, self.last_event_id))
        self._data = self._type = ""


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ServerSentEvent("hello"), b"data: hello\n\n"),
        (
            ServerSentEvent("d", event="e", id="7", retry=500, comment="c"),
            b": c\nevent: e\nid: 7\nretry: 500\ndata: d\n\n",
        ),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent(" d"), b"data:  d\n\n"),  # a client takes one space off
        (ServerSentEvent(":d"), b"data: :d\n\n"),
        (ServerSentEvent("\ufeffd"), "data: \ufeffd\n\n".encode()),
        # The three line breaks, and characters that are none by the standard.
        (ServerSentEvent("a\r\nb\rc\nd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\n\rb"), b"data: a\ndata: \ndata: b\n\n"),
        (ServerSentEvent("\n"), b"data: \ndata: \n\n"),
        (
            ServerSentEvent("\v\f\x1c\x1d\x1e\x85\u2028\u2029"),
            "data: \v\f\x1c\x1d\x1e\x85\u2028\u2029\n\n".encode(),
        ),
        (ServerSentEvent("d\n\nevent: evil"), b"data: d\ndata: \ndata: event: evil\n\n"),
        (ServerSentEvent("a\0b"), b"data: a\0b\n\n"),
        # Encoded text, such as JSON from another library.
        (ServerSentEvent(b'{"n":\r\n1}'), b'data: {"n":\ndata: 1}\n\n'),
        (ServerSentEvent(Colour.RED), b"data: red\n\n"),
        (ServerSentEvent({"n": [1, None, "\n"]}), b'data: {"n":[1,null,"\\n"]}\n\n'),
        (ServerSentEvent(0), b"data: 0\n\n"),
        (ServerSentEvent(False), b"data: false\n\n"),
        (ServerSentEvent([]), b"data: []\n\n"),
        # Without data.
        (ServerSentEvent(), b""),
        (ServerSentEvent(id=""), b"id: \n\n"),
        (ServerSentEvent(retry=0), b"retry: 0\n"),
        (ServerSentEvent(comment="a\r\n\rdata: b\n"), b": a\n: \n: data: b\n: \n"),
        (ServerSentEvent(event="e"), b"event: e\ndata: \n\n"),
        (ServerSentEvent("d", event=""), b"event: \ndata: d\n\n"),
        (
            ServerSentEvent("d", event=" e\u2028", id=" é"),
            "event:  e\u2028\nid:  é\ndata: d\n\n".encode(),
        ),
    ],
)
def test_event_is_encoded(event: ServerSentEvent, text: bytes) -> None:
    assert event.encode() == text


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"event": "a\ndata: evil"}, ValueError, "the event of an event must not contain"),
        ({"event": "a\r"}, ValueError, "the event of an event must not contain"),
        ({"event": "\ud800"}, ValueError, "surrogates"),
        ({"event": 1, "data": "d"}, TypeError, "the event of an event must be a str, not int"),
        ({"id": 7, "data": "d"}, TypeError, "the id of an event must be a str, not int"),
        ({"id": 7, "event": "e", "data": "d"}, TypeError, "the id of an event must be a str"),
        ({"event": 1}, TypeError, "the event of an event must be a str, not int"),
        ({"id": "a\r\ndata: evil"}, ValueError, "the id of an event must not contain"),
        ({"id": "a\nb"}, ValueError, "the id of an event must not contain"),
        (
            {"id": "a\0b"},
            ValueError,
            "the id of an event must not contain",
        ),  # a client would ignore the id
        ({"id": "\udfff"}, ValueError, "surrogates"),
        ({"id": 7}, TypeError, "the id of an event must be a str, not int"),
        ({"id": b"7"}, TypeError, "the id of an event must be a str, not bytes"),
        ({"retry": -1}, ValueError, "retry must be from 0"),
        ({"retry": 2**63}, ValueError, "retry must be from 0"),
        ({"retry": 10**5000}, ValueError, "retry must be from 0"),  # Python refuses to format it
        ({"retry": "5\ndata: evil"}, TypeError, "retry must be an int of milliseconds, not str"),
        ({"retry": 1.5}, TypeError, "retry must be an int of milliseconds, not float"),
        ({"retry": True}, TypeError, "retry must be an int of milliseconds, not bool"),
        ({"comment": "\ud800"}, ValueError, "surrogates"),
        ({"comment": b"c"}, TypeError, "the comment of an event must be a str, not bytes"),
        ({"data": "a\ud800"}, ValueError, "surrogates"),
        ({"data": b"\xff"}, ValueError, "can't decode"),
    ],
)
def test_event_with_invalid_field_raises(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ServerSentEvent(**fields)
    with pytest.raises(error, match=message):
        format_event(fields)


def test_event_is_immutable() -> None:
    event = ServerSentEvent("d")

    with pytest.raises(AttributeError):
        event.id = "a\nb"  # type: ignore[misc]  # read-only on purpose
    assert not hasattr(event, "__dict__")


def test_event_has_its_fields_and_compares_by_them() -> None:
    fields: dict[str, Any] = {"data": "d", "event": "e", "id": "7", "retry": 1, "comment": "c"}
    event = ServerSentEvent(*fields.values())

    assert {name: getattr(event, name) for name in fields} == fields
    assert event == ServerSentEvent(**fields)
    assert hash(event) == hash(ServerSentEvent(**fields))
    assert all(event != ServerSentEvent(**{**fields, name: None}) for name in fields)
    assert event != "d"
    assert eval(repr(event)) == event
    assert copy.copy(event) == pickle.loads(pickle.dumps(event)) == event


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (ServerSentEvent("d", id="7"), b"id: 7\ndata: d\n\n"),
        ({"data": "d", "id": "7"}, b"id: 7\ndata: d\n\n"),
        ({"data": {"id": 7}}, b'data: {"id":7}\n\n'),
        ({}, b""),
        ("a\nb", b"data: a\ndata: b\n\n"),
        ("", b"data: \n\n"),
        (b"d", b"data: d\n\n"),
        ([1, "a"], b'data: [1,"a"]\n\n'),
        (1.5, b"data: 1.5\n\n"),
        (None, b"data: null\n\n"),  # a given None is data
    ],
)
def test_format_event_accepts_event_mapping_or_data(item: object, text: bytes) -> None:
    assert format_event(item) == text


@pytest.mark.parametrize("item", [{"n": 1}, {"data": "d", "n": 1}, {"data": "d", 1: 2}])
def test_format_event_with_unknown_key_raises_with_fix(item: dict[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"is not a field of an event: to send a mapping as JSON"):
        format_event(item)


@pytest.mark.parametrize("item", ["a\ud800", b"\xff"])
def test_format_event_with_invalid_unicode_raises(item: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"surrogates|can't decode"):
        format_event(item)


@pytest.mark.parametrize("item", [1, {"data": 1}, ServerSentEvent(1)])
def test_format_event_uses_given_dumps(item: object) -> None:
    # The line breaks of indented JSON make several data lines.
    assert format_event(item, lambda data: b"[\r%d\n]" % data) == b"data: [\ndata: 1\ndata: ]\n\n"


@pytest.mark.parametrize("item", [object(), {"data": object()}, ServerSentEvent(object())])
def test_format_event_with_unserializable_data_raises(item: object) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        format_event(item)


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("ping", b": ping\n"),
        ("", b": \n"),
        ("a\r\ndata: b", b": a\n: data: b\n"),
    ],
)
def test_comment_is_formatted(text: str, comment: bytes) -> None:
    assert format_comment(text) == comment


def test_comment_with_lone_surrogate_raises() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        format_comment("\ud800")


# Any text, and text of characters that matter for the framing.
ANY = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    "\r\n: \0\v\f\x1c\x85\u2028\ufeffdataeventidretry07"
)
LINE = ANY.map(lambda text: re.sub("[\r\n]", "", text))
EVENTS = st.builds(
    ServerSentEvent,
    st.none() | ANY,
    event=st.none() | LINE,
    id=st.none() | LINE.map(lambda text: text.replace("\0", "")),
    retry=st.none() | st.integers(0, 2**63 - 1),
    comment=st.none() | ANY,
)


def as_lf(text: str) -> str:
    return re.sub("\r\n?", "\n", text)


@pytest.mark.property
@given(st.lists(EVENTS, max_size=3))
def test_client_parses_each_event_with_its_fields_and_no_other(
    events: list[ServerSentEvent],
) -> None:
    expected = []
    retry = None
    last_id = ""
    comments: list[str] = []
    for event in events:
        last_id = last_id if event.id is None else event.id
        retry = retry if event.retry is None else event.retry
        if event.comment is not None:
            comments += as_lf(event.comment).split("\n")
        if event.data is not None or event.event is not None:
            data = as_lf(event.data or "")
            expected.append(Dispatched(event.event or "message", data, last_id))

    client = Client(b"".join(event.encode() for event in events))

    assert client.events == expected
    assert client.retry == retry
    assert client.last_event_id == last_id
    assert client.comments == [f" {comment}" for comment in comments]


@pytest.mark.property
@given(st.lists(ANY, max_size=3))
def test_any_text_is_parsed_as_data_of_one_event(texts: list[str]) -> None:
    stream = b"".join(format_event(text) + format_comment(text) for text in texts)

    assert [event.data for event in Client(stream).events] == [as_lf(text) for text in texts]
    assert format_event("".join(texts).encode()) == format_event("".join(texts))


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The examples in section 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata: cut",
            [("message", "first event", "1"), ("message", "second event", "")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
        (b"data:test\n\ndata: test\n\n", [("message", "test", "")] * 2),
        # A byte order mark is dropped only at the start of the stream.
        (
            b"\xef\xbb\xbfdata: a\r\rdata: \xef\xbb\xbfb\r\n\r\n",
            [("message", "a", ""), ("message", "\ufeffb", "")],
        ),
        (b"event: e\nid: 7\n\ndata: d\n\n", [("message", "d", "7")]),
        (b"id: a\0b\nretry: 5x\nEVENT: e\ndata: d\n\n", [("message", "d", "")]),
    ],
)
def test_reference_client_follows_standard(
    stream: bytes, events: list[tuple[str, str, str]]
) -> None:
    assert Client(stream).events == events


class LoudInt(int):
    """An integer whose ``str()`` is not its digits."""

    def __format__(self, specification: str) -> str:
        return "1\ndata: injected"

    __str__ = __repr__ = lambda self: "1\ndata: injected"


class LoudStr(str):
    """A string that formats as another string."""

    __slots__ = ()

    def __format__(self, specification: str) -> str:
        return "x\ndata: injected"

    def __str__(self) -> str:
        return "x\ndata: injected"


@pytest.mark.property
@given(ANY, st.none() | LINE, st.none() | LINE)
def test_plain_event_is_formatted_as_any_other(
    data: str, event: str | None, id_: str | None
) -> None:
    id_ = None if id_ is None else id_.replace("\0", "")
    # A subclass of str takes the general path.
    general = ServerSentEvent(LoudStr(data), event=event, id=id_)

    assert ServerSentEvent(data, event=event, id=id_).encode() == general.encode()


def test_subclasses_of_str_and_int_cannot_break_the_format() -> None:
    event = ServerSentEvent(
        LoudStr("tea"), event=LoudStr("step"), id=LoudStr("7"), retry=LoudInt(5)
    )

    assert event.encode() == b"event: step\nid: 7\nretry: 5\ndata: tea\n\n"
