"""Allowed URLs and addresses. Case numbers are those of the list of A-cases."""

from __future__ import annotations

import httpx
import pytest
from darkroom.outbound.download import allowed, callback_guard, is_loopback, output_guard
from darkroom.outbound.http import public
from hypothesis import given
from hypothesis import strategies as st

HOSTS = ("replicate.delivery", "*.replicate.delivery", "http://127.0.0.1:9000")


@pytest.mark.parametrize(
    "url",
    [
        "https://replicate.delivery/a/b.png",
        "https://replicate.delivery:443/x",
        "https://pbxt.replicate.delivery/x?y=z#f",
        "https://a.b.replicate.delivery/",
        "https://REPLICATE.delivery/",
        "http://127.0.0.1:9000/x.png",
    ],
)
def test_urls_of_the_allowed_hosts(url: str) -> None:
    assert allowed(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://replicate.delivery/x", id="A28-http"),
        pytest.param("file:///etc/passwd", id="A29-file"),
        pytest.param("gopher://replicate.delivery/", id="A29-gopher"),
        pytest.param("ftp://replicate.delivery/", id="A29-ftp"),
        pytest.param("data:image/png;base64,AAAA", id="A29-data"),
        pytest.param("blob:https://replicate.delivery/x", id="A29-blob"),
        pytest.param("https://user@replicate.delivery/", id="A30-user"),
        pytest.param("https://user:pw@replicate.delivery/", id="A30-password"),
        pytest.param("https://@replicate.delivery/", id="A30-empty-user"),
        pytest.param("https://replicate.delivery:8443/", id="A31-port"),
        pytest.param("https://replicate.delivery:80/", id="A31-port-80"),
        pytest.param("https://replicate.delivery:99999/", id="A31-port-out-of-range"),
        pytest.param("https://replicate.delivery:x/", id="A31-port-text"),
        pytest.param("https://169.254.169.254/", id="A32-metadata"),
        pytest.param("https://127.0.0.1/", id="A33-loopback"),
        pytest.param("https://[::1]/", id="A33-loopback-6"),
        pytest.param("http://127.0.0.1:9001/x", id="another-port"),
        pytest.param("http://127.0.0.1/x", id="no-port"),
        pytest.param("https://127.0.0.1:9000/x", id="another-scheme"),
        pytest.param("http://2130706433:9000/", id="A34-decimal"),
        pytest.param("http://0x7f000001:9000/", id="A34-hex"),
        pytest.param("http://127.1:9000/", id="A34-short"),
        pytest.param("https://replicate。delivery/", id="A35-ideographic-stop"),
        pytest.param("https://①②⑦.0.0.1/", id="A36-circled-digits"),
        pytest.param("https://replicate.delivery\\@evil.example/", id="A45-backslash"),
        pytest.param("https://evil.example\\.replicate.delivery/", id="A45-backslash-before"),
        pytest.param("https://evil.example#@replicate.delivery/", id="A45-hash"),
        pytest.param("https://evil.example?.replicate.delivery/", id="A45-question-mark"),
        pytest.param("https://replicate.delivery.evil.example/", id="prefix"),
        pytest.param("https://evilreplicate.delivery/", id="suffix"),
        pytest.param("https://replicate.delivery./", id="A46-trailing-dot"),
        pytest.param("https://xn--rplicate-d1a.delivery/", id="A46-homograph-in-ascii"),
        pytest.param("https://réplicate.delivery/", id="A46-homograph"),
        pytest.param("https://localhost/", id="A46-localhost"),
        pytest.param("https://vpce-1.s3.eu-west-1.amazonaws.com/", id="A46-aws"),
        pytest.param("https://replicate.delivery/a b", id="space"),
        pytest.param(" https://replicate.delivery/", id="leading-space"),
        pytest.param("https://replicate.delivery/\r\nHost: x", id="line-break"),
        pytest.param("https://repli\tcate.delivery/", id="tab"),
        pytest.param("https://replicate.delivery/\0", id="nul"),
        pytest.param("https://[replicate.delivery/", id="broken-bracket"),
        pytest.param("https://[::1%25eth0].replicate.delivery/", id="zone"),
        pytest.param("https:///replicate.delivery", id="no-host"),
        pytest.param("https:replicate.delivery", id="no-slashes"),
        pytest.param("//replicate.delivery/", id="no-scheme"),
        pytest.param("", id="empty"),
    ],
)
def test_urls_that_are_not_let_through(url: str) -> None:
    assert not allowed(url, HOSTS)


PIECES = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "//",
            "/",
            "?",
            "#",
            "@",
            ":",
            ":443",
            ":9000",
            "\\",
            "%2f",
            "%40",
        ),
        *("[", "]", "::1", ".", "%2e", "evil.example", "127.0.0.1", "x", "\t", "%", ";", "&"),
        *(
            "replicate.delivery",
            ".replicate.delivery",
            "a.replicate.delivery",
            "RePlicate.delivery",
        ),
    ]
)


@given(st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=20).map("https://".__add__))
def test_the_host_that_is_asked_is_the_one_that_was_allowed(url: str) -> None:
    """Two parsers read a URL: the one that allows it, and httpx's."""
    if allowed(url, HOSTS):
        asked = httpx.URL(url)
        local = (asked.scheme, asked.host, asked.port) == ("http", "127.0.0.1", 9000)
        ours = asked.host == "replicate.delivery" or asked.host.endswith(".replicate.delivery")
        assert local or (ours and asked.scheme == "https" and asked.port is None)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "104.16.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"]
)
def test_public_addresses(address: str) -> None:
    assert public("x", address, 443)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("169.254.169.254", id="A32-metadata"),
        pytest.param("169.254.170.2", id="A32-container-credentials"),
        pytest.param("fd00:ec2::254", id="A32-metadata-6"),
        pytest.param("127.0.0.1", id="A33-loopback"),
        pytest.param("127.255.255.254", id="A33-loopback-end"),
        pytest.param("::1", id="A33-loopback-6"),
        pytest.param("0.0.0.0", id="A33-any"),
        pytest.param("::", id="A33-any-6"),
        pytest.param("0.1.2.3", id="this-network"),
        pytest.param("10.0.0.1", id="private-10"),
        pytest.param("172.31.255.255", id="private-172"),
        pytest.param("192.168.1.1", id="private-192"),
        pytest.param("::ffff:169.254.169.254", id="A37-mapped"),
        pytest.param("::ffff:10.0.0.1", id="A37-mapped-private"),
        pytest.param("::ffff:100.64.0.1", id="A37-mapped-shared"),
        pytest.param("::ffff:192.88.99.1", id="A37-mapped-relay"),
        pytest.param("::127.0.0.1", id="v4-compatible"),
        pytest.param("::ffff:0:127.0.0.1", id="v4-translated"),
        pytest.param("64:ff9b::a9fe:a9fe", id="A38-nat64"),
        pytest.param("64:ff9b:1::1", id="A38-nat64-local"),
        pytest.param("2002:a9fe:a9fe::", id="A38-6to4"),
        pytest.param("2001:0:7f00:1::", id="A38-teredo"),
        pytest.param("192.88.99.1", id="A38-6to4-relay"),
        pytest.param("224.0.0.1", id="A38-multicast"),
        pytest.param("ff02::1", id="A38-multicast-6"),
        pytest.param("ff0e::1", id="A38-multicast-6-global"),
        pytest.param("100.64.0.1", id="A39-shared"),
        pytest.param("100.127.255.255", id="A39-shared-end"),
        pytest.param("198.18.0.1", id="A39-benchmark"),
        pytest.param("240.0.0.1", id="A39-reserved"),
        pytest.param("255.255.255.255", id="A39-broadcast"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("2001:db8::1", id="documentation-6"),
        pytest.param("3fff::1", id="documentation-6-new"),
        pytest.param("fe80::1", id="link-local"),
        pytest.param("fe80::1%eth0", id="link-local-zone"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("fc00::1", id="unique-local"),
        pytest.param("5f00::1", id="segment-routing"),
        pytest.param("100::1", id="discard"),
        pytest.param("4000::1", id="unassigned"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not public("x", address, 443)
    assert not output_guard(HOSTS)("replicate.delivery", address, 443)
    assert not callback_guard(local=False)("client.example", address, 443)
    assert not callback_guard(local=True)("client.example", address, 443)


def test_no_other_port_even_on_a_public_address() -> None:
    assert not public("x", "8.8.8.8", 80)
    assert not public("x", "8.8.8.8", 22)


def test_an_origin_is_let_through_as_a_whole_only() -> None:
    guard = output_guard(HOSTS)
    assert guard("127.0.0.1", "127.0.0.1", 9000)
    assert not guard("127.0.0.1", "127.0.0.1", 9001)
    assert not guard("localhost", "127.0.0.1", 9000)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("localhost", "::1")],
)
def test_loopback_callbacks_only_where_the_stage_says_so_and_by_their_names(
    host: str, address: str
) -> None:
    assert callback_guard(local=True)(host, address, 8080)
    assert not callback_guard(local=True)(host, "10.0.0.1", 8080)
    assert not callback_guard(local=False)(host, address, 8080)
    assert not callback_guard(local=True)("127.0.0.1.evil.example", address, 8080)
    assert not callback_guard(local=True)("evil.example", "127.0.0.1", 8080)
    assert not callback_guard(local=True)("127.0.0.1", "10.0.0.1", 8080)
    assert not callback_guard(local=False)("127.0.0.1", "127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:9000/x", True),
        ("https://127.0.0.1:9000/x", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://user@127.0.0.1/", False),
        ("http://localhost/", True),
        ("http://LOCALHOST:9000/", True),
        ("http://localhost.evil.example/", False),
        ("https://localhost/", False),
        ("http://127.1/", False),
        ("http://[::1]/", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_what_a_loopback_url_is(url: str, found: bool) -> None:
    assert is_loopback(url) is found
