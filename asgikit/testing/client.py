"""A client in process: one request, or one lifespan, of an ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import anyio

from asgikit.datastructures.headers import MutableHeaders
from asgikit.testing.checker import OVER
from asgikit.types import Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup

    from asgikit.datastructures.headers import HeadersLike
    from asgikit.types import Scope

from asgikit.testing.server import Exchange, Server, build_messages

__all__ = ["exchange", "lifespan"]


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
    server = Server(full, build_messages(full["type"], body), disconnect_after)
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
    server = Server(scope, build_messages("lifespan", b""), closes_at=(OVER,))
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
