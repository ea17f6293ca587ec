"""Extension of griffe, which reads docstrings for mkdocstrings.

Roles become links, doctests become code, and the overloads of a function a folded block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from griffe import Extension

import asgikit

if TYPE_CHECKING:
    from griffe import Function, Object

RFC = "https://www.rfc-editor.org/rfc/rfc{number}"
# Classes of our own are on the page that has their name.
FACE = frozenset(asgikit.__all__)
# Characters of a signature on one line.
WIDTH = 80

_role = re.compile(r":(?P<role>\w+):`(?P<text>[^`]+)`")
_doctest = re.compile(r"^(?P<code>>>> .*(?:\n(?!\n).*)*)", re.MULTILINE)


def read_role(match: re.Match[str]) -> str:
    """Write a role as Markdown: as a link if its target is in the documentation."""
    text = match["text"]
    if match["role"] == "rfc":
        return f"[RFC {text}]({RFC.format(number=text)})"
    label, _, target = text.rstrip(">").rpartition("<")
    path = target.lstrip("~").removeprefix("asgikit.")
    name = label.strip() or path.rpartition(".")[2]
    return f"[`{name}`][asgikit.{path}]" if path in FACE else f"`{name}`"


def to_markdown(docstring: str) -> str:
    """Rewrite roles and doctests as Markdown."""
    text = _role.sub(read_role, docstring)
    return _doctest.sub(r"```pycon\n\g<code>\n```", text)


def wrap(signature: str) -> str:
    """Write each parameter on a line of its own if the signature is too long for one line."""
    if len(signature) <= WIDTH:
        return signature
    start, end = signature.index("(") + 1, signature.rindex(") -> ")
    parameters, depth = [""], 0
    for character in signature[start:end]:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parameters.append("")
        else:
            parameters[-1] += character
    lines = "".join(f"    {parameter.strip()},\n" for parameter in parameters)
    return f"{signature[:start]}\n{lines}{signature[end:]}"


def fold(signatures: list[str]) -> str:
    """Return a block of Markdown that shows ``signatures`` when the reader opens it."""
    lines = [line for each in signatures for line in f"{wrap(each)}: ...".splitlines()]
    code = "\n".join(f"    {line}" for line in lines)
    return f'??? overloads "{len(signatures)} overloads"\n\n    ```python\n{code}\n    ```\n'


class Roles(Extension):
    """Rewrites each docstring when it is loaded."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

    def on_function_instance(self, *, func: Function, **_: Any) -> None:
        """Add the overloads to the docstring of their implementation, after its other text."""
        if func.overloads and func.docstring is not None:
            signatures = [f"def {each.signature()}" for each in func.overloads]
            func.docstring.value += f"\n\n{fold(signatures)}"
