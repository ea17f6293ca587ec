"""The page of the demo: ``demo.html`` with the Python code of each card."""

from __future__ import annotations

import base64
import hashlib
import inspect
import keyword
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asgikit import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("demo.html")
# A string of the demo has no line break and no quote.
TOKEN = re.compile(
    rf'(?P<comment>#.*)|(?P<string>f?"[^"]*")|(?P<keyword>\b(?:{"|".join(keyword.kwlist)})\b)|\w+|.'
)


def create_page(functions: Mapping[str, Any]) -> HTMLResponse:
    """Return the page: ``{{name name}}`` in the template becomes the code of these functions."""

    def highlight_sources(match: re.Match[str]) -> str:
        sources = [inspect.getsource(functions[name]) for name in match[1].split()]
        return "".join(map(highlight, "\n".join(sources).split("\n")[:-1]))

    template = TEMPLATE.read_text(encoding="utf-8")
    page = re.sub(r"\{\{([a-z_ ]+)\}\}", highlight_sources, template)
    return HTMLResponse(
        page,
        headers={
            "cache-control": "no-cache",
            "content-security-policy": content_security_policy(page),
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        },
        conditional=True,
    )


def content_security_policy(page: str) -> str:
    """Return a policy that allows the script and the style of ``page``, and its own server."""

    def digest(element: str) -> str:
        found = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        content = found[1] if found else ""
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest('script')}';"
        f" style-src 'sha256-{digest('style')}'; connect-src 'self'; media-src 'self';"
        " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def highlight(line: str) -> str:
    """Return a line of Python as HTML, with an element around each keyword, string and comment.

    >>> highlight("    return 1")
    '<span class="line in1">    <span class="keyword">return</span> 1\\n</span>'
    """
    content = "".join(
        f'<span class="{token.lastgroup}">{escape(token[0])}</span>'
        if token.lastgroup
        else escape(token[0])
        for token in TOKEN.finditer(line)
    )
    indent = (len(line) - len(line.lstrip(" "))) // 4
    return f'<span class="line in{indent}">{content}\n</span>'
