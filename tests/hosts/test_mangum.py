"""Apps on AWS Lambda: Mangum runs the event loop for one event at a time."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.hosts.apps import ADAPTED_APPS, ECHO, EVENTS, GREETING
from tests.servers.harness import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Takes an event and returns a response dict.
    Function = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def adapt() -> Iterator[Callable[..., Function]]:
    """Return a function that adapts an app to Lambda; set an event loop, which Mangum requires."""
    require("mangum")
    from mangum import Mangum

    def adapt_app(app: Any, lifespan: Any = "auto") -> Function:
        handler = Mangum(app, lifespan=lifespan)
        context: Any = None  # the Lambda context, which no app reads here
        return lambda event: handler(event, context)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield adapt_app
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


def event(method: str, path: str, query: str = "", body: bytes | None = None) -> dict[str, Any]:
    """Return an event of the HTTP API of API Gateway, payload format 2.0."""
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


@pytest.mark.parametrize("name", ADAPTED_APPS)
def test_event_returns_response_dict(
    adapt: Callable[..., Function], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    function = adapt(ADAPTED_APPS[name])

    response = function(event("GET", "/café", "x=1&y=a+b"))

    assert response["statusCode"] == 200
    assert response["isBase64Encoded"] is False
    assert response["headers"]["content-type"] == "application/json"
    assert response["body"] == '{"method":"GET","path":"/café","query_params":{"x":"1","y":"a b"}}'
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_body_is_base64_in_both_directions(adapt: Callable[..., Function]) -> None:
    body = bytes(range(256))

    response = adapt(ECHO)(event("POST", "/", body=body))

    assert response["isBase64Encoded"] is True
    assert base64.b64decode(response["body"]) == body


def test_lifespan_runs_for_each_event(adapt: Callable[..., Function]) -> None:
    EVENTS.clear()
    function = adapt(GREETING, lifespan="on")

    for _ in range(2):
        assert function(event("GET", "/"))["body"] == '{"greeting":"hello"}'
    assert EVENTS == ["started", "stopped"] * 2
