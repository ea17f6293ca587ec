"""An asgikit app mounted in a Starlette application.

uvicorn examples.mount_starlette:app
curl http://127.0.0.1:8000/kit/some/where
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgikit import JSONResponse, Request, request_response

if TYPE_CHECKING:
    from starlette.requests import Request as StarletteRequest


@request_response
async def kit(request: Request) -> JSONResponse:
    return JSONResponse({"root_path": request.root_path, "inside": request.route_path})


async def home(_request: StarletteRequest) -> PlainTextResponse:
    return PlainTextResponse("from Starlette")


app = Starlette(routes=[Route("/", home), Mount("/kit", kit)])
