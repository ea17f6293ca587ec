"""Calls of ``receive()``, one at a time, which no waiting task cancels.

A server may lose the message of a call that is cancelled. Therefore a call runs to its end, in a
task of its own if it has to wait. A middleware's ``receive()`` may enter a cancel scope and leave
it after a wait, so that one call must run in one task and one context from its first step.

- On asyncio, the call is an eager task: its first step is taken at once. Most calls have no other.
- On Trio, whose API has no such identity, a system task makes the calls. It ends when no call was
  requested for a few checkpoints, so that a body which is never read to its end leaves no task.
"""

from __future__ import annotations

import enum
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from asgikit.exceptions import BodyConsumed
from asgikit.runtime.backend import checkpoint, is_asyncio
from asgikit.runtime.tasks import BackgroundTask, start_eagerly, start_task, wait_end
from asgikit.types import Message, Receive

__all__ = ["ReceiveCalls", "call_receive"]

#: Checkpoints after which the system task of Trio ends. A reader asks for the next message one
#: checkpoint after the last one, unless it waits for something else.
_IDLE_CHECKPOINTS = 3


class _Call(enum.Enum):
    NONE = enum.auto()
    REQUESTED = enum.auto()  # the system task of Trio has not made the call yet
    IN_FLIGHT = enum.auto()


class Caller(Protocol):
    """The object that processes the outcome of a call."""

    def end(self, message: Message) -> None:
        """The call returned ``message``."""

    def end_with_error(self, error: Exception) -> None:
        """The call raised ``error``. If this method raises, the caller of ``receive()`` does."""

    def lose_message(self) -> None:
        """The call was cancelled."""


async def call_receive(receive: Receive, caller: Caller) -> None:
    """Call ``receive()``, and report the outcome to ``caller``."""
    try:
        message = await receive()
    except Exception as error:  # noqa: BLE001 - raised by the next reader
        caller.end_with_error(error)
    except BaseException:
        caller.lose_message()
        raise
    else:
        caller.end(message)


class ReceiveCalls:
    """The calls of one ``receive()``; a subclass processes their results.

    Attributes:
        receive: the ``receive()`` of the request.
    """

    __slots__ = ("_call", "_task", "receive")

    def __init__(self, receive: Receive) -> None:
        self.receive: Receive = receive
        self._call = _Call.NONE
        self._task: BackgroundTask | None = None

    if TYPE_CHECKING:

        def process(self, message: Message) -> None:
            """Process the message that a call returned."""

        def process_error(self, error: Exception, *, is_reported: bool = False) -> None:
            """Process the error that a call raised.

            Args:
                error: the error.
                is_reported: whether the caller of ``receive()`` raises it as well.
            """

        @property
        def may_continue(self) -> bool:
            """Whether a reader may need another message."""
            ...

    @property
    def is_in_flight(self) -> bool:
        """Whether a call has not returned yet."""
        return self._call is not _Call.NONE

    @property
    def has_task(self) -> bool:
        """Whether a task may be running."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Call ``receive()``, unless a call is in flight. The call may return at once."""
        if self._call is not _Call.NONE:
            return
        if not is_asyncio():
            self._call = _Call.REQUESTED
            if self._task is None:
                self._task = start_task(self._serve_requests())
            return
        self._call = _Call.IN_FLIGHT
        self._task = start_eagerly(call_receive(self.receive, self))

    def adopt(self, task: BackgroundTask) -> None:
        """Note the task of a call on asyncio that waits, and reports to this object from now on."""
        self._call = _Call.IN_FLIGHT
        self._task = task

    async def _serve_requests(self) -> None:
        """Make the requested calls, in a system task of Trio."""
        idle = 0
        try:
            while True:
                if self._call is _Call.REQUESTED:
                    idle = 0
                    await self.call_in_current_task()
                    if not self.may_continue:
                        return
                elif idle == _IDLE_CHECKPOINTS:
                    return
                else:
                    idle += 1
                    await checkpoint()
        finally:
            self._task = None

    def call_in_current_task(self) -> Coroutine[Any, Any, None]:
        """Call ``receive()`` in the task that awaits this, the disconnect watch of a response.

        The watch sees a disconnect without a turn of the event loop in between, so that nothing
        more is sent. It is cancelled only at the end of the response.
        """
        self._call = _Call.IN_FLIGHT
        return call_receive(self.receive, self)

    def end(self, message: Message) -> None:
        """Process the message that a call returned."""
        self._call = _Call.NONE
        self.process(message)

    def end_with_error(self, error: Exception) -> None:
        """Process the error that a call raised."""
        self._call = _Call.NONE
        self.process_error(error)

    def lose_message(self) -> None:
        """Process the cancellation of a call."""
        self._call = _Call.NONE
        lost = BodyConsumed("receive() was cancelled, which may lose a part of the body")
        # Only readers miss the message that may be lost: a watch calls receive() again.
        self.process_error(lost, is_reported=True)

    async def close(self) -> None:
        """Cancel the call in flight, and wait for the end of its task."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await wait_end(task)
            self._task = None
            self._call = _Call.NONE
