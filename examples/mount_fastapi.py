"""An asgikit app mounted in a FastAPI application.

uvicorn examples.mount_fastapi:app
curl http://127.0.0.1:8000/kit/some/where

Mount the app: a route of FastAPI would convert its response to JSON.
"""

from __future__ import annotations

from fastapi import FastAPI

from asgikit import JSONResponse, Request, request_response


@request_response
async def kit(request: Request) -> JSONResponse:
    return JSONResponse({"root_path": request.root_path, "inside": request.route_path})


app = FastAPI()
app.mount("/kit", kit)


@app.get("/")
async def home() -> dict[str, str]:
    return {"from": "FastAPI"}
