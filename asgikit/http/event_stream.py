r"""Server-sent events (HTML standard, section 9.2): written so that no text can break the framing.

A stream is lines that end in CR LF, LF or CR, and nothing else ends a line: U+2028 and the form
feed are data like any other character. All we write begins with a field name or a colon, so that a
byte order mark in data never stands first in the stream, where a client would drop it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import orjson

__all__ = ["ServerSentEvent", "format_comment", "format_event"]

Dumps: TypeAlias = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    r"""One event of a stream.

    Attributes:
        data: what the client's listener gets. Text as it is, but for its line breaks, which arrive
            as LF; ``bytes`` are text in UTF-8; anything else is written as JSON. Without data
            nothing is dispatched, and the client only takes note of ``id`` and ``retry``; but
            where there is ``event``, empty data is sent, since its listener is to be called.
        event: the name that the client listens for; ``message`` where it is absent.
        id: what the client sends back in Last-Event-ID when it reconnects. It stays the last id
            until another one comes; an empty one clears it. As the value of a field it loses
            spaces at its ends, and servers refuse requests for control characters in it.
        retry: milliseconds that the client waits before it reconnects, from now on.
        comment: text that no client looks at; each line of it becomes a comment of its own.

    Raises:
        TypeError: a field is of another type.
        ValueError: ``event`` or ``id`` has a line break, or ``id`` a NUL; ``retry`` is negative
            or has more than 63 bits; or text has lone surrogates, ``bytes`` are no UTF-8.

    >>> ServerSentEvent({"n": 1}, event="count", id="7").encode()
    b'event: count\nid: 7\ndata: {"n":1}\n\n'
    >>> ServerSentEvent("two\r\nlines").encode()
    b'data: two\ndata: lines\n\n'
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.event is not None:
            _check_text("event", self.event, "\r\n")
        if self.id is not None:
            # A client ignores an id with a NUL (section 9.2.6).
            _check_text("id", self.id, "\r\n\0")
        if self.retry is not None:
            _check_retry(self.retry)
        if self.comment is not None:
            _check_text("comment", self.comment, "")
        data = self.data
        if isinstance(data, str):
            if not data.isascii():
                data.encode()  # to see that it can be sent
        elif isinstance(data, bytes):
            data.decode("utf-8")

    def encode(self, dumps: Dumps = orjson.dumps) -> bytes:
        """Write the event with the empty line that ends it.

        Args:
            dumps: writes data that is neither text nor ``bytes``; a response that sends events
                passes one that writes more than orjson does.

        Raises:
            TypeError: ``dumps`` cannot write the data.
        """
        # Not by an f-string: a subclass of str or int may have a `__format__` of its own, whose
        # result was not checked.
        fields: list[str] = []
        if self.event is not None:
            fields += ("event: ", self.event, "\n")
        if self.id is not None:
            fields += ("id: ", self.id, "\n")
        if self.retry is not None:
            fields.append("retry: %d\n" % self.retry)  # noqa: UP031 - an f-string calls `__format__`
        text = "".join(fields).encode()
        if self.comment is not None:
            text = _lines(b": ", self.comment.encode()) + text
        if self.data is not None:
            return text + _data(self.data, dumps) + b"\n"
        # Of an event without a data line nobody hears (section 9.2.6).
        return text + (b"\n" if self.event is None else b"data: \n\n")


_FIELDS = frozenset(field.name for field in fields(ServerSentEvent))


def format_event(item: object, dumps: Dumps = orjson.dumps) -> bytes:
    r"""Write what a stream gives as an event.

    Args:
        item: an event, a mapping of its fields, or its data alone.
        dumps: as of :meth:`ServerSentEvent.encode`.

    Raises:
        TypeError: as of :class:`ServerSentEvent`, or ``dumps`` cannot write the data.
        ValueError: as of :class:`ServerSentEvent`, or a mapping has a key that is no field.

    >>> format_event("hello"), format_event([1, None])
    (b'data: hello\n\n', b'data: [1,null]\n\n')
    >>> format_event({"data": {"n": 1}, "id": "7"})
    b'id: 7\ndata: {"n":1}\n\n'
    """
    if isinstance(item, ServerSentEvent):
        return item.encode(dumps)
    if not isinstance(item, Mapping):
        return _data(item, dumps) + b"\n"
    if unknown := [key for key in item if key not in _FIELDS]:
        raise ValueError(
            f"{unknown[0]!r} is no field of an event: to send a mapping as JSON, wrap it in "
            "ServerSentEvent(data=...)"
        )
    return ServerSentEvent(**item).encode(dumps)


def format_comment(text: str) -> bytes:
    r"""Write a comment: clients skip it, and what lies between sees that the stream is alive.

    Raises:
        ValueError: ``text`` has lone surrogates.

    >>> format_comment("ping")
    b': ping\n\n'
    """
    return _lines(b": ", text.encode()) + b"\n"


def _data(data: object, dumps: Dumps) -> bytes:
    if isinstance(data, str):
        return _lines(b"data: ", data.encode())
    if isinstance(data, bytes):
        data.decode("utf-8")  # to see that it can be sent
        return _lines(b"data: ", data)
    return _lines(b"data: ", dumps(data))


# any-field   = 1*name-char [ colon [ space ] *any-char ] end-of-line
# end-of-line = ( cr lf / cr / lf )
#
# A client takes one space off the value, so we always write one. In UTF-8 the bytes of CR and LF
# are part of no other character. The data of n lines are n fields, which a client joins by LF.
def _lines(start: bytes, text: bytes) -> bytes:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in text:
        text = text.replace(b"\n", b"\n" + start)
    return start + text + b"\n"


def _check_text(name: str, text: object, forbidden: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"the {name} of an event is a str, not {type(text).__name__}")
    # What is printable has no control character and no lone surrogate: most names and ids are, and
    # to see that takes a third of the time.
    if not text.isprintable():
        if any(character in text for character in forbidden):
            raise ValueError(f"the {name} of an event has no {forbidden!r} in it: {text!r}")
        text.encode()


def _check_retry(retry: object) -> None:
    if not isinstance(retry, int) or isinstance(retry, bool):
        raise TypeError(f"retry is milliseconds as an int, not {type(retry).__name__}: {retry!r}")
    # The standard puts no bound on the digits; this one is beyond any wait.
    if not 0 <= retry < 2**63:
        raise ValueError("retry must be from 0 to 2**63 - 1 milliseconds")
