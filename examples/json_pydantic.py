"""A JSON API with validation by pydantic; the problem document lists each invalid field.

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


def to_http_error(error: ValidationError) -> HTTPError:
    """Return a 400 if the body is not JSON, else a 422 with the list of invalid fields."""
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
        raise to_http_error(error) from error
    return JSONResponse(order.model_dump(), 201)
