"""The server side of an exchange in process: ``receive``, ``send`` and the call of the app."""

from __future__ import annotations

import inspect
import json
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint

from asgikit._signatures import has_varargs, read_signature
from asgikit.datastructures.headers import Headers
from asgikit.runtime.cancellation import shielded
from asgikit.testing.checker import ACCEPTED, ENDED, SERVING, ASGIViolation, Checker
from asgikit.types import Message

if TYPE_CHECKING:
    from asgikit.types import Scope

__all__ = ["Exchange", "Server", "build_messages"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The response to one request.

    Attributes:
        status_code: The status of the response. For a websocket: 101 if the app accepted it, 403 if
            the app closed it before. 0 if the client disconnected before the response started.
        headers: The headers of the response.
        body: The content in bytes, including that of files which the app asked the server to send.
        messages: Copies of the messages that the app sent before the client disconnected.
        trailers: The trailers, which follow the body.
    """

    status_code: int
    headers: Headers
    body: bytes
    messages: list[Message]
    trailers: Headers

    @property
    def text(self) -> str:
        """The body, decoded as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Parse the body as JSON. Integers are exact."""
        return json.loads(self.body)


def build_messages(
    scope_type: str, body: bytes | Iterable[bytes] | AsyncIterable[bytes]
) -> Iterator[Message]:
    """Return the messages that ``receive`` delivers without a wait."""
    if scope_type == "websocket":
        yield {"type": "websocket.connect"}
    elif scope_type == "lifespan":
        yield {"type": "lifespan.startup"}
    elif isinstance(body, bytes):
        yield build_request(body, more=False)
    elif not isinstance(body, AsyncIterable):
        chunks = iter(body)
        chunk = next(chunks, b"")
        for following in chunks:
            yield build_request(chunk, more=True)
            chunk = following
        yield build_request(chunk, more=False)


def build_request(chunk: object, *, more: bool) -> Message:
    if not isinstance(chunk, bytes):
        raise TypeError(f"a chunk of the body is bytes, not {type(chunk).__name__}: {chunk!r}")
    return {"type": "http.request", "body": chunk, "more_body": more}


# The last message of `receive` by the type of the scope. It is repeated if the app asks again.
_LAST: dict[str, Message] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1005},
    "lifespan": {"type": "lifespan.shutdown"},
}


@dataclass(slots=True)
class Server:
    """The server's side of one exchange.

    Attributes:
        checker: Checks and stores the response.
        ready: The messages for the app that need no wait.
        disconnect_after: The number of messages after which the client disconnects, or ``None``.
        closes_at: The phases of the checker in which ``receive`` delivers its last message.
        messages: The messages that the app has sent.
        queue: The chunks of an async body that the app has not received yet.
        changed: An event that is set, and replaced, when any of these attributes changes.
        violation: The first violation of the app.
        error: The error that ended the app, if it ran by :meth:`run`.
        is_closed: Whether ``receive`` delivers only its last message.
        is_finished: Whether the app has returned or raised.
        has_reported_end: Whether ``receive`` has delivered its last message.
    """

    checker: Checker
    ready: Iterator[Message]
    disconnect_after: int | None = None
    closes_at: tuple[str, ...] = (ENDED, ACCEPTED, SERVING)
    messages: list[Message] = field(default_factory=list[Message])
    queue: deque[Message] = field(default_factory=deque[Message])
    changed: anyio.Event = field(default_factory=anyio.Event)
    violation: ASGIViolation | None = None
    error: Exception | None = None
    is_closed: bool = False
    is_finished: bool = False
    has_reported_end: bool = False

    def __post_init__(self) -> None:
        self.is_closed = self.is_disconnected

    @property
    def scope(self) -> Scope:
        """The scope of the exchange."""
        return self.checker.scope

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has disconnected."""
        return len(self.messages) == self.disconnect_after

    async def serve(self, app: Callable[..., Any]) -> None:
        """Call the app once, in its calling convention, and raise its violation or error."""
        try:
            if _is_asgi2(app):
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
        if not self.is_disconnected:
            self.checker.end()

    async def run(self, app: Callable[..., Any]) -> None:
        """Call the app as :meth:`serve`, in a task of its own: store its error."""
        try:
            await self.serve(app)
        except Exception as error:  # noqa: BLE001 - raised by the task that waits for this one
            self.error = error
        finally:
            self.is_finished = True
            self._notify()

    async def receive(self) -> Message:
        """Return the next message for the app."""
        while not self.is_closed:
            message = self.queue.popleft() if self.queue else next(self.ready, None)
            if message is not None:
                self._notify()
                return message
            await self.changed.wait()
        # As most servers, this does not wait if the message is there. But an app that polls for the
        # end must yield to the event loop, and be open to cancellation.
        if self.has_reported_end:
            await checkpoint()
        self.has_reported_end = True
        return dict(_LAST.get(self.scope["type"], _LAST["http"]))

    async def send(self, message: Message) -> None:
        """Store a message of the app. If the client has disconnected, drop it."""
        if not self.is_disconnected:
            self._store(message)
        # As text this compares right: minor versions of the specification have one digit.
        elif self.scope["asgi"].get("spec_version", "2.0") >= "2.4":
            raise OSError("the client disconnected")
        await checkpoint()

    def _store(self, message: Message) -> None:
        try:
            self.messages.append(self.checker.add(message))
        except ASGIViolation as violation:
            self.violation = self.violation or violation
            self.close()
            raise
        self.is_closed |= self.is_disconnected or self.checker.phase in self.closes_at
        self._notify()

    async def feed(self, chunks: AsyncIterable[bytes]) -> None:
        """Queue the chunks of a body, each after the app has received the one before it."""
        try:
            async for chunk in chunks:
                self.queue.append(build_request(chunk, more=True))
                self._notify()
                while self.queue:
                    await self.changed.wait()
            self.queue.append(build_request(b"", more=False))
            self._notify()
        finally:
            if inspect.isasyncgen(chunks):
                await shielded(chunks.aclose())

    async def wait_for_message(self) -> None:
        """Wait until the app has sent a message, or has ended."""
        while not self.messages and not self.is_finished:
            await self.changed.wait()

    def close(self) -> None:
        """Make ``receive`` deliver its last message from now on."""
        self.is_closed = True
        self._notify()

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def result(self) -> Exchange:
        """Return the response that the app has sent."""
        return Exchange(
            status_code=self.checker.status,
            headers=Headers(self.checker.headers.copy()),
            body=bytes(self.checker.body),
            messages=self.messages,
            trailers=Headers(self.checker.trailers),
        )


def _is_asgi2(app: Any) -> bool:
    """Return whether ``app`` has one required positional parameter, which is the scope."""
    signature = read_signature(app)
    if signature is None:
        return False
    required = [
        each
        for each in signature.parameters.values()
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 1 and not has_varargs(signature)
