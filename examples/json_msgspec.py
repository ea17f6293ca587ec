"""A JSON API with validation by msgspec, which decodes bytes directly to a struct.

uvicorn examples.json_msgspec:app
curl -d '{"item": "tea", "count": 2}' http://127.0.0.1:8000/
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from asgikit import BadRequest, HTTPError, JSONResponse, Request, request_response


class Order(msgspec.Struct, forbid_unknown_fields=True):
    item: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


read_order = msgspec.json.Decoder(Order).decode


@request_response
async def app(request: Request) -> JSONResponse:
    if request.method != "POST":
        raise HTTPError(405, headers={"allow": "POST"})
    try:
        order = await request.json(loads=read_order)
    except msgspec.ValidationError as error:
        raise HTTPError(422, str(error)) from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"Not JSON: {error}.") from error
    return JSONResponse(order, 201, dumps=msgspec.json.encode)
