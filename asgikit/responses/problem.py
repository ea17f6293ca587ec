"""Errors as problem details (:rfc:`9457`): a JSON document, or a page for people to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, Self

from asgikit._json import format_json
from asgikit.exceptions import HTTPError
from asgikit.http.grammar import find_header
from asgikit.responses.head import HeadersArgument
from asgikit.responses.response import Response
from asgikit.types import Message, Scope

__all__ = ["ProblemResponse"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading}</title>
<style>
body{{font:1.1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}}
main{{max-width:40rem;margin:10vh auto;padding:0 1rem}}
h1{{font-size:1.8rem;line-height:1.2;margin:0 0 1rem}}
dl{{display:grid;grid-template-columns:fit-content(40%) minmax(0,1fr);gap:.4rem 1rem}}
dt{{font-weight:600}}
dd{{margin:0;white-space:pre-wrap}}
</style>
</head>
<body>
<main>
<h1>{heading}</h1>
{content}</main>
</body>
</html>
"""


class ProblemResponse(Response):
    """An error as problem details (:rfc:`9457`): as JSON, or as a page if the client prefers HTML.

    Accept decides if the response is called with the scope; otherwise it is JSON. If ``body`` is
    set, that body is sent instead of the document.

    Args:
        status_code: of the response, and a member of the document.
        title: a summary of this kind of problem.
        detail: an explanation of this occurrence.
        type: a URI that identifies the kind of problem.
        instance: a URI that identifies this occurrence.
        extensions: further members; they cannot replace the ones above.
        headers: as of :class:`Response`.
        background: as of :class:`Response`.

    >>> ProblemResponse(404, title="Not Found", detail="No such user.").body
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"No such user."}'
    """

    media_type: ClassVar[str | None] = "application/problem+json"
    __slots__ = ("_document",)

    def __init__(
        self,
        status_code: int,
        *,
        title: str | None = None,
        detail: str | None = None,
        type: str = "about:blank",  # noqa: A002 - the member's name
        instance: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        headers: HeadersArgument | None = None,
        background: Callable[[], Any] | None = None,
    ) -> None:
        members = {
            "type": type,
            "title": title,
            "status": status_code,
            "detail": detail,
            "instance": instance,
        }
        document = {name: value for name, value in members.items() if value is not None}
        for name, value in (extensions or {}).items():
            if name in members:
                raise ValueError(f"extensions must not contain {name!r}: use the argument {name}=")
            document[name] = value
        super().__init__(format_json(document), status_code, headers, background=background)
        self.add_vary("Accept")
        # With its bytes, which show whether another body was set.
        self._document: tuple[dict[str, Any], bytes] = document, self._body

    @classmethod
    def from_error(cls, error: HTTPError) -> Self:
        """Return the response for an :class:`~asgikit.HTTPError`."""
        return cls(
            error.status_code,
            title=error.title,
            detail=error.detail,
            type=error.type,
            instance=error.instance,
            extensions=error.extensions,
            headers=error.headers,
        )

    def for_scope(self, scope: Scope) -> Self:
        """Return the response to the request of ``scope``: this one, or a copy that is a page.

        >>> problem = ProblemResponse(404, title="Not Found", detail="No <b>.")
        >>> page = problem.for_scope({"headers": [(b"accept", b"text/html,*/*;q=0.8")]})
        >>> page.headers["content-type"], b"<p>No &lt;b&gt;.</p>" in page.body
        ('text/html; charset=utf-8', True)
        """
        document, body = self._document
        if self._body is not body or self._traits.type_header not in self._list():
            return self
        if not _prefers_html(scope):
            return self
        page = copy(self)
        page.body = _format_page(document)
        page.headers["content-type"] = "text/html; charset=utf-8"
        return page

    def _messages(self, scope: Scope | None) -> tuple[Message, Message]:
        if scope is None:
            return Response._messages(self, None)
        return Response._messages(self.for_scope(scope), scope)


def _prefers_html(scope: Scope) -> bool:
    """Return whether a request prefers HTML to JSON, as those of browsers do."""
    text = find_header(scope.get("headers") or (), b"accept")
    # Clients that are no browsers mostly send one media range, such as */*, or none.
    if text is None or ("," not in text and "text/" not in text.lower()):
        return False
    from asgikit.http.negotiation import parse_accept

    accept = parse_accept(text)
    documents = map(accept.quality, ("application/problem+json", "application/json"))
    return accept.quality("text/html") > max(documents)


def _format_page(document: Mapping[str, Any]) -> str:
    """Return the members of a problem as an HTML page; their values are escaped."""
    from html import escape

    members = dict(document)
    heading = f"{members.pop('status')} {members.pop('title', '')}"
    if members["type"] == "about:blank":
        # The default, which says nothing (section 4.2.1).
        del members["type"]
    detail = members.pop("detail", None)
    content = "" if detail is None else f"<p>{escape(_format_value(detail))}</p>\n"
    rows = [
        f"<dt>{escape(_format_value(name))}</dt><dd>{escape(_format_value(value))}</dd>\n"
        for name, value in members.items()
    ]
    if rows:
        content += f"<dl>\n{''.join(rows)}</dl>\n"
    return _PAGE.format(heading=escape(heading.rstrip(" ")), content=content)


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) else format_json(value).decode("utf-8")
