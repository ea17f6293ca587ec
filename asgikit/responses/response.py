"""The base class of all responses, which sends a body that is in memory.

A response is an ASGI instance: ``await response(scope, receive, send)`` sends it, and so does
``await response(receive, send)``. Sending changes nothing in it, so one object may be sent many
times, and by many requests at once.

The life of a response:

1. ``__init__`` renders the content to ``_body``, and ``_init_head`` checks the status and headers.
   If all of them are the defaults, the list of headers is not built before it is sent.
2. ``__call__`` calls ``_send``, which a subclass may override, and runs the background task.
3. ``_messages`` makes the two messages. As long as nothing can have changed the list of headers, it
   takes the fast path. Otherwise it checks the headers again, drops those that belong to the
   connection, and obeys the status, HEAD and preconditions.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, overload

from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.http.framing import (
    READ_METHODS,
    check_length,
    format_length,
    format_type,
    has_content,
    promised_length,
)
from asgikit.http.grammar import check_field, header_pairs
from asgikit.responses.charsets import encode_text, find_charset
from asgikit.responses.head import (
    CONNECTION_HEADERS,
    HeadersArgument,
    ResponseHead,
    drop_connection_headers,
)
from asgikit.responses.sending import finish, send_all
from asgikit.scopes import answer_other, deny_websocket_with
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

if TYPE_CHECKING:
    from asgikit.http.response_plan import Selection

__all__ = ["Content", "Response", "has_plain_call"]

Content: TypeAlias = str | bytes | bytearray | memoryview | None

# CPython has one object for each small integer, so that `is` compares the default in 10 ns. Another
# object takes the general path.
_OK = 200


@dataclass(frozen=True, slots=True)
class _Traits:
    """Facts about a response class that decide which path is taken.

    Attributes:
        type_header: the Content-Type header of the class, if it has a media type.
        has_plain_render: ``render`` is that of :class:`Response`, and encodes text as UTF-8.
        has_plain_call: ``__call__`` is that of :class:`Response`.
    """

    type_header: tuple[bytes, bytes] | None
    has_plain_render: bool
    has_plain_call: bool


class Response(ResponseHead):
    """A response with its whole body.

    Args:
        content: the body. Text is encoded by the ``charset`` parameter of ``media_type``, or else
            by that of the class, UTF-8. ``None`` is an empty body.
        status_code: from 200 to 599.
        headers: a mapping, or pairs if a header is repeated. A Content-Type here replaces the one
            made from ``media_type``. A Content-Length must equal the length of the body.
        media_type: of the body, instead of that of the class. Text gets a ``charset``.
        background: called without arguments once in the end, also after a disconnect or an error:
            on the event loop if it is async, else in a thread. Cancelling the request does not
            cancel it once it runs. An exception of it is logged.
        conditional: whether to obey the preconditions of a GET or HEAD, if the status is 200: the
            answer is 304 or 412 by the ETag or the Last-Modified of ``headers``. Without an ETag, a
            hash of the body is used.

    Raises:
        ValueError: a header cannot be sent, ``status_code`` is out of range, or the text cannot be
            encoded.
        TypeError: the content is neither text nor bytes, or ``status_code`` is no ``int``.

    >>> response = Response("<p>Hello</p>", media_type="text/html")
    >>> response.raw_headers
    [(b'content-type', b'text/html; charset=utf-8'), (b'content-length', b'12')]
    """

    media_type: ClassVar[str | None] = None
    charset: ClassVar[str] = "utf-8"
    _traits: ClassVar[_Traits]

    __slots__ = ("_body", "_conditional", "_etag", "background")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._traits = _find_traits(cls)
        is_sent_whole = cls._traits.has_plain_call and cls._send is Response._send
        cls._plan_messages = cls._messages if is_sent_whole else _plan_nothing  # type: ignore[method-assign,assignment]  # chosen by class

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: HeadersArgument | None = None,
        media_type: str | None = None,
        background: Callable[[], Any] | None = None,
        *,
        conditional: bool = False,
    ) -> None:
        # perf: plaintext -6 % against calls of `render` and `_check_rendered`.
        if type(content) is str and self._traits.has_plain_render:
            self._body = content.encode()
        else:
            self._body = self._check_rendered(self.render(content))
        if not self._init_head(status_code, headers, media_type, background):
            self._match_charset(content)
        if conditional:
            self._make_conditional()

    def _init_head(
        self,
        status_code: int,
        headers: HeadersArgument | None,
        media_type: str | None,
        background: Callable[[], Any] | None,
    ) -> bool:
        """Set everything but the body, which is in ``_body`` already.

        Returns:
            Whether all headers are the defaults. Their list is then not built before it is needed.
        """
        # perf: plaintext -34 %, json_small -27 %
        if headers is None and media_type is None and status_code is _OK:
            self.background: Callable[[], Any] | None = background
            self._conditional = False
            self._headers: MutableHeaders | None = None
            self._status_code = 200
            self._raw: RawHeaders | None = None
            return True
        raw = self._init_without_body(status_code, headers, media_type, background)
        if all(name != b"content-length" for name, _ in raw):
            raw.append(format_length(len(self._body)))
        return False

    def _init_without_body(
        self,
        status_code: int,
        headers: HeadersArgument | None,
        media_type: str | None,
        background: Callable[[], Any] | None,
    ) -> RawHeaders:
        """Set everything but the body, and return the list of headers."""
        # perf: pathsend_100k -3 %: without the setter.
        if status_code is _OK:
            self._status_code = 200
        else:
            self.status_code = status_code
        self.background = background
        self._conditional = False
        self._headers = None
        own = (
            self._traits.type_header
            if media_type is None
            else format_type(media_type, self.charset)
        )
        self._raw = raw = [] if own is None else [own]
        if headers is not None:
            given = [check_field(name, value) for name, value in header_pairs(headers)]
            names = {name for name, _ in given}
            self._raw = raw = given if b"content-type" in names else [*raw, *given]
            if b"content-length" in names or not names.isdisjoint(CONNECTION_HEADERS):
                # Sending has to take the general path.
                self._headers = MutableHeaders._over(raw)
        return raw

    def _check_rendered(self, body: Any) -> bytes:
        if type(body) is bytes:
            return body
        if isinstance(body, bytes):
            # A subclass, such as `numpy.bytes_`, which servers may refuse.
            return bytes(memoryview(body))
        raise TypeError(
            f"the body of {type(self).__name__} was rendered as {type(body).__name__}: "
            "render() and dumps= must return bytes"
        )

    def _make_conditional(self) -> None:
        self._conditional = True
        self._etag: tuple[bytes, bytes] | None = None
        # Sending has to take the general path.
        _ = self.headers

    def _match_charset(self, content: Any) -> None:
        """Encode text again if Content-Type announces another charset than that of the class."""
        if type(self).render is not Response.render or not isinstance(content, str):
            return
        charset = find_charset(self._list())
        if charset is not None and charset != self.charset.lower():
            self._body = encode_text(content, charset)
            kept = [header for header in self._list() if header[0] != b"content-length"]
            self._list()[:] = [*kept, format_length(len(self._body))]

    def _list(self) -> RawHeaders:
        """Return the list of headers itself; make it if there is none yet."""
        raw = self._raw
        if raw is None:
            raw = self._raw = self._make_list()
        return raw

    def _make_list(self) -> RawHeaders:
        length = format_length(len(self._body))
        header = self._traits.type_header
        return [length] if header is None else [header, length]

    def render(self, content: Any) -> bytes:
        """Return the body for ``content``. A subclass may override this method."""
        if isinstance(content, str):
            return content.encode(self.charset)
        if isinstance(content, bytes):
            return content if type(content) is bytes else bytes(memoryview(content))
        if content is None:
            return b""
        if isinstance(content, bytearray | memoryview):
            return bytes(content)
        raise TypeError(
            f"{type(self).__name__} holds str or bytes, not {type(content).__name__}: "
            "JSONResponse holds values, StreamingResponse iterables"
        )

    @property
    def body(self) -> bytes:
        """The body. If it is set, Content-Length follows."""
        return self._body

    @body.setter
    def body(self, content: str | bytes) -> None:
        self._body = Response.render(self, content)
        self.headers["content-length"] = str(len(self._body))

    def __copy__(self) -> Self:
        copy = type(self).__new__(type(self))
        # With slots it is a pair: the attributes of a subclass without slots, and the slots.
        state: Any = object.__getstate__(self)
        for name, value in {**(state[0] or {}), **state[1]}.items():
            setattr(copy, name, value)
        if self._raw is not None:
            copy._raw = [*self._raw]
            copy._headers = None if self._headers is None else MutableHeaders._over(copy._raw)
        return copy

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"

    @overload
    async def __call__(self, receive: Receive, send: Send, /) -> None: ...
    @overload
    async def __call__(self, scope: Any, receive: Any, send: Any, /) -> None: ...
    async def __call__(
        self, scope_or_receive: Any, receive_or_send: Any, send: Any = None, /
    ) -> None:
        """Send the response: ``response(scope, receive, send)``, or ``response(receive, send)``.

        With the scope it obeys HEAD, and denies a websocket handshake. Without the scope it answers
        as to an unconditional GET.
        """
        if send is None:
            await self._respond(None, scope_or_receive, receive_or_send)
        elif scope_or_receive["type"] == "http":
            await self._respond(scope_or_receive, receive_or_send, send)
        elif scope_or_receive["type"] == "websocket":
            await deny_websocket_with(self._respond, scope_or_receive, receive_or_send, send)
        else:
            await answer_other(scope_or_receive, receive_or_send, send)

    def _respond(self, scope: Scope | None, receive: Receive, send: Send) -> Awaitable[None]:
        """Send the response, and run its background task."""
        return finish(self._send(scope, receive, send), self)

    async def _send(
        self,
        scope: Scope | None,
        receive: Receive,  # noqa: ARG002 - for the classes that wait for a disconnect
        send: Send,
    ) -> None:
        """Send the messages. Classes whose body is not in memory override this method.

        Raises:
            Disconnected: the client has disconnected.
        """
        await send_all(send, *self._messages(scope))

    def _messages(self, scope: Scope | None) -> tuple[Message, Message]:
        """Return the two messages that answer the request of ``scope``."""
        # perf: plaintext -25 %, json_small -20 %
        if (
            self._headers is None
            and self._status_code == 200
            and (scope is None or scope["method"] != "HEAD")
        ):
            raw = self._raw
            headers = self._make_list() if raw is None else [*raw]
            return (
                {"type": "http.response.start", "status": 200, "headers": headers},
                {"type": "http.response.body", "body": self._body},
            )
        return self._general_messages(scope)

    if TYPE_CHECKING:

        def _plan_messages(self, scope: Scope | None) -> tuple[Message, Message] | None:
            """Return the messages of a response whose ``background`` is ``None``.

            Returns:
                ``None`` if the response has to be called, because its class sends other messages.
            """

    else:
        # perf: plaintext -33 %, json_small -29 %: without `__call__`, `_send` and `finish`.
        _plan_messages = _messages

    def _general_messages(self, scope: Scope | None) -> tuple[Message, Message]:
        status_code, headers, body = self._fit(scope, self._checked_headers())
        return (
            {"type": "http.response.start", "status": status_code, "headers": headers},
            {"type": "http.response.body", "body": body},
        )

    def _fit(self, scope: Scope | None, headers: RawHeaders) -> tuple[int, RawHeaders, bytes]:
        """Return the status, headers and body to send, by the status, HEAD and preconditions."""
        headers, may_have_content = self._for_status(headers)
        if not may_have_content:
            return self.status_code, headers, b""
        is_head = scope is not None and scope["method"] == "HEAD"
        if is_head:
            # To a HEAD, it may be the length of another body (RFC 9110, section 8.6).
            promised_length(headers)
        elif self._headers is not None:
            check_length(headers, len(self._body))
        selection = self._select(scope, headers)
        if selection is None:
            return self.status_code, headers, b"" if is_head else self._body
        status_code, headers, _ = selection
        return status_code, headers, b"" if is_head or status_code != 200 else self._body

    def _select(self, scope: Scope | None, headers: RawHeaders) -> Selection | None:
        """Decide by the preconditions of the request; the segments of the result mean nothing.

        Returns:
            ``None`` if preconditions do not apply.
        """
        method = "GET" if scope is None else scope["method"]
        if not self._conditional or self.status_code != 200 or method not in READ_METHODS:
            return None
        from asgikit.http.response_plan import (
            Selection,
            answer_precondition,
            has_conditional_headers,
            read_conditional_headers,
        )

        if all(name != b"etag" for name, _ in headers):
            headers = headers + self._make_etag()
        answer = None
        if scope is not None and has_conditional_headers(scope["headers"]):
            conditional_headers = read_conditional_headers(scope["headers"])
            answer = answer_precondition(method, conditional_headers, headers, time.time())
        return answer or Selection(200, headers, [])

    def _make_etag(self) -> RawHeaders:
        """Return a strong ETag: a hash of the body, calculated once for each body."""
        if self._etag is None or self._etag[0] is not self._body:
            import hashlib

            digest = hashlib.blake2b(self._body, digest_size=16).hexdigest()
            self._etag = self._body, b'"%b"' % digest.encode("ascii")
        return [(b"etag", self._etag[1])]

    def _checked_headers(self) -> RawHeaders:
        """Return the headers to send; check them again if the application has had the list."""
        if self._raw is None:
            return self._make_list()
        if self._headers is None:
            return [*self._raw]
        return drop_connection_headers([check_field(*header) for header in self._raw])

    def _for_status(self, headers: RawHeaders) -> tuple[RawHeaders, bool]:
        """Return the headers that the status allows, and whether it allows content."""
        if has_content(self.status_code):
            return headers, True
        # A 205 has a length of zero, the others have none (RFC 9110, sections 8.6 and 15.3.6).
        headers = [header for header in headers if header[0] != b"content-length"]
        if self.status_code == 205:
            headers.append(format_length(0))
        return headers, False


def _find_traits(cls: type[Response]) -> _Traits:
    return _Traits(
        None if cls.media_type is None else format_type(cls.media_type, cls.charset),
        has_plain_render=cls.render is Response.render and cls.charset == "utf-8",
        has_plain_call=cls.__call__ is Response.__call__,
    )


Response._traits = _find_traits(Response)


def _plan_nothing(response: Response, scope: Scope | None) -> None:
    """Stand in for ``_messages`` in classes that send more than two messages."""


def has_plain_call(response: Response) -> bool:
    """Return whether a response is sent by ``Response.__call__``, which marks late errors."""
    return response._traits.has_plain_call
