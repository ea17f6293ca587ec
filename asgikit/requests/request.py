"""The request: a lazy, typed view of an ASGI scope and of the body behind ``receive``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asgikit._json_parser import parse_json
from asgikit.body.body import Body, BodyStream
from asgikit.body.sharing import KEY, receive_whole, release_bodies, shared_body
from asgikit.datastructures.headers import Headers
from asgikit.datastructures.query import QueryParams
from asgikit.datastructures.url import URL
from asgikit.exceptions import BadRequest, ContentTooLarge, InvalidJSON
from asgikit.forms.content_type import is_urlencoded
from asgikit.forms.form_data import FormData, PendingForm, read_fields
from asgikit.http.grammar import check_field
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.requests.head import StateT
from asgikit.requests.proxies import ProxyProperties
from asgikit.types import Receive, Scope, Send

if TYPE_CHECKING:
    from asgikit.forms.reader import Parts


__all__ = ["Request"]

T = TypeVar("T")

#: A length of so many bytes has more than six digits.
SHORT = 1_000_000
# What tells how to read a body.
_OF_BODY = frozenset({b"content-encoding", b"content-length"})

# `None` is a JSON value.
_UNREAD: Any = object()


class Request(ProxyProperties[StateT]):
    """One HTTP request; also a read-only mapping, of the scope.

    What it gives is read when it is first asked for. Any number of requests over the same scope
    and ``receive`` see the same body, each within its own limits.

    Args:
        scope: of type ``http``.
        receive: where the body comes from; without it, only the scope can be read.
        send: kept for those that need it.
        limits: what the client may send.

    >>> request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"a=1",
    ...                    "headers": [(b"host", b"example.com")]})
    >>> request.method, request.query_params["a"], str(request.url)
    ('GET', '1', 'http://example.com/?a=1')
    """

    __slots__ = ("__weakref__", "_body", "_form", "_json", "receive", "send")

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.body is not Request.body:
            # Then there is no shorter way to it.
            cls._arrived = cls._has_not_arrived  # type: ignore[method-assign] # as it says

    def __init__(
        self,
        scope: Scope,
        receive: Receive | None = None,
        send: Send | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.scope: Scope = scope
        self.receive: Receive | None = receive
        self.send: Send | None = send
        self.limits: Limits = limits
        self._body: Body | None = None
        self._cookies: dict[str, str] | None = None
        self._form: FormData | None = None
        self._headers: Headers | None = None
        self._json = _UNREAD
        self._parsed: dict[bytes, Any] | None = None
        self._query_params: QueryParams | None = None
        self._url: URL | None = None

    # The mapping.

    # The request line.

    # The header fields.

    # The connection, and what servers and frameworks add.

    # The body.

    async def body(self) -> bytes:
        """Read the whole body; later calls, and other requests over it, give the same bytes.

        Raises:
            BodyConsumed: it was streamed.
            ClientDisconnect: the client left before its end.
            ContentTooLarge: it is over ``max_body_size``.
            InvalidHeader: Content-Length is malformed.
            RequestTimeout: nothing came for ``body_timeout``.
        """
        data = self._arrived(self.limits.max_body_size)
        return await self._read() if data is None else data

    def _arrived(self, limit: int | None, name: str = "max_body_size") -> bytes | None:
        """Give the body if it is there, and nobody has asked for it before; as most are.

        That saves four calls and two coroutines, a fifth of what a small body costs.
        """
        scope = self.scope
        receive = self.receive
        if (
            KEY in scope
            or receive is None
            or self._body is not None
            or (limit is not None and limit < SHORT)
            or self._is_special()
        ):
            return None
        data = receive_whole(scope, receive)
        if data is not None and limit is not None and len(data) > limit:
            raise ContentTooLarge(name, limit)
        return data

    def _has_not_arrived(self, limit: int | None, name: str = "") -> None:
        """Take the place of :meth:`_arrived` in a subclass with a :meth:`body` of its own."""

    async def _read(self) -> bytes:
        limits = self.limits
        return await self._sized_body().read(limits.max_body_size, limits.body_timeout)

    def stream(self) -> BodyStream:
        """Return an iterator over the body as it arrives, of any size; no chunk is empty.

        After a cancellation or a timeout, the iterator continues at the next byte.

        Raises:
            BodyConsumed: the body was streamed before, or another task reads this iterator.
            ClientDisconnect: the client disconnected before the end.
            RequestTimeout: no message arrived for ``body_timeout``.
        """
        return self._shared_body().stream(self.limits.body_timeout)

    async def text(self) -> str:
        """Read the body as UTF-8, the one encoding of the web, whatever ``charset`` says.

        Raises:
            BadRequest: it is no UTF-8; and as :meth:`body`.
        """
        body = await self.body()
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest(f"The body is not UTF-8, at byte {error.start}.") from None

    @overload
    async def json(self) -> Any: ...
    @overload
    async def json(self, *, loads: Callable[[bytes], T]) -> T: ...
    async def json(self, *, loads: Callable[[bytes], Any] | None = None) -> Any:
        """Read the body as JSON. Content-Type is not checked. Without ``loads``, it is parsed once.

        Args:
            loads: The decoder to use, such as ``msgspec.json.Decoder(User).decode``. If it raises
                an error and the body is well-formed JSON, the error propagates.

        Raises:
            InvalidJSON: The body is not JSON, is nested more than 200 deep, or has an integer of
                more than 4300 digits. With ``loads``, only if the decoder raises an error as well.

        The errors of :meth:`body` are raised, too.
        """
        if loads is not None:
            body = await self.body()
            try:
                return loads(body)
            except Exception as error:
                # Decoders differ in the errors that they raise for malformed JSON.
                try:
                    parse_json(body)
                except InvalidJSON as invalid:
                    raise invalid from error
                raise
        if self._json is _UNREAD:
            # As `body` does: a coroutine less saves 2 % of a small body.
            data = self._arrived(self.limits.max_body_size)
            self._json = parse_json(await self.body() if data is None else data)
        return self._json

    def form(self, *, limits: Limits | None = None) -> PendingForm:
        """Read a form: ``await`` it, or ``async with`` it to close its files in the end."""
        return PendingForm(self._read_form, limits or self.limits)

    async def _read_form(self, limits: Limits) -> FormData:
        form = self._form
        if form is not None:
            return form
        content_type = self._form_type()
        data = None
        if is_urlencoded(content_type):
            data = await self._text_of_form(limits.max_text_size)
        if data is not None:
            form = self._form = await read_fields(data, limits)
            return form
        from asgikit.forms.reader import read_form

        special = self._is_special()
        body = self._shared_body(is_special=special)
        is_over = partial(self._is_over, is_special=special)
        form = self._form = await read_form(body, content_type, is_over, limits)
        if form.is_open:
            body.hold(form)
        return form

    def _form_type(self) -> str | None:
        content_type = self.content_type
        return None if content_type is None else self._check_size(b"content-type", content_type)

    async def _text_of_form(self, limit: int | None) -> bytes | None:
        """Give an urlencoded body, if it is there, or if a subclass has its own way to it."""
        if type(self).body is Request.body:
            return self._arrived(limit, "max_text_size")
        data = await self.body()
        if limit is not None and len(data) > limit:
            raise ContentTooLarge("max_text_size", limit)
        return data

    def parts(self, *, limits: Limits | None = None) -> Parts:
        """Hand out the parts of a multipart body as they arrive; nothing is kept."""
        from asgikit.forms.reader import iter_parts

        special = self._is_special()
        body = self._shared_body(is_special=special)
        is_over = partial(self._is_over, is_special=special)
        return iter_parts(body, self._form_type(), is_over, limits or self.limits)

    def replay(self) -> Receive:
        """Return a ``receive()`` for another app: the buffered bytes, then live messages.

        It raises :exc:`BodyConsumed` if bytes were handed out and not kept, as by :meth:`stream`,
        :meth:`parts` or a multipart :meth:`form`.
        """
        return self._shared_body().replay()

    async def is_disconnected(self) -> bool:
        """Tell whether the client has left, without waiting; no byte of the body is lost by it."""
        return await self._shared_body().is_disconnected()

    async def wait_disconnected(self) -> None:
        """Wait until the client has left; no byte of the body is lost by it.

        At most 1 MiB of the body is read ahead; past that, it waits for somebody to read it.
        """
        await self._shared_body().wait_disconnected()

    async def send_early_hints(self, *links: str | bytes) -> bool:
        """Tell the client what it will need, in an interim response ahead of ours (:rfc:`8297`).

        Args:
            links: values of the Link field (:rfc:`8288`), such as
                ``"</style.css>; rel=preload; as=style"``.

        Returns:
            Whether they were sent: not every server offers it, and the client may have left.

        Raises:
            RuntimeError: the request was made without ``send``.
            ValueError: a link could not be sent.
        """
        fields = [check_field("link", link)[1] for link in links]
        if not fields or "http.response.early_hint" not in self.extensions:
            return False
        if self.send is None:
            raise RuntimeError("early hints are sent by Request(scope, receive, send)")
        try:
            await self.send({"type": "http.response.early_hint", "links": fields})
        except OSError:
            return False
        return True

    async def close(self) -> None:
        """Let go of what the request holds; ``to_asgi`` and ``request_response`` do it."""
        form, self._form = self._form, None
        if form is not None:
            await form.close()
        for body in release_bodies(self.scope):
            await body.close()

    def _sized_body(self) -> Body:
        """Give the body, unless Content-Length says already that it is over the limit.

        Nothing is received before that: a client may wait for a word before it sends the content
        (:rfc:`9110`, section 10.1.1).
        """
        body = self._shared_body()
        limit = self.limits.max_body_size
        if (
            body.data is None
            and limit is not None
            and self._is_over(limit, is_special=self._is_special())
        ):
            raise ContentTooLarge("max_body_size", limit)
        return body

    def _is_over(self, limit: int, *, is_special: bool) -> bool:
        """Tell whether Content-Length is over ``limit``."""
        if limit >= SHORT and not is_special:
            return False
        length = self.content_length
        if length is None or length <= limit:
            return False
        # Decoded bytes count: of noise a coding makes more, by a header and some bytes for each
        # block.
        return "content-encoding" not in self.headers or length > limit + limit // 64 + 1024

    def _is_special(self) -> bool:
        """Tell whether the body deserves a closer look: most have one short length, and no coding.

        One pass over the fields finds both.
        """
        found = False
        for name, value in self.scope.get("headers") or ():
            # One look-up takes half of what two comparisons take.
            if name in _OF_BODY:
                if found or name == b"content-encoding" or len(value) > 6 or not value.isdigit():
                    return True
                found = True
        return False

    def _shared_body(self, *, is_special: bool | None = None) -> Body:
        body = self._body
        if body is None:
            if self.receive is None:
                raise RuntimeError(
                    "this request was made from a scope alone: Request(scope, receive) has a body"
                )
            # Whoever knows it saves a pass over the fields.
            is_special = self._is_special() if is_special is None else is_special
            if is_special and any(name == b"content-encoding" for name, _ in self.scope["headers"]):
                from asgikit.body.decoding import decoded_body

                body = decoded_body(self.scope, self.receive, self.limits.max_ratio)
            else:
                body = shared_body(self.scope, self.receive)
            self._body = body
        return body
