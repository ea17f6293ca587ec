"""The request: a lazy, typed view of an ASGI scope and of the body behind ``receive``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asgikit._json_parser import parse_json
from asgikit.body.body import Body, BodyStream
from asgikit.body.sharing import KEY, receive_whole, release_bodies, shared_body
from asgikit.datastructures.headers import Headers
from asgikit.datastructures.query import QueryParams
from asgikit.datastructures.url import URL
from asgikit.exceptions import BadRequest, ContentTooLarge, InvalidJSON, UnsupportedMediaType
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

#: The least Content-Length that has more than six digits.
SHORT = 1_000_000

# `None` is a JSON value.
_UNREAD: Any = object()


class Request(ProxyProperties[StateT]):
    """One HTTP request; also a read-only mapping, of the scope.

    Each value is parsed when it is first read. All requests over the same scope and ``receive``
    share the body; each applies its own limits.

    Args:
        scope: of type ``http``.
        receive: the source of the body; without it, only the scope can be read.
        send: used by :meth:`send_early_hints`.
        limits: the limits on data from the client.

    >>> request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"a=1",
    ...                    "headers": [(b"host", b"example.com")]})
    >>> request.method, request.query_params["a"], str(request.url)
    ('GET', '1', 'http://example.com/?a=1')
    """

    __slots__ = ("__weakref__", "_body", "_form", "_json", "receive", "send")

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
        self._body: Body | bytes | None = None  # bytes: a whole body that arrived at once
        self._cookies: dict[str, str] | None = None
        self._form: FormData | None = None
        self._headers: Headers | None = None
        self._json = _UNREAD
        self._parsed: dict[bytes, Any] | None = None
        self._query_params: QueryParams | None = None
        self._url: URL | None = None

    async def body(self) -> bytes:
        """Read the whole body; later calls return the same bytes.

        Raises:
            BodyConsumed: the body was streamed.
            ClientDisconnect: the client disconnected before the end of the body.
            ContentTooLarge: the body is over ``max_body_size``.
            InvalidHeader: Content-Length is malformed.
            RequestTimeout: a message did not arrive within ``body_timeout``, or all of them within
                ``total_timeout``.
        """
        limits = self.limits
        data = self._read_at_once(limits.max_body_size, "max_body_size")
        if data is None:
            return await self._sized_body().read(
                limits.max_body_size, limits.body_timeout, total_timeout=limits.total_timeout
            )
        return data

    def _read_at_once(self, limit: int | None, name: str) -> bytes | None:
        """Return a body that arrives in one message without a wait; otherwise ``None``.

        The result is that of :meth:`Body.read`, without a ``Body`` and its coroutines.

        Raises:
            ContentTooLarge: the body is over ``limit``, which is called ``name``.
        """
        # perf: json_body -20 %, together with receive_whole().
        data = self._body
        if data is None:
            scope = self.scope
            receive = self.receive
            if (
                KEY in scope
                or receive is None
                or (limit is not None and limit < SHORT)
                or self._is_special()
            ):
                return None
            data = self._body = receive_whole(scope, receive)
        if data is None or isinstance(data, Body):
            return None
        if limit is not None and len(data) > limit:
            raise ContentTooLarge(name, limit)
        return data

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
        """Read the body as UTF-8. A ``charset`` of Content-Type is ignored.

        Raises:
            BadRequest: the body is not UTF-8.

        The errors of :meth:`body` are raised, too.
        """
        body = await self.body()
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest(f"The body is not UTF-8, at byte {error.start}.") from None

    @overload
    async def json(self, *, strict: bool = ...) -> Any: ...
    @overload
    async def json(self, *, loads: Callable[[bytes], T], strict: bool = ...) -> T: ...
    async def json(
        self, *, loads: Callable[[bytes], Any] | None = None, strict: bool = False
    ) -> Any:
        """Read the body as JSON. Without ``loads``, it is parsed once.

        Args:
            loads: The decoder to use, such as ``msgspec.json.Decoder(User).decode``. If it raises
                an error and the body is well-formed JSON, the error propagates.
            strict: Whether to require a Content-Type of JSON: ``application/json`` or one with the
                suffix ``+json`` (:rfc:`6839`, section 3.1), with any parameters.

        Raises:
            InvalidJSON: The body is not JSON, is nested more than 200 deep, or has an integer of
                more than 4300 digits. With ``loads``, only if the decoder raises an error as well.
            UnsupportedMediaType: ``strict`` is true, and Content-Type is absent, malformed or not
                that of JSON; raised before anything is received.

        The errors of :meth:`body` are raised, too.
        """
        if strict:
            self._require_json_type()
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
            self._json = parse_json(await self.body())
        return self._json

    def _require_json_type(self) -> None:
        media_type = self.media_type
        if media_type is None or not (
            media_type.essence == "application/json" or media_type.subtype.endswith("+json")
        ):
            raise UnsupportedMediaType(
                "JSON is sent as application/json.", accepted=["application/json"]
            )

    def form(self, *, limits: Limits | None = None) -> PendingForm:
        """Read a form: ``await`` it, or use ``async with`` to close its files at the end."""
        return PendingForm(self._read_form, limits or self.limits)

    async def _read_form(self, limits: Limits) -> FormData:
        form = self._form
        if form is not None:
            return form
        content_type = self._form_type()
        data = None
        if is_urlencoded(content_type):
            data = await self._read_urlencoded(limits.max_text_size)
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

    async def _read_urlencoded(self, limit: int | None) -> bytes | None:
        """Return an urlencoded body that arrived at once or that :meth:`body` of a subclass reads.

        Otherwise return ``None``: the body is parsed as it arrives.
        """
        if type(self).body is Request.body:
            return self._read_at_once(limit, "max_text_size")
        data = await self.body()
        if limit is not None and len(data) > limit:
            raise ContentTooLarge("max_text_size", limit)
        return data

    def parts(self, *, limits: Limits | None = None) -> Parts:
        """Return an iterator over the parts of a multipart body as they arrive; none is kept."""
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
        """Return whether the client disconnected, without waiting. No byte of the body is lost."""
        return await self._shared_body().is_disconnected()

    async def wait_disconnected(self) -> None:
        """Wait until the client disconnected. No byte of the body is lost.

        At most 1 MiB of the body is read ahead. Beyond that, it waits for a reader.
        """
        await self._shared_body().wait_disconnected()

    def cancel_on_disconnect(self) -> AbstractAsyncContextManager[None]:
        """Return an async context manager that cancels its block if the client disconnects.

        The block is cancelled as by a cancel scope of anyio: each ``await`` in it raises, except
        inside ``anyio.CancelScope(shield=True)``. A cancellation from outside, and an error of the
        block, take precedence over the disconnect. No byte of the body is lost: at most 1 MiB is
        read ahead, and beyond that a disconnect is noticed only after a reader has read on.

        Raises:
            ClientDisconnect: at the end of the block, if the client disconnected before.

        >>> async def answer(request: Request) -> list[str]:
        ...     async with request.cancel_on_disconnect():
        ...         return await slow_query()
        """
        from asgikit.body.disconnect import cancel_on_disconnect

        return cancel_on_disconnect(self._shared_body())

    async def send_early_hints(self, *links: str | bytes) -> bool:
        """Send an interim response with links, ahead of the final response (:rfc:`8297`).

        Args:
            links: values of the Link field (:rfc:`8288`), such as
                ``"</style.css>; rel=preload; as=style"``.

        Returns:
            Whether they were sent: few servers offer it, and the client may have disconnected.

        Raises:
            RuntimeError: the request was made without ``send``.
            ValueError: a link is not a valid header value.
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
        """Close files, streams and a ``receive()`` call in flight.

        ``to_asgi`` and ``request_response`` call it at the end of each request.
        """
        form = self._form
        if form is not None:
            self._form = None
            await form.close()
        for body in release_bodies(self.scope):
            await body.close()

    def _sized_body(self) -> Body:
        """Return the body, unless Content-Length is over the limit.

        No message is received before that: with ``Expect: 100-continue``, the client sends the body
        only when the app asks for it (:rfc:`9110`, section 10.1.1).

        Raises:
            ContentTooLarge: Content-Length is over ``max_body_size``.
            InvalidHeader: Content-Length is malformed.
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
        """Return whether Content-Length is over ``limit``."""
        if limit >= SHORT and not is_special:
            return False
        length = self.content_length
        if length is None or length <= limit:
            return False
        # Decoded bytes count. A coding makes incompressible data longer, by a header and some bytes
        # for each block.
        return "content-encoding" not in self.headers or length > limit + limit // 64 + 1024

    def _is_special(self) -> bool:
        """Return whether there is a content coding, or a Content-Length that has to be checked.

        One pass over the headers finds both. Most requests have neither.
        """
        has_length = False
        for name, value in self.scope.get("headers") or ():
            if name in {b"content-length", b"content-encoding"}:
                if name == b"content-encoding" or has_length:
                    return True
                if len(value) > 6 or not value.isdigit():
                    return True
                has_length = True
        return False

    def _shared_body(self, *, is_special: bool | None = None) -> Body:
        """Return the body that all requests over the scope and ``receive`` share.

        Args:
            is_special: the result of :meth:`_is_special`, if the caller has it.
        """
        body = self._body
        if isinstance(body, Body):
            return body
        if self.receive is None:
            raise RuntimeError(
                "this request was made from a scope alone: Request(scope, receive) has a body"
            )
        if body is not None and KEY not in self.scope:
            # The request was closed: receive() has no further part of the body.
            body = Body(self.receive, body)
        elif (self._is_special() if is_special is None else is_special) and any(
            name == b"content-encoding" for name, _ in self.scope["headers"]
        ):
            from asgikit.body.decoding import decoded_body

            body = decoded_body(self.scope, self.receive, self.limits.max_ratio)
        else:
            body = shared_body(self.scope, self.receive)
        self._body = body
        return body
