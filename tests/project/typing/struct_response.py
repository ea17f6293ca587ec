# pyright: strict
"""An app with a response class that writes a msgspec.Struct."""

from __future__ import annotations

import msgspec

from asgikit import PlainTextResponse, Request, Response, request_response


class User(msgspec.Struct):
    name: str
    age: int = 0


class StructResponse(Response):
    media_type = "application/json"

    def render(self, content: msgspec.Struct) -> bytes:
        return msgspec.json.encode(content)


class UserResponse(StructResponse):
    """The type of the content may be narrowed by a constructor."""

    def __init__(self, user: User, status_code: int = 200) -> None:
        super().__init__(user, status_code, headers={"x-name": user.name})


@request_response
async def show(request: Request) -> Response:
    if request.method == "POST":
        return UserResponse(User("Ada"), 201)
    return StructResponse(User("Ada"), headers={"x-age": "1"})


def mistakes() -> None:
    UserResponse("Ada")  # refused
    StructResponse().render("Ada")  # refused
    PlainTextResponse(User("Ada"))  # refused
