"""An event of an API gateway in, a dict out, on a loop that runs between the two alone."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.hosts.apps import DESCRIBING, ECHO, EVENTS, GREETING
from tests.servers.harness import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # From an event to what becomes of it.
    Function = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def adapt() -> Iterator[Callable[..., Function]]:
    """Make a Lambda function of an app, and the loop that it asks for."""
    require("mangum")
    from mangum import Mangum

    def adapt_app(app: Any, lifespan: Any = "auto") -> Function:
        handler = Mangum(app, lifespan=lifespan)
        context: Any = None  # of what the function runs in; nothing reads it here
        return lambda event: handler(event, context)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield adapt_app
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


def event(method: str, path: str, query: str = "", body: bytes | None = None) -> dict[str, Any]:
    """An event of API Gateway's HTTP API, payload format 2.0, as the trigger hands it over."""
    extra = {} if body is None else {"body": base64.b64encode(body).decode()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc.execute-api.eu-central-1.amazonaws.com", "accept": "*/*"},
        "requestContext": {
            "accountId": "1",
            "apiId": "abc",
            "domainName": "abc.execute-api.eu-central-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600000,
        },
        "isBase64Encoded": body is not None,
        **extra,
    }


@pytest.mark.parametrize("name", DESCRIBING)
def test_an_event_is_answered_with_a_dict(
    adapt: Callable[..., Function], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    function = adapt(DESCRIBING[name])

    answer = function(event("GET", "/café", "x=1&y=a+b"))

    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["body"] == '{"method":"GET","path":"/café","query_params":{"x":"1","y":"a b"}}'
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_a_body_goes_through_base64_both_ways(adapt: Callable[..., Function]) -> None:
    body = bytes(range(256))

    answer = adapt(ECHO)(event("POST", "/", body=body))

    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == body


def test_the_lifespan_runs_round_every_event(adapt: Callable[..., Function]) -> None:
    EVENTS.clear()
    function = adapt(GREETING, lifespan="on")

    for _ in range(2):
        assert function(event("GET", "/"))["body"] == '{"greeting":"hello"}'
    assert EVENTS == ["started", "stopped"] * 2
