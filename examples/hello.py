"""The smallest app, with and without `to_asgi`.

uvicorn examples.hello:app          (a plain function: uvicorn and daphne)
hypercorn examples.hello:everywhere (adapted by `to_asgi`: each server)
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
