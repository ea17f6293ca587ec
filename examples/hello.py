"""The smallest app, in both shapes.

uvicorn examples.hello:app          (a bare function: uvicorn and daphne)
hypercorn examples.hello:everywhere (through `to_asgi`: every server)
"""

from __future__ import annotations

from asgikit import JSONResponse, Request, Scope, to_asgi


def app(scope: Scope) -> JSONResponse:
    request = Request(scope)
    return JSONResponse(
        {
            "method": request.method,
            "path": request.path,
            "query_params": dict(request.query_params),
        }
    )


everywhere = to_asgi(app)
