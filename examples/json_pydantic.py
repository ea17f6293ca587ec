"""A JSON API whose input is validated by pydantic; what is wrong is told field by field.

uvicorn examples.json_pydantic:app
curl -d '{"item": "tea", "count": 0}' http://127.0.0.1:8000/
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asgikit import BadRequest, HTTPError, JSONResponse, Request, request_response


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    item: str = Field(min_length=1, max_length=100)
    count: int = Field(default=1, ge=1, le=1000)


def refuse(error: ValidationError) -> HTTPError:
    """Make the answer: 400 where it is no JSON, else 422 with a list of what is wrong where."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return BadRequest(errors[0]["msg"])
    return HTTPError(422, "The order is not valid.", extensions={"errors": errors})


@request_response
async def app(request: Request) -> JSONResponse:
    if request.method != "POST":
        raise HTTPError(405, headers={"allow": "POST"})
    try:
        order = await request.json(loads=Order.model_validate_json)
    except ValidationError as error:
        raise refuse(error) from error
    return JSONResponse(order.model_dump(), 201)
