"""Refusal of cross-origin requests. The tables contain the cases of Go's CrossOriginProtection."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from asgikit import SameOrigin
from asgikit.testing import exchange
from tests.support.apps import answer_scope

if TYPE_CHECKING:
    from asgikit.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio

SITE = b"sec-fetch-site"
ORIGIN = b"origin"


def build_scope(
    method: str, *headers: tuple[bytes, str], host: str | None = "example.com"
) -> dict[str, Any]:
    hosts = [] if host is None else [(b"host", host.encode())]
    encoded = [(name, value.encode()) for name, value in headers]
    return {"type": "http", "method": method, "headers": hosts + encoded}


async def ask(app: SameOrigin, scope: dict[str, Any]) -> int:
    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Any:
        raise AssertionError("the body is not read")

    statuses: list[int] = []
    await app({"path": "/", "query_string": b"", **scope}, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("method", "headers", "status_code"),
    [
        # TestCrossOriginProtection_SecFetchSite
        ("POST", [(SITE, "same-origin")], 200),
        ("POST", [(SITE, "none")], 200),
        ("POST", [(SITE, "cross-site")], 403),
        ("POST", [(SITE, "same-site")], 403),
        ("POST", [], 200),
        ("POST", [(ORIGIN, "https://example.com")], 200),
        ("POST", [(ORIGIN, "https://attacker.example")], 403),
        ("POST", [(ORIGIN, "null")], 403),
        ("GET", [(SITE, "cross-site")], 200),
        ("HEAD", [(SITE, "cross-site")], 200),
        ("OPTIONS", [(SITE, "cross-site")], 200),
        ("PUT", [(SITE, "cross-site")], 403),
        # TestCrossOriginProtection_TrustedOriginBypass
        ("POST", [(ORIGIN, "https://trusted.example")], 200),
        ("POST", [(SITE, "cross-site"), (ORIGIN, "https://trusted.example")], 200),
        ("POST", [(SITE, "cross-site"), (ORIGIN, "https://attacker.example")], 403),
        # Our own
        ("QUERY", [(SITE, "cross-site")], 200),  # safe (RFC 10008)
        ("DELETE", [(SITE, "cross-site")], 403),
        ("get", [(SITE, "cross-site")], 403),  # methods are case-sensitive
        ("POST", [(SITE, "")], 200),  # empty is absent
        ("POST", [(SITE, ""), (ORIGIN, "")], 200),
        ("POST", [(SITE, ""), (ORIGIN, "https://attacker.example")], 403),
        ("POST", [(SITE, "same-origin"), (ORIGIN, "https://attacker.example")], 200),
        ("POST", [(SITE, "cross-site"), (ORIGIN, "https://example.com")], 403),
        ("POST", [(SITE, "same-origin"), (SITE, "cross-site")], 403),
        ("POST", [(SITE, "same-origin, none")], 403),
        ("POST", [(SITE, "Same-Origin")], 403),
        ("POST", [(SITE, "x" * 10_000)], 403),  # not ignored, as long headers are elsewhere
        ("POST", [(ORIGIN, "https://example.com"), (ORIGIN, "https://attacker.example")], 403),
        ("POST", [(ORIGIN, "https://example.com:8443")], 403),
        ("POST", [(ORIGIN, "https://example.com.attacker.example")], 403),
        ("POST", [(ORIGIN, "https://attacker.example/://example.com")], 403),
        ("POST", [(ORIGIN, "example.com")], 403),
        ("POST", [(ORIGIN, "http://trusted.example")], 403),  # another scheme
        ("POST", [(ORIGIN, "https://trusted.example:8443")], 403),
        ("POST", [(ORIGIN, "https://" + "x" * 10_000)], 403),
    ],
)
async def test_cross_origin_request_by_unsafe_method_is_refused(
    method: str, headers: list[tuple[bytes, str]], status_code: int
) -> None:
    app = SameOrigin(answer_scope, ["https://trusted.example"])

    assert await ask(app, build_scope(method, *headers)) == status_code


@pytest.mark.parametrize(
    ("host", "origin", "status_code"),
    [
        ("example.com:8080", "http://example.com:8080", 200),
        ("EXAMPLE.com", "https://example.com", 200),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("127.0.0.1:8000", "http://localhost:8000", 403),
        ("", "https://", 403),
        (None, "https://example.com", 403),
    ],
)
async def test_origin_is_compared_with_host_and_port(
    host: str | None, origin: str, status_code: int
) -> None:
    scope = build_scope("POST", (ORIGIN, origin), host=host)

    assert await ask(SameOrigin(answer_scope), scope) == status_code


@pytest.mark.parametrize(
    ("origin", "is_valid"),
    [
        # TestCrossOriginProtection_AddTrustedOrigin
        ("https://example.com", True),
        ("https://example.com:8080", True),
        ("http://example.com", True),
        ("example.com", False),
        ("https://", False),
        ("https://example.com/", False),
        ("https://example.com/path", False),
        ("https://example.com?query=value", False),
        ("https://example.com#fragment", False),
        ("https://ex ample.com", False),
        ("", False),
        ("null", False),
        # Our own
        ("http://[::1]:8000", True),
        ("chrome-extension://abcdefghijklmnop", True),
        ("https://EXAMPLE.com", False),  # browsers send lower case
        ("https://bücher.example", False),  # and Punycode
        ("https://user@example.com", False),
        ("https://example.com:port", False),
        ("https://example.com\n", False),
        ("*", False),
    ],
)
def test_trusted_origin_is_checked(origin: str, is_valid: bool) -> None:
    if is_valid:
        SameOrigin(answer_scope, [origin])
    else:
        with pytest.raises(ValueError, match="is not an origin as browsers send it"):
            SameOrigin(answer_scope, [origin])


def test_trusted_origins_that_are_one_string_are_refused() -> None:
    with pytest.raises(ValueError, match="'h' is not an origin"):
        SameOrigin(answer_scope, "https://example.com")


async def test_refusal_is_a_problem_document_and_keeps_the_app_uncalled() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the app was called")

    app = SameOrigin(never)
    headers = {"sec-fetch-site": "cross-site"}
    answer = await exchange(app, "POST", headers=headers, body=b"a=1")

    assert answer.status_code == 403
    assert answer.json()["detail"] == "The request comes from a page of another origin."
    page = await exchange(app, "POST", headers={**headers, "accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_are_passed_on_by_same_origin(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    given = [{"type": kind, "headers": [(SITE, b"cross-site")]}, object(), object()]
    await SameOrigin(app)(*given)

    assert all(one is other for one, other in zip(seen, given, strict=True))


def test_same_origin_has_the_signature_of_an_app() -> None:
    call = SameOrigin.__call__

    assert inspect.iscoroutinefunction(call)
    assert list(inspect.signature(call).parameters) == ["self", "scope", "receive", "send"]
    assert repr(SameOrigin(answer_scope)) == f"SameOrigin({answer_scope!r})"


async def test_same_origin_can_be_pickled() -> None:
    app = pickle.loads(pickle.dumps(SameOrigin(answer_scope, ["https://trusted.example"])))

    assert await ask(app, build_scope("POST", (ORIGIN, "https://trusted.example"))) == 200
    assert await ask(app, build_scope("POST", (ORIGIN, "https://example.org"))) == 403
