"""In-process exchanges with an ASGI app, each message checked against the ASGI specification.

A test needs no server and no client::

    >>> import anyio
    >>> async def app(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 200})
    ...     await send({"type": "http.response.body", "body": scope["path"].encode()})
    >>> async def test_app_returns_the_path():
    ...     response = await exchange(app, target="/tea%20room?cups=2")
    ...     assert (response.status_code, response.text) == (200, "/tea room")
    >>> anyio.run(test_app_returns_the_path)

A message that violates the specification fails the test, even if the app catches the error::

    >>> async def body_first(scope, receive, send):
    ...     await send({"type": "http.response.body", "body": b"tea"})
    >>> anyio.run(exchange, body_first)
    Traceback (most recent call last):
    asgikit.testing.ASGIViolation: http.response.body: must not come before the start
"""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.testing.checker import ASGIViolation
    from asgikit.testing.client import exchange, lifespan
    from asgikit.testing.server import Exchange
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "ASGIViolation": "asgikit.testing.checker",
            "Exchange": "asgikit.testing.server",
            "exchange": "asgikit.testing.client",
            "lifespan": "asgikit.testing.client",
        },
    )

__all__ = ["ASGIViolation", "Exchange", "exchange", "lifespan"]
