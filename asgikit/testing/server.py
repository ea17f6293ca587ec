"""The server side of an exchange in process: ``receive``, ``send`` and the checks of both."""

from __future__ import annotations

import inspect
import json
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint

from asgikit.datastructures.headers import Headers
from asgikit.runtime.cancellation import shielded
from asgikit.testing.checker import ACCEPTED, OVER, UP, ASGIViolation, Checker
from asgikit.types import Message

if TYPE_CHECKING:
    from asgikit.types import Scope

__all__ = ["Exchange", "Server", "build_messages"]


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


def build_messages(
    scope_type: str, body: bytes | Iterable[bytes] | AsyncIterable[bytes]
) -> Iterator[Message]:
    """Give what ``receive`` gives without waiting for anybody."""
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


# What `receive` gives in the end, and from then on.
_LAST: dict[str, Message] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1005},
    "lifespan": {"type": "lifespan.shutdown"},
}


@dataclass(slots=True)
class Server:
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
        """Whether the client has disconnected."""
        return len(self.messages) == self.leaves_after

    async def serve(self, app: Callable[..., Any]) -> None:
        """Run the app once, in either calling convention."""
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
        """Return the next message for the app."""
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
        """Take a message from the app, unless the client has disconnected."""
        if not self.has_left:
            self.take(message)
        # The versions of the specification have one digit after the point.
        elif self.scope["asgi"].get("spec_version", "2.0") >= "2.4":
            raise OSError("the client left")
        await checkpoint()

    def take(self, message: Message) -> None:
        """Check a message and store it."""
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
                self.queue.append(build_request(chunk, more=True))
                self.tell()
                while self.queue:
                    await self.news.wait()
            self.queue.append(build_request(b"", more=False))
            self.tell()
        finally:
            if inspect.isasyncgen(chunks):
                await shielded(chunks.aclose())

    async def wait_for_message(self) -> None:
        """Wait until the app has sent a message."""
        while not self.messages:
            await self.news.wait()

    def close(self) -> None:
        """End the connection: ``receive`` returns the last message of the scope from now on."""
        self.is_closed = True
        self.tell()

    def tell(self) -> None:
        """Wake up the tasks that wait for a change."""
        self.news.set()
        self.news = anyio.Event()

    def result(self) -> Exchange:
        """Return the response that the app has sent."""
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
