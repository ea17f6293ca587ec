"""A ``receive`` callable in memory, for tests of request bodies."""

from __future__ import annotations

from collections import deque

import anyio
import anyio.lowlevel

from asgikit.types import Message

__all__ = ["BodyClient"]


class BodyClient:
    """Deliver messages through ``receive``, which waits while the queue is empty.

    No message is lost if ``receive`` is cancelled.

    Args:
        messages: the messages to deliver; :meth:`send` adds more.
        checkpoints: how often ``receive`` yields to the event loop before it returns a message.

    Attributes:
        calls: the number of calls of ``receive``.
        delivered: the number of messages that ``receive`` has returned.
        in_flight: the number of calls of ``receive`` that have not returned.
        max_in_flight: the maximum of ``in_flight`` so far.
    """

    def __init__(self, *messages: Message, checkpoints: int = 0) -> None:
        self.messages = deque(messages)
        self.checkpoints = checkpoints
        self.calls = 0
        self.delivered = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self._has_messages = anyio.Event()

    def send(self, *messages: Message) -> None:
        self.messages.extend(messages)
        self._has_messages.set()

    async def receive(self) -> Message:
        self.calls += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            for _ in range(self.checkpoints):
                await anyio.lowlevel.checkpoint()
            while not self.messages:
                self._has_messages = anyio.Event()
                await self._has_messages.wait()
            self.delivered += 1
            return self.messages.popleft()
        finally:
            self.in_flight -= 1
