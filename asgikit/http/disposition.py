"""Content-Disposition: out by :rfc:`6266` and :rfc:`8187`, in by :rfc:`7578` and as browsers do."""

from __future__ import annotations

import re
from typing import NamedTuple

from asgikit.http.extended import format_ext_value, parse_ext_value
from asgikit.http.grammar import OWS, QUOTED_STRING, TOKEN, is_token, strip_ows

__all__ = ["FormDisposition", "format_content_disposition", "parse_form_disposition"]

# What every reader takes from `filename="..."` as it is. Outside of it are DQUOTE and backslash,
# which browsers unescape in different ways; "%", which some of them decode (RFC 6266, appendix D);
# the slash, which no file name holds; control characters; and what is not ASCII.
_PLAIN = r"[\x20\x21\x23\x24\x26-\x2e\x30-\x5b\x5d-\x7e]"
_is_plain = re.compile(f"{_PLAIN}*+").fullmatch
_replace_special = re.compile(_PLAIN.replace("[", "[^", 1)).sub

# The two shapes nearly every part has, where no escape has to be undone and no path taken off.
_parse_common = re.compile(
    r'form-data; name="([^"\\%\x00-\x1f\x7f]*+)"'
    r'(?:; filename="((?!\.\.?")[^"\\/%\x00-\x1f\x7f]*+)")?+'
).fullmatch


# parameters  = *( OWS ";" OWS [ parameter ] )                     (RFC 9110, section 5.6.6)
# parameter   = parameter-name "=" ( token / quoted-string )
#
# A run of semicolons is taken in one step. Some clients send more than tokens without quotation
# marks (name=files[0], filename=a b.txt): such a value extends to the next ";". It has no DQUOTE,
# since readers differ on where a value with one ends.
_UNQUOTED = r'[^";\x00-\x20\x7f][^";\x00-\x08\x0a-\x1f\x7f]*+'


def _parameter(quoted_string: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:[ \t]*+;)++[ \t]*+(?:({TOKEN})=(?:({_UNQUOTED})|{quoted_string}))?+",
    )


# In a quoted string of the RFC a backslash escapes what follows. Browsers escape nothing with it
# (the HTML standard, "multipart/form-data encoding algorithm"): to them it is a character.
_ESCAPING = _parameter(QUOTED_STRING)
_LITERAL = _parameter(r'"([^"\x00-\x08\x0a-\x1f\x7f]*+)"')


class FormDisposition(NamedTuple):
    """What the ``Content-Disposition`` of a form's part says (:rfc:`7578`, section 4.2).

    Attributes:
        name: of the field.
        filename: the last component of the path that was sent; :obj:`None` where the part is no
            file. It is the client's word, and no name to write to.
        raw_filename: all that was sent, directories included.
    """

    name: str
    filename: str | None
    raw_filename: str | None


def format_content_disposition(disposition_type: str, filename: str | None = None) -> str:
    """Write a ``Content-Disposition`` field (:rfc:`6266`, section 4).

    Any name arrives exactly. Where ``filename`` cannot carry it to every browser, it has ``_`` in
    the place of the odd characters, and ``filename*`` has the name itself.

    Args:
        disposition_type: ``attachment`` or ``inline``.
        filename: what to save the content as.

    Raises:
        ValueError: the type is no token, or the name has a surrogate, which UTF-8 cannot encode.

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
    """Read the ``Content-Disposition`` of a part of a form (:rfc:`7578`, section 4.2).

    Bytes are UTF-8, as browsers send it, with U+FFFD for what is not. ``%22`` is read as a DQUOTE,
    since browsers write it so. ``filename*`` counts only without ``filename``, ``name*`` never. A
    value without quotation marks is kept as sent, up to the next ``;``.

    Returns:
        The field's name and its file name; or :obj:`None` where it is malformed, of another type
        than ``form-data``, or has no name.

    >>> parse_form_disposition(b'form-data; name="a"; filename="C:/fakepath/b.txt"').filename
    'b.txt'
    """
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    # One match in the place of the reader below saves two thirds of its time.
    common = _parse_common(text)
    if common is not None:
        name, filename = common.groups()
        return FormDisposition(name, filename, filename)
    return _parse(strip_ows(text))


def _parse(text: str) -> FormDisposition | None:
    kind, _, _ = text.partition(";")
    if kind.rstrip(OWS).lower() != "form-data":
        return None
    parameters = _parse_parameters(text, len(kind), _ESCAPING)
    # Where the RFC's reading fails, the backslash is a browser's: `name="a\"; filename="b"` has a
    # name that ends in one. No text can be read to its end both with `\"` as an escape and without.
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
        filename = ""  # the names of folders, not of a file
    return FormDisposition(name, filename, raw_filename)


def _parse_parameters(text: str, start: int, pattern: re.Pattern[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    while start < len(text):
        match = pattern.match(text, start)
        if match is None:
            return None
        # Each turn takes a ";" at the least.
        start = match.end()
        name, unquoted, quoted = match.groups()
        if name is None:
            continue
        name = name.lower()
        # A parameter occurs once (RFC 6266, section 4.1). Which of two counts is a matter on which
        # a firewall and an application differ. The pieces of RFC 2231, `filename*0`, are no part of
        # RFC 8187 (its section 1), and one more way to differ.
        if name in parameters or "*" in name[:-1]:
            return None
        if unquoted is not None:
            parameters[name] = unquoted.rstrip(OWS)
        else:
            parameters[name] = _unescape(quoted) if pattern is _ESCAPING else quoted
    return parameters


def _unescape(quoted: str) -> str:
    # Only a DQUOTE and a backslash are ever escaped; `C:\dir` is a path. Three replacements in C
    # cost a twentieth of a regex substitution; the pattern takes no NUL, so none is there.
    if "\\" not in quoted:
        return quoted
    return quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
