"""Send a file that worker threads open and read.

The first call in a thread opens the file and reads the first chunks; further calls read on.
The memory that one client holds is bounded. If ``send`` waits, the chunks that were read ahead are
dropped, and read again when it goes on; see :mod:`asgikit.responses.file_io`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import anyio.lowlevel

from asgikit.body.sharing import wait_disconnected
from asgikit.http.response_plan import Selection
from asgikit.responses.file_io import FIRST_READ, FileReader
from asgikit.responses.send_timeout import bound_send, make_timeout
from asgikit.responses.sending import Disconnected, send_all
from asgikit.runtime.backend import is_asyncio
from asgikit.runtime.cancellation import CancelOnEvent, shielded
from asgikit.runtime.first_step import wait_within
from asgikit.runtime.threads import run_blocking_io
from asgikit.types import Message, Receive, Scope, Send

__all__ = ["CHUNK_SIZE", "SEND_TIMEOUT", "make_start", "send_file"]

#: Bytes of a message, at most.
CHUNK_SIZE = 256 * 1024
#: Seconds that ``send`` may wait with one message of a file.
SEND_TIMEOUT = 120.0


async def send_file(
    scope: Scope | None,
    receive: Receive,
    send: Send,
    reader: FileReader,
    choose: Callable[[], Selection],
    send_timeout: float | None,
) -> None:
    """Send what ``choose`` selects of the file that it opens; close the file on every exit.

    Args:
        scope: of the request, or ``None`` if it is unknown.
        receive: waited on for a disconnect, if one call does not read the whole file.
        send: takes the messages.
        reader: reads the file.
        choose: opens the file with ``reader`` and selects; called in a worker thread.
        send_timeout: seconds that ``send`` may wait with one message.

    Raises:
        Disconnected: the client has disconnected, or took no message for ``send_timeout``.
    """
    try:
        if not is_asyncio():
            await anyio.lowlevel.checkpoint()  # see `_send_selection`
            # There a `send` that waits cannot be told from one that does not.
            reader.largest_read = FIRST_READ
        selection, chunks = await run_blocking_io(reader.begin, choose)
        if reader.descriptor is None and len(chunks) <= 1:
            await _send_whole(selection, chunks, send, send_timeout)
            return
        if not reader.segments:
            # A disconnect can save no more work.
            await _send_selection(selection, chunks, send, reader, send_timeout)
            return
        cancellation = CancelOnEvent(functools.partial(wait_disconnected, scope, receive))
        work = _send_selection(selection, chunks, send, reader, send_timeout, cancellation)
        await cancellation.run(work, Disconnected)
    finally:
        if reader.descriptor is not None:
            await shielded(run_blocking_io(reader.close))


# perf: file_100k -6 %
def _send_whole(
    selection: Selection, chunks: list[bytes], send: Send, send_timeout: float | None
) -> Awaitable[None]:
    """Send a body of at most one message that is in memory, as :func:`_send_selection` would."""
    body = chunks[0] if chunks else b""
    last: Message = {"type": "http.response.body", "body": body, "more_body": False}
    return wait_within(send_timeout, send_all(send, make_start(selection), last), _stalled)


def _stalled(seconds: float) -> Disconnected:
    return Disconnected(repr(make_timeout(seconds)))


async def _send_selection(
    selection: Selection,
    chunks: list[bytes],
    send: Send,
    reader: FileReader,
    send_timeout: float | None,
    cancellation: CancelOnEvent | None = None,
) -> None:
    # Each chunk is removed before it is sent, so that the memory of a sent one is free.
    chunks.reverse()

    def drop_chunks() -> None:
        if reader.unread(len(chunks)):
            chunks.clear()

    send = bound_send(send, send_timeout, drop_chunks)
    await send_all(send, make_start(selection))
    while True:
        chunk = chunks.pop() if chunks else b""
        more = bool(chunks or reader.segments)
        if cancellation is not None and not more:
            cancellation.disarm()
        await send_all(send, {"type": "http.response.body", "body": chunk, "more_body": more})
        if not more:
            return
        if not chunks:
            if not is_asyncio():
                # On Trio a call in a worker thread is no checkpoint while it cannot be cancelled,
                # and the `send` of a server need not be one: without this one, the whole file would
                # be read after a disconnect.
                await anyio.lowlevel.checkpoint()
            chunks += await run_blocking_io(reader.read)
            chunks.reverse()


def make_start(selection: Selection) -> Message:
    """Return the first message of a response."""
    # A copy, since a server or a middleware may change the list.
    return {
        "type": "http.response.start",
        "status": selection.status_code,
        "headers": [*selection.headers],
    }
