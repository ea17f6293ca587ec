"""A request's body without its content coding (:rfc:`9110`, section 8.4), decoded as it is read.

Readers get the decoded bytes, and limits count them. A disconnect watch and ``replay()`` use the
coded bytes, because the headers of the scope still name the coding.
"""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import TYPE_CHECKING

from asgikit.body.body import Body, BodyState
from asgikit.body.receiver import Receiver
from asgikit.body.sharing import KEY, shared_body
from asgikit.exceptions import ContentTooLarge
from asgikit.runtime.backend import checkpoint
from asgikit.types import Message, Receive, Scope

if TYPE_CHECKING:
    from asgikit.http.content_coding import Decoder

__all__ = ["decoded_body"]

#: Seconds of decoding after which it yields to the event loop.
STRETCH = 0.01
#: Decoded bytes that are kept while more coded bytes are waited for.
MAX_WAITING_SIZE = 1024 * 1024


def decoded_body(scope: Scope, receive: Receive, max_ratio: int | None) -> Body:
    """Return the decoded body of ``receive``, the same for each call with the same scope.

    Args:
        scope: the scope of the request, with Content-Encoding.
        receive: the ``receive()`` of the request.
        max_ratio: decoded bytes per coded byte; the first call decides.
    """
    received = shared_body(scope, receive)
    bodies: list[Body] = scope[KEY]
    for other in bodies:
        if isinstance(other, DecodedBody) and other.received is received:
            return other
    codings = [value for name, value in scope["headers"] if name == b"content-encoding"]
    body = DecodedBody(received, codings, max_ratio)
    bodies.append(body)
    return body


class DecodedBody(Body):
    """The decoded form of another body.

    Attributes:
        received: the coded body.
    """

    __slots__ = ("_decoding", "_scan", "_scanned", "_scanned_size", "received")

    def __init__(self, received: Body, codings: list[bytes], max_ratio: int | None) -> None:
        self._decoding = _Decoding(received, codings, max_ratio)
        self.received: Body = received
        super().__init__(self._decoding)
        # The same bytes, decoded for `read()` alone.
        self._scan = Receiver(_Decoding(received, codings, max_ratio))
        self._scanned: list[bytes] | None = []  # `None` above MAX_WAITING_SIZE
        self._scanned_size = 0  # bytes

    async def read(
        self,
        limit: int | None,
        timeout: float | None,
        name: str = "max_body_size",
        total_timeout: float | None = None,
    ) -> bytes:
        """Read the whole body, as :meth:`Body.read` does.

        A few coded bytes may decode to megabytes. Until the last coded byte was received, the
        decoded ones are counted for the limits, and kept only up to ``MAX_WAITING_SIZE``. A larger
        body is decoded again when it is complete.
        """
        if self.data is None:
            self._start_buffering()
            self._readers += 1
            try:
                while not self._scan.is_read:
                    if limit is not None and self._scanned_size > limit:
                        raise ContentTooLarge(name, limit)
                    chunk = await self._scan.next_chunk(timeout, total_timeout)
                    self._keep_scanned(chunk or b"")
            finally:
                self._readers -= 1
        return await super().read(limit, timeout, name, total_timeout)

    def _keep_scanned(self, chunk: bytes) -> None:
        self._scanned_size += len(chunk)
        if self._scanned_size > MAX_WAITING_SIZE:
            self._scanned = None
        if self._scanned is None or self.data is not None:
            return
        self._scanned.append(chunk)
        if self._scan.is_read:
            self.data: bytes | None = b"".join(self._scanned)
            self._size = len(self.data)
            self._scanned = []
            self.receiver.is_ended = True
            self.state = BodyState.COMPLETE

    @property
    def is_open(self) -> bool:
        """Whether :meth:`close` has an effect."""
        return super().is_open or self._scan.has_task

    async def close(self) -> None:
        """Cancel the calls in flight."""
        await self._scan.close()
        await super().close()

    def start(self) -> list[bytes]:
        """Claim the body: neither decoded nor coded chunks are kept from now on."""
        chunks = super().start()
        self._decoding.keeps = False
        return chunks

    def replay(self) -> Receive:
        """Return a ``receive()`` for another app, of the coded bytes."""
        return super().replay() if self.state is BodyState.STREAMED else self.received.replay()

    async def is_disconnected(self) -> bool:
        """Return whether the client disconnected, without waiting."""
        return await self.received.is_disconnected()

    async def wait_disconnected(self, *, abandon: bool = False) -> None:
        """Wait until the client disconnected; the bytes read ahead are coded."""
        await self.received.wait_disconnected(abandon=abandon)


class _Decoding:
    """A ``receive()`` whose messages are the decoded bytes of another body, in small steps."""

    __slots__ = (
        "_codings",
        "_deadline",
        "_decoder",
        "_has_claimed",
        "_index",
        "_max_ratio",
        "_received",
        "_size",
        "_steps",
        "keeps",
    )

    def __init__(self, received: Body, codings: list[bytes], max_ratio: int | None) -> None:
        self.keeps: bool = True  # the coded bytes, for replay()
        self._received = received
        self._codings = codings
        self._max_ratio = max_ratio
        self._decoder: Decoder | None = None
        self._steps: Generator[bytes] | None = None
        self._deadline = perf_counter() + STRETCH
        self._has_claimed = False
        self._index = 0  # of the buffered coded chunk to decode next
        self._size = 0  # coded bytes that were taken from the buffer

    async def __call__(self) -> Message:
        """Return a message for each step of decoding and for each coded message, maybe empty.

        Thus a call waits for at most one coded message, as the timeout of a reader expects.
        """
        decoder = self._decoder
        if decoder is None:
            # Few bodies are coded, and the import takes 4 ms.
            from asgikit.http.content_coding import Decoder, parse_content_encoding

            values = [value.decode("latin-1") for value in self._codings]
            decoder = self._decoder = Decoder(parse_content_encoding(values), self._max_ratio)
        if self._steps is None:
            chunk = await self._receive()
            if chunk is None:
                decoder.finish()
                return {"type": "http.request", "body": b"", "more_body": False}
            self._steps = decoder.feed(chunk)
        if perf_counter() > self._deadline:
            await checkpoint()
            self._deadline = perf_counter() + STRETCH
        piece = next(self._steps, None)
        if piece is None:
            self._steps = None
        return {"type": "http.request", "body": piece or b"", "more_body": True}

    async def _receive(self) -> bytes | None:
        """Return the next coded chunk, which may be empty; ``None`` after the last one."""
        received = self._received
        if self._has_claimed:
            return await received.next(None)
        if not self.keeps and not received.is_being_read and received.data is None:
            chunks = received.start()
            self._has_claimed = True
            return b"".join(chunks[self._index :]) or await received.next(None)
        # Another reader may have received the next chunk already.
        chunk: bytes | None = self._next_kept()
        if not chunk and received.data is None:
            chunk = await received.gather()
            chunk = self._next_kept() or chunk
        return chunk or (None if received.data is not None else b"")

    def _next_kept(self) -> bytes:
        """Return the buffered coded bytes that were not decoded yet."""
        data = self._received.data
        if data is None:
            chunks = self._received.kept()
            rest = b"".join(chunks[self._index :])
            self._index = len(chunks)
        else:
            rest = data[self._size :]
        self._size += len(rest)
        return rest
