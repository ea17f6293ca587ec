"""Web links (:rfc:`8288`): parse and format the Link header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from asgikit.http.extended import format_ext_value, parse_ext_value
from asgikit.http.grammar import (
    OWS,
    QUOTED_STRING,
    TOKEN,
    format_quoted_string,
    is_token,
    unquote_pairs,
)

__all__ = ["Link", "format_link", "parse_links"]

# Link       = #link-value
# link-value = "<" URI-Reference ">" *( OWS ";" OWS link-param )
#
# The URI reference is not parsed further. Commas before it are matched in one step.
_TARGET = re.compile(r"[ \t,]*+<([!#-;=?-~]*+)>")

# link-param = token BWS [ "=" BWS ( token / quoted-string ) ]
#
# A run of semicolons is matched in one step. A value without DQUOTEs extends to the next delimiter,
# as in appendix B.2.
_PARAMETER = re.compile(
    rf"(?:[ \t]*+;)++[ \t]*+(?:({TOKEN})[ \t]*+(?:=[ \t]*+(?:{QUOTED_STRING}|([^\",; \t]*+)))?+)?+"
)
_END = re.compile(r"[ \t]*+(?:,|\Z)")

_is_target = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x7e]*+").fullmatch
_is_plain = re.compile(r"[\x20-\x7e]*+").fullmatch

# Of these parameters, the first occurrence counts; others may be repeated (section 3.4).
_ONCE = frozenset({"anchor", "media", "rel", "rev", "title", "title*", "type"})


@dataclass(frozen=True, slots=True)
class Link:
    """A link from its context, by default the requested resource, to a target.

    Attributes:
        target: A URI reference as it was sent, relative to the URL of the resource.
        parameters: The parameters in order, their names in lower case. A value is ``None`` if the
            parameter has no ``=``.
    """

    target: str
    parameters: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the first value of a parameter; ``None`` if it is absent or has no value.

        A valid ``name*`` takes precedence over ``name`` (section 3.4.1).
        """
        first: dict[str, str | None] = {}
        for key, value in self.parameters:
            first.setdefault(key, value)
        extended = first.get(f"{name}*")
        decoded = None if extended is None else parse_ext_value(extended)
        return first.get(name) if decoded is None else decoded

    @property
    def rel(self) -> frozenset[str]:
        """The relation types in lower case (section 3.3)."""
        words = (self.get("rel") or "").split(" ")
        return frozenset(word.lower() for word in words if word)

    @property
    def anchor(self) -> str | None:
        """The context of the link if it is not the requested resource (section 3.2).

        If it is set, the link must not be attributed to the requested resource.
        """
        return self.get("anchor")

    def __str__(self) -> str:
        return "".join([f"<{self.target}>", *(_format(*pair) for pair in self.parameters)])


def parse_links(text: str) -> list[Link]:
    """Parse Link (section 3 and appendix B.2).

    Args:
        text: The value, repeated lines joined by ``", "``.

    Returns:
        The links in order up to the first malformed one, whose end cannot be determined.

    >>> [link] = parse_links('</page/2>; rel="next last"; title="More"')
    >>> link.target, sorted(link.rel), link.get("title")
    ('/page/2', ['last', 'next'], 'More')
    """
    links: list[Link] = []
    position, stop = 0, len(text.rstrip(OWS + ","))
    while position < stop:
        target = _TARGET.match(text, position)
        if target is None:
            break
        # Each match consumes at least one "<", so the loop ends.
        position = target.end()
        parameters: list[tuple[str, str | None]] = []
        seen = set[str]()
        while (parameter := _PARAMETER.match(text, position)) is not None:
            # Each match consumes at least one ";".
            position = parameter.end()
            name, quoted, bare = parameter.groups()
            if name is None or ((name := name.lower()) in _ONCE and name in seen):
                continue
            seen.add(name)
            parameters.append((name, bare if quoted is None else unquote_pairs(quoted)))
        end = _END.match(text, position)
        if end is None:
            break
        position = end.end()
        links.append(Link(target[1], tuple(parameters)))
    return links


def format_link(
    target: str, rel: str | Iterable[str], *, title: str | None = None, **parameters: str | None
) -> str:
    r"""Format one link (section 3).

    Args:
        target: A URI reference, percent-encoded.
        rel: One or several relation types.
        title: A human-readable title in any script.
        parameters: Target attributes. A trailing underscore of a name is removed: ``as_="style"``
            is ``as``. A name with the value ``None`` is sent without ``=``.

    Raises:
        ValueError: The link cannot be sent, or has no relation type (section 3.3).

    >>> format_link("/app.css", "preload", as_="style", crossorigin=None)
    '</app.css>; rel="preload"; as="style"; crossorigin'
    >>> format_link("/2", ["next", "last"], title="Größe")
    '</2>; rel="next last"; title*=UTF-8\'\'Gr%C3%B6%C3%9Fe'
    """
    types = rel if isinstance(rel, str) else " ".join(rel)
    if not types.strip(" "):
        raise ValueError("a link needs a relation type, such as rel='preload'")
    if _is_target(target) is None:
        raise ValueError(f"not a URI reference: {target!r}; percent-encode the other characters")
    pairs: list[tuple[str, str | None]] = [("rel", types)]
    if title is not None and _is_plain(title):
        pairs.append(("title", title))
    elif title is not None:
        pairs.append(("title*", format_ext_value(title)))
    pairs += [(name.rstrip("_").lower(), value) for name, value in parameters.items()]
    return str(Link(target, tuple(pairs)))


def _format(name: str, value: str | None) -> str:
    if not is_token(name):
        raise ValueError(f"not the name of a parameter: {name!r}")
    if value is None:
        return f"; {name}"
    # An ext-value must not be quoted (RFC 8187, section 3.2.1). Other values are, because each
    # recipient accepts quoted strings.
    bare = name.endswith("*") and parse_ext_value(value) is not None
    return f"; {name}={value if bare else format_quoted_string(value)}"
