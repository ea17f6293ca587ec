"""Credentials: parse_authorization, format_authorization, format_challenge, and their secrecy."""

from __future__ import annotations

import copy
import pickle
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.datastructures.url import URL
from asgikit.http.authentication import (
    Authorization,
    format_authorization,
    format_challenge,
    parse_authorization,
)
from asgikit.http.grammar import split_list, unquote_pairs
from tests.support.growth import grows_linearly


def basic(text: bytes) -> str:
    return "Basic " + b64encode(text).decode()


@pytest.mark.parametrize(
    ("value", "username", "password"),
    [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),  # RFC 7617, section 2
        ("Basic dGVzdDoxMjPCow==", "test", "123\xa3"),  # section 2.1
        ("BASIC  dGVzdDox ", "test", "1"),
        (basic(b":"), "", ""),
        (basic(b"a:b:c"), "a", "b:c"),  # a password may have colons
        (basic(b" a : b "), " a ", " b "),
        (basic(b'"a":"b"'), '"a"', '"b"'),
        (basic(b"a:\xff"), "a", "\xff"),  # ISO-8859-1, as python-requests sends it
        (basic(b"caf\xe9:\xc3"), "caf\xe9", "\xc3"),
        (basic(b"a:\xc3\xa9"), "a", "\xe9"),  # valid UTF-8 is UTF-8
    ],
)
def test_parse_authorization_decodes_basic(value: str, username: str, password: str) -> None:
    authorization = parse_authorization(value)

    assert authorization is not None
    assert authorization.scheme == "basic"
    assert (authorization.username, authorization.password) == (username, password)
    assert authorization.parameters == {}


@pytest.mark.parametrize(
    ("value", "scheme", "token", "parameters"),
    [
        ("Bearer mF_9.B5f-4.1JqM", "bearer", "mF_9.B5f-4.1JqM", {}),  # RFC 6750, section 2.1
        ("bearer a+/~==", "bearer", "a+/~==", {}),
        ("Negotiate", "negotiate", None, {}),
        ("Negotiate YII=", "negotiate", "YII=", {}),
        (
            # RFC 7616, section 3.9.1, shortened.
            'Digest username="Mufasa", realm="http-auth@example.org", nc=00000001, qop=auth',
            "digest",
            None,
            {
                "username": "Mufasa",
                "realm": "http-auth@example.org",
                "nc": "00000001",
                "qop": "auth",
            },
        ),
        ('X A = "b \\" c" , d\t=e,', "x", None, {"a": 'b " c', "d": "e"}),  # BWS is removed
        ('X a="b, c=d"', "x", None, {"a": "b, c=d"}),
        (
            # AWS Signature 4, shortened: values that are no tokens.
            (
                "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, "
                "SignedHeaders=host;x-amz-date, Signature=fe5f80"
            ),
            "aws4-hmac-sha256",
            None,
            {
                "credential": "AK/20260101/us-east-1/s3/aws4_request",
                "signedheaders": "host;x-amz-date",
                "signature": "fe5f80",
            },
        ),
        (
            # Some clients send it without white space.
            "AWS4-HMAC-SHA256 Credential=A/b,SignedHeaders=host,Signature=00",
            "aws4-hmac-sha256",
            None,
            {"credential": "A/b", "signedheaders": "host", "signature": "00"},
        ),
        (
            'Digest username="a", uri=/dir/index.html?b=c&d=[e], nc=00000001',
            "digest",
            None,
            {"username": "a", "uri": "/dir/index.html?b=c&d=[e]", "nc": "00000001"},
        ),
        ("Digest opaque=, qop=auth", "digest", None, {"opaque": "", "qop": "auth"}),
        ("Digest a=b;c=d", "digest", None, {"a": "b;c=d"}),
        ("Digest a=\xe9", "digest", None, {"a": "\xe9"}),
        ("Digest a=C:\\b", "digest", None, {"a": "C:\\b"}),
        ("SharedKey account:c2ln+/==", "sharedkey", "account:c2ln+/==", {}),  # Azure Storage
        ("ApiKey ada:0123{}", "apikey", "ada:0123{}", {}),
    ],
)
def test_parse_authorization_of_schemes_other_than_basic(
    value: str, scheme: str, token: str | None, parameters: dict[str, str]
) -> None:
    authorization = parse_authorization(value)

    assert authorization == Authorization(scheme, token, parameters)
    assert (authorization.username, authorization.password) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic\tQTpC",  # only SP may separate them
        "Basic QTpC QTpC",
        "Basic QTpC,",
        "Basic QTpC\nX: y",
        "Basic QTp",  # without padding
        "Basic Q",
        "Basic QTpC=",
        "Basic QTpD==",
        "Basic QTq=",
        "Basic QTo=QTo=",
        "Basic Q-pC",  # another alphabet
        "Basic QUI=",  # without a colon
        'Basic username="a", password="b"',
        basic(b"a\x00:b"),
        basic(b"a:b\r\n"),
        basic(b"a:\x7f"),
        "Bearer",
        "Bearer a b",
        "Bearer a:b",
        "Bearer a,b",
        'Bearer "a"',
        "Bearer realm=a",
        "Bearer \xe9",
        "Bearer a=b=",
        "Bearer a, Bearer a",
        "Bearer a\nBearer b",  # two lines of the header
        '"Basic" QTpC',
        "Digest a=b, A=c",
        'Digest a="b',
        "Digest a=b c=d",
        "Digest =b",
        'Digest a=b"c',
        "Digest a=/b,c",  # the comma ends the unquoted value
        "SharedKey a:b c",
        "SharedKey a:b, c",
        ":",
    ],
)
def test_parse_authorization_of_malformed_values_is_none(value: str) -> None:
    assert parse_authorization(value) is None


@pytest.mark.parametrize(
    ("scheme", "token", "parameters"),
    [
        ("a b", None, {}),
        ("", None, {}),
        ("x", "a b", {}),
        ("x", "", {}),
        ("x", "a", {"b": "c"}),
        ("x", None, {"a b": "c"}),
        ("x", None, {"a": "c\r\n"}),
        ("x", None, {"a": "1", "A": "2"}),
        ("basic", None, {}),
        ("bearer", None, {"a": "b"}),
        ("bearer", "a:b", {}),
        ("Basic", "c2VjcmV0LXZhbHVl", {}),
    ],
)
def test_invalid_credentials_raise_without_showing_secrets(
    scheme: str, token: str | None, parameters: dict[str, str]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each has its own message
        Authorization(scheme, token, parameters)

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("username", "password"), [("a:b", "c"), ("a", "\n"), ("\0", "")])
def test_basic_user_name_with_colon_raises(username: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"colon"):
        Authorization.basic(username, password)


@pytest.mark.parametrize(
    "authorization",
    [
        Authorization.basic("who", "s3cret"),
        Authorization("bearer", "s3cret"),
        Authorization("digest", None, {"response": "s3cret"}),
    ],
)
def test_authorization_repr_and_str_hide_secrets(authorization: Authorization) -> None:
    shown = f"{authorization} {authorization!r} {[authorization]}"

    assert "s3cret" not in shown
    assert "who" not in shown
    assert b64encode(b"who:s3cret").decode() not in shown
    assert authorization.scheme in shown
    assert pickle.loads(pickle.dumps(authorization)) == authorization
    assert copy.copy(authorization) == authorization
    assert hash(copy.copy(authorization)) == hash(authorization)


@pytest.mark.parametrize(
    "url", ["https://who:s3cret@example.com/", "//s3cret@a", "ftp://:s3cret@a/b"]
)
def test_url_repr_hides_password(url: str) -> None:
    assert "s3cret" not in repr(URL(url))


@pytest.mark.parametrize(
    ("challenge", "text"),
    [
        (format_challenge("Basic", "WallyWorld"), 'Basic realm="WallyWorld"'),
        (
            format_challenge("Basic", "foo", {"charset": "UTF-8"}),
            'Basic realm="foo", charset="UTF-8"',
        ),
        (format_challenge("Bearer"), "Bearer"),
        (
            # RFC 6750, section 3.
            format_challenge("Bearer", "example", {"error": "invalid_token"}),
            'Bearer realm="example", error="invalid_token"',
        ),
        (format_challenge("Negotiate", token="YII="), "Negotiate YII="),
        (format_challenge("x", 'a "b"\\'), 'x realm="a \\"b\\"\\\\"'),
    ],
)
def test_format_challenge(challenge: str, text: str) -> None:
    assert challenge == text


@pytest.mark.parametrize(
    ("scheme", "realm", "parameters", "token"),
    [
        ("Basic", None, None, None),
        ("a b", "x", None, None),
        ("x", "a\r\nb", None, None),
        ("x", None, {"a b": "c"}, None),
        ("x", None, {"a": "1", "A": "2"}, None),
        ("x", None, {"a": "1"}, "token"),
        ("x", None, None, "to ken"),
    ],
)
def test_format_challenge_of_invalid_values_raises(
    scheme: str, realm: str | None, parameters: dict[str, str] | None, token: str | None
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_challenge(scheme, realm, parameters, token=token)


tokens = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=6)
visible = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
credentials = (
    st.builds(Authorization.basic, visible.filter(lambda text: ":" not in text), visible)
    | st.builds(
        Authorization,
        tokens.filter(lambda name: name.lower() != "basic"),
        st.from_regex(r"[A-Za-z0-9._~+/-]{1,9}={0,2}", fullmatch=True),
    )
    | st.builds(
        Authorization,
        tokens.filter(lambda name: name.lower() not in ("basic", "bearer")),
        st.none(),
        st.dictionaries(tokens.map(str.lower), visible),
    )
)


@pytest.mark.property
@given(credentials)
def test_parse_authorization_reverses_format_authorization(authorization: Authorization) -> None:
    parsed = parse_authorization(format_authorization(authorization))

    assert parsed == authorization
    assert (parsed.username, parsed.password) == (authorization.username, authorization.password)


@given(tokens, st.dictionaries(tokens.map(str.lower), visible, min_size=1))
def test_challenge_parameters_are_parsed_as_formatted(
    scheme: str, parameters: dict[str, str]
) -> None:
    parameters = {"realm": "x", **parameters}
    written, space, rest = format_challenge(scheme, None, parameters).partition(" ")
    pairs = [element.partition("=") for element in split_list(rest)]

    assert (written, space) == (scheme, " ")
    assert {name: unquote_pairs(value[1:-1]) for name, _, value in pairs} == parameters


@pytest.mark.property
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from([*'aB=," \\\t\xe9', "Basic ", "QTpC", "Bearer "])).map("".join)
)
def test_parse_authorization_of_any_text_never_raises(value: str) -> None:
    authorization = parse_authorization(value)

    if authorization is not None:
        assert parse_authorization(format_authorization(authorization)) == authorization


@pytest.mark.parametrize("head", ["", "Basic ", "X a=b"])
@pytest.mark.parametrize("text", ["a", "=", " ", ",", 'a="b",', '"', "\\", "a=b,", "a=", '"\\'])
def test_parse_authorization_takes_linear_time(head: str, text: str) -> None:
    assert grows_linearly(parse_authorization, text, head)
