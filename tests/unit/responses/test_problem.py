"""Problems as documents for programs, and as pages for people."""

from __future__ import annotations

import copy
import pickle
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit import HTTPError, ProblemResponse, Request, StaticFiles, request_response
from asgikit.http.negotiation import parse_accept
from asgikit.testing import exchange

pytestmark = pytest.mark.anyio

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTML = "text/html; charset=utf-8"
JSON = "application/problem+json"


class Page(HTMLParser):
    """A page as a browser reads it: its elements in order, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)


@request_response
def app(request: Request) -> ProblemResponse:
    raise HTTPError(403, "No <b>credit</b>.", {"x-a": "1"}, extensions={"balance": 30, "<i>": "&"})


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        (FIREFOX, HTML),
        ("text/html", HTML),
        ("text/*", HTML),
        ("text/html;q=0.1", HTML),
        ("*/*, application/*;q=0.5", HTML),  # JSON is weighed by `application/*`
        ("application/json, text/html;q=0.9", JSON),  # JSON by its common name
        ("application/json, text/html", JSON),
        ("application/problem+json;q=0.5, text/html;q=0.6", HTML),
        ("image/png", JSON),  # neither will do, and a program is more likely
        ("text/html;q=0, */*", JSON),
        ("nonsense", JSON),
    ],
)
async def test_accept_decides_between_problem_json_and_page(
    accept: str | None, media_type: str
) -> None:
    headers = [] if accept is None else [("accept", accept)]
    answer = await exchange(app, headers=headers)
    head = await exchange(app, "HEAD", headers=headers)

    assert answer.status_code == head.status_code == 403
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["x-a"] == "1"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert (head.headers, head.body) == (answer.headers, b"")


async def test_problem_page_shows_all_members_escaped() -> None:
    answer = await exchange(app, headers=[("accept", FIREFOX)])
    page = Page(answer.body)

    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert b'<meta name="color-scheme" content="light dark">' in answer.body
    assert page.elements == [
        "html", "head", "meta", "meta", "meta", "title", "style", "body", "main", "h1", "p", "dl",
        "dt", "dd", "dt", "dd",
    ]  # fmt: skip
    assert page.texts[0] == page.texts[2] == "403 Forbidden"
    assert page.texts[3:] == ["No <b>credit</b>.", "balance", "30", "<i>", "&"]
    assert len(answer.body) < 1100


@pytest.mark.parametrize(
    ("problem", "texts"),
    [
        (ProblemResponse(400), ["400"]),
        (ProblemResponse(400, title="{heading}", detail="{0}"), ["{heading}", "{0}"]),
        (ProblemResponse(400, type="https://a.example/<x>"), ["https://a.example/<x>"]),
        (ProblemResponse(400, instance="/1"), ["instance", "/1"]),
        (ProblemResponse(400, extensions={"a": [1, {"b": None}]}), ['[1,{"b":null}]']),
        # As in JSON, also against the annotations: an error page must not fail.
        (ProblemResponse(400, detail={"a": 1}, extensions={1: 2}), ['{"a":1}', "1", "2"]),  # type: ignore[arg-type, dict-item]
        (ProblemResponse(400, extensions={"type_": "\xe9\u65e5"}), ["\xe9\u65e5"]),
    ],
)
async def test_problem_page_omits_absent_members(
    problem: ProblemResponse, texts: list[str]
) -> None:
    answer = await exchange(problem, headers=[("accept", FIREFOX)])
    page = Page(answer.body)

    for text in texts:
        assert text in " ".join(page.texts)
    assert "about:blank" not in page.texts


async def test_problem_without_scope_is_json() -> None:
    problem = ProblemResponse(404)

    async def closure(receive: Any, send: Any) -> None:
        await problem(receive, send)

    answer = await exchange(lambda scope: closure, headers=[("accept", FIREFOX)])

    assert answer.headers["content-type"] == JSON


async def test_sending_a_problem_page_keeps_the_json_body() -> None:
    problem = ProblemResponse(404, detail="a")
    for one in (problem, copy.copy(problem), pickle.loads(pickle.dumps(problem))):
        answer = await exchange(one, headers=[("accept", FIREFOX)])
        assert answer.headers["content-type"] == HTML
        answer = await exchange(one, headers=[("accept", "application/json")])
        assert answer.headers["content-type"] == JSON
        assert answer.json() == {"type": "about:blank", "status": 404, "detail": "a"}


async def test_problem_with_another_body_is_sent_unchanged() -> None:
    other_body = ProblemResponse(404)
    other_body.body = b"{}"
    other_type = ProblemResponse(404, headers={"content-type": "application/json"})

    for problem in (other_body, other_type):
        answer = await exchange(problem, headers=[("accept", FIREFOX)])
        assert answer.body == problem.body
        assert answer.headers["content-type"] == problem.headers["content-type"]


async def test_missing_file_is_a_problem_page_for_a_browser(tmp_path: Path) -> None:
    files = StaticFiles(tmp_path)

    answer = await exchange(files, target="/a", headers=[("accept", FIREFOX)])
    assert (answer.status_code, answer.headers["content-type"]) == (404, HTML)
    assert Page(answer.body).texts[0] == "404 Not Found"
    answer = await exchange(files, target="/a")
    assert (answer.status_code, answer.headers["content-type"]) == (404, JSON)
    answer = await exchange(files, "POST", target="/a", headers=[("accept", FIREFOX)])
    assert (answer.status_code, answer.headers["content-type"]) == (405, HTML)


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@pytest.mark.property
@given(texts, texts, st.dictionaries(texts.map(lambda name: f"x{name}"), texts, max_size=3))
def test_problem_page_never_contains_markup_of_values(
    title: str, detail: str, members: dict[str, str]
) -> None:
    problem = ProblemResponse(400, title=title, detail=detail, extensions=members)
    page = problem.for_scope({"type": "http", "headers": [(b"accept", b"text/html")]})
    elements = Page(page.body).elements

    assert elements[:11] == [
        "html", "head", "meta", "meta", "meta", "title", "style", "body", "main", "h1", "p",
    ]  # fmt: skip
    assert elements[11:] == (["dl"] if members else []) + ["dt", "dd"] * len(members)


words = st.sampled_from(
    [
        "text",
        "TEXT",
        "application",
        "html",
        "json",
        "problem+json",
        "*",
        "/",
        ",",
        ";q=0.5",
        '"',
        " ",
    ]
)


@pytest.mark.property
@given(st.lists(words, max_size=12).map("".join))
def test_problem_page_is_sent_if_html_has_more_weight(field: str) -> None:
    accept = parse_accept(field)
    problem = ProblemResponse(400)
    answer = problem.for_scope({"type": "http", "headers": [(b"accept", field.encode())]})
    prefers_html = accept.quality("text/html") > max(
        map(accept.quality, (JSON, "application/json"))
    )

    assert answer.headers["content-type"] == (HTML if prefers_html else JSON)
