"""A client in process: one request, or one lifespan, of an ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import anyio

from asgikit.datastructures.mutable_headers import MutableHeaders
from asgikit.runtime.cancellation import shielded
from asgikit.runtime.tasks import start_task, wait_end
from asgikit.testing.checker import ENDED, Checker
from asgikit.testing.server import Exchange, Server, build_messages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup

    from asgikit.datastructures.header_mapping import HeadersLike
    from asgikit.types import Scope

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
    strict: bool = True,
) -> Exchange:
    """Send one request to ``app`` and return its response, on asyncio or Trio.

    Args:
        app: An ASGI 3 app, ``app(scope, receive, send)``. If it has exactly one required positional
            parameter, it is an ASGI 2 app: ``app(scope)`` returns a callable of
            ``(receive, send)``, or an awaitable of one.
        method: The method of the request.
        target: The path and the query, percent-encoded. Characters beyond ASCII are encoded as
            UTF-8.
        headers: A mapping or pairs. Host is added if it is absent. If Content-Length and
            Transfer-Encoding are absent, the one that fits the body is added.
        body: The whole body, or its chunks, each of which is one message. The chunks of an async
            iterable are followed by an empty message, so that no chunk waits for the next one.
        scope: Entries that replace those of the scope, such as ``{"extensions": ...}``. With
            ``{"type": "websocket"}`` the client connects, and sends no message.
        disconnect_after: The number of messages of the app after which the client disconnects. Then
            ``receive`` returns ``http.disconnect``, and ``send`` drops the message. ``send`` raises
            :exc:`OSError` if the ``spec_version`` of the scope is 2.4 or later.
        strict: Whether deviations count as violations that all common servers accept, and that
            third-party apps contain: header names in mixed case, unknown keys of a message,
            Content-Length in a 204 response, and content in the response to HEAD. If false, names
            are changed to lower case, and content of HEAD is dropped, as servers do. A header may
            be a list or a tuple of a name and a value in any case.

    Raises:
        ASGIViolation: The app broke a rule, even if it caught the error that ``send`` raised.
        Exception: Any error that the app raises.
        ValueError: A header cannot be sent, or ``disconnect_after`` is negative.
        TypeError: A chunk of the body is not ``bytes``.

    >>> async def app(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 200, "headers": [[b"ETag", b"1"]]})
    ...     await send({"type": "http.response.body"})
    >>> anyio.run(lambda: exchange(app, strict=False)).headers["etag"]
    '1'
    """
    if disconnect_after is not None and disconnect_after < 0:
        raise ValueError(f"disconnect_after must not be negative, but is {disconnect_after!r}")
    if isinstance(body, bytearray | memoryview):
        body = bytes(body)
    full = _build_scope(method, target, headers, body, scope or {})
    messages = build_messages(full["type"], body)
    server = Server(Checker(full, is_strict=strict), messages, disconnect_after)
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

    The block gets the state that the app filled, for ``exchange(app, scope={"state":
    dict(state)})``. The app runs in a task of its own. Therefore the block may be left in another
    task than it was entered in, as in the fixtures of pytest-asyncio. If the block raises, the app
    is cancelled. If the app raises during the block, the error is raised when the block ends.

    Raises:
        RuntimeError: The app sent ``lifespan.startup.failed`` or ``lifespan.shutdown.failed``.
        ASGIViolation: The app broke a rule.
        Exception: Any error that the app raises.
    """
    state = {} if state is None else state
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    server = Server(Checker(scope), build_messages("lifespan", b""), closes_at=(ENDED,))
    task = start_task(server.run(app))
    try:
        await server.wait_for_message()
        _raise_failure(server)
        yield state
        server.close()
        await wait_end(task)
        _raise_failure(server)
    finally:
        if not task.done():
            task.cancel()
            await shielded(wait_end(task))


def _raise_failure(server: Server) -> None:
    """Raise the error of a lifespan, or the one that its last message reports."""
    if server.error is not None:
        raise server.error
    message = server.messages[-1]
    if message["type"].endswith(".failed"):
        raise RuntimeError(f"{message['type']}: {message.get('message', '')}")


@asynccontextmanager
async def _open_task_group() -> AsyncGenerator[TaskGroup]:
    """Open a task group that raises its first error, without an exception group."""
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    # Outside of the `except` block, the error keeps its own context.
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
        # If the method expects content, an empty body has a length too (RFC 9110, section 8.6).
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
