"""Downloads of outputs and callbacks over the wire, with hostile servers."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.prediction import Code
from darkroom.handlers.persist import PersistSettings
from darkroom.outbound.download import (
    Callbacks,
    OutputFetcher,
    allowed,
    callback_guard,
    output_guard,
)
from darkroom.outbound.http import Client
from darkroom.ports import CallbackAnswer

from tests.support import servers
from tests.support.servers import BUDGET, Server, addresses, answer, drip, http, serving, within

if TYPE_CHECKING:
    from tests.support.servers import Serve

MOST = 1_000_000
DATA = bytes(range(256)) * 1000


def fetcher(*hosts: str, budget_s: float = 5.0) -> OutputFetcher:
    return OutputFetcher(Client(output_guard(hosts)), hosts, MOST, budget_s)


def fetch(server: Server, budget_s: float = 5.0) -> bytes:
    with fetcher(server.url, budget_s=budget_s).open(f"{server.url}/x.png") as download:
        return b"".join(download.chunks())


def failure(server: Server, budget_s: float = 5.0) -> TransferFailedError:
    with pytest.raises(TransferFailedError) as failed:
        fetch(server, budget_s)
    return failed.value


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


# Outputs


def test_an_output_arrives_byte_by_byte_as_it_was_sent() -> None:
    with (
        serving(answer(200, DATA, {"content-type": "image/png"})) as server,
        fetcher(server.url).open(f"{server.url}/a/b.png?c=d") as download,
    ):
        assert (download.length, download.content_type) == (len(DATA), "image/png")
        assert b"".join(download.chunks()) == DATA
    head = server.requests[0].decode().lower()
    assert head.startswith("get /a/b.png?c=d http")
    assert "authorization" not in head
    assert "accept-encoding: identity" in head


def test_a_chunked_output_has_no_length_to_tell() -> None:
    with (
        serving(servers.reply(chunked(DATA, DATA))) as server,
        fetcher(server.url).open(server.url + "/") as download,
    ):
        assert (download.length, download.content_type) == (None, None)
        assert b"".join(download.chunks()) == DATA + DATA


def test_a_length_said_twice_alike_is_one_length() -> None:
    twice = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc"
    with serving(servers.reply(twice)) as server:
        assert fetch(server) == b"abc"


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(answer(404, {}), id="A52-404"),
        pytest.param(answer(403, {}), id="A52-403"),
        pytest.param(answer(410, {}), id="A52-410"),
        pytest.param(answer(500, {}), id="500"),
        pytest.param(answer(206, DATA), id="206"),
        pytest.param(answer(302, b"", {"location": "http://169.254.169.254/"}), id="A43-redirect"),
        pytest.param(answer(302, b"", {"location": "http://xn--/"}), id="A43-redirect-to-nowhere"),
        pytest.param(answer(302, b"", {"location": "/x.png"}), id="A44-redirect-loop"),
        pytest.param(
            answer(200, gzip.compress(DATA), {"content-encoding": "gzip"}), id="A48-compressed"
        ),
        pytest.param(
            answer(200, DATA, {"content-encoding": "identity, gzip"}), id="A48-compressed-twice"
        ),
        pytest.param(
            servers.reply(http(200, DATA, {"content-length": str(len(DATA) + 1)})),
            id="A49-cut-short",
        ),
        pytest.param(
            servers.reply(b"HTTP/1.1 200 OK\r\n\r\n" + DATA), id="A49-no-length-not-chunked"
        ),
        pytest.param(servers.reply(chunked(DATA, end=b"")), id="A49-chunked-cut-short"),
        pytest.param(
            servers.reply(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc"),
            id="two-lengths",
        ),
        pytest.param(
            servers.reply(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nabc"), id="negative-length"
        ),
        pytest.param(servers.reply(b""), id="closed"),
        pytest.param(servers.reset, id="reset"),
        pytest.param(servers.reply(b"\x16\x03\x01\x02\x00\x01"), id="not-http"),
    ],
)
def test_a_download_that_fails_may_be_tried_again(serve: Serve) -> None:
    with serving(serve) as server:
        assert failure(server).code is None
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(
            servers.reply(http(200, b"", {"content-length": str(MOST + 1)})), id="announced"
        ),
        pytest.param(servers.reply(chunked(*[b"x" * 100_000] * 11)), id="found-out"),
        pytest.param(servers.reply(chunked(b"x" * (MOST + 1))), id="in-one-chunk"),
    ],
)
def test_a51_an_output_above_the_cap_fails_for_good(serve: Serve) -> None:
    with serving(serve) as server:
        assert failure(server).code == Code.OUTPUT_TOO_LARGE


def test_the_catalogues_largest_output_is_below_the_bound() -> None:
    """A byte per pixel of a photograph of 13 megapixels, enlarged four times in each direction."""
    most = PersistSettings.max_output_bytes
    head = http(200, b"", {"content-length": str(13_000_000 * 4 * 4)})
    with serving(servers.reply(head)) as server:
        hosts = (server.url,)
        outputs = OutputFetcher(Client(output_guard(hosts)), hosts, most, 5.0)
        with outputs.open(f"{server.url}/x.png") as download:
            assert download.length == 208_000_000
            with pytest.raises(TransferFailedError) as failed:
                list(download.chunks())
    assert failed.value.code is None


def test_an_output_at_the_cap_arrives() -> None:
    with serving(answer(200, b"x" * MOST)) as server:
        assert len(fetch(server)) == MOST


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(drip(DATA, start=http(200, b"", {"content-length": "9999"})), id="body"),
        pytest.param(drip(http(200, DATA)), id="head"),
        pytest.param(servers.silent, id="silent"),
    ],
)
def test_a50_a_drip_ends_at_the_wall_clock(serve: Serve) -> None:
    with serving(serve) as server, within(BUDGET):
        assert failure(server, BUDGET).code is None


def test_a_download_in_another_thread_does_not_lengthen_the_budget() -> None:
    endless = drip(DATA, start=http(200, b"", {"content-length": str(len(DATA))}))
    with serving(endless) as server, within(BUDGET):
        outputs = fetcher(server.url, budget_s=BUDGET)
        with outputs.open(f"{server.url}/x") as download:
            other = threading.Thread(target=outputs.client.begin, args=(600.0,))
            other.start()
            other.join()
            with pytest.raises(TransferFailedError):
                list(download.chunks())


def test_each_download_has_a_budget_of_its_own() -> None:
    with serving(answer(200, b"abc", times=9)) as server:
        outputs = fetcher(server.url, budget_s=2)
        for _ in range(3):
            with outputs.open(server.url + "/") as download:
                assert b"".join(download.chunks()) == b"abc"
            time.sleep(1)  # The budgets of consecutive downloads must not add up.
        outputs.client.close()


def test_the_connection_of_a_download_that_is_left_is_closed() -> None:
    endless = drip(b"x" * 1000, start=http(200, b"x" * 10, {"content-length": "99999"}))
    with serving(endless) as server:
        with pytest.raises(KeyError), fetcher(server.url).open(server.url + "/"):
            raise KeyError
        assert server.closed.acquire(timeout=60)


# Allowed sources


def test_another_host_is_not_even_connected_to() -> None:
    with serving(answer(200, DATA)) as server, pytest.raises(TransferFailedError) as failed:
        fetcher("replicate.delivery").open(f"{server.url}/x.png").__enter__()
    assert failed.value.code == Code.OUTPUT_REFUSED
    assert server.connections == 0


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(["10.0.0.1"], id="A40-private"),
        pytest.param(["fd00::1"], id="A40-private-6"),
        pytest.param(["127.0.0.1"], id="A40-loopback"),
        pytest.param(["8.8.8.8", "169.254.169.254"], id="A41-one-of-two"),
        pytest.param(["::ffff:127.0.0.1"], id="A37-mapped"),
        pytest.param([], id="none"),
    ],
)
def test_an_allowed_name_at_a_private_address_is_not_connected_to(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_args: Any, **_more: Any) -> Any:
        pytest.fail("connected")

    monkeypatch.setattr(socket, "getaddrinfo", addresses(*found))
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(TransferFailedError) as failed:
        fetcher("*.replicate.delivery").open("https://x.replicate.delivery/a.png").__enter__()
    assert failed.value.code is None


def test_a42_a_name_is_resolved_once_and_its_address_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second lookup could have another answer."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **more: Any) -> Any:
        asked.append(host)
        answer_ = "127.0.0.1" if host == "output.test" else host
        return resolve(answer_, *args, **more)

    with serving(answer(200, b"abc")) as server:
        origin = f"http://output.test:{server.port}"
        with monkeypatch.context() as dns:
            dns.setattr(socket, "getaddrinfo", rebinding)
            with fetcher(origin).open(f"{origin}/x") as download:
                assert b"".join(download.chunks()) == b"abc"
    assert asked.count("output.test") == 1
    assert b"Host: output.test:" in server.requests[0]


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.replicate.delivery/",
        "https://a..replicate.delivery/",
        "https://.replicate.delivery/",
        "https://%.replicate.delivery/",
        "https://xn--.replicate.delivery/",
    ],
)
def test_a46_a_name_that_is_none_is_a_failed_download(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, *_args: Any, **_more: Any) -> Any:
        host.encode("idna")
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(TransferFailedError):
        fetcher("*.replicate.delivery").open(url).__enter__()


# Callbacks


def callbacks(*, local: bool = True) -> Callbacks:
    return Callbacks(Client(callback_guard(local=local)), local)


HEADERS = {"content-type": "application/json", "webhook-id": "x"}


@pytest.mark.parametrize("status", [200, 204, 302, 400, 410, 500])
@pytest.mark.parametrize("location", ["http://169.254.169.254/", "http://xn--/"])
def test_a_callback_is_posted_once_and_its_status_told(status: int, location: str) -> None:
    with serving(answer(status, b"", {"location": location})) as server:
        answered = callbacks().post(f"{server.url}/hook?a=b", HEADERS, b'{"x": 1}')
    assert answered == CallbackAnswer(status, None)
    (request,) = server.requests
    assert request.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"x": 1}')
    assert b"webhook-id: x" in request
    assert b"authorization" not in request.lower()


def test_f25_a_callbacks_scheme_has_no_case() -> None:
    with serving(answer(200, times=2)) as server:
        url = server.url.replace("http", "HTTP")
        assert callbacks().post(url, HEADERS, b"{}").status == 200
        # Allowed by its scheme, and rejected by its address.
        with pytest.raises(TransferFailedError, match="no answer"):
            callbacks().post(url.replace("HTTP", "HTTPS"), HEADERS, b"{}")


def test_f25_an_outputs_scheme_and_host_have_no_case() -> None:
    hosts = ("*.replicate.delivery", "http://localhost:9")
    assert allowed("HTTPS://X.Replicate.DELIVERY/0.png", hosts)
    assert allowed("HTTP://LOCALHOST:9/0.png", hosts)
    assert not allowed("HTTP://LOCALHOST:8/0.png", hosts)


def test_newcomer_friction_4_localhost_is_this_machine() -> None:
    with serving(answer(200, b"")) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert callbacks().post(f"{url}/hook", HEADERS, b"{}").status == 200
        with pytest.raises(TransferFailedError):
            callbacks(local=False).post(f"{url}/hook", HEADERS, b"{}")
    assert len(server.requests) == 1


def test_the_answers_body_is_not_read() -> None:
    endless = drip(b"x" * 1000, start=http(200, b"", {"content-length": "9999"}))
    with serving(endless) as server, within(BUDGET):
        assert callbacks().post(server.url, HEADERS, b"{}").status == 200


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param("7", 7, 7, id="seconds"),
        pytest.param(formatdate(time.time() + 600, usegmt=True), 400, 600, id="date"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0, id="date-in-the-past"),
    ],
)
def test_when_a_client_wants_to_be_called_again(text: str, least: float, most: float) -> None:
    with serving(answer(503, b"", {"retry-after": text})) as server:
        found = callbacks().post(server.url, HEADERS, b"{}").retry_after_s
    assert found is not None
    assert least <= found <= most


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "1.5",
        "soon",
        "nan",
        "9" * 400,
        "²",
        "Wed, 99 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
    ],
)
def test_a_retry_after_that_is_none_is_ignored(text: str) -> None:
    raw = b"HTTP/1.1 503 x\r\nretry-after: %b\r\ncontent-length: 0\r\n\r\n" % text.encode()
    with serving(servers.reply(raw)) as server:
        answered = callbacks().post(server.url, HEADERS, b"{}")
    assert answered == CallbackAnswer(503, None)


@pytest.mark.parametrize(
    "serve", [servers.reset, servers.reply(b""), servers.reply(b"nonsense\r\n\r\n")]
)
def test_a_callback_without_an_answer_has_failed(serve: Serve) -> None:
    with serving(serve) as server, pytest.raises(TransferFailedError):
        callbacks().post(server.url, HEADERS, b"{}")


def test_a_callback_that_drips_ends_at_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.outbound.download.CALLBACK_BUDGET_S", BUDGET)
    with serving(drip(http(200))) as server, within(BUDGET), pytest.raises(TransferFailedError):
        callbacks().post(server.url, HEADERS, b"{}")


def test_a_deployed_stage_calls_no_loopback_address() -> None:
    with serving(answer(200)) as server:
        for url in (server.url, server.url.replace("http:", "https:")):
            with pytest.raises(TransferFailedError):
                callbacks(local=False).post(url, HEADERS, b"{}")
    assert server.connections == 0


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("found", ["10.0.0.1", "169.254.169.254", "127.0.0.1", "::1", "100.64.0.1"])
def test_a_clients_name_at_a_private_address_is_not_called(
    found: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses(found))
    with pytest.raises(TransferFailedError):
        callbacks(local=local).post("https://client.example/", HEADERS, b"{}")


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://[",
        "https://\x7f/",
        "https://xn--/",
        "https://" + "a" * 70_000,
        "ftp://x",
        "",
    ],
)
def test_a_url_that_is_none_has_failed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses())
    with pytest.raises(TransferFailedError):
        callbacks().post(url, HEADERS, b"{}")
