"""Forwarded and X-Forwarded-*: which entries are trusted, and the address that results."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgikit.http.forwarded import (
    Network,
    Node,
    Trace,
    agree,
    format_forwarded,
    format_node,
    parse_forwarded,
    parse_node,
    trace_forwarded,
    trace_x_forwarded,
)
from tests.support.growth import grows_linearly

TRUSTED: list[Network] = ["10.0.0.0/8", "::1", "2001:db8::/32"]


# --- parsing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        # RFC 7239, section 4.
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        # Sections 5 and 7.1.
        (
            'for=192.0.2.43, for="[2001:db8:cafe::17]";host=example.com',
            [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]", "host": "example.com"}],
        ),
        ("for=_hidden, for=_SEVKISEK", [{"for": "_hidden"}, {"for": "_SEVKISEK"}]),
        ("", []),
        (" , ,", []),
        ("for=192.0.2.1:80", [{"for": "192.0.2.1:80"}]),  # as many proxies write it
        ("for=[::1]:80", [{"for": "[::1]:80"}]),
        (";for=a;;", [{"for": "a"}]),
        ("for=a ; proto=b", [{"for": "a", "proto": "b"}]),
        ('for="a,b;c=d"', [{"for": "a,b;c=d"}]),
        (r'for="a\"b\\"', [{"for": 'a"b\\'}]),
        ("for=", [{"for": ""}]),
        # Malformed elements do not affect their neighbours.
        ("for", [None]),
        ("for=a;for=b", [None]),
        ("for=a;FOR=a", [None]),
        ("for=a b, for=c", [None, {"for": "c"}]),
        ("for=a, =b", [{"for": "a"}, None]),
        ("for = a", [None]),
        ('for="a"b, for=c', [None, {"for": "c"}]),
        # An unterminated string from a client does not hide the element of the proxy.
        ('for="x, for=192.0.2.1', [None, {"for": "192.0.2.1"}]),
        ('for="x, for="[::1]"', [None, {"for": "[::1]"}]),
        ('x="\\, for="[::1]"', [None, {"for": "[::1]"}]),
        ('for=a, x=",for=192.0.2.1;host="b"', [None, {"for": "192.0.2.1", "host": "b"}]),
        # A client's text inside a quoted string of the proxy does not become an element.
        ('for=192.0.2.1;host=", for=6.6.6.6"', [{"for": "192.0.2.1", "host": ", for=6.6.6.6"}]),
        (
            r'for=192.0.2.1;host="\", for=6.6.6.6, \""',
            [{"for": "192.0.2.1", "host": '", for=6.6.6.6, "'}],
        ),
        (r'for=a;host="b\\", for=c', [{"for": "a", "host": "b\\"}, {"for": "c"}]),
    ],
)
def test_parse_forwarded_returns_none_for_malformed_elements(
    text: str, elements: list[Any]
) -> None:
    assert parse_forwarded(text) == elements


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("192.0.2.43", Node("192.0.2.43")),
        ("192.0.2.43:47011", Node("192.0.2.43", 47011)),
        ("[2001:db8:cafe::17]", Node("2001:db8:cafe::17")),
        ("[2001:DB8:0:0::17]:4711", Node("2001:db8::17", 4711)),
        ("2001:db8::17", Node("2001:db8::17")),  # the form of X-Forwarded-For
        ("::1", Node("::1")),
        ("192.0.2.43:_port", Node("192.0.2.43")),  # an obfport
        ("[::ffff:192.0.2.43]:1", Node("192.0.2.43", 1)),
        ("::ffff:192.0.2.43", Node("192.0.2.43")),
        ("192.0.2.43:0", Node("192.0.2.43", 0)),
        ("unknown", None),
        ("_gazonk", None),
        ("_gazonk:80", None),
        ("", None),
        ("192.0.2", None),
        ("192.0.2.256", None),
        ("192.0.2.043", None),  # a leading zero is ambiguous
        ("0xc0.0.2.1", None),
        ("3221226027", None),
        ("192.0.2.43:", None),
        ("192.0.2.43:65536", None),
        ("192.0.2.43:123456", None),
        ("192.0.2.43:-1", None),
        ("192.0.2.43:+1", None),
        ("192.0.2.43:_", None),
        ("[192.0.2.43]", None),
        ("[::1", None),
        ("::1]", None),
        ("[::1%25eth0]", None),
        ("fe80::1%eth0", None),
        ("::1::", None),
        (":" * 45, None),
        (" 192.0.2.43", None),
        ("192.0.2.43\n", None),
        ("192.0.2.43/24", None),
        ("\u0661\u0669\u0662.0.2.1", None),
        ("\xb92.0.2.1", None),
        ("localhost", None),
        ("a" * 10_000, None),
    ],
)
def test_parse_node(text: str, node: Node | None) -> None:
    assert parse_node(text) == node


# --- trust ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "chain", "host"),
    [
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),  # the client wrote the first entry
        ("10.0.0.1", "10.0.0.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # from the internal network
        ("192.0.2.1", "6.6.6.6", None),  # a peer that is not trusted
        ("192.0.2.1", "10.0.0.1", None),
        ("10.0.0.1", "", None),
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "6.6.6.6, x y, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "6.6.6.6,, 10.0.0.2", "6.6.6.6"),  # a list may have empty elements
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"),
        ("::1", "2001:db9::1, 2001:db8::1", "2001:db9::1"),
        (None, "192.0.2.1", None),
        ("testclient", "192.0.2.1", None),
    ],
)
def test_trace_follows_trusted_hosts_from_the_right(
    peer: str | None, chain: str, host: str | None
) -> None:
    entries = [entry.strip() for entry in chain.split(",") if entry.strip()]
    forwarded = ", ".join(f'for="{entry}"' if entry != "x y" else entry for entry in entries)
    one = trace_x_forwarded(peer, TRUSTED, addresses=chain).node
    other = trace_forwarded(peer, forwarded, TRUSTED).node

    assert one == other
    assert (None if one is None else one.host) == host


def test_trace_follows_at_most_100_entries() -> None:
    for own, node in ((99, "192.0.2.1"), (100, "10.0.0.9"), (30_000, "10.0.0.9")):
        chain = ["192.0.2.1", *["10.0.0.9"] * own]
        found = trace_x_forwarded("10.0.0.1", TRUSTED, addresses=",".join(chain)).node
        assert found == Node(node)
        text = ",".join(f"for={entry}" for entry in chain)
        assert trace_forwarded("10.0.0.1", text, TRUSTED).node == Node(node)


def test_trace_trusts_unix_peer_only_by_name() -> None:
    for peer in (None, "", "/run/app.sock"):
        assert trace_forwarded(peer, "for=192.0.2.1", ["unix"]).node == Node("192.0.2.1")
    # An entry without an address is not a unix socket.
    assert trace_forwarded(None, "for=6.6.6.6, for=_a", ["unix"]).node is None
    assert trace_forwarded("10.0.0.1", "for=192.0.2.1", ["unix"]).node is None


def test_trusted_networks_may_be_ipaddress_objects() -> None:
    trusted = (network for network in [ip_network("10.0.0.0/8"), "::1"])

    assert trace_x_forwarded("10.0.0.1", trusted, addresses="a, ::1").node == Node("::1")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.1", ip_address("10.0.0.1")),
        ("::1", ip_address("::1")),
        # Dual-stack sockets report addresses in this form.
        ("::ffff:10.0.0.1", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.0/104"),
        ("10.0.0.1", ip_network("::ffff:10.0.0.0/104")),
    ],
)
def test_trusted_ipv4_matches_mapped_ipv6_and_reverse(peer: str, trusted: Any) -> None:
    for unknown in ("10.1.0.1", "11.0.0.1", "::2"):
        trace = trace_x_forwarded(unknown, ["::3:0/112", "192.0.2.0/24"], addresses="192.0.2.1")
        assert trace.node is None
    trace = trace_x_forwarded(peer, [trusted], addresses="6.6.6.6, 192.0.2.1")
    assert trace.node == Node("192.0.2.1")
    assert trace_x_forwarded("11.0.0.1", [trusted], addresses="192.0.2.1").node is None


@pytest.mark.parametrize(
    ("trusted", "error"),
    [
        ("10.0.0.0/8", TypeError),
        (["10.0.0.1/8"], ValueError),  # host bits are set
        (["*"], ValueError),  # would trust the client itself
        (["proxy.example"], ValueError),
        ([None], TypeError),
        ([2130706433], TypeError),  # 127.0.0.1, to ipaddress
        ([b"\x7f\0\0\1"], TypeError),
    ],
)
def test_invalid_trusted_network_raises(trusted: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="network"):
        trace_forwarded("10.0.0.1", "", trusted)
    with pytest.raises(error, match="network"):
        trace_x_forwarded("10.0.0.1", trusted)


# --- scheme and host ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scheme", "host"),
    [
        ("for=192.0.2.1;proto=https;host=a.example", "https", "a.example"),
        ("for=192.0.2.1;PROTO=HTTPS", "https", None),
        ("for=192.0.2.1;proto=gopher", None, None),
        # The proxy nearest to the client counts.
        ("for=192.0.2.1;proto=https;host=a, for=10.0.0.2;proto=http;host=b", "https", "a"),
        ("for=192.0.2.1, for=10.0.0.2;proto=http;host=b", "http", "b"),
        ("for=6.6.6.6;proto=https;host=evil, for=192.0.2.1;proto=http", "http", None),
        # It may hide the address of the client.
        ("for=unknown;proto=https", "https", None),
        ("proto=https;host=a", "https", "a"),
        ("for=6.6.6.6;proto=https, x y", None, None),
        ("", None, None),
    ],
)
def test_trace_forwarded_takes_scheme_of_furthest_proxy(
    text: str, scheme: str | None, host: str | None
) -> None:
    trace = trace_forwarded("10.0.0.1", text, TRUSTED)

    assert (trace.scheme, trace.host) == (scheme, host)
    assert trace_forwarded("192.0.2.9", text, TRUSTED) == Trace()


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        ("192.0.2.1", "https", "https"),
        ("", "https", "https"),
        ("192.0.2.1, 10.0.0.2", "https, http", "https"),
        ("192.0.2.1, 10.0.0.2", "https", "https"),  # a proxy replaced the header
        ("6.6.6.6, 192.0.2.1", "https, http", "http"),  # the client wrote the first entry
        ("192.0.2.1", "https, http", "http"),
        ("192.0.2.1", "ftp", None),
        ("192.0.2.1", "", None),
        ("192.0.2.1", " , ", None),
    ],
)
def test_trace_x_forwarded_aligns_schemes_with_proxies(
    addresses: str, schemes: str, scheme: str | None
) -> None:
    def trace(peer: str) -> Trace:
        return trace_x_forwarded(
            peer, TRUSTED, addresses=addresses, schemes=schemes, hosts="b.example"
        )

    assert (trace("10.0.0.1").scheme, trace("10.0.0.1").host) == (scheme, "b.example")
    assert trace("192.0.2.9") == Trace()


def test_agree_keeps_values_that_both_traces_share() -> None:
    node = Node("192.0.2.1", 80)
    trace = Trace(node, "https", "a")

    assert agree(trace, trace) == trace
    assert agree(trace, Trace(Node("192.0.2.1"), "https", "a")) == trace
    assert agree(trace, Trace(Node("6.6.6.6"), "http", "b")) == Trace()
    assert agree(trace, Trace()) == Trace()
    assert agree(Trace(), trace) == Trace()


# --- properties -----------------------------------------------------------------------------------

tokens = st.text("abc019!#-.^", min_size=1, max_size=5)
values = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
elements = st.lists(st.dictionaries(tokens, values, min_size=1, max_size=4), max_size=4)
addresses = st.ip_addresses().map(str).map(parse_node).filter(bool)


@pytest.mark.property
@given(elements)
def test_parse_forwarded_reverses_format_forwarded(written: list[dict[str, str]]) -> None:
    assert parse_forwarded(format_forwarded(written)) == written


@given(addresses, st.none() | st.integers(0, 65535))
def test_parse_node_reverses_format_node(node: Node, port: int | None) -> None:
    node = Node(node.host, port)

    assert parse_node(format_node(node)) == node


@pytest.mark.parametrize("element", [{}, {"a b": "c"}, {"a": "b\r\n"}, {"": "a"}])
def test_format_forwarded_of_invalid_element_raises(element: dict[str, str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        format_forwarded([element])


fragments = st.sampled_from(
    [*';,="\\ _:[].', "for=", "192.0.2.1", "10.0.0.1", "[::1]", "unknown", "proto=https", "\xe9"]
)
texts = st.lists(fragments, max_size=30).map("".join) | st.text(max_size=40)


@pytest.mark.property
@given(texts, st.sampled_from([None, "10.0.0.1", "192.0.2.1", "x"]))
def test_traces_of_any_text_never_raise(text: str, peer: str | None) -> None:
    for trusted in (TRUSTED, ["0.0.0.0/0", "::/0", "unix"], []):
        forwarded = trace_forwarded(peer, text, trusted)
        other = trace_x_forwarded(peer, trusted, addresses=text, schemes=text, hosts=text)
        if not trusted:
            assert forwarded == other == Trace()


@pytest.mark.property
@given(texts)
def test_client_text_never_replaces_entry_of_proxy(sent: str) -> None:
    sent = sent.replace("\n", " ")
    for added in ("for=192.0.2.1;proto=http;host=a", 'proto=http;host=a;for="192.0.2.1"'):
        trace = trace_forwarded("10.0.0.1", f"{sent}, {added}", TRUSTED)
        assert trace == Trace(Node("192.0.2.1"), "http", "a")
    trace = trace_x_forwarded(
        "10.0.0.1", TRUSTED, addresses=f"{sent}, 192.0.2.1", schemes=f"{sent}, http"
    )
    assert trace == Trace(Node("192.0.2.1"), "http")


@pytest.mark.parametrize(
    "text",
    ["a", ",", '"', '\\"', '"\\', "\\", ";", "for=10.0.0.1,", 'for="10.0.0.1",', "[", ":", "a=b;"],
)
def test_traces_take_linear_time(text: str) -> None:
    def trace_both(field: str) -> None:
        trace_forwarded("10.0.0.1", field, TRUSTED)
        trace_x_forwarded("10.0.0.1", TRUSTED, addresses=field, schemes=field)

    for head in ("", 'for="'):
        assert grows_linearly(trace_both, text, head)
        assert grows_linearly(trace_both, text, head, '"')
