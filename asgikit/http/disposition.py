"""Content-Disposition: format it for downloads (:rfc:`6266`), parse it in forms (:rfc:`7578`)."""

from __future__ import annotations

import re
from typing import NamedTuple

from asgikit.http.extended import format_ext_value, parse_ext_value
from asgikit.http.grammar import OWS, QUOTED_STRING, TOKEN, is_token, strip_ows

__all__ = ["FormDisposition", "format_content_disposition", "parse_form_disposition"]

# The characters of `filename="..."` that all browsers read alike. They do not include DQUOTE and
# backslash, which browsers unescape in different ways; "%", which some browsers decode (RFC 6266,
# appendix D); the slash, which no file name has; control characters; and characters outside of
# ASCII.
_PLAIN = r"[\x20\x21\x23\x24\x26-\x2e\x30-\x5b\x5d-\x7e]"
_is_plain = re.compile(f"{_PLAIN}*+").fullmatch
_replace_special = re.compile(_PLAIN.replace("[", "[^", 1)).sub

# The form of nearly every part, without escapes and without a path.
_match_common = re.compile(
    r'form-data; name="([^"\\%\x00-\x1f\x7f]*+)"'
    r'(?:; filename="((?!\.\.?")[^"\\/%\x00-\x1f\x7f]*+)")?+'
).fullmatch


# parameters  = *( OWS ";" OWS [ parameter ] )                     (RFC 9110, section 5.6.6)
# parameter   = parameter-name "=" ( token / quoted-string )
#
# A run of semicolons is matched in one step. Some clients send values without DQUOTEs that are no
# tokens (name=files[0], filename=a b.txt). Such a value extends to the next ";" and has no DQUOTE,
# since parsers differ on the end of a value with one.
_UNQUOTED = r'[^";\x00-\x20\x7f][^";\x00-\x08\x0a-\x1f\x7f]*+'


def _parameter(quoted_string: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:[ \t]*+;)++[ \t]*+(?:({TOKEN})=(?:({_UNQUOTED})|{quoted_string}))?+",
    )


# In a quoted string of the RFC, a backslash escapes the next character. Browsers send a backslash
# as it is (HTML standard, "multipart/form-data encoding algorithm").
_ESCAPING = _parameter(QUOTED_STRING)
_LITERAL = _parameter(r'"([^"\x00-\x08\x0a-\x1f\x7f]*+)"')


class FormDisposition(NamedTuple):
    """The Content-Disposition of a part of a form (:rfc:`7578`, section 4.2).

    Attributes:
        name: The name of the field.
        filename: The last component of the path that was sent; ``None`` if the part is no file. It
            comes from the client, so do not use it as a path.
        raw_filename: The file name as sent, with its folders; ``None`` if the part is no file.
    """

    name: str
    filename: str | None
    raw_filename: str | None


def format_content_disposition(disposition_type: str, filename: str | None = None) -> str:
    """Format Content-Disposition (:rfc:`6266`, section 4).

    If browsers would read the name in different ways, it is sent as ``filename*``, and ``filename``
    has ``_`` in the place of the characters in question.

    Args:
        disposition_type: ``attachment`` or ``inline``.
        filename: The name under which the client is to save the content; ``None`` for none.

    Raises:
        ValueError: The type is no token, or the name has a surrogate, which UTF-8 cannot encode.

    >>> print(format_content_disposition("attachment", "año.txt"))
    attachment; filename="a_o.txt"; filename*=UTF-8''a%C3%B1o.txt
    """
    if not is_token(disposition_type):
        raise ValueError(f"a disposition type is a token, not {disposition_type!r}")
    if filename is None:
        return disposition_type
    if _is_plain(filename):
        return f'{disposition_type}; filename="{filename}"'
    extended = format_ext_value(filename)
    fallback = _replace_special("_", filename)
    return f'{disposition_type}; filename="{fallback}"; filename*={extended}'


def parse_form_disposition(value: bytes | str) -> FormDisposition | None:
    """Parse the Content-Disposition of a part of a form (:rfc:`7578`, section 4.2).

    Bytes are decoded as UTF-8, with U+FFFD for invalid bytes. ``%22`` becomes a DQUOTE, as browsers
    send it. ``filename*`` counts only if there is no ``filename``; ``name*`` is ignored. A value
    without DQUOTEs is kept as sent, up to the next ``;``.

    Returns:
        The name and the file name; ``None`` if the value is malformed, has another type than
        ``form-data`` or has no name.

    >>> parse_form_disposition(b'form-data; name="a"; filename="C:/fakepath/b.txt"').filename
    'b.txt'
    """
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    return _parse_common(text) or _parse_any(strip_ows(text))


# perf: multipart -5 %
def _parse_common(text: str) -> FormDisposition | None:
    match = _match_common(text)
    return None if match is None else FormDisposition(match[1], match[2], match[2])


def _parse_any(text: str) -> FormDisposition | None:
    kind, _, _ = text.partition(";")
    if kind.rstrip(OWS).lower() != "form-data":
        return None
    parameters = _parse_parameters(text, len(kind), _ESCAPING)
    # If the value is malformed by the RFC, a browser sent the backslash: `name="a\"; filename="b"`
    # has a name that ends in one. No value is well-formed both with `\"` as an escape and without.
    if parameters is None and "\\" in text:
        parameters = _parse_parameters(text, len(kind), _LITERAL)
    if parameters is None or "name" not in parameters:
        return None
    name = parameters["name"].replace("%22", '"')
    if "filename" in parameters:
        raw_filename = parameters["filename"].replace("%22", '"')
    elif "filename*" not in parameters:
        return FormDisposition(name, None, None)
    elif (decoded := parse_ext_value(parameters["filename*"])) is not None:
        raw_filename = decoded
    else:
        return None
    filename = raw_filename.replace("\\", "/").rpartition("/")[2]
    if filename in (".", ".."):
        filename = ""  # these are names of folders
    return FormDisposition(name, filename, raw_filename)


def _parse_parameters(text: str, start: int, pattern: re.Pattern[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    while start < len(text):
        match = pattern.match(text, start)
        if match is None:
            return None
        # Each match consumes at least one ";", so the loop ends.
        start = match.end()
        name, unquoted, quoted = match.groups()
        if name is None:
            continue
        name = name.lower()
        # A parameter must not be repeated (RFC 6266, section 4.1), because a firewall and an app
        # may differ on the value that counts. The continuations of RFC 2231 (`filename*0`) are not
        # part of RFC 8187 (section 1) and are refused for the same reason.
        if name in parameters or "*" in name[:-1]:
            return None
        if unquoted is not None:
            parameters[name] = unquoted.rstrip(OWS)
        else:
            parameters[name] = _unescape(quoted) if pattern is _ESCAPING else quoted
    return parameters


def _unescape(quoted: str) -> str:
    # Only DQUOTE and backslash are unescaped, since `C:\dir` is a path. NUL can serve as a
    # placeholder, because the pattern does not match it.
    if "\\" not in quoted:
        return quoted
    return quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
