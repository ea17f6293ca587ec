"""By hand: what a patient developer writes on ASGI alone. Everything is measured by this."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson

from benchmarks.scenarios import COOKIES, FIELDS, GREETING, ONE_FIELD, RECORD

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")

NAMES = [name.encode() for name in FIELDS]


async def respond(send: Any, body: bytes, media_type: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [media_type, length]})
    await send({"type": "http.response.body", "body": body})


async def a_plaintext(_scope: Any, _receive: Any, send: Any) -> None:
    await respond(send, GREETING.encode(), TEXT)


async def b_json_small(_scope: Any, _receive: Any, send: Any) -> None:
    await respond(send, orjson.dumps(RECORD), JSON)


async def d_echo(scope: Any, _receive: Any, send: Any) -> None:
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    answer = {"method": scope["method"], "path": scope["path"], "query_params": dict(query)}
    await respond(send, orjson.dumps(answer), JSON)


async def e_headers(scope: Any, _receive: Any, send: Any) -> None:
    headers = dict(scope["headers"])
    size = 0
    for name in NAMES:
        size += len(headers[name].decode("latin-1"))
    cookies = {}
    for pair in headers[b"cookie"].decode("latin-1").split("; "):
        key, _, value = pair.partition("=")
        cookies[key] = value
    for key in COOKIES:
        size += len(cookies[key])
    await respond(send, str(size).encode(), TEXT)


async def e1_one_header(scope: Any, _receive: Any, send: Any) -> None:
    wanted = ONE_FIELD.encode()
    found = ""
    for name, value in scope["headers"]:
        if name == wanted:
            found = value.decode("latin-1")
            break
    await respond(send, found.encode(), TEXT)


async def f_json_body(_scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    body = message["body"]
    while message.get("more_body", False):
        message = await receive()
        body += message["body"]
    order = orjson.loads(body)
    await respond(send, str(len(order["lines"])).encode(), TEXT)


async def l_set_cookie(_scope: Any, _receive: Any, send: Any) -> None:
    body = GREETING.encode()
    cookie = b"sid=0f1e2d3c4b5a; Max-Age=1800; Path=/; Secure; HttpOnly; SameSite=lax"
    headers = [TEXT, (b"content-length", b"%d" % len(body)), (b"set-cookie", cookie)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


APPS = {
    "a_plaintext": a_plaintext,
    "b_json_small": b_json_small,
    "d_echo": d_echo,
    "e_headers": e_headers,
    "e1_one_header": e1_one_header,
    "f_json_body": f_json_body,
    "l_set_cookie": l_set_cookie,
}
