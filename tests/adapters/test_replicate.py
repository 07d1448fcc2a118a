"""Replicate over the wire: every end of an exchange, and its interpretation.

Most important: an attempt of which a byte may have been sent is never `NotSent`.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import (
    PageTooLargeError,
    ProviderSilentError,
    ProviderUnavailableError,
    UnavailableError,
)
from darkroom.outbound.http import Client
from darkroom.ports import Answered, NoAnswer, NotSent
from darkroom.replicate import client as replicate
from darkroom.replicate.client import Replicate

from tests.support import servers
from tests.support.fakes import FakeSecrets
from tests.support.servers import (
    BUDGET,
    Server,
    answer,
    drip,
    http,
    read_request,
    serving,
    within,
)

if TYPE_CHECKING:
    from tests.support.servers import Serve

PREDICTION = {"id": "p1", "status": "starting", "input": {}, "output": None, "logs": ""}
NOWHERE = ["http://[::g]/", "http://xn--/", "http://" + "a" * 66_000, "//", "https://["]
"""Redirects that are not valid URLs."""


def provider(url: str) -> Replicate:
    return Replicate(Client(), url, FakeSecrets())


def create(to: Server | str, budget_s: float = 5.0, **changes: Any) -> Any:
    request: dict[str, Any] = {
        "model": "owner/name",
        "version": None,
        "input_": {"prompt": "Dackel 🐕", "n": 10**40},
        "webhook": "https://darkroom.test/hooks/replicate/x?t=y",
        "events": ("completed", "start"),
        "cancel_after_s": 60,
    }
    given = {**request, **changes}
    made = provider(to.url if isinstance(to, Server) else to)
    return made.create(**given, budget_s=budget_s)


# Answered creates


def test_a_create_is_sent_as_replicate_takes_it() -> None:
    with serving(answer(201, PREDICTION)) as server:
        assert create(server) == Answered(201, PREDICTION, None)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/predictions http/1.1"
    assert "authorization: bearer r8_fake" in lines
    assert "cancel-after: 60s" in lines
    assert "content-type: application/json" in lines
    assert "accept-encoding: identity" in lines
    assert not any(line.startswith("prefer:") for line in lines)
    assert json.loads(body) == {
        "version": "owner/name",
        "input": {"prompt": "Dackel 🐕", "n": 10**40},
        "webhook": "https://darkroom.test/hooks/replicate/x?t=y",
        "webhook_events_filter": ["completed", "start"],
    }


def test_a_pinned_version_is_sent_in_the_models_place() -> None:
    with serving(answer(201, PREDICTION)) as server:
        create(server, version="f" * 64)
    assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2])["version"] == "f" * 64


@pytest.mark.parametrize("status", [200, 400, 401, 402, 404, 422, 429, 500, 502, 503, 504])
def test_every_status_is_handed_on_with_its_body(status: int) -> None:
    with serving(answer(status, {"detail": "said"})) as server:
        assert create(server) == Answered(status, {"detail": "said"}, None)


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        pytest.param("7", {}, 7.0, id="header"),
        pytest.param("", {"retry_after": 3}, 3.0, id="body"),
        pytest.param("7", {"retry_after": 3.5}, 3.5, id="both"),
        pytest.param("7", {"retry_after": "soon"}, 7.0, id="body-unreadable"),
        pytest.param("Wed, 21 Oct 2026 07:28:00 GMT", {}, None, id="date"),
        pytest.param("-1", {}, None, id="negative"),
        pytest.param("nan", {}, None, id="nan"),
        pytest.param("1e300", {}, None, id="absurd"),
        pytest.param("", [], None, id="none"),
    ],
)
def test_when_to_try_again(header: str, body: Any, seconds: float | None) -> None:
    with serving(answer(429, body, {"retry-after": header})) as server:
        assert create(server) == Answered(429, body, seconds)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"9" * 5000, id="digits"),
        pytest.param(b"x" * 20_000_001, id="too-large"),
        pytest.param(gzip.compress(json.dumps(PREDICTION).encode()), id="compressed"),
    ],
)
def test_a_2xx_that_cannot_be_read_is_still_an_answer(body: bytes) -> None:
    with serving(answer(201, body)) as server:
        assert create(server) == Answered(201, None, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with serving(answer(200, PREDICTION)) as elsewhere:
        moved = answer(status, {}, {"location": f"{elsewhere.url}/v1/predictions"})
        with serving(moved) as server:
            assert create(server) == Answered(status, {}, None)
    assert (len(server.requests), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("location", NOWHERE)
def test_a_redirect_to_nowhere_is_a_redirect(location: str) -> None:
    """Some clients parse it even if they follow no redirects, and raise."""
    with serving(answer(302, {}, {"location": location})) as server:
        assert create(server) == Answered(302, {}, None)
    assert len(server.requests) == 1


# Unanswered creates


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_refused_connection_is_not_sent() -> None:
    assert create(f"http://127.0.0.1:{closed_port()}") == NotSent()


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 64 + ".example", "a..example"])
def test_a_name_that_does_not_resolve_is_not_sent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, *_args: Any, **_more: Any) -> Any:
        host.encode("idna")
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert create(f"http://{name}") == NotSent()


def test_without_a_token_nothing_is_sent() -> None:
    class Unset(FakeSecrets):
        def replicate_token(self) -> str:
            raise UnavailableError("Replicate's token is not set.")

    with serving(answer(201, PREDICTION)) as server:
        made = Replicate(Client(), server.url, Unset())
        sent = made.create(
            model="a/b",
            version=None,
            input_={},
            webhook="w",
            events=(),
            cancel_after_s=5,
            budget_s=1,
        )
        assert sent == NotSent()
        with pytest.raises(ProviderUnavailableError):
            made.get("p1")
    assert server.connections == 0


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(servers.reset, id="reset-after-the-request"),
        pytest.param(servers.reset_at_once, id="reset-within-the-request"),
        pytest.param(servers.reply(b""), id="closed-without-a-word"),
        pytest.param(servers.reply(b"HTTP/1.1 201 Created\r\ncontent-le"), id="closed-in-the-head"),
        pytest.param(
            servers.reply(http(201, PREDICTION, {"content-length": "9999"})),
            id="closed-in-the-body",
        ),
        pytest.param(servers.reply(b"SSH-2.0-OpenSSH_9.6\r\n"), id="not-http"),
        pytest.param(
            servers.reply(b"HTTP/1.1 201 x\r\ncontent-length: x\r\n\r\n"), id="bad-length"
        ),
        pytest.param(
            servers.reply(b"HTTP/1.1 201 x\r\n" + b"a: b\r\n" * 100_000), id="endless-headers"
        ),
        pytest.param(
            servers.reply(b"HTTP/1.1 201 x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            id="bad-chunk",
        ),
    ],
)
def test_once_a_byte_has_left_a_failure_is_no_answer(serve: Serve) -> None:
    with serving(serve) as server:
        assert create(server) == NoAnswer()
    assert server.connections == 1


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(servers.silent, id="silent"),
        pytest.param(drip(http(201, PREDICTION)), id="head-by-bytes"),
        pytest.param(
            drip(b" " * 1000, start=http(201, b"", {"content-length": "1000"})), id="body-by-bytes"
        ),
        pytest.param(drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), id="continue-for-ever"),
    ],
)
def test_the_wall_clock_ends_it_however_the_server_stalls(serve: Serve) -> None:
    with serving(serve) as server, within(BUDGET):
        assert create(server, BUDGET) == NoAnswer()


@pytest.mark.parametrize("serve", [servers.deaf, servers.sipping])
def test_the_wall_clock_ends_a_large_request_that_is_not_read(serve: Serve) -> None:
    """The timeout of a write applies to each of its chunks, so the chunks are small."""
    large = {"image": "x" * 20_000_000}
    with serving(serve) as server, within(BUDGET):
        assert create(server, BUDGET, input_=large) == NoAnswer()


def test_the_budget_is_the_only_time_out() -> None:
    """No other limit may end a dispatch of 20 seconds earlier."""
    client = Client()
    client.begin(20.0)
    assert 19 < client.left(None) <= 20
    assert client.left(0.1) == 0.1


@pytest.mark.parametrize("serve", [servers.deaf, drip(b"x" * 1000), servers.reply(b"HTTP/1.1")])
def test_a_handshake_that_fails_is_not_sent(serve: Serve) -> None:
    with serving(serve) as server, within(BUDGET):
        assert create(server.url.replace("http:", "https:"), BUDGET) == NotSent()


def test_a_certificate_of_nobody_is_not_sent(certificate: Certificate) -> None:
    with serving(answer(201, PREDICTION), tls=certificate.server) as server:
        assert create(server.url.replace("http:", "https:")) == NotSent()
    assert server.requests == []


def test_over_tls_the_same_cap_holds(certificate: Certificate) -> None:
    slow = drip(http(201, PREDICTION))
    with serving(answer(201, PREDICTION), slow, tls=certificate.server) as server:
        made = provider(server.url.replace("http:", "https:"))
        made.client.ssl_context.load_verify_locations(cadata=certificate.pem)
        snapshot = made.get("p1")
        assert snapshot is not None
        assert snapshot.provider_id == "p1"
        with within(BUDGET):
            sent = made.create(
                model="a/b",
                version=None,
                input_={},
                webhook="w",
                events=(),
                cancel_after_s=5,
                budget_s=BUDGET,
            )
    assert sent == NoAnswer()


@dataclass
class Certificate:
    server: ssl.SSLContext
    pem: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a self-signed certificate for 127.0.0.1."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(context, pem.decode())


# Connection


def test_a_connection_is_used_again() -> None:
    with serving(answer(200, PREDICTION, times=3)) as server:
        made = provider(server.url)
        for _ in range(3):
            made.get("p1")
        made.client.close()
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_kept_connection_that_has_died_is_replaced() -> None:
    with serving(servers.reply(http(200, PREDICTION))) as server:
        made = provider(server.url)
        made.get("p1")
        assert server.closed.acquire(timeout=60)
        assert made.get("p1") is not None
    assert server.connections == 2


def test_a_kept_connection_that_dies_under_a_create_is_no_answer() -> None:
    """It may have been lost after the request was read, so nothing is sent a second time."""

    def one_then_gone(connection: socket.socket, server: Server) -> None:
        read_request(connection, server)
        connection.sendall(http(200, PREDICTION))
        read_request(connection, server)

    with serving(one_then_gone, answer(201, PREDICTION)) as server:
        made = provider(server.url)
        made.get("p1")
        sent = made.create(
            model="a/b",
            version=None,
            input_={},
            webhook="w",
            events=(),
            cancel_after_s=5,
            budget_s=5,
        )
    assert sent == NoAnswer()
    assert server.connections == 1


def test_another_address_of_the_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = ("127.0.0.1", closed_port())
    connect = socket.create_connection

    def connecting(address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        return connect(closed if address[0] == "192.0.2.1" else address, *args, **more)

    resolve = socket.getaddrinfo

    def resolving(host: str, *args: Any, **more: Any) -> Any:
        names = ["192.0.2.1", "127.0.0.1"] if host == "api.test" else [host]
        return [found for each in names for found in resolve(each, *args, **more)]

    with serving(answer(200, PREDICTION)) as server, monkeypatch.context() as dns:
        dns.setattr(socket, "create_connection", connecting)
        dns.setattr(socket, "getaddrinfo", resolving)
        snapshot = provider(f"http://api.test:{server.port}").get("p1")
    assert snapshot is not None
    assert b"Host: api.test" in server.requests[0]


def test_a47_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(500, {})) as proxy, serving(answer(200, PREDICTION)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert provider(server.url).get("p1") is not None
    assert proxy.connections == 0


def test_credentials_of_a_netrc_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login NETRC password NETRC")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answer(200, PREDICTION)) as server:
        provider(server.url).get("p1")
    assert b"Bearer r8_fake" in server.requests[0]


def test_cookies_are_not_kept() -> None:
    with serving(answer(200, PREDICTION, {"set-cookie": "a=b; Path=/"})) as server:
        made = provider(server.url)
        made.get("p1")
        made.get("p1")
    assert len(server.requests) == 2
    assert b"cookie" not in b"".join(server.requests).lower()


# Reads


def test_get_and_cancel_ask_for_the_one_prediction() -> None:
    with serving(answer(200, PREDICTION)) as server:
        made = provider(server.url)
        found, canceled = made.get("p1"), made.cancel("p1")
    assert found == canceled
    assert found is not None
    assert found.status == "starting"
    lines = [request.split(b" HTTP")[0] for request in server.requests]
    assert lines == [b"GET /v1/predictions/p1", b"POST /v1/predictions/p1/cancel"]


def test_an_id_cannot_lead_to_another_path() -> None:
    with serving(answer(404, {})) as server:
        assert provider(server.url).get("../../x?y#z") is None
    assert server.requests[0].startswith(b"GET /v1/predictions/..%2F..%2Fx%3Fy%23z HTTP")


def test_an_unknown_id_is_none() -> None:
    with serving(answer(404, {"detail": "not found"})) as server:
        made = provider(server.url)
        assert made.get("p1") is None
        assert made.cancel("p1") is None
        assert made.input_schema("a/b", "f" * 64) is None


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(answer(401, {}), id="401"),
        pytest.param(answer(429, {}), id="429"),
        pytest.param(answer(500, {}), id="500"),
        pytest.param(answer(302, {}, {"location": "https://["}), id="redirect"),
        pytest.param(answer(200, b"<html>"), id="html"),
        pytest.param(answer(200, b""), id="empty"),
        pytest.param(answer(200, []), id="list"),
        pytest.param(answer(200, {"results": 7}), id="no-page"),
        pytest.param(servers.reset, id="reset"),
        pytest.param(servers.reply(b""), id="closed"),
    ],
)
def test_a_read_without_a_usable_answer_is_unavailable(serve: Serve) -> None:
    with serving(serve) as server:
        made = provider(server.url)
        for read in (lambda: made.get("p1"), lambda: made.cancel("p1"), lambda: made.page(0)):
            with pytest.raises(ProviderUnavailableError):
                read()


def test_a_read_that_stalls_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "READ_BUDGET_S", BUDGET)
    with serving(servers.silent) as server, within(BUDGET), pytest.raises(ProviderUnavailableError):
        provider(server.url).get("p1")


def test_a_schema_is_the_versions_own() -> None:
    with serving(answer(200, {"openapi_schema": {"x": 1}})) as server:
        assert provider(server.url).input_schema("a/b", "f" * 64) == {"x": 1}
    assert server.requests[0].startswith(b"GET /v1/models/a/b/versions/" + b"f" * 64)


# List


def page(*ids: str, following: Any = None) -> dict[str, Any]:
    return {"results": [{**PREDICTION, "id": id_} for id_ in ids], "next": following}


def paged(*pages: Any) -> Serve:
    """Serve pages in turn, with `{url}` replaced by the server's own."""

    def serve(connection: socket.socket, server: Server) -> None:
        for each in pages:
            read_request(connection, server)
            text = json.dumps(each).replace("{url}", server.url)
            connection.sendall(http(200, text.encode()))

    return serve


def test_a_page_is_asked_for_by_time_and_then_by_its_cursor() -> None:
    pages = paged(page("a", "b", following="{url}/v1/predictions?cursor=2"), page("c"))
    with serving(pages) as server:
        made = provider(server.url)
        first = made.page(1_800_000_000_000, 1_800_000_001_000)
        second = made.page(1_800_000_000_000, 1_800_000_001_000, first.next)
    assert [snapshot.provider_id for snapshot in first.snapshots] == ["a", "b"]
    assert [snapshot.provider_id for snapshot in second.snapshots] == ["c"]
    assert (first.complete, second.complete, second.next) == (True, True, None)
    asked = [request.split(b" HTTP")[0] for request in server.requests]
    window = b"created_after=2027-01-15T08%3A00%3A00.000Z&created_before=2027-01-15T08%3A00%3A01"
    assert asked[0] == b"GET /v1/predictions?" + window + b".000Z"
    assert asked[1] == b"GET /v1/predictions?cursor=2"


def test_a_page_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "LARGEST_ANSWER", 1000)
    with serving(answer(200, {"results": [], "x": "x" * 1000})) as server:
        made = provider(server.url)
        with pytest.raises(PageTooLargeError):
            made.page(0)
        made.client.close()


def test_silence_is_told_apart_from_a_useless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "READ_BUDGET_S", BUDGET)
    with serving(servers.silent) as server, pytest.raises(ProviderSilentError):
        provider(server.url).page(0)


@pytest.mark.parametrize(
    ("serve", "works"),
    [
        pytest.param(answer(200, {}), True, id="200"),
        pytest.param(answer(401, {}), False, id="401"),
        pytest.param(answer(403, {}), False, id="403"),
        pytest.param(answer(500, {}), True, id="500"),
        pytest.param(servers.reset, True, id="reset"),
    ],
)
def test_whether_the_token_works(serve: Serve, works: bool) -> None:
    with serving(serve) as server:
        assert provider(server.url).token_works() is works


@pytest.mark.parametrize(
    "following",
    ["https://evil.example/v1/predictions", "{url}.evil.example/", "/v1/predictions?x", ""],
)
def test_the_token_goes_to_no_other_host(following: Any) -> None:
    with (
        serving(paged(page("a", following=following))) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        provider(server.url).page(0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "odd", [None, 7, {}, {**PREDICTION, "status": 7}, {**PREDICTION, "id": ""}]
)
def test_an_entry_that_cannot_be_read_could_be_the_one(odd: Any) -> None:
    """A search that skipped the item must not count as complete."""
    with serving(answer(200, {"results": [PREDICTION, odd], "next": None})) as server:
        found = provider(server.url).page(0)
    assert [snapshot.provider_id for snapshot in found.snapshots] == ["p1"]
    assert not found.complete


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b'{"id": "x", "input": {"deep": ' + nested(100) + b"}}", id="deep"),
        pytest.param(b'{"id": "x", "input": {"deep": ' + nested(90_000) + b"}}", id="too-deep"),
        pytest.param(b'{"id": "x", "logs": "\\ud800", "status": "processing"}', id="surrogate"),
        pytest.param(b'{"id": "x", "logs": NaN, "status": "processing"}', id="nan"),
        pytest.param(b'{"id": "x", "id": "y", "status": "processing"}', id="doubled-key"),
        pytest.param(b'{"id": "x", "metrics": {"n": %s}}' % (b"9" * 5000), id="digits"),
        pytest.param(b'{"id": "x", "logs": "\xff\xfe", "status": "processing"}', id="not-utf-8"),
        pytest.param(b'{"id": "x", "logs": "], [", "results": [[]]}', id="brackets"),
    ],
)
def test_one_odd_item_costs_no_other(odd: bytes) -> None:
    good = [json.dumps({**PREDICTION, "id": id_}).encode() for id_ in ("before", "after")]
    raw = b'{"next": null, "results": [' + b", ".join([good[0], odd, good[1]]) + b"]}"
    found = {snapshot.provider_id for snapshot in replicate.page_of(raw).snapshots}
    assert {"before", "after"} <= found
