"""The errors: their bases, their attributes, and the arguments that they refuse."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from http import HTTPStatus
from typing import Any

import pytest

from asgikit import exceptions
from asgikit.exceptions import (
    BadRequest,
    BodyConsumed,
    ClientDisconnect,
    ContentLengthMismatch,
    ContentTooLarge,
    HTTPError,
    InvalidForm,
    InvalidHeader,
    InvalidJSON,
    PreconditionFailed,
    RangeNotSatisfiable,
    RequestTimeout,
    ResponseStarted,
    UnsupportedMediaType,
)

ANSWERS: list[tuple[HTTPError, int, str]] = [
    (BadRequest(), 400, "Bad Request"),
    (InvalidForm(), 400, "Bad Request"),
    (InvalidHeader(), 400, "Bad Request"),
    (InvalidJSON(), 400, "Bad Request"),
    (RequestTimeout(), 408, "Request Timeout"),
    (PreconditionFailed(), 412, "Precondition Failed"),
    (ContentTooLarge("max_files", 100), 413, "Content Too Large"),
    (UnsupportedMediaType(), 415, "Unsupported Media Type"),
    (RangeNotSatisfiable(10), 416, "Range Not Satisfiable"),
]


@pytest.mark.parametrize(("error", "status_code", "title"), ANSWERS)
def test_http_error_has_status_and_title(error: HTTPError, status_code: int, title: str) -> None:
    assert error.status_code == status_code
    assert error.title == title
    assert str(error).startswith(f"{status_code} {title}")


@pytest.mark.parametrize(
    "error", [BadRequest("Why."), RequestTimeout("Why."), HTTPError(400, "Why.")]
)
def test_error_text_has_the_detail(error: HTTPError) -> None:
    assert error.detail == "Why."
    assert str(error).endswith(": Why.")


@pytest.mark.parametrize("status_code", [0, 200, 304, 399, 600])
def test_status_that_is_no_error_is_refused(status_code: int) -> None:
    with pytest.raises(ValueError, match="from 400 to 599"):
        HTTPError(status_code)


@pytest.mark.parametrize("status_code", [404.0, "404", None, b"404", [404]])
def test_status_that_is_no_int_is_refused(status_code: Any) -> None:
    with pytest.raises(TypeError, match="status_code must be an int"):
        HTTPError(status_code)


def test_status_of_standard_library_is_accepted() -> None:
    assert HTTPError(HTTPStatus.GONE, "Sold.").title == "Gone"


@pytest.mark.parametrize("name", ["detail", "title", "type", "instance"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"x", TypeError),
        (1, TypeError),
        ({"a": 1}, TypeError),
        (["x"], TypeError),
        ("no file 'caf\udce9.txt'", ValueError),
        ("\ud800", ValueError),
    ],
)
def test_text_that_cannot_be_sent_is_refused(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name} "):
        HTTPError(404, **{name: value})


def test_dict_as_detail_is_refused_with_argument_to_use() -> None:
    with pytest.raises(TypeError, match="extensions="):
        HTTPError(404, {"code": 7})  # type: ignore[arg-type]  # a habit from FastAPI
    with pytest.raises(TypeError, match="detail must be a str"):
        BadRequest(b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"x-name": "a\nb"}, ValueError),
        ({"x-name": "a\r\nb: c"}, ValueError),
        ({"x name": "a"}, ValueError),
        ({"x-name": "\u20ac"}, ValueError),
        ([("x-name", "a\0b")], ValueError),
        ({"x-name": 1}, TypeError),
        ({"x-name": None}, TypeError),
    ],
)
def test_header_that_cannot_be_sent_is_refused(headers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        HTTPError(404, headers=headers)


def test_headers_of_iterator_are_kept() -> None:
    pairs = [("x-a", "1"), ("x-a", "2")]

    assert HTTPError(404, headers=iter(pairs)).headers == pairs
    assert HTTPError(404, headers=pairs).headers == pairs


@pytest.mark.parametrize("name", ["type", "title", "status", "detail", "instance"])
def test_extension_with_name_of_member_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is a member"):
        HTTPError(404, extensions={name: "open"})


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, ["\udce9"], b"x"])
def test_extension_that_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        HTTPError(404, extensions={"value": value})


def test_extension_of_any_json_value_is_accepted() -> None:
    extensions = {"balance": 2**70, "when": date(2026, 1, 2), "items": [{"a": None}], "": 1.5}

    assert HTTPError(402, extensions=extensions).extensions == extensions


def test_status_without_phrase_has_title() -> None:
    assert str(HTTPError(499)) == "499 Error"


def test_problem_details_are_kept() -> None:
    members: dict[str, Any] = {
        "title": "Out of credit",
        "type": "https://example.com/problems/credit",
        "instance": "/orders/1",
        "extensions": {"balance": 30},
    }

    error = HTTPError(403, "That costs 50.", {"retry-after": "60"}, **members)

    assert {name: getattr(error, name) for name in members} == members
    assert error.headers == {"retry-after": "60"}


@pytest.mark.parametrize("error", [error for error, _, _ in ANSWERS] + [HTTPError(404, "No.")])
def test_http_error_is_pickled_and_copied(error: HTTPError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)


def test_size_errors_name_the_limit() -> None:
    too_large = ContentTooLarge("max_body_size", 1024)
    unsatisfiable = RangeNotSatisfiable(1000)

    assert (too_large.limit, too_large.maximum) == ("max_body_size", 1024)
    assert too_large.detail == "Over max_body_size, which is 1024."
    assert unsatisfiable.size == 1000
    assert unsatisfiable.headers == {"content-range": "bytes */1000"}


def test_unsupported_media_type_names_supported_ones() -> None:
    assert UnsupportedMediaType().headers is None
    error = UnsupportedMediaType("Send a form.", accepted=["a/b", "c/d"])
    assert error.headers == {"accept": "a/b, c/d"}


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (InvalidForm, BadRequest),
        (InvalidHeader, BadRequest),
        (InvalidJSON, BadRequest),
        (ClientDisconnect, OSError),
        (BodyConsumed, RuntimeError),
        (ContentLengthMismatch, RuntimeError),
        (ResponseStarted, RuntimeError),
    ],
)
def test_error_classes_have_documented_bases(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)
    assert not issubclass(error, HTTPError) or base is BadRequest


def test_docstring_tree_has_every_error() -> None:
    assert exceptions.__doc__ is not None
    assert all(name in exceptions.__doc__ for name in exceptions.__all__)
