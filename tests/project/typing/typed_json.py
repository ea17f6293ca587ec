# pyright: strict
"""An app that reads JSON as values of its own types."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter

from asgikit import JSONResponse, Request, request_response


class User(msgspec.Struct):
    name: str


class Order(BaseModel):
    number: int


decode_user = msgspec.json.Decoder(User).decode
decode_orders = TypeAdapter(list[Order]).validate_json


@request_response
async def create(request: Request) -> JSONResponse:
    user: User = await request.json(loads=decode_user)
    return JSONResponse({"name": user.name})


@request_response
async def order(request: Request) -> JSONResponse:
    one: Order = await request.json(loads=Order.model_validate_json, strict=True)
    several: list[Order] = await request.json(loads=decode_orders)
    return JSONResponse([one.number, *(each.number for each in several)])


@request_response
async def any_json(request: Request) -> JSONResponse:
    value: dict[str, int] = await request.json()
    again: Any = await request.json(loads=json.loads)
    return JSONResponse([value, again])


async def mistakes(request: Request) -> None:
    user = await request.json(loads=decode_user)
    await user.age  # refused
    name: str = await request.json(loads=decode_user)  # refused
    await any_json(name)  # refused
    await request.json(loads=3)  # refused
    await request.json(strict="yes")  # refused
