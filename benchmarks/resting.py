"""Two workers at rest, for `benchmarks.start`: the same app with and without asgikit."""

from __future__ import annotations

from typing import Any


async def raw(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"6")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello!"})


def __getattr__(name: str) -> Any:
    # Imported by the one worker only.
    if name != "asgikit":
        raise AttributeError(name)
    from asgikit import PlainTextResponse, Request, request_response  # noqa: PLC0415

    @request_response
    async def app(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("Hello!")

    return app
