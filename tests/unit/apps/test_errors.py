"""Errors that escape from a handler or app: problem documents, ``on_error`` and the log."""

from __future__ import annotations

import functools
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint
from starlette.responses import PlainTextResponse as StarletteResponse

from asgikit import (
    ClientDisconnect,
    HTTPError,
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    request_response,
    to_asgi,
)
from asgikit.testing import exchange
from tests.support.apps import (
    Boom,
    fail_with,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from asgikit.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


def build_failing_apps(error: BaseException) -> dict[str, Any]:
    """Return apps of each structure that raise ``error`` before the response starts."""

    async def raise_async(*args: Any) -> Response:
        await checkpoint()
        raise error

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        await raise_async()

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        async def instance(receive: Receive, send: Send) -> None:
            await raise_async()

        return instance

    async def late_factory(scope: Scope) -> Response:
        return await raise_async()

    async def handler(request: Request[Any]) -> Response:
        return await raise_async()

    return {
        "to_asgi, function": (to_asgi, fail_with(error)),
        "to_asgi, async factory": (to_asgi, late_factory),
        "to_asgi, instance": (to_asgi, instance_of),
        "to_asgi, ASGI 3": (to_asgi, app3),
        "to_asgi, given app": (to_asgi, lambda scope: app3),
        "request_response": (request_response, handler),
        "request_response, sync": (request_response, fail_with(error)),
        "request_response, given app": (request_response, lambda request: app3),
    }


EARLY = sorted(build_failing_apps(Boom()))


@pytest.mark.parametrize("name", EARLY)
async def test_http_error_is_answered_with_a_problem_document(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = HTTPError(429, "Slow down.", {"retry-after": "5"}, extensions={"limit": 5})
    wrap, app = build_failing_apps(error)[name]

    with caplog.at_level(logging.DEBUG, "asgikit"):
        for _ in range(2):
            answer = await exchange(wrap(app))
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "5"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json() == {
                "type": "about:blank",
                "title": "Too Many Requests",
                "status": 429,
                "detail": "Slow down.",
                "limit": 5,
            }
        assert (await exchange(wrap(app), "HEAD")).body == b""

    assert caplog.records == []


@pytest.mark.parametrize("name", EARLY)
async def test_on_error_response_is_sent(name: str) -> None:
    error = HTTPError(404, "Not here.")
    wrap, app = build_failing_apps(error)[name]

    def give(request: Request[Any], given_error: HTTPError) -> Any:
        assert isinstance(request, Request)
        assert given_error is error
        return PlainTextResponse(f"{request.method}: {given_error.detail}", 418)

    async def give_later(request: Request[Any], given_error: HTTPError) -> Any:
        await checkpoint()
        return give(request, given_error)

    def give_foreign(request: Request[Any], given_error: HTTPError) -> Any:
        return StarletteResponse(give(request, given_error).body, 418)

    for on_error in (give, give_later, give_foreign):
        answer = await exchange(wrap(on_error=on_error)(app))
        assert (answer.status_code, answer.text) == (418, "GET: Not here.")


@pytest.mark.parametrize("name", EARLY)
async def test_http_error_raised_by_on_error_is_a_problem_document(name: str) -> None:
    wrap, app = build_failing_apps(HTTPError(404))[name]

    async def raise_again(request: Request[Any], error: HTTPError) -> Any:
        raise error

    def raise_another(request: Request[Any], error: HTTPError) -> Any:
        raise HTTPError(410)

    for on_error, status_code in ((raise_again, 404), (raise_another, 410)):
        answer = await exchange(wrap(on_error=on_error)(app))
        assert answer.status_code == status_code
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", EARLY)
async def test_error_in_on_error_propagates(name: str) -> None:
    wrap, app = build_failing_apps(HTTPError(404))[name]

    def fail(request: Request[Any], error: HTTPError) -> Any:
        raise Boom

    with pytest.raises(Boom):
        await exchange(wrap(app, on_error=fail))


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_disconnect_in_on_error_logs_at_debug_only(
    wrap: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def read(request: Request[Any], error: HTTPError) -> Response:
        return Response(await request.body())

    with caplog.at_level(logging.DEBUG, "asgikit"):
        app = wrap(fail_with(HTTPError(404)), on_error=read)
        answer = await exchange(app, "POST", body=b"abc", disconnect_after=0)

    assert answer.messages == []
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


class Late(Response):
    """A response class with its own ``__call__``, which fails after its start."""

    __slots__ = ()

    error: BaseException

    async def __call__(self, *args: Any) -> None:
        await args[-1]({"type": "http.response.start", "status": 200, "headers": []})
        raise self.error


def build_late_failing_apps(error: BaseException, **options: Any) -> dict[str, Any]:
    """Return apps of each structure that raise ``error`` after the response has started."""

    async def app3(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    def instance_of(scope: Scope) -> Callable[..., Awaitable[None]]:
        return functools.partial(app3, scope)

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"a"
        raise error

    late = type("Late", (Late,), {"error": error})
    return {
        "to_asgi, instance": to_asgi(instance_of, **options),
        "to_asgi, ASGI 3": to_asgi(app3, **options),
        "to_asgi, given app": to_asgi(lambda scope: app3, **options),
        "to_asgi, stream": to_asgi(lambda scope: StreamingResponse(chunks()), **options),
        "to_asgi, own response": to_asgi(lambda scope: late(), **options),
        "to_asgi, own response, ASGI 3": to_asgi(late(), **options),
        "request_response, given app": request_response(lambda request: app3, **options),
        "request_response, stream": request_response(
            lambda request: StreamingResponse(chunks()), **options
        ),
        "request_response, own response": request_response(lambda request: late(), **options),
    }


@pytest.mark.parametrize("name", sorted(build_late_failing_apps(Boom())))
async def test_http_error_after_the_start_propagates(name: str) -> None:
    error = HTTPError(404)

    with pytest.raises(HTTPError) as caught:
        await exchange(build_late_failing_apps(error)[name])

    assert caught.value is error
    assert error.response_started

    # If the same object is raised before a later response, it is answered.
    for wrap, app in build_failing_apps(error).values():
        assert (await exchange(wrap(app))).status_code == 404
        error.response_started = True


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_http_error_raised_by_send_is_not_answered(
    wrap: Callable[..., Any],
) -> None:
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            raise HTTPError(507)

    with pytest.raises(HTTPError) as caught:
        await wrap(lambda scope: PlainTextResponse("a"))(
            {"type": "http", "method": "GET"}, unused, send
        )

    assert sent == ["http.response.start", "http.response.body"]
    assert caught.value.response_started


@pytest.mark.parametrize("failing", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_os_error_of_send_is_logged_and_background_runs_once(
    wrap: Callable[..., Any], failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Tasks(list[str]):
        """A callable that is false, because it is an empty list."""

        def __call__(self) -> None:
            self.append("ran")

    async def send(message: Message) -> None:
        if message["type"] == failing:
            raise BrokenPipeError

    for background in (None, Tasks()):
        app = wrap(lambda scope, it=background: PlainTextResponse("a", background=it))
        with caplog.at_level(logging.DEBUG, "asgikit"):
            await app({"type": "http", "method": "GET"}, unused, send)
        assert background in (None, ["ran"])

    assert [record.levelname for record in caplog.records] == ["DEBUG"] * 2


@pytest.mark.parametrize("kind", ["http.response.early_hint", "http.response.debug"])
async def test_http_error_after_a_hint_is_answered(kind: str) -> None:
    content: Message = {"links": [b"</a.css>; rel=preload"]} if "hint" in kind else {"info": {}}

    @to_asgi
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": kind, **content})
        raise HTTPError(404)

    assert (await exchange(app, scope={"extensions": {kind: {}}})).status_code == 404


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("error", [Boom("its own"), OSError("disk")])
async def test_other_error_propagates_without_on_error(name: str, error: Exception) -> None:
    wrap, app = build_failing_apps(error)[name]

    with pytest.raises(type(error)) as caught:
        await wrap(app)({"type": "http", "method": "GET"}, unused, unused)

    assert caught.value is error


async def unused(*args: Any) -> Any:
    pytest.fail("nothing is received or sent")


@pytest.mark.parametrize("name", EARLY)
async def test_client_disconnect_logs_at_debug_only(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrap, app = build_failing_apps(ClientDisconnect("it left"))[name]

    with caplog.at_level(logging.DEBUG, "asgikit"):
        await wrap(app)({"type": "http", "method": "GET"}, unused, unused)

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


async def test_http_error_with_invalid_header_raises() -> None:
    error = HTTPError(404)
    error.headers = {"x-a": "\r\n"}
    app = to_asgi(fail_with(error))

    with pytest.raises(ValueError, match="control character"):
        await exchange(app)


# --- on_error -----------------------------------------------------------------------------------


def answer_with(status_code: int) -> Callable[..., Response]:
    return lambda request, error: PlainTextResponse(type(error).__name__, status_code)


def read_records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    """Return the level and the exception of each record."""
    return [
        (record.levelname, record.exc_info[1] if record.exc_info else None)
        for record in caplog.records
    ]


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("error", [Boom(), OSError("disk"), HTTPError(404), HTTPError(503)])
@pytest.mark.parametrize("status_code", [200, 422])
async def test_error_answered_below_500_is_handled(
    name: str, error: Exception, status_code: int, caplog: pytest.LogCaptureFixture
) -> None:
    wrap, app = build_failing_apps(error)[name]

    answer = await exchange(wrap(app, on_error=answer_with(status_code)))

    assert (answer.status_code, answer.text) == (status_code, type(error).__name__)
    assert caplog.records == []


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("error", [Boom(), HTTPError(404), HTTPError(503)])
async def test_error_answered_with_500_is_logged_once(
    name: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    error.__cause__ = ValueError("the cause")
    wrap, app = build_failing_apps(error)[name]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    served = wrap(app, on_error=answer_with(500))
    scope = {"type": "http", "method": "GET", "path": "/a\nb", "headers": []}
    with nullcontext() if isinstance(error, HTTPError) else pytest.raises(Boom) as caught:
        await served(scope, unused, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 500
    assert caught is None or caught.value is error
    assert read_records(caplog) == [("ERROR", error)]
    assert "ValueError: the cause" in caplog.text
    assert r"'/a\nb'" in caplog.text


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("status_code", [404, 499, 500, 503])
async def test_http_error_without_on_error_is_logged_from_500(
    name: str, status_code: int, caplog: pytest.LogCaptureFixture
) -> None:
    error = HTTPError(status_code)
    wrap, app = build_failing_apps(error)[name]

    assert (await exchange(wrap(app))).status_code == status_code

    assert read_records(caplog) == ([("ERROR", error)] if status_code >= 500 else [])


@pytest.mark.parametrize("name", EARLY)
async def test_http_error_that_on_error_raises_for_another_is_logged_with_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    boom = Boom()
    unavailable = HTTPError(503)

    async def on_error(request: Request[Any], error: Exception) -> Any:
        raise unavailable from error

    wrap, app = build_failing_apps(boom)[name]
    with pytest.raises(Boom):
        await exchange(wrap(app, on_error=on_error))

    assert read_records(caplog) == [("ERROR", unavailable)]
    assert unavailable.__cause__ is boom


@pytest.mark.parametrize("name", EARLY)
async def test_error_that_on_error_raises_again_propagates(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    boom = Boom()

    def on_error(request: Request[Any], error: Exception) -> Any:
        raise error

    wrap, app = build_failing_apps(boom)[name]
    with pytest.raises(Boom) as caught:
        await exchange(wrap(app, on_error=on_error))

    assert caught.value is boom
    assert caplog.records == []


@pytest.mark.parametrize("name", sorted(build_late_failing_apps(Boom())))
async def test_error_after_the_start_is_not_passed_to_on_error(name: str) -> None:
    seen: list[Exception] = []

    def on_error(request: Request[Any], error: Exception) -> Response:
        seen.append(error)
        return Response()

    for error in (Boom(), HTTPError(404)):
        with pytest.raises(type(error)):
            await exchange(build_late_failing_apps(error, on_error=on_error)[name])

    assert seen == []


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_error_before_the_first_message_is_passed_to_on_error(
    wrap: Callable[..., Any],
) -> None:
    class Failing(Response):
        __slots__ = ()

        async def __call__(self, *args: Any) -> None:
            raise Boom

    mismatch = Response(b"ab", headers={"content-length": "3"})
    for response, name in (
        (Failing(), "Boom"),
        (mismatch, "ContentLengthMismatch"),
        (None, "TypeError"),
    ):
        app = wrap(lambda scope, it=response: it, on_error=answer_with(418))
        answer = await exchange(app)
        assert (answer.status_code, answer.text) == (418, name)


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_client_disconnect_is_not_passed_to_on_error(
    wrap: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = wrap(fail_with(ClientDisconnect()), on_error=unused)

    await app({"type": "http", "method": "GET", "path": "/", "headers": []}, unused, unused)

    assert [record.levelname for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("wrap", [to_asgi, request_response])
async def test_error_is_logged_when_its_response_cannot_be_sent(
    wrap: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    error = HTTPError(500)

    async def send(message: Message) -> None:
        raise Boom

    with pytest.raises(Boom):
        await wrap(fail_with(error))(
            {"type": "http", "method": "GET", "path": "/", "headers": []}, unused, send
        )

    assert read_records(caplog) == [("ERROR", error)]
