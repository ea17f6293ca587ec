"""Query strings and urlencoded bodies (URL Standard, section 5)."""

from __future__ import annotations

import re
from codecs import unicode_escape_decode
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote_plus

from multidict import MultiDict, MultiDictProxy

from asgikit.datastructures.replaced import Replaced
from asgikit.exceptions import BadRequest, ContentTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Fields",
    "QueryParams",
    "format_urlencoded",
    "parse_query",
    "parse_urlencoded",
]

ValueT = TypeVar("ValueT")

# A sequence between two separators. Empty sequences are skipped (section 5.1, step 3.1).
_SEQUENCE = re.compile(r"[^&]++")

# Characters that are decoded at once. If every fourth one is "%", decoding takes 20 times the
# memory of the text.
_CHUNK_SIZE = 4096

# A "%" that is not followed by two hexadecimal digits is kept (section 1.3).
_replace_bare_percent = re.compile("%(?![0-9A-Fa-f]{2})").sub


class Fields(MultiDictProxy[ValueT]):
    """A multidict whose :exc:`AttributeError` names the replacement for a method of another one."""

    __slots__ = ()

    if TYPE_CHECKING:
        pass
    else:
        getlist = Replaced("getall()")
        get_list = Replaced("getall()")
        multi_items = Replaced("items()")


class QueryParams(Fields[str]):
    """The fields of a query string, in order, repeated ones kept. The first value wins.

    ``str()`` returns them as a query string.

    Args:
        fields: A query string without the ``?``, a mapping, or ``(name, value)`` pairs. Names and
            values are converted by ``str()``.

    >>> params = QueryParams("tag=a&tag=b")
    >>> params["tag"], params.getall("tag"), str(params)
    ('a', ['a', 'b'], 'tag=a&tag=b')
    >>> str(QueryParams({"q": "café", "page": 2}))
    'q=caf%C3%A9&page=2'
    """

    __slots__ = ()

    def __init__(
        self, fields: str | bytes | Mapping[str, object] | Iterable[tuple[str, object]] = ()
    ) -> None:
        if isinstance(fields, str):
            fields = fields.encode("utf-8")
        if isinstance(fields, bytes):
            items = parse_urlencoded(fields, max_fields=None)
        else:
            pairs = fields.items() if isinstance(fields, Mapping) else fields
            items = [(str(name), str(value)) for name, value in pairs]
        super().__init__(MultiDict(items))

    def __str__(self) -> str:
        return format_urlencoded(self.items())


def parse_urlencoded(
    data: bytes, *, max_fields: int | None, max_size: int | None = None
) -> list[tuple[str, str]]:
    """Parse ``name=value&name=value`` as browsers write it (section 5.1).

    Only ``&`` separates fields, and ``+`` is a space. Escapes are bytes of UTF-8; a charset that
    the client declares is ignored, and invalid UTF-8 becomes U+FFFD. A name without ``=`` has an
    empty value.

    Args:
        data: The whole body or query string.
        max_fields: Maximum number of fields; ``None`` for no limit.
        max_size: Maximum size of a decoded name or value in bytes; ``None`` for no limit.

    Raises:
        ContentTooLarge: There are more fields (the limit is ``max_fields``), or a name or value is
            larger (``max_field_size``). Nothing was decoded then.

    >>> parse_urlencoded(b"q=caf%C3%A9+noir&&new", max_fields=10)
    [('q', 'café noir'), ('new', '')]
    """
    # Each byte is one character, so that raw and escaped bytes of a character decode together.
    text = data.decode("latin-1").replace("+", " ")
    if max_fields is not None and text.count("&") < max_fields:
        sequences = text.split("&")
    else:
        # A list of empty sequences, which do not count as fields, could be large.
        if max_fields is not None and any(islice(_SEQUENCE.finditer(text), max_fields, None)):
            raise ContentTooLarge("max_fields", max_fields)
        sequences = _SEQUENCE.findall(text)
    if max_size is not None and len(text) > max_size:
        _check_sizes(sequences, max_size)
    is_ascii = text.isascii()
    # Most texts have no escapes, and most escapes are in values.
    is_escaped = not is_ascii or "%" in text
    fields = []
    for sequence in sequences:
        if sequence:
            name, _, value = sequence.partition("=")
            if is_escaped and ("%" in sequence or not is_ascii):
                name = _decode(name) if "%" in name or not is_ascii else name
                value = _decode(value)
            fields.append((name, value))
    return fields


def _check_sizes(sequences: Iterable[str], max_size: int) -> None:
    for sequence in sequences:
        if len(sequence) > max_size:
            name, _, value = sequence.partition("=")
            if len(_unescape(name)) > max_size or len(_unescape(value)) > max_size:
                raise ContentTooLarge("max_field_size", max_size)


def _decode(text: str) -> str:
    """Decode the escapes, then the characters as bytes of UTF-8."""
    text = _unescape(text)
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _unescape(text: str) -> str:
    if len(text) > _CHUNK_SIZE:
        return "".join([_unescape(chunk) for chunk in _chunks(text)]) if "%" in text else text
    # Python's decoder for "\x41" is written in C, and reads "%41" once the "%" is replaced.
    data = text.encode("latin-1").replace(b"\\", b"\\\\").replace(b"%", b"\\x")
    try:
        return unicode_escape_decode(data)[0]
    except UnicodeDecodeError:
        return _unescape(_replace_bare_percent("%25", text))


def _chunks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        stop = start + _CHUNK_SIZE
        # A "%" that may start an escape goes to the next chunk.
        cut = text.rfind("%", stop - 2, stop)
        stop = stop if cut < 0 else cut
        yield text[start:stop]
        start = stop


def parse_query(query_string: bytes, max_fields: int | None) -> QueryParams:
    """Parse a query string as ``scope["query_string"]`` has it.

    Raises:
        BadRequest: There are more than ``max_fields`` fields.

    >>> parse_query(b"page=2&tag=a&tag=b", 1000).getall("tag")
    ['a', 'b']
    """
    try:
        fields = parse_urlencoded(query_string, max_fields=max_fields)
    except ContentTooLarge as error:
        # The status 413 is about content, and a query string is not content.
        raise BadRequest(f"Over max_query_fields, which is {error.maximum}.") from None
    params = QueryParams.__new__(QueryParams)
    MultiDictProxy.__init__(params, MultiDict(fields))
    return params


def format_urlencoded(fields: Iterable[tuple[str, str]]) -> str:
    """Format fields as browsers do (section 5.2), for :func:`parse_urlencoded` to parse.

    Raises:
        ValueError: A text has a lone surrogate, which UTF-8 cannot encode.

    >>> format_urlencoded([("q", "café noir"), ("new", "")])
    'q=caf%C3%A9+noir&new='
    """
    return "&".join([f"{_escape(name)}={_escape(value)}" for name, value in fields])


def _escape(text: str) -> str:
    # Python's set of safe characters includes "~" and lacks "*"; that of forms is the reverse
    # (section 1.3).
    return quote_plus(text, safe="*").replace("~", "%7E")
