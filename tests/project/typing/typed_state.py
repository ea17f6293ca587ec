# pyright: strict
"""An app with a request class that types the state of the lifespan."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from asgikit import ASGIApp, JSONResponse, Request, Response, request_response


class Pool:
    async def fetch(self, key: str) -> dict[str, int]:
        return {key: 1}


class AppState(Protocol):
    pool: Pool


class AppRequest(Request[AppState]):
    """A request of this app."""

    @property
    def user_id(self) -> int:
        return int(self.path_params["user_id"])


@asynccontextmanager
async def lifespan() -> AsyncGenerator[dict[str, Any]]:
    yield {"pool": Pool()}


@request_response(request_class=AppRequest, lifespan=lifespan)
async def show(request: AppRequest) -> JSONResponse:
    user = await request.state.pool.fetch(str(request.user_id))
    return JSONResponse(user)


@request_response(request_class=AppRequest)
def show_later(request: AppRequest) -> Response:
    pool: Pool = request.state.pool
    return JSONResponse({"pool": repr(pool), "user": request.user_id})


def require_user(
    handler: Callable[[AppRequest], Awaitable[Response]],
) -> Callable[[AppRequest], Awaitable[Response]]:
    async def checked(request: AppRequest) -> Response:
        return await handler(request) if request.user_id else Response(status_code=404)

    return checked


@require_user
async def profile(request: AppRequest) -> Response:
    return JSONResponse(await request.state.pool.fetch("profile"))


apps: list[ASGIApp] = [show, show_later, request_response(profile, request_class=AppRequest)]


async def mistakes(request: AppRequest) -> None:
    await request.state.pool.fetch(1)  # refused
    await request.state.cache  # refused
    request_response(profile, request_class=Request)  # refused
