"""persist and deliver, complete except for AWS, against hostile URLs, resolvers and servers.

Case numbers are those of tests/cases.py. These tests check the record and the bucket;
test_download.py and test_addresses.py check the client itself.
"""

from __future__ import annotations

import gzip
import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.prediction import Code, State
from darkroom.handlers import deliver, persist
from darkroom.outbound.download import Callbacks, OutputFetcher, callback_guard, output_guard
from darkroom.outbound.http import Client

from tests.support import events, servers
from tests.support.servers import BUDGET, addresses, answer, drip, http, serving, within
from tests.support.world import PNG, World

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.support.servers import Serve, Server

HOSTS = ("replicate.delivery", "*.replicate.delivery")
MOST = 1_000_000


def storing(world: World, url: str) -> Prediction:
    """Return a prediction whose webhook named this output."""
    record = world.accept()
    world.provider.finish(str(record.provider_id), output=[url])
    world.webhook(record.id, str(record.provider_id))
    return world.record(record.id)


def copied(
    world: World,
    record: Prediction,
    hosts: tuple[str, ...],
    budget_s: float = 5.0,
) -> Prediction:
    """Return the record after its message was processed by persist, over the real client."""
    fetcher = OutputFetcher(Client(output_guard(hosts)), hosts, MOST, budget_s)
    service = replace(world.persist, fetcher=fetcher)
    handler = persist.FUNCTION.entry(lambda: service)
    result = handler(events.sqs({"id": record.id}), events.Context())
    assert result == {"batchItemFailures": []}
    fetcher.client.close()
    return world.record(record.id)


def copied_from(server: Server, budget_s: float = 5.0) -> tuple[World, Prediction]:
    world = World()
    record = storing(world, f"{server.url}/0.png")
    return world, copied(world, record, (server.url,), budget_s)


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **_more: Any) -> Any:
        pytest.fail(f"looked up or connected to {args[0]}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://replicate.delivery/x.png", id="A28-http"),
        pytest.param("https://user@replicate.delivery/x.png", id="A30-user"),
        pytest.param("https://user:pw@replicate.delivery/x.png", id="A30-password"),
        pytest.param("https://replicate.delivery:8443/x.png", id="A31-port"),
        pytest.param("http://replicate.delivery:80/x.png", id="A31-port-80"),
        pytest.param("http://169.254.169.254/latest/meta-data/", id="A32-metadata"),
        pytest.param("http://169.254.170.2/v2/credentials", id="A32-container-credentials"),
        pytest.param("http://[fd00:ec2::254]/", id="A32-metadata-6"),
        pytest.param("https://127.0.0.1/x.png", id="A33-loopback"),
        pytest.param("https://[::1]/x.png", id="A33-loopback-6"),
        pytest.param("https://0.0.0.0/x.png", id="A33-any"),
        pytest.param("https://2130706433/x.png", id="A34-decimal"),
        pytest.param("https://017700000001/x.png", id="A34-octal"),
        pytest.param("https://0x7f000001/x.png", id="A34-hex"),
        pytest.param("https://127.1/x.png", id="A34-short"),
        pytest.param("https://169。254。169。254/x.png", id="A35-ideographic-stops"),
        pytest.param("https://①②⑦.0.0.1/x.png", id="A36-circled-digits"),
        pytest.param("https://[::ffff:169.254.169.254]/x.png", id="A37-mapped"),
        pytest.param("https://[64:ff9b::a9fe:a9fe]/x.png", id="A38-nat64"),
        pytest.param("https://[2002:a9fe:a9fe::]/x.png", id="A38-6to4"),
        pytest.param("https://192.88.99.1/x.png", id="A38-relay"),
        pytest.param("https://224.0.0.1/x.png", id="A38-multicast"),
        pytest.param("https://100.64.0.1/x.png", id="A39-shared"),
        pytest.param("https://198.18.0.1/x.png", id="A39-benchmark"),
        pytest.param("https://240.0.0.1/x.png", id="A39-reserved"),
        pytest.param("https://replicate.delivery\\@evil.example/x.png", id="A45-backslash"),
        pytest.param("https://evil.example#@replicate.delivery/x.png", id="A45-hash"),
        pytest.param("https://replicate.delivery./x.png", id="A46-trailing-dot"),
        pytest.param("https://réplicate.delivery/x.png", id="A46-homograph"),
        pytest.param("https://localhost/x.png", id="A46-localhost"),
        pytest.param("https://db.internal/x.png", id="A46-internal"),
        pytest.param("https://outputs.s3.amazonaws.com/x.png", id="A46-our-own-cloud"),
        pytest.param("https://evil.example/x.png", id="another-host"),
    ],
)
def test_an_output_elsewhere_is_never_fetched(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    record = storing(world, url)
    assert record.state is State.STORING
    no_network(monkeypatch)
    after = copied(world, record, HOSTS)
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_REFUSED)
    assert not world.outputs.objects
    assert url not in json.dumps(world.shown(after))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("file:///etc/passwd", id="A29-file"),
        pytest.param("gopher://replicate.delivery/x", id="A29-gopher"),
        pytest.param("ftp://replicate.delivery/x", id="A29-ftp"),
        pytest.param("data:image/png;base64,iVBORw0KGgo=", id="A29-data"),
        pytest.param("blob:https://replicate.delivery/x", id="A29-blob"),
        pytest.param("javascript:alert(1)", id="A29-javascript"),
        pytest.param("//replicate.delivery/x", id="A29-none"),
    ],
)
def test_an_output_of_another_scheme_is_never_fetched(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    record = storing(world, text)
    no_network(monkeypatch)
    after = copied(world, record, HOSTS)
    # A URL that cannot be a file's is requested once more from the provider only.
    assert after.state.terminal or after.asked_again
    assert (after.files, world.outputs.objects) == ((), {})


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(["10.0.0.1"], id="A40-private"),
        pytest.param(["fd00::1"], id="A40-private-6"),
        pytest.param(["169.254.169.254"], id="A40-metadata"),
        pytest.param(["8.8.8.8", "10.0.0.1"], id="A41-one-of-two"),
        pytest.param(["2606:4700::1111", "::1"], id="A41-one-of-two-6"),
        pytest.param(["64:ff9b::a9fe:a9fe"], id="A38-nat64"),
    ],
)
def test_an_allowed_name_at_an_address_of_ours_is_not_connected_to(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    record = storing(world, "https://x.replicate.delivery/0.png")
    no_network(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*found))
    after = copied(world, record, HOSTS)
    assert (after.state, after.store_attempts) == (State.STORING, 1)
    assert not world.outputs.objects


def test_a42_the_second_answer_of_a_resolver_is_never_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **more: Any) -> Any:
        if host != "output.test":
            return resolve(host, *args, **more)
        asked.append(host)
        return resolve("127.0.0.1" if len(asked) == 1 else "127.0.0.9", *args, **more)

    world = World()
    with serving(answer(200, PNG)) as server:
        origin = f"http://output.test:{server.port}"
        record = storing(world, f"{origin}/0.png")
        with monkeypatch.context() as dns:
            dns.setattr(socket, "getaddrinfo", rebinding)
            after = copied(world, record, (origin,))
    assert after.state is State.SUCCEEDED
    assert asked == ["output.test"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a47_a_proxy_of_the_environment_is_not_asked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer(200, PNG)) as server, serving(answer(200, PNG)) as proxy:
        monkeypatch.setenv(name, proxy.url)
        _, after = copied_from(server)
    assert after.state is State.SUCCEEDED
    assert (server.connections, proxy.connections) == (1, 0)


PACKED = gzip.compress(bytes(5_000_000))
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
PICTURE = {"content-type": "image/png"}
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(answer(302, b"", {"location": "http://169.254.169.254/"}), id="A43-redirect"),
        pytest.param(answer(307, PNG, {"location": "http://127.0.0.1:1/"}), id="A43-with-a-body"),
        pytest.param(answer(302, b"", {"location": "/0.png"}), id="A44-redirect-loop"),
        pytest.param(answer(200, PACKED, {"content-encoding": "gzip"}), id="A48-gzip-bomb"),
        pytest.param(answer(200, PNG, {"content-encoding": "br"}), id="A48-other-encoding"),
        pytest.param(
            servers.reply(http(200, PNG, {"content-length": str(len(PNG) + 1)})), id="A49-short"
        ),
        pytest.param(servers.reply(b"HTTP/1.1 200 OK\r\n\r\n" + PNG), id="A49-no-length"),
        pytest.param(
            servers.reply(CHUNKED % (len(PNG) - 5, PNG[:-5])), id="A49-whole-message-cut-picture"
        ),
        pytest.param(answer(404, {}), id="A52-404"),
        pytest.param(answer(403, {}), id="A52-403"),
        pytest.param(answer(410, {}), id="A52-410"),
        pytest.param(answer(200, HTML, PICTURE), id="A53-html-as-png"),
        pytest.param(answer(200, HTML, {"content-type": "text/plain"}), id="A53-html-as-text"),
        pytest.param(
            servers.reply(http(200, b"\0\1", {"content-length": "3"})), id="A49-short-and-unknown"
        ),
    ],
)
def test_what_fails_on_the_way_stores_nothing_and_is_tried_again(serve: Serve) -> None:
    with serving(serve) as server:
        world, after = copied_from(server)
    assert (after.state, after.store_attempts) == (State.STORING, 1)
    assert not world.outputs.objects
    assert server.connections == 1
    assert b"accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize("said", ["image/png", "image/svg+xml", "text/plain"])
def test_a54_an_svg_is_never_stored_whatever_it_is_called(said: str) -> None:
    with serving(answer(200, SVG, {"content-type": said})) as server:
        world, after = copied_from(server)
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_REFUSED)
    assert not world.outputs.objects


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(drip(PNG, start=http(200, b"", {"content-length": "9999"})), id="body"),
        pytest.param(drip(http(200, PNG)), id="head"),
        pytest.param(servers.silent, id="silent"),
    ],
)
def test_a50_a_drip_ends_at_the_wall_clock(serve: Serve) -> None:
    with serving(serve) as server, within(BUDGET):
        world, after = copied_from(server, BUDGET)
    assert (after.state, after.store_attempts) == (State.STORING, 1)
    assert not world.outputs.objects


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(
            servers.reply(http(200, b"", {"content-length": str(MOST + 1)})), id="announced"
        ),
        pytest.param(answer(200, PNG[:-12] + bytes(MOST) + PNG[-12:]), id="sent"),
        pytest.param(
            servers.reply(
                CHUNKED % (MOST + len(PNG), PNG + bytes(MOST)),
            ),
            id="found-out",
        ),
    ],
)
def test_a51_above_the_cap_it_fails_for_good(serve: Serve) -> None:
    with serving(serve) as server:
        world, after = copied_from(server)
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_TOO_LARGE)
    assert not world.outputs.objects


def test_a52_what_stays_away_for_an_hour_has_expired() -> None:
    with serving(answer(404, {})) as server:
        world, after = copied_from(server)
        world.clock.advance(3600)
        after = copied(world, after, (server.url,))
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_EXPIRED)


# Callbacks


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(["10.0.0.1"], id="A40-private"),
        pytest.param(["127.0.0.1"], id="A40-loopback"),
        pytest.param(["169.254.169.254"], id="A40-metadata"),
        pytest.param(["8.8.8.8", "192.168.0.1"], id="A41-one-of-two"),
        pytest.param(["64:ff9b::a9fe:a9fe"], id="A38-nat64"),
    ],
)
def test_a_clients_name_at_an_address_of_ours_is_not_called(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    record = world.accept(webhook="https://client.example/hook")
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.run_stream()
    (message,) = world.deliver_queue.take()
    sender = Callbacks(Client(callback_guard(local=False)))
    service = replace(world.deliver, sender=sender)
    no_network(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*found))
    handler = deliver.FUNCTION.entry(lambda: deliver.Delivers(service, world.tell_task))
    assert handler(events.sqs(message), events.Context()) == {"batchItemFailures": []}
    row = world.deliveries.rows[record.id, "completed"]
    assert (row.state, row.attempts) == ("pending", 1)
    assert "10.0.0.1" not in repr(row)
