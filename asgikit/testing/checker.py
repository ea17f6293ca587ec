"""A checker of the messages of an ASGI app, by the rules of ASGI and of HTTP (:rfc:`9110`).

The rules of ASGI are those of https://asgi.readthedocs.io/en/latest/specs/www.html, of its
extensions and of the lifespan protocol. A :class:`Checker` takes one message after another. It
returns a copy of each, or raises :class:`ASGIViolation`. It does no I/O but to read the files that
an app asks the server to send.

The state of a response is its phase. ``_RULES`` has the phases in which a message is allowed, and
the phase that follows::

    NEW -> [DEBUGGED] -> STARTED -> [IN_BODY] -> [AT_TRAILERS] -> ENDED     http, websocket denial
    NEW -> ACCEPTED -> ENDED                                              websocket
    NEW -> SERVING -> ENDED                                               lifespan
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from asgikit.http.grammar import check_field, parse_digits
from asgikit.scopes import extensions

if TYPE_CHECKING:
    from typing import NoReturn

    from asgikit.types import Message, RawHeaders, Scope

__all__ = ["ACCEPTED", "ENDED", "SERVING", "ASGIViolation", "Checker"]

# The phases. The text of a violation is "must not come" and one of these.
NEW = "before the start"
DEBUGGED = "after http.response.debug"
STARTED = "after the start"
IN_BODY = "after a part of the body"
AT_TRAILERS = "where trailers are expected"
ACCEPTED = "after websocket.accept"
SERVING = "after lifespan.startup.complete"
ENDED = "after the end"

# The phases in which an app may return.
_FINAL = {"http": {ENDED}, "websocket": {ENDED, ACCEPTED}, "lifespan": {ENDED}}


class _Rule(NamedTuple):
    """A rule about one type of message.

    Attributes:
        phases: The phases in which the message is allowed.
        next_phase: The phase after it, or ``None`` if it stays.
        keys: The keys of the message, beside its type; those with "?" are optional.
    """

    phases: tuple[str, ...]
    next_phase: str | None
    keys: str = ""


_RULES = {
    "http.response.debug": _Rule((NEW,), DEBUGGED, "info"),
    # The specification has hints after the start. But they are an interim response, which comes
    # before the final one (RFC 8297), and servers accept them there.
    "http.response.early_hint": _Rule((NEW, DEBUGGED, STARTED, IN_BODY), None, "links"),
    "http.response.start": _Rule((NEW, DEBUGGED), STARTED, "status headers? trailers?"),
    "http.response.push": _Rule((STARTED, IN_BODY), None, "path headers"),
    "http.response.body": _Rule((STARTED, IN_BODY), IN_BODY, "body? more_body?"),
    "http.response.zerocopysend": _Rule(
        (STARTED, IN_BODY), IN_BODY, "file offset? count? more_body?"
    ),
    # It is the whole body: no other message of the body may precede or follow.
    "http.response.pathsend": _Rule((STARTED,), IN_BODY, "path"),
    "http.response.trailers": _Rule((AT_TRAILERS,), None, "headers more_trailers?"),
    "websocket.accept": _Rule((NEW,), ACCEPTED, "subprotocol? headers?"),
    "websocket.send": _Rule((ACCEPTED,), None, "bytes? text?"),
    "websocket.close": _Rule((NEW, ACCEPTED), ENDED, "code? reason?"),
    "websocket.http.response.start": _Rule((NEW,), STARTED, "status headers?"),
    "websocket.http.response.body": _Rule((STARTED, IN_BODY), IN_BODY, "body? more_body?"),
    "lifespan.startup.complete": _Rule((NEW,), SERVING),
    "lifespan.startup.failed": _Rule((NEW,), ENDED, "message?"),
    "lifespan.shutdown.complete": _Rule((SERVING,), ENDED),
    "lifespan.shutdown.failed": _Rule((SERVING,), ENDED, "message?"),
}

_TYPES: dict[str, tuple[type, ...]] = {
    "type": (str,),
    "status": (int,),
    "headers": (Iterable,),
    "trailers": (bool,),
    "body": (bytes,),
    "more_body": (bool,),
    "more_trailers": (bool,),
    "path": (str,),
    "file": (object,),
    "offset": (int,),
    "count": (int,),
    "links": (Iterable,),
    "info": (dict,),
    "subprotocol": (str, NoneType),
    "bytes": (bytes, NoneType),
    "text": (str, NoneType),
    "code": (int,),
    "reason": (str, NoneType),
    "message": (str,),
}

# The extension that the scope must offer before an app may send a message.
_EXTENSIONS = {
    "http.response.debug": "http.response.debug",
    "http.response.early_hint": "http.response.early_hint",
    "http.response.pathsend": "http.response.pathsend",
    "http.response.push": "http.response.push",
    "http.response.trailers": "http.response.trailers",
    "http.response.zerocopysend": "http.response.zerocopysend",
    "websocket.http.response.start": "websocket.http.response",
    "websocket.http.response.body": "websocket.http.response",
}


class ASGIViolation(AssertionError):
    """A message of the app violates the ASGI specification or HTTP. The text names the rule."""

    # The documented name.
    __module__ = "asgikit.testing"


@dataclass(slots=True)
class Checker:
    """Checks the messages of one app, and stores its response.

    Attributes:
        scope: The scope of the exchange.
        is_strict: Whether deviations that all servers accept are violations.
        phase: The state of the response.
        length: The value of Content-Length, or ``None``.
        expects_trailers: Whether trailers follow the body.
    """

    scope: Scope
    is_strict: bool = True
    phase: str = NEW
    status: int = 0
    headers: RawHeaders = field(default_factory=list[tuple[bytes, bytes]])
    body: bytearray = field(default_factory=bytearray)
    trailers: RawHeaders = field(default_factory=list[tuple[bytes, bytes]])
    length: int | None = None
    expects_trailers: bool = False

    def add(self, message: Message) -> Message:
        """Check the next message of the app, and return a copy of it.

        Raises:
            ASGIViolation: The message breaks a rule, or must not come in this phase.
        """
        kind = self._check_shape(message)
        copied = dict(message)
        if "headers" in copied:
            copied["headers"] = _check_headers(kind, copied["headers"], is_strict=self.is_strict)
        self.phase = _RULES[kind].next_phase or self.phase
        match kind:
            case "http.response.start" | "websocket.http.response.start":
                self._start(kind, copied)
            case "http.response.body" | "websocket.http.response.body":
                self._add_body(kind, copied, copied.get("body", b""))
            case "http.response.pathsend" | "http.response.zerocopysend":
                self._add_body(kind, copied, _read_file(kind, copied))
            case "http.response.trailers":
                self.trailers += copied["headers"]
                self.phase = AT_TRAILERS if copied.get("more_trailers", False) else ENDED
            case "http.response.early_hint":
                copied["links"] = _check_links(kind, copied["links"])
            case _:
                self._add_websocket(kind, copied)
        return copied

    def end(self) -> None:
        """Raise :class:`ASGIViolation` if the app must not return in this phase."""
        protocol = self.scope["type"]
        if self.phase not in _FINAL.get(protocol, {self.phase}):
            raise ASGIViolation(
                f"{protocol}: the app returned {self.phase}, its response is incomplete"
            )

    def _check_shape(self, message: Message) -> str:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            _refuse("send", f"a message is a dict with a type: {message!r}")
        kind: str = message["type"]
        if kind not in _RULES or kind.partition(".")[0] != self.scope["type"]:
            _refuse(kind, f"no message of a scope of type {self.scope['type']!r}")
        if kind in _EXTENSIONS:
            self._check_offered(kind, _EXTENSIONS[kind])
        rule = _RULES[kind]
        if self.phase not in rule.phases:
            _refuse(kind, f"must not come {self.phase}")
        keys = {"type", *rule.keys.split(" ")} - {""}
        for key in sorted(keys - message.keys()):
            if not key.endswith("?"):
                _refuse(kind, f"{key} is missing")
        for key, value in message.items():
            if key not in keys and f"{key}?" not in keys:
                if self.is_strict:
                    _refuse(kind, f"it has no key {key!r}")
                continue
            # In Python a bool is an int, in the specification it is not.
            if not isinstance(value, _TYPES[key]) or (type(value) is bool and int in _TYPES[key]):
                _refuse(kind, f"{key} must not be {value!r}")
        return kind

    def _check_offered(self, kind: str, extension: str) -> None:
        if extension not in extensions(self.scope):
            _refuse(kind, f"the scope does not offer the extension {extension}")

    def _start(self, kind: str, message: Message) -> None:
        self.status, self.headers = message["status"], message.get("headers", [])
        if not 100 <= self.status <= 999:
            _refuse(kind, f"a status has three digits: {self.status!r}")
        self.expects_trailers = message.get("trailers", False)
        if self.expects_trailers:
            self._check_offered(kind, "http.response.trailers")
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if lengths:
            # RFC 9110, section 8.6.
            if self.status < 200 or (self.status == 204 and self.is_strict):
                _refuse(kind, f"a Content-Length with status {self.status}")
            self.length = parse_digits(lengths[0].decode("latin-1"))
            if len(lengths) > 1 or self.length is None:
                _refuse(kind, f"Content-Length is one number: {lengths!r}")

    def _add_body(self, kind: str, message: Message, content: bytes) -> None:
        # No content: RFC 9110, sections 9.3.2, 15.2, 15.3.5, 15.3.6 and 15.4.5.
        is_head = self.scope.get("method") == "HEAD"
        if not is_head or self.is_strict:
            self.body += content
        size, more = len(self.body), message.get("more_body", False)
        if size and (is_head or self.status < 200 or self.status in {204, 205, 304}):
            response = "to HEAD" if is_head else f"with status {self.status}"
            _refuse(kind, f"{size} bytes in a response {response}")
        # In these responses, Content-Length is the size of the content that GET would get.
        expected = None if is_head or self.status == 304 else self.length
        if expected is not None and (size > expected or (size < expected and not more)):
            _refuse(kind, f"{size} bytes, where Content-Length is {expected}")
        if not more:
            self.phase = AT_TRAILERS if self.expects_trailers else ENDED

    def _add_websocket(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self.status, self.headers = 101, message.get("headers", [])
            if any(name == b"sec-websocket-protocol" for name, _ in self.headers):
                _refuse(kind, "use the key subprotocol, not the header Sec-WebSocket-Protocol")
        elif kind == "websocket.close":
            self.status = self.status or 403
        elif kind == "websocket.send":
            contents = [message.get("bytes"), message.get("text")]
            if contents.count(None) != 1:
                _refuse(kind, f"one of bytes and text is None, the other is not: {contents!r}")


def _check_headers(kind: str, pairs: Iterable[Any], *, is_strict: bool = True) -> RawHeaders:
    headers: RawHeaders = []
    for pair in pairs:
        try:
            name, value = pair
        except (TypeError, ValueError):
            _refuse(kind, f"a header is a name and a value: {pair!r}")
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            _refuse(kind, f"a header's name and value are bytes: {name!r}: {value!r}")
        if name.startswith(b":"):
            _refuse(kind, f"a pseudo header: {name!r}")
        try:
            clean = check_field(name, value)
        except ValueError as error:
            raise ASGIViolation(f"{kind}: {error}") from error
        if clean != (name if is_strict else name.lower(), value):
            _refuse(
                kind, f"a name in lower case, a value without space around: {name!r}: {value!r}"
            )
        headers.append(clean)
    return headers


def _check_links(kind: str, links: Iterable[Any]) -> list[bytes]:
    return [value for _, value in _check_headers(kind, [(b"link", link) for link in links])]


def _read_file(kind: str, message: Message) -> bytes:
    """Return the content of the file that ``message`` asks the server to send."""
    try:
        if "path" in message:
            path = Path(message["path"])
            if not path.is_absolute():
                _refuse(kind, f"a path is absolute: {message['path']!r}")
            return path.read_bytes()
        # The server passes the descriptor to the operating system.
        descriptor = message["file"].fileno()
        count = message.get("count", os.fstat(descriptor).st_size)
        if count < 0 or message.get("offset", 0) < 0:
            _refuse(kind, f"offset and count are 0 or more: {message!r}")
        if "offset" in message:
            os.lseek(descriptor, message["offset"], os.SEEK_SET)
        content = os.read(descriptor, count)
    except (OSError, AttributeError) as error:
        raise ASGIViolation(f"{kind}: no file to send: {error}") from error
    return content


def _refuse(kind: str, rule: str) -> NoReturn:
    raise ASGIViolation(f"{kind}: {rule}")
