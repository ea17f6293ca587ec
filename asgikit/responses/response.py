"""Responses that are made whole before they are sent: each is itself an ASGI instance.

Sending changes nothing in a response, so one object may be sent many times, and by many requests
at once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, overload

from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.http.framing import (
    READ_METHODS,
    check_length,
    check_status,
    format_length,
    format_type,
    has_content,
    promised_length,
)
from asgikit.http.grammar import check_field, header_pairs
from asgikit.responses.head import HeadersArgument, ResponseHead
from asgikit.responses.sending import finish, send_all
from asgikit.scopes import answer_other, deny_websocket_with
from asgikit.types import Message, RawHeaders, Receive, Scope, Send

if TYPE_CHECKING:
    from asgikit.http.response_plan import Selection

__all__ = ["Response"]


Content: TypeAlias = str | bytes | bytearray | memoryview | None


class Response(ResponseHead):
    """A response with its whole body.

    Args:
        content: the body; text is encoded as ``charset`` says, ``None`` is no byte.
        status_code: from 100 to 999.
        headers: a mapping, or pairs where a field is repeated. A Content-Type here replaces the
            one made from ``media_type``; a Content-Length is a promise, held to the body.
        media_type: of the body, in the place of the class's own; text gets ``charset``.
        background: called without arguments once in the end, also after a disconnect or an error:
            on the event loop if it is async, else in a thread. Cancelling the request does not
            cancel it once it runs. An exception of it is logged.
        conditional: obey the preconditions of a GET or a HEAD, where the status is 200: answer 304
            or 412 by the ETag or the Last-Modified of ``headers``. Without an ETag, one is made of
            the body when it is sent.

    Raises:
        ValueError: a header field could not be sent, or the status code is none.
        TypeError: the content is neither text nor bytes.

    >>> response = Response("<p>Hello</p>", media_type="text/html")
    >>> response.raw_headers
    [(b'content-type', b'text/html; charset=utf-8'), (b'content-length', b'12')]
    """

    media_type: ClassVar[str | None] = None
    charset: ClassVar[str] = "utf-8"

    # Found out once for each class; each saves 5 % of a small response or more. The field that
    # every response starts with; whether text is encoded, and bytes taken, as they are; whether
    # `__call__` is this one, and `_send` too.
    _type_field: ClassVar[tuple[bytes, bytes] | None] = None
    _encodes: ClassVar[bool] = True
    _responds: ClassVar[bool] = True
    _is_whole: ClassVar[bool] = True

    __slots__ = ("_body", "_conditional", "_etag", "background")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._type_field = (
            None if cls.media_type is None else format_type(cls.media_type, cls.charset)
        )
        cls._encodes = cls.render is Response.render and cls.charset == "utf-8"
        cls._responds = cls.__call__ is Response.__call__
        cls._is_whole = cls._responds and cls._send is Response._send

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
        if type(content) is str and self._encodes:
            self._body = content.encode()
        elif type(content) is bytes and self._encodes:
            self._body = content
        else:
            self._body = self._check_rendered(self.render(content))
        if headers is None and media_type is None and status_code == 200:
            # What `_prepare` comes to: a call less saves 4 % of a small response.
            self.status_code: int = 200
            self.background: Callable[[], Any] | None = background
            self._headers: MutableHeaders | None = None
            self._raw: RawHeaders | None = None
        else:
            self._prepare_whole(status_code, headers, media_type, background)
        if conditional:
            self._make_conditional()

    def _check_rendered(self, body: Any) -> bytes:
        if type(body) is bytes:
            return body
        raise TypeError(
            f"the body of {type(self).__name__} was rendered as {type(body).__name__}: "
            "render() and dumps= give bytes"
        )

    def _make_conditional(self) -> None:
        # Only looked at where there are `_headers`: it costs the others nothing.
        self._conditional = True
        _ = self.headers

    def _prepare_whole(
        self,
        status_code: int,
        headers: HeadersArgument | None,
        media_type: str | None,
        background: Callable[[], Any] | None,
    ) -> None:
        raw = self._prepare(status_code, headers, media_type, background)
        if self._headers is None:
            raw.append(format_length(len(self._body)))

    def _prepare(
        self,
        status_code: int,
        headers: HeadersArgument | None,
        media_type: str | None,
        background: Callable[[], Any] | None,
    ) -> RawHeaders:
        """Set all but the body, and give the fields, which have no Content-Length of ours yet."""
        check_status(status_code)
        self.status_code = status_code
        self.background = background
        # Made when somebody asks for it: from then on, sending looks at the fields again.
        self._headers = None
        own = self._type_field if media_type is None else format_type(media_type, self.charset)
        self._raw = raw = [] if own is None else [own]
        if headers is not None:
            given = [check_field(name, value) for name, value in header_pairs(headers)]
            names = {name for name, _ in given}
            self._raw = raw = given if b"content-type" in names else [*raw, *given]
            if b"content-length" in names:
                # A promise, to be looked at when the body is sent.
                self._headers = MutableHeaders._over(raw)
        return raw

    def _list(self) -> RawHeaders:
        """Give the list of fields itself, made where there was no need for one yet."""
        raw = self._raw
        if raw is None:
            raw = self._raw = self._make_list()
        return raw

    def _make_list(self) -> RawHeaders:
        size = len(self._body)
        length = format_length(size)
        field = self._type_field
        return [length] if field is None else [field, length]

    def render(self, content: Any) -> bytes:
        """Make the body of ``content``: the one hook of a subclass."""
        if isinstance(content, str):
            return content.encode(self.charset)
        if isinstance(content, bytes):
            return content
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
        """The body; where it is set, Content-Length follows."""
        return self._body

    @body.setter
    def body(self, content: str | bytes) -> None:
        self._body = Response.render(self, content)
        self.headers["content-length"] = str(len(self._body))

    def __copy__(self) -> Self:
        copy = type(self).__new__(type(self))
        # Slots make it a pair: the attributes of a subclass without slots, and the slots.
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
        """Send it: as ``response(scope, receive, send)``, or as ``response(receive, send)``.

        With the scope it honours HEAD; without, it answers as to a GET. A websocket handshake is
        refused with it, where the server can send a response to one.
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
        """Send it, and run its background task."""
        return finish(self._send(scope, receive, send), self)

    async def _send(
        self,
        scope: Scope | None,
        receive: Receive,  # noqa: ARG002 - for the classes that watch it
        send: Send,
    ) -> None:
        """Send the messages: the hook of the classes that are not sent whole.

        Raises:
            Disconnected: the client has disconnected.
        """
        await send_all(send, *self._messages(scope))

    def _messages(self, scope: Scope | None) -> tuple[Message, Message]:
        """Make the two messages that answer the request of ``scope``."""
        if (
            self._headers is None
            and self.status_code == 200
            and (scope is None or scope["method"] != "HEAD")
        ):
            body = self._body
            raw = self._raw
            if raw is not None:
                headers = [*raw]
            else:
                # What `_make_list` comes to: a call less saves 2 % of a small response.
                size = len(body)
                length = format_length(size)
                field = self._type_field
                headers = [length] if field is None else [field, length]
            return (
                {"type": "http.response.start", "status": 200, "headers": headers},
                {"type": "http.response.body", "body": body},
            )
        status_code, headers, body = self._fit(scope, self._checked_headers())
        return (
            {"type": "http.response.start", "status": status_code, "headers": headers},
            {"type": "http.response.body", "body": body},
        )

    def _fit(self, scope: Scope | None, headers: RawHeaders) -> tuple[int, RawHeaders, bytes]:
        """Give the status, the fields and the body to send, where these are not simply its own."""
        headers, is_open = self._for_status(headers)
        if not is_open:
            return self.status_code, headers, b""
        is_head = scope is not None and scope["method"] == "HEAD"
        if is_head:
            # To a HEAD it may be the length of something else (RFC 9110, section 8.6).
            promised_length(headers)
        elif self._headers is not None:
            check_length(headers, len(self._body))
        selection = self._select(scope, headers)
        if selection is None:
            return self.status_code, headers, b"" if is_head else self._body
        status_code, headers, _ = selection
        return status_code, headers, b"" if is_head or status_code != 200 else self._body

    def _select(self, scope: Scope | None, headers: RawHeaders) -> Selection | None:
        """Decide by the preconditions of the request; the pieces of what is given say nothing."""
        method = "GET" if scope is None else scope["method"]
        if (
            not getattr(self, "_conditional", False)
            or self.status_code != 200
            or method not in READ_METHODS
        ):
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
        body, etag = getattr(self, "_etag", (None, b""))
        if body is not self._body:
            import hashlib

            digest = hashlib.blake2b(self._body, digest_size=16).hexdigest()
            etag = b'"%b"' % digest.encode("ascii")
            self._etag = (self._body, etag)
        return [(b"etag", etag)]

    def _checked_headers(self) -> RawHeaders:
        """Give the fields to send, looked at once more where somebody has had the list in hand."""
        if self._raw is None:
            return self._make_list()
        if self._headers is None:
            return [*self._raw]
        return [check_field(name, value) for name, value in self._raw]

    def _for_status(self, headers: RawHeaders) -> tuple[RawHeaders, bool]:
        """Give the fields as the status lets them be, and whether content may follow them."""
        check_status(self.status_code)
        if has_content(self.status_code):
            return headers, True
        # A 205 tells its end by a length of zero, the others by their status (RFC 9110, sections
        # 8.6 and 15.3.6).
        headers = [field for field in headers if field[0] != b"content-length"]
        if self.status_code == 205:
            headers.append(format_length(0))
        return headers, False
