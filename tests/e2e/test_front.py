"""The front port: what it passes on, rejects, and never shows."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from botocore.config import Config

from local.front import MAX_BODY, Front, FrontServer
from local.processes import listen
from tests.e2e.waiting import until
from tests.support.servers import read_request, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.cloud import EmbeddedCloud
    from tests.e2e.driver import Driver
    from tests.support.servers import Server

KEY = "local/2026/01/front/0.txt"


@pytest.fixture(scope="module")
def signed(cloud: EmbeddedCloud) -> str:
    """Return a URL of a stored file, signed for the front's address as the functions sign."""
    bucket = cloud.outputs["OutputsBucket"]
    s3 = cloud.client("s3")
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"0123456789")
    signer = cloud._aws._session.client(
        "s3", endpoint_url=cloud.base_url, config=Config(signature_version="s3v4")
    )
    return str(signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": KEY}))


def changed(url: str, **query: str | None) -> str:
    """Return the URL with parameters replaced, or removed if None."""
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.query)) | query
    kept = {name: value for name, value in values.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


def test_a_signed_url_is_served(driver: Driver, signed: str) -> None:
    assert driver.anyone.get(signed).content == b"0123456789"


def test_authorization_does_not_matter_beside_a_signature(driver: Driver, signed: str) -> None:
    assert driver.anyone.get(signed, headers={"Authorization": "Bearer r8_x"}).status_code == 200


def test_the_name_by_which_a_client_reaches_us_does_not_matter(driver: Driver, signed: str) -> None:
    assert driver.anyone.get(signed, headers={"Host": "localhost:1"}).status_code == 200


def test_ranges_are_passed_on(driver: Driver, signed: str) -> None:
    answer = driver.anyone.get(signed, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")


@pytest.mark.parametrize(
    "query",
    [
        {"X-Amz-Signature": None},
        {"X-Amz-Signature": ""},
        {"X-Amz-Signature": "0" * 64},
        {"X-Amz-Expires": None},
        {"X-Amz-Expires": "99999999"},
        {"X-Amz-Expires": "3601"},
        {"X-Amz-Algorithm": None},
        {"X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256"},
        {"X-Amz-Algorithm": "none"},
        {"X-Amz-Credential": None},
        {"x-amz-signature": "0" * 64},
        {"X-Amz-Date": "20200101T000000Z"},
    ],
    ids=str,
)
def test_a59_any_other_url_is_refused(
    driver: Driver, signed: str, query: dict[str, str | None]
) -> None:
    answer = driver.anyone.get(changed(signed, **query))
    assert answer.status_code == 403
    assert b"0123456789" not in answer.content


def test_a59_a60_a_signature_is_for_one_key_and_one_method(driver: Driver, signed: str) -> None:
    assert driver.anyone.get(signed.replace("0.txt", "1.txt")).status_code == 403
    assert driver.anyone.put(signed, content=b"x").status_code == 403
    assert driver.anyone.delete(signed).status_code == 403


def test_a61_a_url_of_a_deleted_file_serves_nothing(driver: Driver) -> None:
    copy = {
        "Bucket": driver.cloud.outputs["OutputsBucket"],
        "Key": KEY.replace("0.txt", "gone.txt"),
    }
    s3 = driver.cloud.client("s3")
    s3.put_object(**copy, Body=b"0123456789")
    signer = driver.cloud._aws._session.client(
        "s3", endpoint_url=driver.cloud.base_url, config=Config(signature_version="s3v4")
    )
    url = str(signer.generate_presigned_url("get_object", Params=copy))
    assert driver.anyone.get(url).content == b"0123456789"
    s3.delete_object(**copy)
    gone = driver.anyone.get(url)
    assert gone.status_code in {403, 404}
    assert b"0123456789" not in gone.content


@pytest.mark.parametrize("path", ["", "/", "?list-type=2", f"/{KEY}"])
def test_buckets_are_closed(driver: Driver, path: str) -> None:
    for bucket in ("OutputsBucket", "UploadsBucket"):
        assert driver.anyone.get(f"/{driver.cloud.outputs[bucket]}{path}").status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("GET", "/_ministack/health"),
        ("GET", "/health"),
        ("GET", "/_localstack/health"),
        ("POST", "/v2/email/outbound-emails"),
        ("GET", "/iceberg/v1/config"),
        ("GET", "/cdk-hnb659fds-assets-000000000000-us-east-1"),
    ],
)
def test_the_embedded_aws_itself_is_out_of_reach(driver: Driver, method: str, path: str) -> None:
    answer = driver.api.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a15_too_large_a_body_is_refused_before_any_function(driver: Driver) -> None:
    answer = driver.api.post("/v1/predictions", content=b" " * (MAX_BODY + 1))
    assert answer.status_code == 413
    assert answer.json()["status"] == 413


def test_w17_too_many_headers_are_refused(driver: Driver) -> None:
    answer = driver.api.get("/v1/predictions", headers={"X-Long": "x" * 11_000})
    assert answer.status_code == 431


ECHO = """
import json, time
def handler(event, context):
    print("called")
    if event["rawPath"] == "/raise":
        raise ValueError("a detail that nobody may see")
    if event["rawPath"] == "/sleep":
        time.sleep(60)
    return {"statusCode": 200, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def echo(cloud: EmbeddedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A separate front before a function that returns its event, or raises."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("echo.py", ECHO)
    function = cloud.client("lambda").create_function(
        FunctionName="echo",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/echo",
        Handler="echo.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=10,
    )
    gateway = cloud.client("apigatewayv2")
    api_id = gateway.create_api(Name="echo", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    gateway.create_route(ApiId=api_id, RouteKey="$default", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    log: Path = tmp_path_factory.mktemp("echo") / "front.log"
    listener = listen(0)
    port = listener.getsockname()[1]
    front = Front(
        aws_endpoint=cloud.aws_endpoint,
        api_id=api_id,
        outputs_bucket="outputs",
        uploads_bucket="uploads",
        host="unused",
        port=port,
        sweep=dict,
    )
    server = FrontServer(front, listener, log=log)
    server.start()
    base_url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base_url, trust_env=False, timeout=60) as client:
        yield client
    server.stop()


def test_a_function_that_raises_shows_nothing(echo: httpx.Client) -> None:
    answer = echo.get("/raise")
    assert answer.status_code == 500
    assert answer.json() == {"message": "Internal Server Error"}


def test_path_and_query_arrive_as_they_were_sent(echo: httpx.Client) -> None:
    target = b"//v1/a%25b/%7Ec;d?q=%2B+%20&q=2&empty=&%C3%A9"
    event = echo.get("/", extensions={"target": target}).json()
    assert event["rawPath"] == "//v1/a%25b/~c;d"
    assert event["rawQueryString"] == "q=%2B+%20&q=2&empty=&%C3%A9"


def test_forwarding_headers_are_the_gateways(echo: httpx.Client) -> None:
    sent = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Connection": "x-hop",
        "X-Hop": "1",
        "Host": "evil.example",
    }
    headers = echo.post("/v1/x", content=json.dumps({}), headers=sent).json()["headers"]
    assert headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(echo.base_url.port)
    assert "x-hop" not in headers
    assert "evil.example" not in str(headers)


def test_an_embedded_aws_that_is_gone_is_a_503(tmp_path: Path) -> None:
    listener, closed = listen(0), listen(0)
    gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    front = Front(
        aws_endpoint=gone,
        api_id="x",
        outputs_bucket="outputs",
        uploads_bucket="uploads",
        host="unused",
        port=0,
        sweep=_fails,
    )
    server = FrontServer(front, listener, log=tmp_path / "front.log")
    server.start()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=base_url, trust_env=False, timeout=60) as client:
        answer = client.get("/v1/predictions")
        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        assert client.post("/_local/sweep").json() == {"ok": False, "error": "gone"}
    server.stop()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[..., tuple[httpx.Client, Server]]]:
    """A front that passes one call at a time to an AWS that answers nothing before `go`."""
    with contextlib.ExitStack() as ends:

        def hold(go: threading.Event, **how: Any) -> tuple[httpx.Client, Server]:
            def when_told(connection: socket.socket, server: Server) -> None:
                read_request(connection, server)
                go.wait()
                connection.sendall(OK)

            upstream = ends.enter_context(serving(when_told))
            listener = listen(0)
            front = Front(
                aws_endpoint=upstream.url,
                api_id="x",
                outputs_bucket="outputs",
                uploads_bucket="uploads",
                host="unused",
                port=0,
                sweep=dict,
                calls_at_once=1,
                **how,
            )
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = FrontServer(front, listener, log=tmp_path / "front.log")
            ends.callback(server.stop)
            # At any end of the test, nothing may wait for an answer that never comes.
            ends.callback(go.set)
            server.start()
            client = httpx.Client(base_url=base_url, trust_env=False, timeout=60)
            return ends.enter_context(client), upstream

        yield hold


def test_newcomer_bug_2_calls_wait_their_turn_and_hooks_in_a_line_of_their_own(
    held: Callable[..., tuple[httpx.Client, Server]],
) -> None:
    client, upstream = held(go := threading.Event())
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.get, "/v1/predictions") for _ in range(3)]
        until(lambda: upstream.requests)
        hook = pool.submit(client.post, "/hooks/replicate/x")
        until(lambda: len(upstream.requests) == 2)
        assert sum(b"/hooks/" in request for request in upstream.requests) == 1
        go.set()
        assert [call.result().status_code for call in [*calls, hook]] == [200] * 4
    assert len(upstream.requests) == 4


def test_newcomer_bug_2_whoever_waits_in_vain_is_told_when_to_come_again(
    held: Callable[..., tuple[httpx.Client, Server]],
) -> None:
    client, upstream = held(go := threading.Event(), patience_s=0.01)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.get, "/v1/predictions")
        until(lambda: upstream.requests)
        assert_busy(client.get("/v1/predictions"))
        go.set()
        assert first.result().status_code == 200


def test_newcomer_bug_2_whoever_has_gone_meanwhile_is_not_served(
    held: Callable[..., tuple[httpx.Client, Server]],
) -> None:
    client, upstream = held(go := threading.Event())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.get, "/v1/predictions")
        until(lambda: upstream.requests)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/predictions", timeout=httpx.Timeout(60, read=0.2))
        last = pool.submit(client.get, "/v1/files")
        go.set()
        assert [first.result().status_code, last.result().status_code] == [200, 200]
    assert not any(request.startswith(b"POST") for request in upstream.requests)


def test_newcomer_bug_2_a_function_out_of_time_is_no_bare_500(echo: httpx.Client) -> None:
    assert_busy(echo.get("/sleep"))


def assert_busy(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["status"]) == (503, 503)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


def _fails() -> dict[str, Any]:
    return {"ok": False, "error": "gone"}


def test_a_compressed_answer_is_passed_on_as_it_is(driver: Driver) -> None:
    plain = driver.anyone.get("/console", headers={"accept-encoding": "identity"})
    packed = driver.anyone.get("/console", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.content == plain.content
