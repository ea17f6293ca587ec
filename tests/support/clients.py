"""The ``receive()`` of a server, in memory."""

from __future__ import annotations

from collections import deque

import anyio
import anyio.lowlevel

from asgikit.types import Message

__all__ = ["Client"]


class Client:
    """A ``receive`` that knows how it was called; it waits where there is no message.

    Like that of a server, it can be cancelled without a loss. ``turns`` is how many turns of the
    loop each message takes.
    """

    def __init__(self, *messages: Message, turns: int = 0) -> None:
        self.messages = deque(messages)
        self.turns = turns
        self.calls = 0
        self.given = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._news = anyio.Event()

    def send(self, *messages: Message) -> None:
        self.messages.extend(messages)
        self._news.set()

    async def receive(self) -> Message:
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(self.turns):
                await anyio.lowlevel.checkpoint()
            while not self.messages:
                self._news = anyio.Event()
                await self._news.wait()
            self.given += 1
            return self.messages.popleft()
        finally:
            self.in_flight -= 1
