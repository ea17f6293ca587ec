"""An app of asgikit's below a path of a FastAPI application.

uvicorn examples.mount_fastapi:app
curl http://127.0.0.1:8000/kit/some/where

A route of FastAPI's turns what is no response of Starlette's into JSON: so mount, as here.
"""

from __future__ import annotations

from fastapi import FastAPI

from asgikit import JSONResponse, Request, request_response


@request_response
async def kit(request: Request) -> JSONResponse:
    inside = request.path.removeprefix(request.root_path)
    return JSONResponse({"root_path": request.root_path, "inside": inside})


app = FastAPI()
app.mount("/kit", kit)


@app.get("/")
async def home() -> dict[str, str]:
    return {"from": "FastAPI"}
