"""The request: a lazy, typed view of an ASGI scope and of the body behind ``receive``."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, MutableMapping
from functools import partial
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from asgikit.asgi import Address, Receive, Scope, Send, extensions, parse_address
from asgikit.body import KEY, Body, forget_bodies, receive_whole, shared_body
from asgikit.exceptions import BadRequest, ContentTooLarge, InvalidHeader, InvalidJSON
from asgikit.form_data import FormData, PendingForm, read_fields
from asgikit.form_types import is_urlencoded
from asgikit.headers import Headers
from asgikit.http.cookies import parse_cookies
from asgikit.http.grammar import check_field, parse_digits, strip_ows
from asgikit.http.media_types import MediaType, parse_media_type
from asgikit.json_text import parse_json
from asgikit.limits import DEFAULT_LIMITS, Limits
from asgikit.query import QueryParams, parse_query
from asgikit.request_coding import decoded_body
from asgikit.request_fields import RequestFields
from asgikit.url import URL, base_url, quote_path, request_host, request_url

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import TypeVar as TypeVarWithDefault

    from asgikit.form_reader import Parts
    from asgikit.http.conditional import ETag

    StateT = TypeVarWithDefault("StateT", default="State")
else:
    StateT = TypeVar("StateT")

__all__ = ["Request", "State"]

T = TypeVar("T")

#: A length of so many bytes has more than six digits.
SHORT = 1_000_000
# What tells how to read a body.
_OF_BODY = frozenset({b"content-encoding", b"content-length"})

# `None` is a JSON value.
_UNREAD: Any = object()


class State(MutableMapping[str, Any]):
    """The entries of ``scope["state"]``, as items and as attributes.

    >>> state = State({"pool": 1})
    >>> state.user = "ada"
    >>> state.pool, state["user"]
    (1, 'ada')
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: MutableMapping[str, Any]) -> None:
        object.__setattr__(self, "_entries", entries)

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._entries[key] = value

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._entries[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._entries[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._entries[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __reduce__(self) -> tuple[type[State], tuple[MutableMapping[str, Any]]]:
        return State, (self._entries,)

    def __repr__(self) -> str:
        return f"State({sorted(self._entries)})"


class Request(RequestFields, Mapping[str, Any], Generic[StateT]):
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

    __slots__ = (
        "__weakref__",
        "_body",
        "_cookies",
        "_form",
        "_headers",
        "_json",
        "_query_params",
        "_url",
        "limits",
        "receive",
        "scope",
        "send",
    )

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
        self._query_params: QueryParams | None = None
        self._url: URL | None = None

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    def __eq__(self, other: object) -> bool:
        return True if self is other else NotImplemented

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path!r}>"

    # The request line.

    @property
    def method(self) -> str:
        """The method, in upper case as servers give it; GET where the scope is no request's."""
        method: str = self.scope.get("method", "GET")
        return method

    @property
    def path(self) -> str:
        """The path, percent-decoded, with ``root_path`` before it where an app is mounted."""
        path: str = self.scope.get("path", "")
        return path

    @property
    def raw_path(self) -> bytes:
        """The path as it was sent; as it would be, from a server that does not tell."""
        raw_path: bytes | None = self.scope.get("raw_path")
        return raw_path if raw_path is not None else quote_path(self.path).encode("ascii")

    @property
    def root_path(self) -> str:
        """Where the app is mounted: no slash at its end, empty at the root."""
        root_path: str = self.scope.get("root_path") or ""
        return root_path

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as the server sees it."""
        scheme: str = self.scope.get("scheme") or "http"
        return scheme

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1``, ``2`` or ``3``."""
        http_version: str = self.scope.get("http_version") or "1.1"
        return http_version

    @property
    def url(self) -> URL:
        """The URL asked for, built from validated parts; a hostile Host has no part in it."""
        url = self._url
        if url is None:
            url = self._url = request_url(self.scope)
        return url

    @property
    def base_url(self) -> URL:
        """The URL of the app's own root, with a slash at its end."""
        return base_url(self.scope)

    @property
    def host(self) -> str | None:
        """The Host field in lower case; ``None`` where absent, repeated or malformed."""
        return request_host(self.headers.raw)

    @property
    def query_params(self) -> QueryParams:
        """The fields of the query string, in order, repeated ones kept; the first value wins.

        Raises:
            BadRequest: there are more than ``max_query_fields``.
        """
        query_params = self._query_params
        if query_params is None:
            query_params = self._query_params = parse_query(
                self.scope.get("query_string") or b"", self.limits.max_query_fields
            )
        return query_params

    # The header fields.

    @property
    def headers(self) -> Headers:
        """The header fields."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(self.scope.get("headers") or ())
        return headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies (RFC 6265bis); the first of two of one name wins, nameless ones are left out.

        Raises:
            HTTPError: 431, there are more than 500.
        """
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = parse_cookies(self.headers.raw_values(b"cookie"))
        return cookies

    @property
    def content_type(self) -> str | None:
        """The Content-Type field as it was sent."""
        return self.headers.get("content-type")

    @property
    def media_type(self) -> MediaType | None:
        """The Content-Type field, read; ``None`` where absent or malformed."""
        content_type = self.content_type
        return None if content_type is None else parse_media_type(content_type)

    @property
    def content_length(self) -> int | None:
        """The body's length in bytes; ``None`` where it is not told ahead.

        Raises:
            InvalidHeader: the field is repeated, or no number (:rfc:`9110`, section 8.6).
        """
        lengths = self.headers.raw_values(b"content-length")
        # Transfer-Encoding overrides Content-Length (RFC 9112, section 6.3).
        if not lengths or "transfer-encoding" in self.headers:
            return None
        length = parse_digits(strip_ows(lengths[0].decode("latin-1")))
        if length is None or len(lengths) > 1:
            raise InvalidHeader("Content-Length is no number of bytes.")
        return length

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that an ``EventSource`` has seen before it reconnects.

        ``None`` where there is none yet, and where the field is repeated or no UTF-8, in which
        clients send it (HTML standard, section 9.2.4).
        """
        ids = self.headers.raw_values(b"last-event-id")
        if len(ids) != 1:
            return None
        try:
            return ids[0].decode("utf-8")
        except UnicodeDecodeError:
            return None

    # The connection, and what servers and frameworks add.

    @property
    def client(self) -> Address | None:
        """The peer of the connection: the client, or the last proxy before this server."""
        return parse_address(self.scope.get("client"))

    @property
    def server(self) -> Address | None:
        """The address this request came in by."""
        return parse_address(self.scope.get("server"))

    @property
    def path_params(self) -> Mapping[str, Any]:
        """What a router made of the path."""
        path_params: Mapping[str, Any] | None = self.scope.get("path_params")
        return {} if path_params is None else path_params

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The ASGI extensions the server offers."""
        return extensions(self.scope)

    @property
    def state(self) -> StateT:
        """What lifespan, middleware and handlers share, as items and as attributes."""
        entries = self.scope.get("state")
        if entries is None:
            entries = self.scope["state"] = {}
        state: Any = State(entries)
        return state  # type: ignore[no-any-return] # a protocol of the user's own, by word

    def check_preconditions(
        self,
        *,
        etag: str | ETag | None = None,
        last_modified: datetime | float | None = None,
    ) -> int | None:
        """Evaluate the preconditions ahead of the work (:rfc:`9110`, section 13.2.2).

        Args:
            etag: what stands between the quotes of the entity tag as it is now; an
                :class:`~asgikit.http.conditional.ETag` for a weak one.
            last_modified: when there was a change; an aware datetime or POSIX seconds. Where both
                are absent there is nothing yet: If-Match fails, ``If-None-Match: *`` holds.

        Returns:
            304 or 412, the status to answer with; or ``None`` to do what was asked.

        Raises:
            ValueError: ``etag`` has quotes, or ``last_modified`` no time zone.

        >>> request = Request({"type": "http", "method": "PUT", "path": "/",
        ...                    "headers": [(b"if-match", b'"1"')]})
        >>> request.check_preconditions(etag="2")
        412
        """
        from asgikit.http.conditional import ETag, evaluate_preconditions, format_etag
        from asgikit.http.selection import read_wishes

        if isinstance(etag, str):
            format_etag(etag)
            etag = ETag(etag)
        wishes = read_wishes(self.headers.raw)
        return evaluate_preconditions(
            method=self.method,
            if_match=wishes.get(b"if-match"),
            if_unmodified_since=wishes.get(b"if-unmodified-since"),
            if_none_match=wishes.get(b"if-none-match"),
            if_modified_since=wishes.get(b"if-modified-since"),
            etag=etag,
            last_modified=last_modified,
            exists=etag is not None or last_modified is not None,
            now=time.time(),
        )

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

    def stream(self) -> AsyncGenerator[bytes]:
        """Hand out the body as it arrives, once, whatever its size; no chunk is empty.

        Raises:
            BodyConsumed: it was streamed before.
            ClientDisconnect: the client left before its end.
            RequestTimeout: nothing came for ``body_timeout``.
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
        """Read the body as JSON, whatever Content-Type says; the value is read once.

        Args:
            loads: reads it in the place of ours, such as ``msgspec.json.Decoder(User).decode``. A
                validator's own error is passed on.

        Raises:
            InvalidJSON: it is no JSON, is nested more than 1024 deep, or has an integer of more
                than 4300 digits; and as :meth:`body`.
        """
        if loads is not None:
            try:
                return loads(await self.body())
            except (JSONDecodeError, UnicodeDecodeError) as error:
                raise InvalidJSON(f"Not JSON: {error}.") from error
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
        content_type = self.content_type
        data = None
        if is_urlencoded(content_type):
            data = await self._text_of_form(limits.max_text_size)
        if data is not None:
            form = self._form = await read_fields(data, limits)
            return form
        from asgikit.form_reader import read_form

        special = self._is_special()
        body = self._shared_body(is_special=special)
        is_over = partial(self._is_over, is_special=special)
        form = self._form = await read_form(body, content_type, is_over, limits)
        if form.is_open:
            body.hold(form)
        return form

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
        from asgikit.form_reader import iter_parts

        special = self._is_special()
        body = self._shared_body(is_special=special)
        is_over = partial(self._is_over, is_special=special)
        return iter_parts(body, self.content_type, is_over, limits or self.limits)

    def replay(self) -> Receive:
        """Make a ``receive`` for the next app: what :meth:`body` has read, then live messages.

        Raises:
            BodyConsumed: the body was streamed.
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
        for body in forget_bodies(self.scope):
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
                body = decoded_body(self.scope, self.receive, self.limits.max_ratio)
            else:
                body = shared_body(self.scope, self.receive)
            self._body = body
        return body
