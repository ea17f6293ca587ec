"""Credentials and challenges (:rfc:`9110`, section 11): Authorization in, WWW-Authenticate out."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from asgikit.http.grammar import (
    QUOTED_STRING,
    TOKEN,
    format_quoted_string,
    is_token,
    split_list,
    strip_ows,
    unquote_pairs,
)

__all__ = [
    "Authorization",
    "format_authorization",
    "format_challenge",
    "parse_authorization",
]

# credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
# auth-scheme = token
_SCHEME = re.compile(rf"({TOKEN})(?: ++|\Z)")

# token68     = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
#
# The b64token of Bearer (RFC 6750, section 2.1) is the same.
_is_token68 = re.compile(r"[A-Za-z0-9._~+/-]++=*+").fullmatch

# Other schemes have more than that in their one word (SharedKey account:signature).
_is_word = re.compile(r"[A-Za-z0-9._~+/-][!#-+\x2d-~]*+").fullmatch

# auth-param  = token BWS "=" BWS ( token / quoted-string )
#
# Clients send more than tokens without quotation marks, such as uri=/a?b and
# SignedHeaders=host;x-amz-date. A value extends to the next comma or white space.
_parse_parameter = re.compile(
    rf'({TOKEN})[ \t]*+=[ \t]*+(?:([^\x00-\x20",\x7f]*+)|{QUOTED_STRING})'
).fullmatch

_has_control = re.compile(r"[\x00-\x1f\x7f]").search


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    r"""The credentials of a request; neither ``repr()`` nor ``str()`` shows them.

    A password or a token is compared in a time that does not tell how much of it was right:

    >>> import hmac
    >>> given = Authorization.basic("ada", "l\xf8velace")
    >>> expected = "l\xf8velace"
    >>> hmac.compare_digest((given.password or "").encode(), expected.encode())
    True
    >>> given
    <Authorization basic [...]>

    Args:
        scheme: a token; kept in lower case, as it means the same in any.
        token: The one word of schemes such as Basic and Bearer (token68), or SharedKey.
        parameters: Those of other schemes, their names in lower case; becomes an immutable mapping.

    Attributes:
        username: of Basic (:rfc:`7617`); :obj:`None` with other schemes.
        password: likewise.

    Raises:
        ValueError: they could not be sent, or Basic and Bearer are not what they should be. The
            message shows none of them.
    """

    scheme: str
    token: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    username: str | None = field(init=False, default=None, compare=False)
    password: str | None = field(init=False, default=None, compare=False)

    def __post_init__(self) -> None:
        scheme = self.scheme.lower()
        parameters = {name.lower(): value for name, value in self.parameters.items()}
        if not all(map(is_token, (scheme, *parameters))):
            raise ValueError("a scheme and the names of its parameters are tokens")
        if len(parameters) < len(self.parameters):
            raise ValueError("a parameter has two values")
        if any(map(_has_control, parameters.values())):
            raise ValueError("a parameter has no control characters")
        if self.token is not None and (parameters or _is_word(self.token) is None):
            raise ValueError("credentials are one word of visible ASCII, or parameters")
        if scheme in ("basic", "bearer") and _is_token68(self.token or "") is None:
            raise ValueError(f"{scheme} has one word of token68")
        object.__setattr__(self, "scheme", scheme)
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        if scheme == "basic":
            username, password = _decode_basic(self.token or "")
            object.__setattr__(self, "username", username)
            object.__setattr__(self, "password", password)

    @classmethod
    def basic(cls, username: str, password: str) -> Authorization:
        """Make Basic credentials (:rfc:`7617`), in UTF-8.

        Raises:
            ValueError: the name has a colon, or one of them a control character.
        """
        if ":" in username:
            raise ValueError("the name ends at its first colon")
        return cls("basic", _encode_basic(f"{username}:{password}".encode()))

    def __reduce__(self) -> tuple[Any, ...]:
        # A view of a mapping does not pickle.
        return Authorization, (self.scheme, self.token, dict(self.parameters))

    def __repr__(self) -> str:
        return f"<Authorization {self.scheme} [...]>"


def parse_authorization(value: str) -> Authorization | None:
    """Read Authorization (section 11.6.2) or Proxy-Authorization (section 11.7.2).

    Returns:
        The credentials; ``None`` if they are malformed: Basic is base64 of UTF-8 or ISO-8859-1
        with a colon in it, Basic and Bearer have one word, and no parameter is repeated. A
        parameter that is neither a token nor quoted is kept as sent.

    >>> credentials = parse_authorization("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    >>> credentials.username, credentials.password
    ('Aladdin', 'open sesame')
    >>> parse_authorization("Bearer mF_9.B5f-4.1JqM").token
    'mF_9.B5f-4.1JqM'
    >>> parse_authorization("AWS4-HMAC-SHA256 Credential=AK/20260101/s3").parameters["credential"]
    'AK/20260101/s3'
    """
    value = strip_ows(value)
    match = _SCHEME.match(value)
    if match is None:
        return None
    rest = value[match.end() :]
    token, parameters = None, dict[str, str]()
    pairs = [_parse_parameter(element) for element in split_list(rest)]
    if _is_token68(rest) or (None in pairs and _is_word(rest)):
        token = rest
    else:
        for pair in pairs:
            # A parameter occurs once (section 11.2).
            if pair is None or pair[1].lower() in parameters:
                return None
            parameters[pair[1].lower()] = unquote_pairs(pair[3]) if pair[2] is None else pair[2]
    try:
        return Authorization(match[1], token, parameters)
    except ValueError:
        return None


def format_authorization(authorization: Authorization) -> str:
    """Write credentials as the value of a field: the one way to see them.

    >>> format_authorization(Authorization.basic("Aladdin", "open sesame"))
    'basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
    """
    if authorization.token is not None:
        return f"{authorization.scheme} {authorization.token}"
    return _format(authorization.scheme, authorization.parameters)


def format_challenge(
    scheme: str,
    realm: str | None = None,
    parameters: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
) -> str:
    """Write one challenge of WWW-Authenticate (section 11.6.1) or Proxy-Authenticate.

    Args:
        scheme: a token, such as ``Basic`` or ``Bearer``.
        realm: what the credentials are for; Basic must have one.
        parameters: further ones, such as ``{"charset": "UTF-8"}`` or ``{"error": ...}``.
        token: in their place, what schemes such as Negotiate have (token68).

    Raises:
        ValueError: it could not be sent, or is Basic without a realm.

    >>> format_challenge("Basic", "WallyWorld", {"charset": "UTF-8"})
    'Basic realm="WallyWorld", charset="UTF-8"'
    """
    named = {} if realm is None else {"realm": realm}
    named.update(parameters or {})
    if not all(map(is_token, (scheme, *named))):
        raise ValueError(f"a scheme and the names of its parameters are tokens: {scheme!r}")
    if len({name.lower() for name in named}) < len(named):
        raise ValueError("a parameter has two values")
    if scheme.lower() == "basic" and "realm" not in named:
        raise ValueError("Basic names a realm (RFC 7617, section 2)")
    if token is None:
        return _format(scheme, named)
    if named or _is_token68(token) is None:
        raise ValueError("a challenge has one word of token68, or parameters")
    return f"{scheme} {token}"


def _format(scheme: str, parameters: Mapping[str, str]) -> str:
    # All readers know a quoted string; of a realm, some know nothing else (section 11.5).
    pairs = [f"{name}={format_quoted_string(value)}" for name, value in parameters.items()]
    return f"{scheme} {', '.join(pairs)}" if pairs else scheme


def _encode_basic(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _decode_basic(token: str) -> tuple[str, str]:
    try:
        data = binascii.a2b_base64(token)
    except ValueError:
        # Without its cause, whose message shows the bytes.
        raise ValueError("Basic is base64") from None
    # The decoder skips characters outside its alphabet; only one spelling is valid.
    if _encode_basic(data) != token:
        raise ValueError("Basic is base64 as section 4 of RFC 4648 has it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # Browsers send UTF-8, python-requests ISO-8859-1.
        text = data.decode("latin-1")
    username, colon, password = text.partition(":")
    if not colon or _has_control(text):
        raise ValueError("Basic is a name, a colon and a password, without control characters")
    return username, password
