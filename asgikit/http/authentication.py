"""HTTP authentication (:rfc:`9110`, section 11): parse credentials, format challenges."""

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

# The token of some other schemes has more characters (SharedKey account:signature).
_is_word = re.compile(r"[A-Za-z0-9._~+/-][!#-+\x2d-~]*+").fullmatch

# auth-param  = token BWS "=" BWS ( token / quoted-string )
#
# Clients send values without DQUOTEs that are no tokens, such as uri=/a?b and
# SignedHeaders=host;x-amz-date. Such a value extends to the next comma or white space.
_parse_parameter = re.compile(
    rf'({TOKEN})[ \t]*+=[ \t]*+(?:([^\x00-\x20",\x7f]*+)|{QUOTED_STRING})'
).fullmatch

_has_control = re.compile(r"[\x00-\x1f\x7f]").search


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    r"""The credentials of a request; neither ``repr()`` nor ``str()`` shows them.

    Compare a password or a token in constant time:

    >>> import hmac
    >>> given = Authorization.basic("ada", "l\xf8velace")
    >>> expected = "l\xf8velace"
    >>> hmac.compare_digest((given.password or "").encode(), expected.encode())
    True
    >>> given
    <Authorization basic [...]>

    Args:
        scheme: A token, kept in lower case, since its case has no meaning.
        token: The token68 of schemes such as Basic and Bearer, or a longer word as of SharedKey.
        parameters: The parameters of other schemes, their names kept in lower case; becomes an
            immutable mapping.

    Attributes:
        username: The user name of Basic (:rfc:`7617`); ``None`` for other schemes.
        password: The password of Basic; ``None`` for other schemes.

    Raises:
        ValueError: The credentials cannot be sent, or are malformed for Basic or Bearer. The
            message does not show them.
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
        """Return Basic credentials (:rfc:`7617`) in UTF-8.

        Raises:
            ValueError: The name has a colon, or the name or the password a control character.
        """
        if ":" in username:
            raise ValueError("a user name of Basic has no colon")
        return cls("basic", _encode_basic(f"{username}:{password}".encode()))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled.
        return Authorization, (self.scheme, self.token, dict(self.parameters))

    def __repr__(self) -> str:
        return f"<Authorization {self.scheme} [...]>"


def parse_authorization(value: str) -> Authorization | None:
    """Parse Authorization (section 11.6.2) or Proxy-Authorization (section 11.7.2).

    A parameter whose value is neither a token nor quoted is kept as sent. Basic credentials that
    are not UTF-8 are decoded as ISO-8859-1.

    Returns:
        The credentials; ``None`` if they are malformed, a parameter is repeated, Basic is not
        base64 of a text with a colon, or Bearer has no token68.

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
    """Format credentials as the value of Authorization.

    This is the only function that reveals them.

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
    """Format one challenge of WWW-Authenticate (section 11.6.1) or Proxy-Authenticate.

    Args:
        scheme: A token, such as ``Basic`` or ``Bearer``.
        realm: The protection space (section 11.5), required for Basic.
        parameters: Further parameters, such as ``{"charset": "UTF-8"}`` or ``{"error": ...}``.
        token: The token68 of schemes such as Negotiate, instead of parameters.

    Raises:
        ValueError: The challenge cannot be sent, or Basic has no realm.

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
    # Some recipients accept only a quoted string as a realm (section 11.5).
    pairs = [f"{name}={format_quoted_string(value)}" for name, value in parameters.items()]
    return f"{scheme} {', '.join(pairs)}" if pairs else scheme


def _encode_basic(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _decode_basic(token: str) -> tuple[str, str]:
    try:
        data = binascii.a2b_base64(token)
    except ValueError:
        # "from None", because the message of the cause shows the bytes.
        raise ValueError("Basic is base64") from None
    # The decoder skips characters outside of its alphabet. Only the canonical form is valid.
    if _encode_basic(data) != token:
        raise ValueError("Basic is base64 in canonical form (RFC 4648, section 4)")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # Browsers send UTF-8, python-requests ISO-8859-1.
        text = data.decode("latin-1")
    username, colon, password = text.partition(":")
    if not colon or _has_control(text):
        raise ValueError("Basic is a name, a colon and a password, without control characters")
    return username, password
