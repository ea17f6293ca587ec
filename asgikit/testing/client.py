"""In-process exchanges with an ASGI app, each message checked against the ASGI specification.

A test needs no server and no client::

    >>> import anyio
    >>> async def app(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 200})
    ...     await send({"type": "http.response.body", "body": scope["path"].encode()})
    >>> async def test_the_answer_is_the_path():
    ...     answer = await exchange(app, target="/tea%20room?cups=2")
    ...     assert (answer.status_code, answer.text) == (200, "/tea room")
    >>> anyio.run(test_the_answer_is_the_path)

What the specification forbids fails the test, whatever the app makes of the error::

    >>> async def hasty(scope, receive, send):
    ...     await send({"type": "http.response.body", "body": b"tea"})
    >>> anyio.run(exchange, hasty)
    Traceback (most recent call last):
    asgikit.testing.ASGIViolation: http.response.body: must not come before the start
"""

from __future__ import annotations

import inspect
import json
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import anyio
from anyio.lowlevel import checkpoint

from asgikit._asgi_checker import ACCEPTED, OVER, UP, ASGIViolation, Checker
from asgikit.asgi import Message
from asgikit.concurrency import shielded
from asgikit.headers import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup

    from asgikit.asgi import Scope
    from asgikit.headers import HeadersLike

__all__ = ["ASGIViolation", "Exchange", "exchange", "lifespan"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back.

    Attributes:
        status_code: of the response; of a websocket 101 where it was accepted, 403 where it was
            closed instead; 0 where the client left before any of these.
        headers: of the response.
        body: its bytes, those of a file that the server was asked to send included.
        messages: what the app sent, up to where the client left.
        trailers: the fields after the body.
    """

    status_code: int
    headers: Headers
    body: bytes
    messages: list[Message]
    trailers: Headers

    @property
    def text(self) -> str:
        """The body, read as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Read the body as JSON; integers are exact."""
        return json.loads(self.body)


async def exchange(
    app: Callable[..., Any],
    method: str = "GET",
    target: str = "/",
    *,
    headers: HeadersLike = (),
    body: bytes | Iterable[bytes] | AsyncIterable[bytes] = b"",
    scope: Mapping[str, Any] | None = None,
    disconnect_after: int | None = None,
) -> Exchange:
    """Make one request of ``app`` and return its response, on asyncio or trio.

    Args:
        app: ``app(scope, receive, send)``; or, where it takes exactly one required positional
            argument, ``app(scope)``, whose result is called with ``(receive, send)`` (that of an
            ``async def`` is awaited first).
        method: of the request.
        target: path and query, percent-encoded; what is not ASCII is sent as the percent-encoding
            of its UTF-8.
        headers: a mapping or pairs. Host is added where it is absent; and where both are absent,
            Content-Length, or Transfer-Encoding for a body in chunks.
        body: the whole, or its chunks, a message each. An empty message follows the chunks of an
            async iterable, so that no chunk waits for the next one.
        scope: entries that replace those of the scope, as ``{"extensions": ...}``; with
            ``{"type": "websocket"}`` the client connects and then says nothing.
        disconnect_after: the client leaves once the app has sent this many messages: ``receive``
            gives ``http.disconnect``, and what is sent is dropped; with an :class:`OSError` where
            the scope's ``spec_version`` is 2.4 or later.

    Raises:
        ASGIViolation: the app broke a rule, even if it swallowed the error that ``send`` raised.
        Exception: whatever the app raises.
        ValueError: a header that cannot be sent; ``disconnect_after`` below zero.
        TypeError: a chunk of the body that is not ``bytes``.
    """
    if disconnect_after is not None and disconnect_after < 0:
        raise ValueError(f"disconnect_after must not be negative, but is {disconnect_after!r}")
    if isinstance(body, bytearray | memoryview):
        body = bytes(body)
    full = _build_scope(method, target, headers, body, scope or {})
    server = _Server(full, _messages_at_hand(full["type"], body), disconnect_after)
    if isinstance(body, AsyncIterable):
        async with _open_task_group() as group:
            group.start_soon(server.feed, body)
            await server.serve(app)
            group.cancel_scope.cancel()
    else:
        await server.serve(app)
    return server.result()


@asynccontextmanager
async def lifespan(
    app: Callable[..., Any], *, state: dict[str, Any] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """Start ``app`` as a server does, run the block, and shut the app down.

    The block gets the state that the app filled, to hand on: ``exchange(app, scope={"state":
    dict(state)})``. Where the block raises, the app is cancelled instead.

    Raises:
        RuntimeError: the app answered ``lifespan.startup.failed`` or ``lifespan.shutdown.failed``.
        ASGIViolation: the app broke a rule.
        Exception: whatever the app raises.
    """
    state = {} if state is None else state
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    server = _Server(scope, _messages_at_hand("lifespan", b""), closes_at=(OVER,))
    async with _open_task_group() as group:
        group.start_soon(server.serve, app)
        await server.wait_for_message()
        _raise_failure(server.messages[-1])
        yield state
        server.close()
    _raise_failure(server.messages[-1])


def _raise_failure(message: Message) -> None:
    if message["type"].endswith(".failed"):
        raise RuntimeError(f"{message['type']}: {message.get('message', '')}")


@asynccontextmanager
async def _open_task_group() -> AsyncGenerator[TaskGroup]:
    """Open a task group out of which an error comes as it is, not in an exception group."""
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    # Raised out here, it keeps the context that it has.
    if failure is not None:
        raise failure


def _build_scope(
    method: str, target: str, headers: HeadersLike, body: object, extra: Mapping[str, Any]
) -> Scope:
    path, _, query = quote(target, safe=range(128)).partition("?")
    fields = MutableHeaders(headers)
    fields.setdefault("host", "localhost")
    if "content-length" not in fields and "transfer-encoding" not in fields:
        if not isinstance(body, bytes):
            fields.add("transfer-encoding", "chunked")
        # Where a method expects content, none has a length too (RFC 9110, section 8.6).
        elif body or method.upper() in {"PATCH", "POST", "PUT"}:
            fields.add("content-length", str(len(body)))
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": fields.raw,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }
    if extra.get("type") == "websocket":
        scope.update(scheme="ws", subprotocols=[])
    else:
        scope["method"] = method.upper()
    return {**scope, **extra}


def _messages_at_hand(
    scope_type: str, body: bytes | Iterable[bytes] | AsyncIterable[bytes]
) -> Iterator[Message]:
    """Give what ``receive`` gives without waiting for anybody."""
    if scope_type == "websocket":
        yield {"type": "websocket.connect"}
    elif scope_type == "lifespan":
        yield {"type": "lifespan.startup"}
    elif isinstance(body, bytes):
        yield _build_request(body, more=False)
    elif not isinstance(body, AsyncIterable):
        chunks = iter(body)
        chunk = next(chunks, b"")
        for following in chunks:
            yield _build_request(chunk, more=True)
            chunk = following
        yield _build_request(chunk, more=False)


def _build_request(chunk: object, *, more: bool) -> Message:
    if not isinstance(chunk, bytes):
        raise TypeError(f"a chunk of the body is bytes, not {type(chunk).__name__}: {chunk!r}")
    return {"type": "http.request", "body": chunk, "more_body": more}


# What `receive` gives in the end, and from then on.
_LAST: dict[str, Message] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1005},
    "lifespan": {"type": "lifespan.shutdown"},
}


@dataclass(slots=True)
class _Server:
    """The server's side of one exchange: ``receive`` and ``send``."""

    scope: Scope
    at_hand: Iterator[Message]
    leaves_after: int | None = None
    closes_at: tuple[str, ...] = (OVER, ACCEPTED, UP)
    messages: list[Message] = field(default_factory=list[Message])
    queue: deque[Message] = field(default_factory=deque[Message])
    news: anyio.Event = field(default_factory=anyio.Event)
    violation: ASGIViolation | None = None
    is_closed: bool = False
    was_told: bool = False
    checker: Checker = field(init=False)

    def __post_init__(self) -> None:
        self.checker = Checker(self.scope)
        self.is_closed = self.has_left

    @property
    def has_left(self) -> bool:
        return len(self.messages) == self.leaves_after

    async def serve(self, app: Callable[..., Any]) -> None:
        try:
            if _takes_scope_alone(app):
                instance = app(self.scope)
                if inspect.isawaitable(instance):
                    instance = await instance
                await instance(self.receive, self.send)
            else:
                await app(self.scope, self.receive, self.send)
        except Exception:
            if self.violation is None:
                raise
        if self.violation is not None:
            raise self.violation
        if not self.has_left:
            self.checker.end()

    async def receive(self) -> Message:
        while not self.is_closed:
            message = self.queue.popleft() if self.queue else next(self.at_hand, None)
            if message is not None:
                self.tell()
                return message
            await self.news.wait()
        # What is there is given at once, as by most servers; but whoever asks again and again
        # for the end must be open to cancellation.
        if self.was_told:
            await checkpoint()
        self.was_told = True
        return dict(_LAST.get(self.scope["type"], _LAST["http"]))

    async def send(self, message: Message) -> None:
        if not self.has_left:
            self.take(message)
        # The versions of the specification have one digit after the point.
        elif self.scope["asgi"].get("spec_version", "2.0") >= "2.4":
            raise OSError("the client left")
        await checkpoint()

    def take(self, message: Message) -> None:
        try:
            self.messages.append(self.checker.take(message))
        except ASGIViolation as violation:
            self.violation = self.violation or violation
            self.close()
            raise
        self.is_closed |= self.has_left or self.checker.phase in self.closes_at
        self.tell()

    async def feed(self, chunks: AsyncIterable[bytes]) -> None:
        """Hand over one chunk after the other, each when the one before it was received."""
        try:
            async for chunk in chunks:
                self.queue.append(_build_request(chunk, more=True))
                self.tell()
                while self.queue:
                    await self.news.wait()
            self.queue.append(_build_request(b"", more=False))
            self.tell()
        finally:
            if inspect.isasyncgen(chunks):
                await shielded(chunks.aclose())

    async def wait_for_message(self) -> None:
        while not self.messages:
            await self.news.wait()

    def close(self) -> None:
        self.is_closed = True
        self.tell()

    def tell(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    def result(self) -> Exchange:
        seen = self.checker
        return Exchange(
            status_code=seen.status,
            headers=Headers(seen.headers.copy()),
            body=bytes(seen.body),
            messages=self.messages,
            trailers=Headers(seen.trailers),
        )


def _takes_scope_alone(app: Callable[..., Any]) -> bool:
    """Tell an ASGI 2 app from an ASGI 3 app."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except ValueError:  # a builtin, which says nothing about itself
        return False
    kinds = [each.kind for each in parameters if each.default is each.empty]
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    takes_any = inspect.Parameter.VAR_POSITIONAL in kinds
    return not takes_any and sum(kind in positional for kind in kinds) == 1
