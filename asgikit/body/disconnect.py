"""Cancellation of a block of code when the client disconnects, on asyncio and on Trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from asgikit.body.body import Body
from asgikit.exceptions import ClientDisconnect
from asgikit.runtime.tasks import start_task, wait_end

__all__ = ["cancel_on_disconnect"]


@asynccontextmanager
async def cancel_on_disconnect(body: Body) -> AsyncGenerator[None]:
    """Cancel the block, as a cancel scope of anyio does, if the client disconnects.

    The watch is a task of its own and not part of a task group, which would raise groups of errors.
    It is a client of the receiver of ``body``, as each reader is, and ends with the block.

    Raises:
        ClientDisconnect: the client disconnected within the block, which raised no error.
        Exception: an error of ``receive()`` that no reader has raised; it cancels the block, too.
    """
    scope = anyio.CancelScope()
    errors: list[Exception] = []
    watch = start_task(_watch(body, scope, errors))
    try:
        with scope:
            yield
    finally:
        # The block has ended: a later disconnect does not concern it.
        is_disconnected = scope.cancel_called
        with anyio.CancelScope(shield=True):
            watch.cancel()
            await wait_end(watch)
    if is_disconnected:
        raise errors[0] if errors else ClientDisconnect("the client disconnected")


async def _watch(body: Body, scope: anyio.CancelScope, errors: list[Exception]) -> None:
    try:
        await body.wait_disconnected()
    except Exception as error:  # noqa: BLE001 - raised at the end of the block
        errors.append(error)
    scope.cancel()
