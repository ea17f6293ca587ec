"""An event stream under ``Compress`` that sends one event and then waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from asgikit import Compress, EventSourceResponse, to_asgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asgikit.types import Scope


async def events() -> AsyncIterator[str]:
    yield "ready"
    await anyio.sleep_forever()


@Compress
@to_asgi
def app(scope: Scope) -> EventSourceResponse:
    return EventSourceResponse(events())
