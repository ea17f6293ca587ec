"""Calls of ``receive()``, one at a time, which no waiting task cancels.

A server may lose the message of a call that is cancelled. Therefore a call runs to its end, in a
task of its own if it has to wait. A middleware's ``receive()`` may enter a cancel scope and leave
it after a wait, so that one call must run in one task and one context from its first step.

- On asyncio, the first step is taken in the task that starts the call, under the identity of a task
  that is made only if the call waits. Most calls return at once.
- On Trio, whose API has no such identity, a system task makes the calls. It ends when no call was
  requested for a few checkpoints, so that a body which is never read to its end leaves no task.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any, cast

from asgikit.exceptions import BodyConsumed
from asgikit.runtime.backend import checkpoint, is_asyncio
from asgikit.runtime.first_step import deliver, finish_steps
from asgikit.runtime.tasks import (
    BackgroundTask,
    FirstStep,
    continue_in_task,
    start_task,
    take_first_step,
    wait_end,
)
from asgikit.types import Message, Receive

__all__ = ["ReceiveCalls"]

#: Checkpoints after which the system task of Trio ends. A reader asks for the next message one
#: checkpoint after the last one, unless it waits for something else.
_IDLE_CHECKPOINTS = 3


class _Call(enum.Enum):
    NONE = enum.auto()
    REQUESTED = enum.auto()  # the system task of Trio has not made the call yet
    IN_FLIGHT = enum.auto()


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
        return self._task is not None

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
        results: list[Message] = []
        try:
            steps = deliver(self.receive(), results)
            first = take_first_step(steps)
        except Exception as error:  # noqa: BLE001 - raised by the next reader
            self._end_with_error(error)
        else:
            if first is None:
                self._end(results[0])
            else:
                self.adopt(first, steps, results)

    def adopt(
        self, first: FirstStep, steps: Generator[Any, Any, None], results: list[Message]
    ) -> None:
        """Continue a call of ``receive()`` on asyncio that waits after its first step."""
        self._call = _Call.IN_FLIGHT
        self._task = continue_in_task(first, self._finish(first[0], steps, results))

    async def _finish(
        self, step: Any, steps: Generator[Any, Any, None], results: list[Message]
    ) -> None:
        try:
            # The start of this task was the turn of the event loop that a bare yield asks for.
            rest = cast("Awaitable[None]", steps) if step is None else finish_steps(steps, step)
            await rest
        except Exception as error:  # noqa: BLE001 - raised by the next reader
            self._task = None
            self._end_with_error(error)
        except BaseException:
            self._task = None
            self._lose_message()
            raise
        else:
            self._task = None
            self._end(results[0])

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

    async def call_in_current_task(self) -> None:
        """Call ``receive()`` in the current task, for the disconnect watch of a response.

        The watch sees a disconnect without a turn of the event loop in between, so that nothing
        more is sent. It is cancelled only at the end of the response.
        """
        self._call = _Call.IN_FLIGHT
        try:
            message = await self.receive()
        except Exception as error:  # noqa: BLE001 - raised by the next reader
            self._end_with_error(error)
        except BaseException:
            self._lose_message()
            raise
        else:
            self._end(message)

    def _end(self, message: Message) -> None:
        self._call = _Call.NONE
        self.process(message)

    def _end_with_error(self, error: Exception) -> None:
        self._call = _Call.NONE
        self.process_error(error)

    def _lose_message(self) -> None:
        self._call = _Call.NONE
        lost = BodyConsumed("receive() was cancelled, which may lose a part of the body")
        # Only readers miss the message that may be lost: a watch calls receive() again.
        self.process_error(lost, is_reported=True)

    async def close(self) -> None:
        """Cancel the call in flight, and wait for the end of its task."""
        task = self._task
        if task is not None:
            task.cancel()
            await wait_end(task)
            self._task = None
            if self._call is _Call.IN_FLIGHT:
                self._lose_message()
            self._call = _Call.NONE
